"""A run as one HTML page: self-contained, no script, no network, readable on paper and by screen readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sensecf import metrics
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.files import write_text
from sensecf.core.people import counted
from sensecf.core.task import Task
from sensecf.core.version import __version__
from sensecf.metrics import Scored
from sensecf.metrics.model import own_sentence
from sensecf.runs.report import figures
from sensecf.runs.report import tables as report_tables
from sensecf.runs.report.drawn import save_all
from sensecf.runs.report.front import front, reason_words
from sensecf.runs.report.names import called, whose
from sensecf.runs.report.page import Figure, from_template
from sensecf.runs.report.people import PEOPLE, caption, further, jump, people_of, sections

#: Names of queries given as an example of a reason.
EXAMPLES = 5

#: The measures of the tiles.
TILES = (
    "classifier_auc",
    "model_valid_first",
    "model_valid",
    "own_share",
    "fallback_share",
    "unanswered_share",
    "validity",
    "plausible",
    "n_changed",
    "mad_l1",
    "margin",
)

GLOSSARY = (
    ("Counterfactual", "A changed copy of a person’s row, to which the classifier gives another answer."),
    ("Valid", "The classifier’s own prediction for the row, as saved, is the target; a tie is not valid."),
    ("Breaks no rule", "Locks, ranges, directions, steps and rules such as minimum ≤ mean ≤ maximum all hold."),
    (
        "Plausible",
        "Like real rows of the target class: an inlier by local outlier factor, at a threshold that lets 95 of "
        "100 unseen real rows through, and every changed value inside the range seen in training.",
    ),
    ("Distance (L1 / MAD)", "Sum of all changes, each in units of its feature’s median absolute deviation."),
    ("Margin", "Probability of the target minus that of the strongest other class."),
    ("Without an answer", "No row was found that is valid and breaks no rule; the reason says what blocked it."),
    ("Mutable", "A feature that moves as a result, such as mean glucose; a person cannot set it directly."),
)


def write_report(
    path: str | Path,
    scored: Scored,
    summary: pd.DataFrame,
    run: Mapping[str, Any],
    extra: Mapping[str, pd.DataFrame] | None = None,
    days: pd.DataFrame | None = None,
) -> Path:
    """Write the page of a run to `path`, or to `report.html` in it when it is no `.html` file.

    `scored`: the answers by `metrics.read`; they are judged anew, once. `summary`: what `metrics.summarise` gave.
    `run`: the facts of `run.json`. Used where given:
    `title`, `notice` (a sentence that must not be missed, such as that the data are simulated),
    `classifier`, `generator`, `target`, `seed`, `versions` (by package), `model_alone` (numbers of the
    model without verification: a value, or a mapping with value, low, high, n); the rest is listed at
    the end. `extra`: further tables by caption. `days`: every held-out row, with whose it is and what the classifier
    says of it, for the pictures of a person's days.
    Beside it lie `figures/` (SVG and PDF, in a journal's widths) and, for those after the first `PEOPLE`, `people/`.
    Returns the file written.
    """
    path = Path(path)
    if path.suffix.lower() != ".html":
        path = path / "report.html"
    drawn = _figures(scored) if len(scored) else []
    write_text(path, render(scored, summary, run, extra, days, drawn))
    save_all({figure.name: figure.raw for figure in drawn}, path.parent)
    further(path, scored, run)
    return path


def render(
    scored: Scored,
    summary: pd.DataFrame,
    run: Mapping[str, Any],
    extra: Mapping[str, pd.DataFrame] | None = None,
    days: pd.DataFrame | None = None,
    drawn: Sequence[Figure] | None = None,
) -> str:
    """The page as text; see `write_report`."""
    cfs, task = scored.cfs, scored.task
    answered = int(scored.requests.isin(scored.queries).sum())
    said = task.schema.meaning
    targets = sorted({said(task.classes[k]) for k in scored.target}) or [said(run.get("target", task.schema.target))]
    tables = [report_tables.profile_table(scored)]
    if run.get("model_alone"):
        tables.append(report_tables.alone_table(run["model_alone"]))
    if len(cfs.attempts):
        tables.append(report_tables.frame_table("Candidates tried, by verdict", cfs.attempts))
    tables += [report_tables.frame_table(caption, frame) for caption, frame in (extra or {}).items()]
    listed = people_of(scored)
    shares = cfs.shares(called(run)) if cfs.asked else ""
    classifier = run.get("classifier") or type(task.classifier).__name__
    context = {
        "title": run.get("title") or task.schema.name or f"What would change {said(task.schema.label)}?",
        "notice": run.get("notice", ""),
        "classifier": classifier,
        "label": said(task.schema.label),
        "target": " or ".join(targets),
        "requests": len(scored.requests),
        "answered": answered,
        "facts": _facts(cfs, task, run),
        "versions": report_tables.text(run.get("versions", "")),
        "quality": metrics.sentence(summary, classifier, " or ".join(targets), str(run.get("rows_are", "rows"))),
        "reliability": report_tables.reliability_table(run.get("reliability") or []),
        "shares": "; ".join(filter(None, [own_sentence(summary, cfs.asked), shares])) if cfs.asked else "",
        "holds": [str(run.get(name, {}).get(key, "")) for name, key in (("jury", "headline"), ("jury", "says"))]
        if run.get("jury")
        else [str(run["no_jury"])]
        if run.get("no_jury")
        else [],
        "fallback": cfs.fallbacks() if cfs.asked else "",
        "tiles": [_tile(name, summary) for name in TILES if name in summary.index],
        "front": front(scored, summary, run, days),
        "what": called(run),
        "people": sections(scored, listed[:PEOPLE], "jury" in run, called(run)),
        "jump": jump(listed),
        "boxes": "jury" in run,
        "plan_caption": caption(listed),
        "figures": (_figures(scored) if len(scored) else []) if drawn is None else drawn,
        "reasons": _reasons(scored),
        "measures": report_tables.measures(summary),
        "undefined": report_tables.undefined(summary),
        "tables": tables,
        "costs": report_tables.cost_table(cfs, summary),
        "glossary": GLOSSARY,
        "record": report_tables.record_table(run),
        "closing": f"Made by SenseCF {__version__}. The page holds all it shows; it loads and sends nothing.",
    }
    return from_template("report.html.j2", context)


# --- what the page shows -----------------------------------------------------------------


def _facts(cfs: Counterfactuals, task: Task, run: Mapping[str, Any]) -> list[tuple[str, str]]:
    generators = sorted({str(name) for name in cfs.frame["generator"].dropna()})
    why = f" ({run['generator_why']})" if run.get("generator_why") else ""
    roles = Counter(f.role for f in task.schema.features if f.changeable)
    facts = {
        "Asked about": counted(cfs.factuals, run.get("rows_are")),
        "Generator": (run.get("generator") or ", ".join(generators) or "none") + why,
        "Training rows": f"{len(task.train):,}",
        "Features": f"{len(task.schema)}, of which {roles['actionable']} a person can change and "
        f"{roles['mutable']} only move as a result",
        "Rules": len(task.schema.rules),
        "Seed": run.get("seed"),
    }
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _tile(name: str, summary: pd.DataFrame) -> dict[str, str]:
    row = summary.loc[name].to_dict()
    declared = metrics.METRICS[name]
    style = declared.written
    return {
        "name": declared.title.partition(" over ")[0],
        "value": report_tables.written(row["value"], style) if row["defined"] else "–",
        "interval": report_tables.interval(row, style),
        "base": f"of {report_tables.counted(row)}" if row["defined"] else "not defined for this run",
    }


def _figures(scored: Scored) -> list[Figure]:
    changed, people = int(scored.changed.any(axis=0).sum()), int(scored.queries.nunique())

    def part(most: int, total: int, what: str) -> str:
        return f" Shown: {most:,} of {total:,} {what}." if total > most else ""

    drawn = (
        (
            figures.change_rates,
            "Which features change",
            "Share of answers that change a feature." + part(figures.MAX_FEATURES, changed, "changed features"),
        ),
        (
            figures.plans,
            "The first plans, feature by feature",
            "Ring: before; dot: after. The line spans the values seen in training, its thick part the middle "
            "four fifths of the rows in the target class.",
        ),
        (figures.change_counts, "How many change", "Answers by the number of features they change."),
        (
            figures.distance_and_changes,
            "Distance, changes, plausibility",
            "One mark per answer, spread sideways a little." + part(figures.MAX_POINTS, len(scored), "answers"),
        ),
        (
            figures.probabilities,
            "Probability before and after",
            "One line per request; dashed: one half." + part(figures.MAX_LINES, people, "requests"),
        ),
    )
    return [
        Figure.of(f"figure-{number}", draw.__name__.replace("_", "-"), title, text, draw(scored))
        for number, (draw, title, text) in enumerate(drawn, start=1)
    ]


def _reasons(scored: Scored) -> list[Mapping[str, Any]]:
    """Why requests were not answered, the most frequent reason first."""
    found: list[Mapping[str, Any]] = []
    said = whose(scored.cfs)
    for reason, queries in scored.cfs.reasons():
        more = ", …" if len(queries) > EXAMPLES else ""
        examples = ", ".join(said[query] for query in queries[:EXAMPLES]) + more
        found.append({"text": reason_words(scored, reason), "count": len(queries), "examples": examples})
    return found
