"""Files of earlier editions are read: run folders that the code of their day wrote, from the first to the last change.

They are `sensecf explain` on `later.csv`, by the code of the day in their name, without report and pictures.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import sensecf
from command import call, refused
from sensecf.core.version import FORMAT

RUNS = Path(__file__).parent / "stored" / "runs"
OLD = sorted(path.name for path in RUNS.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", OLD)
def test_a_run_of_before_is_opened_and_its_answers_are_still_answers(name: str) -> None:
    plans, task = sensecf.load_run(RUNS / name), sensecf.load_task(RUNS / name)
    saved = pd.read_csv(RUNS / name / "counterfactuals.csv")
    assert len(plans.answers) == saved["valid"].sum() == 4
    assert plans.answers["query"].tolist() == saved["query"].tolist()
    told = task.judge(task.codec.encode(plans.answers), final=True)
    assert [task.classes[k] for k in told.predicted] == saved["target"].tolist()
    assert sensecf.metrics.summarise(plans, task).loc["validity", "value"] == 1


@pytest.mark.parametrize("name", OLD)
def test_a_schema_of_before_is_read_and_written_as_one_of_today(name: str, tmp_path: Path) -> None:
    schema = sensecf.FeatureSchema.from_toml(RUNS / name / "schema.toml")
    text = schema.to_toml(tmp_path / "schema.toml")
    assert sensecf.FeatureSchema.from_toml(tmp_path / "schema.toml") == schema
    assert f"\nformat = {FORMAT}\n" in text
    assert schema.person == "participant_id"


@pytest.mark.parametrize("name", OLD)
def test_people_who_come_later_are_answered_from_a_run_of_before(name: str, tmp_path: Path) -> None:
    done = call("answer", RUNS / name, RUNS / "later.csv", "--trust", "--out", tmp_path / "answers")
    assert done.status == 0, done.err
    found = pd.read_csv(tmp_path / "answers" / "counterfactuals.csv")
    assert found["valid"].any()


def test_what_a_later_edition_wrote_is_refused_with_a_remedy(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(RUNS / OLD[-1], folder)
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(facts | {"format": FORMAT + 1}), encoding="utf-8")
    refused(
        call("answer", folder, RUNS / "later.csv", "--out", tmp_path / "answers"),
        f"format {FORMAT + 1}", "takes a later SenseCF", left=tmp_path / "answers",
    )  # fmt: skip
    text = (folder / "schema.toml").read_text(encoding="utf-8")
    (tmp_path / "schema.toml").write_text(f"format = {FORMAT + 1}\nnew = 1\n{text}", encoding="utf-8")
    with pytest.raises(sensecf.InputError, match=rf"format {FORMAT + 1}, .*a later SenseCF"):
        sensecf.FeatureSchema.from_toml(tmp_path / "schema.toml")


@pytest.mark.parametrize("told", [0, True, "1", 1.0])
def test_a_format_that_is_none_is_refused(told: object) -> None:
    schema = sensecf.FeatureSchema.from_toml(RUNS / OLD[0] / "schema.toml")
    plain = {"format": told, "label": schema.label, "classes": list(schema.classes), "features": []}
    with pytest.raises(sensecf.InputError, match="format"):
        sensecf.FeatureSchema.from_dict(plain)


def test_a_run_says_its_format(tmp_path: Path) -> None:
    data = sensecf.datasets.load("simulated")
    frame = data.frame.head(400)
    request = sensecf.RunSpec("logistic", generator="nearest", limit=2, limits=sensecf.Limits(hold=0.0))
    _, _, facts = sensecf.run(frame, data.schema, tmp_path / "plans", request)
    assert facts["format"] == json.loads((tmp_path / "plans" / "run.json").read_text())["format"] == FORMAT
