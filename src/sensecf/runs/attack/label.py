"""The label of what was made: shareable only where no attack stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from sensecf.metrics.membership import BOUND

if TYPE_CHECKING:
    from sensecf.data.card import Card

SHAREABLE, NOT = "shareable", "not shareable"


def label(
    areas: pd.DataFrame, seen: bool, flagged: bool, few: int, more: tuple[str, ...], card: Card | None
) -> tuple[str, list[str]]:
    """The label of one surface, and what stands in its way.

    `areas`: see `Scores.areas`; `seen`: whether planted people were seen; `flagged`: whether the true ones were; `few`:
    values that fewer than five people hold; `more`: other reasons. `card`: the terms of the table, which what is made
    from it keeps.
    """
    why = list(more)
    if card is not None and not card.shareable:
        why.append(f"the card of {card.name} says what is made from it stays under its terms ({card.leaves})")
    if not seen:
        why.append("the attacks are blind here: planted people were not seen, so that nothing else counts")
    if flagged:
        why.append("members are told from others")
    worst = areas.iloc[int(areas["high"].fillna(1.0).argmax())]
    if not worst["high"] <= BOUND:
        end = "has no upper bound" if pd.isna(worst["high"]) else f"may reach {worst['high']:.2f}"
        why.append(f"the attack “{worst['attack']}” {end}, more than {BOUND:g}")
    if few:
        why.append(f"{few} values are held by fewer than five people")
    return (NOT if why else SHAREABLE), why
