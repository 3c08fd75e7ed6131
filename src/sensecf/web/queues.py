"""Those who wait while work is going on are served together in the next round."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from anyio import to_thread

Asked = TypeVar("Asked")
Got = TypeVar("Got")

#: Served in one round at most.
MAX_ROUND = 32


class Queue(Generic[Asked, Got]):
    """A queue before work that serves many at once for little more than one.

    `work(several)`: what each of several gets, in order, in a thread; `busy`: held while work is going on, and shared
    by queues whose work is not to run side by side. Where the work fails, all of its round are told so.
    """

    def __init__(self, work: Callable[[Sequence[Asked]], Sequence[Got]], busy: asyncio.Lock) -> None:
        self._work, self._busy = work, busy
        self._waiting: list[tuple[Asked, asyncio.Future[Got]]] = []
        self._serving: set[asyncio.Task[None]] = set()

    async def ask(self, asked: Asked) -> Got:
        """What the work gives for one, alone or with all who wait meanwhile. Raises what the work raises."""
        mine: asyncio.Future[Got] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, mine))
        # A task of its own: whoever goes away does not take along those who are served in the same round.
        serving = asyncio.ensure_future(self._serve(mine))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        return await mine

    async def _serve(self, mine: asyncio.Future[Got]) -> None:
        async with self._busy:
            if not mine.done():
                await self._round()

    async def _round(self) -> None:
        served, self._waiting = self._waiting[:MAX_ROUND], self._waiting[MAX_ROUND:]
        try:
            found = await to_thread.run_sync(self._work, [asked for asked, _ in served])
        except Exception as error:
            for _, future in served:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), one in zip(served, found, strict=True):
            if not future.done():
                future.set_result(one)
