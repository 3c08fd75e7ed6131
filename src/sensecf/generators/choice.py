"""Which generator answers where none is named: the one that costs least in all for as many as are asked about."""

from __future__ import annotations

import importlib.util
from typing import Any

#: Said in place of a generator's name.
AUTO = "auto"
#: People from which on the embedded model's training pays with a slow classifier. The model asks it about some 400
#: rows less per answer than the search does, but about more than a million while it is trained; with a quick classifier
#: it never pays. Measured by benchmarks/hold.py, see docs/holding.md; the answers of both are equally good.
PAYS = 10_000
#: Classifiers so quick that rows cost next to nothing.
QUICK = ("xgboost", "random-forest", "mlp", "logistic")


def choose(name: str, asked: int, classifier: Any = "xgboost") -> tuple[str, str]:
    """The generator meant by a name, and why that one where the name is `AUTO`, else "".

    `asked`: how many people are asked about; `classifier`: its name, or an object of the user's own. The choice depends
    on nothing that is measured while it runs, so that the same call gives the same answers on any machine.
    """
    if name != AUTO:
        return name, ""
    if classifier in QUICK:
        return "search", f"with {classifier} it costs less than training tiny, for however many"
    if asked < PAYS:
        return "search", f"{asked:,} asked about, and training tiny pays from about {PAYS:,} on"
    if importlib.util.find_spec("torch") is None:
        return "search", "tiny, which costs less for so many, needs PyTorch: pip install 'sensecf[tiny]'"
    return "tiny", f"{asked:,} asked about, for whom training it pays with a slow classifier"
