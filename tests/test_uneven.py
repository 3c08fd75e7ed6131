"""The page of uneven tables says what its command found."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def uneven() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("uneven", BENCHMARKS / "uneven.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


def test_the_page_has_the_figures_of_the_stored_cells(uneven: ModuleType) -> None:
    page = uneven.PAGE.read_text(encoding="utf-8").partition("<!-- results -->")[2]
    assert page.strip() == uneven.markdown(pd.read_csv(uneven.STORED)).strip()


def test_augment_has_the_scores_of_what_the_gate_chose(uneven: ModuleType) -> None:
    found = pd.read_csv(uneven.STORED)
    key = [*uneven.PLACE, "gate"]
    wide = found.pivot_table(index=key, columns="method", values="f1").reset_index("gate")
    refused = wide[wide["gate"] == 0]
    pd.testing.assert_series_equal(refused["augment"], refused["class-weights"], check_names=False)
    passed = wide[wide["gate"] == 1]
    assert len(passed) > 0
    pd.testing.assert_series_equal(passed["augment"], passed["ungated"], check_names=False)


def test_a_setting_is_harmed_significantly_beyond_its_error(uneven: ModuleType) -> None:
    """Two seeds of .02 and .04 less than class weights; the error of their mean is .01, or .05."""
    for error, significant in ((0.01 * 2**0.5, True), (0.05 * 2**0.5, False)):
        rows = [
            {"table": "cancer", "scenario": "a", "removed": 0.5, "seed": seed, "classifier": "logistic",
             "method": method, "error": error, **dict.fromkeys(uneven.MEASURES, 0.5 - lost * (method == "augment"))}
            for seed, lost in ((1, 0.02), (2, 0.04))
            for method in ("augment", "class-weights")
        ]  # fmt: skip
        [lost] = uneven.harmed(pd.DataFrame(rows)).to_dict("records")
        assert lost["f1"] == pytest.approx(-0.03)
        assert lost["significant"] is significant


@pytest.mark.parametrize(("share", "auc"), [(0.05, 0.75), (0.10, 0.98), (0.50, 0.90)])
def test_a_cohort_has_the_share_and_the_difficulty_that_it_was_made_for(
    uneven: ModuleType, share: float, auc: float
) -> None:
    name = f"cohort-{100 * share:02.0f}-{100 * auc:.0f}"
    frame, schema = uneven.TABLES[name]()
    assert (frame[schema.label] == "high").mean() == pytest.approx(share, abs=0.025)
    assert schema.group == "participant_id"
    assert schema.target == "low"
    pd.testing.assert_frame_equal(uneven.TABLES[name]()[0], frame)


def test_what_stands_between_the_measures_of_two_methods_is_their_difference(uneven: ModuleType) -> None:
    rows = [
        {"table": "cancer", "scenario": "a", "removed": 0.5, "seed": 1, "classifier": "logistic", "method": method,
         **dict.fromkeys(uneven.MEASURES, value)}
        for method, value in (("augment", 0.75), ("class-weights", 0.5))
    ]  # fmt: skip
    assert uneven.gains(pd.DataFrame(rows))[list(uneven.MEASURES)].iloc[0].tolist() == [0.25] * 5
