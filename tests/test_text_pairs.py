"""Pairs in words: verified, balanced, from training rows only; and the short wording."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf.classifiers.fit import fit_classifier
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema
from sensecf.data.prepare import prepare
from sensecf.finetune.text_pairs import Pairs, draw, from_table, row_hashes
from sensecf.generators import Nearest
from sensecf.llm.language.brief import Brief
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.language.replies import read
from strategies import cases


@pytest.fixture(scope="module")
def pairs(mixed_task: Task) -> Pairs:
    return draw(Brief(mixed_task), 120, seed=3)


def same(a: Pairs, b: Pairs) -> bool:
    return a.prompts == b.prompts and a.completions == b.completions and a.card == b.card


# --- what pairs are -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Prompts, Brief])
def test_every_completion_reads_back_to_a_verified_counterfactual(mixed_task: Task, kind: type[Prompts]) -> None:
    prompts = kind(mixed_task)
    found = draw(prompts, 60)
    asked = prompts.ask(found.query)
    for one, row, completion in zip(asked, found.rows, found.completions, strict=True):
        back, problems = read(prompts, one, completion)
        assert not problems
        assert back is not None
        assert np.array_equal(mixed_task.codec.changed(one.row, back), mixed_task.codec.changed(one.row, row))
        np.testing.assert_allclose(back, row)
    candidates = Candidates.of(np.arange(len(found)), found.rows, "pairs")
    assert verify(mixed_task, found.query, candidates).good.all()
    assert [prompts.render(one) for one in asked] == found.prompts


def test_answers_lead_by_more_than_is_asked_for(mixed_task: Task, pairs: Pairs) -> None:
    candidates = Candidates.of(np.arange(len(pairs)), pairs.rows, "pairs")
    lead = verify(mixed_task, pairs.query, candidates).lead
    assert (lead >= pairs.query.margin + pairs.card["slack"] - 1e-9).all()


def test_no_question_stands_twice(pairs: Pairs) -> None:
    assert len(set(pairs.prompts)) == len(pairs)


def test_targets_locks_and_numbers_of_changes_are_balanced(numeric_task: Task) -> None:
    found = draw(Brief(numeric_task), 200)
    targets = found.card["balance"]["target"]
    assert set(targets) == {"bad", "good"}
    assert max(targets.values()) < 1.5 * min(targets.values())
    assert 0.3 * len(found) < found.card["balance"]["locked"] < 0.7 * len(found)
    assert len(found.card["balance"]["changes"]) > 1


def test_hard_rows_are_drawn_oftener(numeric_task: Task) -> None:
    from sensecf.finetune.text_pairs import _balanced

    rng = np.random.default_rng(0)
    query = make_query(numeric_task, pd.DataFrame(np.zeros((400, 4)), columns=numeric_task.schema.names), "good")
    rows = np.tile([1.0, 0, 0, 0], (400, 1))
    price = np.linspace(1, 9, 400)
    chosen = _balanced(numeric_task, query, rows, price, 100, rng)
    assert len(chosen) == 100
    assert (chosen >= 200).mean() > 0.6


def test_validation_holds_other_factuals(pairs: Pairs) -> None:
    learned, validation = pairs.split(0.3)
    assert len(learned) + len(validation) == len(pairs)
    assert len(validation) > 10
    assert not set(row_hashes(learned.query.rows)) & set(row_hashes(validation.query.rows))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 1.0])
def test_two_days_are_enough_to_learn_from_one_and_validate_on_the_other(pairs: Pairs, share: float) -> None:
    _, first = np.unique(row_hashes(pairs.query.rows), return_index=True)
    for few in (first[:2], first[2:4], first[4:6]):
        assert [len(side) for side in pairs.take(few).split(share)] == [1, 1]
    assert sorted(len(side) for side in pairs.take(first[:1]).split(share)) == [0, 1]


def test_a_firmer_wish_is_for_a_lead_that_the_answer_has(mixed_task: Task, pairs: Pairs) -> None:
    prompts, at = Brief(mixed_task), np.arange(len(pairs))
    firm = pairs.firmer(prompts, np.where(at % 2, 0.3, 0.0))
    query = firm.query
    assert verify(mixed_task, query, Candidates.of(at, firm.rows, "pairs")).good.all()
    raised = query.margin > pairs.query.margin
    assert raised.any()
    assert not raised[::2].any()
    assert (query.margin[raised] == 0.3).all()
    assert [" by 0.3" in prompt[-1].content for prompt in firm.prompts] == raised.tolist()
    assert firm.completions == pairs.completions
    enough = replace(pairs.query, margin=np.full(len(pairs), 0.3))
    leading = verify(mixed_task, enough, Candidates.of(at, pairs.rows, "pairs")).good
    assert (raised == leading & (at % 2 == 1) & (pairs.query.margin < 0.3)).all()


def test_the_same_seed_gives_the_same_pairs_and_another_other_ones(mixed_task: Task, pairs: Pairs) -> None:
    assert same(draw(Brief(mixed_task), 120, seed=3), pairs)
    assert not same(draw(Brief(mixed_task), 120, seed=4), pairs)


def test_pairs_are_written_as_chat_trainers_read_them(tmp_path: Path, pairs: Pairs) -> None:
    pairs.save(tmp_path)
    lines = (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(pairs)
    first = json.loads(lines[0])
    assert [turn["role"] for turn in first["prompt"]] == ["system", "user"]
    assert first["completion"] == [{"role": "assistant", "content": pairs.completions[0]}]
    assert json.loads((tmp_path / "pairs.json").read_text(encoding="utf-8")) == pairs.card


# --- what they see ------------------------------------------------------------------------


def test_the_card_lists_exactly_the_training_rows(mixed_task: Task, pairs: Pairs) -> None:
    assert pairs.card["rows_seen"] == row_hashes(mixed_task.rows)


def poisoned_pairs(poison: bool) -> tuple[Pairs, Task, pd.DataFrame]:
    """Pairs of a table whose held-out and unlabelled rows are replaced by nonsense, or not."""
    schema = simulated_schema()
    frame = simulate_cohort(30, 6, seed=5)
    frame["stress"] = frame["stress"].astype(object)
    removed = frame.index[::9]
    frame.loc[removed, "stress"] = None
    _, _, held_out = prepare(frame, schema, None, 0)
    if poison:
        for at, values in ((held_out.index, (30000, 231, 340)), (removed, (200, 0, 70))):
            frame.loc[at, ["steps", "sleep_deep_min", "glucose_mean_mgdl"]] = values
        # Each person keeps as many days of each class: the split looks at these numbers, and at nothing else.
        for _, days in held_out.groupby("participant_id"):
            frame.loc[days.index, "stress"] = frame.loc[days.index, "stress"].tolist()[::-1]
    _, train, held_out = prepare(frame, schema, None, 0)
    task = Task(schema, train, fit_classifier("logistic", schema, train))
    return draw(Brief(task), 40), task, held_out


def test_held_out_rows_and_rows_without_a_label_change_nothing() -> None:
    clean, _, _ = poisoned_pairs(False)
    dirty, task, held_out = poisoned_pairs(True)
    assert same(clean, dirty)
    outside = set(row_hashes(task.codec.encode(held_out)))
    assert outside
    assert not outside & set(dirty.card["rows_seen"])
    assert not outside & set(row_hashes(dirty.query.rows))


# --- other teachers -----------------------------------------------------------------------


def test_any_generator_can_teach_and_only_its_good_answers_count(numeric_task: Task) -> None:
    found = draw(Brief(numeric_task), 40, generator=Nearest(numeric_task))
    assert found.card["source"] == "nearest"
    assert verify(numeric_task, found.query, Candidates.of(np.arange(len(found)), found.rows, "")).good.all()


def as_tables(task: Task, found: Pairs) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = np.arange(len(found))
    answers = task.codec.decode(found.rows).assign(query=names, target=[task.classes[k] for k in found.query.target])
    return answers, task.codec.decode(found.query.rows).assign(query=names)


def test_pairs_can_come_from_the_tables_of_a_run_and_only_training_rows_count(numeric_task: Task) -> None:
    everybody = draw(Brief(numeric_task), 80)
    answers, factuals = as_tables(numeric_task, everybody)
    known = np.isin(row_hashes(everybody.query.rows), row_hashes(numeric_task.rows))
    assert 0 < known.sum() < len(known)
    found = from_table(Brief(numeric_task), answers, factuals, 200)
    assert found.card["not of a training row"] == (~known).sum()
    assert set(row_hashes(found.query.rows)) <= set(row_hashes(numeric_task.rows))


def test_tables_without_a_training_row_are_refused(numeric_task: Task) -> None:
    answers, factuals = as_tables(numeric_task, draw(Brief(numeric_task), 20))
    factuals["x3"] = 4.9
    with pytest.raises(InputError, match="of a training row"):
        from_table(Brief(numeric_task), answers, factuals, 20)


def test_a_table_without_a_column_is_refused_by_name(numeric_task: Task) -> None:
    answers, factuals = as_tables(numeric_task, draw(Brief(numeric_task), 20))
    with pytest.raises(InputError, match="'target'"):
        from_table(Brief(numeric_task), answers.drop(columns="target"), factuals, 20)


def test_a_classifier_that_nothing_changes_gives_no_pairs(numeric_task: Task) -> None:
    class Stubborn:
        classes_ = np.array(["bad", "good"])

        def predict(self, frame: pd.DataFrame) -> np.ndarray:
            return np.full(len(frame), "bad")

        def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
            return np.tile([0.9, 0.1], (len(frame), 1))

    with pytest.raises(InputError, match="no query drawn from the training rows could be answered"):
        draw(Brief(Task(numeric_task.schema, numeric_task.train, Stubborn())), 10)


# --- the short wording --------------------------------------------------------------------


def person(task: Task, query: object) -> list[str]:
    prompts = Brief(task)
    return prompts.render(prompts.ask(query)[0])[1].content.splitlines()  # type: ignore[arg-type]


def test_a_short_prompt_names_every_feature_once_and_what_departs_from_the_schema(mixed_task: Task) -> None:
    row = mixed_task.train[mixed_task.train["steps"].isna()].head(1)
    query = make_query(mixed_task, row, "low", lock=["coffee"], ranges={"deep": (50, 120)}, max_changes=2, margin=0.2)
    lines = person(mixed_task, query)
    assert [line.split()[0] for line in lines[:-1]] == [f'"{name}"' for name in mixed_task.schema.names]
    text = dict(line.split(" ", 1) for line in lines[:-1])
    assert text['"steps"'] == "missing"
    assert text['"coffee"'].endswith(" stays")
    assert text['"deep"'].endswith(" 50 to 120")
    assert not text['"age"'].endswith("stays")  # it always does, and that is learned
    assert lines[-1].endswith(' at most 2 by 0.2 to "low"')


@given(st.sets(st.sampled_from(["deep", "rem", "light", "coffee", "device", "pill", "pulse_min"])), st.integers(0, 299))
@cases(40)
def test_exactly_the_locked_features_stay(mixed_task: Task, locked: set[str], position: int) -> None:
    query = make_query(mixed_task, mixed_task.train.iloc[[position]], "low", lock=sorted(locked), edit="mutable")
    lines = person(mixed_task, query)
    assert {line.split('"')[1] for line in lines[:-1] if line.endswith(" stays")} == locked


def test_a_short_prompt_is_a_fraction_of_the_full_one(mixed_task: Task) -> None:
    query = make_query(mixed_task, mixed_task.train.head(1), "low")
    short, full = (
        sum(len(turn.content) for turn in kind(mixed_task).render(kind(mixed_task).ask(query)[0]))
        for kind in (Brief, Prompts)
    )
    assert short < full / 5


def test_a_short_prompt_takes_no_examples(mixed_task: Task) -> None:
    prompts = Brief(mixed_task)
    asked = prompts.ask(make_query(mixed_task, mixed_task.train.head(1), "low"))[0]
    with pytest.raises(InputError, match="no examples"):
        prompts.render(asked, [(asked, asked.row)])


def test_withheld_features_are_neither_shown_nor_changed(mixed_task: Task) -> None:
    found = draw(Brief(mixed_task, withheld=["coffee"]), 40)
    assert found.card["withheld"] == ["coffee"]
    assert not any("coffee" in turn.content for prompt in found.prompts for turn in prompt)
    column = mixed_task.schema.columns["coffee"]
    assert not mixed_task.codec.changed(found.query.rows, found.rows)[:, column].any()
