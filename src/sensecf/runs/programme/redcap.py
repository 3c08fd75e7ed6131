"""What REDCap imports: one record per person, the programme as a repeating instrument, and its data dictionary.

Project, record and repeat names follow REDCap's own import template: `record_id`, `redcap_repeat_instrument`,
`redcap_repeat_instance`.
"""

from __future__ import annotations

import pandas as pd

from sensecf.pipeline.programme.find import Found
from sensecf.runs.programme.cohort import Opened
from sensecf.runs.record.redcap import HEADS

#: The name of the repeating instrument.
INSTRUMENT = "programme"
#: Field: (type, label, validation).
FIELDS = {
    "programme_number": ("text", "Number of the programme", "integer"),
    "programme_asks": ("notes", "What it asks", ""),
    "programme_days": ("text", "Days asked about", "integer"),
    "programme_reached": ("text", "Days of these that the classifier would call {target}", "integer"),
    "programme_weeks": ("text", "Weeks, at most", "integer"),
    "programme_effort": ("text", "Mean effort of the days reached", "number"),
    "programme_cost": ("text", "Cost", "number"),
    "programme_in_the_way": ("text", "What stands in the way of the other days", ""),
    "programme_counted": ("yesno", "This person took no part in picking the programmes", ""),
}


def records(people: pd.DataFrame, days: pd.DataFrame, found: Found, run: Opened) -> pd.DataFrame:
    """One line per person, in REDCap's import format; who is given no programme has a blank number."""
    asks = {k + 1: one.words(run.task.schema) for k, one in enumerate(found.programmes)}
    return pd.DataFrame(
        {
            "record_id": people["person"],
            "redcap_repeat_instrument": INSTRUMENT,
            "redcap_repeat_instance": 1,
            "programme_number": people["programme"],
            "programme_asks": [asks.get(k, "") if k is not pd.NA else "" for k in people["programme"]],
            "programme_days": people["days"],
            "programme_reached": people["reached"],
            "programme_weeks": people["weeks"],
            "programme_effort": people["effort"],
            "programme_cost": people["cost"],
            "programme_in_the_way": people["in_the_way"],
            "programme_counted": (people["part"] == "counted").astype(int),
        }
    )


def dictionary(target: str) -> pd.DataFrame:
    """The data dictionary of these fields."""
    blank = dict.fromkeys(HEADS, "")
    first = {HEADS[0]: "record_id", HEADS[1]: "person", HEADS[3]: "text", HEADS[4]: "Record ID", HEADS[10]: "y"}
    rows = [blank | first]
    for name, (kind, label, check) in FIELDS.items():
        said = {
            HEADS[0]: name,
            HEADS[1]: INSTRUMENT,
            HEADS[3]: kind,
            HEADS[4]: label.format(target=target),
            HEADS[7]: check,
        }
        rows.append(blank | said)
    return pd.DataFrame(rows)
