"""The report of added rows: words, a table, a figure in a journal's width, and what it does not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sensecf import metrics
from sensecf.runs.report import augment

SCORES = pd.DataFrame(
    [
        {"method": method, "classifier": name, "f1": f1, "auc": 0.8, "brier": 0.2}
        for method, first in (("nothing", 0.6), ("augment:search", 0.7))
        for name, f1 in (("svm", first), ("mlp", first + 0.1))
    ]
)


def facts(low: float) -> dict[str, Any]:
    gain = {"difference": 0.01, "low": low, "high": 0.03}
    return {
        "against_class_weights": {"f1": gain, "brier": {"difference": 0.0, "low": -0.01, "high": 0.005}},
        "test_people": 40, "test_rows": 300, "train_rows": 700, "added_rows": 100, "generator": "search", "seed": 0,
        "positive": "high", "quality": {"svm": metrics.to_json(metrics.unknown())},
    }  # fmt: skip


def test_the_report_leads_with_what_the_rows_are_worth_and_says_what_it_does_not(tmp_path: Path) -> None:
    augment.write(tmp_path, SCORES, facts(low=-0.02))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.index("Beside class weights: F1 +0.010 (-0.020 to +0.030)") < page.index("Mean of the classifiers")
    assert "a loss of 0.01 or more cannot be excluded" in page
    assert "says nothing of anybody" in page
    assert "a loss of 0.01 or more cannot be excluded" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"methods.svg", "methods.pdf"}


def test_the_table_has_the_mean_and_the_range_of_the_classifiers() -> None:
    found = augment.table(SCORES)
    assert found.heads == ("Method", "F1", "AUC", "Brier score")
    assert found.rows[1][:2] == ("augment:search", "0.750 (0.700 to 0.800)")


@pytest.mark.parametrize("name", ["nothing", "augment:search", "F1", "Brier score"])
def test_the_picture_names_every_method_and_measure(name: str) -> None:
    assert f">{name}<" in augment.picture(SCORES)
