"""The generator `tuned`: what it asks, of whom, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import boundary
from fake_llm import Scripted, always, draw
from llm_servers import loopback_only, tiny_model
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.schema import FeatureSchema
from sensecf.core.task import Task
from sensecf.core.verify import verify
from sensecf.generators import Context, build
from sensecf.generators.search import Search
from sensecf.generators.tuned import Tuned, table_shape
from sensecf.llm.ask import ALONE, ask_alone
from sensecf.llm.language.brief import BRIEF_VERSION, Brief
from sensecf.llm.language.replies import json_schema

__all__ = ["loopback_only"]


@pytest.fixture
def folder(tmp_path: Path, numeric_task: Task) -> Path:
    """The folder of a tuned model, without the model."""
    wording = f"brief {BRIEF_VERSION}"
    record = {
        "base": "base",
        "full": False,
        "wording": wording,
        "schema": table_shape(numeric_task.schema),
        "pairs": {"order": numeric_task.schema.names},
    }
    (tmp_path / "tuned.json").write_text(json.dumps(record))
    return tmp_path


def changed(folder: Path, **fields: Any) -> None:
    record = json.loads((folder / "tuned.json").read_text())
    (folder / "tuned.json").write_text(json.dumps({**record, **fields}))


def predicted_bad(task: Task, count: int) -> pd.DataFrame:
    """Training rows that the classifier calls bad."""
    return task.train[task.judge(task.rows, final=True).predicted == task.target_position("bad")].head(count)


def taught(task: Task, query: Any) -> Scripted:
    """A model that answers each short prompt with what the search found."""
    prompts = Brief(task)
    found = Search(task).propose(query, np.random.default_rng(0))
    asked = prompts.ask(query)
    told = {
        prompts.render(asked[i]): prompts.completion(asked[i], found.rows[np.flatnonzero(found.query == i)[0]])
        for i in range(len(query))
    }
    return Scripted(lambda prompt, schema, sample: told[prompt])


def test_it_answers_in_the_words_it_was_tuned_on(numeric_task: Task, folder: Path) -> None:
    query = make_query(numeric_task, predicted_bad(numeric_task, 12), "good")
    llm = taught(numeric_task, query)
    generator = Tuned(numeric_task, model=folder, llm=llm, samples=3)
    found = generator.propose(query, np.random.default_rng(0))
    assert verify(numeric_task, query, found).good.all()
    assert len(found) == 3 * len(query)
    assert set(found.generator) == {"tuned"}
    assert [settings["temperature"] for settings in llm.settings] == [0.0, 0.7]
    assert [settings["n"] for settings in llm.settings] == [1, 2]
    assert all(settings["schemas"] for settings in llm.settings)


def test_whom_nobody_checks_it_asks_for_a_lead_and_verdicts_are_those_of_the_question(
    numeric_task: Task, folder: Path
) -> None:
    query = make_query(numeric_task, predicted_bad(numeric_task, 12), "good")
    llm = taught(numeric_task, replace(query, margin=np.full(len(query), ALONE)))
    generator = Tuned(numeric_task, model=folder, llm=llm)
    found = generator.greedy(query)
    assert all(f" by {ALONE}" in prompt[-1].content for prompt in llm.calls[0])
    assert [settings["temperature"] for settings in llm.settings] == [0.0]
    answers = ask_alone(generator.prompts, llm, query)
    np.testing.assert_array_equal(answers.candidates.rows, found.rows)
    assert (answers.verdicts.lead >= ALONE).all()
    # A short lead is enough for the one who asked for none, and not for the one who asked for more.
    strict = replace(query, margin=np.full(len(query), 0.99))
    llm = taught(numeric_task, strict)
    leads = ask_alone(generator.prompts, llm, strict).verdicts
    assert (leads.valid == (leads.lead >= 0.99)).all()


def test_questions_go_out_by_length_and_answers_come_back_in_order(mixed_task: Task, folder: Path) -> None:
    changed(folder, schema=table_shape(mixed_task.schema), pairs={"order": mixed_task.schema.names})
    rng = np.random.default_rng(0)
    llm = Scripted(lambda prompt, schema, sample: draw(schema, rng))
    query = make_query(mixed_task, mixed_task.train.head(20), "low")
    found = Tuned(mixed_task, model=folder, llm=llm, samples=1).propose(query, rng)
    lengths = [sum(len(turn.content) for turn in prompt) for prompt in llm.calls[0]]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 1
    assert found.query.tolist() == list(range(20))
    for owner, row, reason in zip(found.query, found.rows, found.reason, strict=True):
        if not reason:
            fixed = ~(query.movable | query.follows)[owner]
            np.testing.assert_array_equal(row[fixed], query.rows[owner][fixed])


def test_what_is_no_answer_is_kept_with_its_reason(numeric_task: Task, folder: Path) -> None:
    query = make_query(numeric_task, numeric_task.train.head(3), "good")
    found = Tuned(numeric_task, model=folder, llm=always("no idea"), samples=2).propose(query, np.random.default_rng(0))
    assert len(found) == 6
    assert all("JSON" in reason for reason in found.reason)
    assert np.isnan(found.rows).all()


def test_who_may_change_nothing_is_not_asked(numeric_task: Task, folder: Path) -> None:
    llm = always("{}")
    query = make_query(numeric_task, numeric_task.train.head(2), "good", lock=["x0", "x1", "x2", "x3"])
    found = Tuned(numeric_task, model=folder, llm=llm, samples=1).propose(query, np.random.default_rng(0))
    assert llm.calls == [[]]
    assert set(found.reason) == {"nothing may change"}


def test_explain_verifies_polishes_and_falls_back(numeric_task: Task, folder: Path) -> None:
    bad = predicted_bad(numeric_task, 8)
    generator = Tuned(numeric_task, model=folder, llm=always("no idea"), samples=2)
    answers = boundary.explain(numeric_task, generator, bad, "good", fallback=Search(numeric_task))
    assert answers.answers["valid"].all()
    assert set(answers.answers["generator"]) == {"search"}


def test_a_folder_without_a_tuned_model_is_refused(numeric_task: Task, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no tuned model \(tuned.json is absent\)"):
        Tuned(numeric_task, model=tmp_path)
    for text, words in (
        ("{", "is not valid JSON"),
        ("[]", "is not the record"),
        ('{"base": "x"}', "is not the record"),
    ):
        (tmp_path / "tuned.json").write_text(text)
        with pytest.raises(InputError, match=words):
            Tuned(numeric_task, model=tmp_path)


def test_a_model_of_another_table_or_wording_is_refused(numeric_task: Task, mixed_task: Task, folder: Path) -> None:
    with pytest.raises(InputError, match="on another table"):
        Tuned(mixed_task, model=folder, llm=always(""))
    schema = numeric_task.schema
    wider = FeatureSchema((replace(schema["x0"], high=9), *schema.features[1:]), "y", ("bad", "good"), "good")
    assert table_shape(wider) == table_shape(schema)  # a range may be edited afterwards
    changed(folder, wording="brief 0")
    with pytest.raises(InputError, match=r"wording 'brief 0', this is 'brief 3'"):
        Tuned(numeric_task, model=folder, llm=always(""))
    changed(folder, wording="brief 3", pairs={"order": ["x0"]})
    with pytest.raises(InputError, match="names no order of the features"):
        Tuned(numeric_task, model=folder, llm=always(""))


def test_the_order_of_answers_is_the_one_it_was_tuned_on(numeric_task: Task, folder: Path) -> None:
    names = list(reversed(numeric_task.schema.names))
    changed(folder, pairs={"order": names})
    generator = Tuned(numeric_task, model=folder, llm=always(""))
    query = make_query(numeric_task, numeric_task.train.head(1), "good")
    offered = list(json_schema(generator.prompts, generator.prompts.ask(query)[0])["properties"])
    assert offered == [name for name in names if name in offered]


def test_a_number_of_samples_below_one_is_refused(numeric_task: Task, folder: Path) -> None:
    with pytest.raises(InputError, match="samples must be at least 1"):
        Tuned(numeric_task, model=folder, samples=0)


def test_merged_weights_are_asked_in_this_process(numeric_task: Task, folder: Path) -> None:
    pytest.importorskip("trl", reason="needs trl")
    pytest.importorskip("llguidance", reason="needs llguidance")
    tiny_model(folder / "merged", "llama", None)
    query = make_query(numeric_task, numeric_task.train.head(3), "good")
    generator = Tuned(numeric_task, model=folder, samples=4, device="cpu", batch_size=8)
    one, two = (generator.propose(query, np.random.default_rng(seed)) for seed in (0, 1))
    assert len(one) == 4 * len(query)
    assert not any("JSON" in reason for reason in one.reason)  # its schema was enforced, whatever it says
    np.testing.assert_array_equal(one.rows, two.rows)
    assert one.reason.tolist() == two.reason.tolist()


def test_it_is_built_by_class_with_the_settings_it_names(numeric_task: Task, folder: Path) -> None:
    made = build(
        "sensecf.generators.tuned:Tuned",
        numeric_task,
        Context(5, model=folder, options={"llm": always(""), "samples": 2}),
    )
    assert made.name == "tuned"
