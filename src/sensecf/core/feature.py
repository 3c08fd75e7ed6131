"""`Feature`: one column of a table, what it may hold and how it may change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NoReturn, cast

from sensecf.core.errors import InputError

Kind = Literal["continuous", "integer", "binary", "categorical"]
Role = Literal["actionable", "mutable", "immutable"]
Direction = Literal["any", "increase", "decrease"]
#: Which way an effect goes when its cause grows; "" where nothing is known.
Sign = Literal["+", "-", ""]
Value = str | int | float | bool

#: Columns of `counterfactuals.csv` that stand before the features; a feature may not take their name.
RESERVED = (
    "query", "rank", "generator", "target", "predicted", "probability", "valid", "feasible",
    "plausible", "n_changed", "proximity", "seconds", "reason", "actions", "holds", "holds_low", "lands",
    "expected_valid", "cautious_valid", "consequences", "person", "when", "plan_id", "turns", "of",
)  # fmt: skip


@dataclass(frozen=True)
class Feature:
    """One column of the table.

    `kind`: continuous and integer columns have `low`, `high` (the closed range a counterfactual
    may use, in `unit`) and `step` (values are saved as multiples of it); binary and categorical
    columns have `levels`, every value the column may take.
    `role`: `actionable` (a person can change it), `mutable` (it moves as a result),
    `immutable` (it never changes). `direction` and `max_change` (largest absolute change, in
    `unit`) limit what a counterfactual may do. `protected` marks an attribute such as sex or
    ethnicity: it never changes and effort is compared across it. `missing` says that blanks occur.
    `least_change`: the smallest edit worth a person's while, in `unit`; no answer edits a number by less, but for
    features that follow others by a rule. `nuisance` marks what goes with the label only because of where rows come
    from (a device, a site, a season): it never changes, and none of the five classifiers learns from it.
    `most_change`: the largest change that a person can be asked for, in `unit`; plans made of actions stay within it
    but where a range asks for more, boundary answers do not (`max_change` holds in both). `missing_codes`: values of
    the table that stand for "not measured" and are read as blanks. `suspect_codes`: values that may; they stay, but no
    answer starts from or leads to them.
    `causes`: the features that this one answers to where nobody edits it, as a person has accepted them; `sign`: which
    way, one for each cause or none at all; `causes_source`: where that is from.

    >>> sleep = sensecf.Feature("sleep_total_min", "integer", unit="min", low=240, high=600, step=1)
    >>> sleep.role
    'actionable'
    """

    name: str
    kind: Kind
    role: Role = "actionable"
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    levels: tuple[Value, ...] = ()
    direction: Direction = "any"
    max_change: float | None = None
    protected: bool = False
    missing: bool = False
    description: str = ""
    least_change: float | None = None
    missing_codes: tuple[Value, ...] = ()
    suspect_codes: tuple[Value, ...] = ()
    causes: tuple[str, ...] = ()
    sign: tuple[Sign, ...] = ()
    causes_source: str = ""
    most_change: float | None = None
    nuisance: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            self._fail("the name must be text and not empty")
        if self.name in RESERVED:
            taken = ", ".join(RESERVED)
            self._fail(f"the name is a column of counterfactuals.csv; rename the column (taken: {taken})")
        for attribute, allowed in (
            ("kind", ("continuous", "integer", "binary", "categorical")),
            ("role", ("actionable", "mutable", "immutable")),
            ("direction", ("any", "increase", "decrease")),
        ):
            if getattr(self, attribute) not in allowed:
                self._fail(f"{attribute} {getattr(self, attribute)!r} is unknown: use {', '.join(allowed)}")
        if self.numeric:
            self._check_range()
        else:
            self._check_levels()
        self._check_causes()
        self._check_sizes()
        if self.missing_codes and not self.missing:
            object.__setattr__(self, "missing", True)  # what a code stands for is a blank

    def _fail(self, problem: str) -> NoReturn:
        raise InputError(f"feature {self.name!r}: {problem}")

    def _check_range(self) -> None:
        for attribute in ("low", "high", "step"):
            value = getattr(self, attribute)
            if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
                self._fail(f"a {self.kind} feature needs a finite number as {attribute}, not {value!r}")
        low, high, step = cast(float, self.low), cast(float, self.high), cast(float, self.step)
        if step <= 0:
            self._fail(f"step {step:g} must be positive")
        if low > high:
            self._fail(f"the range is impossible: low {low:g} > high {high:g}")
        if high > low and math.floor(high / step + 1e-9) * step < low - 1e-9 * step:
            self._fail(f"no multiple of the step {step:g} lies in the range {low:g} to {high:g}")
        if self.kind == "integer" and step != round(step):
            self._fail(f"an integer feature needs a whole step, not {step:g}")
        if self.levels:
            self._fail(f"a {self.kind} feature has a range, not levels")

    def _check_levels(self) -> None:
        if not self.levels:
            self._fail(f"a {self.kind} feature needs its levels")
        if len(set(self.levels)) != len(self.levels):
            self._fail("a level is listed twice")
        if self.kind == "binary" and len(self.levels) > 2:
            self._fail(f"a binary feature has at most 2 levels, not {len(self.levels)}")
        if self.low is not None or self.high is not None or self.step is not None:
            self._fail(f"a {self.kind} feature has levels, not a range or step")

    def _check_causes(self) -> None:
        if self.sign and len(self.sign) != len(self.causes):
            self._fail(f"sign has {len(self.sign)} entries for {len(self.causes)} causes; give one for each, or none")
        if wrong := [sign for sign in self.sign if sign not in ("+", "-", "")]:
            self._fail(f'sign {wrong[0]!r} is unknown: use "+", "-" or ""')
        if self.causes and not self.changeable:
            self._fail("what never changes has no causes; delete them, or give the feature another role")
        if self.causes and not self.numeric and self.kind != "binary":
            self._fail(
                "a categorical feature has no causes: what follows must be a number or one of two levels; delete them"
            )

    def _check_sizes(self) -> None:
        if self.max_change is not None and not self.max_change > 0:
            self._fail(f'max_change {self.max_change!r} must be positive; use role = "immutable" to forbid change')
        if self.least_change is not None:
            if not self.numeric:
                self._fail(f"least_change is for numbers, and the feature is {self.kind}; delete it")
            if not 0 < self.least_change < math.inf:
                self._fail(f"least_change {self.least_change!r} must be a positive number; delete it for a single step")
            if self.max_change is not None and self.least_change > self.max_change:
                self._fail(f"least_change {self.least_change:g} > max_change {self.max_change:g} leaves no change")
        if self.most_change is not None:
            if not self.numeric:
                self._fail(f"most_change is for numbers, and the feature is {self.kind}; delete it")
            if not 0 < self.most_change < math.inf:
                self._fail(f"most_change {self.most_change!r} must be a positive number; delete it for no such limit")
            if self.least_change is not None and self.least_change > self.most_change:
                self._fail(f"least_change {self.least_change:g} > most_change {self.most_change:g} leaves no change")

    @property
    def numeric(self) -> bool:
        """True for continuous and integer features."""
        return self.kind in ("continuous", "integer")

    @property
    def changeable(self) -> bool:
        """True when a counterfactual may change the feature at all."""
        return self.role != "immutable" and not self.protected and not self.nuisance

    @cached_property
    def decimals(self) -> int:
        """Decimals needed to write multiples of `step` (0 for levels)."""
        if self.step is None:
            return 0
        return next((n for n in range(13) if abs(self.step * 10**n - round(self.step * 10**n)) < 1e-9), 12)

    def format(self, value: Any, unit: bool = False) -> str:
        """A value as people read it: step decimals, thousands separators, the unit on request."""
        if value is None or value != value:
            return "missing"
        # A small negative number that rounds to zero is written 0, not -0.
        text = f"{round(float(value), self.decimals) + 0.0:,.{self.decimals}f}" if self.numeric else str(value)
        return f"{text} {self.unit}" if unit and self.unit else text
