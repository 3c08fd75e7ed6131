"""What may come next, and what does: JSON Schemas as masks over tokens, and draws that do not depend on the batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import llguidance
import llguidance.hf
import torch
from transformers import LogitsProcessor, PreTrainedTokenizerFast

from sensecf.core.errors import InputError
from sensecf.llm import JsonSchema
from sensecf.llm.language.wording import quote

#: Share of the token limit from which on an answer is led to its end.
_CLOSING = 0.75


class Constraint(LogitsProcessor):
    """Masks the tokens after which an answer could no longer follow its schema; one matcher per row.

    A schema alone does not make an answer end: numbers and lists may go on. In the last quarter of
    the limit, tokens that close what is open go before all others, wherever the schema allows them.
    """

    def __init__(
        self,
        matchers: Sequence[llguidance.LLMatcher | None],
        ends: Sequence[int],
        limit: int,
        grammars: Grammars,
    ) -> None:
        self._matchers = matchers
        self._done = [matcher is None for matcher in matchers]
        self._ends = set(ends)
        self._close_from = int(limit * _CLOSING)
        self._grammars = grammars
        self._written = 0

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        last = input_ids[:, -1].tolist()
        # A bit per token; all rows travel to the device at once, and are unpacked there.
        allowed = torch.full((len(last), self._grammars.closers.shape[0]), -1, dtype=torch.int32)
        for row, matcher in enumerate(self._matchers):
            if matcher is None or self._done[row]:
                continue
            if self._written:
                self._done[row] = last[row] in self._ends
                if self._done[row]:  # from here on generation pads the row
                    continue
                matcher.consume_token(last[row])
            # llguidance may write a number more than the vocabulary fills.
            written = torch.frombuffer(bytearray(matcher.compute_bitmask()), dtype=torch.int32)
            allowed[row] = written[: allowed.shape[1]]
            if matcher.is_error():
                raise InputError(f"constrained decoding failed: {' '.join(matcher.get_error().split())[:200]}")
            if self._written >= self._close_from and bool((closing := allowed[row] & self._grammars.closers).any()):
                allowed[row] = closing
        self._written += 1
        return scores.masked_fill_(~_unpacked(allowed.to(scores.device), scores.shape[1]), -torch.inf)  # type: ignore[return-value]


def _packed(allowed: torch.Tensor) -> torch.Tensor:
    """Flags (tokens) as bits, 32 to a number, as llguidance writes them; missing ones are not set."""
    padded = torch.nn.functional.pad(allowed.to(torch.int64), (0, -len(allowed) % 32)).reshape(-1, 32)
    whole = (padded << torch.arange(32)).sum(dim=1)
    return torch.where(whole >= 2**31, whole - 2**32, whole).to(torch.int32)


def _unpacked(bits: torch.Tensor, width: int) -> torch.Tensor:
    """The first `width` bits of each row as flags."""
    places = torch.arange(32, dtype=torch.int32, device=bits.device)
    flags = ((bits[..., None] >> places) & 1).flatten(1).bool()
    return torch.nn.functional.pad(flags[:, :width], (0, max(0, width - flags.shape[1])))


class Draw(LogitsProcessor):
    """Turns the likeliest token into a sample: noise of Gumbel's distribution on every score.

    The largest score plus such noise is a draw from the softmax (Gumbel 1954). Each row has its own
    generator, so that an answer depends on its seed and not on what else is in the batch.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, device: torch.device) -> None:
        self._temperature = temperature
        self._generators = [torch.Generator(device=device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        scaled = scores.float() / self._temperature
        for row, generator in enumerate(self._generators):
            noise = torch.empty_like(scaled[row]).exponential_(generator=generator).clamp_min_(1e-20)
            scaled[row] -= noise.log()
        return scaled  # type: ignore[return-value]


class Grammars:
    """Compiled schemas of one tokenizer, and those of its tokens that close something, as bits (`closers`)."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, vocabulary: int, ends: list[int]) -> None:
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=ends)
        closers = torch.zeros(vocabulary, dtype=torch.bool)
        closers[ends] = True
        for token in range(min(vocabulary, len(tokenizer))):
            text = self._tokenizer.decode_bytes([token])
            if text and not text.strip(b'"]}') and not self._tokenizer.is_special_token(token):
                closers[token] = True
        self.closers = _packed(closers)
        self._compiled: dict[str, llguidance.LLMatcher] = {}

    def matcher(self, schema: JsonSchema | None) -> llguidance.LLMatcher | None:
        """A fresh matcher of a schema. Raises `InputError` for a schema with parts that cannot be enforced."""
        if schema is None:
            return None
        text = json.dumps(schema)
        if text not in self._compiled:
            matcher = llguidance.LLMatcher(self._tokenizer, _grammar(schema))
            if matcher.is_error():
                said = " ".join(matcher.get_error().split())[:200]
                raise InputError(f"the JSON Schema of the answer cannot be enforced while decoding: {said}")
            self._compiled[text] = matcher
        return self._compiled[text].deep_copy()


def _grammar(schema: JsonSchema) -> str:
    """A schema as llguidance takes it, without blanks between values: a model could write nothing else for ever."""
    if schema.get("properties") and "maxProperties" in schema and not schema.get("required"):
        return llguidance.LLMatcher.grammar_from_lark("\n".join(_members(schema)))
    return llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults={"whitespace_flexible": False})


def _members(schema: JsonSchema) -> Iterator[str]:
    """Rules for an object of `minProperties` to `maxProperties` of its properties, in their order, each at most once.

    llguidance counts members only where all of them are required. In `may_J_K` member J or a later one is written
    next, after K of them; in `done_J_K` it or the end.
    """
    members = list(schema["properties"].items())
    most = min(schema["maxProperties"], len(members))
    least = schema.get("minProperties", 0)
    yield 'start: "{" done_0_0' if least == 0 else 'start: "{" may_0_0'
    for j, (name, value) in enumerate(members):
        yield f"member_{j}: {_literal(quote(name) + ':')} value_{j}"
        yield f"value_{j}: " + " | ".join(_values(value))
        for k in range(most):
            later = f" | may_{j + 1}_{k}" if j + 1 < len(members) else ""
            yield f"may_{j}_{k}: member_{j} done_{j + 1}_{k + 1}{later}"
    for j in range(len(members) + 1):
        for k in range(most + 1):
            more = f"{',' if k else ''}"
            ways = [f"{_literal(more) if more else ''} may_{j}_{k}"] if j < len(members) and k < most else []
            ways += ['"}"'] if k >= least else []
            if ways:
                yield f"done_{j}_{k}: " + " | ".join(ways)


def _values(schema: JsonSchema) -> Iterator[str]:
    """The ways to write a value, spelt as prompts spell it where they can be told one by one."""
    if "enum" in schema:
        yield from (_literal(quote(value)) for value in schema["enum"])
    else:
        yield f"%json {json.dumps(schema)}"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
