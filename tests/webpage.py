"""Pages for tests: a cohort that fits in a moment, a server on loopback, a browser, and a plain client."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

#: Flags for a browser that runs in a container and calls nobody.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
#: Where Linux distributions put Chromium.
CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)


def small_cohort(classifier: str = "logistic") -> Any:
    """The simulated cohort, smaller, and the search."""
    from sensecf import fit_classifier
    from sensecf.core.task import Task
    from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema
    from sensecf.data.splits import split
    from sensecf.generators.search import Effort, Search
    from sensecf.metrics import quality
    from sensecf.pipeline.consequences import Mechanisms
    from sensecf.web.cohort import Cohort, encode_people
    from sensecf.web.start import SIMULATED
    from sensecf.web.trust import Trust, trust_of

    schema = simulated_schema()
    train, people = split(simulate_cohort(60, 6, seed=3), schema)
    task = Task(schema, train, fit_classifier(classifier, schema, train))
    quick = Effort(beam=3, edits=32, depth=4, neighbours=4)
    search = Search(task, effort=quick)
    everybody = encode_people(task, people)
    cohort = Cohort(task, search, search, "low", *everybody, "Simulated cohort", SIMULATED, classifier=classifier)
    known = Trust(classifier, "Simulated cohort", "2026-01-02", len(train), train[schema.person].nunique())
    summary, bins = quality(task, people, "low")
    trust = trust_of(summary, bins.to_dict(orient="records"), known)
    cohort = replace(cohort, trust=trust.turned_round())
    cohort.warm()
    task.once(Mechanisms)  # else the first plan waits for them
    return cohort


def desk_of(cohort: Any, folder: Path) -> Any:
    """A desk over a cohort that is ready."""
    from sensecf.web.desk import Desk
    from sensecf.web.start import PageSource, Start

    return Desk.open(Start(PageSource(), cohort=cohort), folder)


def away(cohort: Any) -> list[int]:
    """Rows outside the target class, the likeliest to be helped first."""
    import numpy as np

    rows = np.flatnonzero(cohort.away)
    return [int(k) for k in rows[np.argsort(-cohort.chance[rows])]]


def asked(cohort: Any, row: int) -> Any:
    """The question about one row, as it is before anybody sets anything."""
    from sensecf.web.controls import first_wish

    return first_wish(cohort).ask(cohort, cohort.person_of(row).number, row)


def where(cohort: Any, row: int) -> str:
    """The address of a person's page with one of their rows picked."""
    return f"/person/{cohort.person_of(row).number}?day={row}"


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """A server on loopback in a thread; gives its address."""
    import uvicorn

    listener = socket.socket(proto=socket.IPPROTO_TCP)  # else every answer waits 40 ms
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, access_log=False, log_level="error", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@contextlib.contextmanager
def browsing() -> Iterator[Any]:
    """A headless Chromium; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@contextlib.contextmanager
def tab(browser: Any, width: int = 1440) -> Iterator[Any]:
    """An empty page of a browser; fails at the end where the browser complained of anything on it."""
    context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert not said, f"the browser complained: {said}"


def until(page: Any, expression: str, seconds: float = 20) -> None:
    """Wait for an expression; Playwright's own way would need eval in the page, which its policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"still not: {expression}"
        page.wait_for_timeout(20)


def client(app: Any, **options: Any) -> Any:
    """A client that calls the app in this process, under the name that the page is served by."""
    from starlette.testclient import TestClient

    return TestClient(app, base_url="http://127.0.0.1", **options)


def csrf_of(page: str) -> str:
    """The token in a page's forms."""
    found = re.search(r'name="csrf" content="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]
