"""Offers: what single changes bring, in points, is what the classifier says, and answers choose among them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary import explain
from checker import problems
from fake_llm import Scripted, draw
from handmade import hand_task
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits, make_query
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.core.verify import cost, verify
from sensecf.generators.prompted.prompted import Prompted
from sensecf.generators.prompted.shots import Shots
from sensecf.llm import Offered, Prompt
from sensecf.llm.ask import ALONE
from sensecf.llm.language.offers import (
    DEARER,
    LEAST,
    MOST,
    POINTS,
    TOGETHER,
    answers,
    enough,
    harder,
    in_order,
    log_odds,
    missing,
)  # fmt: skip
from sensecf.llm.language.prompts import Asked, Prompts, Style
from sensecf.llm.language.replies import json_schema, read, row_of
from strategies import cases, limits, worlds
from worlds import World


def unwanted(task: Task, count: int, **wish: Any) -> Query:
    """Training rows that the classifier puts into another class than the last."""
    target = len(task.classes) - 1
    rows = task.rows[task.judge(task.rows).predicted != target][:count]
    return replace(Query.of_rows(task, rows, task.classes[-1], Limits(edit="mutable")), **wish)


def offered(words: Offered, asked: Asked) -> set[tuple[str, Any]]:
    """Names and values as an answer writes them."""
    names = words.task.schema.names
    return {(names[offer.column], words.wording.shown(offer.column, offer.value)) for offer in asked.offers}


# --- what is offered ----------------------------------------------------------------------


def test_points_are_what_the_change_does_to_the_log_odds(mixed_task: Task) -> None:
    words = Offered(mixed_task)
    told = 0
    for asked in words.ask(unwanted(mixed_task, 12)):
        target = np.array([asked.target])
        before = log_odds(mixed_task.judge(asked.row[None]).proba, target)[0]
        for offer in asked.offers:
            row = row_of(words, asked, {offer.column: offer.value})
            after = log_odds(mixed_task.judge(row[None]).proba, target)[0]
            assert offer.points == round(POINTS * (after - before))
            told += 1
    assert told > 12


def test_what_is_lacking_is_the_way_to_the_lead_that_is_asked_for(mixed_task: Task) -> None:
    near, far = (
        [missing(asked) for asked in Offered(mixed_task).ask(unwanted(mixed_task, 12, margin=np.full(12, margin)))]
        for margin in (0.0, 0.4)
    )
    assert min(near) > 0
    # A lead of 0.4 is a probability of 0.7, log odds of 0.85.
    assert all(8 <= more - less <= 9 for less, more in zip(near, far, strict=True))


def test_the_best_for_its_price_comes_first_and_few_are_told(mixed_task: Task) -> None:
    for asked in Offered(mixed_task).ask(unwanted(mixed_task, 20)):
        worth = [min(offer.points, missing(asked)) / offer.price for offer in asked.offers]
        assert worth == sorted(worth, reverse=True)
        assert min(LEAST, len(asked.choices)) <= len(asked.offers) <= MOST
        assert len({(offer.column, offer.value) for offer in asked.offers}) == len(asked.offers)
        columns = [offer.column for offer in asked.offers]
        assert max(columns.count(column) for column in columns) <= 2


@cases(40)
@given(worlds(), st.sampled_from(["linear", "steps", "threshold", "rare"]), st.data())
def test_every_offer_is_one_that_the_person_may_take(world: World, kind: str, data: st.DataObject) -> None:
    task = world.task(kind)
    words = Offered(task)
    wish = data.draw(limits(world.schema))
    for asked in words.ask(make_query(task, world.people, world.schema.classes[-1], **wish)):
        for offer in asked.offers:
            choice = asked.choices[offer.column]
            inside = [low - 1e-9 <= offer.value <= high + 1e-9 for low, high in choice.parts]
            assert offer.value in choice.codes if choice.codes else any(inside)
        if not asked.choices:
            continue
        schema = json_schema(words, asked)
        text = draw(schema, np.random.default_rng(0))
        jsonschema.Draft202012Validator(schema).validate(json.loads(text))
        row, wrong = read(words, asked, text)
        assert wrong == []
        assert row is not None


@cases(25)
@given(worlds(), st.sampled_from(["linear", "threshold"]), st.data())
def test_what_any_model_chooses_is_valid_and_breaks_nothing(world: World, kind: str, data: st.DataObject) -> None:
    task, wish = world.task(kind), data.draw(limits(world.schema))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    target = world.schema.classes[-1]
    llm = Scripted(lambda prompt, schema, sample: draw(schema, rng))
    generator = Prompted(task, llm=llm, rounds=2, shots=1, style=Style(offers=True))
    cfs = explain(task, generator, world.people, target, n=2, **wish)
    for _, row in cfs.answers.iterrows():
        own = world.people.loc[row["query"]].to_dict()
        assert problems(world.schema, own, row.to_dict(), seen=world.train, **wish) == []


# --- how it is told -----------------------------------------------------------------------


def test_a_line_says_the_value_what_it_may_become_and_the_points(mixed_task: Task) -> None:
    words = Offered(mixed_task)
    [asked] = words.ask(unwanted(mixed_task, 1))
    lines = words.person(asked).splitlines()
    first, written = asked.offers[0], words.wording.written
    name = mixed_task.schema.names[first.column]
    now, then = written(first.column, asked.row[first.column]), written(first.column, first.value)
    assert lines[0].startswith(f'"{name}" {now}: {then} {first.points:+d}')
    assert lines[-1].endswith(f'lacks {missing(asked)} to "{mixed_task.classes[asked.target]}"')
    assert len(lines) == len({offer.column for offer in asked.offers}) + 1


def test_a_line_says_what_is_lacking_still_with_all_lines_above(mixed_task: Task) -> None:
    words = Offered(mixed_task)
    for asked in words.ask(unwanted(mixed_task, 12)):
        left, lines = missing(asked), words.person(asked).splitlines()
        for line, column in zip(lines, dict.fromkeys(offer.column for offer in asked.offers), strict=False):
            if left <= 0:
                assert "lacks" not in line
                assert "enough" not in line
                continue
            left -= next(offer.points for offer in asked.offers if offer.column == column)
            assert line.endswith(f", lacks {left}" if left > 0 else ", enough")


def test_the_schema_allows_what_is_offered_and_nothing_else(mixed_task: Task) -> None:
    words = Offered(mixed_task)
    for asked in words.ask(unwanted(mixed_task, 8)):
        told = offered(words, asked)
        members = json_schema(words, asked)["properties"]
        assert {(name, value) for name, member in members.items() for value in member["enum"]} == told


def test_offers_are_told_in_lines_of_their_own() -> None:
    for other in ({"values": "json"}, {"hint": True}, {"without": ("form",)}):
        with pytest.raises(InputError, match="offers are told in lines of their own"):
            Style(offers=True, **other)  # type: ignore[arg-type]


# --- answers that need no model -----------------------------------------------------------


def test_enough_is_the_cheapest_sum_that_reaches(mixed_task: Task) -> None:
    words = Offered(mixed_task)
    reached = 0
    for asked in words.ask(unwanted(mixed_task, 20)):
        chosen = enough(asked, asked.offers)
        of = {(offer.column, offer.value): offer for offer in asked.offers}
        points = sum(of[item].points for item in chosen.items())
        if points >= missing(asked):
            reached += 1
            dropped = [points - of[item].points for item in chosen.items()]
            assert all(less < missing(asked) for less in dropped)  # each of them is needed
    assert reached > 10


def test_answers_to_learn_from_are_verified_and_made_of_offers_alone(mixed_task: Task) -> None:
    words, query = Offered(mixed_task), unwanted(mixed_task, 30)
    at, rows = answers(words, query, 1.0)
    assert len(at) > 20
    assert verify(mixed_task, query, Candidates.of(at, rows, "offers")).good.all()
    asked = words.ask(query)
    for i, row in zip(at.tolist(), rows, strict=True):
        named = json.loads(words.completion(asked[i], row))  # what follows is not named
        assert 1 <= len(named) <= TOGETHER
        assert named.items() <= offered(words, asked[i])


def test_an_answer_to_learn_from_is_read_off_the_lines_where_that_is_valid_and_not_dear(mixed_task: Task) -> None:
    words, query = Offered(mixed_task), unwanted(mixed_task, 40)
    at, rows = answers(words, query, 1.0)
    asked = words.ask(query)
    read_off = 0
    for i, row in zip(at.tolist(), rows, strict=True):
        first = row_of(words, asked[i], {offer.column: offer.value for offer in in_order(asked[i], asked[i].offers)})
        if np.array_equal(first, row, equal_nan=True):
            read_off += 1
            continue
        both = np.array([first, row])
        valid = verify(mixed_task, query, Candidates.of(np.array([i, i]), both, "x")).good
        price = cost(mixed_task, query, np.array([i, i]), both, 1.0)
        assert not valid[0] or price[0] > price[1] + DEARER
    assert read_off > len(at) / 2


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_slack_widens_a_margin_as_far_as_there_is_room(margin: float, slack: float) -> None:
    query = unwanted(hand_task(), 1, margin=np.array([margin]))
    assert harder(query, slack).margin[0] == max(margin, min(margin + slack, 0.95))


# --- asking a model -----------------------------------------------------------------------


def test_examples_are_made_of_what_they_offer(mixed_task: Task) -> None:
    words = Offered(mixed_task)
    shots = Shots(words, 3).choose(unwanted(mixed_task, 4))
    for own in shots:
        assert len(own) == 3
        for asked, row in own:
            assert json.loads(words.completion(asked, row)).items() <= offered(words, asked)


def test_a_repair_goes_on_with_what_is_offered_from_there(mixed_task: Task) -> None:
    """Whoever takes the first offer each time comes nearer each time, and names no value twice."""
    people = mixed_task.train[mixed_task.judge(mixed_task.rows).predicted != 1].head(10).reset_index(drop=True)
    said: list[tuple[str, str]] = []

    def first(prompt: Prompt, schema: dict[str, Any], sample: int) -> str:
        name, member = next(iter(schema["properties"].items()))
        said.append((prompt[-1].content, text := json.dumps({name: member["enum"][0]})))
        return text

    generator = Prompted(mixed_task, llm=Scripted(first), rounds=4, style=Style(offers=True))
    query = make_query(mixed_task, people, mixed_task.classes[1], edit="mutable")
    verdicts = verify(mixed_task, query, generator.propose(query, np.random.default_rng(0)))
    by_round = [entry["good"] for entry in generator.facts()["rounds"]]
    assert sum(by_round[1:]) > 0
    assert verdicts.good.sum() == sum(by_round)
    assert len(set(said)) == len(said)


def test_a_budget_of_calls_needs_none_for_naming_features() -> None:
    rng = np.random.default_rng(1)
    llm = Scripted(lambda prompt, schema, sample: draw(schema, rng))
    generator = Prompted(hand_task(), llm=llm, calls=3, style=Style(offers=True))
    people = pd.DataFrame(hand_task().train.head(3)).reset_index(drop=True)
    generator.propose(make_query(hand_task(), people, "low"), rng)
    assert [entry["round"] for entry in generator.facts()["rounds"]] == [0, 1, 2][: len(llm.calls)]
    assert not any("named" in entry for entry in generator.facts()["rounds"])


def test_a_lead_is_asked_for_since_points_add_up_only_nearly() -> None:
    task = hand_task()
    query = make_query(task, task.train[task.judge(task.rows).predicted == 0].head(2).reset_index(drop=True), "low")
    generator = Prompted(task, llm=Scripted(lambda *_: ""), style=Style(offers=True))
    assert [question.asked.margin for question in generator.questions(query)] == [ALONE] * len(query)
    assert [question.asked.margin for question in Prompted(task, llm=Scripted(lambda *_: "")).questions(query)] == [
        0.0
    ] * len(query)


def test_the_prompt_is_a_fraction_of_the_whole_one(mixed_task: Task) -> None:
    query = unwanted(mixed_task, 1)

    def size(words: Prompts) -> int:
        return sum(len(turn.content) for turn in words.render(words.ask(query)[0]))

    assert size(Offered(mixed_task)) < size(Prompts(mixed_task)) / 2
