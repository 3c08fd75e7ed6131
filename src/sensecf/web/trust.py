"""How far the classifier can be trusted: what the page opens with, and what its probabilities have been worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

#: Measures with an interval: value, low, high; low and high may be NaN.
Figure = tuple[float, float, float]


@dataclass(frozen=True)
class Bin:
    """Held-out rows to which the classifier gave a probability in [`low`, `high`): how many, the mean of what it said,
    and the share that truly were so, with its 95 % interval."""

    low: float
    high: float
    said: float
    true: float
    true_low: float
    true_high: float
    rows: int

    def turned_round(self) -> Bin:
        """The same of the other of two classes."""
        return Bin(
            1 - self.high,
            1 - self.low,
            1 - self.said,
            1 - self.true,
            1 - self.true_high,
            1 - self.true_low,
            self.rows,
        )


@dataclass(frozen=True)
class Trust:
    """What is known of a classifier from rows it did not learn from.

    `auc`, `balanced`: higher is better; `alarms`: of those it does not put in the target class, the share that is in
    it by their own label, lower is better; None where not known. `bins`: calibration, in the order of the
    probability of the class that is shown. `rows`, `people`: held out, `train_rows`: learned from; `asked`: held-out
    rows that it does not put in the target class. `data`: what it learned from; `date`: of the classifier.
    """

    classifier: str = ""
    data: str = ""
    date: str = ""
    train_rows: int = 0
    train_people: int = 0
    rows: int = 0
    people: int = 0
    auc: Figure | None = None
    balanced: Figure | None = None
    alarms: Figure | None = None
    asked: int = 0
    bins: tuple[Bin, ...] = ()
    period: str = ""

    def at(self, said: float) -> Bin | None:
        """The rows to which the classifier said about the same, None where there were none."""
        return next((b for b in self.bins if b.low <= said < b.high or (b.high >= 1 and said >= b.low)), None)

    def turned_round(self) -> Trust:
        """The same with the calibration of the other of two classes."""
        return replace(self, bins=tuple(b.turned_round() for b in reversed(self.bins)))


#: Nothing is known.
UNKNOWN = Trust()


def trust_of(summary: pd.DataFrame, reliability: Sequence[Mapping[Any, Any]], told: Trust) -> Trust:
    """The trust that the measures of `metrics.quality` and its reliability table give, added to `told`."""

    def figure(name: str) -> Figure | None:
        if name not in summary.index or not summary.loc[name, "defined"]:
            return None
        low, value, high = (float(summary[key].loc[name]) for key in ("low", "value", "high"))
        return value, low, high

    def count(name: str, column: str) -> int:
        return int(summary[column].get(name, 0)) if column in summary else 0

    def number(value: float | None) -> float:
        return float("nan") if value is None else float(value)

    bins = tuple(
        Bin(
            number(row["from"]),
            number(row["to"]),
            number(row["said"]),
            number(row["true"]),
            number(row["low"]),
            number(row["high"]),
            int(row["rows"]),
        )
        for row in reliability
    )
    return replace(
        told,
        rows=count("classifier_brier", "n"),
        people=count("classifier_brier", "people"),
        auc=figure("classifier_auc"),
        balanced=figure("classifier_balanced_accuracy"),
        alarms=figure("false_alarms"),
        asked=count("false_alarms", "n"),
        bins=bins,
    )
