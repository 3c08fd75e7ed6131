"""What asking costs, before and after, and where it has to end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sensecf.core.errors import InputError
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

    A request is sent while what was spent, what is in flight at its upper bound, and its own bound are within
    the cap; the last one may go alone with less room, so that a cap is exceeded by one answer at most.
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

    @property
    def capped(self) -> bool:
        """Whether there is a cap at all."""
        return self.cap_tokens is not None or self.cap_money is not None

    def reached(self, usage: Usage, reserved: tuple[float, float] = (0, 0)) -> str:
        """The reason why nothing more may be asked; empty while there is room.

        `reserved`: tokens in and out that are promised to requests, beside what was spent; with them, a cap that is
        met exactly leaves room.
        """
        more = replace(usage, lost_in=usage.lost_in + reserved[0], lost_out=usage.lost_out + reserved[1])
        slack = 1e-9 if any(reserved) else 0.0
        tokens = more.tokens_in + more.tokens_out + more.lost_in + more.lost_out
        if self.cap_tokens is not None and tokens >= self.cap_tokens * (1 + slack) + slack:
            return f"not asked: the cap of {self.cap_tokens} tokens is reached"
        money = self.money(more)
        if money is None or self.prices is None or self.cap_money is None:
            return ""
        if money >= self.cap_money * (1 + slack):
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
