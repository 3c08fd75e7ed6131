"""What came of plans: kept or not, by person, within the error of the device; never a cause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema
from sensecf.runs.record import by_person
from sensecf.runs.record.by_person import person_plans
from sensecf.runs.record.follow import CAUTION, FILES, error_of, follow
from sensecf.runs.record.journal import Journal
from sensecf.runs.record.plans import KeptPlan, run_plans
from sensecf.runs.run import RunSpec, load_task, run

SCHEMA = simulated_schema()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of boundary answers over 40 people with five days each."""
    out = tmp_path_factory.mktemp("run")
    frame = simulate_cohort(40, 5, seed=2)
    limits = Limits(hold=0.0)
    run(frame, SCHEMA, out, RunSpec(classifier="logistic", generator="nearest", limits=limits, seed=1))
    return out


@pytest.fixture(scope="module")
def days(folder: Path) -> pd.DataFrame:
    """The held-out days as a table of the schema."""
    known = pd.read_csv(folder / "held_out.csv", dtype={"person": str, "when": str})
    return known.rename(columns={"person": SCHEMA.person, "when": SCHEMA.when})[
        [SCHEMA.person, SCHEMA.when, *SCHEMA.names, SCHEMA.label]
    ]


@pytest.fixture(scope="module")
def newest(folder: Path) -> dict[str, KeptPlan]:
    """The plan for all of a person's days, else that of the newest: what a follow-up takes where nobody signed any."""
    plans = [*run_plans(folder), *person_plans(folder)]
    return {plan.person: plan for plan in sorted(plans, key=by_person.newest)}


def later(days: pd.DataFrame, plans: dict[str, KeptPlan], off: float, folder: Path) -> pd.DataFrame:
    """The same days a year on; people with a plan are at its end, short of it by `off` device errors."""
    task, found = load_task(folder), days.astype({f.name: float for f in SCHEMA.features if f.numeric})
    for name, plan in plans.items():
        mine = found[SCHEMA.person] == name
        for change in plan.actions:
            assert change.delta is not None
            way = 1 if change.delta > 0 else -1
            found.loc[mine, change.feature] = float(change.after) - way * off * error_of(task, change.feature)
    found[SCHEMA.when] = found[SCHEMA.when].str.replace("2024", "2025")
    return found


def followed(folder: Path, frame: pd.DataFrame, out: Path, **more: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    path = out / "later.csv"
    frame.to_csv(path, index=False)
    return follow(folder, frame, path, out, **more)


def of(told: dict[str, Any], name: str, group: str = "with_plan") -> Any:
    return told[group]["measures"][name]["value"]


@pytest.mark.parametrize(("off", "kept"), [(0.0, 1.0), (0.9, 1.0), (1.5, 0.0)])
def test_a_plan_is_kept_where_every_action_is_at_its_end_within_the_error_of_the_device(
    folder: Path, days: pd.DataFrame, newest: dict[str, KeptPlan], tmp_path: Path, off: float, kept: float
) -> None:
    told = followed(folder, later(days, newest, off, folder), tmp_path)
    assert told["with_plan"]["came_back"] == len(newest) >= 5
    assert of(told, "kept") == kept
    assert told["with_plan"]["measures"]["kept"]["low"] is not None
    one = next(entry for entry in told["people"] if entry["plan"])
    assert set(one["actions"].values()) == {kept}


def test_the_answer_and_the_label_are_compared_with_the_days_before(
    folder: Path, days: pd.DataFrame, newest: dict[str, KeptPlan], tmp_path: Path
) -> None:
    frame = later(days, newest, 0.0, folder)
    frame[SCHEMA.label] = "low"
    told = followed(folder, frame, tmp_path)
    for entry in told["people"]:
        assert entry["label_after"] == 1.0
        before = days[days[SCHEMA.person] == entry["person"]][SCHEMA.label]
        assert entry["label_before"] == pytest.approx((before == "low").mean())
        assert entry["answer_change"] == pytest.approx(entry["answer_after"] - entry["answer_before"])
    assert of(told, "answer_change") > 0, "a plan that is kept changes the classifier's answer"


def test_without_anything_done_nothing_is_said_to_have_changed(
    folder: Path, days: pd.DataFrame, tmp_path: Path
) -> None:
    frame = days.assign(**{SCHEMA.when: days[SCHEMA.when].str.replace("2024", "2025")})
    told = followed(folder, frame, tmp_path)
    for group in ("with_plan", "without_plan"):
        assert of(told, "answer_change", group) in (0.0, None)
        assert of(told, "label_change", group) in (0.0, None)
    assert told["with_plan"]["measures"]["answer_change"]["low"] is None, "no spread, no interval"


def test_nobody_who_came_back_is_an_abstention(folder: Path, days: pd.DataFrame, tmp_path: Path) -> None:
    strangers = days.head(3).assign(**{SCHEMA.person: "somebody else"})
    told = followed(folder, strangers, tmp_path)
    assert told["with_plan"]["came_back"] == 0
    assert told["with_plan"]["abstained"] == "nobody came back, so nothing is said"
    assert all(measure["value"] is None for measure in told["with_plan"]["measures"].values())
    assert "Nobody came back, so nothing is said." in (tmp_path / "follow.html").read_text(encoding="utf-8")


def test_days_that_the_run_knows_already_are_no_later_days(folder: Path, days: pd.DataFrame, tmp_path: Path) -> None:
    assert followed(folder, days, tmp_path)["with_plan"]["came_back"] == 0


def test_fewer_than_five_people_get_no_interval(
    folder: Path, days: pd.DataFrame, newest: dict[str, KeptPlan], tmp_path: Path
) -> None:
    few = sorted(newest)[:4]
    frame = later(days, newest, 0.0, folder)
    told = followed(folder, frame[frame[SCHEMA.person].isin(few)], tmp_path)
    assert told["with_plan"]["measures"]["kept"]["people"] == 4
    assert told["with_plan"]["measures"]["kept"]["low"] is None


def test_signed_plans_come_before_those_of_the_run_and_the_journal_keeps_what_came_of_them(
    folder: Path, days: pd.DataFrame, newest: dict[str, KeptPlan], tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    name, plan = next(iter(newest.items()))
    record = {
        "plan": "signed", "person": name, "label": "stress", "predicted_before_text": "high", "target_text": "low",
        "probability_before": 0.2, "probability": 0.8, "day": plan.when,
        "changes": [{"feature": "steps", "label": "Steps", "unit": "steps", "before": 1000.0, "after": 2000.0,
                     "delta": 1000.0, "before_text": "1,000", "after_text": "2,000", "follows": False}],
    }  # fmt: skip
    Journal(copy).append("Ada", "sign off", record)
    frame = later(days, {}, 0.0, folder).assign(steps=2500)
    told = followed(copy, frame, tmp_path / "out", who="Ada")
    assert (told["decided"], told["with_plan"]["people"], of(told, "kept")) == (True, 1, 1.0)
    [entry] = Journal(copy).of_kind("follow")
    assert (entry["who"], entry["plan"], entry["found"]["kept"]) == ("Ada", "signed", 1.0)
    assert entry["table"] == told["table"]


def test_a_follow_up_claims_no_cause_and_names_people_as_text(
    folder: Path, days: pd.DataFrame, newest: dict[str, KeptPlan], tmp_path: Path
) -> None:
    followed(folder, later(days, newest, 0.0, folder), tmp_path)
    page = (tmp_path / "follow.html").read_text(encoding="utf-8")
    assert CAUTION.replace("'", "&#39;") in page
    for word in ("effective", "because of the plan", "caused", "improved", "safe"):
        assert word not in page.partition("<body>")[2].lower()
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "later.csv"}
    rows = pd.read_csv(tmp_path / "follow.csv")
    told = json.loads((tmp_path / "follow.json").read_text(encoding="utf-8"))
    assert rows["person"].tolist() == [entry["person"] for entry in told["people"]]


def test_a_table_that_names_nobody_cannot_be_followed(folder: Path, days: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="says of nobody whose rows they are"):
        followed(folder, days.drop(columns=str(SCHEMA.person)), tmp_path)
