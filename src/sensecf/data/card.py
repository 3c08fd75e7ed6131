"""`Card`: what a data set is, who may have it, what is made of it, and what it cannot tell.

A card travels with its table: `days.csv.card.json` lies beside `days.csv`, and a run folder holds
a copy as `card.json`, so that what was made from a table is held to the same terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from sensecf.core.errors import InputError
from sensecf.core.files import write_json
from sensecf.core.kept import read_record

#: Where rows may go: nowhere, to the hosts that the card names, or anywhere.
Leaves = Literal["local only", "named hosts", "shareable"]
#: The card in a run folder.
CARD_FILE = "card.json"


@dataclass(frozen=True)
class Card:
    """The facts a person needs before using a data set.

    `leaves`: what may leave the machine, see `Leaves`; `hosts`: the host names that rows may be
    sent to where that is "named hosts". `derivatives`: what rows, answers and models made from it
    inherit. `label`: how the label is defined. `simulated`: the rows come from a random number
    generator. Raises `InputError` for hosts without "named hosts" and the reverse.

    >>> data.card.licence
    'Apache-2.0 (part of SenseCF)'
    """

    name: str
    source: str
    licence: str
    leaves: Leaves
    derivatives: str
    label: str
    caveats: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    simulated: bool = False

    def __post_init__(self) -> None:
        if self.leaves not in get_args(Leaves):
            raise InputError(f"card {self.name!r}: leaves is {self.leaves!r}; use {', '.join(get_args(Leaves))}")
        if (self.leaves == "named hosts") != bool(self.hosts):
            raise InputError(f'card {self.name!r}: hosts are listed where leaves is "named hosts", and only there')

    @property
    def shareable(self) -> bool:
        """Whether rows, and what is made from them, may be passed on to anybody."""
        return self.leaves == "shareable"

    def permits(self, host: str) -> bool:
        """Whether rows may be sent to that host (a name without scheme or port; this machine is no host)."""
        return self.shareable or host.casefold() in (name.casefold() for name in self.hosts)

    def lines(self) -> list[str]:
        """The card as people read it, a fact a line."""
        leaves = f"only to {', '.join(self.hosts)}" if self.hosts else self.leaves
        facts = {
            "data": f"{self.name} (SIMULATED)" if self.simulated else self.name,
            "source": self.source,
            "licence": self.licence,
            "may leave": leaves,
            "inherits": self.derivatives,
            "label": self.label,
        }
        return [f"{key}: {value}" for key, value in facts.items()] + [f"caveat: {caveat}" for caveat in self.caveats]

    def save(self, folder: str | Path) -> None:
        """Write the card into a run folder as `card.json`."""
        write_json(Path(folder) / CARD_FILE, asdict(self))

    def save_beside(self, table: str | Path) -> None:
        """Write the card beside a table, as `TABLE.card.json`."""
        write_json(f"{table}.{CARD_FILE}", asdict(self))

    @classmethod
    def read(cls, path: str | Path) -> Card:
        """Read a card. Raises `InputError` naming the field that is absent, unknown or of the wrong type."""
        try:
            data = read_record(path, dict[str, Any])
        except InputError as error:
            raise InputError(f"{error}; a card holds an object with its fields") from error
        _check(path, data)
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)


def card_beside(table: str | Path) -> Card | None:
    """The card that lies with a table: `TABLE.card.json`, else the `card.json` of its folder; None where neither is.

    A table in a run folder (counterfactuals, made-up rows) is thus held to the terms of the data it
    was made from. Raises `InputError` for a card that cannot be read: it is not taken for none.
    """
    table = Path(table)
    for path in (Path(f"{table}.{CARD_FILE}"), table.parent / CARD_FILE):
        if path.is_file():
            return Card.read(path)
    return None


def strictest(cards: Iterable[Card | None]) -> Card | None:
    """The card of what is made from several tables at once, such as a table and the queries asked about it.

    Its rows may go only where the rows of all of them may. A table without a card adds nothing that
    is permitted; None where no card forbids anything and one is absent. Raises `InputError` for no table.
    """
    found = list(dict.fromkeys(cards))
    if not found:
        raise InputError("no table, so no card")
    known = [card for card in found if card is not None]
    limited = [card for card in known if not card.shareable]
    if len(known) < len(found) and not limited:
        return None
    if len(found) == 1:
        return known[0]
    named = limited[0].hosts if limited and len(known) == len(found) else ()
    hosts = tuple(host for host in named if all(card.permits(host) for card in limited))
    return Card(
        name=" + ".join(card.name for card in known),
        source="; ".join(card.source for card in known),
        licence="; ".join(card.licence for card in known),
        leaves="named hosts" if hosts else "local only" if limited else "shareable",
        derivatives="; ".join(card.derivatives for card in known),
        label="; ".join(card.label for card in known),
        caveats=tuple(dict.fromkeys(caveat for card in known for caveat in card.caveats)),
        hosts=hosts,
        simulated=len(known) == len(found) and all(card.simulated for card in known),
    )


def _check(path: str | Path, data: Mapping[str, Any]) -> None:
    known = {field.name: field for field in fields(Card)}
    for name in data:
        if name not in known:
            raise InputError(f"{path}: unknown field {name!r}; the fields of a card are {', '.join(known)}")
    for name, field in known.items():
        if name not in data:
            if field.default is MISSING:
                raise InputError(f"{path}: the card has no {name!r}; the fields of a card are {', '.join(known)}")
            continue
        value = data[name]
        if name in ("caveats", "hosts"):
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise InputError(f"{path}: {name} must be a list of texts, not {value!r}")
        elif name == "simulated":
            if not isinstance(value, bool):
                raise InputError(f"{path}: simulated must be true or false, not {value!r}")
        elif not isinstance(value, str):
            raise InputError(f"{path}: {name} must be text, not {value!r}")
