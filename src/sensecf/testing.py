"""For those who bring parts of their own: whether a generator or a classifier keeps its protocol, said in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sensecf import metrics
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.candidates import Candidates
from sensecf.core.codec import Codec
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.frames import as_frame
from sensecf.core.judge import Judge
from sensecf.core.limits import Limits
from sensecf.core.query import Query, out_of_range
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.generators import Generator, traits_of
from sensecf.metrics import Metric, Scored

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

__all__ = ["check_classifier", "check_generator", "check_metric"]

#: Training rows that a generator is asked about.
ROWS = 4


def check_classifier(classifier: Any, schema: FeatureSchema, frame: IntoDataFrame) -> None:
    """Raise `InputError` where a classifier is not what `explain` needs, as `explain` itself would.

    `classifier`: an object, its `module:object`, or one of the five by name; it is fitted where it says that it is
    not. `frame`: raw rows with the schema's features, and the label where the classifier is to be fitted.

    What is checked: `predict`, `predict_proba`, `classes_`; columns, blanks, pandas categories; shapes and ranges of
    the answers; that a row is answered alike when asked twice, in another order and alone. Its input may be edited:
    it gets a copy.

    >>> sensecf.testing.check_classifier("logistic", data.schema, train)
    """
    frame = as_frame(frame, "frame")
    rows = Codec(schema).encode(frame)
    categories = {n: d for n in schema.names if isinstance(d := frame[n].dtype, pd.CategoricalDtype)}
    Judge(schema, fit_classifier(classifier, schema, frame), rows, categories).check(rows)


def check_generator(make: Callable[[Task, int], Generator], task: Task, target: Any = None, seed: int = 0) -> None:
    """Whether a generator keeps the protocol on a task: built twice and asked about training rows under limits.

    `make`: its class, or a function of `(task, seed)` that builds it. `target`: the class to reach (default: the
    schema's, else the last). Checked are its name; shape, owners and values of its candidates; a reason where there
    is no row; that locks, ranges and budgets are kept wherever there is no reason; that a query stays as it was; and
    that the same seed gives the same candidates. Rules, validity and likeness are not: others verify these.

    Raises `AssertionError` that says what is wrong, under which limits and for which feature.

    >>> sensecf.testing.check_generator(sensecf.generators.Nearest, task)
    """
    first, second = make(task, seed), make(task, seed)
    for generator in (first, second):
        name = getattr(generator, "name", None)
        _demand(isinstance(name, str) and bool(name), f"its `name` is {name!r}; give it a text for the tables")
    for limits, query in _queries(task, target).items():
        before = {f.name: getattr(query, f.name).copy() for f in fields(query)}
        found = first.propose(query, np.random.default_rng(seed))
        for part, value in before.items():
            same = np.array_equal(getattr(query, part), value, equal_nan=True)
            _demand(same, f"it writes to the query's `{part}`; work on a copy", limits)
        _check_form(task, query, found, limits)
        _check_limits(task, query, found, limits, traits_of(first).keeps_budget)
        again = second.propose(query, np.random.default_rng(seed))
        same = all(
            np.array_equal(getattr(found, part), getattr(again, part), equal_nan=part == "rows")
            for part in ("query", "rows", "reason", "generator")
        )
        _demand(same, "the same seed gives other candidates; draw from `rng` or from `seed` only", limits)


def check_metric(function: Callable[..., Any], answers: Counterfactuals, task: Task, **given: Any) -> None:
    """Whether a declared metric (`sensecf.metrics.metric`) keeps the protocol on answers, and where there are none.

    `given`: what it may need besides, see `sensecf.metrics.Given`. Checked are its declaration; that it gives one
    number per answer or per request; that a share lies in [0, 1] and no value is infinite; that it is undefined or
    empty, and no failure, where nothing is answered; that it leaves its input as it was; that it gives the same when
    asked twice, and the same for each answer when the answers come in another order.

    Raises `AssertionError` that says what is wrong, and for which answer.

    >>> sensecf.testing.check_metric(sensecf.metrics.METRICS["n_changed"].function, plans, task)
    """
    name = getattr(function, "__name__", "")
    declared = next(
        (
            m
            for m in metrics.METRICS.values()
            if m.function is not None and name in (m.name, getattr(m.function, "__name__", ""))
        ),
        None,
    )
    if declared is None:
        raise AssertionError(f"{name or function!r} is not declared; write it under @sensecf.metrics.metric(...)")
    _demand(bool(declared.title), "it has no title for the tables")
    _demand(bool((function.__doc__ or "").strip()), "it has no docstring: say formula, range, direction and source")
    scored = metrics.read(answers, task, **given)
    if declared.over in ("valid answers", "menus"):
        scored = scored.valid()
    before = {part: getattr(scored, part).copy() for part in ("before", "after", "target", "changed")}
    table = scored.cfs.frame.copy()
    found = declared.of(scored)
    for part, value in before.items():
        same = np.array_equal(getattr(scored, part), value, equal_nan=value.dtype.kind == "f")
        _demand(same, f"it writes to `scored.{part}`; work on a copy")
    _demand(scored.cfs.frame.equals(table), "it writes to the counterfactuals; work on a copy")
    _check_values(declared, scored, found)
    _demand(_alike(declared.of(scored), found), "it gives other values when asked twice; draw from a fixed seed")

    frame = answers.frame.iloc[::-1].reset_index(drop=True)
    turned = metrics.read(replace(answers, frame=frame), task, **given)
    again = declared.of(turned.valid() if declared.over in ("valid answers", "menus") else turned)
    if not declared.of_all:
        _demand(_alike(again, found), "the order of the answers changes their values; go by the index")

    silent = answers.frame.assign(rank=float("nan"))
    nothing = metrics.read(replace(answers, frame=silent), task, **given)
    none = declared.of(nothing)
    _check_values(declared, nothing, none)
    if declared.over != "requests":
        said = none.dropna() if isinstance(none, pd.Series) else none
        _demand(not len(said), "it has values where nothing is answered; leave them NaN")


def _check_values(declared: Metric, scored: Scored, found: Any) -> None:
    """One number per answer or per request, inside the range that is declared; a table with `of_means`."""
    wanted = pd.DataFrame if declared.of_means else pd.Series
    _demand(isinstance(found, wanted), f"it gives {type(found).__name__}, not a {wanted.__name__} of pandas")
    if not len(found):
        return
    requests = declared.over in ("requests", "menus")
    index, per = (scored.requests, "request") if requests else (scored.index, "answer")
    same = len(found) == len(index) and found.index.equals(index)
    place = "requests" if requests else "index"
    _demand(same, f"it must give one value per {per}, with `scored.{place}` as index")
    kinds = [found.dtype] if isinstance(found, pd.Series) else list(found.dtypes)
    _demand(all(kind.kind == "f" for kind in kinds), f"its values are {kinds[0]}, not floats")
    values = found.to_numpy(dtype=float)
    _demand(not np.isinf(values).any(), "a value is infinite; undefined is NaN")
    if declared.share and not declared.of_means:
        off = np.flatnonzero((values < -1e-12) | (values > 1 + 1e-12))
        if len(off):
            where = f"{per} {found.index[off[0]]}"
            _demand(False, f"{where} has {values[off[0]]:g}, outside of [0, 1]; declare share=False")


def _alike(first: Any, second: Any) -> bool:
    """Whether two values of a metric are equal for every answer or request, in whatever order."""
    if not first.index.sort_values().equals(second.index.sort_values()):
        return False
    other = first.reindex(second.index).to_numpy(dtype=float)
    return bool(np.allclose(other, second.to_numpy(dtype=float), rtol=0, atol=1e-9, equal_nan=True))


def _demand(kept: bool, words: str, limits: str = "") -> None:
    if not kept:
        raise AssertionError(f"{limits}: {words}" if limits else words)


def _queries(task: Task, target: Any) -> dict[str, Query]:
    """The queries that a generator is asked, by what is limited."""
    wanted = target if target is not None else task.schema.target
    wanted = task.classes[-1] if wanted is None else wanted
    other = task.judge(task.rows, final=True).predicted != task.target_position(wanted)
    other[list(out_of_range(task.codec, task.rows, task.train))] = False
    if not other.any():
        raise AssertionError(f"the task has no training row outside of class {wanted!r} to ask about; name a target")
    plain = Query.of_rows(task, task.rows[other][:ROWS], wanted, Limits(edit="mutable"))
    locked = plain.movable.copy()
    locked[:, ::2] = False
    reach = np.where(np.isfinite(plain.high - plain.low), plain.high - plain.low, 1.0) / 4
    numeric = task.codec.numeric
    low = np.where(numeric, np.fmax(plain.low, plain.rows - reach), plain.low)
    high = np.where(numeric, np.fmin(plain.high, plain.rows + reach), plain.high)
    return {
        "without limits": plain,
        "every second feature locked": replace(plain, movable=locked),
        "everything locked": replace(plain, movable=np.zeros_like(locked)),
        "a quarter of each range allowed": replace(plain, low=low, high=high),
        "one change allowed": replace(plain, max_changes=np.ones_like(plain.max_changes)),
        "one row": plain.take(slice(1)),
        "no row": plain.take(slice(0)),
    }


def _check_form(task: Task, query: Query, found: Candidates, limits: str) -> None:
    """Arrays of one length that fit the query and the schema; a row or a reason, never neither."""
    _demand(isinstance(found, Candidates), f"it gives {type(found).__name__}, not `Candidates`", limits)
    count, width = len(found.query), len(task.schema)
    rows = np.asarray(found.rows)
    _demand(rows.shape == (count, width), f"rows of shape {rows.shape} for {count} owners, {width} features", limits)
    for part in (found.reason, found.generator):
        _demand(len(part) == count and all(isinstance(text, str) for text in part), "reasons must be texts", limits)
    integral = np.issubdtype(np.asarray(found.query).dtype, np.integer)
    owned = integral and ((found.query >= 0) & (found.query < len(query))).all()
    _demand(bool(owned), f"`query` must hold positions from 0 to {len(query) - 1} of the query's rows", limits)
    given = found.reason == ""
    _demand(not np.isinf(rows[given]).any(), "a value is infinite", limits)
    fresh_blank = np.isnan(rows) & ~np.isnan(query.rows[found.query]) & given[:, None]
    _say(task, fresh_blank, "is blank in a candidate without a reason; give a value, or say why not", limits)
    levels = ~task.codec.numeric & given[:, None] & ~np.isnan(rows)
    with np.errstate(invalid="ignore"):
        off = levels & ((rows % 1 != 0) | (rows < 0) | (rows > task.codec.high))
    _say(task, off, "has a value that is no position of a level", limits)
    left = np.setdiff1d(np.arange(len(query)), found.query)
    _demand(not len(left), f"row {left[0] if len(left) else 0} has neither a candidate nor a reason", limits)


def _check_limits(task: Task, query: Query, found: Candidates, limits: str, budget: bool) -> None:
    """What is proposed without a reason moves nothing locked, leaves no range and changes no more than is allowed."""
    kept = found.take(found.reason == "")
    changed = task.codec.changed(query.rows[kept.query], kept.rows)
    _say(task, changed & ~query.movable[kept.query], "is locked and moves", limits)
    with np.errstate(invalid="ignore"):
        outside = (kept.rows < query.low[kept.query] - 1e-9) | (kept.rows > query.high[kept.query] + 1e-9)
    _say(task, changed & outside, "leaves its range", limits)
    count, most = changed.sum(axis=1), query.max_changes[kept.query]
    over = np.flatnonzero(count > most)
    if budget and len(over):
        raise AssertionError(
            f"{limits}: {count[over[0]]} features change, of {most[over[0]]} allowed, without a reason"
        )


def _say(task: Task, wrong: np.ndarray, words: str, limits: str) -> None:
    if wrong.any():
        _demand(False, f"feature {task.schema.names[int(np.argwhere(wrong)[0][1])]!r} {words}", limits)
