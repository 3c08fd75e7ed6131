"""How good is the classifier that is explained? Measured on held-out rows, one class against the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf.core.frames import as_frame
from sensecf.core.people import Counted
from sensecf.core.rules import Floats
from sensecf.core.task import Task
from sensecf.metrics import statistics
from sensecf.metrics.declare import Metric, Over, Section
from sensecf.metrics.scored import ask
from sensecf.metrics.summary import COLUMNS

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

#: Bins of the reliability table and of the calibration error, of equal width.
BINS = 10
#: Resamples of whole people for an interval.
RESAMPLES = 500
SECTION: Section = "The classifier"
OVER: Over = "held-out rows"
#: The measures that `quality` averages over the held-out rows, in order; and that of those it does not put there.
AVERAGED = [
    Metric("Area under the ROC curve", SECTION, OVER, "higher", style="number", name="classifier_auc"),
    Metric("Balanced accuracy", SECTION, OVER, "higher", name="classifier_balanced_accuracy"),
    Metric("Brier score", SECTION, OVER, "lower", style="number", name="classifier_brier"),
    Metric("Calibration error", SECTION, OVER, "lower", style="number", name="classifier_ece"),
]
#: The place of the calibration error among them.
ECE = 3
ALARMS = Metric(
    "In the target class by their own label, of those it calls otherwise",
    SECTION,
    "held-out rows outside the target class",
    "lower",
    name="false_alarms",
)
for _measure in (*AVERAGED, ALARMS):
    _measure.declare()


def quality(task: Task, held_out: IntoDataFrame, target: Any, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The measures of the classifier on rows that it never learned from, and its reliability table.

    `held_out`: raw rows with their label and, where the schema names one, the group.
    The measures have the columns of `summarise`: area under the ROC curve, balanced accuracy (mean of
    sensitivity and specificity), Brier score, expected calibration error (mean distance of said and
    true shares, by bin), and `false_alarms`, the share of those whom the classifier does not put in the
    target class though they are in it by their own label; lower is better. Intervals resample people;
    that of the calibration error is moved by what resampling alone adds to it, because a distance
    counts the noise of a bin as error.
    The table has a row per bin: `from`, `to`, `said` (mean probability), `true` (share of the target
    class), `low`, `high` (95 % interval of it) and `rows`.

    >>> summary, bins = sensecf.metrics.quality(task, test, "low")
    >>> bool(0.5 < summary.loc["classifier_auc", "value"] < 1)
    True
    """
    held_out = as_frame(held_out, "held_out")
    position = task.target_position(target)
    judged = ask(task, task.codec.encode(held_out))
    truth: Floats = np.asarray(held_out[task.schema.label] == task.classes[position], dtype=float)
    said: Floats = judged.proba[:, position]
    there: Floats = (judged.predicted == position).astype(float)
    group = task.schema.group
    score = np.unique(said, return_inverse=True)[1]
    people = held_out[group].to_numpy() if group else np.arange(len(held_out))
    codes = pd.factorize(people, use_na_sentinel=False)[0]
    count = int(codes.max(initial=-1)) + 1
    value = _measures(said, score, there, truth, np.ones(len(truth)))
    rng = np.random.default_rng(seed)
    samples = np.full((RESAMPLES, len(AVERAGED)), np.nan)
    for number in range(RESAMPLES if count >= statistics.FEWEST else 0):
        drawn: Floats = rng.multinomial(count, np.full(count, 1 / count))[codes].astype(float)
        samples[number] = _measures(said, score, there, truth, drawn)
    samples[:, ECE] = np.maximum(samples[:, ECE] - (_middle(samples[:, ECE]) - value[ECE]), 0)
    level = statistics.expanded(count) if count >= statistics.FEWEST else statistics.LEVEL
    table: dict[str, tuple[Any, ...]] = {}
    for k, measure in enumerate(AVERAGED):
        ends, known = (
            statistics.percentile_interval(samples[:, k], level),
            bool(np.isfinite(value[k])),
        )
        table[measure.name] = (value[k], *ends, len(truth), known, measure.better, measure.over, count)
    asked = there == 0
    alarms, known = truth[asked], bool(asked.any())
    mean = float(alarms.mean()) if known else np.nan
    ends = statistics.share_interval(alarms, people[asked])
    row = (mean, *ends, len(alarms), known, ALARMS.better, ALARMS.over, len(np.unique(people[asked])))
    table[ALARMS.name] = row
    return _frame(table), _reliability(said, truth, people)


def unknown() -> pd.DataFrame:
    """The measures where no labelled row was held out: none is defined.

    >>> sensecf.metrics.unknown()["value"].isna().all()
    np.True_
    """
    return _frame({m.name: (np.nan, np.nan, np.nan, 0, False, m.better, OVER, 0) for m in (*AVERAGED, ALARMS)})


def _frame(table: dict[str, tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(table, orient="index", columns=list(COLUMNS)).rename_axis("metric")


def sentence(summary: pd.DataFrame, name: str, target: Any, noun: str = "rows") -> str:
    """The measures of `quality` in a summary, as a sentence about the classifier `name`; `noun`: what a row is called.

    >>> summary, bins = sensecf.metrics.quality(task, test, "low")
    >>> sensecf.metrics.sentence(summary, "logistic", "low").startswith("logistic on 600 held-out rows of 60 people")
    True
    """
    if "classifier_auc" not in summary.index or not summary.loc["classifier_brier", "defined"]:
        return f"It is not known how good {name} is: no labelled row was held out from it."

    def said(metric: str) -> str:
        row = summary.loc[metric]
        interval = f" ({row['low']:.2f} to {row['high']:.2f})" if row["low"] == row["low"] else ""
        return f"{row['value']:.2f}{interval}" if row["defined"] else "not defined"

    def counts(metric: str) -> Counted:
        n, people = (int(summary[column][metric]) for column in ("n", "people"))
        return Counted(n, people if 0 < people < n else None, noun)

    text = (
        f"{name} on {counts('classifier_brier').held_out}: AUC {said('classifier_auc')}, "
        f"balanced accuracy {said('classifier_balanced_accuracy')}, Brier {said('classifier_brier')}, calibration "
        f"error {said('classifier_ece')}."
    )
    alarms = summary.loc["false_alarms"].to_dict()
    if alarms["defined"]:
        text += (
            f" Of {counts('false_alarms')} that it does not call {str(target)!r}, {100 * alarms['value']:.0f} % are "
            f"{str(target)!r} by their own label: false alarms."
        )
    return text


def _measures(said: Floats, score: np.ndarray, there: Floats, truth: Floats, weight: Floats) -> list[float]:
    """The measures of `AVERAGED` in order, rows counted `weight` times; NaN where a class is absent.

    `score`: the rank of each probability, equal ones alike.
    """
    positive, negative = weight * truth, weight * (1 - truth)
    in_class, outside, total = positive.sum(), negative.sum(), weight.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        ahead, below = np.bincount(score, positive), np.bincount(score, negative)
        auc = (ahead * (below.cumsum() - below / 2)).sum() / (in_class * outside)
        balanced = ((positive * there).sum() / in_class + (negative * (1 - there)).sum() / outside) / 2
        brier = (weight * (said - truth) ** 2).sum() / total
        ece = np.abs(np.bincount(_bin(said), weight * (said - truth))).sum() / total
    return [float(auc), float(balanced), float(brier), float(ece)]


def _middle(samples: Floats) -> float:
    """The mean of those samples that are defined; NaN for none."""
    known = samples[np.isfinite(samples)]
    return float(known.mean()) if len(known) else np.nan


def _bin(said: Floats) -> np.ndarray:
    return np.minimum((said * BINS).astype(int), BINS - 1)


def _reliability(said: Floats, truth: Floats, people: np.ndarray) -> pd.DataFrame:
    """The reliability table, bins without rows left out."""
    rows = []
    for number in np.unique(_bin(said)).tolist():
        mine = _bin(said) == number
        low, high = statistics.share_interval(truth[mine], people[mine])
        ends = number / BINS, (number + 1) / BINS
        rows.append((*ends, said[mine].mean(), truth[mine].mean(), low, high, int(mine.sum())))
    return pd.DataFrame(rows, columns=["from", "to", "said", "true", "low", "high", "rows"])
