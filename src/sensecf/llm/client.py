"""The model as the rest of SenseCF sees it: a backend, its ledger and its budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace

from sensecf.core.errors import InputError
from sensecf.llm import Completion, JsonSchema, Prompt
from sensecf.llm.asking import Answer, Backend, Counts, Request
from sensecf.llm.ledger import Ledger, Usage
from sensecf.llm.spend import Budget, Estimate

#: Told how far a batch is: a name of the phase, a share between 0 and 1.
Progress = Callable[[str, float], None]


class _Promised:
    """What requests without an outcome may cost, so that a cap holds with many in flight.

    A request is promised its upper bound for every try; where answers cost more than their bounds (a server
    counts a template of its own), so much more. Until that is known, `learned`, one request goes alone.
    """

    def __init__(self, budget: Budget, tries: int, learned: bool) -> None:
        self._budget, self._tries, self._learned = budget, tries, learned
        self._factor = [1.0, 1.0]
        self._open: set[str] = set()
        self._total = [0, 0]

    def room(self, usage: Usage, request: Request) -> bool:
        """Whether a request may go out now; one alone may, whatever its bound."""
        if not self._budget.capped or not self._open:
            return True
        total = [(self._total[i] + request.bound[i]) * self._factor[i] * self._tries for i in (0, 1)]
        return self._learned and not self._budget.reached(usage, (total[0], total[1]))

    def take(self, request: Request) -> None:
        """Promise a request its bound."""
        self._open.add(request.key)
        self._total = [self._total[i] + request.bound[i] for i in (0, 1)]

    def settle(self, request: Request, answer: Answer) -> None:
        """Give back what a request did not take; one that still waits (in a batch file) keeps it."""
        if not answer.tries and not answer.completion.cached:
            return
        self._open.discard(request.key)
        self._total = [self._total[i] - request.bound[i] for i in (0, 1)]
        spent = answer.completion.tokens_in, answer.completion.tokens_out
        if any(spent):
            self._learned = True
            self._factor = [max(self._factor[i], spent[i] / max(request.bound[i], 1)) for i in (0, 1)]


class Client:
    """Answer batches through a backend, asking nothing that the ledger knows and nothing beyond the budget.

    Whatever arrives is in the ledger before the next request goes out, so an interrupted batch that is
    started again goes on where it was. Requests that are equal in everything are asked once.

    Attributes:
        name: for tables.
        host: the machine that prompts are sent to, None where they stay in this process.

    >>> client = sensecf.llm.connect("http://127.0.0.1:8000/v1#small", cap_tokens=10_000)  # doctest: +SKIP
    """

    def __init__(
        self,
        backend: Backend,
        *,
        ledger: Ledger | None = None,
        budget: Budget | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.backend = backend
        self.ledger = ledger or Ledger()
        self.budget = budget or Budget()
        self.name = backend.name
        self.host = backend.host
        self._progress = progress or (lambda phase, share: None)
        self._before = self.ledger.usage(backend.model)
        self._cached = 0

    def complete(
        self,
        prompts: Sequence[Prompt],
        n: int = 1,
        *,
        json_schemas: Sequence[JsonSchema] | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 512,
    ) -> list[list[Completion]]:
        """Answer every prompt `n` times, see `sensecf.llm.LLM.complete`.

        A request that the budget or the server did not let through has a completion with the reason.
        Raises `InputError` where the model cannot be asked at all, and for arguments that do not fit.
        """
        wanted = _requests(prompts, n, json_schemas, temperature, seed, max_tokens)
        waiting = self._waiting(wanted)
        fresh: dict[str, Completion] = {}
        stopped = ""
        left = deque(waiting)
        promised = _Promised(self.budget, getattr(self.backend, "tries", 1), learned=self.host is None)

        def admitted() -> Iterator[Request]:
            nonlocal stopped
            while left and not stopped:
                usage = self.ledger.usage(self.backend.model)
                stopped = self.budget.reached(usage)
                if stopped or not promised.room(usage, left[0]):
                    return
                request = left.popleft()
                promised.take(request)
                self.ledger.asked(self.backend.model, request)
                yield request

        def keep(request: Request, answer: Answer) -> None:
            nonlocal stopped
            fresh[request.key] = answer.completion
            self.ledger.answered(self.backend.model, request, answer)
            promised.settle(request, answer)
            stopped = stopped or answer.stop
            self._progress("asking", len(fresh) / len(waiting))

        # Without a cap all are asked in one call. Near a cap, what is in flight comes back before more goes out.
        while left and not stopped:
            before = len(left)
            self.backend.answer(admitted(), keep)
            if len(left) == before:
                stopped = stopped or "not asked: the requests before it may take all that the cap leaves"
        given: set[str] = set()

        def outcome(request: Request) -> Completion:
            found = fresh.get(request.key) or self.ledger.find(self.backend.model, request)
            if request.key in given and found is not None:
                found = replace(found, seconds=0.0, cached=True)
            given.add(request.key)
            found = found or Completion("", stopped or "the backend gave no answer")
            self._cached += found.cached
            return found

        return [[outcome(request) for request in row] for row in wanted]

    def estimate(
        self,
        prompts: Sequence[Prompt],
        n: int = 1,
        *,
        json_schemas: Sequence[JsonSchema] | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 512,
    ) -> Estimate:
        """What `complete` with the same arguments would cost at most. Asks nothing."""
        waiting = self._waiting(_requests(prompts, n, json_schemas, temperature, seed, max_tokens))
        tokens_in = sum(request.bound[0] for request in waiting)
        tokens_out = sum(request.bound[1] for request in waiting)
        prices = self.budget.prices
        money = None if prices is None else prices.of(tokens_in, tokens_out)
        currency = "" if prices is None else prices.currency
        return Estimate(len(waiting), tokens_in, tokens_out, money, currency, self.host)

    def costs(self) -> dict[str, object]:
        """What this client asked and what it cost, for `run.json`: counts as in `Usage`, cached, money."""
        now, before = asdict(self.ledger.usage(self.backend.model)), asdict(self._before)
        spent = {key: round(now[key] - before[key], 3) for key in now}
        prices = self.budget.prices
        return {
            "name": self.name,
            "model": self.backend.model,
            "host": self.host,
            **spent,
            "cached": self._cached,
            "money": None if prices is None else self.budget.money(Usage(**spent)),
            "currency": None if prices is None else prices.currency,
        }

    def close(self) -> None:
        """Give the ledger back."""
        self.ledger.close()

    def _waiting(self, wanted: list[list[Request]]) -> list[Request]:
        """The requests that have to be asked, each once."""
        by_key = {request.key: request for row in wanted for request in row}
        waiting = [request for request in by_key.values() if self.ledger.find(self.backend.model, request) is None]
        if not isinstance(self.backend, Counts):
            return waiting
        sizes = {prompt: self.backend.count(prompt) for prompt in {request.prompt for request in waiting}}
        return [replace(request, counted=sizes[request.prompt]) for request in waiting]


def _requests(
    prompts: Sequence[Prompt],
    n: int,
    schemas: Sequence[JsonSchema] | None,
    temperature: float,
    seed: int,
    max_tokens: int,
) -> list[list[Request]]:
    if n < 1:
        raise InputError(f"n is {n}; ask for at least one completion per prompt")
    if max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}; allow at least one token")
    if not 0 <= temperature < float("inf"):
        raise InputError(f"the temperature is {temperature}; give a number of at least 0")
    if schemas is not None and len(schemas) != len(prompts):
        raise InputError(f"{len(prompts)} prompts came with {len(schemas)} JSON Schemas; give one each")
    for i, prompt in enumerate(prompts):
        if not prompt:
            raise InputError(f"prompt {i} has no messages; give at least one")
    return [
        [
            Request(prompt, sample, None if schemas is None else schemas[i], temperature, seed, max_tokens)
            for sample in range(n)
        ]
        for i, prompt in enumerate(prompts)
    ]
