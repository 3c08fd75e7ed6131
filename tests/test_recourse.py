"""The columns of RecourseBench: by hand on a small table, and from a finished comparison by the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sensecf
from command import call, refused
from sensecf.classifiers.jury import Jury
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.runs import recourse

ROOT = Path(__file__).resolve().parents[1]
#: The rows of ours that leave nobody out: boundary answers, and plans that hold with their gaps filled.
BOTH = recourse.both("search@hold", "search")
WHOLE = [name for pair in recourse.PAIRS for name in (pair[1], recourse.both(*pair))]

SCHEMA = FeatureSchema(
    (
        Feature("hours", "integer", low=0, high=10, step=1, direction="increase"),
        Feature("dose", "continuous", low=0.0, high=4.0, step=0.5),
        Feature("shift", "categorical", levels=("day", "late", "night")),
        Feature("age", "integer", "immutable", low=20, high=60, step=1),
    ),
    label="well",
    classes=(False, True),
)


class Steps:
    """Well from six hours on; one of the refits wants eight."""

    classes_ = np.array([False, True])

    def __init__(self, least: float = 6) -> None:
        self.least = least

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = np.where(X["hours"] >= self.least, 0.9, 0.1)
        return np.column_stack([1 - p, p])

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return (X["hours"] >= self.least).to_numpy()


@pytest.fixture(scope="module")
def asked() -> recourse.Requests:
    rng = np.random.default_rng(0)
    train = pd.DataFrame(
        {
            "hours": [0, 10, *rng.integers(0, 11, 38)],
            "dose": [0.0, 4.0, *rng.integers(0, 9, 38) / 2],
            "shift": rng.choice(["day", "late", "night"], 40),
            "age": [20, 60, *rng.integers(20, 61, 38)],
        }
    )
    train["well"] = train["hours"] >= 6
    task = Task(SCHEMA, train, Steps())
    rows = task.codec.encode(pd.DataFrame({"hours": [2, 4, 5], "dose": 1.0, "shift": "day", "age": 30}))
    jury = Jury(task, "bootstrap", 0, [Steps(6), Steps(8)])
    return recourse.Requests(task, pd.RangeIndex(3), rows, np.array([1, 1, 1]), jury)


def test_the_columns_are_what_a_hand_computes(asked: recourse.Requests) -> None:
    answers = np.array([[8, 1.0, 0, 30], [6, 3.0, 2, 30], [np.nan] * 4])
    found = recourse.columns(asked, answers)
    assert found["validity"] == pytest.approx(2 / 3)
    assert found["future_validity"] == pytest.approx((1 + 0.5 + 0) / 3)
    # 6 of 10 hours; then 2 of 10 hours, 2 of 4 doses and another shift: two of its three columns.
    assert found["distance_l0"] == pytest.approx((1 + 4) / 2)
    assert found["distance_l1"] == pytest.approx((0.6 + 0.2 + 0.5 + 2) / 2)
    assert found["distance_l2"] == pytest.approx((0.6 + np.sqrt(0.04 + 0.25 + 2)) / 2)
    assert found["distance_linf"] == pytest.approx((0.6 + 1) / 2)
    assert found["type_violation_rates"] == found["mutability_violation_rates"] == 0


def test_the_neighbours_are_training_rows(asked: recourse.Requests) -> None:
    points = recourse.space(asked.task.codec, asked.task.rows)(asked.task.rows)
    row = asked.task.rows[[0]]
    apart = np.sort(np.linalg.norm(points - points[0], axis=1))[:5]
    found = recourse.columns(asked, np.vstack([row, np.full((2, 4), np.nan)]))
    assert found["knn_5"] == pytest.approx(apart.mean())


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        ([6, 1.0, 0, 31], {"mutability", "actionability"}),
        ([1, 1.0, 0, 30], {"actionability"}),
        ([6.4, 1.0, 0, 30], {"type"}),
        ([6, 1.0, 3, 30], {"type"}),
        ([6, np.nan, 0, 30], {"type"}),
        ([6, 1.25, 1, 30], set()),
    ],
)
def test_each_violation_is_seen_and_no_other(asked: recourse.Requests, answer: list[float], broken: set[str]) -> None:
    found = recourse.violations(asked.task, asked.rows[:1], np.array([answer], dtype=float))
    assert {name for name, where in found.items() if where[0]} == broken


def test_a_method_without_an_answer_fails_and_has_no_distance(asked: recourse.Requests) -> None:
    found = recourse.columns(asked, np.full((3, 4), np.nan))
    assert found["validity"] == found["future_validity"] == 0
    assert np.isnan(found["distance_l1"])


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data, folder = sensecf.datasets.load("simulated"), tmp_path_factory.mktemp("compared") / "days"
    frame = data.frame[data.frame["participant_id"].isin(data.frame["participant_id"].unique()[:60])]
    limits = sensecf.Limits(edit="mutable", hold=0.0)
    spec = sensecf.CompareSpec(("search", "search@hold", "nice"), "logistic", limit=6, refits=0, limits=limits)
    sensecf.compare(frame, data.schema, folder, spec)
    return folder


def test_the_command_prints_and_writes_the_columns(compared: Path, tmp_path: Path) -> None:
    done = call("bench", "recourse", compared, "--refits", "2", "--out", tmp_path / "columns")
    assert done.status == 0, done.err
    found = pd.read_csv(tmp_path / "columns" / "recourse.csv")
    assert list(found.columns) == ["comparison", "method", "requests", *recourse.COLUMNS]
    assert {"search", "search@hold", BOTH, "nice", "nice+filter"} <= set(found["method"])
    ours = found.set_index("method").loc["search"]
    assert ours["validity"] == 1
    assert ours[["type_violation_rates", "mutability_violation_rates", "actionability_violation_rates"]].eq(0).all()
    both, held = (found.set_index("method").loc[name, "validity"] for name in (BOTH, "search@hold"))
    assert both >= max(held, ours["validity"])
    assert "kNN-5" in (tmp_path / "columns" / "recourse.md").read_text(encoding="utf-8")
    assert "search@hold" in done.out


def test_the_columns_are_written_again_where_they_may_be(compared: Path, tmp_path: Path) -> None:
    """A folder that the command wrote is known as one."""
    order = ("bench", "recourse", compared, "--refits", "1", "--out", tmp_path / "columns")
    assert call(*order).status == 0
    refused(call(*order), "--overwrite")
    assert call(*order, "--overwrite").status == 0


def test_what_is_no_comparison_is_refused(tmp_path: Path) -> None:
    done = call("bench", "recourse", tmp_path, "--out", tmp_path / "columns")
    refused(done, "run.json", left=tmp_path / "columns")


def test_the_page_of_results_is_made_of_the_stored_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from recourse_page import page

    stored, pairs = (pd.read_csv(ROOT / "benchmarks" / f"{name}.csv") for name in ("recourse", "recourse_pairs"))
    assert (ROOT / "docs" / "results" / "recourse.md").read_text(encoding="utf-8") == page(stored, pairs)


def test_our_answers_violate_nothing_and_leave_nobody_out_in_the_stored_figures() -> None:
    stored = pd.read_csv(ROOT / "benchmarks" / "recourse.csv")
    ours = stored[stored["method"].isin(WHOLE)]
    assert ours["validity"].eq(1).all()
    assert ours.filter(like="violation").eq(0).all(axis=None)
