"""The parts of a comparison: which rows it has, what a worker makes of a generator, the scores, the figures."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade import BASE, answers, hand_task, random_answers, random_task
from sensecf import metrics
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.runs.compare import figures
from sensecf.runs.compare.methods import Method, methods
from sensecf.runs.compare.methods import answers as answers_of
from sensecf.runs.compare.scores import compare_pairs, pareto, request_ranks, score
from sensecf.runs.compare.worker import Chunk, Job, answer
from strategies import cases

FACTS = dict.fromkeys(range(4), BASE)


def ask(task: Task, count: int = 4) -> tuple[Query, pd.DataFrame]:
    """The base row, asked about several times."""
    facts = pd.DataFrame([BASE] * count).rename_axis("query")
    return make_query(task, facts, "low"), facts.assign(predicted="high", probability=0.2)


# --- which rows --------------------------------------------------------------------------


def test_our_own_generators_are_polished_and_peers_are_shown_raw_and_filtered() -> None:
    found = methods(["search", "handmade_generators:Two", "nearest+raw"])
    assert [m.label for m in found] == ["search", "Two", "Two+filter", "nearest+raw"]
    assert [m.way for m in found] == ["polish", "raw", "filter", "raw"]


def test_a_peer_that_can_be_told_the_rules_is_run_twice() -> None:
    assert [(m.way, m.run) for m in methods(["nice"])] == [("raw", "raw"), ("filter", "filter")]
    assert [(m.way, m.run) for m in methods(["handmade_generators:Two"])] == [("raw", "raw"), ("filter", "raw")]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["nobody"], "'nobody' is unknown"),
        (["search+fast"], "the way 'fast' is unknown"),
        (["search", "search"], "named twice"),
        ([], "at least one"),
    ],
)
def test_what_cannot_be_compared_is_said(names: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        methods(names)


# --- the worker --------------------------------------------------------------------------


class Fake:
    """Proposes what a function of the query gives."""

    name = "fake"

    def __init__(self, propose: Any) -> None:
        self._propose = propose

    def propose(self, query: Query, rng: np.random.Generator) -> Candidates:
        found: Candidates = self._propose(query)
        return found


JOB = Job("fake", "out")


def test_a_request_that_raises_does_not_take_the_others_along() -> None:
    task = hand_task()
    query, _ = ask(task)
    calls = []

    def propose(part: Query) -> Candidates:
        calls.append(len(part))
        if len(part) > 1 or len(calls) == 3:
            raise ZeroDivisionError("by zero")
        return Candidates.of(np.array([0]), part.rows, "fake")

    chunk = answer(task, Fake(propose), query, np.arange(4), JOB, {})
    assert calls == [4, 1, 1, 1, 1]
    assert [reason == "" for reason in chunk.reason] == [True, False, True, True]
    assert "ZeroDivisionError: by zero" in chunk.reason[1]
    assert np.isnan(chunk.rows[1]).all()


def test_rows_that_no_table_can_hold_are_rows_with_a_reason() -> None:
    task = hand_task()
    query, _ = ask(task)

    def propose(part: Query) -> Candidates:
        rows = part.rows.copy()
        rows[0, 4] = 1.5
        rows[1, 0] = np.inf
        rows[2] = np.nan
        return Candidates.of(np.arange(4), rows, "fake")

    chunk = answer(task, Fake(propose), query, np.arange(4), JOB, {})
    assert ["level" in chunk.reason[0], "infinite" in chunk.reason[1], "empty" in chunk.reason[2]] == [True] * 3
    assert chunk.reason[3] == ""


@pytest.mark.parametrize(("owner", "width"), [([7], 5), ([-1], 5), ([0], 3)])
def test_proposals_of_the_wrong_shape_are_an_error_of_the_generator(owner: list[int], width: int) -> None:
    task = hand_task()
    query, _ = ask(task, 1)
    fake = Fake(lambda part: Candidates.of(np.array(owner), np.zeros((1, width)), "fake"))
    chunk = answer(task, fake, query, np.arange(1), JOB, {})
    assert "ValueError: proposals" in chunk.reason[0]


def test_classifier_rows_are_counted_and_fits_are_not_among_them() -> None:
    task = hand_task()
    query, _ = ask(task)
    task.check()  # what the classifier is tried with once is no part of an answer

    def propose(part: Query) -> Candidates:
        task.judge(part.rows)
        return Candidates.of(np.arange(len(part)), part.rows, "fake")

    chunk = answer(task, Fake(propose), query, np.array([1, 3]), JOB, {"fit_seconds": 2.0, "fit_rows": 9.0})
    assert chunk.classifier_rows == 2
    assert (chunk.fit_seconds, chunk.fit_rows) == (2.0, 9.0)
    assert chunk.query.tolist() == [1, 3]


@cases(30)
@given(st.integers(0, 5), st.integers(0, 2**31))
def test_a_chunk_is_read_back_as_it_was_written(tmp_path_factory: Any, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = np.array(["", "raised “x”: 日本", "a | b"], dtype=object)
    chunk = Chunk(
        np.arange(m), rng.integers(0, 9, m), np.where(rng.random((m, 3)) < 0.3, np.nan, rng.normal(size=(m, 3))),
        words[rng.integers(0, 3, m)], words[rng.integers(0, 3, m)], rng.random(m), 1.5, 7.0, fit_rows=2.0,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("chunk") / "batch-000000x1.npz"
    chunk.save(path)
    [back] = Chunk.all_in(path.parent)
    for name, value in vars(chunk).items():
        np.testing.assert_array_equal(getattr(back, name), value)


# --- answers -----------------------------------------------------------------------------

GOOD, WRONG, BREAKS = {"steps": 9000}, {"steps": 4500}, {"steps": 9000, "sleep": 20.0}


def chunk_of(task: Task, *proposals: tuple[int, dict[str, Any] | None]) -> Chunk:
    rows = [task.codec.encode(pd.DataFrame([{**BASE, **(edit or {})}]))[0] for _, edit in proposals]
    reason = ["" if edit is not None else "gave up" for _, edit in proposals]
    blank = np.array([edit is None for _, edit in proposals])
    return Chunk(
        np.arange(3), np.array([q for q, _ in proposals]), np.where(blank[:, None], np.nan, rows),
        np.array(reason, dtype=object), np.full(len(rows), "fake", dtype=object), np.full(len(rows), 0.9), 3.0, 30.0,
    )  # fmt: skip


def rows_of(way: Any, *proposals: tuple[int, dict[str, Any] | None], n: int = 1) -> pd.DataFrame:
    task = hand_task()
    query, facts = ask(task, 3)
    made = answers_of(task, query, facts, Method("x", "x", way, "raw"), [chunk_of(task, *proposals)], n)
    return made.frame


def test_raw_takes_the_first_proposal_whatever_it_is_worth() -> None:
    frame = rows_of("raw", (0, WRONG), (0, GOOD), (1, BREAKS), (2, None))
    assert frame["valid"].tolist() == [False, True, False]
    assert frame["feasible"].tolist() == [True, False, False]
    assert frame["rank"].isna().tolist() == [False, False, True]
    assert "breaks" in frame["reason"][1]
    assert frame["reason"][2] == "gave up"
    assert frame["seconds"].tolist() == [1.0, 1.0, 1.0]


def test_the_filter_goes_on_to_the_next_proposal_and_says_what_it_refused() -> None:
    frame = rows_of("filter", (0, WRONG), (0, GOOD), (1, BREAKS), (1, BREAKS), (2, None))
    assert frame["valid"].tolist() == [True, False, False]
    assert frame["rank"].isna().tolist() == [False, True, True]
    assert "2 refused; the first sleep must stay as it is" in frame["reason"][1]
    assert frame["reason"][2] == "gave up"


def test_what_a_generator_states_of_its_answers_is_kept_beside_them() -> None:
    task = hand_task()
    query, facts = ask(task, 3)
    chunk = replace(chunk_of(task, (0, GOOD), (1, WRONG), (2, None)), stated=np.array([0.8, 0.6, np.nan]))
    made = answers_of(task, query, facts, Method("x", "x", "raw", "raw"), [chunk], 1)
    assert made.cost["stated"] == pytest.approx(0.7)
    silent = replace(chunk, stated=np.full(3, np.nan))
    assert "stated" not in answers_of(task, query, facts, Method("x", "x", "raw", "raw"), [silent], 1).cost


def test_up_to_n_answers_in_the_generators_own_order() -> None:
    frame = rows_of("raw", (0, GOOD), (1, GOOD), (0, WRONG), (0, {"deep": 70.0}), n=2)
    assert frame["query"].tolist() == [0, 0, 1, 2]
    assert frame["rank"].tolist()[:3] == [1, 2, 1]
    assert frame["steps"].tolist()[:2] == [9000, 4500]
    assert frame["reason"][3] == "nothing was proposed"


def test_a_row_that_breaks_a_rule_is_still_judged_for_likeness() -> None:
    frame = rows_of("raw", (0, BREAKS))
    task = hand_task()
    cfs = answers(task.schema, FACTS, [(0, 1, BREAKS)])
    assert frame["plausible"][0] == (metrics.plausible(cfs, task).iloc[0] > 0)


# --- scores ------------------------------------------------------------------------------


def scored(people: list[str] | None = None) -> Any:
    """Two methods on four requests: `near` solves 0 to 2 with one change, `far` solves 0, 1 and 3 with two."""
    task = hand_task()
    query, _ = ask(task)
    near = answers(task.schema, FACTS, [(0, 1, GOOD), (1, 1, GOOD), (2, 1, GOOD), (3, 1, WRONG)])
    more = {"steps": 9000, "deep": 40.0}
    far = answers(task.schema, FACTS, [(0, 1, more), (1, 1, more), (2, None, {}), (3, 1, more)])
    directions = pd.Series(["high → low", "high → low", "other", "other"])
    groups = None if people is None else pd.Series(people)
    return score({"near": near, "far": far}, task, query, directions, groups, reference=far)


def value(scores: Any, method: str, metric: str, direction: str = "all") -> tuple[float, int]:
    rows = scores.summary.set_index(["method", "direction", "metric"])
    row = rows.loc[(method, direction, metric)]
    return float(row["value"]), int(row["n"])


def test_unanswered_requests_count_and_effort_is_over_valid_answers() -> None:
    scores = scored()
    assert value(scores, "near", "validity") == (0.75, 4)
    assert value(scores, "far", "validity") == (0.75, 4)
    assert value(scores, "far", "coverage") == (0.75, 4)
    assert value(scores, "near", "n_changed") == (1.0, 3)
    assert value(scores, "far", "n_changed") == (2.0, 3)


def test_directions_split_the_requests() -> None:
    scores = scored()
    assert value(scores, "near", "validity", "high → low") == (1.0, 2)
    assert value(scores, "near", "validity", "other") == (0.5, 2)
    assert value(scores, "far", "n_changed", "other") == (2.0, 1)


def test_methods_are_compared_on_the_requests_that_all_solved() -> None:
    scores = scored()
    assert scores.common.tolist() == [0, 1]
    assert value(scores, "near", "n_changed_common") == (1.0, 2)
    # By hand: 5000 steps at a MAD of 2000, and 10 min more at a MAD of 10.
    assert value(scores, "near", "mad_l1_common") == (2.5, 2)
    assert value(scores, "far", "mad_l1_common") == (3.5, 2)


def test_success_holds_every_method_against_the_reference() -> None:
    scores = scored()
    assert value(scores, "near", "success_at_3") == (0.75, 4)
    assert value(scores, "far", "success_at_3") == (0.75, 4)
    task = hand_task()
    query, _ = ask(task)
    near, far = (answers(task.schema, FACTS, [(0, 1, edit)]) for edit in ({"steps": 8000}, GOOD))
    for reference, share in ((near, 0.0), (far, 0.25)):
        found = score({"far": far}, task, query, pd.Series(["a"] * 4), None, reference=reference)
        assert value(found, "far", "success_at_3") == (share, 4)
    assert value(score({"far": far}, task, query, pd.Series(["a"] * 4), None), "far", "success_at_3")[1] == 0


def test_a_method_that_solves_little_does_not_shrink_the_common_set() -> None:
    task = hand_task()
    query, _ = ask(task)
    all_four = answers(task.schema, FACTS, [(q, 1, GOOD) for q in range(4)])
    one = answers(task.schema, FACTS, [(0, 1, GOOD)])
    scores = score({"all": all_four, "one": one}, task, query, pd.Series(["a"] * 4), None)
    assert scores.common.tolist() == [0, 1, 2, 3]
    assert scores.left_out == ("one",)
    assert value(scores, "one", "n_changed_common") == (1.0, 1)


def test_pairs_are_compared_on_what_both_solved_and_on_all() -> None:
    found = scored(["a", "a", "b", "c"]).comparisons.set_index(["metric", "on"])
    both = found.loc[("n_changed", "solved")]
    assert (both["mean_a"], both["mean_b"], both["n"], both["people"]) == (1.0, 2.0, 2, 1)
    every = found.loc[("n_changed", "all")]
    # near serves 0, 1 (fewer changes) and 2 (alone); far serves 3 alone.
    assert (every["mean_a"], every["mean_b"], every["difference"], every["n"]) == (0.75, 0.25, 0.5, 4)


def test_a_clear_difference_names_its_winner_and_a_draw_names_none() -> None:
    rng = np.random.default_rng(0)
    low = pd.Series(rng.normal(1, 0.1, 40))
    table = pd.DataFrame({"low": low, "high": low + 1, "same": low})
    found = compare_pairs({"mad_l1": table}, None).query("on == 'solved'").set_index(["a", "b"])
    assert found.loc[("low", "high"), "winner"] == "low"
    assert found.loc[("high", "same"), "winner"] == "same"
    assert found.loc[("low", "same"), "winner"] == ""
    assert found.loc[("low", "high"), "p_holm"] == pytest.approx(3 * found.loc[("low", "high"), "p"])


def test_ranks_within_a_request_put_the_unsolved_last() -> None:
    table = pd.DataFrame({"a": [1.0, np.nan, 1.0], "b": [2.0, 5.0, 1.0], "c": [3.0, np.nan, np.nan]})
    assert request_ranks(table, higher=False).round(6).tolist() == [
        round((1 + 2.5 + 1.5) / 3, 6),
        round((2 + 1 + 1.5) / 3, 6),
        round((3 + 2.5 + 3) / 3, 6),
    ]


@cases(60)
@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, math.nan])] * 3), min_size=1, max_size=8))
def test_the_pareto_front_is_what_a_slow_loop_finds(rows: list[tuple[float, ...]]) -> None:
    def beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        a, b = (tuple(math.inf if math.isnan(v) else v for v in r) for r in (a, b))
        return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

    slow = [not any(map(math.isnan, row)) and not any(beats(other, row) for other in rows) for row in rows]
    assert pareto(np.array(rows)).tolist() == slow


# --- figures -----------------------------------------------------------------------------


def text_of(svg: str) -> str:
    return " ".join(t.strip() for t in ElementTree.fromstring(svg).itertext() if t.strip())


def summary_of(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"method": name, "metric": metric, "value": 0.5 if name != "none" else math.nan, "low": 0.25, "high": 0.75,
             "n": 40 if name != "none" else 0}
            for name in names
            for metric in ("validity", "mad_l1")
        ]
    )  # fmt: skip


def test_the_intervals_name_every_method_and_write_its_denominator() -> None:
    names = ["tiny", "$x^2$ <b>", "none"]
    drawn = text_of(figures.intervals(summary_of(names), [("validity", "valid", True)], ["tiny"]))
    for word in (*names, "valid", "40", "–"):
        assert word in drawn


def test_the_trade_offs_ring_those_that_none_beats() -> None:
    points = pd.DataFrame(
        {"n_changed": [1.0, 2.0, 3.0], "mad_l1": [2.0, 1.0, 3.0], "lof_inlier": [0.9, 0.9, 0.8]}, index=["a", "b", "c"]
    )
    svg = figures.trade_offs(points, ["a"])
    rings = svg.count(f"stroke: {figures.DOWN}; stroke-width: 1.2")
    assert rings == 4  # two methods in two panels
    assert {"a", "b", "c"} <= set(text_of(svg).split())


def test_the_trade_offs_of_equal_points_and_of_one_point_are_drawn() -> None:
    for count in (1, 12):
        points = pd.DataFrame({"n_changed": [1.0] * count, "mad_l1": [1.0] * count, "lof_inlier": [1.0] * count})
        assert "<svg" in figures.trade_offs(points.set_index(np.array([f"m{k}" for k in range(count)])), [])


def test_the_critical_difference_joins_methods_that_cannot_be_told_apart() -> None:
    ranks = np.array([1.0, 1.5, 3.0, 3.2])
    assert figures.joined(ranks, 1.0) == [(0, 1), (2, 3)]
    assert figures.joined(ranks, 5.0) == [(0, 3)]
    assert figures.joined(ranks, 0.1) == []
    drawn = text_of(figures.critical_difference(["b", "a", "c", "d"], [1.5, 1.0, 3.0, 3.2], 1.0, "success@3"))
    for word in ("critical difference 1.00", "a", "1.00", "success@3"):
        assert word in drawn


def test_figures_are_the_same_bytes_each_time() -> None:
    names = ["a", "b"]
    draw = [figures.intervals(summary_of(names), [("mad_l1", "distance", False)], []) for _ in range(2)]
    assert draw[0] == draw[1]


# --- measures of some of the requests ----------------------------------------------------


def test_a_summary_is_what_was_measured_and_then_averaged() -> None:
    task = random_task()
    cfs = random_answers(task, n=2)
    found = metrics.measure(cfs, task)
    whole = metrics.aggregate(found)
    pd.testing.assert_frame_equal(whole, metrics.summarise(cfs, task).loc[whole.index])
    some = metrics.aggregate(found.of(pd.Index(range(10))))
    kept = replace(cfs, frame=cfs.frame[cfs.frame["query"] < 10], factuals=cfs.factuals.loc[:9])
    alone = metrics.summarise(kept, task).loc[whole.index]
    whole_run = ["critic_auc", "critic_auc_before", "noise_validity"]  # is fitted on all answers, draws for all of them
    pd.testing.assert_frame_equal(some.drop(whole_run), alone.drop(whole_run))
