"""A table of nobody in place of people: what is learned from it keeps the promise that its counts keep."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from sensecf.augmentation.controls.marginals import marginals
from sensecf.augmentation.controls.situation import Situation
from sensecf.core.budget import Released
from sensecf.core.errors import InputError
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.data.cells import shared_cells
from sensecf.runs.experiment import Prepared

#: Rows of nobody for each row of the table, and rows of each class that a classifier can be fitted to.
AMOUNT, FEWEST = 2.0, 20


@dataclass(frozen=True)
class Nobody:
    """A prepared table whose rows are nobody's, what they cost by person, and the schema that was asked with."""

    table: Prepared
    spent: Released
    of: FeatureSchema

    def lessons(self) -> Task:
        """A task of these rows for a model that is asked about people under the schema `of`, whose cells are finer
        where nothing changes; its classifier is fitted to the rows of nobody."""
        schema = replace(self.of, person=None, when=None, shown=())
        return replace(self.table, schema=schema).fit()


def of_nobody(table: Prepared, epsilon: float) -> Nobody:
    """The table with rows from noisy marginals (`augmentation.controls.marginals`) in place of its training rows.

    Whatever is learned from them alone, a classifier, pairs, a language model, is (epsilon, delta)-differentially
    private by person as the counts are: nothing else of a person goes in. Held-out rows are left out too. The schema is
    the one whose cells five people share. Raises `InputError` for an epsilon that is not positive, or so small that too
    few rows keep the rules.
    """
    if not 0 < epsilon < float("inf"):
        raise InputError(f"--epsilon must be a positive number, not {epsilon}")
    schema, train = table.schema, table.train
    asked = Situation(schema, train, schema.classes[0], round(AMOUNT * len(train)), table.setup.seed, epsilon=epsilon)
    made = marginals(asked)
    columns = [*schema.names, schema.label]
    rows: pd.DataFrame = made.added[columns].reset_index(drop=True)
    few = [one for one in asked.classes if int((rows[schema.label] == one).sum()) < FEWEST]
    if few:
        raise InputError(
            f"from noisy marginals at epsilon {epsilon:g} fewer than {FEWEST} rows of class {few[0]!r} keep the rules "
            "of the schema; give a larger --epsilon, or more people"
        )
    told = made.facts["privacy"]
    wide = replace(shared_cells(schema, train, every=True), person=None, when=None, shown=())
    spent: Released = {
        "epsilon": told["epsilon"],
        "delta": told["delta"],
        "what": f"{len(rows)} rows from noisy marginals, and what is learned from them",
        "release": told["release"],
    }
    return Nobody(replace(table, schema=wide, frame=rows, train=rows, held_out=rows, named=False), spent, schema)
