"""What asking costs, before and after, and where it has to end."""

from __future__ import annotations

from dataclasses import dataclass

from sensecf.errors import InputError
from sensecf.llm.ledger import Usage

_MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """Money per million tokens.

    Attributes:
        tokens_in: price of a million tokens of prompts.
        tokens_out: price of a million tokens written.
        currency: of both, and of every cap.
    """

    tokens_in: float
    tokens_out: float
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not (0 <= self.tokens_in < float("inf") and 0 <= self.tokens_out < float("inf")):
            raise InputError(f"prices are {self.tokens_in} and {self.tokens_out}; give amounts of at least 0")

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Money for so many tokens."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / _MILLION


@dataclass(frozen=True)
class Budget:
    """Prices and caps of one model; caps are over all runs on the same ledger.

    A cap ends the asking as soon as it is reached, so it is exceeded by at most the requests in flight.
    Raises `InputError` for a cap that lets nothing be asked, or one in money where no price is known.
    """

    prices: Prices | None = None
    cap_money: float | None = None
    cap_tokens: int | None = None

    def __post_init__(self) -> None:
        for what, cap in (("money", self.cap_money), ("tokens", self.cap_tokens)):
            if cap is not None and not cap > 0:
                raise InputError(f"the cap in {what} is {cap}: nothing could be asked; raise it or leave it out")
        if self.cap_money is not None and self.prices is None:
            raise InputError("a cap in money needs prices, and this model has none; give prices or a cap in tokens")

    def money(self, usage: Usage) -> float | None:
        """Money spent so far, tries with unknown outcome at their upper bound; None without prices."""
        if self.prices is None:
            return None
        return self.prices.of(usage.tokens_in + usage.lost_in, usage.tokens_out + usage.lost_out)

    def reached(self, usage: Usage) -> str:
        """The reason why nothing more may be asked; empty while there is room."""
        tokens = usage.tokens_in + usage.tokens_out + usage.lost_in + usage.lost_out
        if self.cap_tokens is not None and tokens >= self.cap_tokens:
            return f"not asked: the cap of {self.cap_tokens} tokens is reached"
        money = self.money(usage)
        if self.prices is not None and self.cap_money is not None and money is not None and money >= self.cap_money:
            return f"not asked: the cap of {self.cap_money:g} {self.prices.currency} is reached"
        return ""


@dataclass(frozen=True)
class Estimate:
    """What a batch will cost at most, before anything is asked; answers in the ledger cost nothing.

    Attributes:
        requests: requests that would go out.
        tokens_in: tokens of their prompts, estimated from the length of the text.
        tokens_out: tokens written if every answer runs to the limit.
        money: for both, None without prices.
        currency: of the money.
        host: where the prompts would go, None where they stay in this process.
    """

    requests: int
    tokens_in: int
    tokens_out: int
    money: float | None
    currency: str
    host: str | None

    def __str__(self) -> str:
        where = "this machine" if self.host is None else self.host
        cost = "no price known" if self.money is None else f"at most about {self.money:.2f} {self.currency}"
        return (
            f"{self.requests} requests to {where}, about {self.tokens_in} tokens in, "
            f"at most {self.tokens_out} tokens out, {cost}"
        )
