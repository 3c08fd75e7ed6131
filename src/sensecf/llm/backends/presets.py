"""Models by name: the presets that come along, and those of the user, as configuration."""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from sensecf.core.errors import InputError
from sensecf.core.kept import read_toml
from sensecf.llm.spend import Prices


@dataclass(frozen=True)
class ModelPreset:
    """One model: where it is asked, what it costs, what its use is subject to; see presets.toml."""

    name: str
    model: str
    base_url: str
    licence: str = ""
    key_env: str | None = None
    price_in: float | None = None
    price_out: float | None = None
    currency: str = "USD"
    priced: str = ""
    weights_gb: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def prices(self) -> Prices | None:
        """The prices, where both are known."""
        if self.price_in is None or self.price_out is None:
            return None
        return Prices(self.price_in, self.price_out, self.currency)


def presets(path: str | Path | None = None) -> dict[str, ModelPreset]:
    """The presets of a file, or those that come along. Raises `InputError` naming the entry that is wrong."""
    source = "presets.toml" if path is None else str(path)
    own = files("sensecf.llm.backends") / "presets.toml"
    tables = tomllib.loads(own.read_text("utf-8")) if path is None else read_toml(path)
    return {name: _preset(source, name, table) for name, table in tables.items()}


def preset(name: str, path: str | Path | None = None) -> ModelPreset:
    """One preset. Raises `InputError` that lists the names there are."""
    known = presets(path)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"no language model {name!r}; {hint}write a preset ({', '.join(known)}), the preset of a file "
        "(models.toml#NAME), an address (http://localhost:8000/v1#MODEL), a folder of a model, or replay:FILE"
    )


def key_in_environment(variable: str) -> str | None:
    """The key that an environment variable holds, None where it is unset or empty.

    Raises `InputError` for a key that no header can carry, without repeating it.
    """
    key = os.environ.get(variable, "").strip()
    if not all("!" <= character <= "~" for character in key):
        raise InputError(f"the key in {variable} holds blanks or characters that no key has; set it again")
    return key or None


def _preset(source: str, name: str, table: Any) -> ModelPreset:
    if not isinstance(table, dict):
        raise InputError(f"{name!r} in {source} is no table; write [{name}] and its fields below")
    kinds: dict[str, tuple[type, ...]] = {"price_in": (int, float), "price_out": (int, float), "weights_gb": (dict,)}
    known = [entry.name for entry in fields(ModelPreset) if entry.name != "name"]
    for key, value in table.items():
        if key not in known and isinstance(value, dict):
            raise InputError(f'a name with dots needs quotes in {source}: write ["{name}.{key}"]')
        if key not in known:
            raise InputError(
                f"{key!r} of [{name}] in {source} is no field of a preset; the fields are {', '.join(known)}"
            )
        if not isinstance(value, kinds.get(key, (str,))):
            raise InputError(
                f"{key} of [{name}] in {source} is {value!r}, which is no {kinds.get(key, (str,))[0].__name__}"
            )
    for key in ("model", "base_url"):
        if not table.get(key):
            raise InputError(f"[{name}] in {source} has no {key}; add it")
    return ModelPreset(name, **table)
