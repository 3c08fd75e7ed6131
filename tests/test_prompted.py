"""The prompted generator: every answer is a candidate or a reason, and what failed goes back to the model in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundary import explain
from checker import problems
from fake_llm import Scripted, always, answer, draw, like_the_search
from handmade import BASE, hand_task
from llm_servers import tiny_model
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.generators.prompted.course import Course, Tried
from sensecf.generators.prompted.prompted import SAMPLING, Prompted
from sensecf.generators.search import Search
from sensecf.llm import Completion, Prompt
from sensecf.llm.language.knowing import WHICH
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.language.replies import row_of
from sensecf.llm.language.wording import number
from strategies import cases, limits, worlds
from worlds import World

PEOPLE = pd.DataFrame([BASE, {**BASE, "steps": 5000}, {**BASE, "steps": 6000, "device": "ring"}])


def propose(
    task: Task, llm: Any, people: pd.DataFrame = PEOPLE, limits: dict[str, Any] | None = None, **options: Any
) -> Any:
    """The generator, its query, its candidates and the verdicts on them."""
    generator = Prompted(task, llm=llm, **options)
    query = make_query(task, people, "low", **(limits or {}))
    found = generator.propose(query, np.random.default_rng(0))
    return generator, query, found, verify(task, query, found)


def last(prompt: Prompt) -> str:
    return prompt[-1].content


# --- one round, as a bare prompt gives it -------------------------------------------------


def test_without_repair_each_person_is_asked_once_and_each_answer_is_a_candidate() -> None:
    llm = Scripted(lambda prompt, schema, sample: answer(steps=8000) if '"steps": 4000' in last(prompt) else "Walk!")
    generator, _, found, verdicts = propose(hand_task(), llm, rounds=0)
    assert len(llm.calls) == 1
    assert [len(call) for call in llm.calls] == [3]
    assert found.query.tolist() == [0, 1, 2]
    assert verdicts.good.tolist() == [True, False, False]
    assert found.reason.tolist() == ["", *['the answer is not JSON of the form {"NAME":NEW VALUE,...}'] * 2]
    assert np.isnan(found.rows[1:]).all()
    assert llm.settings[0]["temperature"] == 0
    assert generator.facts()["rounds"] == [
        {
            "round": 0, "people": 3, "answers": 3, "good": 1, "not valid": 0, "infeasible": 0, "refused": 2,
            "refused by": {"not JSON": 2},
        }
    ]  # fmt: skip


def test_the_row_judged_is_what_the_model_wrote() -> None:
    _, query, found, _ = propose(hand_task(), always(answer(steps=8900, deep=31.5)), rounds=0)
    expected = query.rows.copy()
    expected[:, 0], expected[:, 1] = 8900, 31.5
    np.testing.assert_array_equal(found.rows, expected)


def test_every_person_is_asked_under_their_own_json_schema() -> None:
    llm = always(answer(steps=8000))
    propose(hand_task(), llm, limits={"lock": ["deep"]}, rounds=0)
    lows = [schema["properties"]["steps"]["minimum"] for schema in llm.settings[0]["schemas"]]
    assert lows == [4100, 5100, 6100]  # what it is already is no change
    assert '"deep"' not in json.dumps(llm.settings[0]["schemas"])
    propose(hand_task(), llm, constrained=False, rounds=0)
    assert llm.settings[1]["schemas"] is None


def test_who_may_change_nothing_is_not_asked() -> None:
    llm = always(answer(steps=8000))
    _, _, found, _ = propose(hand_task(), llm, limits={"lock": ["steps", "deep", "sleep", "device"]})
    assert llm.calls == []
    assert found.reason.tolist() == ["nothing may change"] * 3


# --- verify, and ask again ----------------------------------------------------------------

FAILURES: list[tuple[str, str, str]] = [
    ("Take a walk.", "refused", "the answer is not JSON"),
    (answer(steps=45_000), "refused", '"steps": 45000 is outside 4000 to 9000'),
    (answer(age=30), "refused", '"age" must stay as it is'),
    (answer(steps=5000), "not valid", 'the probability of "low" is 0.2, and more than 0.5 is needed'),
    (answer(steps=7000), "not valid", 'the probability of "low" is 0.5, and more than 0.5 is needed'),  # a tie
    (answer(deep=102.5), "infeasible", 'this does not hold: "deep" <= "sleep"'),
]


def again(prompt: Prompt) -> bool:
    """Whether a question is not the first to the person."""
    return "Tried before" in last(prompt)


@pytest.mark.parametrize(("text", "verdict", "told"), FAILURES)
def test_what_failed_goes_back_in_words_and_the_next_answer_counts(text: str, verdict: str, told: str) -> None:
    llm = Scripted(lambda prompt, schema, sample: answer(steps=8000) if again(prompt) else text)
    person = pd.DataFrame([{**BASE, "deep": 45.0, "sleep": 100.0}])
    generator, _, found, verdicts = propose(hand_task(), llm, person, limits={"ranges": {"deep": (0, 200)}})
    assert len(llm.calls) == 2
    second = llm.calls[1][0]
    assert [turn.role for turn in second] == ["system", "user"]
    assert text not in last(second)  # a model would only write it again
    assert told in last(second)
    assert len(found) == 2
    assert verdicts.good.tolist() == [False, True]
    first, repaired = generator.facts()["rounds"]
    assert (first[verdict], repaired["good"]) == (1, 1)


def test_the_next_question_starts_from_the_best_row_so_far(numeric_task: Task) -> None:
    rows = numeric_task.train[numeric_task.judge(numeric_task.rows).predicted == 0]
    query = make_query(numeric_task, rows.head(1), "good", edit="mutable")
    found = Search(numeric_task).propose(query, np.random.default_rng(0))
    edits = np.flatnonzero(numeric_task.codec.changed(query.rows[0], found.rows[0])).tolist()
    prompts = Prompts(numeric_task)
    [asked] = prompts.ask(query)
    course = Course.of(prompts, asked)
    column = edits[0]
    step = {column: float(found.rows[0][column])}
    row = row_of(prompts, asked, step)
    proba = numeric_task.judge(row[None]).proba[0]
    lead = float(2 * proba[1] - 1)
    assert lead > 2 * asked.proba[1] - 1
    course.failed([Tried(step, row, "not enough", lead, 0, proba)])
    assert course.asked.made == step
    np.testing.assert_array_equal(course.asked.at, row)
    name = numeric_task.schema.names[column]
    text = prompts.person(course.asked)
    assert f'"{name}": {number(row[column])} (' in text
    assert f'"{name}" from {number(asked.row[column])} to {number(row[column])}' in text
    worse = {j: float(course.asked.choices[j].parts[0][0]) for j in list(course.asked.choices)[:1]}
    course.failed([Tried(worse, asked.row, "worse", lead - 0.1, 0, proba)])
    assert course.asked.made == step  # from there no more


@cases(25)
@given(worlds(), st.integers(0, 2**32 - 1), st.sampled_from([None, 8]))
def test_a_model_that_follows_its_schema_repeats_no_row(world: World, seed: int, calls: int | None) -> None:
    task = world.task("rare")
    rng = np.random.default_rng(seed)
    said: dict[str, str] = {}

    def say(prompt: Prompt, schema: dict[str, Any], sample: int) -> str:
        """What it said before, wherever the schema still allows it."""
        names = ",".join(schema["properties"])
        text = said.get(names, draw(schema, rng))
        if list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(text))):
            text = draw(schema, rng)
        said[names] = text
        return text

    generator = Prompted(task, llm=Scripted(say), rounds=6, calls=calls)
    query = make_query(task, world.people, world.schema.classes[-1])
    found = generator.propose(query, rng)
    for i in range(len(query)):
        rows = found.rows[(found.query == i) & (found.reason == "")]
        # Two different answers may settle to one row where a total or an order says the rest.
        assert len(np.unique(np.round(rows, 9), axis=0)) == len(rows) or world.schema.rules


def test_the_temperature_rises_with_the_round() -> None:
    llm = always("no")
    propose(hand_task(), llm, rounds=4)
    assert [settings["temperature"] for settings in llm.settings] == [0.0, 0.35, 0.7, 1.0, 1.0]


# --- a budget of calls ----------------------------------------------------------------------


def test_a_budget_of_calls_asks_for_features_first_and_then_for_different_answers() -> None:
    rng = np.random.default_rng(3)

    def say(prompt: Prompt, schema: dict[str, Any], sample: int) -> str:
        return answer(steps=1, device=1) if last(prompt).endswith(WHICH) else draw(schema, rng)

    llm = Scripted(say)
    generator, _, found, verdicts = propose(hand_task(), llm, calls=6)
    assert len(llm.calls) == 6
    assert [list(schema["properties"]) for schema in llm.settings[1]["schemas"]] == [["steps", "device"]] * 3
    assert all(set(schema["properties"]) <= {"steps", "device"} for schema in llm.settings[2]["schemas"])
    facts = generator.facts()
    assert facts["calls"] == 6
    assert facts["rounds"][0]["named"] == 3
    rows = {(i, row.tobytes()) for i, row in zip(found.query, found.rows, strict=True)}
    assert len(rows) == len(found)
    assert facts["unique_valid"] == verdicts.good.sum() > 3
    assert facts["unique_valid_per_call"] == pytest.approx(verdicts.good.sum() / 18, abs=1e-4)
    table = generator.answers(PEOPLE)
    assert len(table) == 18
    assert table["verdict"].tolist()[:3] == ["named"] * 3


def test_a_model_that_names_no_feature_is_asked_about_all() -> None:
    llm = Scripted(lambda prompt, schema, sample: "walk" if last(prompt).endswith(WHICH) else answer(steps=8000))
    generator, _, _, verdicts = propose(hand_task(), llm, calls=2)
    assert verdicts.good.all()
    assert set(llm.settings[1]["schemas"][0]["properties"]) == {"steps", "deep", "device"}
    assert generator.facts()["rounds"][0]["refused by"] == {"no feature": 3}


def test_only_people_without_a_good_answer_are_asked_again_and_no_more_often_than_allowed() -> None:
    llm = Scripted(lambda prompt, schema, sample: answer(steps=8000) if '"steps": 5000' in prompt[1].content else "no")
    generator, _, found, _ = propose(hand_task(), llm, rounds=3)
    assert [len(call) for call in llm.calls] == [3, 2, 2, 2]
    assert len(found) == 9
    rounds = generator.facts()["rounds"]
    assert [entry["answers"] for entry in rounds] == [3, 2, 2, 2]
    for entry in rounds:
        assert entry["answers"] == entry["good"] + entry["not valid"] + entry["infeasible"] + entry["refused"]


def test_best_of_n_keeps_every_sample_and_sends_the_best_failure_back() -> None:
    texts = ["nonsense", answer(steps=5000), answer(steps=7000)]
    llm = Scripted(lambda prompt, schema, sample: answer(deep=60) if again(prompt) else texts[sample])
    _, _, found, _ = propose(hand_task(), llm, PEOPLE.head(1), samples=3, rounds=1)
    assert len(found) == 6
    assert llm.settings[0] == {**llm.settings[0], "n": 3, "temperature": SAMPLING}
    assert '"steps": 7000' in last(llm.calls[1][0])  # nearest to the boundary


def test_a_model_that_fails_is_a_reason_and_is_not_corrected() -> None:
    llm = always("")
    llm.say = lambda prompt, schema, sample: Completion("", "HTTP 500 after 5 tries")
    generator, _, found, _ = propose(hand_task(), llm)
    assert len(llm.calls) == 1
    assert found.reason.tolist() == ["HTTP 500 after 5 tries"] * 3
    assert generator.facts()["rounds"][0]["refused by"] == {"no answer": 3}


def test_an_answer_that_was_cut_off_is_not_read_and_may_be_given_again() -> None:
    cut = Completion(answer(steps=8000), "cut off at the token limit")
    llm = Scripted(lambda prompt, schema, sample: answer(steps=8000) if again(prompt) else cut)
    _, _, found, verdicts = propose(hand_task(), llm, PEOPLE.head(1))
    assert found.reason.tolist() == ["cut off at the token limit", ""]
    assert verdicts.good.tolist() == [False, True]


# --- the record ---------------------------------------------------------------------------


def test_every_answer_is_kept_with_who_when_and_why() -> None:
    task = hand_task()
    llm = Scripted(lambda prompt, schema, sample: answer(steps=8000) if again(prompt) else answer(steps=7000))
    people = PEOPLE.set_axis(["ann", "bob", "cid"])
    generator, _, found, _ = propose(task, llm, people, rounds=2, samples=2)
    table = generator.answers(people)
    assert len(table) == len(found) == 12
    assert table["query"].tolist() == [name for name in ("ann", "bob", "cid") for _ in range(2)] * 2
    assert table["round"].tolist() == [0] * 6 + [1] * 6
    assert table["sample"].tolist() == [1, 2] * 6
    assert table["verdict"].tolist() == ["not valid"] * 6 + ["good"] * 6
    assert table["probability"].tolist() == [0.5] * 6 + [0.9] * 6
    assert table["tokens_in"].tolist() == [2] * 12
    facts = generator.facts()
    assert facts["tokens_in"] == table["tokens_in"].sum()
    assert facts["tokens_out"] == table["tokens_out"].sum() > 0
    assert facts["name"] == "scripted"
    assert facts["host"] == "this process"
    json.dumps(facts)


def test_before_anything_was_asked_the_record_is_empty() -> None:
    generator = Prompted(hand_task(), llm=always(""))
    assert generator.facts()["rounds"] == []
    assert generator.facts()["tokens_in"] == 0
    assert len(generator.answers(PEOPLE)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": -1}, "rounds must be at least 0"),
        ({"calls": 1}, "calls must be at least 2"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"shots": -1}, "shots must be at least 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Prompted(hand_task(), llm=always(""), **options)


def test_a_model_that_does_not_say_where_it_runs_is_refused() -> None:
    class Nowhere:
        name = "nowhere"

        def complete(self, *args: Any, **options: Any) -> Any: ...

    with pytest.raises(InputError, match="no attribute host"):
        Prompted(hand_task(), llm=Nowhere())


# --- whatever the model does, what is returned is right -------------------------------------


def _wild(seed: int) -> Callable[[Prompt, dict[str, Any], int], str]:
    """Random answers: some follow the schema, some are broken, some nonsense."""
    rng = np.random.default_rng(seed)

    def say(prompt: Prompt, schema: dict[str, Any], sample: int) -> str:
        text = draw(schema, rng)
        kind = rng.integers(6)
        if kind == 0:
            return text[: int(rng.integers(len(text)))]
        if kind == 1:
            return text.replace('":', 's":')
        if kind == 2:
            return "".join(map(chr, rng.integers(32, 1000, 40)))
        return text

    return say


@cases(25)
@given(worlds(), st.sampled_from(["linear", "steps", "threshold", "rare"]), st.data())
def test_what_any_model_brings_is_valid_and_breaks_nothing(world: World, kind: str, data: st.DataObject) -> None:
    """Verified by a checker that shares no code with the verifier."""
    task = world.task(kind)
    target = world.schema.classes[-1]
    asked = data.draw(limits(world.schema))
    llm = Scripted(_wild(data.draw(st.integers(0, 2**32 - 1))))
    generator = Prompted(task, llm=llm, rounds=1, samples=3)
    cfs = explain(task, generator, world.people, target, n=2, **asked)
    answers = cfs.answers
    for _, row in answers.iterrows():
        assert (
            problems(world.schema, world.people.loc[row["query"]].to_dict(), row.to_dict(), seen=world.train, **asked)
            == []
        )
    if len(answers):
        assert set(task.classifier.predict(answers[world.schema.names])) == {target}
    assert set(cfs.frame["query"]) == set(world.people.index)
    counted = cfs.attempts["count"].sum()
    facts = generator.facts()["rounds"]
    # Candidates are the answers, and one refusal for each person who may change nothing.
    refused = cfs.attempts.loc[cfs.attempts["verdict"] == "refused", "count"].sum()
    mute = refused - sum(entry["refused"] for entry in facts)
    assert 0 <= mute <= len(world.people)
    assert counted == sum(entry["answers"] for entry in facts) + mute


def test_a_random_model_under_constrained_decoding_never_fails_to_parse(mixed_task: Task, tmp_path: Path) -> None:
    """A small Llama with random weights, run for real: what it writes is an answer, if a poor one."""
    pytest.importorskip("transformers")
    pytest.importorskip("llguidance")
    from sensecf.llm.named import connect

    tiny_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 8192}))
    people = mixed_task.train.head(10).reset_index(drop=True)
    llm = connect(str(tmp_path))
    generator = Prompted(mixed_task, llm=llm, rounds=1, samples=2, max_tokens=300)
    cfs = explain(mixed_task, generator, people, "low")
    table = generator.answers(people)
    assert len(table) >= 10
    assert set(table["problem"]) <= {"", "off the step"}
    assert (table["tokens_out"] > 0).all()
    assert cfs.answers["valid"].all()
    assert cfs.answers["feasible"].all()


def test_a_model_as_good_as_the_search_answers_everybody(mixed_task: Task) -> None:
    rows = mixed_task.train.head(60)
    asked = rows[mixed_task.judge(mixed_task.codec.encode(rows)).predicted == 0].reset_index(drop=True)
    query: Query = make_query(mixed_task, asked, "low")
    llm = like_the_search(Prompted(mixed_task, llm=always(""), shots=2), query)
    generator = Prompted(mixed_task, llm=llm, shots=2, rounds=0)
    cfs = explain(mixed_task, generator, asked, "low")
    assert len(cfs.answers) == len(asked) > 10
    assert (cfs.answers["generator"] == "prompted").all()
    assert cfs.answers["valid"].all()
    again = explain(mixed_task, Prompted(mixed_task, llm=llm, shots=2, rounds=0), asked, "low")
    pd.testing.assert_frame_equal(again.frame.drop(columns="seconds"), cfs.frame.drop(columns="seconds"))


def test_a_model_repaired_is_right_more_often_than_one_that_is_not(mixed_task: Task) -> None:
    rows = mixed_task.train.head(60)
    asked = rows[mixed_task.judge(mixed_task.codec.encode(rows)).predicted == 0].reset_index(drop=True)
    shares = []
    for rounds in (0, 3):
        generator = Prompted(mixed_task, llm=Scripted(_wild(5)), rounds=rounds)
        cfs = explain(mixed_task, generator, asked, "low")
        assert cfs.answers["valid"].all()
        assert cfs.answers["feasible"].all()
        shares.append(len(cfs.answers) / len(asked))
    assert shares[1] > shares[0]
