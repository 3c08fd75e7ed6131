"""The exact generator: its answers are the cheapest that trying every row finds, and it says when there is none."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from checker import Row, problems, same, value_of
from sensecf.classifiers.fit import Balanced, RowEncoder, fit_classifier
from sensecf.classifiers.whitebox import open_classifier
from sensecf.core.distances import Scale
from sensecf.core.errors import InputError
from sensecf.core.judge import TIE
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.rules import Condition, Implication, Linear, Order, Rule, Total
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task, lead
from sensecf.core.verify import cost, verify
from sensecf.generators.exact.exact import Exact
from sensecf.generators.search import Search
from strategies import cases

RULES: tuple[Rule, ...] = (
    Order(("a", "b")),
    Total(("a", "b"), "c"),
    Total(("a", "b"), "c", tolerance=1.0),
    Total(("a", "b"), 6.0),
    Linear({"a": 1.0, "b": -2.0, "d": 1.0}, "<=", 4.0),
    Linear({"a": 1.0, "d": 2.0}, "==", 6.0, tolerance=0.5),
    Implication(Condition("k", "==", "x"), Condition("a", "<=", 3)),
    Implication(Condition("d", ">", 1), Condition("a", ">", 1)),
    Implication(Condition("a", "in", [2, 3]), Condition("k", "!=", "z")),
)
MODELS = ("logistic", "tree", "forest", "xgboost")
KINDS = [(model, classes) for model in MODELS for classes in (2, 3)]


def model_of(kind: str, schema: FeatureSchema, seed: int) -> Pipeline:
    """A small classifier of each kind that can be looked into."""
    numbers = [f.name for f in schema.features if f.numeric]
    levels = {f.name: list(f.levels) for f in schema.features if not f.numeric}
    models: dict[str, Any] = {
        "logistic": LogisticRegression(),
        "tree": DecisionTreeClassifier(max_depth=4, random_state=seed),
        "forest": RandomForestClassifier(n_estimators=6, max_depth=4, random_state=seed),
    }
    if kind == "xgboost":
        from xgboost import XGBClassifier

        types = ["q"] * len(numbers) + ["c"] * len(levels)
        models[kind] = XGBClassifier(
            n_estimators=8, max_depth=3, enable_categorical=True, feature_types=types, n_jobs=1, random_state=seed
        )
    return Pipeline([("rows", RowEncoder(numbers, levels, kind == "logistic")), ("model", Balanced(models[kind]))])


def small_task(kind: str, classes: int, rules: tuple[Rule, ...], seed: int, **limits: Any) -> Task:
    """Five features with at most seven values each, and a classifier of noisy labels."""
    rng = np.random.default_rng(seed)
    n = 120
    table = pd.DataFrame(
        {
            "a": rng.integers(0, 7, n).astype(float),
            "b": rng.integers(0, 5, n),
            "c": rng.integers(0, 12, n),
            "d": rng.integers(0, 8, n) * 0.5,
            "k": rng.choice(["x", "y", "z"], n),
        }
    )
    table.loc[rng.random(n) < 0.1, "d"] = np.nan
    score = table["a"] - table["b"] + table["d"].fillna(2) + (table["k"] == "y") * rng.normal() + rng.normal(size=n)
    table["label"] = pd.qcut(score, classes, labels=[f"c{i}" for i in range(classes)]).astype(str)
    schema = FeatureSchema(
        (
            Feature("a", "continuous", low=0, high=6, step=1),
            Feature("b", "integer", low=0, high=4, step=1),
            Feature("c", "integer", low=0, high=11, step=1, role="mutable"),
            Feature("d", "continuous", low=0, high=3.5, step=0.5, missing=True, **limits),
            Feature("k", "categorical", levels=("x", "y", "z")),
        ),
        "label",
        tuple(sorted(table["label"].unique())),
        "c1",
        rules=rules,
    )
    return Task(schema, table, fit_classifier(model_of(kind, schema, seed), schema, table))


def people(task: Task, count: int, seed: int) -> pd.DataFrame:
    """Rows of the table, some of them between two steps."""
    rows = task.train.sample(count, random_state=seed)[task.schema.names].reset_index(drop=True)
    rows.loc[0, "a"] = min(rows.loc[0, "a"] + 0.4, 6.0)
    return rows


def price(task: Task, feature: Feature, before: Any, after: Any, weights: tuple[float, float]) -> float:
    """What it costs to take one feature from one value to another."""
    before, after = value_of(feature, before), value_of(feature, after)
    if same(before, after):
        return 0.0
    unit = task.once(Scale).mad[task.schema.columns[feature.name]]
    return weights[0] + weights[1] * (abs(after - before) / unit if feature.numeric else 1.0)


def price_of_row(task: Task, person: Row, row: Row, weights: tuple[float, float]) -> float:
    """What an answer costs, feature by feature."""
    return sum(price(task, f, person[f.name], row[f.name], weights) for f in task.schema.features)


def cheapest(task: Task, query: Query, person: Row, weights: tuple[float, float], asked: dict[str, Any]) -> float:
    """The price of the cheapest answer by trying every row there is; infinite where there is none."""
    choices = []
    for feature in task.schema.features:
        own = person[feature.name]
        if not feature.numeric:
            choices.append(list(feature.levels))
        elif own != own or feature.name in asked.get("lock", ()):
            choices.append([own])
        else:
            grid = np.arange(0, float(feature.high or 0) + 0.1, float(feature.step or 0))
            choices.append([own, *grid[np.abs(grid - own) > float(feature.step or 0) / 2].tolist()])
    rows = pd.DataFrame(list(product(*choices)), columns=task.schema.names)
    costs = [
        [price(task, feature, person[feature.name], value, weights) for value in values]
        for feature, values in zip(task.schema.features, choices, strict=True)
    ]
    rows["price"] = np.array(list(product(*costs))).sum(axis=1)
    target = np.full(len(rows), query.target[0])
    ahead = lead(np.asarray(task.classifier.predict_proba(rows[task.schema.names]), dtype=float), target)
    rows = rows[(ahead > TIE) & (ahead >= query.margin[0])].sort_values("price", kind="stable")
    fine = (
        row["price"]
        for row in rows.to_dict("records")
        if not problems(task.schema, person, row, seen=task.train, **asked)
    )
    return float(next(fine, np.inf))


@cases(40)
@given(
    st.sampled_from(KINDS),
    st.lists(st.sampled_from(RULES), max_size=2, unique_by=str),
    st.integers(0, 10_000),
    st.fixed_dictionaries(
        {}, optional={"max_changes": st.integers(1, 3), "lock": st.sampled_from([("a",), ("c", "k")])}
    ),
    st.sampled_from(["any", "increase"]),
)
@example(("xgboost", 3), [Total(("a", "b"), 6.0)], 1126, {}, "any")  # a level asked by a set, not by its position
def test_answers_are_the_cheapest_of_all_rows(
    kind: tuple[str, int], rules: list[Rule], seed: int, asked: dict[str, Any], direction: str
) -> None:
    task = small_task(*kind, tuple(rules), seed, direction=direction)
    persons = people(task, 2, seed)
    query = make_query(task, persons, **asked, edit="mutable")
    exact = Exact(task, seconds=120)
    found = exact.propose(query, np.random.default_rng(0))
    for i, person in enumerate(persons.to_dict("records")):
        least = cheapest(task, query.take([i]), person, (1.0, 0.5), asked)
        if np.isinf(least):
            assert found.reason[i] == "no row within the limits is in the target class (proven)"
        else:
            assert found.reason[i] == ""
            assert exact.gaps["price"][i] == pytest.approx(least, rel=1e-5)
    assert exact.gaps["proven"].all()
    answered = found.take(found.reason == "")
    assert verify(task, query, answered).good.all()


@pytest.mark.parametrize(("objective", "weights"), [("distance", (0.0, 1.0)), ("changes", (1.0, 0.0))])
@pytest.mark.parametrize("kind", MODELS)
def test_distance_and_changes_are_the_least_too(objective: Any, weights: tuple[float, float], kind: str) -> None:
    task = small_task(kind, 2, (Total(("a", "b"), "c"),), 3)
    persons = people(task, 4, 1)
    query = make_query(task, persons, edit="mutable")
    found = Exact(task, seconds=120, objective=objective).propose(query, np.random.default_rng(0))
    for i, person in enumerate(persons.to_dict("records")):
        answer = task.codec.decode(found.rows[[i]]).to_dict("records")[0]
        assert price_of_row(task, person, answer, weights) == pytest.approx(cheapest(task, query, person, weights, {}))


@pytest.mark.parametrize("kind", ["forest", "xgboost", "logistic"])
def test_a_margin_is_reached_at_the_least_price(kind: str) -> None:
    task = small_task(kind, 2, (), 5)
    persons = people(task, 3, 2)
    query = make_query(task, persons, margin=0.3, edit="mutable")
    exact = Exact(task, seconds=120)
    exact.propose(query, np.random.default_rng(0))
    for i, person in enumerate(persons.to_dict("records")):
        assert exact.gaps["price"][i] == pytest.approx(cheapest(task, query, person, (1.0, 0.5), {}), rel=1e-5)


def test_what_was_read_scores_as_the_classifier_does(mixed_schema_task: Task) -> None:
    opened = open_classifier(mixed_schema_task)
    rows = mixed_schema_task.rows
    assert (opened.scores(rows).argmax(axis=1) == mixed_schema_task.judge(rows).predicted).all()


@pytest.fixture(params=MODELS)
def mixed_schema_task(request: pytest.FixtureRequest) -> Task:
    return small_task(request.param, 3, (), 0)


def test_a_search_is_never_cheaper(big_forest: Task) -> None:
    query = make_query(big_forest, big_forest.train.head(12), "c0")
    exact = Exact(big_forest, seconds=120)
    exact.propose(query, np.random.default_rng(0))
    found = Search(big_forest, plausibility=0.0).propose(query, np.random.default_rng(1))
    found = found.take(found.reason == "")
    theirs = cost(big_forest, query, found.query, found.rows, 0.0)
    assert (exact.gaps["price"].to_numpy()[found.query] <= theirs + 1e-5).all()
    assert exact.gaps["proven"].all()


@pytest.fixture(scope="module")
def big_forest() -> Task:
    """Eight features of 81 values each, too many to try, and a forest of 50 trees of depth 6."""
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(8)]
    table = pd.DataFrame(rng.normal(size=(400, 8)).round(1).clip(-4, 4), columns=names)
    table["label"] = np.where(table["x0"] * table["x1"] + table["x2"] + rng.normal(size=400) > 0, "c1", "c0")
    schema = FeatureSchema(
        tuple(Feature(name, "continuous", low=-4, high=4, step=0.1) for name in names), "label", ("c0", "c1")
    )
    forest = RandomForestClassifier(n_estimators=50, max_depth=6, random_state=0)
    model = Pipeline([("rows", RowEncoder(names, {})), ("model", Balanced(forest))])
    return Task(schema, table, fit_classifier(model, schema, table))


def test_treecf_which_may_leave_the_steps_proves_a_price_less_than_a_step_lower(big_forest: Task) -> None:
    treecf = pytest.importorskip("treecf")
    query = make_query(big_forest, big_forest.train.head(6), "c1")
    exact = Exact(big_forest, seconds=120)
    exact.propose(query, np.random.default_rng(0))
    forest = big_forest.classifier.steps[1][1].model_  # type: ignore[attr-defined]
    names = [f"f{j}" for j in range(8)]
    theirs = treecf.Explainer(
        forest,
        normalizers=big_forest.once(Scale).mad,
        constraints=[treecf.Range(name, -4.0, 4.0) for name in names],
        value_policy={name: treecf.Grid(0.1) for name in names},
    )
    target = treecf.Target.raw(op=">=", value=0.5 + TIE)
    for i, row in enumerate(query.rows):
        proved = theirs.explain(row, target, backend="exact", time_budget_s=120, sparsity_weight=2.0, seed=0)
        assert proved.proof == "optimal"
        # Its answers lie between the steps where a tree's threshold does: half a step of each changed feature away.
        lower = proved.distance / 2 + proved.n_changed
        step = 0.5 * 0.1 / big_forest.once(Scale).mad.min() * proved.n_changed
        assert lower - 1e-5 <= exact.gaps["price"][i] <= lower + step


def test_a_time_limit_leaves_an_answer_and_a_gap(big_forest: Task) -> None:
    query = make_query(big_forest, big_forest.train.head(12), "c1")
    exact = Exact(big_forest, seconds=1e-6)
    found = exact.propose(query, np.random.default_rng(0))
    gaps = exact.gaps
    assert (found.reason == "").all()
    assert verify(big_forest, query, found).good.all()
    assert (~gaps["proven"] & (gaps["gap"] > 0)).any()
    assert (gaps["bound"] <= gaps["price"]).all()
    np.testing.assert_allclose(gaps["gap"], np.where(gaps["price"] > 0, 1 - gaps["bound"] / gaps["price"], 0))


def test_the_classifier_is_asked_about_no_more_than_the_search_and_the_answers(big_forest: Task) -> None:
    query = make_query(big_forest, big_forest.train.head(5), "c1")
    exact = Exact(big_forest, seconds=120)
    before = big_forest.rows_judged
    exact._first(query, np.random.default_rng(0))
    search = big_forest.rows_judged - before
    exact.propose(query, np.random.default_rng(0))
    assert big_forest.rows_judged - before - 2 * search < 60 * len(query)


def test_who_is_there_already_stays(big_forest: Task) -> None:
    there = big_forest.judge(big_forest.rows).predicted == 1
    query = make_query(big_forest, big_forest.train[there].head(3), "c1")
    exact = Exact(big_forest)
    found = exact.propose(query, np.random.default_rng(0))
    np.testing.assert_array_equal(found.rows, query.rows)
    assert (exact.gaps["price"] == 0).all()


def test_what_cannot_be_opened_is_refused(numeric_task: Task) -> None:
    with pytest.raises(InputError, match=r"\(Pipeline\) cannot be looked into; logistic, random-forest"):
        Exact(numeric_task)
    task = small_task("forest", 2, (), 0)
    svm = Task(task.schema, task.train, fit_classifier("svm", task.schema, task.train))
    with pytest.raises(InputError, match="cannot be looked into"):
        Exact(svm)


def test_wrong_options_are_refused() -> None:
    task = small_task("tree", 2, (), 0)
    with pytest.raises(InputError, match="objective 'price' is unknown; use cost, distance or changes"):
        Exact(task, objective="price")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="seconds must be positive, not 0"):
        Exact(task, seconds=0)
    several = small_task("logistic", 3, (), 0)
    query = make_query(several, several.train.head(1), margin=0.2)
    with pytest.raises(InputError, match="a margin over the other classes is not linear"):
        Exact(several).propose(query, np.random.default_rng(0))
