"""What stands behind the page: plans, steps, words, the log, exports, the start, and many people at once."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the page's packages are not installed")

import sensecf
from command import call
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.rules import Ratio
from sensecf.core.task import Task
from sensecf.core.verify import feasible
from sensecf.generators.search import Search
from sensecf.pipeline import weeks
from sensecf.pipeline.blocking import Blame, Blocked
from sensecf.pipeline.explain import explain
from sensecf.pipeline.weeks import pace
from sensecf.runs.record.journal import Journal
from sensecf.web.app import make_app
from sensecf.web.asking import answer, widened
from sensecf.web.cohort import Cohort, encode_people
from sensecf.web.controls import Wish, first_wish, read_wish
from sensecf.web.export import to_fhir
from sensecf.web.people import ListView, Totals, chosen, named
from sensecf.web.plans import Inquiry, kind_of
from sensecf.web.ranking import rank
from sensecf.web.robust import robustness
from sensecf.web.roster import Roster
from sensecf.web.start import PageSource, make_cohort
from sensecf.web.steps import weekly_steps
from sensecf.web.survey import by_group, survey, ways_to_group
from sensecf.web.whatif import what_if
from sensecf.web.words import Blocker, Nouns, blocks, labels, percent, plan_sentence, rule_words
from sensecf.web.written import record, restore
from webpage import asked, away, client, csrf_of, desk_of, serving, small_cohort


@pytest.fixture(scope="module")
def cohort() -> Any:
    return small_cohort()


@pytest.fixture(scope="module")
def pools(cohort: Any) -> Any:
    return answer(cohort, [asked(cohort, row) for row in away(cohort)[:16]])


@pytest.fixture(scope="module")
def mixed(mixed_task: Task) -> Cohort:
    everybody = encode_people(mixed_task, mixed_task.train.head(60))
    return Cohort(mixed_task, Search(mixed_task), Search(mixed_task), "low", *everybody)


# --- plans --------------------------------------------------------------------------------


def test_every_plan_is_valid_feasible_and_keeps_the_locks(cohort: Any, pools: Any) -> None:
    assert sum(bool(pool.plans) for pool in pools) > 12
    for pool in pools:
        for plan in pool.plans:
            judged = cohort.task.judge(plan.row[None], final=True)
            assert judged.predicted[0] == cohort.position
            assert plan.lead >= pool.ask.limits.margin
            assert feasible(cohort.task, pool.query, np.zeros(1, dtype=int), plan.row[None])[0]
            assert (plan.row == cohort.rows[plan.day.row])[cohort.locked_first].all() or np.isnan(plan.row).any()
            assert 0 <= plan.alike.wanted <= plan.alike.rows
            assert plan.alike.people <= plan.alike.rows


def test_who_else_asks_does_not_change_my_plans(cohort: Any, pools: Any) -> None:
    for pool in pools[:3]:
        [alone] = answer(cohort, [pool.ask])
        np.testing.assert_array_equal([p.row for p in alone.plans], [p.row for p in pool.plans])


def test_each_ranking_puts_its_own_first(cohort: Any, pools: Any) -> None:
    for pool in (pool for pool in pools if len(pool.plans) > 3):
        shown = {order: rank(cohort, pool, order, {}) for order in ("effort", "changes", "lead")}
        assert shown["changes"][0].n_changed == min(plan.n_changed for plan in pool.plans if plan.score >= 0)
        kinds = [kind_of(cohort, plan) for plan in shown["effort"]]
        assert len(set(kinds)) == min(len({kind_of(cohort, plan) for plan in pool.plans}), len(kinds))
        assert shown["lead"][0].lead >= shown["effort"][0].lead
        for plans in shown.values():
            assert len({plan.id for plan in plans}) == len(plans) <= 4


def test_a_person_in_the_target_class_needs_no_plan(cohort: Any) -> None:
    [pool] = answer(cohort, [asked(cohort, int(np.argmax(cohort.chance)))])
    assert pool.there
    assert [plan.n_changed for plan in pool.plans] == [0]


def test_a_plan_is_restored_from_its_record_and_only_for_the_same_person(cohort: Any, pools: Any) -> None:
    plan = pools[0].plans[0]
    kept = json.loads(json.dumps(record(cohort, plan)))
    found = restore(cohort, kept)
    assert found is not None
    np.testing.assert_array_equal(found[0].row, plan.row)
    assert (found[0].id, found[0].mark) == (plan.id, plan.mark)
    assert restore(cohort, kept | {"person": "nobody"}) is None
    moved = next(iter(kept["days"][0]["values"].values()))
    moved[0] += 1
    assert restore(cohort, kept) is None


def test_further_plans_move_one_kind_of_lever_each(cohort: Any, pools: Any) -> None:
    kinds = []
    for pool in (pool for pool in pools[:8] if pool.plans):
        [wide] = widened(cohort, [pool])
        assert wide.plans[: len(pool.plans)] == pool.plans
        more = wide.plans[len(pool.plans) :]
        assert all(len(kind_of(cohort, plan)) == 1 and plan.turns == 1 for plan in more)
        kinds.append({kind_of(cohort, plan) for plan in wide.plans})
    assert any({("Sleep",), ("Activity",)} <= found for found in kinds)


def test_a_plan_is_tested_on_classifiers_fitted_again(cohort: Any, pools: Any) -> None:
    said: list[float] = []
    plans = [plan for pool in pools for plan in pool.plans]
    sure, narrow = max(plans, key=lambda p: p.lead), min(plans, key=lambda p: p.lead)
    first = robustness(cohort, sure, said.append)
    assert first.refits == 7
    assert first.held >= robustness(cohort, narrow, said.append).held
    assert 0 <= first.near <= 1
    assert said[0] == 0.0
    assert said[-1] == 1.0


# --- words --------------------------------------------------------------------------------


def test_every_figure_of_the_sentence_stands_in_a_field_of_the_record(cohort: Any, pools: Any) -> None:
    for pool in pools:
        for plan in pool.plans:
            written = record(cohort, plan)
            pieces = plan_sentence(written)
            for piece in pieces:
                if not piece.field:
                    said = [c["label_inside"] for c in written["changes"]]
                    assert not re.search(r"\d", piece.text) or any(label in piece.text for label in said)
                    continue
                value: Any = written
                for key in piece.field.split("."):
                    value = value[int(key)] if key.isdecimal() else value[key]
                if isinstance(value, float):
                    figure = float(re.sub(r"[^\d.]", "", piece.text.split(" ")[0]))
                    assert figure == pytest.approx(abs(value), abs=0.005 + 1e-9)
                else:
                    assert piece.text == str(value)
            text = "".join(piece.text for piece in pieces)
            assert text.startswith("With ")
            assert f"high goes from {percent(1 - written['probability_before'])} to" in text, "one direction everywhere"


def test_rules_are_said_in_words(mixed_task: Task) -> None:
    schema = mixed_task.schema
    found = [rule_words(rule, schema, labels(schema)) for rule in schema.rules]
    assert found == [
        "Deep, rem and light must add up to total sleep time.",
        "Pulse min must not be more than mean heart rate.",
        "Where pill is yes, coffee must be at most 2 cups.",
    ]
    share = rule_words(Ratio("deep", "sleep", 0.1, 0.3), schema, labels(schema))
    assert share == "Deep divided by total sleep time must lie between 0.1 and 0.3."


def test_what_blocks_names_the_controls_that_lift_it(mixed_task: Task) -> None:
    schema = mixed_task.schema
    limits = Limits(lock=("deep",), ranges={"steps": (0, 9000)})
    parts = [Blocked("lock", "deep"), Blocked("range", "steps", (0.0, 9000.0)), Blocked("budget", bound=1), *(
        Blocked(kind, "age") for kind in ("fixed", "range"))]  # fmt: skip
    found = blocks(Blame(tuple(parts)), limits, schema, labels(schema))
    assert [block.field for block in found] == ["lock-1", "limits-7", "budget", "", ""]
    [rule] = blocks(Blame((Blocked("rule", bound=schema.rules[1]),)), limits, schema, labels(schema))
    assert rule == Blocker("A rule: Pulse min must not be more than mean heart rate.", "")
    assert blocks(Blame((Blocked("blank", "deep"),)), limits, schema, labels(schema)) == []
    assert blocks(Blame(possible=True), limits, schema, labels(schema)) == []


def several(cohort: Any, most: int = 6) -> list[Inquiry]:
    """Questions about all days of people who have several to change, as they are before anybody sets anything."""
    away = [p.number for p in cohort.persons if cohort.away[p.days].sum() > 1]
    return [first_wish(cohort).ask(cohort, number) for number in away[:most]]


def test_people_who_wait_together_get_what_each_would_get_alone(cohort: Any) -> None:
    asks = several(cohort)
    locked = replace(asks[0], limits=replace(asks[0].limits, lock=(*asks[0].limits.lock, "steps")))
    together = answer(cohort, [*asks, locked])
    assert sum(bool(pool.plans) for pool in together) > 3
    for ask, pool in zip([*asks, locked], together, strict=True):
        [alone] = answer(cohort, [ask])
        assert [plan.told for plan in pool.plans] == [plan.told for plan in alone.plans]
        for one, two in zip(pool.plans, alone.plans, strict=True):
            np.testing.assert_array_equal([d.after for d in one.days], [d.after for d in two.days])
    steps = cohort.task.schema.columns["steps"]
    assert not any(plan.edited[steps] for plan in together[-1].plans)


def test_the_first_plan_for_a_person_is_that_of_explain(cohort: Any) -> None:
    same = 0
    for ask, pool in zip(several(cohort), answer(cohort, several(cohort)), strict=True):
        rows = list(ask.days)
        frame = cohort.task.codec.decode(cohort.rows[rows]).assign(participant_id=cohort.persons[ask.person].name)
        found = explain(cohort.task, "search", frame, cohort.target, 4, limits=ask.limits, per="person")
        told = found.people.loc[found.people["plan"] != "", "plan"].tolist()
        if not told:
            continue  # then fewer days are asked for
        assert pool.plans[0].told == told[0]
        # What is done to the same rows is one plan, whatever it is said to be.
        assert [plan.told for plan in pool.plans if plan.told in told] == [
            text for text in told if text in {p.told for p in pool.plans}
        ]
        turned = set(found.answers.loc[found.answers["plan_id"] == found.people["plan_id"].iloc[0], "query"])
        assert {k for k, day in enumerate(pool.plans[0].days) if day.turned} == turned
        same += 1
    assert same > 2


def test_a_plan_that_turns_fewer_days_is_better_than_none(cohort: Any) -> None:
    for ask, pool in zip(several(cohort, 20), answer(cohort, several(cohort, 20)), strict=True):
        turned = [plan.turns for plan in pool.plans]
        assert not turned or max(turned) >= 1
        if turned and max(turned) < len(ask.days) / 2:
            return
    pytest.skip("everybody here has a plan for half of their days")


# --- what if, steps, groups ---------------------------------------------------------------


def test_what_if_follows_totals_and_names_broken_rules(mixed: Cohort) -> None:
    columns = mixed.task.schema.columns
    person = next(k for k in range(60) if mixed.rows[k, columns["pill"]] == 0 and mixed.rows[k, columns["coffee"]] > 2)
    row = mixed.rows[person]
    said = what_if(mixed, person, {columns["deep"]: row[columns["deep"]] + 10})
    moved = {entry["column"]: entry for entry in said["changed"]}
    assert moved[columns["sleep"]]["value"] == row[columns["sleep"]] + 10
    assert moved[columns["sleep"]]["follows"]
    assert said["broken"] == []
    said = what_if(mixed, person, {columns["pill"]: 1})
    assert said["broken"] == ["Where pill is yes, coffee must be at most 2 cups."]
    expected = mixed.task.judge(row[None]).proba[0, mixed.position]
    assert what_if(mixed, person, {})["probability"] == pytest.approx(expected, abs=1e-6)


def test_no_slider_breaks_a_total_whoever_moves_it_and_by_however_little(cohort: Any) -> None:
    codec = cohort.task.codec
    total = next(rule for rule in codec.rules.rules if rule.type == "total")
    parts = [cohort.task.schema.columns[name] for name in total.parts]
    tried = blank = 0
    for person, row in enumerate(cohort.rows):
        for column in parts:
            for steps in (-7, -2, -1, 1, 3, 12):
                value = row[column] + steps * codec.step[column]
                if codec.low[column] <= value <= codec.high[column]:
                    said = what_if(cohort, person, {column: value})
                    assert not [text for text in said["broken"] if "add up" in text], (person, column, steps)
                    tried += 1
                    blank += bool(np.isnan(row).any())
    assert tried > 1500
    assert blank > 30


def test_more_sleep_is_more_of_every_stage_in_the_shares_of_the_night(cohort: Any) -> None:
    columns = cohort.task.schema.columns
    whole, *stages = (columns[f"sleep_{name}_min"] for name in ("total", "deep", "rem", "light"))
    tried = 0
    for person, row in enumerate(cohort.rows[:40]):
        if np.isnan(row).any() or row[whole] + 60 > cohort.task.codec.high[whole]:
            continue
        said = {e["column"]: e for e in what_if(cohort, person, {whole: row[whole] + 60})["changed"]}
        more = np.array([said[j]["value"] - row[j] if j in said else 0.0 for j in stages])
        assert more.sum() == 60
        np.testing.assert_allclose(more, 60 * row[stages] / row[stages].sum(), atol=1.5)
        by_hand = {
            e["column"]: e["value"]
            for e in what_if(cohort, person, {whole: row[whole] + 60, stages[0]: row[stages[0]]})["changed"]
        }
        assert stages[0] not in by_hand, "what is set by hand stays where it is put"
        tried += 1
    assert tried > 20


def test_a_value_against_the_wished_direction_is_said_but_breaks_no_rule(cohort: Any) -> None:
    steps = cohort.task.schema.columns["steps"]
    person = next(k for k, row in enumerate(cohort.rows) if row[steps] > 3000)
    said = what_if(cohort, person, {steps: cohort.rows[person, steps] - 1000})
    assert said["against"] == ["Steps is meant to increase."]
    assert said["broken"] == []


def test_weekly_steps_keep_the_pace_and_every_rule_and_end_at_the_plan(cohort: Any, pools: Any) -> None:
    speed, step = pace(cohort.task)[0], cohort.task.codec.step
    for pool in pools:
        for plan in pool.plans:
            way = weekly_steps(cohort, plan, pool.query)
            rows = np.array([cohort.rows[plan.day.row], *(s.row for s in way.steps)])
            np.testing.assert_array_equal(rows[-1], plan.row)
            moves = np.abs(np.diff(np.nan_to_num(rows), axis=0))
            assert (moves <= speed + step)[:, plan.edited].all()
            assert not any(s.problems for s in way.steps)
            assert way.steps[-1].reached


def test_a_step_that_breaks_a_rule_says_so(mixed: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = mixed.task.schema.columns
    person = next(
        k for k in range(60) if mixed.rows[k, columns["pill"]] == 0 and mixed.rows[k, columns["coffee"]] == 6 - 1
    )
    [pool] = answer(mixed, [Inquiry(person, (person,), Limits(hold=0.0))])
    row = mixed.rows[person].copy()
    row[columns["pill"]], row[columns["coffee"]] = 1, 2
    plan, edited = pool.plans[0], row != mixed.rows[person]
    monkeypatch.setattr(weeks, "pace", lambda task: (np.ones(len(task.schema)), np.ones(len(task.schema), bool)))
    way = weekly_steps(mixed, replace(plan, edited=edited, days=(replace(plan.days[0], after=row),)), pool.query)
    assert len(way.steps) == 3
    assert not any(step.problems for step in way.steps), "the pill waits for the coffee"
    assert [step.row[columns["pill"]] for step in way.steps] == [0, 0, 1]


def test_groups_add_up_to_everybody(cohort: Any) -> None:
    shares: list[float] = []
    found = survey(cohort, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(found.rows) == cohort.away.sum()
    for column in ways_to_group(cohort):
        groups = by_group(cohort, found, column)
        assert sum(group.asked for group in groups) == len(found.rows)
        assert sum(group.answered for group in groups) == found.answered.sum()
        assert all(not group.silent[1] > group.silent[0] and not group.silent[2] < group.silent[0] for group in groups)


def test_the_list_is_of_people_with_their_share_of_days(cohort: Any) -> None:
    totals = Totals(cohort)
    assert len(totals.days) == len({*cohort.roster.who}) < len(cohort)
    assert totals.days.sum() == len(cohort)
    assert totals.away.sum() == cohort.away.sum()
    shown = chosen(cohort, ListView())
    assert list(totals.share[shown]) == sorted(totals.share, reverse=True)
    person = cohort.persons[7]
    assert [cohort.persons[k].name for k in chosen(cohort, ListView(search=person.name.upper()))] == [person.name]
    assert named(cohort, f" {person.name.lower()} ") is person
    assert named(cohort, "SIM") is None
    assert all(totals.away[k] == 0 for k in chosen(cohort, ListView(filter="there")))
    deep = cohort.task.schema.columns["sleep_deep_min"]
    values = cohort.rows[totals.latest[chosen(cohort, ListView(order=str(deep), down=False))], deep]
    known = values[~np.isnan(values)]
    assert list(known) == sorted(known)
    assert np.isnan(values[len(known) :]).all(), "blanks come last"


def test_days_are_in_their_order_and_rows_stay_rows_where_nobody_is_named(cohort: Any, mixed: Cohort) -> None:
    for person in cohort.persons:
        days = [cohort.roster.when[k] for k in person.days]
        assert days == sorted(days)
        assert {cohort.roster.who[k] for k in person.days} == {person.name}
    assert cohort.nouns == Nouns("person", "people", "day", "days")
    unnamed = replace(mixed, roster=Roster.of(replace(mixed.task.schema, person=None), mixed.task.train.head(60)))
    assert unnamed.nouns == Nouns("row", "rows", "row", "rows")
    assert len(unnamed.persons) == 60


def test_controls_are_read_and_refused_in_words(cohort: Any) -> None:
    steps = cohort.task.schema.columns["steps"]
    deep = cohort.task.schema.columns["sleep_deep_min"]
    wish = read_wish(
        cohort,
        {f"lock-{steps}": "1", f"low-{deep}": "50", f"direction-{deep}": "increase", f"effort-{deep}": "hard",
         "budget": "2", "order": "lead", "margin": "0.5"},
    )  # fmt: skip
    question = wish.ask(cohort, 0)
    assert question.limits == Limits(
        ("steps",), {"sleep_deep_min": (50, None)}, {"sleep_deep_min": "increase"}, 2, 0.5, "mutable", hold=0.0
    )
    assert question.effort == {deep: 2.5}
    again = Wish.kept(cohort, Limits.from_dict(question.limits.to_dict()), wish.efforts(cohort))
    assert replace(again, order="lead") == wish
    assert wish.lift(f"lock-{steps}").lift(f"limits-{deep}").lift("budget").lift("margin") == Wish(
        effort={deep: "hard"}, margin=0.0, order="lead"
    )
    for form in ({"budget": "0"}, {"budget": "x"}, {f"low-{deep}": "inf"}, {"order": "luck"}, {"margin": "2"},
                 {f"effort-{deep}": "none"}, {f"direction-{deep}": "up"}, {"count": "99"}):  # fmt: skip
        with pytest.raises(InputError):
            read_wish(cohort, form)


# --- the log and the exports --------------------------------------------------------------


def test_the_log_grows_only_and_is_read_back(tmp_path: Path, cohort: Any, pools: Any) -> None:
    journal, written = Journal(tmp_path), record(cohort, pools[0].plans[0])
    journal.append(" Ada ", "bookmark", written)
    before = journal.path.read_bytes()
    journal.append("Ada", "reject", written, "too much")
    assert journal.path.read_bytes().startswith(before)
    again = Journal(tmp_path)
    assert again.entries == journal.entries
    assert [entry["action"] for entry in again.of_plan(written["plan"])] == ["bookmark", "reject"]
    again.append("Bob", "bookmark", written)
    with pytest.raises(InputError, match="somebody else"):
        journal.append("Ada", "bookmark", written)


@pytest.mark.parametrize(
    "damage", [lambda b: b.replace(b"Ada", b"Eve"), lambda b: b[b.index(b"\n") + 1 :], lambda b: b[:-9]]
)
def test_a_log_that_was_changed_is_noticed(tmp_path: Path, damage: Any, cohort: Any, pools: Any) -> None:
    journal = Journal(tmp_path)
    for _ in range(3):
        journal.append("Ada", "bookmark", record(cohort, pools[0].plans[0]))
    journal.path.write_bytes(damage(journal.path.read_bytes()))
    with pytest.raises(InputError, match="was changed or cut off"):
        Journal(tmp_path)


@pytest.mark.parametrize(
    ("who", "action", "note"),
    [("", "bookmark", ""), (" ", "note", "x"), ("Ada", "reject", " "), ("Ada", "note", ""), ("Ada", "erase", "x"),
     ("A" * 81, "bookmark", ""), ("Ada", "note", "x" * 2001)],
)  # fmt: skip
def test_a_decision_needs_a_name_and_a_rejection_a_reason(tmp_path: Path, who: str, action: str, note: str) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(InputError):
        journal.append(who, action, {"plan": "x"}, note)
    assert not journal.path.exists()


def test_the_fhir_draft_is_a_draft_with_one_goal_per_change(cohort: Any, pools: Any) -> None:
    written = record(cohort, pools[0].plans[0])
    bundle = json.loads(to_fhir(written, 3, "2026-01-02"))
    resources = [entry["resource"] for entry in bundle["entry"]]
    kinds = [resource["resourceType"] for resource in resources]
    assert kinds == ["Patient", *["Goal"] * len(written["changes"]), "CarePlan"]
    plan = resources[-1]
    assert (plan["status"], plan["intent"]) == ("draft", "proposal")
    known = {entry["fullUrl"] for entry in bundle["entry"]}
    assert {goal["reference"] for goal in plan["goal"]} < known
    for goal, change in zip(resources[1:-1], written["changes"], strict=True):
        assert goal["lifecycleStatus"] == "proposed"
        assert goal["subject"]["reference"] in known
        assert goal["target"][0]["detailQuantity"]["value"] == change["after"]
    assert "not a proven effect" in plan["note"][0]["text"]


# --- the start ----------------------------------------------------------------------------


def test_a_run_folder_opens_with_its_people_and_its_classifier(tmp_path: Path) -> None:
    from command import explain, make_schema, people

    people().to_csv(tmp_path / "t.csv", index=False)
    schema = make_schema(tmp_path / "t.csv", tmp_path / "s.toml")
    assert explain(tmp_path / "t.csv", schema, tmp_path / "run", "--limit", 5).status == 0
    said: list[str] = []
    cohort = make_cohort(PageSource(tmp_path / "run"), lambda phase, share: said.append(phase))
    assert cohort.trust.rows > 0
    assert cohort.generator.name == "nearest"
    assert cohort.target == "low"
    assert list(dict.fromkeys(said)) == ["reading", "classifier", "warming"]
    assert re.fullmatch(r"\d asked: \d answered by nearest, .* by nobody; \d more in the .*", cohort.run_shares)
    table = make_cohort(PageSource(tmp_path / "t.csv", schema, "logistic", "search", hold=0.0))
    assert len(table) == round(0.3 * 120)


def test_a_start_that_cannot_be_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished run"):
        make_cohort(PageSource(tmp_path))
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="needs its schema"):
        make_cohort(PageSource(tmp_path / "t.csv"))


def test_the_command_refuses_before_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    from sensecf.cli.app import COMMANDS

    if "serve" not in COMMANDS:
        pytest.skip("the command line does not know serve yet")
    for arguments, words in (
        (["--host", "0.0.0.0"], "--token"), (["absent"], "does not exist"), (["--schema", "s.toml"], "needs its table"),
        (["--host", "0.0.0.0", "--token", "short"], "at least 16"),
    ):  # fmt: skip
        outcome = call("serve", *arguments)
        assert outcome.status == 2
        assert words in outcome.err


# --- many at once -------------------------------------------------------------------------


def test_twenty_people_at_once_without_an_error(cohort: Any, tmp_path: Path) -> None:
    seconds: list[float] = []
    last: list[dict[str, Any]] = []

    def person(address: str, number: int) -> None:
        headers = {"cookie": "sensecf_visitor=" + "a" * 32}
        with urlopen(Request(address, headers=headers), timeout=60) as page:
            token = csrf_of(page.read().decode())
        headers |= {"x-csrf": token, "accept": "application/x-ndjson"}
        row = away(cohort)[number]
        target = f"{address}/person/{cohort.person_of(row).number}/ask"
        began = time.perf_counter()
        with urlopen(Request(target, f"order=effort&day={row}".encode(), headers), timeout=60) as said:
            last.append(json.loads(said.read().splitlines()[-1]))
        seconds.append(time.perf_counter() - began)

    with serving(make_app(desk_of(cohort, tmp_path))) as address:
        threads = [threading.Thread(target=person, args=(address, number)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(last) == 20
    assert all("html" in answer for answer in last), [answer for answer in last if "html" not in answer]
    # benchmarks/page.py measures the time; here the machine is shared.
    assert sorted(seconds)[18] < 45


def test_those_who_wait_are_answered_together(cohort: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sensecf.web import desk as module

    sizes: list[int] = []

    def counted(cohort: Any, asks: Any, say: Any) -> Any:
        sizes.append(len(asks))
        time.sleep(0.05)
        return answer(cohort, asks, say)

    monkeypatch.setattr(module, "answer", counted)
    desk = desk_of(cohort, tmp_path)

    async def everybody() -> Any:
        wish = first_wish(cohort)
        quiet: Any = lambda share, words: None  # noqa: E731
        return await asyncio.gather(*(desk.ask(asked(cohort, k), wish, "", quiet) for k in away(cohort)[:10]))

    pools = asyncio.run(everybody())
    assert [pool.ask.days for pool in pools] == [(k,) for k in away(cohort)[:10]]
    assert sum(sizes) == 10
    assert len(sizes) <= 3
    assert desk.found.total() == 10
    assert desk.found["nobody"] == sum(not pool.plans for pool in pools)
    page = client(make_app(desk)).get("/", follow_redirects=True).text
    assert f"{desk.found['own']} answered by search, {desk.found['fallback']} by a fallback" in page


def test_who_found_the_plans_is_told_apart(cohort: Any) -> None:
    class Nobody:
        name = "search"

        def propose(self, query: Any, rng: Any) -> Any:
            return Candidates.of(np.empty(0, np.intp), np.empty((0, query.rows.shape[1])), self.name)

    there = int(np.flatnonzero(cohort.predicted == cohort.position)[0])
    asks = [Inquiry(cohort.person_of(k).number, (k,), Limits(hold=0.0)) for k in (*away(cohort)[:3], there)]
    assert [pool.found for pool in answer(cohort, asks)] == ["own"] * 3 + ["not needed"]
    assert [pool.found for pool in answer(replace(cohort, generator=Nobody()), asks[:3])] == ["fallback"] * 3
    locked = replace(asks[0], limits=Limits(lock=tuple(cohort.task.schema.names), hold=0.0))
    assert [pool.found for pool in answer(cohort, [locked])] == ["nobody"]


def test_what_if_and_ranking_are_quick(cohort: Any, pools: Any) -> None:
    steps = cohort.task.schema.columns["steps"]

    def median(work: Any) -> float:
        times = []
        for _ in range(9):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return float(np.median(times))

    person = next(k for k in away(cohort) if not np.isnan(cohort.rows[k, steps]))
    assert median(lambda: what_if(cohort, person, {steps: cohort.rows[person, steps] + 500})) < 0.5
    assert median(lambda: rank(cohort, pools[0], "lead", {})) < 0.25


def test_the_page_is_no_part_of_an_import_of_sensecf() -> None:
    assert "web" not in sensecf.__all__
