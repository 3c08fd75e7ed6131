"""How far a command is: a bar per phase on a terminal, a line per phase elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from sensecf.cli.say import say

if TYPE_CHECKING:
    from rich.progress import TaskID

    from sensecf.runs.experiment import Progress


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A progress bar per phase on a terminal, a line per phase elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    names = {
        "opening": "Opening the run",
        "classifier": "Fitting the classifier",
        "search": "Searching for pairs to learn from",
        "pairs": "Training on pairs",
        "verdicts": "Training on verdicts",
        "asking": "Asking the language model",
        "jury": "Fitting the classifier again",
        "answers": "Answering",
        "measuring": "Measuring and writing",
        "comparing": "Comparing groups",
        "mending": "Trying remedies",
        "attacking": "Attacking",
        "programmes": "Finding programmes",
        "worlds": "Making worlds",
        "oracle": "Finding the best there is",
        "base": "Making a small base model",
    }
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<34}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=False, disable=not console.is_terminal) as bar:
        begun: dict[str, TaskID] = {}

        def progress(phase: str, share: float) -> None:
            if phase not in begun:
                words = names.get(phase, phase.capitalize())
                begun[phase] = bar.add_task(words, total=1.0)
                if not console.is_terminal:
                    say(words)
            bar.update(begun[phase], completed=share)

        yield progress


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """What is being done, where nobody knows how far it is: a moving sign on a terminal, nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(words, spinner="line") if console.is_terminal else nullcontext():
        yield
