"""One preparation: who is asked, and about what, is the same in the run, the dry run and the comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boundary import BOUNDARY
from sensecf.core.errors import InputError
from sensecf.core.schema import FeatureSchema
from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema
from sensecf.runs import compare
from sensecf.runs.dryrun import dry_run
from sensecf.runs.experiment import Setup, experiment, prepared
from sensecf.runs.run import RunSpec, run

SETUP = Setup("logistic")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulate_cohort(30, 4, seed=1)


@pytest.fixture(scope="module")
def schema() -> FeatureSchema:
    return simulated_schema()


def test_run_dry_run_and_comparison_ask_about_the_same_people(
    frame: pd.DataFrame, schema: FeatureSchema, tmp_path: Path
) -> None:
    made = experiment(prepared(frame, schema, SETUP))
    asked = made.table.held_out.index[made.asked()].tolist()
    assert len(asked) > 5
    request = RunSpec(classifier="logistic", generator="nearest", limits=BOUNDARY)
    answers, _, _ = run(frame, schema, tmp_path / "run", request)
    assert answers.factuals.index.tolist() == asked
    assert dry_run(frame, schema, replace(request, generator="prompted")).queries == asked
    inside = compare.compare(
        frame, schema, tmp_path / "cmp", compare.CompareSpec(("nearest",), classifier="logistic", refits=0)
    )
    assert inside.requests["name"].tolist() == asked


def test_nobody_who_is_held_out_trains(frame: pd.DataFrame, schema: FeatureSchema) -> None:
    made = experiment(prepared(frame, schema, SETUP))
    assert schema.group is not None
    assert not set(made.table.train[schema.group]) & set(made.table.held_out[schema.group])
    assert len(made.task.train) == len(made.table.train)
    assert made.quality(made.target)[0]["defined"].any()


def test_rows_that_are_named_are_asked_about_whatever_their_class(frame: pd.DataFrame, schema: FeatureSchema) -> None:
    named = frame[schema.names].head(12)
    made = experiment(prepared(frame, schema, SETUP, queries=named))
    assert made.asked().tolist() == list(range(12))
    assert made.asked(limit=5).tolist() == list(range(5))
    assert made.there(made.target).any()
    assert not made.quality(made.target)[0]["defined"].any()


def test_a_target_is_named_found_and_learned(frame: pd.DataFrame, schema: FeatureSchema) -> None:
    assert prepared(frame, schema, SETUP).targets() == [schema.target]
    assert prepared(frame, schema, replace(SETUP, each_class=True)).targets() == list(schema.classes)
    without = replace(schema, target=None)
    with pytest.raises(InputError, match="name a target class"):
        prepared(frame, without, SETUP).targets()
    with pytest.raises(InputError, match="no class of 'stress'"):
        prepared(frame, schema, replace(SETUP, target="calm")).targets()
    wider = replace(schema, classes=(*schema.classes, "unknown"))
    with pytest.raises(InputError, match="'unknown' has no row to learn from"):
        prepared(frame, wider, replace(SETUP, target="unknown")).targets()


def test_where_everybody_is_there_already_nobody_is_asked(frame: pd.DataFrame, schema: FeatureSchema) -> None:
    made = experiment(prepared(frame, schema, SETUP))
    there = made.table.held_out[made.there(made.target)]
    with pytest.raises(InputError, match="nobody to ask about"):
        replace(made, rows=made.task.codec.encode(there)).asked()
    np.testing.assert_array_equal(made.inside, np.ones(len(made.rows), bool))
