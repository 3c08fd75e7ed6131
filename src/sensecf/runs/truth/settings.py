"""What every generator is asked for, by name: from the boundary answer of the literature to plans with a lead."""

from __future__ import annotations

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits

#: The lead of the setting that asks for one: what the calibration on the simulated cohort arrives at.
LEAD = 0.6

#: Name: (what is asked, in words; the limits).
SETTINGS: dict[str, tuple[str, Limits]] = {
    "boundary": ("the nearest row of the other class, results edited too", Limits(edit="mutable")),
    "levers": ("the same, by what a person does alone", Limits(edit="actionable")),
    "levers+lead": (f"by what a person does, with a lead of {LEAD:g}", Limits(edit="actionable", margin=LEAD)),
}


def chosen(names: tuple[str, ...]) -> dict[str, Limits]:
    """The limits of settings by name, all of them where none is named. Raises `InputError` for an unknown name."""
    for name in names:
        if name not in SETTINGS:
            raise InputError(f"setting {name!r} is unknown; use {', '.join(SETTINGS)}")
    return {name: SETTINGS[name][1] for name in names or SETTINGS}
