"""Parts follow their whole in the person's own shares, a whole its parts, and both count as one change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf import explain
from sensecf.classifiers.fit import fit_classifier
from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.limits import Limits, make_query
from sensecf.core.query import in_tow
from sensecf.core.rules import Floats, RuleSet, Total
from sensecf.core.task import Task
from sensecf.core.verify import breaches, feasible
from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema
from sensecf.generators import build
from strategies import cases

STAGES = ["sleep_deep_min", "sleep_light_min", "sleep_rem_min"]
SUM = RuleSet.compile([Total(("a", "b", "c"), "whole", 0.5)], {"whole": 0, "a": 1, "b": 2, "c": 3}, None)
WHOLE = np.array([True, False, False, False])


@pytest.fixture(scope="module")
def task() -> Task:
    schema, frame = simulated_schema(), simulate_cohort(people=60, days=5)
    return Task(schema, frame, fit_classifier("logistic", schema, frame))


def high(task: Task, n: int = 40) -> pd.DataFrame:
    return task.train[task.judge(task.rows).predicted == task.classes.index("high")].head(n)


def longer(base: Floats, by: float) -> Floats:
    rows = base.copy()
    rows[:, 0] += by
    return SUM.settle(base, rows, SUM.follow(WHOLE, np.ones(4), ~WHOLE), np.ones(4))


@cases(100)
@given(st.lists(st.integers(0, 300), min_size=3, max_size=3).filter(any), st.integers(-100, 200))
def test_parts_share_what_the_whole_gains_or_loses_to_the_step(parts: list[int], by: int) -> None:
    total = sum(parts)
    by = max(by, -total)
    base = np.array([[total, *parts]], dtype=float)
    out = longer(base, by)
    assert out[0, 1:].sum() == total + by
    assert (out == np.round(out)).all()
    wanted = np.array(parts) * (1 + by / total)
    assert np.abs(out[0, 1:] - wanted).max() <= 1.5  # each rounded, the largest takes the rest
    np.testing.assert_array_equal(longer(base, by), SUM.settle(
        base, out, SUM.follow(WHOLE, np.ones(4), ~WHOLE), np.ones(4)))  # fmt: skip


def test_a_night_with_an_unmeasured_stage_ties_nothing() -> None:
    base = np.array([[400.0, np.nan, 200.0, 100.0]])
    assert longer(base, 40)[0, 2:].tolist() == [200.0, 100.0]


@pytest.mark.parametrize("name", ["search", "nearest", "constant", "nice", "tiny"])
def test_a_plan_edits_what_a_person_does_and_the_stages_follow(task: Task, name: str, thimble: None) -> None:
    found = explain(task, build(name, task), high(task), hold=0)
    changes = found.changes()
    own = changes[~changes["follows"]]
    assert len(own)
    assert {task.schema[f].role for f in own["feature"]} == {"actionable"}
    assert set(changes[changes["follows"]]["feature"]) <= set(STAGES)
    assert not task.codec.rules.violated(task.codec.encode(found.answers)).any()
    assert found.answers["n_changed"].astype(int).tolist() == found.acts.sum(axis=1).tolist()


def test_longer_sleep_is_one_change_that_names_sleep_and_says_what_follows(task: Task) -> None:
    only = [f.name for f in task.schema.features if f.role == "actionable" and f.name != "sleep_total_min"]
    found = explain(task, build("search", task), high(task), lock=only, max_changes=1, hold=0)
    assert len(found.answers)
    assert set(found.answers["actions"]) == {"sleep_total_min"}
    assert (found.answers["n_changed"] == 1).all()
    first = found.plans().iloc[0]
    assert first["plan"].startswith("sleep_total_min")
    assert first["follows"].count("→") == 3
    before = found.factuals.loc[found.answers["query"], STAGES].to_numpy(dtype=float)
    after = found.answers[STAGES].to_numpy(dtype=float)
    ratio = after.sum(axis=1) / before.sum(axis=1)
    assert np.abs(after - before * ratio[:, None]).max() <= 1.5


def test_stages_that_are_not_where_the_edit_puts_them_are_refused(task: Task) -> None:
    query = make_query(task, high(task, 1))
    row = query.rows.copy()
    columns = task.schema.columns
    row[0, columns["sleep_total_min"]] += 40
    row[0, columns["sleep_deep_min"]] += 40
    owner = np.zeros(1, dtype=np.intp)
    assert not feasible(task, query, owner, row)[0]
    assert "sleep_deep_min only follows, and is not where the edits put it" in breaches(task, query, owner, row)[0]
    settled = in_tow(task, query, owner, row)
    assert feasible(task, query, owner, settled)[0]
    assert breaches(task, query, owner, settled)[0] == ""


def test_a_locked_stage_leaves_its_share_to_the_others(task: Task) -> None:
    query = make_query(task, high(task, 1), lock=["sleep_deep_min"])
    row = query.rows.copy()
    row[0, task.schema.columns["sleep_total_min"]] += 40
    moved = in_tow(task, query, np.zeros(1, dtype=np.intp), row)[0] - query.rows[0]
    by = dict(zip(task.schema.names, moved, strict=True))
    assert by["sleep_deep_min"] == 0
    assert by["sleep_light_min"] + by["sleep_rem_min"] == 40


def test_with_results_open_to_edits_a_stage_is_an_edit_of_its_own(task: Task) -> None:
    found = explain(task, build("search", task), high(task), limits=Limits(edit="mutable", hold=0))
    assert not found.changes()["follows"].any()


def test_names_of_actions_survive_the_separator_and_the_file(
    task: Task, tmp_path_factory: pytest.TempPathFactory
) -> None:
    schema = simulated_schema()
    odd = {"steps": "steps; a day", "sleep_total_min": 'sleep "all"'}
    renamed = replace(
        schema,
        features=tuple(
            replace(f, name=odd.get(f.name, f.name), causes=tuple(odd.get(c, c) for c in f.causes))
            for f in schema.features
        ),
        rules=tuple(rule.renamed({n: odd.get(n, n) for n in schema.names}) for rule in schema.rules),
    )
    other = Task(
        renamed, task.train.rename(columns=odd), fit_classifier("logistic", renamed, task.train.rename(columns=odd))
    )
    found = explain(other, build("search", other), high(other), hold=0)
    folder = tmp_path_factory.mktemp("answers")
    found.save(folder)
    back = Counterfactuals.load(folder)
    assert any(name in text for text in back.answers["actions"] for name in odd.values())
    np.testing.assert_array_equal(back.acts, found.acts)
