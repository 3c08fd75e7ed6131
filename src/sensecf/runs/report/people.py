"""People in a report: a section each, a list to jump by, and further pages beyond the first fifty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sensecf import metrics
from sensecf.core.files import write_text
from sensecf.core.people import PERSON, counted, some
from sensecf.core.schema import Feature
from sensecf.metrics import Scored
from sensecf.pipeline.box import box_of, words
from sensecf.runs.report.names import Labels, called, clean, in_labels, whose
from sensecf.runs.report.page import from_template

#: People (rows, where nobody is named) on one page.
PEOPLE = 50
#: Where further pages lie.
FOLDER = "people"
#: Results that are listed of what is expected to follow from a plan; the others unfold.
EXPECTED = 3


class Listed(NamedTuple):
    """Somebody in the report: their name, or that of the row; `anchor` and `page` (from 1) where they stand; positions
    of their answers; how many of their rows were asked about."""

    name: str
    anchor: str
    page: int
    answers: tuple[int, ...]
    asked: int
    named: bool


def people_of(scored: Scored) -> list[Listed]:
    """Everybody who was asked about, in order; each answered row for itself where the table names nobody."""
    factuals, said = scored.cfs.factuals, whose(scored.cfs)
    named = PERSON in factuals and bool((factuals[PERSON].fillna("") != "").any())
    key = dict(zip(factuals.index, factuals[PERSON], strict=True)) if named else {q: q for q in factuals.index}
    answers: dict[Any, list[int]] = {}
    for position, query in enumerate(scored.queries):
        answers.setdefault(key[query], []).append(position)
    asked: dict[Any, int] = {}
    for query in scored.requests:
        asked[key[query]] = asked.get(key[query], 0) + 1
    shown = [who for who in asked if named or who in answers]
    return [
        Listed(
            clean(who) if named else said[who],
            f"p{number + 1}",
            number // PEOPLE + 1,
            tuple(answers.get(who, ())),
            asked[who],
            named,
        )
        for number, who in enumerate(shown)
    ]


def sections(scored: Scored, listed: Sequence[Listed], boxes: bool, what: str = "plan") -> list[Mapping[str, Any]]:
    """What a page shows of some people; with `boxes` also where a person may land. `what`: an answer is called."""
    noun = counted(scored.cfs.factuals).noun
    positions = np.array([at for one in listed for at in one.answers], dtype=int)
    plans = dict(zip(positions.tolist(), _plans(scored, positions, boxes), strict=True))
    return [
        {
            "name": one.name if one.named else "",
            "anchor": one.anchor,
            "plans": [plans[at] for at in one.answers],
            "words": f"a {what} for {len({scored.queries[at] for at in one.answers})} of {some(one.asked, noun)}",
        }
        for one in listed
    ]


def caption(listed: Sequence[Listed]) -> str:
    """How many a page shows, of how many."""
    what = "people" if listed and listed[0].named else "answered rows"
    return f"The first {PEOPLE} of {len(listed)} {what}" if len(listed) > PEOPLE else "All answers"


def jump(listed: Sequence[Listed], report: str = "report.html", here: int = 1) -> list[Mapping[str, str]]:
    """A link to each, in the order of their names, as it reads from page `here`; nothing for one alone.

    `report`: the name of the first page's file.
    """
    if len(listed) < 2:
        return []

    def link(one: Listed) -> str:
        if one.page == here:
            return f"#{one.anchor}"
        up, down = ("../" if here > 1 else ""), (f"{FOLDER}/" if here == 1 else "")
        return f"{up}{report}#{one.anchor}" if one.page == 1 else f"{down}{one.page}.html#{one.anchor}"

    ordered = sorted(listed, key=lambda one: one.name) if listed[0].named else listed
    return [{"name": one.name, "to": link(one)} for one in ordered]


def further(path: Path, scored: Scored, run: Mapping[str, Any]) -> None:
    """Write a page for each further fifty people into `people/` beside the report `path`; older ones are removed."""
    folder = path.parent / FOLDER
    for old in folder.glob("*.html"):
        old.unlink()
    listed = people_of(scored)
    last = listed[-1].page if listed else 1
    for page in range(2, last + 1):
        mine = [one for one in listed if one.page == page]
        context = {
            "title": f"{run.get('title') or scored.task.schema.name or 'Plans'}: {mine[0].name} to {mine[-1].name}",
            "what": called(run),
            "people": sections(scored, mine, "jury" in run, called(run)),
            "jump": jump(listed, path.name, page),
            "boxes": "jury" in run,
            "plan_caption": f"Page {page} of {last}",
            "label": scored.task.schema.meaning(scored.task.schema.label),
            "report": path.name,
            "page": page,
            "last": last,
        }
        write_text(folder / f"{page}.html", from_template("people.html.j2", context))


def _plans(scored: Scored, kept: np.ndarray, boxes: bool) -> list[Mapping[str, Any]]:
    """The plans at some positions, judged anew; with `boxes` also where a person may land."""
    chances = [judged.proba[kept, scored.target[kept]] for judged in (scored.judged_before, scored.judged)]
    valid, plausible = scored.reached[kept], metrics.plausible(scored).to_numpy()[kept] > 0
    queries, ranks = (scored.index.get_level_values(level).to_numpy() for level in ("query", "rank"))
    several = bool((ranks > 1).any())
    shares = scored.cfs.answers.get("holds", pd.Series(np.nan, index=range(len(queries))))
    holds = shares.to_numpy(dtype=float)
    told, first = scored.cfs.expected(), scored.cfs.expected(most=EXPECTED)
    said, label = whose(scored.cfs), scored.task.once(Labels).of
    return [
        {
            "query": said[queries[row]],
            "rank": ranks[row] if several else None,
            "edits": [
                edit(scored.task.schema.features[j], label, scored.before[row, j], scored.after[row, j])
                | {"follows": "" if scored.edited[row, j] else "follows"}
                for j in np.flatnonzero(scored.changed[row])
            ],
            "expected": first[row],
            "all_expected": told[row] if told[row] != first[row] else "",
            "before": f"{chances[0][i]:.2f}",
            "after": f"{chances[1][i]:.2f}",
            "holds": f"{holds[row]:.0%}".replace("%", " %") if holds[row] == holds[row] else "",
            "stays": _stays(scored, int(row)) if boxes else "",
            "valid": bool(valid[i]),
            "plausible": bool(plausible[i]),
        }
        for i, row in enumerate(kept)
    ]


def _stays(scored: Scored, row: int) -> str:
    """The box around an answer in which it stays one, in words; "" where it is not known."""
    sides = box_of(scored.task, scored.before[row], scored.after[row], int(scored.target[row]))
    return in_labels(words(scored.task, sides), scored.task.once(Labels).of)


def edit(feature: Feature, label: Mapping[str, str], before: float, after: float) -> dict[str, str]:
    """One edit as texts; `label` by column."""
    texts = [feature.format(v if feature.numeric or np.isnan(v) else feature.levels[int(v)]) for v in (before, after)]
    unit = f" {feature.unit}" if feature.unit else ""
    delta = ""
    if feature.numeric and not math.isnan(after - before):
        delta = f"{'+' if after > before else '−'}{feature.format(abs(after - before))}"
    return {"name": label[feature.name], "before": texts[0], "after": texts[1] + unit, "delta": delta}
