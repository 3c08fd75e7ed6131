"""Which generator answers where none is named: the one that costs least in all for as many as are asked about."""

from __future__ import annotations

import importlib.util

#: Said in place of a generator's name.
AUTO = "auto"
#: So many people from which on the embedded model has saved the time of its training, with the fastest classifiers of
#: this package. Measured by benchmarks/hold.py (docs/holding.md); the answers of both are equally good.
PAYS = 30_000


def choose(name: str, asked: int) -> tuple[str, str]:
    """The generator meant by a name, and why that one where the name is `AUTO`, else "".

    `asked`: how many people are asked about. The choice depends on nothing that is measured while it runs, so that
    the same call gives the same answers on any machine.
    """
    if name != AUTO:
        return name, ""
    if asked < PAYS:
        return "search", f"{asked:,} asked about; tiny has to be trained, which pays from about {PAYS:,} on"
    if importlib.util.find_spec("torch") is None:
        return "search", "tiny, which is faster for so many, needs PyTorch: pip install 'sensecf[tiny]'"
    return "tiny", f"{asked:,} asked about, for whom training it pays"
