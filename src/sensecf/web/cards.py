"""A plan as a card, and plans beside each other: plain data for the templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from sensecf.pipeline.contributions import contributions
from sensecf.runs.record.standing import Standing
from sensecf.web import charts
from sensecf.web.alike import rounded
from sensecf.web.cohort import Cohort
from sensecf.web.plans import Plan, Pool, kind_of
from sensecf.web.robust import Robustness
from sensecf.web.steps import weeks_of
from sensecf.web.trust import Bin
from sensecf.web.words import Piece, inside, percent, plan_sentence
from sensecf.web.written import Data, record

#: Letters of a kind of lever in a title, and kinds named there.
LONG, MOST_NAMED = 24, 3


@dataclass(frozen=True)
class Card:
    """A plan as it stands beside others, or alone. `adds`: what each edit adds to the probability that is shown, in
    percentage points, by column, None where there are too many edits; `bin`: the held-out rows to which the classifier
    said what it says after the plan; `fresh`: made for the limits that are set now."""

    plan: Plan
    record: Data
    sentence: list[Piece]
    kind: str
    adds: dict[int, float] | None
    bin: Bin | None
    strip: Markup
    weeks: int | None
    fresh: bool
    standing: Standing
    robust: Robustness | None
    held: int | None
    held_of: int | None
    values: str

    @property
    def id(self) -> str:
        return self.plan.id


@dataclass(frozen=True)
class Seat:
    """Where a card is made: whose words, what is set now, what became of the plan."""

    cohort: Cohort
    mark: str
    standing: Standing = field(default_factory=Standing)
    robust: Robustness | None = None


def plain(value: float | None) -> str:
    """A number for an input: no thousands separators."""
    return "" if value is None else f"{value:.12g}"


def card(seat: Seat, plan: Plan, pool: Pool) -> Card:
    """A plan as a card."""
    cohort = seat.cohort
    written = record(cohort, plan)
    base, columns = cohort.rows[plan.day.row], cohort.task.schema.columns
    adds = added(cohort, plan, pool)
    for change in written["changes"]:
        j = columns[change["feature"]]
        change["strip"] = charts.strip(cohort.columns[j], float(base[j]), float(plan.row[j]))
        change["adds"] = None if adds is None or j not in adds else adds[j]
    for ask in written["asks"]:
        ask["adds"] = None if adds is None else adds.get(columns[ask["feature"]])
    after = float(cohort.shown(plan.probability))
    before = float(cohort.shown(cohort.chance[[day.row for day in plan.days]].mean()))
    held = cohort.held() if plan.holds is not None else None
    moved = [columns[change["feature"]] for change in written["changes"]]
    return Card(
        plan,
        written,
        plan_sentence(written),
        "Own plan" if plan.own else title_of(kind_of(cohort, plan)),
        adds,
        cohort.trust.at(after),
        charts.calibration(cohort.trust.bins, after, before, small=True),
        weeks_of(cohort, plan),
        plan.mark == seat.mark,
        seat.standing,
        seat.robust,
        None if held is None or plan.holds is None else round(plan.holds * held.counting),
        None if held is None else held.counting,
        " ".join(f"{j}:{plain(float(plan.row[j]))}" for j in moved),
    )


def title_of(kinds: Sequence[str]) -> str:
    """Kinds of levers as a title: "Sleep, food and activity". A kind of its own is called like its feature: long ones
    are cut, since the card says them in full, and of more than three only two are named."""
    said = [kind if len(kind) <= LONG else f"{kind[: LONG - 1].rstrip(' ,;:(')}…" for kind in kinds] or ["Nothing"]
    if len(said) > MOST_NAMED:
        said = [*said[: MOST_NAMED - 1], f"{len(said) - MOST_NAMED + 1} more"]
    said = [said[0], *map(inside, said[1:])]
    return " and ".join(filter(None, [", ".join(said[:-1]), said[-1]]))


def added(cohort: Cohort, plan: Plan, pool: Pool) -> dict[int, float] | None:
    """What each edit adds to the probability that is shown, in percentage points, by column; negative lowers it."""
    rows = np.array([day.after for day in plan.days])
    found = contributions(cohort.task, pool.query, rows, plan.edited)
    if found is None:
        return None
    sign = -100.0 if cohort.turned_round else 100.0
    return {int(j): float(sign * found[j]) for j in np.flatnonzero(plan.edited)}


@dataclass(frozen=True)
class Cell:
    """One plan's entry in the table of differences; `adds` in words, "" where nothing is changed."""

    text: str = ""
    delta: str = ""
    adds: str = ""


@dataclass(frozen=True)
class Difference:
    """One row of the table of differences."""

    label: str
    now: str
    cells: list[Cell]


def differences(cohort: Cohort, cards: Sequence[Card]) -> list[Difference]:
    """What each plan does with each feature that any of them has the person change, the most shared first."""
    acts: dict[str, list[Any]] = {}
    for place, one in enumerate(cards):
        for change in one.record["asks"] or one.record["changes"]:
            if not change.get("follows"):
                acts.setdefault(change["feature"], [None] * len(cards))[place] = change
    found = []
    for changes in sorted(acts.values(), key=lambda found: -sum(c is not None for c in found)):
        some = next(c for c in changes if c is not None)
        j = cohort.task.schema.columns[some["feature"]]
        now = cohort.columns[j].text(float(cohort.rows[cards[0].plan.day.row, j]), unit=True)
        found.append(Difference(some["label"], now, [_cell(c) for c in changes]))
    return found


def _cell(change: Data | None) -> Cell:
    if change is None:
        return Cell()
    if "text" in change:
        return Cell(change["text"], "", points(change["adds"]))
    delta = "" if change["delta"] is None else f"{'+' if change['delta'] > 0 else '−'}{change['delta_text']}"
    unit = f" {change['unit']}" if change["unit"] and delta else ""
    return Cell(change["after_text"], delta + unit, points(change["adds"]))


def points(value: float | None) -> str:
    """Percentage points as they are said: "−22 points"; "" where not known."""
    if value is None:
        return ""
    size = round(abs(value))
    return "under 1 point" if size == 0 else f"{'+' if value > 0 else '−'}{size} {'point' if size == 1 else 'points'}"


def real_rows(cohort: Cohort, plan: Plan) -> list[tuple[str, str, str, list[str]]]:
    """The features that a plan changes, and what they are for real people of the wanted class: label, now, with the
    plan, and the rounded value of each of those people; nothing where too few are alike."""
    if not plan.alike.at:
        return []
    people = cohort.task.rows[list(plan.alike.at)]
    base = cohort.rows[plan.day.row]
    changed = cohort.task.codec.changed(base[None], plan.row[None])[0]
    order = np.flatnonzero(changed).tolist()
    leaning = cohort.leaning(plan.day.row)  # NaN where nothing was measured, which nobody can be compared by
    order += [int(j) for j in np.argsort(-np.abs(leaning)) if not changed[j] and not np.isnan(leaning[j])][:4]
    return [
        (
            cohort.columns[j].label,
            cohort.columns[j].text(float(base[j]), unit=True),
            cohort.columns[j].text(float(plan.row[j]), unit=True),
            [rounded(cohort, j, float(person[j])) for person in people],
        )
        for j in order
    ]


def bin_text(cohort: Cohort, found: Bin | None) -> str:
    """What a probability has been worth: "of 68 days at 30 to 40 %, 47 % were high"."""
    if found is None or not found.rows:
        return ""
    noun = cohort.nouns.count_days(found.rows)
    ends = f"{100 * found.low:.0f} to {100 * found.high:.0f} %"
    return f"of {noun} at {ends}, {percent(found.true)} were really {cohort.said(cohort.watched)}"
