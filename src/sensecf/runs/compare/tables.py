"""Tables of a comparison as texts: for the page, the terminal and Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sensecf.metrics import METRICS, Metric, from_json, sections, sentence
from sensecf.metrics.model import own_rows, own_sentence
from sensecf.runs.compare.scores import ALL, ON_ALL, SOLVES_ENOUGH
from sensecf.runs.compare.survival import SURVIVAL, USUAL
from sensecf.runs.report import tables as report_tables
from sensecf.runs.report.tables import Table, written

if TYPE_CHECKING:
    from sensecf.runs.compare import Comparison

#: The tables in front, by their metrics; all others follow by section.
RESULTS = ("success_at_3", "own_share", "validity", "coverage", "feasible", "n_changed", "mad_l1", "lof_inlier")
HOLDING = ("coverage", *(name for name in SURVIVAL if name.startswith("survival")), f"served_{USUAL}")
CLOSENESS = ("n_changed_common", "mad_l1_common", "gower_common", "lof_inlier_common")
#: Facts that the page shows in words or tables of their own.
APART = ("methods", "versions", "quality")
#: With fewer people than this no difference can be significant at 1 %.
FEW_PEOPLE = 8


def markdown(made: Comparison) -> str:
    """The results, and those on the same requests, as Markdown tables: mean [interval] of n."""
    schema = made.task.schema
    parts = [f"# {schema.name or schema.label}: comparison of methods\n"]
    if schema.meanings:
        parts.append(f"{schema.meaning(schema.label)}: {schema.said_classes}\n")
    parts += [text + "\n" for text in quality(made)]
    for caption, names in (("Results", RESULTS), (holding(made), HOLDING), (common(made), CLOSENESS)):
        found = table(caption, names, made.scores.summary)
        parts.append(f"{caption}\n")
        heads = ["direction", "method", *(f"{h['title']} ({h['better']})" for h in found["heads"])]
        lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        for group in found["groups"]:
            for row in group["rows"]:
                cells = [
                    f"{c['value']} [{c['interval'] or '–'}] {c['foot']}" if c["foot"] else "–" for c in row["cells"]
                ]
                lines.append("| " + " | ".join(_md(text) for text in (group["title"], row["name"], *cells)) + " |")
        parts.append("\n".join(lines) + "\n")
    parts += [note + "\n" for note in notes(made)]
    return "\n".join(parts)


def quality(made: Comparison) -> list[str]:
    """How good the classifier is on held-out rows, a sentence per target."""
    facts, said = made.facts, made.task.schema.meaning
    goals = {str(goal): said(goal) for goal in facts["targets"]}
    found = {name: from_json(table) for name, table in facts["quality"].items()}
    texts = [sentence(table, facts["classifier"], goals[name]) for name, table in found.items()]
    return list(dict.fromkeys(texts))


def own(made: Comparison) -> list[str]:
    """What the language model of each method that asks one answered itself, a sentence per method."""
    found = ((m.label, made.answers[m.label].cost.get("model_own")) for m in made.methods)
    told = (own_sentence(own_rows(counts), label) for label, counts in found if counts)
    return [f"{text}." for text in told if text]


def declared(name: str) -> Metric:
    """The declaration of a metric, also of one on the requests that all solved, or of survival."""
    return SURVIVAL[name] if name in SURVIVAL else METRICS[name.removesuffix("_common")]


def more(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """The metrics that are not among the results, a table per section."""
    found = []
    for section, members in sections().items():
        names = [m.name for m in members if m.function and m.name not in RESULTS and section != "Cost"]
        made = table(section, names, summary)
        found += [made] if made["heads"] else []
    return found


def table(caption: str, names: Sequence[str], summary: pd.DataFrame) -> dict[str, Any]:
    """Metrics as columns, methods as rows, grouped by direction: texts for the page."""
    shown = [name for name in names if summary.loc[summary["metric"] == name, "n"].sum() > 0]
    heads = []
    for name in shown:
        rows = summary[summary["metric"] == name]
        better = {"higher": "higher is better", "lower": "lower is better"}.get(
            rows["better"].iloc[0], "neither better"
        )
        heads.append({"title": declared(name).head, "better": better})
    groups = []
    for direction, part in summary.groupby("direction", sort=False):
        by = part.set_index(["method", "metric"])
        lines = [
            {"name": method, "cells": [_cell(by.loc[(method, name)], declared(name).written) for name in shown]}
            for method in dict.fromkeys(part["method"])
        ]
        groups.append({"title": "All requests" if direction == ALL else str(direction), "rows": lines})
    return {"caption": caption, "heads": heads, "groups": groups}


def _cell(row: Any, style: str) -> dict[str, str]:
    if not row["n"]:
        return {"value": "–", "interval": "", "foot": "", "test": ""}
    return {
        "value": written(row["value"], style),
        "interval": report_tables.interval(row, style),
        "foot": f"of {int(row['n']):,}",
        "test": "",
    }


def undefined(summary: pd.DataFrame) -> list[str]:
    """Metrics without a value for any method."""
    total = summary.groupby("metric", sort=False)["n"].sum()
    return [str(name) for name in total.index[total == 0]]


def notes(made: Comparison) -> list[str]:
    """What a reader of the results has to know: what is undefined, unanswered or was not asked."""
    found = []
    if made.facts["reference"] is None:
        found.append("success@3 is not defined: the generator nice-sparsity, its reference, is not there.")
    late = [
        f"{m.label} ({_unanswered(made, m.label)} of {len(made.requests)})"
        for m in made.methods
        if _unanswered(made, m.label)
    ]
    if late:
        found.append(f"Requests without an answer, by method: {', '.join(late)}; the reasons are below.")
    skipped = [f"{count} {why}" for why, count in made.facts["skipped"].items() if count and "range" in why]
    if skipped:
        found.append(f"Rows that nobody was asked about: {', '.join(skipped)}.")
    return found


def few(made: Comparison) -> str:
    """A warning where the requests are of so few people that no test can tell methods apart."""
    people = made.facts["people"]
    if people is None or people >= FEW_PEOPLE:
        return ""
    return f"The requests are of {people} people, so that no p can be below {2 / 2**people:.2g}. "


def holding(made: Comparison) -> str:
    """How many refits answers were held against, and why some change has none."""
    count, refused = made.facts["refits"], made.facts["refits_refused"]
    if not count:
        return "No refits were asked for (--refits), so that nothing is known of whether answers survive them."
    text = (
        f"Answers that are valid and break no rule under {count} fresh refits of each kind, none of which any method "
        "has seen; “served” is the share of all requests, an unanswered one counting as 0."
    )
    text += "".join(f" Not measured: {change} ({why})." for change, why in refused.items())
    stated = {m.label: made.answers[m.label].cost.get("stated") for m in made.methods}
    told = [f"{label} {written(value, 'share')}" for label, value in stated.items() if value is not None]
    return text + (
        f" What methods state themselves, as the mean of their lower bounds: {'; '.join(told)}." * bool(told)
    )


def price(made: Comparison) -> Table:
    """What each method costs beside the search at the margin that survives as often."""
    heads = (
        "Method",
        "Answered",
        "Survives",
        "Our margin",
        "Answered by ours",
        "Ours survives",
        "Both answered",
        "Changes",
        "Ours",
        "p",
        "Distance",
        "Ours",
        "p",
    )
    shown = []
    for row in made.price.to_dict(orient="records"):
        cells = [written(row[name], "share") for name in ("coverage", "survival")]
        cells += [f"{row['margin']:g}" if row["equal"] else f"{row['margin']:g} (steadiest)"]
        cells += [written(row[name], "share") for name in ("our_coverage", "our_survival")] + [f"{row['n']:,}"]
        for measure in ("n_changed", "mad_l1"):
            cells += [
                written(row[measure], "number"),
                written(row[f"our_{measure}"], "number"),
                _p(row[f"p_{measure}"]),
            ]
        shown.append((row["method"], *cells))
    caption = (
        f"Beside the search at the least margin that survives no less ({USUAL} refits); effort over the requests that "
        "both answered, p by sign flips over people"
    )
    return Table(caption, heads, shown, (False, *(True,) * 12))


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _unanswered(made: Comparison, label: str) -> int:
    return int(made.answers[label].abstentions["query"].nunique())


def common(made: Comparison) -> str:
    """Which requests all methods are compared on."""
    scores = made.scores
    text = f"The {len(scores.common):,} of {len(made.requests):,} requests that all methods solved"
    if scores.left_out:
        text += f", not counting {', '.join(scores.left_out)} (under {SOLVES_ENOUGH:.0%} solved)"
    return text + "."


def tests(comparisons: pd.DataFrame, first: str) -> dict[str, Any]:
    """The first method against each other one, a column per metric and set of requests."""
    mine = comparisons[(comparisons["a"] == first) & (comparisons["metric"] != "gower")]
    heads, columns = [], []
    for (metric, on), part in mine.groupby(["metric", "on"], sort=False):
        title = declared(str(metric)).head
        served = on == "all" and metric not in ON_ALL
        text = f"{title}: served better" if served else title
        better = "all, in shares of requests" if served else "all" if on == "all" else "both"
        heads.append({"title": text, "better": better})
        columns.append(part.set_index("b"))
    rows = [
        {"name": other, "cells": [_difference(column.loc[other], first) for column in columns]}
        for other in mine["b"].unique()
    ]
    caption = f"{first} minus each other method: mean difference, 95 % interval, p (Holm)"
    return {"caption": caption, "heads": heads, "groups": [{"title": "", "rows": rows}]}


def _difference(row: Any, first: str) -> dict[str, str]:
    if not row["n"]:
        return {"value": "–", "interval": "", "foot": "", "test": ""}
    p = "< 0.001" if row["p_holm"] < 0.001 else "undefined" if math.isnan(row["p_holm"]) else f"{row['p_holm']:.3f}"
    winner = f", {first}" if row["winner"] == first else f", {row.name}" if row["winner"] else ""
    return {
        "value": written(row["difference"], "number"),
        "interval": report_tables.interval(row, "number"),
        "foot": f"of {int(row['n']):,}",
        "test": f"p {p}{winner}",
    }


def costs(made: Comparison) -> Table:
    """What each method took, per request and to build."""
    requests = len(made.requests)
    rows = []
    for method in made.methods:
        cost = made.answers[method.label].cost
        each = [written(cost[name] / requests, "number") for name in ("seconds", "classifier_rows", "model_tokens")]
        fallback = cost.get("by_fallback")
        rows.append(
            (
                method.label,
                *each,
                written(cost["fit_seconds"], "number"),
                f"{cost['fit_rows']:,.0f}",
                "–" if fallback is None else str(fallback),
            )
        )
    heads = (
        "Method",
        "Seconds per request",
        "Classifier rows per request",
        "Tokens per request",
        "Seconds to build",
        "Rows to build",
        "Answers by fallback",
    )
    caption = "What it took; seconds on a machine that other jobs may have shared"
    return Table(caption, heads, rows, (False, True, True, True, True, True, True))


def reasons(made: Comparison) -> Table:
    """Why requests were left without an answer, by method, the most frequent reasons first."""
    rows: list[tuple[str, str, str]] = []
    for method in made.methods:
        counts = made.answers[method.label].abstentions["reason"].value_counts()
        rows += [(method.label, str(reason), f"{count:,}") for reason, count in counts.head(3).items()]
        if len(counts) > 3:
            rows.append((method.label, f"{len(counts) - 3} further reasons", f"{int(counts.iloc[3:].sum()):,}"))
    return Table("Requests without an answer, by reason", ("Method", "Reason", "Requests"), rows, (False, False, True))


def _md(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
