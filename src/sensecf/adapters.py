"""SenseCF inside other people's benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.rules import Floats
from sensecf.core.schema import Direction, Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.pipeline.explain import explain

__all__ = ["RecourseBench"]

#: How the label is called inside; RecourseBench's target column is no feature there.
LABEL = "recourse class"
#: What may be done with a feature, in RecourseBench's words.
WAYS: dict[str, Direction] = {
    "any": "any",
    "same-or-increase": "increase",
    "increase": "increase",
    "same-or-decrease": "decrease",
    "decrease": "decrease",
}
#: Numbers are moved in steps of about this share of their range.
GRAIN = 1e-3

Form = Literal["number", "levels", "onehot", "thermometer"]


@dataclass(frozen=True)
class _Unit:
    """A feature as a person knows it, and the columns of RecourseBench that encode it."""

    name: str
    columns: tuple[str, ...]
    form: Form
    fixed: bool
    direction: Direction

    def decoded(self, frame: pd.DataFrame) -> NDArray[Any]:
        """The values of the feature, shape (n,): a number, a level's value, or the place of a level."""
        values = frame[list(self.columns)].to_numpy(dtype=float)
        if self.form == "onehot":
            return np.array(self.columns, dtype=object)[values.argmax(axis=1)]
        return values.round().sum(axis=1) if self.form == "thermometer" else values[:, 0]

    def encoded(self, values: pd.Series[Any]) -> Floats:
        """The columns (n, k) of some values."""
        if self.form == "onehot":
            return (values.to_numpy(dtype=object)[:, None] == np.array(self.columns, dtype=object)).astype(float)
        numbers = values.to_numpy(dtype=float)[:, None]
        return (numbers > np.arange(len(self.columns))).astype(float) if self.form == "thermometer" else numbers

    def feature(self, seen: NDArray[Any]) -> Feature:
        """The feature of the schema. `seen`: its values among the training rows."""
        role: Literal["immutable", "actionable"] = "immutable" if self.fixed else "actionable"
        if self.form == "onehot":
            return Feature(self.name, "categorical", role, levels=self.columns)
        if self.form == "levels":
            return Feature(self.name, "categorical", role, levels=tuple(np.union1d(seen, (0.0, 1.0)).tolist()))
        if self.form == "thermometer":  # whose first column is always 1
            count = len(self.columns)
            return Feature(self.name, "integer", role, low=1, high=count, step=1, direction=self.direction)
        low, high = float(seen.min()), float(seen.max())
        width = high - low or 1.0
        step = 10.0 ** np.floor(np.log10(width * GRAIN) + 1e-9)
        # Rows that are asked about may lie beyond the training rows; answers stay within what these show.
        return Feature(
            self.name,
            "continuous",
            role,
            low=low - 10 * width,
            high=high + 10 * width,
            step=step,
            direction=self.direction,
        )


class _Asked:
    """RecourseBench's target model as a classifier of the features that a person knows."""

    def __init__(self, model: Any, units: tuple[_Unit, ...], order: list[str]) -> None:
        self.model, self.units, self.order = model, units, order
        places = model.get_class_to_index()
        self.classes_ = np.array(sorted(places, key=lambda label: places[label]))

    def encoded(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows in RecourseBench's columns."""
        parts = {c: v for u in self.units for c, v in zip(u.columns, u.encoded(frame[u.name]).T, strict=True)}
        return pd.DataFrame(parts, index=frame.index)[self.order]

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """What the model says, (n, classes); a tensor of PyTorch is taken off its device."""
        told = self.model.get_prediction(self.encoded(X), proba=True)
        told = told.detach().cpu() if hasattr(told, "detach") else told
        return np.asarray(told, dtype=float)

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:
        """The most probable class of each row, (n,)."""
        found: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return found


class RecourseBench:
    """SenseCF as a method of RecourseBench (arXiv:2606.16113): `get_counterfactuals(DataFrame) -> DataFrame`.

    In a checkout of RecourseBench it is registered by a class of two lines:

        @register("sensecf")
        class SenseCFMethod(RecourseBench, MethodObject): ...

    `target_model`: has `get_prediction(frame, proba=True)`, of shape (n, classes), and `get_class_to_index()`.
    `desired_class`: the class to reach; None means the other one of two. `generator`: by name, as in `explain`.
    `margin`: the lead over the other class that an answer must have, in [0, 1); more holds in more later models and
    lies farther away. Further keywords are taken and left alone, as RecourseBench's methods do.

    >>> import numpy as np
    >>> import pandas as pd
    >>> class Model:
    ...     get_class_to_index = staticmethod(lambda: {0: 0, 1: 1})
    ...     get_prediction = staticmethod(lambda X, proba: np.c_[1 - X["sleep"], X["sleep"]])
    >>> class Rows:
    ...     frame = pd.DataFrame({"sleep": [0.1, 0.4, 0.9], "age": [0.3, 0.5, 0.2], "rested": [0, 0, 1]})
    ...     attr = staticmethod(lambda name: {"raw_feature_mutability": {"age": False}}.get(name, {}))
    ...     get = staticmethod(lambda target: Rows.frame[["rested"] if target else ["sleep", "age"]])
    >>> method = sensecf.adapters.RecourseBench(Model, seed=0, desired_class=1)
    >>> method.fit(Rows)
    >>> method.get_counterfactuals(Rows.get(target=False).head(1))
        sleep  age
    0  0.5046  0.3
    """

    def __init__(
        self,
        target_model: Any,
        seed: int | None = None,
        device: str = "cpu",
        desired_class: int | str | None = None,
        generator: str = "search",
        margin: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self._target_model, self._seed, self._device = target_model, seed, device.lower()
        self._desired_class, self._need_grad, self._is_trained = desired_class, False, False
        self._generator, self._margin = generator, margin

    def fit(self, trainset: Any) -> None:
        """Learn ranges and levels from a training set: `get(target=…)` gives frames, `attr(name)` what is known of it.

        Features in groups of 0/1 columns (`encoding`) become one feature each; what is not mutable, or may only stay
        the same, never changes; a direction is kept. Raises `InputError` for a group that is neither one-hot nor a
        thermometer.
        """
        frame = trainset.get(target=False)
        order = [str(name) for name in frame.columns]
        units = tuple(_units(trainset, order))
        asked = _Asked(self._target_model, units, order)
        table = _decoded(units, frame)
        schema = FeatureSchema(
            tuple(u.feature(table[u.name].to_numpy()) for u in units),
            label=LABEL,
            classes=tuple(asked.classes_.tolist()),
        )
        labels = trainset.get(target=True).iloc[:, 0].tolist()
        self._task = Task(schema, table.assign(**{LABEL: labels}), asked)
        self._units, self._model, self._is_trained = units, asked, True

    def get_counterfactuals(self, factuals: pd.DataFrame) -> pd.DataFrame:
        """An answer to each row, in the rows and columns of `factuals`; NaN where there is none.

        Raises `RuntimeError` before `fit`, and `InputError` where no class is named among more than two.
        """
        if not self._is_trained:
            raise RuntimeError("Method is not trained")
        table = _decoded(self._units, factuals).reset_index(drop=True)
        found = pd.DataFrame(np.nan, index=factuals.index, columns=factuals.columns, dtype=float)
        for target, rows in self._targets(table).items():
            limits = Limits(edit="mutable", hold=0.0, margin=self._margin)
            plans = explain(
                self._task,
                self._generator,
                table.loc[rows],
                target=target,
                limits=limits,
                strict=False,
                seed=self._seed or 0,
            )
            answers = plans.answers
            values = self._model.encoded(answers[self._task.schema.names])[list(factuals.columns)]
            before = factuals.iloc[answers["query"].to_numpy(dtype=int)].to_numpy(dtype=float)
            # What was not edited stays as it came, to the last bit.
            same = self._model.encoded(table.loc[answers["query"]]).to_numpy() == values.to_numpy()
            found.iloc[answers["query"].to_numpy(dtype=int)] = np.where(same, before, values.to_numpy())
        return found

    def _targets(self, table: pd.DataFrame) -> dict[Any, list[int]]:
        """The rows that are asked towards each class."""
        if self._desired_class is not None:
            return {self._desired_class: table.index.tolist()}
        if len(self._model.classes_) != 2:
            raise InputError("desired_class is None, which means the other one of two classes; name the class to reach")
        first, second = self._model.classes_.tolist()
        told = pd.Series(self._model.predict(table), table.index)
        return {
            to: rows
            for to, rows in ((second, told.index[told == first].tolist()), (first, told.index[told == second].tolist()))
            if rows
        }


def _decoded(units: tuple[_Unit, ...], frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({unit.name: unit.decoded(frame) for unit in units}, index=frame.index)


def _attribute(trainset: Any, name: str) -> Mapping[str, Any]:
    """What a data set knows by this name, nothing where it does not know."""
    try:
        return dict(trainset.attr(name))
    except AttributeError:
        return {}


def _units(trainset: Any, order: list[str]) -> list[_Unit]:
    """The features behind the columns, in the order of their first column."""
    kinds, mutable, ways = (
        {**_attribute(trainset, f"raw_feature_{part}"), **_attribute(trainset, f"encoded_feature_{part}")}
        for part in ("type", "mutability", "actionability")
    )
    groups = {str(source): tuple(map(str, names)) for source, names in _attribute(trainset, "encoding").items()}
    groups = {source: names for source, names in groups.items() if len(names) > 1 and set(names) <= set(order)}
    source_of = {column: source for source, names in groups.items() for column in names}
    units: dict[str, _Unit] = {}
    for column in order:
        name = source_of.get(column, column)
        if name in units:
            continue
        columns, form = groups.get(name, (column,)), _form(name, groups.get(name, ()), str(kinds.get(column, "")))
        way = str(ways.get(column, "any")).lower()
        fixed = not mutable.get(column, True) or way in ("none", "same")
        direction = WAYS.get(way, "any") if form in ("number", "thermometer") else "any"
        units[name] = _Unit(name, columns, form, fixed, direction)
    return list(units.values())


def _form(name: str, columns: tuple[str, ...], kind: str) -> Form:
    """How a feature is encoded, by RecourseBench's names of columns and kinds of features."""
    if not columns:
        return "levels" if kind.lower() in ("binary", "categorical") else "number"
    for mark, form in (("_cat_", "onehot"), ("_therm_", "thermometer")):
        if all(mark in column for column in columns):
            return form  # type: ignore[return-value]
    raise InputError(
        f"feature {name!r} is encoded in {len(columns)} columns that are neither one-hot nor a thermometer"
    )
