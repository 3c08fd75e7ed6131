"""What among the edited features stands for a protected one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.distances import Scale
from sensecf.metrics import statistics
from sensecf.metrics.proxies import area, edits_as_features, p_against_chance, predicted
from sensecf.runs.fairness.groups import Attribute, shown
from sensecf.runs.fairness.measures import ALPHA, Found

#: Columns of `proxies.csv`. `what`: "edits" is all of them together, else a feature's name.
COLUMNS = ("attribute", "group", "what", "from", "auc", "low", "high", "p_holm", "named", "n", "people")
#: An area from which a feature is named, where chance is excluded too.
NAMED = 0.65


def proxies(made: Found, attributes: list[Attribute], seed: int = 0) -> pd.DataFrame:
    """How well edits, and the values that edited features start from, tell who is of a group; columns of `COLUMNS`.

    Edits together: a logistic regression that has not seen the person. A feature's starting value: by itself, turned
    so that the area is at least 0.5. `named`: the area is at least `NAMED` and above chance (Holm over all rows).
    """
    scored = made.scored
    first = np.flatnonzero((np.asarray(scored.index.get_level_values("rank")) == 1) & (scored.edits > 0))
    requests = made.people.answers.factuals.index
    at = requests.get_indexer(scored.queries[first])
    persons = made.people.asked()[at]
    edited = scored.edited[first]
    told = edits_as_features(scored.before[first], scored.after[first], edited, made.people.task.once(Scale).mad)
    rows: list[tuple[Any, ...]] = []
    for attribute in (one for one in attributes if not one.pair):
        labels = attribute.of(requests)[at]
        names, _ = shown(labels, persons)
        for name in names[1:] if len(names) == 2 else names:
            member = labels == name
            found = [("edits", "edits", predicted(told, member, persons, seed))]
            for j in np.flatnonzero(edited.any(axis=0)).tolist():
                values = scored.before[first, j]
                feature = made.people.schema.features[j]
                if feature.numeric:
                    found.append((feature.name, "starting value", values))
            for what, source, score in found:
                one = area(score, member, persons, seed)
                if what != "edits" and one.auc < 0.5:
                    one = one._replace(auc=1 - one.auc, low=1 - one.high, high=1 - one.low)
                p = p_against_chance(one, len(np.unique(persons[member & np.isfinite(score)])))
                rows.append((attribute.name, name, what, source, one.auc, one.low, one.high, p, False, *one[3:]))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    # The turned area is two-sided.
    twice = np.where(table["what"] == "edits", 1.0, 2.0)
    table["p_holm"] = statistics.holm(np.minimum(1.0, table["p_holm"].to_numpy(float) * twice))
    table["named"] = (table["p_holm"] < ALPHA) & (table["auc"] >= NAMED)
    return table
