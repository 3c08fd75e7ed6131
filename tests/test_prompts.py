"""Prompts say what is true of the table and the person, and answers are read or refused, never mended."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_llm import answer, draw
from handmade import BASE, SCHEMA, hand_task
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.rules import Implication
from sensecf.core.schema import Feature
from sensecf.core.task import Task
from sensecf.generators.prompted.shots import POOL, Shots
from sensecf.generators.search import Search
from sensecf.llm.language.knowing import EXAMPLE, FORM, PARTS
from sensecf.llm.language.prompts import BARE, PROMPT_VERSION, Prompts, Style
from sensecf.llm.language.replies import Unreadable, find_changes, infeasible_words, invalid_words, json_schema, read
from sensecf.llm.language.wording import Wording, number, quote
from strategies import cases, limits, worlds
from worlds import World

STYLES = [
    BARE,
    Style(),
    Style("json"),
    Style(masked=True),
    Style("json", masked=True, hint=True, without=("leanings", "form")),
]


def person(task: Task, base: dict[str, Any] | None = None, **options: Any) -> Query:
    return make_query(task, pd.DataFrame([BASE if base is None else base]), **options)


def question(style: Style = STYLES[0], **options: Any) -> tuple[Prompts, Any]:
    task = hand_task()
    prompts = Prompts(task, style)
    return prompts, prompts.ask(person(task, **options))[0]


# --- what a prompt says -------------------------------------------------------------------


def test_the_table_is_described_with_units_ranges_steps_roles_and_rules() -> None:
    table = question()[0].table
    assert '"steps": whole number in "steps", 1000 to 9000, step 100' in table
    assert '"deep": number in "min", 20 to 60, step 0.5' in table
    assert '"sleep": number in "min", 360 to 440, step 1; moves as a result of other things' in table
    assert '"age": whole number in "years", 50 to 50, step 1; never changes' in table
    assert '"device": one of "watch", "ring", "band"' in table
    assert '- "deep" <= "sleep"' in table
    assert 'predicts "stress": "high", "low"' in table


def test_the_person_is_described_with_verdict_wish_locks_and_limits() -> None:
    prompts, asked = question(lock=["sleep"], max_changes=2, ranges={"steps": (None, 9000)}, margin=0.2)
    text = prompts.person(asked)
    assert '"steps": 4000 (may become 4000 to 9000)' in text  # direction and range
    assert '"deep": 30 (may become 20 to 60)' in text  # max_change
    assert '"sleep": 400 (stays)' in text  # locked
    assert '"age": 50 (stays)' in text  # immutable
    assert '"device": "watch" (may become "ring", "band")' in text
    assert 'The classifier says "high"; probabilities: "high" 0.8, "low" 0.2.' in text
    assert 'Wanted: "low"' in text
    assert "at least 0.2 above" in text
    assert "At most 2 of the features" in text


def test_as_json_the_person_is_one_object_with_the_same_facts() -> None:
    prompts, asked = question(Style("json", without=PARTS), lock=["sleep"])
    said, _, wish = prompts.person(asked).rpartition("\n")
    data = json.loads(said)
    assert data["row"] == BASE
    assert data["may_become"] == {
        "steps": {"from": 4000, "to": 9000},
        "deep": {"from": 20, "to": 60},
        "device": ["ring", "band"],
    }
    assert data["predicted"] == "high"
    assert data["probability"] == {"high": 0.8, "low": 0.2}
    assert wish.startswith('Wanted: "low"')


def test_a_hint_names_what_the_classifier_leans_on_and_only_on_request() -> None:
    assert 'leans most on "' in question(Style(hint=True))[0].table
    assert "leans" not in question()[0].table


def test_each_part_of_a_prompt_can_be_left_out(numeric_task: Task) -> None:
    query = make_query(numeric_task, numeric_task.train[numeric_task.judge(numeric_task.rows).predicted == 0].head(4))
    signs = {
        "neighbours": "The nearest cases that the classifier calls",
        "leanings": "After one change:",
        "usual": "mostly ",
        "example": EXAMPLE,
        "form": FORM,
    }
    assert tuple(signs) == PARTS

    def said(*without: str) -> str:
        prompts = Prompts(numeric_task, Style(without=without))
        return "\n".join(turn.content for asked in prompts.ask(query) for turn in prompts.render(asked))

    assert all(sign in said() for sign in signs.values())
    for part in PARTS:
        assert [name for name, sign in signs.items() if sign not in said(part)] == [part]
    assert said().endswith(FORM)
    with pytest.raises(InputError, match="'rules' is no part of a prompt"):
        Style(without=("rules",))


def test_what_single_changes_do_is_what_the_classifier_says(mixed_task: Task) -> None:
    rows = mixed_task.train[mixed_task.judge(mixed_task.rows).predicted == 0].head(12)
    prompts = Prompts(mixed_task)
    told = 0
    for asked in prompts.ask(make_query(mixed_task, rows, "low", edit="mutable")):
        assert asked.known is not None
        for column, value, chance in asked.known.leanings:
            text = json.dumps({prompts.wording.names[column]: prompts.wording.shown(column, value)})
            row, problems = read(prompts, asked, text)
            assert problems == []
            assert row is not None
            assert mixed_task.judge(row[None]).proba[0, asked.target] == pytest.approx(chance)
            told += 1
        for case in asked.known.cases:
            assert mixed_task.judge(case[None]).predicted[0] == asked.target
            assert (mixed_task.rows == case).all(axis=1).any() or np.isnan(case).any()
    assert told > 12


def test_where_no_training_row_has_the_class_nothing_is_told_of_it(numeric_task: Task) -> None:
    good = numeric_task.judge(numeric_task.rows).predicted == 1
    only = Task(numeric_task.schema, numeric_task.train[~good & (numeric_task.y == 0)], numeric_task.classifier)
    asked = Prompts(only).ask(make_query(only, numeric_task.train.head(2), "good"))
    assert [one.known for one in asked] == [None, None]


def test_features_that_follow_are_said_to(mixed_task: Task) -> None:
    prompts = Prompts(mixed_task)
    for edit, words in (("mutable", r'"sleep": \d+ \(may become .*; follows\)'), (None, r'"sleep": \d+ \(follows\)')):
        query = make_query(mixed_task, mixed_task.train.head(1), "low", edit=edit)  # type: ignore[arg-type]
        assert re.search(words, prompts.person(prompts.ask(query)[0]))


def test_blanks_are_said_and_never_offered(mixed_task: Task) -> None:
    blank = mixed_task.train[mixed_task.train["steps"].isna()].head(1)
    prompts = Prompts(mixed_task)
    asked = prompts.ask(make_query(mixed_task, blank, "low"))[0]
    assert '"steps": missing (stays)' in prompts.person(asked)
    assert '"steps": null' in Prompts(mixed_task, Style("json")).person(asked)
    assert "steps" not in json.dumps(json_schema(prompts, asked))


def test_an_unknown_way_to_write_values_is_refused() -> None:
    with pytest.raises(InputError, match="not 'yaml'"):
        Style("yaml")  # type: ignore[arg-type]


def test_a_change_of_wording_changes_the_version() -> None:
    """Whoever changes a prompt raises PROMPT_VERSION and puts the new digest here."""
    texts = []
    for style in STYLES[:3]:  # the others depend on what numpy draws
        prompts, asked = question(style, max_changes=2, margin=0.1)
        row = asked.row.copy()
        row[0] = 8000
        texts += [f"{m.role}\n{m.content}" for m in prompts.render(asked, [(asked, row)])]
        texts.append(json.dumps(json_schema(prompts, asked)))
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    assert (PROMPT_VERSION, digest) == (5, "67035ed11b7fed12")


# --- masks --------------------------------------------------------------------------------


def test_masked_nothing_of_the_table_is_recognisable() -> None:
    prompts, asked = question(Style(masked=True))
    said = "\n".join(m.content for m in prompts.render(asked)[1:])
    words = [*SCHEMA.names, "stress", "watch", "ring", "band", "bpm", "years", "high", "low"]
    assert [word for word in words if f'"{word}"' in said] == []
    assert "4000" not in said  # the person's steps
    assert "20000" not in said  # the range of steps


@cases(40)
@given(worlds(), st.booleans(), st.integers(0, 99))
def test_what_is_shown_of_a_value_means_that_value(world: World, masked: bool, seed: int) -> None:
    task = world.task()
    words = Wording(task, masked, seed)
    for row in task.codec.encode(world.people):
        for j, value in enumerate(row):
            shown = words.shown(j, value)
            if math.isnan(value):
                assert shown is None
            elif task.codec.numeric[j]:
                assert isinstance(shown, int | float)
                assert words.meant(j, shown) == pytest.approx(value, abs=1e-6 * task.codec.step[j])
            else:
                assert words.code(j, shown) == value


@cases(40)
@given(worlds(), st.booleans(), st.integers(0, 99))
def test_rules_in_words_say_what_the_rules_say(world: World, masked: bool, seed: int) -> None:
    """Each sentence, worked out with the numbers as shown, is broken where the rule is."""
    task = world.task()
    words = Wording(task, masked, seed)
    rows = task.codec.encode(world.people)
    rows = np.vstack([rows, task.rows[:5], task.rows[5:10, :].mean(axis=0)[None].round()])
    broken = task.codec.rules.violated(rows)
    for row, wrong in zip(rows, broken, strict=True):
        said: dict[int, bool] = {}
        shown = {quote(n): words.shown(j, v) for j, (n, v) in enumerate(zip(words.names, row, strict=True))}
        for rule, text in words.rules():
            if isinstance(task.schema.rules[rule], Implication):
                continue
            members = [name for name in shown if name in text]
            if any(shown[name] is None for name in members):
                continue
            said[rule] = said.get(rule, True) and _works_out(text, shown)
        for rule, holds in said.items():
            assert holds == (not wrong[rule]), words.rules()


def _works_out(text: str, shown: dict[str, Any]) -> bool:
    formula, _, slack = text.partition(", give or take ")
    for name in sorted(shown, key=len, reverse=True):
        formula = formula.replace(name, f"({shown[name]})")
    left, sign, right = re.split(r" (<=|>=|=) ", formula)
    apart = eval(left) - eval(right)  # numbers and signs only: the names are gone
    size = 1e-5 * max(1.0, abs(eval(left)))
    match sign:
        case "<=":
            return bool(apart <= size)
        case ">=":
            return bool(apart >= -size)
    return bool(abs(apart) <= float(slack or 0) + size)


# --- answers ------------------------------------------------------------------------------

MALFORMED = [
    ("not JSON", ""),
    ("not JSON", "I would walk more."),
    ("not JSON", '{"steps": 8000'),
    ("not JSON", '[{"steps": 8000}]'),
    ("not JSON", 'So [{"steps": 8000}, {"deep": 40}]'),
    ("not JSON", '{"steps": 8000, "steps": 8100}'),
    ("not JSON", '{"steps": NaN}'),
    ("not JSON", '{"steps": Infinity}'),
    ("not JSON", "{'steps': 8000}"),
    ("not JSON", "[" * 5000),
    ("not JSON", '{"steps": ' * 3000),
    ("not JSON", "x" * 30_000 + answer(steps=8000)),
    ("not JSON", f"First {answer(steps=8000)}, or rather {answer(steps=9000)}"),
    ("not JSON", f"<think>{answer(steps=8000)}</think> I am not sure."),
    ("not JSON", f"<think>{answer(steps=8000)}</think>"),
    ("no change", "{}"),
    ("unknown feature", '{"steps": 8000, "why": "health"}'),
    ("unknown feature", '{"changes": [{"feature": "steps", "value": 8000}]}'),  # the form of older versions
    ("unknown feature", answer(stairs=3)),
    ("unknown feature", answer(Steps=8000)),
    ("unknown feature", answer(stress="low")),
    ("locked", answer(age=40)),
    ("locked", answer(sleep=420)),
    ("wrong type", answer(steps="8000")),
    ("wrong type", answer(steps=True)),
    ("wrong type", answer(steps=None)),
    ("wrong type", answer(steps=[8000])),
    ("wrong type", answer(steps={"value": 8000})),
    ("wrong type", answer(steps=8000.5)),
    ("wrong type", answer(device=["ring"])),
    ("outside the range", answer(steps=45_000)),
    ("outside the range", answer(steps=3000)),  # it may only rise
    ("outside the range", answer(deep=120)),  # max_change
    ("outside the range", '{"steps": 1e999}'),
    ("outside the range", f'{{"steps": {"9" * 5000}}}'),
    ("off the step", answer(steps=8050)),
    ("off the step", answer(deep=51.25)),
    ("present value", answer(deep=30)),
    ("no level", answer(device="phone")),
    ("no level", answer(device="Ring")),
    ("no level", answer(device=1)),
    ("no level", answer(device="watch")),  # what it is already
    ("too many changes", answer(steps=8000, deep=60, device="ring")),
]


@pytest.mark.parametrize(("kind", "text"), MALFORMED)
def test_a_malformed_answer_is_refused_with_its_reason(kind: str, text: str) -> None:
    prompts, asked = question(lock=["sleep"], max_changes=2)
    row, problems = read(prompts, asked, text)
    assert row is None
    assert kind in [problem.kind for problem in problems]
    assert all(problem.words and len(problem.words) < 300 for problem in problems)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    prompts, asked = question()
    _, problems = read(prompts, asked, answer(steps=45_000, age=40, stairs=2, deep=50.3))
    assert [problem.kind for problem in problems] == [
        "outside the range", "locked", "unknown feature", "off the step", "too many changes",
    ]  # fmt: skip
    assert problems[0].words == '"steps": 45000 is outside 4000 to 9000'


@pytest.mark.parametrize(
    "text",
    [
        answer(steps=8000),
        f"```json\n{answer(steps=8000)}\n```",
        f"Here you are: {answer(steps=8000)} Anything else?",
        f"<think>{answer(steps=9000)} is too much</think>\n{answer(steps=8000)}",
        f"<reasoning>{answer(steps=9000)}</reasoning>{answer(steps=8000)}",
        f"<|channel|>analysis<|message|>{answer(steps=9000)}<|end|><|start|>assistant<|channel|>final<|message|>"
        f"{answer(steps=8000)}<|return|>",
        f"[THINK]{answer(steps=9000)}[/THINK]\n{answer(steps=8000)}",
        f"{answer(steps=8000)}\nThat is: {answer(steps=8000)}",
        '{"steps": 8000.0}',
        '{"st\\u0065ps": 8e3}',
        "The set {steps} grows: " + answer(steps=8000),
    ],
)
def test_what_stands_around_the_json_does_not_matter(text: str) -> None:
    prompts, asked = question()
    row, problems = read(prompts, asked, text)
    assert problems == []
    assert row is not None
    assert row.tolist() == [8000, 30, 400, 50, 0]


def test_a_broken_answer_is_not_read_by_its_parts() -> None:
    """The object inside of one that is cut off is complete, and yet no answer."""
    for text in ('{"changes": {"steps": 8000}, "also": {"deep":', '[{"steps": 8000}, {"deep":'):
        with pytest.raises(Unreadable):
            find_changes(text)


def test_reading_hostile_text_is_quick() -> None:
    import time

    began = time.perf_counter()
    for text in ("[{" * 9000, '{"' * 9000, '[{"steps": ' * 1500, "<think>" * 2500, '{"steps": [' * 1500):
        with pytest.raises(Unreadable):
            find_changes(text)
    assert time.perf_counter() - began < 5


@cases(20)
@given(worlds(), st.data())
def test_the_reader_accepts_what_the_json_schema_accepts_and_no_more(world: World, data: st.DataObject) -> None:
    task = world.task()
    prompts = Prompts(task, data.draw(st.sampled_from(STYLES)))
    query = make_query(task, world.people, world.schema.classes[-1], **data.draw(limits(world.schema)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    for asked in prompts.ask(query):
        schema = json_schema(prompts, asked)
        if not asked.choices:
            continue
        jsonschema.Draft202012Validator.check_schema(schema)
        texts = [draw(schema, rng)]
        for _ in range(3):
            edits = json.loads(draw(schema, rng))
            name = next(iter(edits))
            value = edits.pop(name)
            other = [value, -value if isinstance(value, int) else "?", 1e9, "", True]
            edits[data.draw(st.sampled_from([name, *prompts.wording.names]))] = data.draw(st.sampled_from(other))
            texts.append(json.dumps(edits))
        for text in texts:
            _, problems = read(prompts, asked, text)
            left = {problem.kind for problem in problems} - {"off the step"}
            schema["maxProperties"] = min(asked.max_changes, len(asked.choices))  # more than asked for may be named
            followed = not list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(text)))
            # Without multipleOf a schema cannot know the steps; a value off the step may break it besides.
            assert followed == (not left) or (problems and not left), (text, problems)


@cases(25)
@given(worlds(), st.sampled_from(STYLES), st.data())
def test_an_answer_written_for_a_row_is_read_as_that_row(world: World, style: Style, data: st.DataObject) -> None:
    task = world.task()
    target = world.schema.classes[-1]
    query = make_query(task, world.people, target, **data.draw(limits(world.schema)))
    found = Search(task).propose(query, np.random.default_rng(0))
    prompts = Prompts(task, style)
    questions = prompts.ask(query)
    for i, row, reason in zip(found.query, found.rows, found.reason, strict=True):
        if reason or not task.codec.changed(query.rows[i], row).any():  # there already
            continue
        text = prompts.completion(questions[i], row)
        again, problems = read(prompts, questions[i], text)
        assert problems == [], text
        assert again is not None
        np.testing.assert_allclose(again, row, atol=1e-9)
        schema = json_schema(prompts, questions[i]) | {"maxProperties": len(questions[i].choices)}
        assert not list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(text))), text
        assert len(text.encode()) <= prompts.longest


def test_features_follow_unless_the_answer_sets_them(mixed_task: Task) -> None:
    start = mixed_task.train[mixed_task.train["steps"].notna()].head(1)
    prompts = Prompts(mixed_task)
    asked = prompts.ask(make_query(mixed_task, start, "low", edit="mutable"))[0]
    names = mixed_task.schema.columns
    deep, sleep = asked.row[names["deep"]], asked.row[names["sleep"]]
    row, _ = read(prompts, asked, answer(deep=deep + 10))
    assert row is not None
    assert row[names["sleep"]] == sleep + 10
    row, _ = read(prompts, asked, answer(deep=deep + 10, sleep=sleep + 5))
    assert row is not None
    assert row[names["sleep"]] == sleep + 5
    said = infeasible_words(prompts, asked, row)
    assert said == ['this does not hold: "deep" + "rem" + "light" = "sleep"']
    row, _ = read(prompts, asked, answer(sleep=sleep + 5))  # alone it breaks the total, and nobody mends it
    assert row is not None
    assert infeasible_words(prompts, asked, row) == said


def test_what_followed_is_told_when_it_goes_too_far(mixed_task: Task) -> None:
    start = mixed_task.train[mixed_task.train["steps"].notna()].head(1)
    prompts = Prompts(mixed_task)
    now, least = float(start["sleep"].iloc[0]), float(mixed_task.train["sleep"].min())
    query = make_query(mixed_task, start, "low", ranges={"sleep": (None, now)}, max_changes=1, edit="mutable")
    asked = prompts.ask(query)[0]
    row, _ = read(prompts, asked, answer(deep=float(start["deep"].iloc[0]) + 10))
    assert row is not None
    assert infeasible_words(prompts, asked, row) == [
        f'"sleep" would follow to {number(now + 10)}, outside {number(least)} to {number(now)}',
        "2 features change, those that follow included; at most 1 may",
    ]


def test_a_row_that_is_not_valid_is_told_its_probability_and_what_is_needed() -> None:
    prompts, asked = question()
    said = invalid_words(prompts, asked, 0, 0.3714, -0.2572)
    assert said == 'not valid: with these changes the probability of "low" is 0.371, and more than 0.5 is needed'
    assert invalid_words(prompts, asked._replace(margin=0.2), 1, 0.55, 0.1).endswith("and at least 0.6 is needed")
    assert invalid_words(prompts, asked, 0, 0.63, 0.26).endswith(
        'but the classifier\'s own decision is "high" all the same'
    )


# --- shots --------------------------------------------------------------------------------


def shots_for(task: Task, choice: str, count: int = 3, **options: Any) -> tuple[Shots, Query, Any]:
    prompts = Prompts(task)
    shots = Shots(prompts, count, choice)  # type: ignore[arg-type]
    bad = task.train[task.judge(task.rows).predicted == 0].head(12).reset_index(drop=True)
    query = make_query(task, bad, **options)
    return shots, query, shots.choose(query)


@pytest.mark.parametrize("choice", ["nearest", "diverse", "fixed"])
def test_shots_are_verified_pairs_of_other_training_rows(numeric_task: Task, choice: str) -> None:
    shots, query, chosen = shots_for(numeric_task, choice)
    rows = {row.tobytes() for row in numeric_task.rows}
    for person_row, examples in zip(query.rows, chosen, strict=True):
        assert len(examples) == 3
        for example, after in examples:
            assert example.row.tobytes() in rows
            assert not np.array_equal(example.row, person_row)
            assert numeric_task.judge(after[None]).predicted[0] == example.target
            text = shots._prompts.completion(example, after)
            assert read(shots._prompts, example, text)[1] == []
    assert 0 < len(shots.pool(1).asked) <= POOL


def test_nearest_shots_are_the_nearest_and_the_nearest_comes_last(numeric_task: Task) -> None:
    from sensecf.core.distances import Scale

    shots, query, chosen = shots_for(numeric_task, "nearest")
    scale = numeric_task.once(Scale)
    for row, examples in zip(query.rows, chosen, strict=True):
        away = np.linalg.norm(scale.embed(shots.pool(1).rows) - scale.embed(row[None]), axis=1)
        away = np.sort(away[away > 0])[:3]
        mine = [float(np.linalg.norm(scale.embed(e.row[None]) - scale.embed(row[None]))) for e, _ in examples]
        np.testing.assert_allclose(mine[::-1], away)


def test_fixed_shots_are_the_same_for_everybody(numeric_task: Task) -> None:
    _, _, chosen = shots_for(numeric_task, "fixed")
    assert (
        len({tuple(example.row.tobytes() for example, _ in examples) for examples in chosen}) <= 2
    )  # but for one's own


def test_diverse_shots_change_different_features(mixed_task: Task) -> None:
    def kinds(choice: str) -> float:
        _, _, chosen = shots_for(mixed_task, choice, 4)
        sets = [
            len({mixed_task.codec.changed(e.row[None], a[None]).tobytes() for e, a in examples}) for examples in chosen
        ]
        return float(np.mean(sets))

    assert kinds("diverse") > kinds("nearest")


def test_shots_respect_what_the_person_locked(mixed_task: Task) -> None:
    locked = mixed_task.schema.columns["deep"]
    _, _, chosen = shots_for(mixed_task, "nearest", 3, lock=["deep"], max_changes=2, edit="mutable")
    examples = [pair for pairs in chosen for pair in pairs]
    assert examples
    for example, after in examples:
        changed = mixed_task.codec.changed(example.row, after)
        assert not changed[locked]
        assert changed.sum() <= 2


def test_shots_are_turns_of_a_conversation_before_the_question(numeric_task: Task) -> None:
    shots, query, chosen = shots_for(numeric_task, "nearest", 2)
    prompts = shots._prompts
    asked = prompts.ask(query)[0]
    turns = prompts.render(asked, chosen[0])
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert sum(prompts.table in turn.content for turn in turns) == 1
    assert turns[-1].content == prompts.person(asked)
    assert turns[2].content == prompts.completion(*chosen[0][0])
    assert [turn.role for turn in prompts.render(asked)] == ["system", "user"]


def test_nobody_to_learn_from_means_no_shots(numeric_task: Task) -> None:
    only = Task(
        numeric_task.schema,
        numeric_task.train[numeric_task.judge(numeric_task.rows).predicted == 1],
        numeric_task.classifier,
    )
    query = make_query(numeric_task, numeric_task.train.head(2))
    assert Shots(Prompts(only), 3).choose(query) == [[], []]


@pytest.mark.parametrize(("count", "choice"), [(-1, "nearest"), (2, "best")])
def test_shots_that_cannot_be_are_refused(count: int, choice: str) -> None:
    with pytest.raises(InputError, match="shots"):
        Shots(Prompts(hand_task()), count, choice)  # type: ignore[arg-type]


def test_a_feature_that_is_withheld_is_neither_shown_nor_offered_nor_answered(mixed_task: Task) -> None:
    start = mixed_task.train[mixed_task.train["steps"].notna()].head(3)
    prompts = Prompts(mixed_task, withheld=["coffee", "device"])
    query = make_query(mixed_task, start, "low")
    shots = Shots(prompts, 2).choose(query)
    for asked, examples in zip(prompts.ask(query), shots, strict=True):
        said = "\n".join(turn.content for turn in prompts.render(asked, examples)) + json.dumps(
            json_schema(prompts, asked)
        )
        for word in ("coffee", "device", "watch", "ring", "band"):
            assert word not in said.replace("pulse", "")
        assert [p.kind for p in read(prompts, asked, answer(coffee=1))[1]] == ["unknown feature"]


def test_a_schema_without_exact_steps_names_none() -> None:
    schema = replace(SCHEMA, features=(Feature("x", "continuous", low=0, high=1, step=0.1), *SCHEMA.features[1:]))
    assert schema["x"].step == 0.1
    prompts, asked = question(edit="mutable")
    members = json_schema(prompts, asked)["properties"]
    steps = {name: value.get("anyOf", [value])[0].get("multipleOf") for name, value in members.items()}
    assert steps == {"steps": 100, "deep": 0.5, "sleep": 1, "device": None}
