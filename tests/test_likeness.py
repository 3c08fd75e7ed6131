"""Answers that prefer likeness: what they are priced by, that nothing else is given up, and where they can be asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sensecf
from command import call
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.likeness import Likeness
from sensecf.core.query import PREFERENCES, Query
from sensecf.core.task import Task
from sensecf.core.verify import ALIKE, cost, verify
from sensecf.pipeline.hold import Holding
from sensecf.runs.compare.methods import methods


def asked(task: Task, target: str, prefer: str = "likeness") -> Query:
    """Thirty rows of the other class, asked to be of this one."""
    away = np.flatnonzero(task.judge(task.rows, final=True).predicted != task.target_position(target))[:30]
    return sensecf.Limits(edit="mutable", hold=0, prefer=prefer).query(task, task.rows[away], target)


def test_a_row_is_at_no_distance_from_itself_and_another_level_is_two(mixed_task: Task) -> None:
    likeness, rows = mixed_task.once(Likeness), mixed_task.rows[:20]
    assert likeness.apart(rows, rows).max() == 0
    other = rows.copy()
    device = mixed_task.schema.names.index("device")
    other[:, device] = (rows[:, device] + 1) % 3
    assert likeness.apart(rows, other) * likeness.unit == pytest.approx(np.full(20, 2.0))


def test_a_number_counts_by_its_range_and_a_blank_as_the_median(numeric_task: Task, mixed_task: Task) -> None:
    likeness = numeric_task.once(Likeness)
    low, high = numeric_task.rows.min(axis=0), numeric_task.rows.max(axis=0)
    assert likeness.apart(low[None], high[None])[0] * likeness.unit == pytest.approx(4.0)
    steps = mixed_task.schema.names.index("steps")
    blank, median = mixed_task.rows[[0]].copy(), mixed_task.rows[[0]].copy()
    blank[0, steps], median[0, steps] = np.nan, mixed_task.medians[steps]
    assert mixed_task.once(Likeness).apart(blank, median)[0] == 0


def test_a_row_far_from_all_others_is_less_like_them(numeric_task: Task) -> None:
    likeness = numeric_task.once(Likeness)
    odd = np.array([[5.0, -5.0, 5.0, -5.0]])
    assert likeness.unlike(odd)[0] > likeness.unlike(numeric_task.rows).max()


def test_the_verdict_and_the_cost_name_one_price(mixed_task: Task) -> None:
    query = asked(mixed_task, "low")
    half = replace(query, prefer=np.where(np.arange(len(query)) % 2, query.prefer, PREFERENCES.index("effort")))
    found = sensecf.generators.Search(mixed_task).propose(half, np.random.default_rng(0))
    verdict = verify(mixed_task, half, found)
    for plausibility in (0.0, 1.0, 0.3):
        priced = cost(mixed_task, half, found.query[verdict.good], found.rows[verdict.good], plausibility)
        assert verdict.price(plausibility)[verdict.good] == pytest.approx(priced)


def test_each_query_of_a_batch_is_priced_as_it_prefers(mixed_task: Task) -> None:
    query, rows = asked(mixed_task, "low"), mixed_task.rows[:30]
    effort = replace(query, prefer=np.zeros_like(query.prefer))
    some = replace(query, prefer=np.where(np.arange(30) < 10, ALIKE, 0))
    owner = np.arange(30)
    whole = cost(mixed_task, some, owner, rows)
    assert whole[:10] == pytest.approx(cost(mixed_task, query, owner, rows)[:10])
    assert whole[10:] == pytest.approx(cost(mixed_task, effort, owner, rows)[10:])


@pytest.mark.parametrize("name", ["numeric_task", "mixed_task"])
def test_answers_are_closer_to_real_rows_and_break_nothing(name: str, request: pytest.FixtureRequest) -> None:
    task = request.getfixturevalue(name)
    target = task.schema.target
    away = np.flatnonzero(task.judge(task.rows, final=True).predicted != task.target_position(target))[:40]
    people = task.train.iloc[away][task.schema.names]
    found = {}
    for prefer in ("effort", "likeness"):
        answers = sensecf.explain(task, "search", people, target=target, hold=0, edit="mutable", prefer=prefer).answers
        assert answers["valid"].all()
        assert answers["feasible"].all()
        found[prefer] = answers.set_index("query")
    both = found["effort"].index.intersection(found["likeness"].index)
    assert len(both) > 20
    unlike = {
        prefer: task.once(Likeness).unlike(task.codec.encode(answers.loc[both])).mean()
        for prefer, answers in found.items()
    }
    assert unlike["likeness"] < unlike["effort"]


def test_a_margin_is_calibrated_for_what_is_preferred(numeric_task: Task) -> None:
    holding = Holding(numeric_task)
    for prefer in ("effort", "likeness"):
        assert holding.of(1, sensecf.Limits(hold=0.8, prefer=prefer)) is not None
    assert {name.rpartition("|")[2] for name in json.loads(holding.content())} == {"0.8", "likeness"}


def test_an_unknown_preference_is_refused_and_an_older_record_has_the_usual_one() -> None:
    with pytest.raises(InputError, match="use effort or likeness"):
        sensecf.Limits(prefer="both")  # type: ignore[arg-type]
    kept = sensecf.Limits(hold=0.5).to_dict()
    del kept["prefer"]
    assert sensecf.Limits.from_dict(kept).prefer == "effort"
    assert sensecf.Limits.from_dict(sensecf.Limits(prefer="likeness").to_dict()).prefer == "likeness"


def test_a_row_of_a_comparison_may_prefer_likeness() -> None:
    rows = methods(["search@likeness", "search@hold+likeness", "search@hold", "search"])
    assert [(row.hold, row.likeness) for row in rows] == [(False, True), (True, True), (True, False), (False, False)]
    assert len({row.asking for row in rows}) == 4
    with pytest.raises(InputError, match="cannot be read"):
        methods(["search@likely"])


def test_no_row_is_judged_by_its_likeness_that_was_not_asked_to_be(mixed_task: Task) -> None:
    query = asked(mixed_task, "low", "effort")
    verdict = verify(mixed_task, query, Candidates.of(np.arange(len(query)), query.rows, "none"))
    assert np.isnan(verdict.apart).all()
    assert np.isnan(verdict.unlike).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by the command that prefers likeness, of ten days of the simulated cohort."""
    folder = tmp_path_factory.mktemp("likeness")
    data = sensecf.datasets.load("simulated")
    chosen = data.frame[data.frame["participant_id"].isin(data.frame["participant_id"].unique()[:60])]
    chosen.to_csv(folder / "days.csv", index=False)
    data.schema.to_toml(folder / "schema.toml")
    options = (
        "--prefer",
        "likeness",
        "--hold",
        "0",
        "--generator",
        "search",
        "--classifier",
        "logistic",
        "--limit",
        "10",
    )
    done = call("explain", folder / "days.csv", "--schema", folder / "schema.toml", *options, "--out", folder / "run")
    assert done.status == 0, done.err
    return folder


def test_a_run_says_what_it_preferred_and_those_who_come_later_get_the_same(run: Path) -> None:
    assert json.loads((run / "run" / "run.json").read_text(encoding="utf-8"))["prefer"] == "likeness"
    done = call("answer", run / "run", run / "days.csv", "--out", run / "later")
    assert done.status == 0, done.err
    assert json.loads((run / "later" / "run.json").read_text(encoding="utf-8"))["prefer"] == "likeness"
    assert pd.read_csv(run / "later" / "counterfactuals.csv")["valid"].fillna(False).any()
