"""The desk: the cohort that is open, the plans made so far, and the line of those who asked.

All computing happens in threads, so that the page answers others meanwhile. One batch of questions is
computed at a time; whoever asks during it is answered with the next. Limits and plans of a person are in the journal,
so that they are there again after a restart.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from anyio import to_thread

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.data.infer.terms import Register
from sensecf.runs.record.bound import bind
from sensecf.runs.record.journal import Journal
from sensecf.web.asking import STEPS, answer, widened
from sensecf.web.cohort import Cohort
from sensecf.web.controls import Wish, first_wish
from sensecf.web.judging import person_query
from sensecf.web.own import Own, own_plan
from sensecf.web.plans import Inquiry, Plan, Pool
from sensecf.web.queues import Queue
from sensecf.web.robust import Robustness, robustness
from sensecf.web.start import Start
from sensecf.web.survey import Survey, survey
from sensecf.web.written import Data, record, restore

#: Answered questions that are held in memory; the oldest go first. All of their plans are in the journal.
MAX_POOLS = 1000
#: Who asked without giving a name.
NAMELESS = "not named"

Say = Callable[[float, str], None]
#: Plans that are found already, while others are still looked for.
Show = Callable[[Pool], Awaitable[None]]
Result = TypeVar("Result")


class NotReadyError(Exception):
    """The start is not done, so there is nobody on the page yet."""


@dataclass(frozen=True)
class Kept:
    """The limits of a person as they were last set. `who`, `time`: by whom and when (ISO, UTC), "" where nobody did."""

    wish: Wish
    who: str = ""
    time: str = ""


@dataclass
class Desk:
    """What the page knows while it is open."""

    start: Start
    journal: Journal
    pools: OrderedDict[str, tuple[Pool, Wish]] = field(default_factory=OrderedDict)
    plans: dict[str, tuple[Plan, Pool]] = field(default_factory=dict)
    robust: dict[str, Robustness] = field(default_factory=dict)
    survey: Survey | None = None
    #: Cards by plan and register, see `views`.
    cards: OrderedDict[tuple[str, Register], Any] = field(default_factory=OrderedDict)
    #: How many questions were answered by whom since the page was opened, by name in `counterfactuals.FINDERS`.
    found: Counter[str] = field(default_factory=Counter)
    #: The last question of each person, by the person's number.
    last: dict[int, str] = field(default_factory=dict)
    _worded: dict[Register, Cohort] = field(default_factory=dict)
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

    def worded(self, register: Register) -> Cohort:
        """The cohort in somebody's words."""
        cohort = self.cohort
        known = self._worded.get(register)
        if known is None or known.rows is not cohort.rows:
            known = self._worded[register] = cohort.worded(register)
        return known

    # --- limits -------------------------------------------------------------------------------

    def kept(self, person: int) -> Kept:
        """The limits of a person: those in the journal, else what is set before anybody sets anything."""
        cohort = self.cohort
        entry = self.journal.limits(cohort.persons[person].name)
        if entry is None:
            return Kept(first_wish(cohort))
        limits = Limits.from_dict(entry["limits"], "limits")
        return Kept(Wish.kept(cohort, limits, entry["effort"]), entry["who"], entry["time"])

    def keep(self, person: int, wish: Wish, who: str) -> Kept:
        """Write a person's limits down, where they differ from those that are kept.

        Raises `InputError` for limits that cannot be, and where the journal refuses.
        """
        cohort, now = self.cohort, self.kept(person)
        limits, efforts = wish.limits(cohort), wish.efforts(cohort)
        if (limits, efforts) == (now.wish.limits(cohort), now.wish.efforts(cohort)):
            return now
        limits.check(cohort.task.schema)
        content: Data = {
            "person": cohort.persons[person].name,
            "limits": limits.to_dict(),
            "effort": efforts,
            "fingerprint": wish.mark(cohort),
            "note": "",
        }
        entry = self.journal.add("limits", who or NAMELESS, content)
        return Kept(wish, entry["who"], entry["time"])

    # --- asking -------------------------------------------------------------------------------

    async def ask(self, asked: Inquiry, wish: Wish, who: str, say: Say, show: Show | None = None) -> Pool:
        """Answer one question, and keep its plans and limits. Raises `InputError` for limits that cannot be.

        `show` is given what is found first, while plans of other kinds are still looked for.
        """
        cohort = self.cohort
        await to_thread.run_sync(person_query, cohort, asked)  # one wrong question must not spoil its batch
        await to_thread.run_sync(self.keep, asked.person, wish, who)
        say(0.0, "Waiting for those before you" if self._asking.locked() else STEPS[0])
        loop = asyncio.get_running_loop()
        pool = await self._first.ask((asked, lambda share, words: _later(loop, say, share, words)))
        self.found[pool.found] += 1
        self._remember(pool, wish)
        if pool.plans and not pool.there and not pool.wide:
            if show is not None:
                await show(pool)
            say(0.7, STEPS[2])
            pool = await self._more.ask(pool)
            self._remember(pool, wish)
        await to_thread.run_sync(self._store, pool, who)
        return pool

    @cached_property
    def _first(self) -> Queue[tuple[Inquiry, Say], Pool]:
        """Questions that wait for their first plans."""
        return Queue(self._answer, self._asking)

    @cached_property
    def _more(self) -> Queue[Pool, Pool]:
        """Pools that wait for plans of other kinds."""
        return Queue(lambda pools: widened(self.cohort, pools), self._asking)

    def _answer(self, batch: Sequence[tuple[Inquiry, Say]]) -> list[Pool]:
        def tell(step: int, words: str) -> None:
            for _, say in batch:
                say((step + 0.5) / (len(STEPS) + 0.5), words)

        return answer(self.cohort, [asked for asked, _ in batch], tell)

    def _remember(self, pool: Pool, wish: Wish) -> None:
        self.pools[pool.id] = (pool, wish)
        self.last[pool.ask.person] = pool.id
        for plan in pool.plans:
            self.plans[plan.id] = (plan, pool)
        while len(self.pools) > MAX_POOLS:
            _, (oldest, _) = self.pools.popitem(last=False)
            for plan in oldest.plans:
                self.plans.pop(plan.id, None)

    def _store(self, pool: Pool, who: str) -> None:
        """Write the plans of a question into the journal, so that they are found again after a restart."""
        if pool.there:
            return
        for plan in pool.plans:
            self._store_plan(plan, pool, who)

    def _store_plan(self, plan: Plan, pool: Pool, who: str) -> None:
        cohort = self.cohort
        tied = bind(cohort.task, pool.ask.limits, plan.holds, plan.holds_low)
        content: Data = {
            "person": cohort.persons[plan.person].name,
            "plan": {**record(cohort, plan), "pool": pool.id, "asked": pool.ask.limits.to_dict()},
            "bound": tied.to_dict(),
            "origin": "own" if plan.own else "asked",
        }
        self.journal.add("plan", who or NAMELESS, content)

    # --- finding again ------------------------------------------------------------------------

    def plan(self, identity: str) -> tuple[Plan, Pool]:
        """A plan by its id, from memory or from the log. Raises `KeyError` when there is none."""
        if identity not in self.plans:
            kept = self.journal.plan(identity)
            found = None if kept is None else restore(self.cohort, kept, _asked(kept))
            if found is None:
                raise KeyError(identity)
            self.plans[identity] = found
        return self.plans[identity]

    def pool_of(self, person: int) -> Pool | None:
        """The last question of a person, from memory or from the journal; None where there is none."""
        if person in self.last and self.last[person] in self.pools:
            return self.pools[self.last[person]][0]
        entries = [e for e in self.journal.of_kind("plan", self.cohort.persons[person].name) if e["origin"] == "asked"]
        if not entries:
            return None
        last = entries[-1]["plan"].get("pool")
        pool = None
        for entry in entries:
            if entry["plan"].get("pool") != last:
                continue
            found = restore(self.cohort, entry["plan"], _asked(entry["plan"]))
            if found is None:
                continue
            plan, alone = found
            pool = replace(alone, id=str(last)) if pool is None else replace(pool, plans=[*pool.plans, plan])
        if pool is not None:
            self._remember(pool, self.kept(person).wish)
        return pool

    def own_of(self, person: int) -> list[Plan]:
        """The plans that were put together by hand for a person, oldest first."""
        entries = self.journal.of_kind("plan", self.cohort.persons[person].name)
        found = []
        for entry in (e for e in entries if e["origin"] == "own"):
            try:
                found.append(self.plan(entry["plan"]["plan"])[0])
            except KeyError:
                continue  # of a day that is not here
        return found

    def keep_own(self, own: Own, who: str) -> Plan:
        """Keep a hand-made plan. Raises `InputError` for one that breaks a rule or changes nothing."""
        cohort, wish = self.cohort, self.kept(own.person).wish
        plan, pool = own_plan(cohort, own, wish)
        self._store_plan(plan, pool, who)
        self.plans[plan.id] = (plan, pool)
        return plan

    def decide(self, plan: Plan, pool: Pool, who: str, action: str, note: str = "") -> None:
        """Write one decision down, tied to what made the plan. Raises `InputError` as `Journal.append` does."""
        tied = bind(self.cohort.task, pool.ask.limits, plan.holds, plan.holds_low)
        written = {**record(self.cohort, plan), "asked": pool.ask.limits.to_dict()}
        self.journal.append(who, action, written, note, tied)

    # --- what takes longer --------------------------------------------------------------------

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
        """Add the rows of a table; returns how many. Raises `InputError` where they do not fit."""
        before = self.cohort
        self.start.cohort = before.with_people(frame)
        self.survey = None
        self.cards.clear()
        return len(self.start.cohort) - len(before)


def _later(loop: asyncio.AbstractEventLoop, say: Say, share: float, words: str) -> None:
    """Say something from a thread that is not the page's."""
    loop.call_soon_threadsafe(say, share, words)


def _asked(kept: Data) -> Limits | None:
    """The limits under which a kept plan was made, where its record says so."""
    return Limits.from_dict(kept["asked"], "asked") if "asked" in kept else None


async def events(work: Callable[[Say, Callable[[Data], None]], Awaitable[Data]]) -> AsyncIterator[Data]:
    """What a piece of work says, as it says it, then its result or its problem: dicts for the page.

    The work is given two ways to speak: of its progress, and of a result that is not yet whole.
    """
    queue: asyncio.Queue[Data] = asyncio.Queue()
    told: list[float] = [0.0]

    def say(share: float, words: str) -> None:
        told[0] = max(told[0], share)
        queue.put_nowait({"share": round(told[0], 3), "words": words})

    def show(part: Data) -> None:
        queue.put_nowait({"share": round(told[0], 3), "words": "", **part})

    async def run() -> None:
        try:
            queue.put_nowait({"share": 1.0, **await work(say, show)})
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
