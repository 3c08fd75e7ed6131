"""The features of one row: what may be set, what is only looked at, and the sliders of the what-if."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from sensecf.core.neighbours import Influence
from sensecf.pipeline.together import round_step
from sensecf.web import charts
from sensecf.web.cards import plain, points
from sensecf.web.cohort import Cohort, Column
from sensecf.web.controls import Wish
from sensecf.web.words import clean

#: Levers that stand on the screen; the others are behind a button and found by a search.
FIRST = 6


@dataclass(frozen=True)
class Span:
    """Two sliders for the least and the most that a feature may become. `least`, `most`: where they end, which is no
    limit; `step`: a round figure, about a hundredth of the way; `low`, `high`: where they stand; `now`: where the
    value of the day lies, in percent of the way."""

    least: str
    most: str
    step: str
    low: str
    high: str
    now: int


@dataclass(frozen=True)
class Lever:
    """A feature that may change, with its controls; `first`: one of those that matter most; `act`: something a person
    does, else it moves as a result; `span`: of the two ends that a slider sets, None for levels."""

    column: int
    label: str
    name: str
    unit: str
    text: str
    normal: str
    normal_now: bool | None
    numeric: bool
    act: bool
    first: bool
    own_direction: str
    low: str
    high: str
    lock: bool
    direction: str
    at_least: str
    at_most: str
    effort: str
    span: Span | None = None

    @property
    def set(self) -> bool:
        """Whether anything but Keep is set."""
        return bool(self.at_least or self.at_most or self.direction != "any" or self.effort != "normal")


def levers(cohort: Cohort, row: int, wish: Wish) -> list[Lever]:
    """The features of a row that may change, the actions that matter most first."""
    weight = cohort.task.once(Influence).weight
    features = cohort.task.schema.features
    open_ = [j for j, f in enumerate(features) if f.changeable and not np.isnan(cohort.rows[row, j])]
    held = set(cohort.locked_first)
    order = sorted(open_, key=lambda j: (features[j].role != "actionable", j in held, -weight[j]))
    acts = any(features[j].role == "actionable" for j in order)
    return [
        _lever(cohort, row, wish, j, place < FIRST and (not acts or features[j].role == "actionable"))
        for place, j in enumerate(order)
    ]


def _span(cohort: Cohort, wish: Wish, j: int, value: float) -> Span | None:
    """The sliders of a number's limits: over what is usual, the day's value and the limits that are set."""
    column = cohort.columns[j]
    feature = column.feature
    if not feature.numeric or feature.step is None:
        return None
    given = [end for end in (wish.low.get(j), wish.high.get(j)) if end is not None]
    low, high = min(column.low, value, *given), max(column.high, value, *given)
    step = round_step((high - low) / 100, float(feature.step))
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    ends = [round(float(end), 10) for end in (low, high, step, wish.low.get(j, low), wish.high.get(j, high))]
    least, most, by, at_least, at_most = map(plain, ends)
    return Span(least, most, by, at_least, at_most, round(100 * (value - low) / (high - low)))


def _lever(cohort: Cohort, row: int, wish: Wish, j: int, first: bool) -> Lever:
    column = cohort.columns[j]
    feature, value = column.feature, float(cohort.rows[row, j])
    return Lever(
        j,
        column.label,
        clean(feature.name),
        clean(feature.unit),
        column.text(value),
        normal_text(column),
        normal_now(column, value),
        feature.numeric,
        feature.role == "actionable",
        first,
        feature.direction,
        plain(cohort.least(j)),
        plain(cohort.most(j)),
        j in wish.lock,
        wish.direction.get(j, "any"),
        plain(wish.low.get(j)),
        plain(wish.high.get(j)),
        wish.effort.get(j, "normal"),
        _span(cohort, wish, j, value),
    )


@dataclass(frozen=True)
class Seen:
    """A value of a row as it is looked at. `gain`: how far the probability that is shown would move if this one value
    were typical of the wanted class, in points, and `gain_share` of the largest, in percent."""

    label: str
    name: str
    text: str
    unit: str
    strip: Markup
    below: int | None
    normal: str
    source: str
    normal_now: bool | None
    gain: str
    gain_share: int
    towards: bool
    role: str


#: Who moves a feature.
ROLES = {
    "actionable": "What a person does",
    "mutable": "What moves as a result",
    "immutable": "What stays",
}


def values(cohort: Cohort, row: int) -> list[Seen]:
    """Every value of a row, what the classifier leans on most first."""
    leaning = cohort.leaning(row)
    most = max(float(np.nanmax(np.abs(leaning), initial=0.0)), 0.02)
    found = []
    for j in np.argsort(-np.nan_to_num(np.abs(leaning)), kind="stable").tolist():
        column, value, gain = cohort.columns[j], float(cohort.rows[row, j]), float(leaning[j])
        feature = column.feature
        shown = (-100 if cohort.turned_round else 100) * gain
        found.append(
            Seen(
                column.label,
                clean(feature.name),
                column.text(value),
                clean(feature.unit) if not np.isnan(value) else "",
                charts.strip(column, value),
                column.below(value),
                normal_text(column),
                column.source,
                normal_now(column, value),
                "" if np.isnan(gain) else points(shown),
                0 if np.isnan(gain) else round(abs(gain) / most * 100),
                bool(gain >= 0),
                ROLES[feature.role if feature.changeable else "immutable"],
            )
        )
    return found


def normal_text(column: Column) -> str:
    """The normal range, "" where none is known."""
    if column.normal is None:
        return ""
    low, high = (column.feature.format(end) for end in column.normal)
    return f"{low} to {high}"


def normal_now(column: Column, value: float) -> bool | None:
    """Whether a value lies in the normal range; None where either is not known."""
    if column.normal is None or np.isnan(value):
        return None
    return column.normal[0] <= value <= column.normal[1]


@dataclass(frozen=True)
class Slider:
    """A control of the what-if."""

    column: int
    label: str
    unit: str
    numeric: bool
    first: bool
    value: str
    text: str
    decimals: int
    low: str
    high: str
    step: str
    levels: list[tuple[int, str]]


def sliders(cohort: Cohort, row: int) -> list[Slider]:
    """The controls of the what-if: one per feature that may change and was measured, in the order of `levers`."""
    found = []
    for lever in levers(cohort, row, Wish()):
        j = lever.column
        column, value = cohort.columns[j], float(cohort.rows[row, j])
        feature = column.feature
        ends = (min(column.low, value), max(column.high, value)) if feature.numeric else (0.0, 0.0)
        low, high = (
            float(end)
            for end in cohort.task.codec.snap(np.full((2, len(cohort.columns)), np.array(ends)[:, None]))[:, j]
        )
        found.append(
            Slider(
                j,
                column.label,
                clean(feature.unit),
                feature.numeric,
                lever.first,
                plain(value),
                column.text(value),
                feature.decimals,
                plain(min(low, value)),
                plain(max(high, value)),
                plain(feature.step),
                [(k, clean(level)) for k, level in enumerate(feature.levels)],
            )
        )
    return found
