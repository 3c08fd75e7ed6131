"""Requests and tokens per minute, kept evenly; and how many requests are in flight."""

from __future__ import annotations

import asyncio

#: Requests in flight at first.
FEW = 2
#: Twice as many requests in flight may take so many times as long for more of them to be let in.
SLOWER = 1.75


class Pace:
    """Gives turns so that neither limit is exceeded over any stretch of time; None is no limit.

    Turns are spread evenly instead of in bursts, since servers count over less than a minute. A prompt
    that is larger than a minute's tokens waits for as long as it stands for.
    """

    def __init__(self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None) -> None:
        self._per_request = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._free = 0.0
        self._paused = 0.0

    async def turn(self, tokens: int) -> None:
        """Wait until a request of so many tokens may go out."""
        now = asyncio.get_running_loop().time()
        begin = max(now, self._free)
        self._free = begin + max(self._per_request, tokens * self._per_token)
        if begin > now:
            await asyncio.sleep(begin - now)
        while (left := self._paused - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)

    def pause(self, seconds: float) -> None:
        """Nobody goes for so long: the server asked for it."""
        self._paused = max(self._paused, asyncio.get_running_loop().time() + seconds)


class Room:
    """How many requests are in flight: a few at first, twice as many while answers take hardly longer for it.

    A server that works on one request at a time takes twice as long for twice as many: there it goes back to half
    of them, and so does a request that timed out. `size` is what has been found, `most` the limit.
    """

    def __init__(self, size: int, most: int) -> None:
        self.size, self._most, self._busy = size, most, 0
        self._free = asyncio.Condition()
        self._taken: list[float] = []
        self._before: float | None = None

    async def enter(self) -> int:
        """Wait for a place; returns the size under which it was given."""
        async with self._free:
            await self._free.wait_for(lambda: self._busy < self.size)
            self._busy += 1
            return self.size

    async def leave(self) -> None:
        """Give a place back."""
        async with self._free:
            self._busy -= 1
            self._free.notify_all()

    def took(self, seconds: float, size: int) -> None:
        """An answer took so long that was asked under a size."""
        if size != self.size or size == self._most:
            return
        self._taken.append(seconds)
        if len(self._taken) < size:
            return
        mean = sum(self._taken) / len(self._taken)
        if self._before is None or mean <= SLOWER * self._before:
            self._resize(2 * size, mean)
        else:
            self._resize(size // 2, None)

    def late(self) -> None:
        """A request got no answer in time."""
        self._resize(self.size // 2, None)

    def _resize(self, size: int, before: float | None) -> None:
        self.size, self._before, self._taken = min(max(size, 1), self._most), before, []
