"""What a summary says of plans that were asked to hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handmade import random_answers, random_task
from sensecf import metrics
from sensecf.metrics.holding import CALIBRATION

NAMES = ["holds", "holds_low", "lands"]


def test_the_shares_of_the_jury_are_those_of_the_table_and_only_of_valid_plans_that_change_something() -> None:
    task = random_task(people=60)
    cfs = random_answers(task, queries=12)
    everybody = np.linspace(0.8, 1.0, len(cfs.frame))
    frame = cfs.frame.assign(holds=everybody, holds_low=everybody - 0.1, lands=everybody - 0.2)
    shares = everybody[frame["rank"].notna()]
    told = {"margin": 0.6, "people": 76, "held": 75, "low": 0.93, "confidence": 0.9}
    summary = metrics.summarise(replace(cfs, frame=frame, cost={"hold": told}), task)
    scored = metrics.read(cfs, task)
    counted = scored.reached & scored.changed.any(axis=1)
    assert 0 < counted.sum() < len(counted)
    expected = shares[counted].mean()
    assert summary.loc[NAMES, "value"].to_list() == pytest.approx([expected, expected - 0.1, expected - 0.2])
    assert summary.loc["hold_calibration", ["value", "low", "n"]].to_list() == [75 / 76, 0.93, 76]
    assert summary.loc[["hold_margin", "hold_confidence"], "value"].to_list() == [0.6, 0.9]


def test_where_nothing_was_asked_to_hold_nothing_is_defined() -> None:
    task = random_task(people=60)
    summary = metrics.summarise(random_answers(task, queries=5), task)
    assert not summary.loc[[*NAMES, *(one.name for one in CALIBRATION)], "defined"].any()
