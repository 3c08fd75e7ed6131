"""What a study says: cells to one long table, gains over doing nothing, ranks and paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensecf.augmentation.measure import MEASURES
from sensecf.core.errors import InputError
from sensecf.core.kept import Json
from sensecf.metrics.statistics import Ranks, friedman, holm, interval, paired
from sensecf.runs.study.cells import Study, kept_study, read_cell

#: What tells one cell from another, but for the method.
CELL = ["table", "scenario", "removed", "seed", "classifier"]
#: A loss of F1 under this has no recovery: the quotient would be noise.
LEAST_LOSS = 0.01
#: A method harms a cell when its F1 is lower than without it by more than this.
HARM = 0.01


def read_cells(folder: str | Path) -> tuple[pd.DataFrame, Study]:
    """All finished cells of a study's folder, and the study as it was asked for.

    One row per table, scenario, share removed, seed, method and classifier, with the `MEASURES`, `rows`,
    `added_rows`, `seconds` (to make the rows), `note` and `chosen` (what a gate decided, else "").
    Raises `InputError` when the folder holds no study, or no cell that is finished.
    """
    folder = Path(folder)
    if not (folder / "study.json").exists():
        raise InputError(f"{folder} holds no study.json; name a folder that `sensecf study` wrote")
    asked = kept_study(folder / "study.json")
    rows = []
    for path in sorted(folder.glob("cells/*/*/*/*.json")):
        cell = read_cell(path)
        part = cell["split"]
        place = {
            "table": part["table"]["name"],
            "scenario": part["scenario"],
            "removed": part["removed"],
            "seed": part["seed"],
            "method": cell["method"],
            "rows": cell["rows"],
            "added_rows": cell["added_rows"],
            "seconds": cell["seconds"]["make"],
            "note": cell["note"],
            "chosen": _chosen(cell["facts"]),
        }
        if _belongs(place, asked):
            rows += [
                {**place, "classifier": name, **{m: _number(scores.get(m)) for m in MEASURES}}
                for name, scores in cell["scores"].items()
                if name in asked.classifiers
            ]
    if not rows:
        raise InputError(f"{folder} holds no finished cell of its study yet; run `sensecf study` on it")
    return pd.DataFrame(rows), asked


def _chosen(facts: Json) -> str:
    return f"{facts['purpose']} ×{facts['amount']:g}" if "purpose" in facts else ""


def _belongs(place: Mapping[str, Any], asked: Study) -> bool:
    """Whether a cell is one of those that the study asks for now."""
    return (
        place["table"] in [table.name for table in asked.tables]
        and place["scenario"] in asked.scenarios
        and place["removed"] in asked.removed
        and place["method"] in asked.methods
        and asked.first_seed <= place["seed"] < asked.first_seed + asked.seeds
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def gains(results: pd.DataFrame, measure: str = "f1") -> pd.DataFrame:
    """Each cell's value beside those of doing nothing and of the oracle, and the gain in three forms.

    Adds `reduced` (nothing), `full` (oracle), `absolute` (value - reduced), `relative` (absolute / reduced,
    NaN for a reduced value of 0), `loss` (full - reduced), `recovery` (absolute / loss, NaN for a loss
    under `LEAST_LOSS`), `harm` (1 where the value is lower than reduced by more than `HARM`) and
    `harm_weights` (the same against class weights, NaN without that arm). Cells without the arms
    `nothing` and `oracle` are left out.
    """
    keyed = results.set_index(CELL)
    reference = {
        column: keyed.loc[keyed["method"] == method, measure]
        for column, method in (("reduced", "nothing"), ("full", "oracle"), ("weights", "class-weights"))
    }
    out = results[[*CELL, "method", measure]].rename(columns={measure: "value"})
    for column, values in reference.items():
        out = out.join(values.rename(column), on=CELL)
    out = out.dropna(subset=["value", "reduced", "full"]).reset_index(drop=True)
    out["absolute"] = out["value"] - out["reduced"]
    out["relative"] = out["absolute"] / out["reduced"].where(out["reduced"] > 0)
    out["loss"] = out["full"] - out["reduced"]
    out["recovery"] = out["absolute"] / out["loss"].where(out["loss"] >= LEAST_LOSS)
    out["harm"] = (out["absolute"] < -HARM).astype(float)
    weights = out.pop("weights")
    out["harm_weights"] = (out["value"] - weights < -HARM).astype(float).where(weights.notna())
    return out


def summarise(found: pd.DataFrame, by: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Means of what `gains` gave, over tables, seeds and classifiers, with 95 % intervals.

    One row per combination of `by` and method. Whole splits of a table (its seed) are resampled: all
    that was made from the same training rows moves together. `recovered` is the mean gain over the
    mean loss, defined where the mean loss is at least `LEAST_LOSS`: unlike the mean of quotients, no
    single cell can carry it away.
    """
    rows = []
    for key, part in found.groupby([*by, "method"], sort=False, dropna=False):
        group_of = clusters(part)
        row: dict[str, Any] = {**dict(zip([*by, "method"], key, strict=True)), "cells": len(part)}
        for column in ("value", "absolute", "relative", "loss", "recovery"):
            values = part[column].to_numpy(dtype=float)
            known = values[~np.isnan(values)]
            row[column] = float(known.mean()) if len(known) else float("nan")
            if column != "loss":
                low, high = interval(values, group_of, seed=seed)
                row[f"{column}_low"], row[f"{column}_high"] = low, high
        row["recovery_cells"] = int(part["recovery"].notna().sum())
        row["recovered"] = row["absolute"] / row["loss"] if row["loss"] >= LEAST_LOSS else float("nan")
        row["harm"] = float(part["harm"].mean())
        row["harm_weights"] = float(part["harm_weights"].mean())
        for column in ("harm", "harm_weights"):
            row[f"{column}_low"], row[f"{column}_high"] = interval(part[column], group_of, share=True)
        rows.append(row)
    return pd.DataFrame(rows)


def compare(found: pd.DataFrame, method: str, seed: int = 0) -> pd.DataFrame:
    """The method against every other, on the cells that both have: difference, interval, Holm-corrected p.

    Differences are averaged over all that one split of a table led to (scenarios, shares, classifiers)
    and these averages are flipped in sign (`statistics.paired`), since they share their rows. Upper
    bounds (the oracles) are compared but are no members of the corrected family.
    """
    wide = found.pivot_table(index=CELL, columns="method", values="value")
    if method not in wide:
        raise InputError(f"the study has no finished cell of {method!r}")
    group_of = clusters(wide.reset_index())
    rows = []
    for other in [m for m in found["method"].unique() if m != method]:
        result = paired(wide[method], wide[other], group_of, seed=seed)
        rows.append(
            {
                "method": method,
                "against": other,
                "mean": result.mean_a,
                "mean_against": result.mean_b,
                "difference": result.difference,
                "low": result.low,
                "high": result.high,
                "p": result.p,
                "cells": result.n,
                "splits": result.clusters,
                "better": float((wide[method] > wide[other])[wide[other].notna()].mean()),
            }
        )
    table = pd.DataFrame(rows)
    bound = table["against"].isin(("oracle", "oracle-weights"))
    table["p_holm"] = holm(table["p"].where(~bound))
    return table


def rank(found: pd.DataFrame, leave_out: Sequence[str] = ("oracle", "oracle-weights")) -> tuple[list[str], Ranks]:
    """Methods and their mean ranks over tables × scenarios × shares × seeds (mean of the classifiers), 1 is best.

    Blocks that share a table or a seed are not independent, so the critical difference is too small.
    Raises `InputError` for fewer than three methods or two blocks that are complete.
    """
    chosen = found[~found["method"].isin(leave_out)]
    wide = chosen.pivot_table(index=CELL[:-1], columns="method", values="value").dropna()
    names = [m for m in chosen["method"].unique() if m in wide]
    return names, friedman(wide[names].to_numpy(), higher_is_better=True)


def clusters(frame: pd.DataFrame) -> np.ndarray:
    """The split of a table that each cell was made from, shape (n,)."""
    names = frame["table"].astype(str) + "/" + frame["seed"].astype(str)
    return names.to_numpy()
