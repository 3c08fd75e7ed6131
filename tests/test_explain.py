"""`explain`: every answer is valid and feasible as saved, every query is accounted for, nothing depends on luck."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary import explain
from checker import blank, differs, problems, value_of
from handmade import BASE, Stub, hand_task
from sensecf.core.candidates import Candidates
from sensecf.core.counterfactuals import VERDICT_COLUMNS, Counterfactuals
from sensecf.core.errors import InputError
from sensecf.core.query import Query
from sensecf.core.rules import Linear, Order
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.generators import Nearest, Search
from sensecf.generators.search import Effort
from strategies import cases, limits, seeds, worlds
from worlds import KINDS, World

QUICK = Effort(beam=2, edits=12, depth=3, neighbours=3, keep=3)


class Wild:
    """Proposes garbage: random cells, blanks, half steps, locked features; nothing it says may pass unchecked."""

    name = "wild"

    def __init__(self, task: Task) -> None:
        self.task = task

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        codec = self.task.codec
        owner = np.repeat(np.arange(len(query)), 12)
        rows = query.rows[owner].copy()
        hit = rng.random(rows.shape) < 0.3
        beyond = codec.low + (codec.high - codec.low) * rng.uniform(-0.2, 1.2, rows.shape)
        donors = self.task.rows[rng.integers(0, len(self.task.rows), len(rows))]
        wild = np.where(rng.random(rows.shape) < 0.3, beyond, donors)
        wild[rng.random(rows.shape) < 0.05] = np.nan
        wild[:, ~codec.numeric] = np.clip(np.round(wild[:, ~codec.numeric]), 0, codec.high[~codec.numeric])
        return Candidates.of(owner, np.where(hit, wild, rows), self.name)


GENERATORS: dict[str, Callable[[Task], Any]] = {
    "search": lambda task: Search(task, effort=QUICK),
    "nearest": lambda task: Nearest(task, neighbours=3),
    "wild": Wild,
}


def saved(found: Counterfactuals) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables as a stranger reads them, with pandas and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        found.save(folder)
        answers, factuals = Path(folder, "counterfactuals.csv"), Path(folder, "factuals.csv")
        return pd.read_csv(answers), pd.read_csv(factuals)


def text(found: Counterfactuals) -> str:
    """`counterfactuals.csv` without its seconds."""
    return found.to_frame().drop(columns="seconds").to_csv(index=False)


def blocks(found: Counterfactuals) -> dict[Any, str]:
    """What each query was told, without seconds and the query itself."""
    frame = found.to_frame().drop(columns="seconds")
    return {query: part.drop(columns="query").to_csv(index=False) for query, part in frame.groupby("query", sort=False)}


# --- promises to everyone -----------------------------------------------------------------


@cases(160)
@given(st.data(), worlds(asked=4), st.sampled_from(KINDS), st.sampled_from(sorted(GENERATORS)), st.integers(1, 3))
def test_every_answer_is_valid_and_feasible_as_saved_and_every_query_is_accounted_for(
    data: st.DataObject, world: World, kind: str, method: str, n: int
) -> None:
    asked = data.draw(limits(world.schema))
    target = data.draw(st.sampled_from(world.schema.classes))
    task = world.task(kind)
    found = explain(task, GENERATORS[method](task), world.people, target, n, **asked)
    table, factuals = saved(found)

    names = world.schema.names
    assert list(table.columns) == [*VERDICT_COLUMNS, *names]
    assert list(factuals.columns) == ["query", *names, "predicted", "probability"]
    people = factuals.set_index("query")
    assert list(people.index) == list(world.people.index)
    for query, person in world.people.iterrows():
        part = table[table["query"] == query]
        answers = part[part["rank"].notna()]
        before = people.loc[query]
        for name in names:  # the person is saved as asked about
            assert value_of(world.schema[name], before[name]) == value_of(world.schema[name], person[name])
        if answers.empty:
            assert len(part) == 1
            assert isinstance(part["reason"].iloc[0], str)
            assert all(blank(cell) for cell in part[names].iloc[0])
            assert not part[["valid", "feasible", "plausible"]].to_numpy().any()
            continue
        assert len(part) == len(answers) <= n
        assert answers["rank"].tolist() == list(range(1, len(answers) + 1))
        assert not answers[names].astype(object).duplicated().any()
        for _, answer in answers.iterrows():
            assert problems(world.schema, before, answer, seen=world.train, **asked) == []
            changed = [
                name for name in names
                if differs(world.schema[name], *(value_of(world.schema[name], r[name]) for r in (before, answer)))
            ]  # fmt: skip
            assert answer["n_changed"] == len(changed)
        assert answers[["valid", "feasible"]].to_numpy().all()
        assert (task.classifier.predict(answers[names]) == target).all()
        proba = np.sort(task.classifier.predict_proba(answers[names]), axis=1)
        assert (proba[:, -1] - proba[:, -2] > 1e-6).all()
        assert (answers["predicted"] == target).all()
        position = list(world.schema.classes).index(target)
        saved_probability = task.classifier.predict_proba(answers[names])[:, position]
        np.testing.assert_allclose(answers["probability"], saved_probability, atol=2e-6)


@cases(40)
@given(worlds(asked=6), st.sampled_from(KINDS), seeds)
def test_the_order_of_the_queries_does_not_matter(world: World, kind: str, seed: int) -> None:
    shuffled = world.people.sample(frac=1, random_state=seed % 2**31)
    found = []
    for people in (world.people, shuffled):
        task = world.task(kind)
        found.append(explain(task, Search(task, effort=QUICK), people, n=2, seed=seed, edit="mutable"))
    assert list(found[1].to_frame()["query"].unique()) == list(shuffled.index)
    assert blocks(found[0]) == blocks(found[1])


@cases(40)
@given(st.data(), worlds(asked=4), st.sampled_from(KINDS), st.sampled_from(sorted(GENERATORS)), seeds)
def test_the_same_seed_gives_the_same_bytes_but_for_seconds(
    data: st.DataObject, world: World, kind: str, method: str, seed: int
) -> None:
    asked = data.draw(limits(world.schema))
    runs = []
    for _ in range(2):
        task = world.task(kind)
        runs.append(text(explain(task, GENERATORS[method](task), world.people, n=2, seed=seed, **asked)))
    assert runs[0] == runs[1]


@cases(30)
@given(worlds(asked=4), st.sampled_from(KINDS))
def test_equal_people_get_equal_answers(world: World, kind: str) -> None:
    task = world.task(kind)
    twice = pd.concat([world.people, world.people.set_axis([f"again {i}" for i in world.people.index])])
    found = blocks(explain(task, Search(task, effort=QUICK), twice, n=2, edit="mutable"))
    for query in world.people.index:
        assert found[query] == found[f"again {query}"]


@cases(30)
@given(worlds(asked=4), st.sampled_from(KINDS))
def test_people_in_the_target_class_who_keep_the_rules_need_no_change(world: World, kind: str) -> None:
    task = world.task(kind)
    found = explain(task, Search(task, effort=QUICK), world.people, edit="mutable")
    judged = task.judge(task.codec.encode(world.people), final=True)
    fine = (judged.predicted == len(task.classes) - 1) & ~judged.tie
    fine &= ~task.codec.rules.violated(task.codec.encode(world.people)).any(axis=1)
    stay = found.answers[found.answers["n_changed"] == 0]
    assert stay["query"].tolist() == world.people.index[fine].tolist()
    assert (stay["reason"] == "already in the target class").all()


# --- by hand ------------------------------------------------------------------------------


def hand_explain(*people: dict[str, Any], task: Task | None = None, **options: Any) -> Counterfactuals:
    task = task or hand_task()
    return explain(task, Search(task), pd.DataFrame([BASE | person for person in people or ({},)]), **options)


def edits(found: Counterfactuals) -> list[tuple[str, Any]]:
    changes = found.changes()
    return list(zip(changes["feature"], changes["after"], strict=True))


def near(found: Counterfactuals) -> list[tuple[str, int]]:
    """The edits by rank, numbers to the nearest tenth of the MAD: polish shrinks by eighths and may stop short."""
    unit = {"steps": 1000, "deep": 10}
    return [(name, int(value // unit[name]) * unit[name]) for name, value in edits(found)]


def test_the_plan_by_hand_is_found() -> None:
    found = hand_explain(plausibility=0)
    ((name, steps),) = edits(found)
    assert name == "steps"
    assert 8000 <= steps <= 8500
    assert found.plans()["plan"].tolist() == [f"steps 4,000 → {steps:,} steps"]


def test_a_locked_feature_sends_the_plan_elsewhere() -> None:
    assert near(hand_explain(lock=["steps"], plausibility=0)) == [("deep", 60)]


def test_two_answers_are_two_ways() -> None:
    found = hand_explain(n=2, plausibility=0)
    assert near(found) == [("steps", 8000), ("deep", 60)]


def test_a_tie_is_no_answer() -> None:
    found = hand_explain(lock=["deep"], ranges={"steps": (None, 7900)})
    assert len(found.answers) == 0


def test_a_threshold_of_its_own_decides_and_not_the_likelier_class() -> None:
    class Careful(Stub):
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return self.classes_[(self.predict_proba(X)[:, 1] >= 0.7).astype(int)]

    base = hand_task()
    slope = Careful(lambda X: X["steps"].to_numpy(float) / 10_000)
    task = Task(base.schema, base.train, slope)
    found = hand_explain(task=task, plausibility=0, lock=["deep"])
    ((_, steps),) = edits(found)
    assert 7000 <= steps <= 7400
    assert found.answers["probability"].tolist() == [steps / 10_000]


def test_predict_has_the_last_word_where_it_departs_from_the_likelier_class_on_no_training_row() -> None:
    class Moody(Stub):
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            refused = X["steps"].between(7500, 8300).to_numpy()
            return self.classes_[((self.predict_proba(X)[:, 1] > 0.5) & ~refused).astype(int)]

    base = hand_task()
    task = Task(base.schema, base.train, Moody(lambda X: X["steps"].to_numpy(float) / 15_000))
    for generator in (Search(task), Nearest(task)):
        found = explain(task, generator, pd.DataFrame([BASE]), plausibility=0, lock=["deep"])
        assert all(steps > 8300 for _, steps in edits(found)), generator.name
        assert (found.answers["predicted"] == "low").all()
        assert len(found.answers) == 1, generator.name


def test_the_margin_is_kept_on_the_row_as_saved() -> None:
    found = hand_explain(margin=0.75)
    assert (found.answers["probability"] >= 0.875).all()
    assert len(hand_explain(margin=0.9).answers) == 0


@pytest.mark.parametrize(
    ("options", "words", "silent"),
    [
        ({"lock": ["steps", "deep"]}, ["the lock on steps", "the lock on deep"], ["device"]),
        ({"lock": ["steps", "deep", "device"]}, ["blocked by", "the lock on"], ["the lock on device"]),
        ({"ranges": {"steps": (None, 5000), "deep": (None, 40)}}, ["the limits on"], ["sleep"]),
        ({"directions": {"deep": "decrease"}, "lock": ["steps"]}, ["blocked by"], []),
        ({"margin": 0.95}, ["the margin asked for"], []),
    ],
)
def test_an_abstention_names_what_blocks(options: dict[str, Any], words: list[str], silent: list[str]) -> None:
    found = hand_explain(**options)
    assert len(found.answers) == 0
    (reason,) = found.abstentions["reason"]
    assert any(word in reason for word in words)
    assert not any(word in reason for word in silent)


def only(names: str, rules: tuple[Any, ...] = (), **limits: Any) -> Task:
    """A task with the features in `names` (0 to 10), in the target class where all of them are at least 5."""
    features = tuple(Feature(name, "integer", low=0, high=10, step=1) for name in names)
    schema = FeatureSchema(features, "y", ("no", "yes"), "yes", rules=rules, **limits)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(0, 11, (60, len(names))), columns=list(names))
    for rule in rules:
        table = table[table["a"] <= table["b"]] if isinstance(rule, Order) else table
    classifier = Stub(lambda X: 0.1 + 0.8 * (X[list(names)].to_numpy() >= 5).all(axis=1), ("no", "yes"))
    table["y"] = classifier.predict(table)
    return Task(schema, table, classifier)


def ask(task: Task, person: dict[str, Any], **options: Any) -> Counterfactuals:
    return explain(task, Search(task), pd.DataFrame([person]), **options)


def test_the_budget_is_named_where_it_blocks() -> None:
    found = ask(only("ab"), {"a": 1, "b": 1}, max_changes=1)
    assert found.abstentions["reason"].tolist() == ["blocked by the budget of changes"]
    assert len(ask(only("ab"), {"a": 1, "b": 1}, max_changes=2).answers) == 1


def test_the_budget_of_the_schema_is_kept_too() -> None:
    assert len(ask(only("ab", max_changes=1), {"a": 1, "b": 1}).answers) == 0


def test_one_of_two_locks_is_named_where_one_is_enough_to_block() -> None:
    found = ask(only("ab"), {"a": 1, "b": 6}, lock=["a", "b"])
    assert found.abstentions["reason"].tolist() == ["blocked by the lock on a"]


def test_a_rule_is_named_where_it_blocks() -> None:
    task = only("ab", rules=(Linear({"a": 1.0}, "<=", 4),))
    found = ask(task, {"a": 1, "b": 6})
    assert found.abstentions["reason"].tolist() == ["blocked by the rule 1 a <= 4"]


def test_where_no_answer_exists_at_all_it_is_said() -> None:
    task = only("a")
    never = Task(task.schema, task.train, Stub(lambda X: np.full(len(X), 0.1), ("no", "yes")))
    (reason,) = ask(never, {"a": 1}).abstentions["reason"]
    assert "no answer found even without locks and limits" in reason


def test_an_order_moves_step_by_step_with_its_neighbour() -> None:
    found = ask(only("ab", rules=(Order(("a", "b")),)), {"a": 3, "b": 3})
    answer = found.answers.iloc[0]
    assert 5 <= answer["a"] <= answer["b"]


def test_blanks_stay_blank(mixed_task: Task) -> None:
    people = mixed_task.train[mixed_task.train["steps"].isna()].head(12)
    found = explain(mixed_task, Search(mixed_task), people, n=2)
    assert len(found.answers)
    assert found.answers["steps"].isna().all()


def test_a_fallback_answers_what_the_first_generator_leaves() -> None:
    class Silent:
        name = "silent"

        def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
            rows = np.full((len(query), query.rows.shape[1]), np.nan)
            return Candidates.of(np.arange(len(query)), rows, self.name, ["nothing comes to mind"] * len(query))

    task = hand_task()
    people = pd.DataFrame([BASE])
    alone, helped = (explain(task, Silent(), people, fallback=f) for f in (None, Search(task)))
    assert len(alone.answers) == 0
    assert helped.answers["generator"].tolist() == ["search"]
    assert set(helped.attempts["generator"]) == {"silent", "search"}


# --- people as they come ------------------------------------------------------------------


def test_people_outside_the_schema_are_an_error_or_on_request_abstentions() -> None:
    with pytest.raises(InputError, match=r"age.*120"):
        hand_explain({}, {"age": 120})
    found = hand_explain({"age": 120}, {}, {"age": 150}, strict=False)
    assert found.to_frame()["query"].tolist() == [0, 1, 2]
    assert found.answers["query"].tolist() == [1]
    assert all("outside the schema's range" in reason for reason in found.abstentions["reason"])
    assert found.abstentions[found.schema.names].isna().to_numpy().all()


@pytest.mark.parametrize("levels", [(False, True), (0, 1), (0.5, 1.5), ("no", "yes")])
@pytest.mark.parametrize("others", [0, 1])
def test_an_abstention_holds_no_values_whatever_the_kind_of_level(levels: tuple[Any, ...], others: int) -> None:
    schema = FeatureSchema(
        (Feature("a", "integer", low=0, high=10, step=1), Feature("b", "binary", levels=levels)),
        "y",
        ("no", "yes"),
        "yes",
    )
    table = pd.DataFrame({"a": np.arange(11), "b": np.array(levels)[np.arange(11) % 2]})
    classifier = Stub(lambda X: 0.1 + 0.8 * (X["a"] >= 5), ("no", "yes"))
    task = Task(schema, table.assign(y=classifier.predict(table)), classifier)
    people = pd.DataFrame({"a": [99, *[1] * others], "b": [levels[1]] * (1 + others)})
    found = explain(task, Search(task), people, strict=False)
    table, _ = saved(found)
    assert table.loc[table["rank"].isna(), ["a", "b"]].isna().to_numpy().all()
    assert len(found.answers) == others


def test_nobody_to_ask_about_gives_an_empty_table() -> None:
    task = hand_task()
    found = explain(task, Search(task), pd.DataFrame([BASE]).head(0))
    assert list(found.to_frame().columns) == [*VERDICT_COLUMNS, *task.schema.names]
    assert len(found) == 0


def test_the_index_names_the_queries_and_other_columns_do_not_matter() -> None:
    task = hand_task()
    people = pd.DataFrame([BASE, BASE | {"steps": 3000}], index=["Ann", "Bo"]).assign(note="hello")
    found = explain(task, Search(task), people[["note", *reversed(task.schema.names)]])
    assert found.to_frame()["query"].tolist() == ["Ann", "Bo"]
    assert found.factuals.index.tolist() == ["Ann", "Bo"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"n": -3}, "n must be at least 1"),
        ({"target": "calm"}, "is no class"),
        ({"lock": ["stepz"]}, "'stepz' is no feature"),
        ({"max_changes": 0}, "at least 1"),
        ({"margin": 1.5}, "margin"),
    ],
)
def test_what_cannot_be_asked_is_an_input_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        hand_explain(**options)


def test_two_people_of_one_name_are_refused() -> None:
    task = hand_task()
    with pytest.raises(InputError, match="duplicates"):
        explain(task, Search(task), pd.DataFrame([BASE, BASE], index=["Ann", "Ann"]))


def test_the_rows_the_classifier_judged_are_counted(numeric_task: Task) -> None:
    class Counted(Stub):
        rows = 0

        def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
            self.rows += len(X)
            return super().predict_proba(X)

        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return self.classes_[(super().predict_proba(X)[:, 1] > 0.5).astype(int)]

    counted = Counted(lambda X: 1 / (1 + np.exp(-3 * (X["x0"] + X["x1"]))), ("bad", "good"))
    task = Task(numeric_task.schema, numeric_task.train, counted)
    generator = Search(task, effort=QUICK)
    task.judge(task.rows[:1])
    before = counted.rows
    found = explain(task, generator, numeric_task.train.head(20), plausibility=0)
    assert found.cost["classifier_rows"] == counted.rows - before
    assert found.cost["queries"] == 20


# --- interrupted and gone on with ---------------------------------------------------------


class Stopping:
    """Nearest, but it notes whom it is asked about, and is interrupted at its `stop`-th call."""

    name = "nearest"

    def __init__(self, task: Task, stop: int | None = None) -> None:
        self.inner, self.stop = Nearest(task, neighbours=2), stop
        self.asked: list[int] = []

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        if self.stop == len(self.asked):
            raise KeyboardInterrupt
        self.asked.append(len(query))
        return self.inner.propose(query, rng)


def test_an_interrupted_call_goes_on_where_it_stopped(numeric_task: Task, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    people = pd.DataFrame(rng.normal(size=(700, 4)).round(1), columns=numeric_task.schema.names)
    lock = {"lock": ["x0"], "plausibility": 0.0}  # some abstain

    def anew() -> Task:  # as in a new process: nothing is fitted yet
        return Task(numeric_task.schema, numeric_task.train, numeric_task.classifier)

    task = anew()
    never_stopped = Stopping(task)
    whole = explain(task, never_stopped, people, **lock)
    assert len(never_stopped.asked) > 2
    assert 0 < len(whole.abstentions) < len(people)
    task = anew()
    with pytest.raises(KeyboardInterrupt):
        explain(task, Stopping(task, stop=2), people, checkpoint=tmp_path / "parts", **lock)
    seen: list[tuple[int, int]] = []
    task = anew()
    second = Stopping(task)
    resumed = explain(task, second, people, checkpoint=tmp_path / "parts", progress=lambda *p: seen.append(p), **lock)
    assert second.asked == never_stopped.asked[2:]
    assert text(resumed) == text(whole)
    assert resumed.attempts.equals(whole.attempts)
    pd.testing.assert_frame_equal(resumed.factuals, whole.factuals)
    total = whole.cost["distinct_queries"]
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)

    task = anew()
    third = Stopping(task)
    again = explain(task, third, people, checkpoint=tmp_path / "parts", **lock)
    assert third.asked == []
    assert text(again) == text(resumed)


def test_a_reason_does_not_depend_on_what_the_task_was_asked_before() -> None:
    task = only("ab", rules=(Linear({"a": 1.0, "b": 1.0}, "<=", 12),))
    never = Task(task.schema, task.train, Stub(lambda X: np.full(len(X), 0.1), ("no", "yes")))
    first, again = (ask(never, {"a": 1, "b": 1}) for _ in range(2))
    assert text(first) == text(again)


def test_half_a_checkpoint_file_is_never_left(numeric_task: Task, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        explain(numeric_task, Stopping(numeric_task, stop=0), numeric_task.train.head(5), checkpoint=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_saved_table_reads_back_as_it_was(mixed_task: Task) -> None:
    found = explain(mixed_task, Search(mixed_task, effort=QUICK), mixed_task.train.head(30), n=2)
    table, _ = saved(found)
    again = pd.read_csv(io.StringIO(found.to_frame().to_csv(index=False)))
    pd.testing.assert_frame_equal(table, again)
    names = mixed_task.schema.names
    answers = table[table["rank"].notna()]
    assert (mixed_task.classifier.predict(answers[names]) == "low").all()
    assert answers["age"].dtype == np.int64 or (answers["age"] % 1 == 0).all()
