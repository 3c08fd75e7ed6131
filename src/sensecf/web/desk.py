"""The desk: the cohort that is open, the plans made so far, and the line of those who asked.

All computing happens in threads, so that the page answers others meanwhile. One batch of questions is
computed at a time; whoever asks during it is answered with the next.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from anyio import to_thread

from sensecf.core.errors import InputError
from sensecf.runs.record.bound import bind
from sensecf.runs.record.journal import Journal
from sensecf.web.cohort import Cohort
from sensecf.web.controls import Wish
from sensecf.web.plans import STEPS, Ask, Plan, Pool, answer, person_query, record, restore
from sensecf.web.robust import Robustness, robustness
from sensecf.web.start import Start
from sensecf.web.survey import Survey, survey

#: Answered questions that are held in memory; the oldest go first. Kept plans are in the log too.
MAX_POOLS = 1000
#: Questions computed together.
MAX_BATCH = 32

Say = Callable[[float, str], None]
Result = TypeVar("Result")


class NotReadyError(Exception):
    """The start is not done, so there is nobody on the page yet."""


@dataclass
class Desk:
    """What the page knows while it is open."""

    start: Start
    journal: Journal
    pools: OrderedDict[str, tuple[Pool, Wish]] = field(default_factory=OrderedDict)
    plans: dict[str, tuple[Plan, Pool]] = field(default_factory=dict)
    robust: dict[str, Robustness] = field(default_factory=dict)
    survey: Survey | None = None
    #: How many questions were answered by whom since the page was opened, by name in `counterfactuals.FINDERS`.
    found: Counter[str] = field(default_factory=Counter)
    _waiting: list[tuple[Ask, asyncio.Future[Pool], Say]] = field(default_factory=list)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _long: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def open(cls, start: Start, folder: Path) -> Desk:
        """A desk whose decisions are kept in `folder`. Raises `InputError` when the log there is damaged."""
        return cls(start, Journal(folder))

    @property
    def cohort(self) -> Cohort:
        """The cohort that is open. Raises `NotReadyError` before the start is done."""
        if self.start.cohort is None:
            raise NotReadyError
        return self.start.cohort

    async def ask(self, person: int, wish: Wish, say: Say) -> Pool:
        """Answer one question. Raises `InputError` for limits that cannot be."""
        cohort = self.cohort
        asked = wish.ask(cohort, person)
        await to_thread.run_sync(person_query, cohort, asked)  # one wrong question must not spoil its batch
        mine: asyncio.Future[Pool] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, mine, say))
        say(0.0, "Waiting for those before you" if self._asking.locked() else STEPS[0])
        async with self._asking:
            if not mine.done():
                await self._answer(cohort)
        pool = await mine
        self._remember(pool, wish)
        return pool

    async def _answer(self, cohort: Cohort) -> None:
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        loop = asyncio.get_running_loop()

        def tell(step: int, words: str) -> None:
            for _, _, say in batch:
                loop.call_soon_threadsafe(say, (step + 0.5) / (len(STEPS) + 0.5), words)

        try:
            pools = await to_thread.run_sync(answer, cohort, [ask for ask, _, _ in batch], tell)
        except Exception as error:
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future, _), pool in zip(batch, pools, strict=True):
            if not future.done():
                future.set_result(pool)

    def _remember(self, pool: Pool, wish: Wish) -> None:
        self.pools[pool.id] = (pool, wish)
        self.found[pool.found] += 1
        for plan in pool.plans:
            self.plans[plan.id] = (plan, pool)
        while len(self.pools) > MAX_POOLS:
            _, (oldest, _) = self.pools.popitem(last=False)
            for plan in oldest.plans:
                self.plans.pop(plan.id, None)

    def plan(self, identity: str) -> tuple[Plan, Pool]:
        """A plan by its id, from memory or from the log. Raises `KeyError` when there is none."""
        if identity not in self.plans:
            kept = self.journal.plan(identity)
            found = None if kept is None else restore(self.cohort, kept)
            if found is None:
                raise KeyError(identity)
            self.plans[identity] = found
        return self.plans[identity]

    def decide(self, plan: Plan, pool: Pool, who: str, action: str, note: str = "") -> None:
        """Write one decision down, tied to what made the plan. Raises `InputError` as `Journal.append` does."""
        tied = bind(self.cohort.task, pool.ask.limits, plan.holds, plan.holds_low)
        self.journal.append(who, action, record(self.cohort, plan), note, tied)

    async def test(self, plan: Plan, say: Say) -> Robustness:
        """Test a plan once; later calls know. Raises `InputError` when the classifier cannot be fitted again."""
        if plan.id not in self.robust:
            loop, cohort = asyncio.get_running_loop(), self.cohort

            def tell(share: float) -> None:
                loop.call_soon_threadsafe(say, share, "Fitting the classifier again on other people")

            async with self._long:
                self.robust[plan.id] = await to_thread.run_sync(robustness, cohort, plan, tell)
        return self.robust[plan.id]

    async def ask_everybody(self, say: Say) -> Survey:
        """The survey of the cohort, made once."""
        async with self._long:
            if self.survey is None:
                loop, cohort = asyncio.get_running_loop(), self.cohort

                def tell(share: float) -> None:
                    loop.call_soon_threadsafe(say, share, "Asking for everybody")

                self.survey = await to_thread.run_sync(survey, cohort, tell)
        return self.survey

    def add(self, frame: Any) -> int:
        """Add people of a table; returns how many. Raises `InputError` where they do not fit."""
        before = self.cohort
        self.start.cohort = before.with_people(frame)
        self.survey = None
        return len(self.start.cohort) - len(before)


async def events(work: Callable[[Say], Awaitable[dict[str, Any]]]) -> Any:
    """What a piece of work says, as it says it, then its result or its problem: dicts for the page."""
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    told: list[float] = [0.0]

    def say(share: float, words: str) -> None:
        told[0] = max(told[0], share)
        queue.put_nowait({"share": round(told[0], 3), "words": words})

    async def run() -> None:
        try:
            queue.put_nowait({"share": 1.0, **await work(say)})
        except InputError as error:
            queue.put_nowait({"problem": str(error)})
        except Exception:
            queue.put_nowait({"problem": "Something went wrong on our side. Nothing was lost; try again."})
            raise

    task = asyncio.ensure_future(run())
    try:
        while True:
            event = await queue.get()
            yield event
            if "words" not in event:
                break
        await task
    finally:
        if not task.done():
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
