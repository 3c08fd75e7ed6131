"""Rules over features, as data: order, total, linear, ratio, implication.

A rule is a frozen dataclass that checks, compiles, renames and says itself, and is read from and written to
TOML. `RuleSet` is the compiled form over encoded rows. A rule with a missing member does not apply to that row.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from sensecf.core.errors import InputError
from sensecf.core.rules.base import EPS, Bools, Floats, Rule
from sensecf.core.rules.compiled import Follow, RuleSet
from sensecf.core.rules.implication import Condition, Implication
from sensecf.core.rules.linear import Linear
from sensecf.core.rules.order import Order
from sensecf.core.rules.ratio import Ratio
from sensecf.core.rules.total import Total

__all__ = [
    "EPS",
    "Bools",
    "Condition",
    "Floats",
    "Follow",
    "Implication",
    "Linear",
    "Order",
    "Ratio",
    "Rule",
    "RuleSet",
    "Total",
    "rule_from_dict",
    "rule_to_dict",
]

#: Every kind of rule by its name in a schema file.
KINDS: dict[str, type[Rule]] = {kind.type: kind for kind in (Order, Total, Linear, Ratio, Implication)}
# A kind of a file that is not named above is known once the file is read.
for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
KINDS |= {kind.type: kind for kind in Rule.__subclasses__()}


def rule_from_dict(data: Any) -> Rule:
    """Read one `[[rules]]` entry of a schema file. Raises `InputError` on anything unknown."""
    if not isinstance(data, Mapping):
        raise InputError(f"rule {data!r} is no table; write it as a [[rules]] entry, see docs/schema.md")
    entry = dict(data)
    kind = entry.pop("type", None)
    if not isinstance(kind, str) or kind not in KINDS:
        *most, last = KINDS
        raise InputError(f"rule type {kind!r} is unknown: use {', '.join(most)} or {last}")
    try:
        return KINDS[kind].read(entry)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"rule {dict(data)}: {error}; see docs/schema.md for the fields of each rule") from error


def rule_to_dict(rule: Rule) -> dict[str, object]:
    """The `[[rules]]` entry of a rule; the inverse of `rule_from_dict`."""
    return {"type": rule.type, **rule.entry()}
