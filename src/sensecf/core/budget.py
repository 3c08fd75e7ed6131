"""What was spent of a table's privacy, over all runs on this machine, and the noise that it is spent on."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import TypedDict

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.files import cache_folder, write_json
from sensecf.core.kept import read_record

#: The file in a run's folder.
BUDGET = "privacy.json"
#: Bytes of the key that noise is drawn with.
KEY = 32


def noise_source(*release: object) -> tuple[np.random.Generator, str]:
    """Random numbers for the noise of one release, told by all that it depends on (table, epsilon, seed, …); and a name
    for them that says nothing of them.

    They come from a key of this machine and user, made by the system's source of randomness and kept in the cache: the
    same release has the same noise here, which costs nothing more, and two releases have noises that say nothing of
    each other. Whoever knows the seed of a run does not know its noise. The generator is no cryptographic one, and
    noise of floating-point numbers is not exact to the last bit (Mironov 2012).
    """
    digest = hashlib.sha256(_key())
    for part in release:
        text = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(text).to_bytes(8, "big") + text)
    name = hashlib.sha256(b"name" + digest.digest()).hexdigest()[:16]
    return np.random.default_rng(int.from_bytes(digest.digest(), "big")), name


def _key() -> bytes:
    """The key, made where there is none; nobody but the user may read it."""
    path = cache_folder() / "privacy" / "key"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY))
    except FileExistsError:
        pass
    found = path.read_bytes()
    if len(found) != KEY:
        raise InputError(f"{path} is damaged: noise is drawn with it; delete it, and a new key is made")
    return found


class Spent(TypedDict):
    """A run's part: `epsilon` and `delta` by person, `what` was made."""

    epsilon: float
    delta: float
    what: str


class Released(Spent):
    """A part whose noise has a name, `release`: the same release made again is the same part."""

    release: str


class Ledger(TypedDict):
    """All parts of one table; those that are released have their `release` too."""

    runs: list[Spent]


def spend(folder: Path, table: str, spent: Spent | Released) -> tuple[float, float]:
    """Write what a run spends of a table (named by the hash of its rows) into its folder and into the table's ledger;
    returns epsilon and delta of all runs together, which add up (Dwork et al. 2006). The same release made again says
    nothing new and costs nothing.

    The ledger lies in the cache, so that it knows of the runs of this machine and user alone. Raises `InputError` for
    one that is damaged: what was spent would be forgotten.
    """
    place = cache_folder() / "privacy" / f"{table[:32]}.json"
    runs = list(read_record(place, Ledger)["runs"]) if place.exists() else []
    known = {dict(run).get("release") for run in runs}
    if dict(spent).get("release") is None or dict(spent)["release"] not in known:
        runs.append(spent)
    write_json(place, {"runs": runs})
    total = sum(run["epsilon"] for run in runs), sum(run["delta"] for run in runs)
    write_json(folder / BUDGET, {**spent, "runs": len(runs), "total_epsilon": total[0], "total_delta": total[1]})
    return total
