"""Where a plan stands: who signed it, and what became of it since it was offered."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sensecf.core.errors import InputError

#: What can become of a plan, in this order; from "done" and "stopped" nothing follows.
STATUSES = ("offered", "agreed", "active", "done", "stopped")
#: What can be done with a plan: signatures, remarks, and each status by its own name.
ACTIONS = ("bookmark", "note", "sign off", "countersign", "reject", *STATUSES)
#: What needs a reason in the note.
REASONED = ("reject", "stopped")


@dataclass(frozen=True)
class Standing:
    """`status`: one of `STATUSES`, "" where the plan was not offered yet; `since`: when it came to it.

    `signed`, `countersigned`: the name that signed, and another one that signed after it; "" for nobody.
    """

    status: str = ""
    since: str = ""
    signed: str = ""
    countersigned: str = ""

    @property
    def open(self) -> bool:
        """Whether something can still become of the plan."""
        return self.status not in ("done", "stopped")

    def after(self, entry: Mapping[str, Any]) -> Standing:
        """The standing after one decision, which `refuse` let through."""
        action, who, time = str(entry["action"]), str(entry["who"]), str(entry["time"])
        status, since = self.status, self.since
        if action in STATUSES:
            status, since = action, time
        elif action == "sign off" and not status:
            status, since = "offered", time
        elif action == "reject":
            status, since = "stopped", time
        signed = who if action == "sign off" else self.signed
        # A new signature asks for a second one anew.
        second = who if action == "countersign" else "" if action == "sign off" else self.countersigned
        return Standing(status, since, signed, second)

    def refuse(self, who: str, action: str) -> None:
        """Raise `InputError`, with what to do, for a decision that cannot follow."""
        if action == "countersign":
            if not self.signed:
                raise InputError("There is nothing to countersign: somebody signs the plan off first.")
            if same_name(who, self.signed):
                raise InputError(f"{self.signed} signed this plan off: the second signature is another person's.")
        if action in STATUSES or action in ("sign off", "countersign"):
            if not self.open:
                raise InputError(f"This plan is {self.status} since {self.since[:10]}; ask for a new plan instead.")
            if action in ("agreed", "active", "done") and not self.signed:
                raise InputError(f"A plan is signed off before it is {action}.")
            if action in STATUSES[:4] and self.status in STATUSES[:4]:
                step = STATUSES.index(action) - STATUSES.index(self.status)
                if step <= 0:
                    raise InputError(f"This plan is {self.status} already; next is {_next(self.status)} or stopped.")
                if action == "done" and self.status != "active":
                    raise InputError("A plan is active before it is done.")


def _next(status: str) -> str:
    return STATUSES[STATUSES.index(status) + 1]


#: Where a plan stands about which nobody decided.
NONE = Standing()


def same_name(one: str, other: str) -> bool:
    """Whether two typed names are one: case, width and spaces do not count."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def standing(entries: Iterable[Mapping[str, Any]]) -> Standing:
    """Where a plan stands after its decisions, oldest first; entries of other kinds say nothing."""
    found = Standing()
    for entry in entries:
        if entry.get("kind", "decision") == "decision":
            found = found.after(entry)
    return found
