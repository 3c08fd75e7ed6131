"""A recorded run, answered from its ledger: no model, no network, the same table again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from sensecf.core.errors import InputError
from sensecf.core.kept import read_bytes
from sensecf.llm import Completion
from sensecf.llm.asking import Answer, Request
from sensecf.llm.ledger import LARGEST, completion_of, cut_torn_line, ledger_lines


class Replay:
    """Answer from the ledger of an earlier run, failures included.

    `recorded`: the model whose answers to take, where the ledger holds several. Raises `InputError` when
    the file is no ledger or does not hold that model. A request that was never recorded gets a completion
    that says so.
    """

    #: The keywords that `sensecf.llm.connect` passes on.
    settings: ClassVar[tuple[str, ...]] = ()
    host: str | None = None

    def __init__(self, path: str | Path, recorded: str | None = None) -> None:
        path = Path(path)
        content = read_bytes(path, LARGEST)
        lines = [line for line in ledger_lines(path, cut_torn_line(content)) if line["event"] != "asked"]
        models = sorted({line["model"] for line in lines})
        found = [model for model in models if recorded in (None, model, model.split(" at ")[0])]
        if len(found) != 1:
            raise InputError(
                f"name one of the models that {path} holds as replay:{path}#MODEL: {', '.join(models) or 'none'}"
            )
        self.model = found[0]
        self.name = f"replay of {self.model}"
        self._path = path
        # The last outcome counts, as in the run: what failed first may have been answered later.
        self._answers = {line["key"]: completion_of(line) for line in lines if line["model"] == self.model}

    def answer(self, requests: Iterator[Request], keep: Callable[[Request, Answer], None]) -> None:
        """See `sensecf.llm.asking.Backend`."""
        for request in requests:
            missing = Completion("", f"not in the recorded run {self._path.name}", cached=True)
            keep(request, Answer(self._answers.get(request.key, missing), tries=0, final=False))
