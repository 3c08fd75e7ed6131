"""What workers are given to do in the tests of engines; it imports little, so that they start at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from sensecf.core.errors import InputError


def power(shared: int, item: int) -> int:
    if item < 0:
        raise InputError(f"item {item} is negative; leave it out")
    if item == 100:
        raise ZeroDivisionError("a bug")
    return item**shared


def note(shared: Path, item: int) -> tuple[int, int]:
    """Writes down its process each time it is asked about the item; the first time, item 2 waits to be killed."""
    mine = shared / f"{item}-{time.time_ns()}"
    mine.with_suffix(".part").write_text(str(os.getpid()))
    mine.with_suffix(".part").rename(mine)
    if item == 2 and len(list(shared.glob("2-*"))) == 1:
        time.sleep(60)
    return item, os.getpid()


def rest(shared: None, item: int) -> int:
    time.sleep(item)
    return item


def give_up(shared: None, item: int) -> int:
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def surroundings(shared: bytes, item: int) -> tuple[str, str, int]:
    return os.environ["OMP_NUM_THREADS"], os.environ["SENSECF_THREADS"], id(shared)
