"""What was spent of a table's privacy, over all runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from sensecf.core.errors import InputError
from sensecf.core.files import cache_folder, write_json
from sensecf.core.kept import read_record

#: The file in a run's folder.
BUDGET = "privacy.json"


class Spent(TypedDict):
    """A run's part: `epsilon` and `delta` by person, `what` was made."""

    epsilon: float
    delta: float
    what: str


class Ledger(TypedDict):
    """All parts of one table."""

    runs: list[Spent]


def spend(folder: Path, table: str, spent: Spent) -> tuple[float, float]:
    """Write what a run spends of a table (named by the hash of its rows) into its folder and into the table's ledger;
    returns epsilon and delta of all runs together, which add up (Dwork et al. 2006).

    The ledger lies in the cache, so that it knows of the runs of this machine and user alone.
    """
    place = cache_folder() / "privacy" / f"{table[:32]}.json"
    try:
        runs = list(read_record(place, Ledger)["runs"])
    except InputError:  # the first run of this table
        runs = []
    runs.append(spent)
    write_json(place, {"runs": runs})
    total = sum(run["epsilon"] for run in runs), sum(run["delta"] for run in runs)
    write_json(folder / BUDGET, {**spent, "runs": len(runs), "total_epsilon": total[0], "total_delta": total[1]})
    return total
