"""What may come next, and what does: JSON Schemas as masks over tokens, and draws that do not depend on the batch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import llguidance
import llguidance.hf
import torch
from transformers import LogitsProcessor, PreTrainedTokenizerFast

from sensecf.core.errors import InputError
from sensecf.llm import JsonSchema

#: Share of the token limit from which on an answer is led to its end.
_CLOSING = 0.75


class Constraint(LogitsProcessor):
    """Masks the tokens after which an answer could no longer follow its schema; one matcher per row.

    A schema alone does not make an answer end: numbers and lists may go on. In the last quarter of
    the limit, tokens that close what is open go before all others, wherever the schema allows them.
    Nor can it forbid that a list names a thing twice: `once` (one per row) does.
    """

    def __init__(
        self,
        matchers: Sequence[llguidance.LLMatcher | None],
        once: Sequence[Once | None],
        ends: Sequence[int],
        limit: int,
        grammars: Grammars,
    ) -> None:
        self._matchers = matchers
        self._once = once
        self._texts = [b"" for _ in matchers]
        self._done = [matcher is None for matcher in matchers]
        self._ends = set(ends)
        self._close_from = int(limit * _CLOSING)
        self._grammars = grammars
        self._written = 0

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        last = input_ids[:, -1].tolist()
        for row, matcher in enumerate(self._matchers):
            if matcher is None or self._done[row]:
                continue
            if self._written:
                self._done[row] = last[row] in self._ends
                if self._done[row]:  # from here on generation pads the row
                    continue
                matcher.consume_token(last[row])
                self._texts[row] += self._grammars.spelling[last[row]]
            allowed = torch.frombuffer(bytearray(matcher.compute_logit_bias()), dtype=torch.uint8) > 0
            if matcher.is_error():
                raise InputError(f"constrained decoding failed: {' '.join(matcher.get_error().split())[:200]}")
            if self._written >= self._close_from and bool((closing := allowed & self._grammars.closers).any()):
                allowed = closing
            if (once := self._once[row]) is not None:
                allowed = once.leaves(self._texts[row], allowed, self._grammars.spelling)
            width = min(len(allowed), scores.shape[1])
            scores[row, :width].masked_fill_(~allowed[:width].to(scores.device), -torch.inf)
            scores[row, width:] = -torch.inf
        self._written += 1
        return scores


class Once:
    """The names that the items of a list begin with, `{"feature": NAME, …}`: each may stand once.

    `key`: what the name is the value of.
    """

    def __init__(self, key: str, names: Sequence[str]) -> None:
        head = re.escape(json.dumps(key, ensure_ascii=False).encode()) + rb': ?"((?:[^"\\]|\\.)*)'
        self._begun, self._whole = re.compile(head + rb"$", re.DOTALL), re.compile(head + rb'"', re.DOTALL)
        self._name = re.compile(rb'((?:[^"\\]|\\.)*)"', re.DOTALL)
        self._names = {json.dumps(name, ensure_ascii=False)[1:-1].encode() for name in names}

    @classmethod
    def of(cls, schema: JsonSchema | None) -> Once | None:
        """That of the first list in a schema whose items are told apart by such a name; None without one."""
        for items in _lists({} if schema is None else schema):
            kinds = [kind.get("properties", {}) for kind in items.get("anyOf", [])]
            keys = {next(iter(kind), "") for kind in kinds}
            if len(keys) != 1 or not (key := keys.pop()):
                continue
            names = [name for kind in kinds for name in kind[key].get("enum", [None])]
            if len(names) == len(kinds) and all(isinstance(name, str) for name in names):
                return cls(key, names)
        return None

    def leaves(self, text: bytes, allowed: torch.Tensor, spelling: Sequence[bytes]) -> torch.Tensor:
        """The allowed tokens but for those that can only name again what the text has named."""
        begun = self._begun.search(text)
        used = set(self._whole.findall(text))
        if begun is None or not used:
            return allowed
        free = self._names - used
        left = allowed.clone()
        for token in allowed.nonzero().flatten().tolist():
            name = begun[1] + spelling[token]
            whole = self._name.match(name)
            if not (whole[1] in free if whole else any(other.startswith(name) for other in free)):
                left[token] = False
        # Where names are spelt in a way that is not known here, the schema decides alone.
        return left if bool(left.any()) else allowed


def _lists(schema: JsonSchema) -> Iterator[JsonSchema]:
    """The items of every list below an object's properties."""
    for part in schema.get("properties", {}).values():
        if isinstance(part, dict):
            if isinstance(part.get("items"), dict):
                yield part["items"]
            yield from _lists(part)


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
    """Compiled schemas of one tokenizer, how its tokens are spelt (`spelling`), and those that close something."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, vocabulary: int, ends: list[int]) -> None:
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=ends)
        self.closers = torch.zeros(vocabulary, dtype=torch.bool)
        self.closers[ends] = True
        self.spelling = [self._tokenizer.decode_bytes([token]) for token in range(min(vocabulary, len(tokenizer)))]
        for token, text in enumerate(self.spelling):
            if text and not text.strip(b'"]}') and not self._tokenizer.is_special_token(token):
                self.closers[token] = True
        self._compiled: dict[str, llguidance.LLMatcher] = {}

    def matcher(self, schema: JsonSchema | None) -> llguidance.LLMatcher | None:
        """A fresh matcher of a schema. Raises `InputError` for a schema with parts that cannot be enforced."""
        if schema is None:
            return None
        text = json.dumps(schema)
        if text not in self._compiled:
            # Blanks between values would let a model write nothing else for ever.
            grammar = llguidance.LLMatcher.grammar_from_json_schema(text, defaults={"whitespace_flexible": False})
            matcher = llguidance.LLMatcher(self._tokenizer, grammar)
            if matcher.is_error():
                said = " ".join(matcher.get_error().split())[:200]
                raise InputError(f"the JSON Schema of the answer cannot be enforced while decoding: {said}")
            self._compiled[text] = matcher
        return self._compiled[text].deep_copy()
