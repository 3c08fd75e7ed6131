"""Engines: the same results wherever the work is done, and nothing lost with a worker."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from boundary import BOUNDARY, explain
from command import SCRIPT
from engine_work import give_up, note, power, surroundings
from scarce import SCHEMA, table
from sensecf.classifiers.foreign import load_object
from sensecf.core.errors import InputError, MissingExtraError
from sensecf.core.parallel import LOCAL, TRIES, Engine, connected, spread
from sensecf.core.task import Task
from sensecf.data.builtin import aireadi
from sensecf.data.privacy_gate import permission
from sensecf.generators import Search, find
from sensecf.pipeline.explain import BATCH
from sensecf.runs.experiment import Call
from sensecf.runs.run import RunSpec, run
from sensecf.runs.study.cells import read_study, run_study
from sensecf.sensors.simulator import simulate
from sensecf.sensors.table import build

RAY = Engine("ray")
FAR = Engine("ray", "cluster.example.org:6379")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """One Ray with two workers for all tests of this file; its address."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the extra `ray` is not installed")
    with connected(RAY, workers=2):
        import ray

        yield ray.get_runtime_context().gcs_address


@pytest.fixture(params=["local", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return Engine(request.param)


# --- spread -------------------------------------------------------------------------------


def test_every_item_has_its_result_once(engine: Engine) -> None:
    for threads in (True, False):
        found = list(spread(power, (n for n in range(30)), 2, workers=2, engine=engine, threads=threads))
        assert sorted(found) == [(n, n * n) for n in range(30)]
    assert list(spread(power, [], 2, workers=2, engine=engine)) == []


def test_what_the_function_raises_is_raised_here(engine: Engine) -> None:
    with pytest.raises(InputError, match=r"^item -1 is negative; leave it out$"):
        list(spread(power, [3, -1, 4, 5, 6], 2, workers=2, engine=engine))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(spread(power, [3, 100], 2, workers=2, engine=engine))


def kill_first(folder: Path, pattern: str) -> None:
    while not (found := list(folder.glob(pattern))):
        time.sleep(0.02)
    os.kill(int(found[0].read_text()), signal.SIGKILL)


def test_a_killed_worker_costs_its_item_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    killer = threading.Thread(target=kill_first, args=(tmp_path, "2-*[0-9]"))
    killer.start()
    found = dict(spread(note, range(8), tmp_path, workers=2, engine=engine))
    killer.join()
    assert {position: item for position, (item, _) in found.items()} == {n: n for n in range(8)}
    asked = [int(path.name.partition("-")[0]) for path in tmp_path.iterdir()]
    assert sorted(asked) == [0, 1, 2, 2, 3, 4, 5, 6, 7]
    assert os.getpid() not in {pid for _, pid in found.values()}


def test_an_item_that_always_ends_its_worker_is_told_of(engine: Engine) -> None:
    with pytest.raises(InputError, match=f"part 1 was ended {TRIES} times"):
        list(spread(give_up, range(3), None, workers=2, engine=engine))


def test_each_worker_has_one_thread_and_gets_what_is_shared_once(engine: Engine) -> None:
    found = {result for _, result in spread(surroundings, range(20), b"x" * 1000, workers=2, engine=engine)}
    assert {(omp, ours) for omp, ours, _ in found} == {("1", "1")}
    assert len(found) <= 2  # one object per worker, not one per item


INTERRUPTED = """
import engine_work
from sensecf.core.parallel import spread
try:
    print("begun", flush=True)
    list(spread(engine_work.rest, [30] * 4, None, workers=2))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("seconds", [0.15, 0.4])
def test_workers_that_are_interrupted_while_they_import_say_nothing(seconds: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parent,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)  # the first is lost where it comes while a process is made
    said, wrong = process.communicate(timeout=20)
    assert (said, wrong) == ("interrupted\n", "")


def test_an_engine_is_local_or_ray_with_an_address_that_can_be_one() -> None:
    for name, address, message in [
        ("dask", None, "unknown; use local or ray"),
        ("local", "head:6379", "is for --engine ray"),
        ("ray", "head", "no HOST:PORT"),
        ("ray", "ray://head:10001", "no HOST:PORT"),
        ("ray", "head:", "no HOST:PORT"),
    ]:
        with pytest.raises(InputError, match=message):
            Engine(name, address)
    assert Engine("ray", "[::1]:6379").host == "[::1]"


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sensecf\[ray\]', or choose --engine local"):
        list(spread(power, [1], 2, engine=RAY))


def test_what_cannot_be_sent_is_told_in_one_line_without_the_rows(cluster: str) -> None:
    secret = pd.DataFrame({"pulse": [123456789]})
    with pytest.raises(InputError, match=r"cannot pickle '_thread\.lock' object") as told:
        list(spread(power, [1], (secret, threading.Lock()), engine=RAY))  # type: ignore[arg-type]
    assert "123456789" not in str(told.value)
    assert "\n" not in str(told.value)


# --- explain ------------------------------------------------------------------------------


@pytest.fixture
def fresh(numeric_task: Task) -> Callable[[], Task]:
    """The same task without what was fitted for it before, which costs the classifier rows."""
    return lambda: Task(numeric_task.schema, numeric_task.train, numeric_task.classifier)


def crowd(task: Task, count: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(rng.normal(size=(count, 4)).round(1), columns=task.schema.names).clip(-5, 5)


def parts(generator: Any, engine: Engine, **options: Any) -> tuple[bytes, str, dict[str, Any]]:
    """What a call saves but for the clock, what was tried, and what it cost."""
    task = generator.task
    found = explain(task, generator, crowd(task, 2 * BATCH[0] + 90), engine=engine, **options)
    saved = found.to_frame().drop(columns="seconds").to_csv().encode()
    return saved, found.attempts.to_csv(), {name: value for name, value in found.cost.items() if name != "seconds"}


def test_the_search_answers_the_same_on_ray(cluster: str, fresh: Callable[[], Task], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    here = parts(Search(fresh()), LOCAL, n=2, lock=["x1"])
    there = parts(
        Search(fresh()), RAY, n=2, lock=["x1"], checkpoint=tmp_path, progress=lambda *at: told.append(at)
    )  # fmt: skip
    assert there == here
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] > 2 * BATCH[0]
    # Finished batches count, on whichever engine.
    (tmp_path / "batch-000001.npz").unlink()
    assert parts(Search(fresh()), LOCAL, n=2, lock=["x1"], checkpoint=tmp_path)[0] == here[0]


def test_the_embedded_model_answers_the_same_on_ray(cluster: str, fresh: Callable[[], Task]) -> None:
    from sensecf.generators.tiny.tiny import Recipe, Tiny

    lock = threading.Lock()  # as in a progress bar: it cannot leave this process

    def progress(phase: str, share: float) -> None:
        with lock:
            pass

    def model() -> Tiny:
        return Tiny(fresh(), recipe=Recipe(pairs=300, epochs=2, rounds=2, round_queries=32), progress=progress)

    assert parts(model(), RAY) == parts(model(), LOCAL)


OWN = """
import numpy as np
from sensecf.generators import Nearest

class Model:
    classes_ = ["bad", "good"]
    def predict_proba(self, X):
        p = 1 / (1 + np.exp(-X["x0"].to_numpy(float)))
        return np.column_stack([1 - p, p])
    def predict(self, X):
        return np.array(self.classes_)[self.predict_proba(X).argmax(axis=1)]

class Mine(Nearest):
    name = "mine"
    def __init__(self, task, seed=0):
        super().__init__(task)
"""


def test_a_classifier_and_a_generator_of_the_users_own_reach_the_workers(
    cluster: str, fresh: Callable[[], Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_module_of_engines.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    model, make = load_object("own_module_of_engines:Model"), find("own_module_of_engines:Mine")

    def mine() -> Any:
        return make(Task(fresh().schema, fresh().train, model))

    assert parts(mine(), RAY) == parts(mine(), LOCAL)


def test_a_language_model_is_asked_from_one_process(numeric_task: Task) -> None:
    class Asking(Search):
        traits = replace(Search.traits, asks_model=True)
        tokens = 0

    with pytest.raises(InputError, match="asks its language model from one process"):
        explain(numeric_task, Asking(numeric_task), crowd(numeric_task, 1), engine=RAY)


# --- studies and sensor files -------------------------------------------------------------


def study(folder: Path, seeds: int = 1) -> Path:
    table().to_csv(folder / "days.csv", index=False)
    SCHEMA.to_toml(folder / "schema.toml")
    (folder / "study.toml").write_text(
        f'scenarios = ["a"]\nremoved = [0.3, 0.5]\nclassifiers = ["logistic"]\nseeds = {seeds}\nmethod = "smote@1"\n'
        'methods = ["smote@1", "class-weights", "threshold", "nothing", "oracle"]\n'
        'tables = [{ name = "made", path = "days.csv", schema = "schema.toml" }]\n'
    )
    return folder / "study.toml"


def files(out: Path) -> dict[str, str]:
    """Every file of a study as text, without what the clock says and the hash over it."""
    found = {}
    for path in sorted(out.glob("**/*.json")):
        content = json.loads(path.read_text())
        content.pop("seconds", None)
        content.pop("sha256", None)
        found[str(path.relative_to(out))] = json.dumps(content)
    return found


def test_a_study_has_the_same_files_wherever_it_is_done(cluster: str, tmp_path: Path) -> None:
    asked = read_study(study(tmp_path))
    run_study(asked, tmp_path / "here", jobs=1)
    run_study(asked, tmp_path / "ray", jobs=2, engine=RAY)
    assert files(tmp_path / "ray") == files(tmp_path / "here")
    assert len(files(tmp_path / "ray")) == 1 + 2 * 5


def test_a_sensor_tree_gives_the_same_table_and_report(cluster: str, tmp_path: Path) -> None:
    simulate(tmp_path / "tree", 4, 2, seed=5, jobs=1)
    here = build(tmp_path / "tree", "aireadi", jobs=1)
    there = build(tmp_path / "tree", "aireadi", jobs=2, engine=RAY)
    pd.testing.assert_frame_equal(there.table, here.table)
    assert there.report.to_dict() == here.report.to_dict()


def test_an_interrupt_ends_the_work_cleanly_and_the_same_command_goes_on(cluster: str, tmp_path: Path) -> None:
    """On a cluster that runs on: the command joins it, is interrupted, and leaves it free."""
    import ray

    path, out = study(tmp_path, seeds=40), tmp_path / "out"
    command = [SCRIPT, "study", path, "--out", out, "--engine", "ray", "--ray-address", cluster]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite that was itself started in the background hands an ignored SIGINT down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("5 of 400"):
                break
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert time.monotonic() - began < 20
    assert "interrupted; the same command goes on where it stopped" in rest
    assert "Traceback" not in rest
    done = files(out)
    assert 5 <= len(done) < 200
    for _ in range(100):
        if ray.available_resources().get("CPU") == 2:
            break
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == 2
    asked = read_study(study(tmp_path))
    run_study(asked, out, jobs=2, engine=RAY)
    assert {name: text for name, text in files(out).items() if name in done and name != "study.json"} == {
        name: text for name, text in done.items() if name != "study.json"
    }


# --- what may leave this machine ----------------------------------------------------------


def test_rows_go_to_no_cluster_that_their_card_forbids(tmp_path: Path) -> None:
    card = aireadi.CARD
    message = "keeps its rows away from cluster.example.org"
    with pytest.raises(InputError, match=message):
        run(
            table(),
            SCHEMA,
            tmp_path / "run",
            RunSpec(generator="search", limits=BOUNDARY),
            card=card,
            call=Call(engine=FAR),
        )
    path = study(tmp_path)
    card.save_beside(tmp_path / "days.csv")
    with pytest.raises(InputError, match=message):
        run_study(read_study(path), tmp_path / "study", engine=FAR)
    simulate(tmp_path / "tree", 1, 1, jobs=1)
    (tmp_path / "tree" / "causal_graph.json").unlink()  # as if it were real
    with pytest.raises(InputError, match=message):
        build(tmp_path / "tree", "aireadi", engine=FAR)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "study").exists()


def test_naming_an_address_allows_what_no_card_forbids_and_a_card_is_overruled_by_name() -> None:
    permission(FAR.host, None, FAR.allows)
    named = Engine("ray", FAR.address, (f"cluster.example.org={aireadi.CARD.name}",))
    permission(named.host, aireadi.CARD, named.allows)
    on_this_machine = Engine("ray", "127.0.0.1:6379")
    permission(on_this_machine.host, aireadi.CARD, on_this_machine.allows)
    with pytest.raises(InputError, match=f"--allow-host cluster.example.org={aireadi.CARD.name}"):
        permission(FAR.host, aireadi.CARD, FAR.allows)
