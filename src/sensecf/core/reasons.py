"""Why requests have no answer: reasons that differ in a number or in names only are one reason."""

from __future__ import annotations

from typing import Any

import pandas as pd

#: How reasons say how many refits agree with the nearest plan: the reason of one request, and of several.
_SEVERAL = "the nearest ones hold in some of"
_AGREED = r"the nearest one holds in (\d+) of (\d+)"
#: The same of the features that would have to move and that nobody sets.
_RESULTS = r"(?<=is not enough: )(.+) would have to change too, and (?:it only moves|they only move) as a result"
_FOLLOWS = "what only moves as a result would have to change too"
#: The same of the features that would have to move by more than a person can be asked for.
_ASKED = r"(?<=the most that is asked of a person) \((.+)\)"
#: The same of days that a plan for a person does not turn, and of people without a plan; see `pipeline.person`.
_TURNS = r"the plan turns \d+ of [\d,]+ (day|row)s? of this person, and not this one"
_NOT_TURNED = r"the plan of this person does not turn this \1"
_NO_ONE = r"no one plan for [\d,]+ (days?|rows?) turns (?:it|\d+ of them)"
_NO_PLAN = r"no one plan turns enough \1 of a person"
_BEST = r"; the best one found turns \d+(?:, and holds on \d+)?"


def merged(noted: pd.Series[str]) -> list[tuple[str, list[Any]]]:
    """The reasons of requests (one each, indexed by query) with their requests, the most frequent reason first.

    Plans that would not hold are one reason, whatever number of refits agree: the text says the median. What a
    person cannot set is one reason too: the text says which features it is most often.
    """
    alike = noted.str.replace(_AGREED, rf"{_SEVERAL} \2", regex=True).str.replace(_RESULTS, _FOLLOWS, regex=True)
    alike = alike.str.replace(_ASKED, "", regex=True).str.replace(_TURNS, _NOT_TURNED, regex=True)
    alike = alike.str.replace(_NO_ONE, _NO_PLAN, regex=True).str.replace(_BEST, "", regex=True)
    found = []
    for reason, group in noted.groupby(alike, sort=False):
        text, results, asked = str(reason), group.str.extract(_RESULTS)[0], group.str.extract(_ASKED)[0]
        if group.nunique() == 1:
            text = str(group.iloc[0])
        elif _SEVERAL in text:
            held = group.str.extract(_AGREED)[0].astype(int)
            some = f"{held.median():.0f} (median; {held.min()} to {held.max()})"
            text = text.replace(_SEVERAL, f"the nearest ones hold in {some} of")
        elif results.notna().any() or asked.notna().any():
            moved = results.str.split(", | and ", regex=True)
            names = (moved if moved.notna().any() else asked.str.findall(r"(?:^|; )(.+?): ")).explode().value_counts()
            most = ", ".join(f"{name} for {count}" for name, count in names.head(3).items())
            text = f"{text} ({most}{', ...' if len(names) > 3 else ''})"
        found.append((text, list(group.index)))
    return sorted(found, key=lambda entry: -len(entry[1]))
