"""What a language model answered itself is said before what search and fallback added, on every surface."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sensecf
from boundary import BOUNDARY
from fake_llm import Scripted, answer
from handmade import BASE, hand_task, random_task
from llm_servers import after, loopback_only, scripted
from sensecf.cli.summary import show
from sensecf.core.limits import make_query
from sensecf.core.task import Task
from sensecf.generators.own import Own
from sensecf.generators.prompted.prompted import Prompted
from sensecf.llm.ask import firmer
from sensecf.llm.language.offered import Offered
from sensecf.llm.language.offers import enough
from sensecf.llm.language.prompting import Prompting
from sensecf.llm.language.prompts import Style
from sensecf.llm.language.replies import row_of
from sensecf.metrics.model import own_rows, own_sentence
from sensecf.runs.finished import shares_of

__all__ = ["loopback_only"]

pytest.importorskip("openai")


def test_people_are_counted_by_their_first_and_by_any_answer() -> None:
    own = Own()
    for person, said, good in ((b"a", "x", False), (b"b", None, False), (b"c", "x", True), (b"a", "y", True)):
        own.note(person, said, good)
    assert own.counts() == {"people": 3, "readable": 2, "valid_first": 1, "valid": 2, "distinct": 1}


def test_the_prompted_generator_counts_what_its_model_does() -> None:
    people = pd.DataFrame([BASE, {**BASE, "steps": 5000}, {**BASE, "steps": 6000, "device": "ring"}])

    def say(prompt: object, schema: object, sample: int) -> str:
        text = prompt[-1].content  # type: ignore[index]
        if '"steps": 5000' in text:
            return "Walk!"
        return answer(steps=8000) if "Tried before" in text or '"device": "ring"' in text else answer(steps=7000)

    generator = Prompted(hand_task(), llm=Scripted(say), rounds=1)
    generator.propose(make_query(hand_task(), people, "low"), np.random.default_rng(0))
    assert generator.own() == {"people": 3, "readable": 2, "valid_first": 1, "valid": 2, "distinct": 2}


def test_shares_have_intervals_and_a_sentence() -> None:
    rows = own_rows({"people": 20, "readable": 20, "valid_first": 3, "valid": 5, "distinct": 18})
    assert rows.loc["model_valid_first", "value"] == 0.15
    assert 0.04 < rows.loc["model_valid_first", "low"] < 0.06
    assert own_sentence(rows, "smollm2") == (
        "smollm2 itself, asked about 20: 20 readable at the first answer, 3 valid at the first, "
        "5 valid after all answers, 18 different ones among the first"
    )
    assert own_sentence(rows.iloc[:0], "smollm2") == ""


def test_beside_a_model_that_is_told_offers_stands_what_they_do_without_it(mixed_task: Task) -> None:
    people = mixed_task.train[mixed_task.judge(mixed_task.rows).predicted != 1].head(12).reset_index(drop=True)
    query = make_query(mixed_task, people, mixed_task.classes[1], edit="mutable")
    generator = Prompted(mixed_task, llm=Scripted(lambda *_: "I cannot."), rounds=0, style=Style(offers=True))
    generator.propose(query, np.random.default_rng(0))
    own = generator.own()
    words = Offered(mixed_task)
    asked = words.ask(firmer(query))
    rows = [row_of(words, one, enough(one, one.offers)) for one in asked]
    alone = (mixed_task.judge(np.array(rows)).predicted == 1).sum()
    assert own["valid"] == 0
    assert own["added_up"] == alone > 6
    told = own_sentence(own_rows(own), "smollm2")
    assert told.endswith(f"; what it is offered, added up without it, is valid for {alone}")
    assert "added_up" not in Prompted(mixed_task, llm=Scripted(lambda *_: "")).own()


@pytest.mark.parametrize("text", [answer(x0=2.0, x1=2.0), "I cannot."])
def test_a_run_leads_with_the_models_own_answers(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = random_task()
    people = task.train[task.train["x0"] + task.train["x1"] < -1.5].head(6)
    with scripted(after(0.0, text)) as server:
        request = sensecf.RunSpec(
            classifier="logistic", generator="prompted", target="good", prompting=Prompting(f"{server.url}#m"),
            limits=BOUNDARY,
        )  # fmt: skip
        answers, summary, facts = sensecf.run(task.train, task.schema, tmp_path / "out", request, queries=people)
    count = 6 if text != "I cannot." else 0
    assert facts["own"]["valid_first"] == count
    told = f"prompted itself, asked about 6: {count} readable at the first answer, {count} valid at the first"
    assert told in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["model_valid"]["value"] == count / 6
    assert told in shares_of(tmp_path / "out", facts)  # what the page shows
    status = show(answers, summary, facts, tmp_path / "out")
    assert status == (0 if count else 3)
    assert told in " ".join(capsys.readouterr().out.split())
