"""Those who wait for the page while it works are served together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

pytest.importorskip("starlette", reason="the page's packages are not installed")

from sensecf.web.queues import Queue


class Slow:
    """Doubles numbers, when it is let."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.free = threading.Event()

    def __call__(self, several: Sequence[int]) -> list[int]:
        self.rounds.append(list(several))
        assert self.free.wait(10)
        if 13 in several:
            raise ValueError("not this one")
        return [2 * one for one in several]


def test_whoever_comes_while_work_goes_on_is_served_with_the_others_in_the_next_round() -> None:
    work = Slow()

    async def all_of_them() -> list[int]:
        queue = Queue(work, asyncio.Lock())
        first = asyncio.ensure_future(queue.ask(1))
        while not work.rounds:
            await asyncio.sleep(0.001)
        others = [asyncio.ensure_future(queue.ask(k)) for k in (2, 3, 4)]
        await asyncio.sleep(0.01)
        work.free.set()
        return list(await asyncio.gather(first, *others))

    assert asyncio.run(all_of_them()) == [2, 4, 6, 8]
    assert work.rounds == [[1], [2, 3, 4]]


def test_who_goes_away_does_not_take_along_the_others_of_the_round() -> None:
    work = Slow()

    async def one_leaves() -> int:
        queue = Queue(work, asyncio.Lock())
        leaving, staying = asyncio.ensure_future(queue.ask(1)), asyncio.ensure_future(queue.ask(2))
        while not work.rounds:
            await asyncio.sleep(0.001)
        leaving.cancel()
        await asyncio.sleep(0.01)
        work.free.set()
        return await asyncio.wait_for(staying, 10)

    assert asyncio.run(one_leaves()) == 4
    assert work.rounds == [[1, 2]]


def test_where_the_work_fails_all_of_its_round_are_told_and_the_next_goes_on() -> None:
    work = Slow()
    work.free.set()

    async def fails() -> int:
        queue = Queue(work, asyncio.Lock())
        found = await asyncio.gather(queue.ask(13), queue.ask(5), return_exceptions=True)
        assert [str(error) for error in found] == ["not this one"] * 2
        return await queue.ask(5)

    assert asyncio.run(fails()) == 10
