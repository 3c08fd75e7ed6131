"""A metric declares itself where it is written: `@metric(title=…, section=…, over=…, better=…)`.

The declaration is all that the summary, `metrics.json`, the report and the tables of `compare` need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Literal, get_args

import pandas as pd

from sensecf.core.rules import Floats
from sensecf.metrics.scored import Scored, of_answers

#: What a metric is averaged over: every request, every answer, the answers that are valid, or the
#: requests with at least two of these; measures of the classifier over what `quality` says.
Over = Literal[
    "requests",
    "answers",
    "valid answers",
    "menus",
    "held-out rows",
    "held-out rows outside the target class",
    "people it was asked about",
]
#: Where tables show it; their order is this one.
Section = Literal[
    "The classifier",
    "The language model itself",
    "Answers",
    "Rules",
    "Effort",
    "Like the data",
    "Confidence",
    "A choice of plans",
    "Cost",
]
Direction = Literal["higher", "lower", "none"]
Function = Callable[[Scored], "pd.Series[float] | pd.DataFrame"]

#: Every metric by its name in `metrics.json`, in the order in which they are declared.
METRICS: dict[str, Metric] = {}


@dataclass(frozen=True)
class Metric:
    """The declaration of a metric, and as `@metric(...)` the decorator of its function.

    `title`, `section`: how and where tables show it; `short`: its title at the head of a column.
    `over`: what its mean runs over; `better`: which way. `share`: whether its values lie in [0, 1] (all 1 is
    then no certainty: see `statistics.interval`) and, unless `style` says "number", are written in per cent.
    `needs`: the part of `Given` without which it is undefined. `of_means`: where the function gives a table with a
    row per answer: what makes the metric of the means of its columns. `of_all`: a value
    depends on the other answers too (a fit, or draws in their order). `name`: by default the function's.
    `function`: `Scored` -> one value per answer or per request, NaN where undefined; None where another
    function gives the value (the classifier, the costs).

    >>> sensecf.metrics.METRICS["validity"].better
    'higher'
    """

    title: str
    section: Section
    over: Over
    better: Direction
    share: bool = True
    style: Literal["share", "number", ""] = ""
    short: str = ""
    needs: Literal["judges", "models", "reference", ""] = ""
    of_means: Callable[[Floats], Floats] | None = None
    of_all: bool = False
    name: str = ""
    function: Function | None = None

    def __call__(self, function: Function) -> Callable[..., Any]:
        """Declare a function as this metric; it then takes `(counterfactuals, task)` as well as `Scored`."""

        name = self.name or function.__name__

        @wraps(function)
        def of(scored: Scored) -> pd.Series[float] | pd.DataFrame:
            given = getattr(scored.given, self.needs) if self.needs else "nothing needed"
            found = function(scored) if given is not None and len(given) else pd.Series(dtype=float)
            return found.rename(name) if isinstance(found, pd.Series) else found

        replace(self, function=of, name=name).declare()
        return of_answers(of)

    def of(self, scored: Scored) -> pd.Series[float] | pd.DataFrame:
        """Its values on all answers of `scored`; see `function`."""
        if self.function is None:
            raise ValueError(f"{self.name} is not measured on answers")
        return self.function(scored)

    def declare(self) -> Metric:
        """Add it to `METRICS`. Raises `ValueError` for a name that is taken."""
        if self.name in METRICS:
            raise ValueError(f"there is a metric {self.name!r} already; choose another name")
        METRICS[self.name] = self
        return self

    @property
    def written(self) -> str:
        """How a value is written: "share" or "number"."""
        return self.style or ("share" if self.share else "number")

    @property
    def head(self) -> str:
        """The title at the head of a column."""
        return self.short or self.title


metric = Metric


def sections() -> dict[str, list[Metric]]:
    """The metrics of each section, both in the order of tables.

    >>> [metric.title for metric in next(iter(sensecf.metrics.sections().values()))][:1]
    ['Area under the ROC curve']
    """
    return {name: [m for m in METRICS.values() if m.section == name] for name in get_args(Section)}
