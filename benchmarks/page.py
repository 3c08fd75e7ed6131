"""How quick the page is: `python benchmarks/page.py` opens the demo cohort and measures the bars of docs/page.md.

The model is trained first where the cache has none (about a minute). Needs the extra `web`; the times on screen
also need Playwright and a Chromium.
"""

from __future__ import annotations

import http.client
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
import numpy as np
import uvicorn

from sensecf.pipeline.consequences import Mechanisms
from sensecf.runs.record.bound import Made
from sensecf.web.app import make_app
from sensecf.web.cohort import Cohort
from sensecf.web.controls import first_wish
from sensecf.web.desk import Desk
from sensecf.web.plans import answer, rank
from sensecf.web.start import PageSource, Start, make_cohort
from sensecf.web.whatif import what_if

#: Requests of each person when many are there at once.
ROUNDS = 6
VISITOR = "sensecf_visitor=" + "a" * 32


class Person:
    """One browser's connection: its requests and how long each took."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.seconds: dict[str, list[float]] = {}
        page = self.call("page", "GET", "/")
        self._token = page.partition('name="csrf" content="')[2][:64]

    def call(self, kind: str, method: str, path: str, form: dict[str, Any] | None = None, **headers: str) -> str:
        """The body of an answer; raises where it is no success."""
        sent = {"cookie": VISITOR} | ({"x-csrf": self._token} if method == "POST" else {}) | headers
        if method == "POST":
            sent["content-type"] = "application/x-www-form-urlencoded"
        began = time.perf_counter()
        self._connection.request(method, path, urlencode(form or {}), sent)
        response = self._connection.getresponse()
        body = response.read().decode()
        self.seconds.setdefault(kind, []).append(time.perf_counter() - began)
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: status {response.status}")
        return body

    def ask(self, person: int, form: dict[str, Any]) -> str:
        """Ask for plans for all days of a person; the id of the pool. "ask" is the time to the first plans, "ask, all"
        that to plans of every kind."""
        sent = {"cookie": VISITOR, "x-csrf": self._token, "accept": "application/x-ndjson"}
        sent["content-type"] = "application/x-www-form-urlencoded"
        began, first, found = time.perf_counter(), 0.0, {}
        self._connection.request("POST", f"/person/{person}/ask", urlencode(form), sent)
        response = self._connection.getresponse()
        while line := response.readline():
            found = json.loads(line)
            if "html" in found and not first:
                first = time.perf_counter() - began
        if "html" not in found:
            raise RuntimeError(f"no answer: {found}")
        self.seconds.setdefault("ask", []).append(first)
        self.seconds.setdefault("ask, all", []).append(time.perf_counter() - began)
        return str(found["address"].partition("plans=")[2].partition("#")[0])


@click.command()
@click.option("--people", default=20, show_default=True, help="How many are there at once.")
@click.option("--pause", default=0.5, show_default=True, help="Seconds between two requests of one person.")
@click.option("--generator", default="search", show_default=True)
def main(people: int, pause: float, generator: str) -> None:
    """Measure the page and print one line per bar."""
    cohort = make_cohort(PageSource(generator=generator))
    cohort.held()
    cohort.task.once(Mechanisms)
    cohort.task.once(Made)
    away = [person.number for person in cohort.persons if cohort.away[person.days].any()]
    with tempfile.TemporaryDirectory() as folder:
        listener = socket.socket(proto=socket.IPPROTO_TCP)  # else every answer waits 40 ms
        listener.bind(("127.0.0.1", 0))
        app = make_app(Desk.open(Start(PageSource(), cohort=cohort), Path(folder)))
        server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="error", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = listener.getsockname()[1]
        report(cohort, away, port, people, pause)
        server.should_exit = True
        thread.join(10)


def report(cohort: Cohort, away: list[int], port: int, people: int, pause: float) -> None:
    """One person alone, then many at once."""
    form = {f"lock-{j}": 1 for j in cohort.locked_first}
    alone, free = Person(port), cohort.task.schema.columns["steps"]
    rng = np.random.default_rng(0)
    chosen = [int(k) for k in rng.choice(away, min(40, len(away)), replace=False)]
    for person in chosen:
        pool = alone.ask(person, form)
        alone.call("rank", "POST", f"/pool/{pool}/rank", form | {"order": "lead"}, **{"x-part": "plans"})
        alone.call("what-if", "POST", f"/person/{person}/what-if", {f"value-{free}": 9000}, accept="application/json")
        alone.call("person", "GET", f"/person/{person}")
    bars = {"ask": 0.25, "rank": 0.05, "what-if": 0.1}
    click.echo(f"alone, {len(chosen)} people, all of their days, over HTTP on loopback (median, 95 %):")
    for kind, seconds in alone.seconds.items():
        told(kind, seconds, bars.get(kind))
    [pool] = answer(cohort, [first_wish(cohort).ask(cohort, chosen[0])])
    click.echo("without HTTP and HTML:")
    told("rank", [timed(lambda: rank(cohort, pool, "lead", {})) for _ in range(50)], None)
    row = int(cohort.persons[chosen[0]].days[-1])
    told("what-if", [timed(lambda: what_if(cohort, row, {free: 9000.0})) for _ in range(50)], None)

    crowd = [Person(port) for _ in range(people)]
    problems: list[str] = []

    def use(number: int) -> None:
        mine, person = crowd[number], away[number * 7 % len(away)]
        try:
            for turn in range(ROUNDS):
                pool = mine.ask(person, form)
                time.sleep(pause)
                mine.call("rank", "POST", f"/pool/{pool}/rank", form | {"order": "changes"}, **{"x-part": "plans"})
                for step in range(4):
                    time.sleep(pause)
                    values = {f"value-{free}": 5000 + 500 * step}
                    mine.call("what-if", "POST", f"/person/{person}/what-if", values, accept="application/json")
                person = away[(number * 7 + turn * 13 + 1) % len(away)]
                mine.call("person", "GET", f"/person/{person}")
        except (RuntimeError, OSError) as error:
            problems.append(str(error))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(people)]
    began, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    click.echo(f"{people} people at once, each pausing {pause:g} s; errors: {len(problems)}")
    click.echo(f"  {spent:.1f} s, {cpu:.1f} s of processor time (a busy machine makes the times below longer)")
    for kind in ("ask", "ask, all", "rank", "what-if", "person"):
        told(kind, [s for person in crowd for s in person.seconds.get(kind, [])], None)
    told("all", [s for person in crowd for kind, times in person.seconds.items() if kind != "page" for s in times], 2.0)
    for problem in problems[:3]:
        click.echo(problem)


def timed(work: Callable[[], Any]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def told(kind: str, seconds: list[float], bar: float | None) -> None:
    """One line: median and 95 % quantile in milliseconds, and the bar."""
    median, high = np.quantile(seconds, [0.5, 0.95]) * 1000
    limit = "" if bar is None else f"   bar {bar * 1000:,.0f} ms: {'met' if high <= bar * 1000 else 'MISSED'}"
    click.echo(f"  {kind:<8} {median:7.1f} {high:7.1f} ms  of {len(seconds)}{limit}")


if __name__ == "__main__":
    main()
