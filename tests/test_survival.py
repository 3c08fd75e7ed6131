"""`compare`: answers under fresh refits by kind of change, prices at equal survival, and rows asked to hold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from handmade import answers, hand_task, random_task
from sensecf import metrics
from sensecf.classifiers.jury import Jury
from sensecf.core.errors import InputError
from sensecf.core.task import Task
from sensecf.runs.compare import CompareSpec, compare
from sensecf.runs.compare.methods import methods
from sensecf.runs.compare.survival import BEYOND, LADDER, SURVIVAL, first_held, fresh, prices, rows, survival


class Says:
    """A refit that gives everybody one class."""

    def __init__(self, task: Task, word: Any) -> None:
        self.classes_, self._word = np.array(task.classes, dtype=object), word

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.full(len(X), self._word, dtype=object)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return np.tile((self.classes_ == self._word).astype(float), (len(X), 1))


def jury(task: Task, *words: Any) -> Jury:
    return Jury(task, "bootstrap", 0, [Says(task, word) for word in words])


def values(**parts: list[float]) -> dict[str, pd.Series]:
    return {name: pd.Series(part, dtype=float) for name, part in parts.items()}


def test_survival_is_over_the_answers_and_served_over_all_who_were_asked() -> None:
    from test_compare import FACTS, GOOD

    task = hand_task()
    read = metrics.read(answers(task.schema, FACTS, [(0, 1, GOOD), (1, 1, GOOD)]), task)
    low, high = "low", next(c for c in task.classes if c != "low")
    found = survival(read, {"bootstrap": jury(task, low, low, low, high)})
    assert found["survival_bootstrap"].to_list() == [0.75, 0.75]
    assert found["served_bootstrap"].to_list() == [0.75, 0.75] + [0.0] * (len(FACTS) - 2)
    table = rows(found, read.requests, None, 0)
    assert table.loc["survival_bootstrap", ["value", "n"]].to_list() == [0.75, 2]
    assert table.loc["served_bootstrap", ["value", "n"]].to_list() == [1.5 / len(FACTS), len(FACTS)]


def test_an_answer_of_another_class_does_not_serve_however_many_refits_agree() -> None:
    from test_compare import FACTS

    task = hand_task()
    read = metrics.read(answers(task.schema, FACTS, [(0, 1, {})]), task)  # the factual itself
    found = survival(read, {"bootstrap": jury(task, "low")})
    assert not len(found["survival_bootstrap"])
    assert found["served_bootstrap"].sum() == 0.0
    assert first_held(read, {"bootstrap": jury(task, "low")})["survival"].isna().all()


def test_prices_are_compared_at_the_least_margin_that_survives_no_less() -> None:
    near = values(survival=[0.5, 0.5, 0.5], n_changed=[1, 1, 1], mad_l1=[1.0, 1.0, 1.0])
    firm = values(survival=[0.9, 1.0, math.nan], n_changed=[2, 2, math.nan], mad_l1=[2.0, 4.0, math.nan])
    far = values(survival=[1.0, 1.0, 1.0], n_changed=[5, 5, 5], mad_l1=[9.0, 9.0, 9.0])
    rungs = [(0.0, near), (0.5, firm), (0.9, far)]
    peer = values(survival=[0.9, 0.9, 0.9], n_changed=[4, 6, 8], mad_l1=[5.0, 7.0, 9.0])
    row = prices({"peer": peer}, rungs, None).iloc[0]
    assert (row["margin"], row["our_survival"], row["our_coverage"], row["equal"]) == (0.5, 0.95, 2 / 3, True)
    # Over the two requests that both answered.
    assert (row["n"], row["n_changed"], row["our_n_changed"], row["mad_l1"], row["our_mad_l1"]) == (2, 5, 2, 6, 3)


def test_where_no_margin_survives_as_often_the_steadiest_is_shown_and_said() -> None:
    rungs = [(m, values(survival=[s], n_changed=[1], mad_l1=[1])) for m, s in ((0.0, 0.5), (0.4, 0.8), (0.8, 0.7))]
    peer = values(survival=[0.9], n_changed=[1], mad_l1=[1])
    row = prices({"peer": peer}, rungs, None).iloc[0]
    assert (row["margin"], row["equal"]) == (0.4, False)


def test_a_method_without_an_answer_has_no_price() -> None:
    rungs = [(0.0, values(survival=[0.5], n_changed=[1], mad_l1=[1]))]
    none = values(survival=[math.nan], n_changed=[math.nan], mad_l1=[math.nan])
    row = prices({"none": none}, rungs, None).iloc[0]
    assert (row["coverage"], row["n"]) == (0.0, 0)
    assert math.isnan(row["margin"])


def test_refits_that_judge_are_none_that_a_jury_of_the_same_seed_has(numeric_task: Task) -> None:
    judges, refused = fresh(numeric_task, 2, seed=0)
    assert {f"{kind}_{change}" for change in judges for kind in ("survival", "served")} <= set(SURVIVAL)
    assert list(refused) == ["later"], "this table has no dates"
    assert judges["bootstrap"].seed == BEYOND
    own = Jury.fit(numeric_task, "bootstrap", 2, 0)
    probe = [np.asarray(m.predict_proba(numeric_task.train[numeric_task.schema.names]))[:, 1]
             for m in (*own.members, *judges["bootstrap"].members)]  # fmt: skip
    assert len({part.round(9).tobytes() for part in probe}) == 4


def test_the_boundary_answer_and_the_one_that_is_asked_to_hold_are_two_rows() -> None:
    found = methods(["search", "search@hold", "nice@hold"])
    assert [(m.label, m.way, m.hold) for m in found] == [
        ("search", "polish", False), ("search@hold", "polish", True), ("nice+polish@hold", "polish", True),
    ]  # fmt: skip
    assert found[0].asking != found[1].asking


@pytest.mark.parametrize("name", ["search@0.95", "nice+raw@hold", "search@", "nice+filter@hold"])
def test_what_cannot_be_asked_to_hold_is_said(name: str) -> None:
    with pytest.raises(InputError, match="cannot be read; write"):
        methods([name])


def test_a_comparison_says_what_survives_and_what_it_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensecf.runs.compare.run.LADDER", (LADDER[0], LADDER[-1]))  # each is asked in a process
    task = random_task(people=60)
    request = CompareSpec(
        ("search", "robx+filter"), classifier="logistic", target="good", limit=8, refits=2, price=True
    )
    made = compare(task.train, task.schema, tmp_path / "out", request)
    summary = made.scores.summary.set_index(["method", "metric"])
    for change in ("bootstrap", "seed", "fewer", "labels", "family"):
        assert summary.loc[("search", f"survival_{change}"), "n"].max() > 0
    assert set(pd.read_csv(tmp_path / "out" / "price.csv")["method"]) == {"search", "robx+filter"}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Do answers hold?" in page
    assert "2 fresh refits of each kind" in page
    assert "Beside the search at the least margin" in page


def test_without_refits_nothing_is_said_of_survival(tmp_path: Path) -> None:
    task = random_task(people=60)
    request = CompareSpec(("search",), classifier="logistic", target="good", limit=4, refits=0)
    made = compare(task.train, task.schema, tmp_path / "out", request)
    assert not made.scores.summary["metric"].isin(SURVIVAL).any()
    assert "No refits were asked for" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_price_without_refits_is_refused() -> None:
    task = random_task(people=60)
    with pytest.raises(InputError, match="--refits"):
        compare(task.train, task.schema, "nowhere", CompareSpec(("search",), target="good", refits=0, price=True))


def test_the_row_that_is_asked_to_hold_survives_more_than_the_boundary_answers(tmp_path: Path) -> None:
    task = random_task(people=150)
    request = CompareSpec(("search", "search@hold"), classifier="logistic", target="good", limit=12, refits=6)
    made = compare(task.train, task.schema, tmp_path / "out", request)
    means = made.scores.summary.query("direction == 'all'").set_index(["metric", "method"])["value"]
    assert means["survival_bootstrap", "search@hold"] > means["survival_bootstrap", "search"]
    assert means["mad_l1", "search@hold"] > means["mad_l1", "search"]
    # What the answers state is a lower bound over refits that took no part in finding them.
    assert 0.5 < made.answers["search@hold"].cost["stated"] < 1
    assert "stated" not in made.answers["search"].cost
    assert "search@hold" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8").split("state themselves")[1]
