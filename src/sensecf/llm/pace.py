"""Requests and tokens per minute, kept evenly."""

from __future__ import annotations

import asyncio


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
