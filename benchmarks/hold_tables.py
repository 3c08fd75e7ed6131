"""The tables of docs/holding.md, made of the cells in benchmarks/hold.json and of nothing else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sensecf.metrics.statistics import wilson

#: The level at which a paired difference of one cell counts.
CLEAR = 0.01
#: What a plan is asked to hold in, and the share of runs in which a statement of 95 % confidence must be true.
TARGET, CONFIDENCE = 0.95, 0.95
#: How steady half A is, in steps, and from where on a plan is called so.
STEADINESS, STEADY = (0.0, 1.75, 2.25, 2.75, 3.5, 5.0, math.inf), 2.75
MADE_TO_HOLD = ("robx", "robx-search", "betarce", "betarce-search", "jury")


def sections(cells: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The Markdown of each section of the page, by its marker."""
    of = {part: [cell for cell in cells if cell["part"] == part and "refused" not in cell] for part in
          ("price", "truth", "steady", "speed", "generator")}  # fmt: skip
    of["truth"] = newest(of["truth"])
    return {
        "prices": _prices(of["price"]),
        "price-cells": _price_cells(of["price"]),
        "stated": _stated(of["price"]),
        "truth": _truth(of["truth"]),
        "strata": _strata(of["truth"]),
        "ends": _ends(of["truth"]),
        "steady": _steady(of["steady"]),
        "speed": _speed(of["speed"]),
        "generators": _generators(of["generator"]),
    }


def newest(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each table and classifier the cells of the newest search."""
    last = {key: max(_search(cell) for cell in part) for key, part in _grouped(cells, "table", "classifier").items()}
    return [cell for cell in cells if _search(cell) == last[cell["table"], cell["classifier"]]]


def _search(cell: dict[str, Any]) -> int:
    return int(cell.get("search", 1))


def _prices(cells: Sequence[dict[str, Any]]) -> str:
    """In how many cells the search at equal survival is clearly cheaper than each rival, and in how many dearer."""
    rows = []
    for rival in MADE_TO_HOLD:
        pairs = [pair for pair in _pairs(cells, rival) if pair["equal"] and pair["changes"]["n"]]
        both = sum(_wins(pair, "changes", -1) and _wins(pair, "distance", -1) for pair in pairs)
        fewer, nearer = (sum(_wins(pair, measure, -1) for pair in pairs) for measure in ("changes", "distance"))
        dearer = sum(_wins(pair, "changes", 1) or _wins(pair, "distance", 1) for pair in pairs)
        ratios = [pair["distance"]["ours"] / pair["distance"]["theirs"] for pair in pairs]
        asked = len(_pairs(cells, rival))
        rows.append(
            (
                rival,
                f"{len(pairs)} of {asked}",
                both,
                fewer,
                nearer,
                dearer,
                f"{np.median(ratios):.2f}" if ratios else "–",
            )
        )
    plain = [pair for pair in _pairs(cells, "nice", TARGET) if pair["equal"]]
    near = sum(pair["distance"]["ours"] <= pair["distance"]["theirs"] for pair in plain)
    low, high = _span(pair["survival"] for pair in plain)
    heads = (
        "rival", "cells where our survival is no less", "fewer changes and less distance", "fewer changes",
        "less distance", "dearer in one of them", "our distance, of theirs (median)",
    )  # fmt: skip
    text = table(heads, rows)
    if plain:
        text += (
            f"\n\nEvery count of a difference has p < {CLEAR:g} in its cell. Beside plain NICE, which survives in "
            f"{low:.2f} to {high:.2f}: our answers that survive in at least {TARGET:g} are no farther in {near} of "
            f"{len(plain)} cells."
        )
    return text


def _price_cells(cells: Sequence[dict[str, Any]]) -> str:
    rows = []
    for cell in cells:
        for rival in ("nice", *MADE_TO_HOLD):
            for pair in _pairs([cell], rival):
                if not pair["changes"]["n"]:
                    continue
                rows.append(
                    (
                        cell["table"], cell["classifier"], rival, _share(pair["coverage"]), _share(pair["survival"]),
                        _share(pair["our_coverage"]),
                        _share(pair["our_survival"]) + ("" if pair["equal"] else " (less)"),
                        pair["changes"]["n"], _two(pair["changes"]), _p(pair["changes"]["p"]), _two(pair["distance"]),
                        _p(pair["distance"]["p"]),
                    )
                )  # fmt: skip
    heads = (
        "table", "classifier", "rival", "answered", "survives", "we answer", "ours survive", "both",
        "changes: ours, theirs", "p", "distance: ours, theirs", "p",
    )  # fmt: skip
    return table(heads, rows)


def _stated(cells: Sequence[dict[str, Any]]) -> str:
    """What BetaRCE states of its answers, and what fresh refits say."""
    rows, all_below, count = [], 0, 0
    for delta in (0.9, 0.8):
        lines = [line for cell in cells for line in cell["lines"] if line.get("delta") == delta and line["coverage"]]
        lines = [line for line in lines if line.get("stated") is not None]
        below = [line for line in lines if line["survival"] < line["stated"]]
        all_below, count = all_below + len(below), count + len(lines)
        gaps = [line["stated"] - line["survival"] for line in below]
        rows.append(
            (f"{delta:g}", len(lines), len(below), _mean(line["stated"] for line in lines),
             _mean(line["survival"] for line in lines), f"{max(gaps, default=0.0):.3f}")
        )  # fmt: skip
    heads = (
        "delta", "cells", "survival below what is stated", "mean of what is stated", "mean survival",
        "largest shortfall",
    )  # fmt: skip
    return table(heads, rows) + f"\n\nIn all: {all_below} of {count}."


def _truth(cells: Sequence[dict[str, Any]]) -> str:
    """In how many splits the answers that are asked to hold survive as often as they were asked to."""
    rows = []
    groups = _grouped(cells, "classifier")
    for name, part in [*groups.items(), ("all", list(cells))]:
        held = [mode for cell in part if (mode := _mode(cell, "all, hold")) and mode["coverage"]]
        true = sum(mode["survival"] >= TARGET for mode in held)
        low, high = wilson(true, len(held)) if held else (math.nan, math.nan)
        share = f"{_share(true / len(held))} ({_share(low)} to {_share(high)})" if held else "–"
        survival = [mode["survival"] for mode in held]
        least = f"{min(survival):.3f}" if held else "–"
        rows.append((name, len(part), len(held), true, share, _mean(survival), least))
    heads = (
        "classifier", "runs", "with answers", f"survive in at least {TARGET:g}", "share (95 % interval)",
        "mean survival", "least",
    )  # fmt: skip
    return table(heads, rows)


def _strata(cells: Sequence[dict[str, Any]]) -> str:
    """Survival of the answers whose own bound is at least the target, by change, and the worst stratum of each."""
    rows = []
    changes = list(dict.fromkeys(c for cell in cells for c in (_mode(cell, "all, hold") or {}).get("by_change", {})))
    for change in changes:
        found: dict[tuple[str, str], list[float]] = {}
        for cell in cells:
            share = (_mode(cell, "all, hold") or {}).get("by_change", {}).get(change, {}).get("certified")
            if share is not None:
                found.setdefault((cell["table"], cell["classifier"]), []).append(share)
        means = {key: float(np.mean(values)) for key, values in found.items()}
        if not means:
            continue
        worst = min(means, key=lambda key: means[key])
        kept = sum(value >= TARGET for value in means.values())
        rows.append((change, f"{kept} of {len(means)}", f"{means[worst]:.3f}", f"{worst[0]}, {worst[1]}"))
    return table(("change", f"strata with at least {TARGET:g}", "worst", "where"), rows)


def _ends(cells: Sequence[dict[str, Any]]) -> str:
    """Coverage times survival of those asked to hold and of boundary answers, everything editable and levers only."""
    rows = []
    for (name, classifier), part in _grouped(cells, "table", "classifier").items():
        row: list[Any] = [name, classifier, len(part)]
        for mode in ("all, boundary", "all, hold", "levers, boundary", "levers, hold"):
            lines = [line for cell in part if (line := _mode(cell, mode))]
            row.append(_mean(line["served"] for line in lines) if lines else "–")
        lines = [line for cell in part if (line := _mode(cell, "all, hold"))]
        row += [_mean(line["coverage"] for line in lines), _mean(line["survival"] for line in lines)]
        row += [_mean(line["changes"] for line in lines), _mean(line["distance"] for line in lines)]
        for mode in ("levers, boundary", "levers, hold"):
            works = [line["works"] for cell in part if (line := _mode(cell, mode)) and line.get("works") is not None]
            row.append(_mean(works) if works else "–")
        rows.append(tuple(row))
    heads = (
        "table", "classifier", "splits", "boundary", "hold", "levers: boundary", "levers: hold", "answered", "survive",
        "changes", "distance", "works: boundary", "works: hold",
    )  # fmt: skip
    return table(heads, rows)


def _steady(cells: Sequence[dict[str, Any]]) -> str:
    """Of the answers that half A agrees with, how many hold in half B, by how steady half A is."""
    agreed, steadiness, counted = (
        np.array([value for cell in cells for value in cell[name]], dtype=float)
        for name in ("agreed", "steadiness", "counted")
    )
    agrees = agreed >= TARGET
    parts = [
        (
            f"below {high:g}" if low == 0 else f"{low:g} and more" if math.isinf(high) else f"{low:g} to {high:g}",
            agrees & (steadiness >= low) & (steadiness < high),
        )
        for low, high in itertools.pairwise(STEADINESS)
    ]
    parts += [
        (f"*below {STEADY:g}*", agrees & (steadiness < STEADY)),
        (f"*{STEADY:g} and more*", agrees & (steadiness >= STEADY)),
        ("*all that half A agrees with*", agrees),
        ("*half A does not agree*", ~agrees),
    ]
    rows = [
        (name, int(there.sum()), _share(float(np.mean(counted[there] >= TARGET))) if there.any() else "–")
        for name, there in parts
    ]
    return table(("mean lead over its spread, half A", "answers", "of these hold in half B"), rows)


def _speed(cells: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            cell["table"], cell["classifier"], f"{cell['first_hold'] - cell['hold_batch']:.1f}",
            f"{cell['hold_batch'] / cell['boundary_batch']:.2f}", f"{1000 * cell['boundary_one']:.0f}",
            f"{1000 * cell['hold_one']:.0f}",
        )
        for cell in cells
    ]  # fmt: skip
    heads = (
        "table", "classifier", "jury and calibration, once (s)", "time of 100 answers, of boundary answers'",
        "one person, boundary (ms)", "one person, hold (ms)",
    )  # fmt: skip
    return table(heads, rows)


def _generators(cells: Sequence[dict[str, Any]]) -> str:
    rows = []
    for cell in cells:
        for line in cell["lines"]:
            rows.append(
                (
                    cell["table"], cell["classifier"], line["method"], f"{line['margin']:g}",
                    f"{line['fit_seconds']:.1f}", f"{line['fit_rows']:,}", f"{1000 * line['seconds_each']:.1f}",
                    f"{line['rows_each']:.0f}",
                    _share(line["served"]), f"{line['changes']:.2f}", f"{line['distance']:.2f}",
                )
            )  # fmt: skip
    heads = (
        "table", "classifier", "generator", "margin", "building (s)", "rows to build", "an answer (ms)",
        "rows an answer", "answered x survives", "changes", "distance",
    )  # fmt: skip
    return table(heads, rows)


# --- parts -------------------------------------------------------------------------------


def _pairs(cells: Sequence[dict[str, Any]], rival: str, least: float = 0.0) -> list[dict[str, Any]]:
    found = [pair for cell in cells for pair in cell["pairs"] if pair["rival"] == rival and "changes" in pair]
    return [pair for pair in found if pair["least"] == least]


def _wins(pair: dict[str, Any], measure: str, sign: int) -> bool:
    found = pair[measure]
    return found["p"] is not None and found["p"] < CLEAR and sign * (found["ours"] - found["theirs"]) > 0


def _mode(cell: dict[str, Any], name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = cell["modes"].get(name)
    return found


def _grouped(cells: Sequence[dict[str, Any]], *keys: str) -> dict[Any, list[dict[str, Any]]]:
    out: dict[Any, list[dict[str, Any]]] = {}
    for cell in cells:
        key = tuple(cell[name] for name in keys)
        out.setdefault(key if len(keys) > 1 else key[0], []).append(cell)
    return out


def _span(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    return (min(found), max(found)) if found else (math.nan, math.nan)


def _mean(values: Iterable[float | None]) -> str:
    found = [value for value in values if value is not None]
    return f"{np.mean(found):.3f}" if found else "–"


def _share(value: float) -> str:
    return f"{value:.2f}"


def _two(found: dict[str, Any]) -> str:
    return f"{found['ours']:.2f}, {found['theirs']:.2f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table, or a line that says that nothing is measured."""
    if not rows:
        return "Not measured yet."
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(str(value) for value in row) + " |" for row in rows])
