"""What a language model answered itself, counted by person, before anything is polished or searched for instead."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from sensecf.core.candidates import Candidates
from sensecf.core.query import Query
from sensecf.core.verify import verify
from sensecf.llm.language.offered import Offered
from sensecf.llm.language.offers import added_up
from sensecf.llm.language.prompts import Asked

#: What is counted, in people; `ADDED_UP` only where the model is told offers.
ADDED_UP = "added_up"
COUNTS = ("people", "readable", "valid_first", "valid", "distinct", ADDED_UP)


class Own:
    """Counts of answers by person: `note` every answer in the order in which it came."""

    def __init__(self) -> None:
        self._first: dict[bytes, Hashable] = {}
        self._valid_first: set[bytes] = set()
        self._valid: set[bytes] = set()
        self._added_up: dict[bytes, bool] = {}

    def note(self, person: bytes, said: Hashable, good: bool) -> None:
        """An answer: what it says (None where it cannot be read), and whether it is valid and within all limits."""
        if person not in self._first:
            self._first[person] = said
            if good:
                self._valid_first.add(person)
        if good:
            self._valid.add(person)

    def note_added_up(self, people: Iterable[bytes], good: Iterable[bool]) -> None:
        """Whether what was offered to each of them, added up without a model, is valid."""
        self._added_up.update(zip(people, good, strict=True))

    def counts(self) -> dict[str, int]:
        """`people` asked, and of their first answers `readable`, `valid_first`, `distinct`; `valid` of all answers.

        Where the model is told offers, `added_up` is what they would do without it.
        """
        readable = [said for said in self._first.values() if said is not None]
        control = {ADDED_UP: sum(map(bool, self._added_up.values()))} if self._added_up else {}
        return {
            "people": len(self._first),
            "readable": len(readable),
            "valid_first": len(self._valid_first),
            "valid": len(self._valid),
            "distinct": len(set(readable)),
            **control,
        }


def note_added_up(own: Own, prompts: Offered, query: Query, asked: Sequence[Asked]) -> None:
    """Note what the offers of each question, one to each of `query`, would do without a model."""
    found = Candidates.of(np.arange(len(query)), added_up(prompts, asked), "added up")
    found.reason[np.isnan(found.rows).all(axis=1)] = "nothing is offered"
    own.note_added_up([(row + 0.0).tobytes() for row in query.rows], verify(prompts.task, query, found).good.tolist())


@runtime_checkable
class OwnAnswers(Protocol):
    """A generator that counts what its model answered itself."""

    def own(self) -> dict[str, int]:
        """The counts, as `Own.counts` names them."""
        ...
