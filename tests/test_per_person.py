"""One plan for all days of a person: obeyed on every day, as said on every day, and what the jury says of each."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sensecf
from command import call
from handmade import random_task
from sensecf.core.errors import InputError
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.pipeline.person import NAME, Wish, in_words, parts_of, said
from sensecf.pipeline.together import BY, EXACTLY, LEAST, MOST, Plans, round_step
from sensecf.runs.people import Asked, beside
from sensecf.runs.record.by_person import person_plans, plan_of

WANTED = "low"


@pytest.fixture(scope="module")
def task() -> Task:
    """Days of the simulated cohort and a logistic regression."""
    frame = sensecf.datasets.simulate_cohort(people=60)
    schema = sensecf.datasets.load("simulated").schema
    return Task(schema, frame, sensecf.fit_classifier("logistic", schema, frame))


@pytest.fixture(scope="module")
def people(task: Task) -> pd.DataFrame:
    """Days of twelve other people, with both answers among them."""
    return sensecf.datasets.simulate_cohort(people=12, days=8, seed=5)


@pytest.fixture(scope="module")
def plans(task: Task, people: pd.DataFrame) -> sensecf.Counterfactuals:
    return sensecf.explain(task, "search", people, WANTED, per="person", hold=0.0)


def test_a_plan_turns_as_many_days_as_it_says_and_at_least_half(plans: sensecf.Counterfactuals) -> None:
    table = plans.people[plans.people["rank"] == 1]
    assert len(table) >= 6
    assert (2 * table["turns"] >= table["of"]).all()
    answers = plans.answers[plans.answers["n_changed"] > 0]
    for row in table.itertuples():
        mine = answers[answers["plan_id"] == row.plan_id]
        assert set(mine["person"]) == {row.person}
        assert set(mine["turns"]) == {row.turns} == {len(mine)}
        assert set(mine["of"]) == {row.of}
        assert sorted(map(str, mine["query"])) == sorted(row.turned.split(";"))
        assert row.turns + len(row.others.split(";") if row.others else []) == row.of
    assert answers["valid"].all()
    assert answers["feasible"].all()
    assert set(answers["generator"]) == {NAME}


def test_every_day_of_a_person_says_what_became_of_it(plans: sensecf.Counterfactuals, people: pd.DataFrame) -> None:
    assert set(plans.frame["query"]) == set(people.index)
    silent = plans.abstentions
    assert (silent["reason"] != "").all()
    part = silent[silent["plan_id"] != ""]
    assert len(part)
    assert part["reason"].str.match(r"the plan turns \d+ of \d+ days of this person, and not this one: ").all()
    there = plans.answers[plans.answers["n_changed"] == 0]
    assert (there["plan_id"] == "").all()
    judged = plans.factuals["predicted"]
    assert set(there["query"]) == set(judged[judged == WANTED].index)


def test_a_plan_is_carried_out_on_each_day_as_it_is_said(plans: sensecf.Counterfactuals) -> None:
    """What differs from the day is what the text says of it, no more and no less."""
    table = plans.people.set_index("plan_id")["plan"]
    answers = plans.answers[plans.answers["n_changed"] > 0]
    seen = set()
    for row in answers.to_dict("records"):
        base = plans.factuals.loc[row["query"]]
        done = set()
        for part in table[row["plan_id"]].split(";"):
            name, sign, number = re.fullmatch(r"(\w+?)(\+=|>=|<=|=)(.+)", part).groups()  # type: ignore[union-attr]
            now, then, said = float(base[name]), float(row[name]), float(number)
            seen.add(sign)
            least = plans.schema[name].least_change or 0
            if sign == "+=":
                assert then - now == pytest.approx(said)
            elif (now < said) if sign == ">=" else (now > said):
                assert then == pytest.approx(said) or (then == now and abs(said - now) < least)
            else:
                assert then == now
            done |= {name} if then != now else set()
        assert set(row["actions"].split(";")) == done
    assert {"+=", ">="} & seen


def test_limits_hold_on_every_day(task: Task, people: pd.DataFrame) -> None:
    limits = sensecf.Limits(lock=["steps"], ranges={"sedentary_min": (400, None)}, max_changes=2, hold=0.0)
    found = sensecf.explain(task, "search", people, WANTED, per="person", limits=limits)
    moved = found.answers[found.answers["n_changed"] > 0]
    assert len(moved)
    assert (moved["n_changed"] <= 2).all()
    before = found.factuals.loc[moved["query"]].reset_index(drop=True)
    after = moved.reset_index(drop=True)
    assert (before["steps"].astype(float) == after["steps"].astype(float)).all()
    for feature in task.schema.features:
        if feature.numeric and feature.most_change is not None:
            apart = (after[feature.name].astype(float) - before[feature.name].astype(float)).abs()
            assert not (apart > feature.most_change + 1e-9).any()
    assert (after["sedentary_min"].astype(float)[after["sedentary_min"] != before["sedentary_min"]] >= 400).all()


def test_a_person_is_answered_alike_alone_in_company_and_in_any_order(
    task: Task, people: pd.DataFrame, plans: sensecf.Counterfactuals
) -> None:
    name = plans.people.loc[plans.people["rank"] == 1, "person"].iloc[1]
    mine = people[people["participant_id"] == name]
    columns = ["person", "turns", "of", "plan"]
    wanted = plans.people.loc[plans.people["person"] == name, columns].to_numpy().tolist()
    for rows in (mine, mine.iloc[::-1], people.sample(frac=1, random_state=1)):
        found = sensecf.explain(task, "search", rows, WANTED, per="person", hold=0.0).people
        assert found.loc[found["person"] == name, columns].to_numpy().tolist() == wanted


def test_more_days_are_turned_where_more_are_wanted(task: Task, people: pd.DataFrame) -> None:
    counts = []
    for days in (1, 0.5, 1.0):
        found = sensecf.explain(task, "search", people, WANTED, per="person", days=days, hold=0.0).people
        have = found[found["rank"] == 1]
        counts.append(len(have))
        assert (have["turns"] >= [Wish(days).least(of) for of in have["of"]]).all()
    assert counts == sorted(counts, reverse=True)
    assert counts[0]


def test_further_plans_are_of_other_levers(task: Task, people: pd.DataFrame) -> None:
    found = sensecf.explain(task, "search", people, WANTED, n=3, per="person", hold=0.0)
    several = found.people.groupby("person")["rank"].max()
    assert (several.fillna(0) >= 2).any()
    for _, own in found.people[found.people["rank"].notna()].groupby("person"):
        levers = [frozenset(re.findall(r"(\w+?)(?:\+=|>=|<=)", text)) for text in own["plan"]]
        assert len(set(levers)) == len(levers)
    ranks = found.answers.groupby("query")["rank"].apply(sorted)
    assert all(list(one) == list(range(1, len(one) + 1)) for one in ranks)


def test_plans_that_hold_are_counted_by_jurors_day_by_day(people: pd.DataFrame, task: Task) -> None:
    mine = people[people["participant_id"].isin(people["participant_id"].unique()[:6])]
    found = sensecf.explain(task, "search", mine, WANTED, per="person", hold=0.9, jurors=20)
    moved = found.answers[found.answers["n_changed"] > 0]
    assert len(moved)
    assert (moved["holds"] >= 0.9).all()
    weak = sensecf.explain(task, "search", mine, WANTED, per="person", hold=0.0)
    assert moved["query"].nunique() <= weak.answers[weak.answers["n_changed"] > 0]["query"].nunique() + 5
    assert "hold" in found.cost


@given(st.integers(0, 10_000))
@settings(max_examples=8)
def test_in_any_table_answers_are_valid_and_plans_turn_what_they_say(seed: int) -> None:
    task = random_task(people=60, d=3, seed=seed)
    rng = np.random.default_rng(seed)
    rows = task.train.drop(columns="y").sample(30, random_state=seed).reset_index(drop=True)
    rows["person"] = rng.integers(0, 8, len(rows))
    found = sensecf.explain(task, "search", rows, "good", per="person", hold=0.0)
    moved = found.answers[found.answers["n_changed"] > 0]
    if len(moved):
        said = np.asarray(task.classifier.predict(moved[task.schema.names].assign(kind=moved["kind"].astype(str))))
        assert (said == "good").all()
    table = found.people[found.people["rank"] == 1].set_index("plan_id")
    assert (moved.groupby("plan_id").size().reindex(table.index) == table["turns"].astype(int)).all()
    silent = found.people[found.people["rank"].isna()]
    assert (silent["reason"] != "").all()


# --- what cannot be asked ---


def test_what_cannot_be_asked_is_said(task: Task, people: pd.DataFrame) -> None:
    def ask(rows: pd.DataFrame = people, generator: str = "search", **more: object) -> None:
        sensecf.explain(task, generator, rows, WANTED, per="person", hold=0.0, **more)  # type: ignore[arg-type]

    with pytest.raises(InputError, match="have no column 'participant_id'"):
        ask(people.drop(columns="participant_id"))
    blank = people.assign(participant_id=people["participant_id"].where(people.index != 3))
    with pytest.raises(InputError, match="is blank in row 3"):
        ask(blank)
    with pytest.raises(InputError, match="'nearest' answers row by row"):
        ask(generator="nearest")
    for days in (0, -1, 1.5):
        with pytest.raises(InputError, match="days must be a share"):
            ask(days=days)
    with pytest.raises(InputError, match="use row or person"):
        sensecf.explain(task, "search", people, WANTED, per="days", hold=0.0)  # type: ignore[arg-type]


def test_days_wanted_are_a_share_or_a_number() -> None:
    assert [Wish(days).least(9) for days in (0.5, 1.0, 0.01, 3, 20, 1)] == [5, 9, 1, 3, 9, 1]


def test_sizes_are_round_figures() -> None:
    assert [round_step(size, 1.0) for size in (1, 3.4, 9, 24, 510)] == [1, 2, 5, 20, 500]
    assert round_step(0.34, 0.1) == pytest.approx(0.2)


def test_a_plan_in_words(task: Task) -> None:
    text = "steps+=2500;sedentary_min<=600;sleep_total_min>=450;active_min+=-10"
    assert in_words(task.schema, text, {"steps": "Steps"}) == [
        "Steps +2,500",
        "sedentary_min at most 600 min",
        "sleep_total_min at least 450 min",
        "active_min −10 min",
    ]
    with pytest.raises(InputError, match="'naps=1' names no feature"):
        in_words(task.schema, "steps+=2500;naps=1")


def test_a_plan_is_read_back_whatever_features_are_called() -> None:
    odd = ("a", "a>=b", "x; y", "sedentary [min]")
    features = tuple(Feature(name, "continuous", low=0, high=9, step=0.5, unit="h") for name in odd)
    level = Feature("kind", "categorical", levels=("a=1", "b; c"))
    schema = FeatureSchema((*features, level), "y", ("no", "yes"))
    how = np.array([[BY, LEAST, MOST, LEAST, EXACTLY]], dtype=np.int8)
    text = said(schema, Plans(how, np.array([[-0.5, 1.5, 2.0, 3.0, 1.0]])))
    assert parts_of(schema, text) == [
        ("a", "+=", "-0.5"),
        ("a>=b", ">=", "1.5"),
        ("x; y", "<=", "2.0"),
        ("sedentary [min]", ">=", "3.0"),
        ("kind", "=", "b; c"),
    ]


# --- the command ---


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    sensecf.datasets.simulate_cohort(people=40, days=6, seed=2).to_csv(folder / "days.csv", index=False)
    sensecf.datasets.load("simulated").schema.to_toml(folder / "schema.toml")
    options = ("--classifier", "logistic", "--hold", "0", "--per", "person", "--days", "50%")
    ended = call("explain", folder / "days.csv", "--schema", folder / "schema.toml", "--out", folder / "out", *options)
    assert ended.status == 0, ended.err
    (folder / "out.txt").write_text(ended.out)
    return folder


def test_a_run_by_row_has_sheets_and_is_followed_by_its_plans_for_people(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows"
    options = ("--classifier", "logistic", "--hold", "0", "--limit", "40")
    ended = call("explain", run / "days.csv", "--schema", run / "schema.toml", "--out", out, *options)
    assert ended.status == 0, ended.err
    table = pd.read_csv(out / "people.csv")
    table = table[(table["rank"] == 1) & (table["of"] > 1)]
    made = {plan.id: plan for plan in person_plans(out)}
    schema = sensecf.datasets.load("simulated").schema
    assert len(table) >= 2
    for row in table.itertuples():
        plan = made[row.plan_id]
        assert (plan.person, plan.turns, plan.of) == (row.person, row.turns, row.of)
        told = {name: (sign, float(value)) for name, sign, value in parts_of(schema, row.plan)}
        assert {change.feature for change in plan.actions} <= set(told)
        for change in plan.actions:
            sign, value = told[change.feature]
            assert change.delta == value if sign == "+=" else change.after == value
        assert plan_of(out, row.person) == plan
    whom = table["person"].iloc[0]
    ended = call("sheet", out, "--person", whom)
    assert ended.status == 0, ended.err
    assert made[table["plan_id"].iloc[0]].id in next(out.glob("sheet-*.html")).read_text()
    later = tmp_path / "later.csv"
    days = pd.read_csv(run / "days.csv")
    days.assign(date=days["date"].str.replace("2024", "2025")).to_csv(later, index=False)
    ended = call("follow", out, later, "--out", tmp_path / "later")
    assert ended.status == 0, ended.err
    followed = json.loads((tmp_path / "later" / "follow.json").read_text())["people"]
    assert made[table["plan_id"].iloc[0]].id in {one["plan"] for one in followed}


def test_the_folder_of_a_run_has_people_with_their_controls(run: Path) -> None:
    table = pd.read_csv(run / "out" / "people.csv")
    facts = json.loads((run / "out" / "run.json").read_text())
    told = facts["people"]
    first = table[table["rank"] == 1]
    assert told["with_plan"] == len(first)
    assert told["turned"] == first["turns"].sum()
    assert told["singly"]["turned"] == table.drop_duplicates("person")["singly"].sum() >= told["turned"]
    assert told["everybody"]["turned"] == table.drop_duplicates("person")["everybody"].sum()
    one = facts["everybody"]
    assert (one["plan"], one["turned"]) == (told["everybody"]["plan"], told["everybody"]["turned"])
    assert (one["own"], one["of"]) == (told["turned"], facts["queries_asked"])
    assert (facts["per"], facts["days"], facts["rows_are"]) == ("person", 0.5, "days")
    task, again = sensecf.load_task(run / "out"), sensecf.load_run(run / "out")
    rows = again.answers[task.schema.names]
    assert len(rows) > 5
    assert set(task.classifier.predict(rows)) == {WANTED}  # as saved and read back
    assert not task.codec.rules.violated(task.codec.encode(rows)).any()
    assert again.people["turns"].dtype == "Int64"
    assert not again.fallbacks()


def test_the_report_of_answers_at_the_boundary_calls_none_of_them_a_plan(run: Path) -> None:
    page = (run / "out" / "report.html").read_text(encoding="utf-8")
    people = page.partition('<h2 id="plans">')[2].partition("</section>")[0]
    assert "Boundary answer: before → after" in people
    assert re.search(r"a boundary answer for \d+ of \d+ days?", people)
    front = page.partition('class="front"')[2].partition("<h3>Why not")[0]
    for text in (people, front):
        words = re.sub(r"<[^>]*>", " ", text)
        assert not re.search(r"\b[Pp]lans?\b", words), re.search(r".{40}\b[Pp]lans?\b.{40}", words)


def test_the_terminal_speaks_of_people_and_their_days(run: Path) -> None:
    said = " ".join((run / "out.txt").read_text().split())
    assert re.search(r"Asked about \d+ days of \d+ people\.", said)
    assert "Boundary answers for people towards 'low', one for all of their days" in said
    assert re.search(r"One boundary answer for all days of a person: \d+ of \d+ people have one\.", said)
    assert "With each day planned singly" in said
    assert re.search(r"SIM-\d{4}", said)


def test_answer_asks_as_the_run_was_asked(run: Path) -> None:
    ended = call("answer", run / "out", run / "days.csv", "--out", run / "later")
    assert ended.status == 0, ended.err
    assert "Asked about 240 days of 40 people." in ended.out
    found = pd.read_csv(run / "later" / "counterfactuals.csv")
    assert found.loc[found["n_changed"] > 0, "plan_id"].notna().all()
    assert set(pd.read_csv(run / "later" / "people.csv")["plan_id"].dropna()) == set(found["plan_id"].dropna())


def test_beside_rows_of_whom_nobody_has_several_stands_one_plan_for_everybody(tmp_path: Path) -> None:
    frame = (
        sensecf.datasets.simulate_cohort(people=150, days=2).drop_duplicates("participant_id").reset_index(drop=True)
    )
    schema = replace(sensecf.datasets.load("simulated").schema, person=None, when=None)
    request = sensecf.RunSpec(classifier="logistic", generator="search", limits=sensecf.Limits(hold=0))
    answers, _, facts = sensecf.run(frame.drop(columns=["participant_id", "date"]), schema, tmp_path / "out", request)
    one = facts["everybody"]
    assert "people" not in facts
    assert one["of"] == facts["queries_asked"] == len(answers.factuals)
    assert one["own"] == answers.answers.loc[answers.answers["n_changed"] > 0, "query"].nunique()
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert one["says"] in html.unescape(page)
    # As an instruction that is followed to the letter it turns as many as it says.
    task, rows = sensecf.load_task(tmp_path / "out"), answers.factuals[list(schema.names)].copy()
    for name, sign, number in parts_of(schema, one["plan"]):
        now, to = rows[name], float(number)
        rows[name] = {"+=": now + to, ">=": now.clip(lower=to), "<=": now.clip(upper=to)}.get(sign, to)
    followed = task.codec.decode(task.codec.snap(task.codec.encode(rows)))
    turned = int((task.classifier.predict(followed) == facts["target"]).sum())
    assert one["turned"] >= len(rows) // 10
    assert turned >= one["turned"]


def test_of_very_many_rows_no_plan_for_everybody_is_looked_for(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(task, sensecf.datasets.simulate_cohort(people=6, seed=5), WANTED, Wish())
    monkeypatch.setattr("sensecf.runs.people.MOST_ROWS", len(asked.rows) - 1)
    answers = sensecf.explain(task, "search", asked.rows, WANTED, hold=0.0)
    assert beside(asked, answers) == (answers, {})


def test_rows_that_are_there_already_count_for_no_control(numeric_task: Task) -> None:
    """They get a plan that holds, but no plan turns them: 14 of 12 days were said to be turned."""
    there = numeric_task.judge(numeric_task.rows).predicted == 1
    some = pd.concat([numeric_task.train[there].head(3), numeric_task.train[~there].head(8)]).reset_index(drop=True)
    wish = Wish(limits=sensecf.Limits(edit="mutable", margin=0.9))
    asked = Asked(numeric_task, some[numeric_task.schema.names], "good", wish)
    assert asked.open.tolist() == [False] * 3 + [True] * 8
    answers = sensecf.explain(numeric_task, "search", asked.rows, "good", limits=wish.limits)
    told = beside(asked, answers)[1]["everybody"]
    assert told["of"] == 8
    assert max(told["own"], told["turned"]) <= 8
