"""What is compared between groups: the classifier on held-out people, the plans, what they ask and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.rules import Floats
from sensecf.core.task import Ints
from sensecf.metrics import Scored, read, statistics
from sensecf.metrics.gaps import Kind, gap, strata
from sensecf.metrics.scored import ask
from sensecf.runs.fairness.groups import Attribute, shown
from sensecf.runs.whose import People

#: Which part of 5 % each family of tests may spend; Holm (1979) within a family.
SPENT = {"main": 0.7, "pairs": 0.15, "asked": 0.15}
#: A gap is claimed below this corrected p.
ALPHA = 0.05
#: Columns of `groups.csv` and `gaps.csv`.
COLUMNS = ("attribute", "group", "measure", "value", "low", "high", "n", "people")
GAPS = (
    "family",
    "attribute",
    "group",
    "measure",
    "mean",
    "others",
    "gap",
    "low",
    "high",
    "kind",
    "p",
    "p_holm",
    "claimed",
    "n",
    "people",
)


@dataclass(frozen=True)
class Measure:
    """A measure: its title, whether it is a share, how groups are compared, and which way is worse for a group ("more",
    "less", "" for neither)."""

    title: str
    share: bool
    kind: Kind = "difference"
    worse: str = "more"


MEASURES = {
    "base_rate": Measure("in the target class by their own label", True, worse=""),
    "selection_rate": Measure("put in the target class", True, worse="less"),
    "true_positive_rate": Measure("put there, of those who belong there", True, worse="less"),
    "false_positive_rate": Measure("put there, of those who do not", True, worse=""),
    "accuracy": Measure("told rightly", True, worse="less"),
    "no_plan": Measure("left without a plan", True),
    "validity": Measure("with a valid plan", True, worse="less"),
    "holds": Measure("refits that agree with the plan", True, worse="less"),
    "n_changed": Measure("changes", False, "ratio"),
    "distance": Measure("effort, distance in MAD", False, "geometric"),
    "equal_start": Measure("effort at equal starting risk", False, "geometric"),
    "burden": Measure("social burden", False, "ratio"),
}
#: Tested of the classifier and of the plans; the others are shown.
TESTED = ("selection_rate", "true_positive_rate", "false_positive_rate", "no_plan", "holds", "n_changed", "distance")
#: Measures of the classifier, over held-out rows.
CLASSIFIER = ("base_rate", "selection_rate", "true_positive_rate", "false_positive_rate", "accuracy")


@dataclass(frozen=True)
class Found:
    """Measures by row, read once.

    `held_out`: a row per held-out row, columns of `CLASSIFIER` and `burden`, NaN where undefined; `asked`: a row per
    request with the measures of plans, `start` (probability of the target before) and `edits:FEATURE`.
    """

    people: People
    scored: Scored

    @cached_property
    def asked(self) -> pd.DataFrame:
        """The requests, in the order of the factuals."""
        scored, answers = self.scored, self.people.answers
        requests = answers.factuals.index
        first = np.asarray(scored.index.get_level_values("rank")) == 1
        at = requests.get_indexer(scored.queries[first])
        moved = np.asarray(scored.edits[first] > 0)
        valid = np.asarray(scored.reached[first])
        frame = pd.DataFrame({"no_plan": 1.0, "validity": 0.0}, index=requests)
        nothing = np.full(len(requests), np.nan)

        def put(values: Any, where: Any = moved) -> Floats:
            out = nothing.copy()
            out[at[where]] = np.asarray(values, dtype=float)[where]
            return out

        frame.iloc[at, 0] = 0.0
        frame.iloc[at, 1] = valid.astype(float)
        frame["holds"] = put(answers.answers["holds"].to_numpy(float)[first])
        frame["n_changed"] = put(scored.edits[first])
        frame["distance"] = put(scored.distance[first])
        frame["equal_start"] = frame["distance"]
        position = self.people.task.target_position(self.people.target)
        rows = self.people.task.codec.encode(answers.factuals)
        frame["start"] = ask(self.people.task, rows).proba[:, position]
        edited = scored.edited[first]
        for j, feature in enumerate(self.people.schema.features):
            if feature.changeable and edited[:, j].any():
                frame[f"edits:{feature.name}"] = put(edited[:, j].astype(float))
        return frame

    @cached_property
    def held_out(self) -> pd.DataFrame:
        """The held-out rows with their label; without rows where the run's queries were named."""
        people = self.people
        rows = people.table.held_out
        label = people.schema.label
        if label not in rows or people.table.named:
            return pd.DataFrame(columns=[*CLASSIFIER, "burden"], index=rows.index[:0], dtype=float)
        position = people.task.target_position(people.target)
        judged = ask(people.task, people.task.codec.encode(rows))
        there = (judged.predicted == position) & ~judged.tie
        belongs = (rows[label] == people.target).to_numpy(bool)
        frame = pd.DataFrame(index=rows.index)
        frame["base_rate"] = belongs.astype(float)
        frame["selection_rate"] = there.astype(float)
        frame["true_positive_rate"] = np.where(belongs, there.astype(float), np.nan)
        frame["false_positive_rate"] = np.where(belongs, np.nan, there.astype(float))
        frame["accuracy"] = (there == belongs).astype(float)
        frame["burden"] = self._burden(rows.index, belongs, there)
        return frame

    def _burden(self, index: pd.Index[Any], belongs: Any, there: Any) -> Floats:
        """Social burden (Milli et al. 2019): what those who belong to the target class have to do to be put there:
        nothing where they are; the largest effort of the run, a lower bound, where there is no plan for them."""
        asked = self.asked.reindex(index)
        effort = asked["distance"].to_numpy(float)
        known = effort[np.isfinite(effort)]
        most = float(known.max()) if len(known) else float("nan")
        lacking = asked["no_plan"].to_numpy(float) == 1
        cost = np.where(there, 0.0, np.where(lacking, most, effort))
        return np.where(belongs, cost, np.nan)


def found(people: People) -> Found:
    """The measures of a run's classifier and plans."""
    return Found(people, read(people.answers, people.task))


def frames(made: Found) -> Iterator[tuple[pd.DataFrame, list[str], Mapping[str, Any]]]:
    """The tables of rows, their measures, and whose each row is."""
    people = made.people
    held_out = made.held_out
    whose = {"persons": people.persons(people.table.held_out.loc[held_out.index])}
    yield held_out, [*CLASSIFIER, "burden"], whose
    plans = ["no_plan", "validity", *(["holds"] if made.asked["holds"].notna().any() else []), "n_changed", "distance"]
    yield made.asked, plans, {"persons": people.asked()}


def by_group(made: Found, attributes: list[Attribute], seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """Every measure of every group that is shown, with its 95 % interval over whole people; columns of `COLUMNS`.

    Also how many groups of each attribute are not shown, since they have too few people.
    """
    rows: list[tuple[Any, ...]] = []
    hidden: dict[str, int] = {}
    for frame, measures, whose in frames(made):
        for attribute in attributes:
            labels, persons = attribute.of(frame.index), whose["persons"]
            names, few = shown(labels, persons)
            hidden[attribute.name] = max(few, hidden.get(attribute.name, 0))
            for name in names:
                part = labels == name
                for measure in measures:
                    values = frame[measure].to_numpy(float)[part]
                    rows.append((attribute.name, name, measure, *_mean(values, persons[part], measure, seed)))
    return pd.DataFrame(rows, columns=list(COLUMNS)), hidden


def _mean(values: Floats, persons: Any, measure: str, seed: int) -> tuple[float, float, float, int, int]:
    known = np.isfinite(values)
    people = len(np.unique(persons[known]))
    if not known.any():
        return float("nan"), float("nan"), float("nan"), 0, 0
    low, high = statistics.interval(values, persons, share=MEASURES[measure].share, seed=seed)
    return float(values[known].mean()), low, high, int(known.sum()), people


def gaps(made: Found, attributes: list[Attribute], seed: int = 0) -> pd.DataFrame:
    """Every group against all others, columns of `GAPS`; p is corrected within three families that share 5 %.

    `main`: the measures of `TESTED` and effort at equal starting risk, by single features; `pairs`: effort and
    whether there is a plan, by pairs; `asked`: how often each feature is edited, by single features.
    """
    rows: list[tuple[Any, ...]] = []
    for frame, measures, whose in frames(made):
        plans = "distance" in measures
        tested = [m for m in measures if m in TESTED or (m == "burden" and frame[m].notna().any())]
        edits = [name for name in frame.columns if name.startswith("edits:")]
        for attribute in attributes:
            labels = attribute.of(frame.index)
            names, few = shown(labels, whose["persons"])
            # Of two groups the one says what the other says.
            against = names[1:] if len(names) == 2 and not few else names
            for name in against if len(names) > 1 or few else []:
                side = _Side(attribute.name, name, labels == name, whose["persons"], seed)
                if attribute.pair:
                    rows += [side.compared("pairs", m, frame[m]) for m in tested if m in ("no_plan", "distance")]
                    continue
                rows += [side.compared("main", m, frame[m]) for m in tested]
                if plans:
                    rows.append(side.compared("main", "equal_start", frame["distance"], strata(frame["start"])))
                    rows += [side.compared("asked", m, frame[m]) for m in edits]
    table = pd.DataFrame(rows, columns=[c for c in GAPS if c not in ("p_holm", "claimed")])
    corrected = np.full(len(table), np.nan)
    for family, share in SPENT.items():
        part = (table["family"] == family).to_numpy()
        corrected[part] = np.minimum(1.0, statistics.holm(table["p"].to_numpy(float)[part]) / share)
    table["p_holm"] = corrected
    table["claimed"] = corrected < ALPHA
    return table[list(GAPS)]


@dataclass(frozen=True)
class _Side:
    """A group among the rows of a table. `member`, `persons` (n,): who is in it, whose each row is."""

    attribute: str
    group: str
    member: Any
    persons: Any
    seed: int

    def compared(self, family: str, measure: str, values: pd.Series[Any], start: Ints | None = None) -> tuple[Any, ...]:
        """A row of `GAPS`, but for what is corrected."""
        kind: Kind = MEASURES[measure].kind if measure in MEASURES else "difference"
        one = gap(values.to_numpy(float), self.member, self.persons, kind=kind, strata=start, seed=self.seed)
        head = (family, self.attribute, self.group, measure, one.group, one.others, one.value, one.low, one.high)
        return (*head, kind, one.p, one.n, one.people)
