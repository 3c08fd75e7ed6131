"""A study as tables, figures and one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sensecf.augmentation import methods
from sensecf.augmentation.controls import CONTROLS
from sensecf.augmentation.methods import OURS
from sensecf.augmentation.scarcity import SCENARIOS
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_text
from sensecf.core.version import __version__
from sensecf.runs.report.drawn import save_all
from sensecf.runs.report.page import Figure, from_template
from sensecf.runs.study import figures as study_figures
from sensecf.runs.study.cells import Study
from sensecf.runs.study.scores import CELL, compare, gains, rank, read_cells, summarise
from sensecf.runs.study.summary import as_markdown
from sensecf.runs.study.written import between, chance, percent, plain, signed

#: What a report leaves in the folder, beside its figures.
FILES = ("results.csv", "summary.csv", "tests.csv", "summary.md", "report.html")
#: The relative gain of F1 at half of the labels removed that the paper reports for its best generator.
PAPER = 0.199
#: Methods in the curves, beside ours: the rest is in the tables.
IN_CURVES = ("nothing", "class-weights", "smote", "boundary@1", "margin@1", "oracle")


def write_study_report(folder: str | Path) -> Path:
    """Read a study's cells and write `FILES` into its folder; returns the page.

    An unfinished study is reported as far as it is, and the page says how far that is.
    Raises `InputError` when there is nothing to report.
    """
    folder = Path(folder)
    results, asked = read_cells(folder)
    found = gains(results)
    if found.empty:
        raise InputError(
            f"{folder}: gains are over `nothing` and losses against `oracle`; the study needs both methods"
        )
    method = asked.method
    summary = summarise(found, ["scenario", "removed"])
    overall = summarise(found, ["scenario"])
    total = summarise(found.assign(scenario="all"), ["scenario"])
    tests = compare(found, method)
    for name, frame in (
        ("results.csv", results.sort_values([*CELL, "method"])),
        ("summary.csv", summary),
        ("tests.csv", tests),
    ):
        with replacing(folder / name) as path:
            frame.to_csv(path, index=False)
    write_text(folder / "summary.md", as_markdown(found, results, asked))
    names = [m for m in asked.methods if m in set(found["method"])]
    drawn = _figures(found, summary, overall, method, names)
    save_all({figure.name: figure.raw for figure in drawn}, folder)
    write_text(folder / "report.html", _render(results, asked, drawn, names, (summary, overall, total, tests)))
    return folder / "report.html"


def _render(
    results: pd.DataFrame,
    asked: Study,
    drawn: Sequence[Figure],
    names: Sequence[str],
    measured: Sequence[pd.DataFrame],
) -> str:
    """The page; `measured`: by scenario and share, by scenario, over all, and the tests."""
    summary, overall, total, tests = measured
    context = {
        "title": asked.name or "Scarce labels",
        "about": asked.about,
        "facts": [
            ("Tables", ", ".join(table.name for table in asked.tables)),
            ("Scenarios", "; ".join(f"{s.upper()}: {SCENARIOS[s]}" for s in asked.scenarios)),
            ("Labels removed", ", ".join(f"{share:.0%}" for share in asked.removed)),
            ("Classifiers", ", ".join(asked.classifiers)),
            ("Seeds", str(asked.seeds)),
            ("Cells done", f"{len(results):,} of {asked.cells:,}"),
        ],
        "figures": drawn,
        "tables": [
            _table("All scenarios and shares together: F1", total, names),
            *(_table(f"Scenario {s.upper()}, {SCENARIOS[s]}: F1", part, names) for s, part in _by_scenario(overall)),
            *_halves(summary, names),
        ],
        "tests": _tests(tests),
        "notes": _notes(results),
        "paper": PAPER,
        "closing": f"Made by SenseCF {__version__}. The page holds all it shows; it loads and sends nothing.",
    }
    return from_template("study.html.j2", context)


def title(name: str) -> str:
    """What a method is, in words."""
    plain, known = (
        methods.find(name).name,
        {**{k: c.title for k, c in CONTROLS.items()}, **{k: o.title for k, o in OURS.items()}},
    )
    return known[plain]


def _by_scenario(summary: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(s, summary[summary["scenario"] == s]) for s in SCENARIOS if (summary["scenario"] == s).any()]


def _halves(summary: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """The table of each scenario at half of the labels removed, where the study has that share."""
    half = summary[summary["removed"] == 0.5]
    if summary["removed"].nunique() < 2:
        return []
    return [
        _table(f"Scenario {s.upper()}, 50 % of the labels removed: F1", part, names) for s, part in _by_scenario(half)
    ]


def _table(caption: str, summary: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
    rows = []
    for name in names:
        part = summary[summary["method"] == name]
        if part.empty:
            continue
        row = part.iloc[0]
        rows.append(
            {
                "name": name,
                "title": title(name),
                "cells": [
                    _cell(row, "value", ""),
                    _cell(row, "absolute", "+"),
                    _cell(row, "relative", "%"),
                    {"value": _text(row["recovered"], "%"), "interval": ""},
                    _cell(row, "recovery", "%"),
                    _cell(row, "harm", "%"),
                    _cell(row, "harm_weights", "%"),
                    {"value": f"{int(row['cells']):,}", "interval": ""},
                ],
            }
        )
    return {"caption": caption, "rows": rows}


def _cell(row: pd.Series[Any], column: str, style: str) -> dict[str, str]:
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    shown = "" if row[column] != row[column] else between(_text(low, style), _text(high, style))
    return {"value": _text(row[column], style), "interval": shown}


def _text(value: float, style: str) -> str:
    return signed(value) if style == "+" else percent(value, 1) if style == "%" else plain(value)


def _tests(tests: pd.DataFrame) -> list[list[str]]:
    rows = []
    for row in tests.to_dict("records"):
        interval = between(signed(row["low"]), signed(row["high"]))
        means = [plain(row["mean"]), plain(row["mean_against"]), signed(row["difference"]), interval]
        chances = [chance(row["p"]), chance(row["p_holm"]), percent(row["better"], 1)]
        rows.append([row["against"], *means, *chances, f"{row['cells']:,} in {row['splits']}"])
    return rows


def _notes(results: pd.DataFrame) -> list[str]:
    """What methods said of themselves, with the number of cells."""
    noted = results[results["note"].fillna("") != ""]
    counts = (noted["method"] + ": " + noted["note"]).value_counts().head(20)
    return [f"{text} ({count} cells)" for text, count in counts.to_dict().items()]


def _figures(
    found: pd.DataFrame, summary: pd.DataFrame, overall: pd.DataFrame, method: str, names: Sequence[str]
) -> list[Figure]:
    shown = [method, *(n for n in names if n in IN_CURVES and n != method)]
    rest = [method, *(n for n in names if n != method)]
    drawn = []
    if summary["removed"].nunique() > 1:
        percent = summary.assign(percent=100 * summary["removed"])
        svg = study_figures.curves(percent, shown, "percent", "labels removed, %", "removed")
        drawn.append(("removed", "F1 against the share of labels removed", svg, "Bands: 95 % intervals over splits."))
    svg = study_figures.bars(
        overall, [n for n in rest if n != "nothing"], "absolute", "gain of F1 over nothing", "gain"
    )
    drawn.append(("gain", "Gain over doing nothing", svg, "Mean over tables, shares, seeds and classifiers."))
    svg = study_figures.bars(
        overall, [n for n in rest if n != "nothing"], "recovered", "share of the loss recovered", "recovery"
    )
    drawn.append(
        ("recovery", "Share of the loss recovered", svg, "Mean gain over mean loss; – where next to nothing is lost.")
    )
    svg = study_figures.bars(overall, [n for n in rest if n != "nothing"], "harm", "share of cells harmed", "harm")
    drawn.append(("harm", "Harm", svg, "Cells whose F1 falls by more than 0.01."))
    amounts = _amounts(found)
    if not amounts.empty:
        lines = list(dict.fromkeys(amounts["method"]))
        svg = study_figures.curves(amounts, lines, "amount", "rows added / labels removed", "amounts")
        drawn.append(
            ("amounts", "F1 against the amount of rows added", svg, "At 0: the reduced rows, each weighing alike.")
        )
    if len(names) > 2:
        try:
            ranked, result = rank(found)
        except InputError:
            pass  # too few complete blocks yet: there is nothing to rank
        else:
            svg = study_figures.ranks(ranked, result, method)
            drawn.append(("ranks", "Mean ranks", svg, f"Friedman's test over all blocks: p {chance(result.p)}."))
    return [
        Figure.of(f"figure-{k}", name, heading, text, svg)
        for k, (name, heading, svg, text) in enumerate(drawn, start=1)
    ]


def _amounts(found: pd.DataFrame) -> pd.DataFrame:
    """Means by amount of the methods that the study has at several amounts; at 0 stands doing nothing."""
    taken = {name: methods.find(name) for name in found["method"].unique()}
    family = {name: f"{m.name}:{m.generator}" if m.name in OURS else m.name for name, m in taken.items() if m.amount}
    several = {f for f in family.values() if list(family.values()).count(f) > 1}
    if not several:
        return pd.DataFrame()
    part = found[found["method"].isin([name for name, f in family.items() if f in several])]
    part = part.assign(amount=[float(taken[n].amount or 0) for n in part["method"]], method=part["method"].map(family))
    nothing = found[found["method"] == "nothing"]
    zero = [nothing.assign(amount=0.0, method=f) for f in sorted(several)]
    return summarise(pd.concat([part, *zero]), ["scenario", "amount"])
