"""What a language model answered itself, counted by person, before anything is polished or searched for instead."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, runtime_checkable

#: What is counted, in people.
COUNTS = ("people", "readable", "valid_first", "valid", "distinct")


class Own:
    """Counts of answers by person: `note` every answer in the order in which it came."""

    def __init__(self) -> None:
        self._first: dict[bytes, Hashable] = {}
        self._valid_first: set[bytes] = set()
        self._valid: set[bytes] = set()

    def note(self, person: bytes, said: Hashable, good: bool) -> None:
        """An answer: what it says (None where it cannot be read), and whether it is valid and within all limits."""
        if person not in self._first:
            self._first[person] = said
            if good:
                self._valid_first.add(person)
        if good:
            self._valid.add(person)

    def counts(self) -> dict[str, int]:
        """`people` asked, and of their first answers `readable`, `valid_first`, `distinct`; `valid` of all answers."""
        readable = [said for said in self._first.values() if said is not None]
        return {
            "people": len(self._first),
            "readable": len(readable),
            "valid_first": len(self._valid_first),
            "valid": len(self._valid),
            "distinct": len(set(readable)),
        }


@runtime_checkable
class OwnAnswers(Protocol):
    """A generator that counts what its model answered itself."""

    def own(self) -> dict[str, int]:
        """The counts, as `Own.counts` names them."""
        ...
