"""How quick the page is: `python benchmarks/page.py` opens the demo cohort and measures the bars of docs/page.md.

One person alone, then many at once, over HTTP on loopback; each line says the time on the clock and the processor time
of page and browser together, which is the same on a busy machine. Takes a minute or two, plus about a minute for the
jury where the cache has none. Needs the extra `web`.
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
from typing import Any, NamedTuple
from urllib.parse import urlencode

import click
import numpy as np
import uvicorn

from sensecf.pipeline.consequences import Mechanisms
from sensecf.runs.record.bound import Made
from sensecf.web.app import make_app
from sensecf.web.asking import answer
from sensecf.web.cohort import Cohort
from sensecf.web.controls import first_wish
from sensecf.web.desk import Desk
from sensecf.web.ranking import rank
from sensecf.web.start import PageSource, Start, make_cohort
from sensecf.web.whatif import what_if

#: Requests of each person when many are there at once.
ROUNDS = 6
VISITOR = "sensecf_visitor=" + "a" * 32


class Taken(NamedTuple):
    """Seconds on the clock and of processor time; the latter is of all requests that run at that time."""

    clock: float
    processor: float

    @classmethod
    def now(cls) -> Taken:
        """The time now."""
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def since(cls, began: Taken) -> Taken:
        """What went by."""
        return cls(time.perf_counter() - began.clock, time.process_time() - began.processor)


class Person:
    """One browser's connection: its requests and how long each took."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.seconds: dict[str, list[Taken]] = {}
        page = self.call("page", "GET", "/")
        self._token = page.partition('name="csrf" content="')[2][:64]

    def call(self, kind: str, method: str, path: str, form: dict[str, Any] | None = None, **headers: str) -> str:
        """The body of an answer; raises where it is no success."""
        sent = {"cookie": VISITOR} | ({"x-csrf": self._token} if method == "POST" else {}) | headers
        if method == "POST":
            sent["content-type"] = "application/x-www-form-urlencoded"
        began = Taken.now()
        self._connection.request(method, path, urlencode(form or {}), sent)
        response = self._connection.getresponse()
        body = response.read().decode()
        self.seconds.setdefault(kind, []).append(Taken.since(began))
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: status {response.status}")
        return body

    def ask(self, person: int, form: dict[str, Any], kind: str = "ask") -> str:
        """Ask for plans for a person, or the day of the form; the id of the pool. `kind` is the time to the first
        plans, with ", all" that to plans of every kind."""
        sent = {"cookie": VISITOR, "x-csrf": self._token, "accept": "application/x-ndjson"}
        sent["content-type"] = "application/x-www-form-urlencoded"
        began, found = Taken.now(), {}
        first: Taken | None = None
        self._connection.request("POST", f"/person/{person}/ask", urlencode(form), sent)
        response = self._connection.getresponse()
        while line := response.readline():
            found = json.loads(line)
            if "html" in found and first is None:
                first = Taken.since(began)
        if first is None:
            raise RuntimeError(f"no answer: {found}")
        self.seconds.setdefault(kind, []).append(first)
        self.seconds.setdefault(f"{kind}, all", []).append(Taken.since(began))
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
    """One person alone, then many at once: about all of their days, and about one."""
    form = {f"lock-{j}": 1 for j in cohort.locked_first}
    free = cohort.task.schema.columns["steps"]
    rng = np.random.default_rng(0)
    chosen = [int(k) for k in rng.choice(away, min(40, len(away)), replace=False)]
    alone = Person(port)
    for person in chosen:
        pool = alone.ask(person, form)
        alone.call("rank", "POST", f"/pool/{pool}/rank", form | {"order": "lead"}, **{"x-part": "plans"})
        alone.call("what-if", "POST", f"/person/{person}/what-if", {f"value-{free}": 9000}, accept="application/json")
        alone.call("person", "GET", f"/person/{person}")
        alone.ask(person, form | {"day": last_away(cohort, person)}, "one day")
    bars = {"ask": 0.25, "rank": 0.05, "what-if": 0.1}
    days = max(len(cohort.persons[person]) for person in chosen)
    click.echo(f"alone, {len(chosen)} people of up to {days} days, over HTTP on loopback; ask is about all of them:")
    click.echo(f"  {'':<14} {'clock: median':>14} {'95 %':>9} {'processor: median':>20} {'95 %':>9}")
    for kind, taken in alone.seconds.items():
        told(kind, taken, bars.get(kind))
    click.echo("without HTTP and HTML:")
    [pool] = answer(cohort, [first_wish(cohort).ask(cohort, chosen[0])])
    told("rank", [timed(lambda: rank(cohort, pool, "lead", {})) for _ in range(50)], None)
    row = int(cohort.persons[chosen[0]].days[-1])
    told("what-if", [timed(lambda: what_if(cohort, row, {free: 9000.0})) for _ in range(50)], None)
    for kind in ("ask", "one day"):
        at_once(cohort, away, port, people, kind)
    visits(cohort, away, port, people, pause)


def last_away(cohort: Cohort, person: int) -> int:
    """A person's last day that is not in the wanted class."""
    days = cohort.persons[person].days
    return int(days[cohort.away[days]][-1])


def at_once(cohort: Cohort, away: list[int], port: int, people: int, kind: str) -> None:
    """So many people press the button at the same moment."""
    form = {f"lock-{j}": 1 for j in cohort.locked_first}
    crowd = [Person(port) for _ in range(people)]
    ready = threading.Barrier(people)

    def use(number: int) -> None:
        person = away[number * 7 % len(away)]
        day = {"day": last_away(cohort, person)} if kind == "one day" else {}
        ready.wait()
        crowd[number].ask(person, form | day, kind)

    spent = together(people, use)
    click.echo(f"{people} people ask at the same moment ({kind}): {spent.processor:.1f} s of processor time")
    for name in (kind, f"{kind}, all"):
        told(name, [s for person in crowd for s in person.seconds.get(name, [])], 2.0, shared=True)


def visits(cohort: Cohort, away: list[int], port: int, people: int, pause: float) -> None:
    """So many people use the page for a while, each pausing between requests."""
    form = {f"lock-{j}": 1 for j in cohort.locked_first}
    free = cohort.task.schema.columns["steps"]
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

    spent = together(people, use)
    click.echo(f"{people} people at once, each pausing {pause:g} s; errors: {len(problems)}")
    click.echo(f"  {spent.clock:.1f} s on the clock, {spent.processor:.1f} s of processor time")
    for kind in ("ask", "ask, all", "rank", "what-if", "person"):
        told(kind, [s for person in crowd for s in person.seconds.get(kind, [])], None, shared=True)
    everything = [s for person in crowd for kind, times in person.seconds.items() if kind != "page" for s in times]
    told("all", everything, 2.0, shared=True)
    for problem in problems[:3]:
        click.echo(problem)


def together(people: int, use: Callable[[int], None]) -> Taken:
    """What it takes until all threads are done, one for each person."""
    threads = [threading.Thread(target=use, args=(number,)) for number in range(people)]
    began = Taken.now()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Taken.since(began)


def timed(work: Callable[[], Any]) -> Taken:
    """What something takes."""
    began = Taken.now()
    work()
    return Taken.since(began)


def told(kind: str, taken: list[Taken], bar: float | None, shared: bool = False) -> None:
    """One line in milliseconds: median and 95 % quantile of both times, and the bar, which is one of the clock.
    `shared`: others run meanwhile, whose processor time would be counted too, so that only the clock is said."""
    if not taken:
        return
    times = np.array(taken) * 1000
    (median, high), (middle, most) = (np.quantile(times[:, k], [0.5, 0.95]) for k in range(2))
    processor = " " * 30 if shared else f"{middle:20.1f} {most:9.1f}"
    limit = "" if bar is None else f"   bar {bar * 1000:,.0f}: {'met' if high <= bar * 1000 else 'MISSED'}"
    if bar is not None and not shared and high > bar * 1000:
        limit += f" (by processor time {'met' if most <= bar * 1000 else 'missed'})"
    click.echo(f"  {kind:<14} {median:14.1f} {high:9.1f} {processor}  of {len(times)}{limit}")


if __name__ == "__main__":
    main()
