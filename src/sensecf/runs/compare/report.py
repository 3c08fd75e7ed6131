"""A comparison as one HTML page, as Markdown and as figures: self-contained, no script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf import metrics
from sensecf.core.files import write_text
from sensecf.core.people import some
from sensecf.core.version import __version__
from sensecf.runs.compare import figures as drawings
from sensecf.runs.compare import tables
from sensecf.runs.compare.methods import OWN
from sensecf.runs.compare.scores import ALL
from sensecf.runs.report import figures
from sensecf.runs.report import tables as report_tables
from sensecf.runs.report.drawn import Drawn, save_all
from sensecf.runs.report.names import Labels
from sensecf.runs.report.page import Figure, from_template, inline
from sensecf.runs.report.people import edit
from sensecf.runs.report.tables import written

if TYPE_CHECKING:
    from sensecf.runs.compare import Comparison

#: The panels of the first figure.
PANELS = {
    "success_at_3": "success@3",
    "validity": "valid",
    "feasible": "breaks no rule",
    "lof_inlier": "inlier (LOF)",
    "n_changed": "changes",
    "mad_l1": "distance",
}
TESTS = (
    "All pairs are in comparisons.csv. “Both”: the requests that both solved. “All”: every request; “served better” is "
    "the share that the first serves better minus the share that the other does, where a request that only one of them "
    "solved is won by that one. Where p < 0.05 the better one is named."
)
#: Requests whose plans are shown side by side, and edits of one plan that are written out.
EXAMPLES, EDITS = 4, 8
#: Methods in one radar: as many as there are colours.
RADAR = len(figures.SERIES)

GLOSSARY = (
    (
        "A method’s own name",
        "For a generator of SenseCF: what its users get, proposals verified, polished and selected, with the "
        "search as fallback. For any other: the first of its proposals, in its own order, judged as it stands.",
    ),
    (
        "+filter",
        "The first of its proposals that is valid and breaks no rule; a method that can be told the rules looks for "
        "its proposals among rows that keep them. So no peer is held to a row it would not have shown.",
    ),
    ("+raw, +polish", "Any generator shown as a peer is, or answered as SenseCF answers."),
    (
        "success@3",
        "The first answer is valid, breaks no rule, is plausible (inlier by LOF among real rows of the target "
        "class, changed values inside the training range), changes at most 3 features and is no farther than "
        "the answer of nice-sparsity to the same request, where that has one.",
    ),
    ("Valid", "The classifier’s own prediction for the row as saved is the target; a tie is not valid."),
    ("Breaks no rule", "Locks, ranges, directions, steps and rules such as minimum ≤ mean ≤ maximum all hold."),
    ("Distance (L1 / MAD)", "Sum of all changes, each in units of its feature’s median absolute deviation."),
    (
        "Independent classifiers",
        "Three families other than the explained classifier’s, fitted on the held-out rows, which neither it nor "
        "a generator has seen.",
    ),
    (
        "NAME@hold",
        "Answers that are asked to hold when the classifier is fitted again, as `explain` gives them by default. Every "
        "other row is of boundary answers: the smallest change that is valid.",
    ),
    (
        "NAME@likeness",
        "Answers that prefer a row close to real ones to little effort, as `explain --prefer likeness` gives them.",
    ),
    (
        "Retraining",
        "The classifier fitted anew with other random states, on resampled people and on nine tenths of the rows.",
    ),
    (
        "Intervals and tests",
        "95 %; Wilson for shares and bootstrap for other means, whole people resampled. Differences: sign flips "
        "over people, corrected by Holm over all pairs of methods.",
    ),
    (
        "Time limits",
        "Each method runs in a process of its own. What it does not answer in time, or dies of, is a request "
        "without an answer.",
    ),
)


def write_report(folder: Path, made: Comparison) -> None:
    """Write `report.html` and `figures/` (SVG and PDF, in a journal's widths) into the folder."""
    drawn = _figures(made)
    save_all({figure.name: figure.raw for figure in drawn}, folder)
    write_text(folder / "report.html", render(made, drawn))


def render(made: Comparison, drawn: Sequence[Figure]) -> str:
    """The page as text."""
    scores, facts, schema = made.scores, made.facts, made.task.schema
    requests = len(made.requests)
    first = made.methods[0].label
    everyone = scores.summary[scores.summary["direction"] == ALL]
    context = {
        "title": schema.name or f"What would change {schema.label}?",
        "lead": f"{_amount(made)}, {requests:,} requests each: what would have to change for "
        f"{facts['classifier']} to say something else of {schema.meaning(schema.label)}?",
        "notice": facts.get("notice", ""),
        "facts": _facts(made),
        "quality": [*tables.quality(made), *tables.own(made)],
        "versions": report_tables.text(facts["versions"]),
        "results": tables.table("Means by method and direction", tables.RESULTS, scores.summary),
        "notes": tables.notes(made),
        "figures": drawn,
        "holding_note": tables.holding(made),
        "holding": tables.table("Survival under fresh refits", tables.HOLDING, everyone) if facts["refits"] else None,
        "price": tables.price(made) if len(made.price) else None,
        "common": tables.common(made),
        "closeness": tables.table("First answers to the same requests", tables.CLOSENESS, everyone),
        "tests_note": tables.few(made) + TESTS,
        "tests": tables.tests(scores.comparisons, first),
        "more": tables.more(everyone),
        "several": facts["n"] > 1,
        "undefined": "; ".join(tables.declared(name).title for name in tables.undefined(scores.summary)),
        "examples": _examples(made),
        "costs": tables.costs(made),
        "reasons": tables.reasons(made),
        "glossary": GLOSSARY,
        "record": report_tables.record_table({k: v for k, v in facts.items() if k not in tables.APART}),
        "closing": f"Made by SenseCF {__version__}. The page holds all it shows; it loads and sends nothing.",
    }
    return from_template("compare.html.j2", context)


def _amount(made: Comparison) -> str:
    """How many methods there are; a peer behind the rule filter is one more row of the tables, and no other method."""
    names = {method.generator for method in made.methods}
    rows = len(made.methods)
    shown = f"{len(names)} method{'s' if len(names) != 1 else ''}"
    return shown if rows == len(names) else f"{shown} ({rows} with what polish or a rule filter makes of them)"


def _facts(made: Comparison) -> list[tuple[str, str]]:
    facts = made.facts
    people = facts["people"]
    return [
        ("Classifier", str(facts["classifier"])),
        ("Classes", f"{made.task.schema.meaning(made.task.schema.label)}: {made.task.schema.said_classes}"),
        ("Requests", f"{len(made.requests):,}" + (f" of {some(people, 'people')}" if people else "")),
        ("Training rows", f"{facts['train_rows']:,}"),
        ("Features", f"{len(made.task.schema)}, rules: {len(made.task.schema.rules)}"),
        ("Answers per request", str(facts["n"])),
        ("Time limits", f"{facts['seconds_per_query']:g} s a request, {facts['time_limit']:g} s a method"),
        ("Seed", str(facts["seed"])),
    ]


def _main(made: Comparison) -> list[str]:
    """The methods without the filtered rows, unless there are no others."""
    return [m.label for m in made.methods if m.way != "filter"] or [m.label for m in made.methods]


def _examples(made: Comparison) -> list[dict[str, Any]]:
    """A few requests, evenly spread over those that most methods answered, with every method's first answer."""
    shown = _main(made)
    readings = {label: made.scores.scored[label] for label in shown}
    counts = sum(
        pd.Series(made.requests.index.isin(a.queries), made.requests.index).astype(int) for a in readings.values()
    )
    assert isinstance(counts, pd.Series)
    best = counts.index[counts == counts.max()]
    chosen = best[np.unique(np.linspace(0, len(best) - 1, min(EXAMPLES, len(best))).round().astype(int))]
    out = []
    for request in chosen:
        about = made.requests.loc[request]
        plans = [_plan(made, label, readings[label], request) for label in shown]
        out.append({"query": str(about["name"]), "direction": about["direction"], "plans": plans})
    return out


def _plan(made: Comparison, label: str, answers: metrics.Scored, request: Any) -> dict[str, Any]:
    frame = made.answers[label].frame
    row = frame[frame["query"] == request].iloc[0]
    found = np.flatnonzero(answers.queries == request)
    if not len(found):
        return {"method": label, "reason": row["reason"]}
    at, schema = found[0], made.task.schema
    columns = np.flatnonzero(answers.changed[at])
    names = made.task.once(Labels).of
    edits = [edit(schema.features[j], names, answers.before[at, j], answers.after[at, j]) for j in columns[:EDITS]]
    return {
        "method": label,
        "reason": "",
        "edits": edits,
        "hidden": max(len(columns) - EDITS, 0),
        "distance": written(row["proximity"], "number"),
        "verdicts": [row["valid"], row["feasible"], row["plausible"]],
    }


def _figures(made: Comparison) -> list[Figure]:
    summary = made.scores.summary
    everyone = summary[summary["direction"] == ALL]
    ours = [m.label for m in made.methods if m.generator in OWN]
    panels = [
        (name, title, tables.declared(name).written == "share")
        for name, title in PANELS.items()
        if everyone.loc[everyone["metric"] == name, "n"].sum()
    ]
    drawn: list[tuple[str, str, str, Drawn, bool]] = [
        (
            "intervals",
            "Methods at a glance",
            "Means with 95 % intervals; below each what it is a mean of. Filled: ours.",
            drawings.intervals(everyone, panels, ours),
            False,
        )
    ]
    criteria = ("n_changed", "mad_l1", "lof_inlier")
    points = pd.DataFrame({name: made.scores.first[name].loc[made.scores.common].mean() for name in criteria})
    points = points.drop(index=list(made.scores.left_out))
    if len(made.scores.common):
        drawn.append(
            (
                "trade-offs",
                "Distance, changes, likeness",
                f"Means over the {len(made.scores.common):,} requests that all solved; the lower and the more to the "
                "left the better. Dashed: the Pareto front of the panel; ringed: no method is better in all three. "
                "Filled: ours.",
                drawings.trade_offs(points, ours),
                False,
            )
        )
    answered = [label for label in _main(made) if len(made.answers[label].answers)]
    for number, start in enumerate(range(0, len(answered), RADAR)):
        part = {label: made.scores.scored[label] for label in answered[start : start + RADAR]}
        name = "radar" if number == 0 else f"radar-{number + 1}"
        text = "Share of a method’s answers that change a feature; the features that are changed most."
        drawn.append((name, "Which features each method changes", text, figures.change_radar(part), True))
    return [
        Figure(
            f"figure-{name}",
            name,
            title,
            caption,
            svg,
            inline(svg.replace("radar-", f"{name}-") if name != "radar" else svg, f"figure-{name}"),
            narrow,
        )
        for name, title, caption, svg, narrow in drawn
    ]
