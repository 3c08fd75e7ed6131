"""What a generator declares about itself, and what whoever builds one hands it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensecf.data.card import Card
    from sensecf.llm import LLM
    from sensecf.llm.language.prompting import Prompting


@dataclass(frozen=True)
class Traits:
    """The class attribute `traits` of a generator; a class without one has these defaults.

    `asks_model`: it asks a language model, from one process; its attribute `tokens` counts those used so far.
    `concurrent`: `propose` may be called from several threads at once.
    `greedy`: it has `greedy(query)`, the one answer that its model gives to each query when nobody checks it.
    `saves`: it has `save(folder)`.
    `states`: it has `bound(rows, target)`, a lower bound that it states of the share of refits of the classifier that
    put a row of its own in the target class.
    `keeps_budget`: it heeds `Query.max_changes`; what others propose beyond it is refused when it is verified.
    `takes`, `needs`: keywords of its `__init__` beside `(task, seed)` that `Context` fills, and those of them without
    which it cannot be built. One that needs `llm` also has `questions`, `sampling`, `answers` and `facts`, as
    `Prompted` does.

    >>> sensecf.generators.Search.traits.asks_model
    False
    """

    asks_model: bool = False
    concurrent: bool = False
    greedy: bool = False
    saves: bool = False
    states: bool = False
    keeps_budget: bool = True
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def traits_of(generator: Any) -> Traits:
    """The traits of a generator or of its class; the defaults where none are declared.

    >>> sensecf.generators.traits_of(sensecf.generators.Nearest).asks_model
    False
    """
    found = getattr(generator, "traits", None)
    return found if isinstance(found, Traits) else Traits()


@dataclass(frozen=True)
class Context:
    """What generators are built with, the same for a run, a comparison, the dry run and the page.

    `plausibility`: price of being unlike the data; `cache`: folder of trained models; `progress(phase, share)` is
    told how far the building is; `model`: folder of a tuned model. `llm`, `prompting`, `card`: the language model,
    how it is asked and what the data's card permits, for generators that need one. `options`: settings of single
    generators (`effort`, `recipe`, …), which come before the others.

    >>> sensecf.generators.build("search", task, sensecf.generators.Context(seed=1)).name
    'search'
    """

    seed: int = 0
    plausibility: float = 1.0
    cache: str | Path | None = None
    progress: Callable[[str, float], None] | None = None
    model: str | Path | None = None
    llm: LLM | None = None
    prompting: Prompting | None = None
    card: Card | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, traits: Traits) -> dict[str, object]:
        """The keywords for a generator with these traits: those that it takes or needs and that are given."""
        given = {name: getattr(self, name) for name in ("plausibility", "cache", "progress", "model")}
        if "llm" in traits.needs:
            given |= {"llm": self.llm, "card": self.card}
            given |= {} if self.prompting is None else self.prompting.settings
        given |= self.options
        return {name: given[name] for name in (*traits.takes, *traits.needs) if given.get(name) is not None}
