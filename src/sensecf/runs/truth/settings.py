"""What every generator is asked for, by name: from the boundary answer of the literature to plans that hold."""

from __future__ import annotations

from typing import Any

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits

#: The lead of the setting that asks for one, whatever the table.
LEAD = 0.6
#: The share of refits that are to agree with a plan that holds.
HOLD = 0.95
#: Limits that say nothing beyond the boundary.
PLAIN: dict[str, Any] = {"margin": 0.0, "hold": 0.0, "consequences": "still"}

#: Name: (what is asked, in words; the limits beyond `PLAIN`).
_ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "boundary": ("the nearest row of the other class, results edited too", {"edit": "mutable"}),
    "levers": ("the same, by what a person does alone", {"edit": "actionable"}),
    "levers+consequences": (
        "by what a person does, and it is to stand with what is expected to follow, at the worse end",
        {"edit": "actionable", "consequences": "cautious"},
    ),
    "levers+lead": (f"by what a person does, with a lead of {LEAD:g}", {"edit": "actionable", "margin": LEAD}),
    "levers+lead+consequences": (
        f"with a lead of {LEAD:g}, and it is to stand with what is expected to follow, at the worse end",
        {"edit": "actionable", "margin": LEAD, "consequences": "cautious"},
    ),
    "levers+hold": (
        f"by what a person does, and {100 * HOLD:.0f} % of refits are to agree",
        {"edit": "actionable", "hold": HOLD},
    ),
    "levers+hold+consequences": (
        f"{100 * HOLD:.0f} % of refits are to agree, and it is to stand with the worse end of what follows",
        {"edit": "actionable", "hold": HOLD, "consequences": "cautious"},
    ),
}
#: Name: (what is asked, in words; the limits).
SETTINGS: dict[str, tuple[str, Limits]] = {
    name: (words, Limits(**(PLAIN | asked))) for name, (words, asked) in _ASKED.items()
}


def chosen(names: tuple[str, ...]) -> dict[str, Limits]:
    """The limits of settings by name, all of them where none is named. Raises `InputError` for an unknown name."""
    for name in names:
        if name not in SETTINGS:
            raise InputError(f"setting {name!r} is unknown; use {', '.join(SETTINGS)}")
    return {name: SETTINGS[name][1] for name in names or SETTINGS}
