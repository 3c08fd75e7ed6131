"""Causes drafted by a language model from the names of columns: asked once, each edge with the model's reason.

Nothing drafted is used: what comes back is written as comments, for a person to accept edge by edge. No row is shown
to the model, only what the schema says of its features. (Asking once for the whole graph beats asking pair by pair, and
what a model knows by heart of textbook graphs is no evidence: hold what is accepted against rows with `check_graph`.)
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sensecf.core.errors import InputError, one_line
from sensecf.core.kept import Json
from sensecf.core.schema import FeatureSchema, Sign
from sensecf.llm import LLM, Message, Prompt

#: Tokens of a draft, at most.
LONGEST = 4096

_SYSTEM = (
    "You propose direct causes among the columns of a table about people's days, as an epidemiologist would draw them. "
    "An edge says that changing the cause, all else equal, changes the effect within the same day. Leave out what is "
    "merely correlated, and what acts only through another column of the list. Give each edge a sign and one sentence "
    'of reason with its source where you know one. Answer as JSON: {"edges": [{"cause": NAME, "effect": NAME, '
    '"sign": "+" or "-", "reason": TEXT}, ...]}.'
)


class Drafted(NamedTuple):
    """An edge that a model proposes, with its reason on one line."""

    cause: str
    effect: str
    sign: Sign
    reason: str


def drafting_prompt(schema: FeatureSchema) -> Prompt:
    """What a model is asked: the numeric features of a schema with unit, role and description, and no row."""
    lines = [f"- {f.name} ({', '.join(filter(None, [f.unit, f.role, f.description]))})" for f in _usable(schema)]
    return Message("system", _SYSTEM), Message("user", "The columns:\n" + "\n".join(lines))


def draft_causes(schema: FeatureSchema, llm: LLM, seed: int = 0) -> tuple[list[Drafted], list[str]]:
    """Edges drafted by a model, and why others were left out (a name that is no column, a circle, an edge twice).

    Raises `InputError` where the model gives no answer that can be read.
    """
    names = [f.name for f in _usable(schema)]
    fixed = {f.name for f in schema.features if not f.changeable}
    text = {"type": "string"}
    edge = {"cause": {"enum": names}, "effect": {"enum": names}, "sign": {"enum": ["+", "-"]}, "reason": text}
    form = _object({"edges": {"type": "array", "items": _object(edge)}})
    [[said]] = llm.complete([drafting_prompt(schema)], json_schemas=[form], seed=seed, max_tokens=LONGEST)
    if said.reason:
        raise InputError(f"{llm.name} drafted nothing: {said.reason}; ask another model, or write causes by hand")
    kept: list[Drafted] = []
    left: list[str] = []
    below: dict[str, set[str]] = {name: set() for name in names}  # what each is a cause of, at any distance
    for entry in _edges(said.text, llm.name):
        cause, effect = str(entry.get("cause")), str(entry.get("effect"))
        what, why = f"{cause} → {effect}", ""
        if cause not in names or effect not in names or cause == effect:
            why = "no two columns of the schema"
        elif entry.get("sign") not in ("+", "-"):
            why = "no sign"
        elif effect in fixed:
            why = f"{effect} never changes"
        elif cause in below[effect]:
            why = "would close a circle"
        elif any((e.cause, e.effect) == (cause, effect) for e in kept):
            why = "listed twice"
        if why:
            left.append(f"{' '.join(what.split())[:200]}: {why}")
            continue
        reason = " ".join("".join(c if c.isprintable() else " " for c in str(entry.get("reason", ""))).split())
        kept.append(Drafted(cause, effect, entry["sign"], reason[:300]))
        for node in names:
            if node == cause or cause in below[node]:
                below[node] |= {effect} | below[effect]
    return kept, left


def proposals(edges: list[Drafted], model: str) -> dict[str, str]:
    """Drafted edges as remarks on features, by name: lines of a schema file that are off until the # are taken away."""
    out: dict[str, str] = {}
    for effect in dict.fromkeys(edge.effect for edge in edges):
        own = [edge for edge in edges if edge.effect == effect]
        why = "; ".join(f"{edge.cause}: {edge.reason}" for edge in own)
        lines = [
            f"drafted by {model}, looked at by nobody, and off until the # are taken away:",
            f"causes = {json.dumps([edge.cause for edge in own], ensure_ascii=False)}",
            f"sign = {json.dumps([edge.sign for edge in own])}",
            f"causes_source = {json.dumps(f'drafted by {model}: {why}', ensure_ascii=False)}",
        ]
        out[effect] = "\n".join(lines)
    return out


def _usable(schema: FeatureSchema) -> list[Any]:
    return [f for f in schema.features if f.numeric or f.kind == "binary"]


def _edges(text: str, model: str) -> list[Json]:
    start, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[start : end + 1])["edges"]
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise ValueError("no list of edges")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{model} drafted nothing that can be read ({one_line(error)}); ask another model, or write causes by hand"
        ) from error
    return found


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
