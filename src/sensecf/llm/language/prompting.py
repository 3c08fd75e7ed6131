"""How a language model is asked, as data: what the command line, a run folder and a study file hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from sensecf.core.errors import InputError
from sensecf.data.card import Card
from sensecf.data.privacy_gate import permission
from sensecf.llm.language.prompts import Style

if TYPE_CHECKING:
    from sensecf.llm.client import Client


@dataclass(frozen=True)
class Prompting:
    """The options of `Prompted`, and those of its model.

    `llm`: what `sensecf.llm.connect` takes. `values`, `masked`, `hint`, `without`, `offers`: see `Style`.
    `allow_hosts`: see `privacy_gate.permission`. `cap_money`, `cap_tokens`: where asking stops, over all runs in a
    folder. `timeout`, `token_timeout`, `concurrency`: see `OpenAICompatible`; None for its defaults.
    The others as in `Prompted`.
    """

    llm: str
    shots: int = 0
    shot_choice: Literal["nearest", "diverse", "fixed"] = "nearest"
    rounds: int = 2
    samples: int = 1
    calls: int | None = None
    values: Literal["plain", "json"] = "plain"
    masked: bool = False
    hint: bool = False
    without: tuple[str, ...] = ()
    offers: bool = False
    constrained: bool = True
    max_tokens: int | None = None
    allow_hosts: tuple[str, ...] = ()
    cap_money: float | None = None
    cap_tokens: int | None = None
    timeout: float | None = None
    token_timeout: float | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        address = urlsplit(self.llm) if self.llm.startswith(("http://", "https://")) else None
        if address is not None and "@" in address.netloc:
            # It would be written to run.json; the message does not repeat it either.
            raise InputError(f"the address of {address.hostname} holds a password; keep it in an environment variable")

    @contextmanager
    def model(self, ledger: Path, card: Card | None, progress: Callable[[str, float], None]) -> Iterator[Client]:
        """The model, with its answers kept in `ledger`; a ledger in which nothing was asked is removed.

        Raises `InputError` as `sensecf.llm.connect` does, and where rows under `card` may not go to it.
        """
        from sensecf.llm.named import connect

        server: dict[str, Any] = {
            "timeout": self.timeout, "token_timeout": self.token_timeout, "concurrency": self.concurrency,
        }  # fmt: skip
        client = connect(
            self.llm,
            ledger=ledger,
            cap_money=self.cap_money,
            cap_tokens=self.cap_tokens,
            progress=progress,
            **{name: value for name, value in server.items() if value is not None},
        )
        try:
            permission(client.host, card, self.allow_hosts)
            yield client
        finally:
            client.close()
            if ledger.read_bytes().count(b"\n") <= 1:
                ledger.unlink()

    @property
    def settings(self) -> dict[str, object]:
        """What `Prompted`, and any generator that needs a model, is built with beside the model and the card."""
        return {
            "shots": self.shots,
            "shot_choice": self.shot_choice,
            "rounds": self.rounds,
            "samples": self.samples,
            "calls": self.calls,
            "style": Style(self.values, self.masked, self.hint, tuple(self.without), self.offers),
            "constrained": self.constrained,
            "max_tokens": self.max_tokens,
            "allow_hosts": self.allow_hosts,
        }


def costs(model: Client) -> dict[str, object]:
    """What asking cost, for `run.json`: in this process, and over all runs on the ledger, killed ones included."""
    usage = model.ledger.usage(model.backend.model)
    return {"this_run": model.costs(), "all_runs": {**asdict(usage), "money": model.budget.money(usage)}}
