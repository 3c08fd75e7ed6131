"""The comparison with the original packages: the exported classifier, processes with limits, scores by hand.

The originals themselves are not needed here: small scripts stand in for them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import sensecf
from handmade import BASE, SCHEMA, hand_task
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.generators.nice import Autoencoder, Nice

FOLDER = Path(__file__).resolve().parents[1] / "bench" / "peers"


class Peers(NamedTuple):
    files: ModuleType
    runs: ModuleType
    scores: ModuleType


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    """The modules of bench/peers, imported as its command imports them."""
    sys.path.insert(0, str(FOLDER))
    try:
        import peer_files
        import peer_runs
        import peer_scores

        yield Peers(peer_files, peer_runs, peer_scores)
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def made(peers: Peers) -> Any:
    """A small mixed table with an XGBoost pipeline, as a `Bench`."""
    rng = np.random.default_rng(0)
    n = 300
    table = pd.DataFrame(
        {
            "steps": rng.integers(10, 150, n) * 100,
            "sleep": rng.normal(400, 60, n).round(),
            "device": rng.choice(["watch", "ring", "band"], n),
            "pill": rng.choice(["no", "yes"], n),
        }
    )
    score = table["steps"] / 4000 + (table["sleep"] - 400) / 60
    score += 2 * (table["device"] == "ring") - (table["pill"] == "yes")
    table["stress"] = np.where(score + rng.normal(size=n) / 2 > 2.2, "low", "high")
    schema = FeatureSchema(
        (
            Feature("steps", "integer", low=0, high=20_000, step=100),
            Feature("sleep", "continuous", low=100, high=800, step=1),
            Feature("device", "categorical", levels=("watch", "ring", "band")),
            Feature("pill", "binary", role="immutable", levels=("no", "yes")),
        ),
        "stress",
        ("high", "low"),
        "low",
    )
    pipeline = sensecf.fit_classifier("xgboost", schema, table)
    task = sensecf.Task(schema, table, peers.runs.Exported(pipeline, schema))
    free_schema = peers.runs.relaxed(schema, task)
    free = sensecf.Task(free_schema, table, peers.runs.Exported(pipeline, free_schema))
    asked = table[pipeline.predict(table[schema.names]) == "high"].head(6)
    return peers.runs.Bench("small", task, free, make_query(task, asked), make_query(free, asked)), pipeline


def test_the_exported_trees_answer_as_xgboost_does_blanks_and_levels_too(peers: Peers, made: Any) -> None:
    bench, pipeline = made
    rng = np.random.default_rng(1)
    rows = np.column_stack(
        [rng.uniform(0, 20_000, 500), rng.uniform(0, 900, 500), rng.integers(0, 3, 500), rng.integers(0, 2, 500)]
    )
    rows[rng.random(rows.shape) < 0.1] = np.nan
    ours = bench.task.classifier.trees.predict_proba(rows)
    theirs = pipeline.predict_proba(bench.task.codec.decode(rows))
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    assert ours.std() > 0.1


def test_the_autoencoder_gives_the_same_errors_from_its_file(peers: Peers, made: Any) -> None:
    free = made[0].free
    written = peers.files.Autoencoder(json.loads(json.dumps(peers.runs.autoencoder_of(free))))
    np.testing.assert_allclose(written.error(free.rows), Autoencoder(free).error(free.rows), rtol=1e-9)


def test_a_task_survives_its_folder(peers: Peers, made: Any, tmp_path: Path) -> None:
    bench = made[0]
    peers.runs.write_task(bench, tmp_path)
    read = peers.files.Task(tmp_path)
    assert read.names == bench.task.schema.names
    np.testing.assert_array_equal(read.train, bench.task.rows)
    np.testing.assert_array_equal(read.queries, bench.query.rows)
    np.testing.assert_array_equal(read.y, bench.task.y)
    assert read.changeable.tolist() == [True, True, True, False]
    assert bench.task.classes[read.target] == "low"
    proba = read.trees.predict_proba(read.train)
    np.testing.assert_array_equal(proba, bench.task.classifier.trees.predict_proba(bench.task.rows))


def test_the_relaxed_schema_forbids_nothing(peers: Peers) -> None:
    task = hand_task()
    free = peers.runs.relaxed(SCHEMA, task)
    assert all(f.changeable and f.direction == "any" and f.max_change is None for f in free.features)
    assert free.rules == ()
    assert free.max_changes is None
    for before, after in zip(SCHEMA.features, free.features, strict=True):
        if before.numeric:
            assert after.step <= before.step
            assert after.low < before.low < before.high < after.high


#: Stands in for an original: answers by the method it is asked for.
STAND_IN = """
import sys, time
from peer_files import main

def build(task, method, seconds):
    if method == "dies":
        raise ImportError("no module of that name")
    def explain(row):
        if method == "copies":
            return task.train[task.y == task.target][0]
        if method == "fails":
            raise ValueError("it broke\\nhere")
        if method == "spins":
            while True:
                task.trees.predict_proba(row[None, :])
        if method == "sleeps" and row[0] != task.queries[0, 0]:
            time.sleep(60)
        return None
    return explain

if __name__ == "__main__":
    main(build)
"""


def run(peers: Peers, bench: Any, folder: Path, method: str, each: float = 30, total: float = 60) -> Any:
    peers.runs.write_task(bench, folder)
    script = folder / "stand_in.py"
    script.write_text(STAND_IN)
    shape = bench.query.rows.shape
    return peers.runs.run_original(Path(sys.executable), script, folder, method, "it", each, total, shape)


def test_an_original_that_answers_is_read_back(peers: Peers, made: Any, tmp_path: Path) -> None:
    bench = made[0]
    found = run(peers, bench, tmp_path, "copies")
    copied = bench.task.rows[bench.task.y == bench.query.target[0]][0]
    np.testing.assert_array_equal(found.rows, np.tile(copied, (len(bench.query), 1)))
    assert (found.reason == "").all()
    assert (found.judged == 0).all()


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("nothing", "no counterfactual found"),
        ("fails", "ValueError: it broke here"),
        ("spins", "no answer within 0.05 processor seconds"),
        ("dies", "the process ended with status 1: ImportError: no module of that name"),
    ],
)
def test_an_original_that_gives_nothing_is_a_row_with_its_reason(
    peers: Peers, made: Any, tmp_path: Path, method: str, reason: str
) -> None:
    found = run(peers, made[0], tmp_path, method, each=0.05 if method == "spins" else 30)
    assert np.isnan(found.rows).all()
    assert set(found.reason) == {reason}
    row = peers.scores.scores(found, made[0].task, made[0].query)
    assert (row["answered"], row["valid"], row["good"], row["changed"]) == (0, 0.0, 0.0, None)
    assert row["reasons"] == {reason: len(made[0].query)}


def test_an_original_that_hangs_is_ended_and_keeps_what_it_had(peers: Peers, made: Any, tmp_path: Path) -> None:
    bench = made[0]
    distinct = replace(bench, query=bench.query.take(np.unique(bench.query.rows[:, 0], return_index=True)[1]))
    found = run(peers, distinct, tmp_path, "sleeps", total=6)
    assert found.reason[0] == "no counterfactual found"
    assert set(found.reason[1:]) == {"not reached within 6 s for all queries"}


def test_a_torn_line_counts_as_no_answer(peers: Peers, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    line = {"query": 0, "row": [1.0, 2.0], "reason": "", "seconds": 0.5, "rows": 7}
    path.write_text(json.dumps(line) + "\n" + json.dumps(line | {"query": 1})[:20])
    found = peers.runs.read_answers(path, "it", (2, 2), "it was ended")
    assert found.rows[0].tolist() == [1, 2]
    assert found.reason.tolist() == ["", "it was ended"]
    assert found.seconds[0] == 0.5


def test_an_environment_that_cannot_be_made_says_so(peers: Peers) -> None:
    with pytest.raises(InputError, match=r"need Python 3\.9 to 3\.11, and no-such-python is none"):
        peers.runs.old_python("no-such-python")


def by_hand(peers: Peers, name: str, *edits: dict[str, Any] | None) -> Any:
    """Answers to the same factual, `BASE`; None for no answer."""
    task = hand_task()
    base = task.codec.encode(pd.DataFrame([BASE]))[0]
    rows = [np.full(len(base), np.nan) if e is None else task.codec.encode(pd.DataFrame([BASE | e]))[0] for e in edits]
    reason = np.array(["it gave up" if e is None else "" for e in edits], dtype=object)
    cost = np.arange(1.0, len(edits) + 1)
    return peers.runs.Answers(name, np.array(rows), reason, cost, 10 * cost)


def ask(count: int) -> Any:
    return make_query(hand_task(), pd.DataFrame([BASE] * count))


def test_scores_worked_out_by_hand(peers: Peers) -> None:
    answers = by_hand(
        peers,
        "hand",
        {"steps": 8000},  # valid, breaks nothing; 4000 steps are 2 MAD
        {"steps": 7990},  # not valid as given; 8000 as saved
        {"deep": 60.0, "age": 51},  # valid, but age must stay; deep is 3 MAD away, age 1 of its range of 81
        {"steps": 9000, "deep": 450.0},  # deep over sleep, outside its range
        None,
    )
    row = peers.scores.scores(answers, hand_task(), ask(5))
    assert (row["queries"], row["answered"]) == (5, 4)
    assert (row["valid"], row["valid_saved"], row["good"]) == (3 / 5, 4 / 5, 2 / 5)
    assert row["changed"] == (1 + 1 + 2 + 2) / 4
    assert row["mad_l1"] == pytest.approx((2 + 2 + (3 + 1 / 81) + (2.5 + 42)) / 4)
    assert (row["fixed_moved"], row["outside"], row["rule_broken"]) == (1 / 4, 1 / 4, 1 / 4)
    assert (row["seconds"], row["classifier_rows"]) == (3.0, 30.0)
    assert row["reasons"] == {"it gave up": 1}


def test_agreement_worked_out_by_hand(peers: Peers) -> None:
    # The same row; the same feature by another way; other features; one of them without a valid answer.
    ours = by_hand(peers, "ours", {"steps": 8000}, {"steps": 8000}, {"deep": 60.0}, {"steps": 9000})
    theirs = by_hand(peers, "theirs", {"steps": 8000}, {"steps": 9000}, {"deep": 60.0, "steps": 9000}, {"steps": 5000})
    row = peers.scores.agreement(ours, theirs, hand_task(), ask(4))
    assert (row["queries"], row["both"]) == (4, 3)
    assert (row["valid_ours"], row["valid_theirs"]) == (1, 3 / 4)
    assert row["same_row"] == pytest.approx(1 / 3)
    assert row["same_features"] == pytest.approx(2 / 3)
    assert row["jaccard"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert (row["changed_ours"], row["changed_theirs"]) == (1, pytest.approx(4 / 3))
    assert (row["mad_l1_ours"], row["mad_l1_theirs"]) == (pytest.approx(7 / 3), pytest.approx((2 + 2.5 + 5.5) / 3))


def test_methods_without_a_common_answer_have_no_means(peers: Peers) -> None:
    one, other = by_hand(peers, "ours", {"steps": 8000}, None), by_hand(peers, "theirs", None, {"steps": 8000})
    row = peers.scores.agreement(one, other, hand_task(), ask(2))
    assert row["both"] == 0
    assert row["same_features"] is None
    assert "| 0 | – |" in peers.scores.markdown([row], ["both", "same_features"])


def test_ours_run_as_the_originals_do(peers: Peers, made: Any) -> None:
    bench = made[0]
    found = peers.runs.run_ours(Nice(bench.task), bench.task, bench.query, "nice-sparsity")
    row = peers.scores.scores(found, bench.task, bench.query)
    assert row["valid"] == row["good"] == 1
    assert row["classifier_rows"] > 1


ENVIRONMENT = FOLDER / "envs" / "nice" / "made-from.txt"


@pytest.mark.skipif(not ENVIRONMENT.exists(), reason="the environment of NICEx is not made; `make peers` makes it")
@pytest.mark.parametrize("optimiser", ["sparsity", "proximity", "plausibility"])
def test_our_nice_gives_the_rows_of_the_original(peers: Peers, made: Any, tmp_path: Path, optimiser: Any) -> None:
    bench = made[0]
    peers.runs.write_task(bench, tmp_path)
    shape = bench.query.rows.shape
    python, script = peers.runs.environment("nice"), FOLDER / "run_nice.py"
    theirs = peers.runs.run_original(python, script, tmp_path, optimiser, "original", 30, 120, shape)
    ours = peers.runs.run_ours(Nice(bench.free, optimiser=optimiser), bench.free, bench.free_query, "ours")
    np.testing.assert_array_equal(ours.rows, theirs.rows)
