"""The simulated cohort under the laws that have a name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sensecf.core.errors import InputError
from sensecf.core.schema import FeatureSchema, Role
from sensecf.data.builtin.simulated import simulated_schema
from sensecf.data.world.cohort import LEVERS, Cohort


@dataclass(frozen=True)
class Preset(Cohort):
    """A cohort whose table is that of `data.builtin.simulated`, so that it has its schema; see `World`."""

    def schema(self) -> FeatureSchema:
        """The schema of the cohort's table, with the levers alone actionable."""
        schema = simulated_schema()
        roles: dict[str, Role] = {
            f.name: "actionable" if f.name in LEVERS else "mutable" for f in schema.features if f.changeable
        }
        features = tuple(replace(f, role=roles[f.name]) if f.name in roles else f for f in schema.features)
        return replace(schema, features=features)


#: The worlds by the name that the command line knows.
PRESETS: dict[str, Preset] = {
    "easy": Preset("easy"),
    "confounded": Preset("confounded", confounding=0.6),
    "drifting": Preset("drifting", drift=1.0, delay=30),
}


def preset(name: str) -> Preset:
    """The world of that name. Raises `InputError` for an unknown one."""
    if name not in PRESETS:
        raise InputError(f"world {name!r} is unknown; use {', '.join(PRESETS)} or random")
    return PRESETS[name]
