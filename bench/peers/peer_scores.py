"""How two methods agree, and how well each does, on the same queries."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from peer_runs import Answers

import sensecf
from sensecf.core.distances import Scale
from sensecf.core.plausibility import Plausibility
from sensecf.core.query import Query
from sensecf.core.verify import breaches

#: Two values of a feature are the same when they differ by less than this share of its training range.
SAME = 1e-3


def agreement(ours: Answers, theirs: Answers, task: sensecf.Task, query: Query) -> dict[str, Any]:
    """Our answers against the original's, rows as given. Means are over the `both` queries that both answered validly.

    `same_row`, `same_features`: shares with equal values, equal sets of changed features; `jaccard`: mean
    overlap of the sets; `changed`, `mad_l1`: means; a pair is (ours, theirs).
    """
    valid = [_valid(a.rows, task, query) for a in (ours, theirs)]
    both = valid[0] & valid[1]
    spread = np.where(task.codec.numeric, np.maximum(task.observed_high - task.observed_low, 1e-12), 1.0)
    base = query.rows[both]
    a, b = ours.rows[both], theirs.rows[both]
    moved = [np.abs(rows - base) / spread > SAME for rows in (a, b)]
    union = np.maximum((moved[0] | moved[1]).sum(axis=1), 1)
    distance = [task.once(Scale).mad_l1(base, rows) for rows in (a, b)]
    means = {
        "same_row": (np.abs(a - b) / spread <= SAME).all(axis=1),
        "same_features": (moved[0] == moved[1]).all(axis=1),
        "jaccard": (moved[0] & moved[1]).sum(axis=1) / union,
        "changed_ours": moved[0].sum(axis=1),
        "changed_theirs": moved[1].sum(axis=1),
        "mad_l1_ours": distance[0],
        "mad_l1_theirs": distance[1],
    }
    shares = {"valid_ours": float(valid[0].mean()), "valid_theirs": float(valid[1].mean())}
    who = {"ours": ours.name, "theirs": theirs.name, "queries": len(query), "both": int(both.sum())}
    return who | shares | {k: float(v.mean()) if both.any() else None for k, v in means.items()}


def _valid(rows: np.ndarray, task: sensecf.Task, query: Query) -> np.ndarray:
    answered = ~np.isnan(rows).any(axis=1)
    valid = np.zeros(len(rows), dtype=bool)
    valid[answered] = task.valid(task.judge(rows[answered], final=True), query.target[answered])
    return valid


def scores(answers: Answers, task: sensecf.Task, query: Query) -> dict[str, Any]:
    """One method by the task's own schema. Rows are rounded to their steps as they would be saved.

    Over all `queries`: `answered`; `valid` as given, `valid_saved` after rounding, `good` (valid as saved,
    nothing broken); `seconds` and `classifier_rows` per query. Over the answers: `changed`, `mad_l1`, `lof_inlier`,
    and what they break: `fixed_moved` (a feature that must stay), `outside` (range, direction), `rule_broken`.
    """
    codec = task.codec
    answered = np.flatnonzero(~np.isnan(answers.rows).any(axis=1))
    base = query.rows[answered]
    given = answers.rows[answered]
    rounded = codec.snap_column(given, np.arange(given.shape[1]))
    saved = np.where(codec.changed(base, given), rounded, base)
    changed = codec.changed(base, saved)
    target = query.target[answered]
    valid_saved = task.valid(task.judge(saved, final=True), target)
    low, high = query.low[answered] - 1e-9, query.high[answered] + 1e-9
    outside = changed & query.movable[answered] & ((saved < low) | (saved > high))
    good = valid_saved & (breaches(task, query, answered, saved) == "")
    n, m = len(query), len(answered)
    means = {
        "changed": changed.sum(axis=1),
        "mad_l1": task.once(Scale).mad_l1(base, saved),
        "lof_inlier": task.once(Plausibility).score(saved, target) >= 0 if m else np.empty(0),
        "fixed_moved": (changed & ~query.movable[answered]).any(axis=1),
        "outside": outside.any(axis=1),
        "rule_broken": codec.rules.violated(saved).any(axis=1),
    }
    return {
        "method": answers.name,
        "queries": n,
        "answered": m,
        "valid": float(_valid(answers.rows, task, query).sum() / n),
        "valid_saved": float(valid_saved.sum() / n),
        "good": float(good.sum() / n),
        **{k: float(v.mean()) if m else None for k, v in means.items()},
        "seconds": _mean(answers.seconds),
        "classifier_rows": _mean(answers.judged),
        "reasons": dict(Counter(r for r in answers.reason.tolist() if r).most_common(3)),
    }


def _mean(values: np.ndarray) -> float | None:
    """The mean of what was measured: a query that was never reached has no cost."""
    return None if np.isnan(values).all() else float(np.nanmean(values))


def markdown(rows: list[dict[str, Any]], columns: list[str]) -> str:
    """A table of the given columns, numbers to three significant places, `–` for what is not defined."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row[c]) for c in columns) + " |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        return "; ".join(f"{count} x {reason}" for reason, count in value.items())
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )
