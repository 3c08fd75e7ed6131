"""GRPO on a model of a few thousand weights: what is drawn, what is learned from it, and after an interrupt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_servers import loopback_only, tiny_model
from sensecf.core.errors import InputError
from sensecf.core.task import Task
from sensecf.finetune.text_pairs import Pairs, draw
from sensecf.llm.language.brief import Brief

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("trl", reason="needs trl")
pytest.importorskip("peft", reason="needs peft")

import sensecf.finetune.grpo
from sensecf.finetune.grpo import reinforce, rewards, sizes
from sensecf.finetune.preference import BAD
from sensecf.finetune.supervised import Training
from sensecf.finetune.tune import finetune
from sensecf.llm.ask import ask
from sensecf.llm.client import Client
from sensecf.llm.tokens import collate, encode, load
from tuning import GRPO, SMALL, TUNING, Kill, facts_of, furthest, weights

__all__ = ["loopback_only"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", "llama", None)


@pytest.fixture(scope="module")
def pairs(numeric_task: Task) -> Pairs:
    return draw(Brief(numeric_task), SMALL.pairs)


@pytest.fixture(scope="module")
def tuned_by_grpo(base: Path, numeric_task: Task, pairs: Pairs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("grpo") / "model"
    finetune(numeric_task, base, out, GRPO, pairs=pairs, device="cpu")
    return out


def test_an_interrupted_round_of_grpo_begins_anew_with_the_same_draws(
    base: Path, numeric_task: Task, pairs: Pairs, tuned_by_grpo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        finetune(numeric_task, base, out, GRPO, pairs=pairs, device="cpu", callbacks=[Kill(2, "grpo")])
    assert (out / "unfinished" / "lora" / "stage.json").exists()
    finetune(numeric_task, base, out, GRPO, pairs=pairs, device="cpu")
    assert furthest(weights(out), weights(tuned_by_grpo)) < 1e-6
    once, again = (facts_of(folder)["stages"]["grpo 1"] for folder in (tuned_by_grpo, out))
    for name in ("queries", "steps", "valid samples", "price of samples"):
        assert once[name] == again[name]


def test_grpo_teaches_the_model_on_and_says_what_it_drew(tuned_by_grpo: Path) -> None:
    assert furthest(weights(tuned_by_grpo / "stages" / "lora"), weights(tuned_by_grpo)) > 1e-5
    facts = facts_of(tuned_by_grpo)
    assert list(facts["metrics"]) == ["pretrained", "lora", "grpo 1"]
    assert facts["stages"]["grpo 1"]["queries"] == SMALL.preference_queries
    assert facts["stages"]["grpo 1"]["steps"] == 3  # two questions of three answers each
    assert 0 < facts["stages"]["grpo 1"]["price of samples"] <= BAD
    history = json.loads((tuned_by_grpo / "history.json").read_text(encoding="utf-8"))
    assert {entry["phase"] for entry in history} == {"tuning", "grpo"}


def test_what_is_cheap_within_its_group_becomes_likelier(
    base: Path, tuned_by_grpo: Path, numeric_task: Task, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, learner = Brief(numeric_task), load(base, adapter=tuned_by_grpo, device="cpu")
    asked: list[tuple[int, int, float, bool]] = []

    def spied(prompts: Any, llm: Any, query: Any, samples: int, *, temperature: float, seed: int) -> Any:
        asked.append((len(query), seed, temperature, learner.network.training))
        return ask(prompts, llm, query, samples, temperature=temperature, seed=seed)

    def by_length(prompts: Any, query: Any, answers: Any, plausibility: float) -> Any:
        return np.array([float(len(text)) for text in answers.texts]).reshape(len(query), -1)

    monkeypatch.setattr(sensecf.finetune.grpo, "ask", spied)
    monkeypatch.setattr(sensecf.finetune.grpo, "prices", by_length)
    preset = replace(SMALL, batch=8, samples=4, preference_rate=1e-2)

    def length() -> float:
        learner.network.eval()
        drawn = ask(prompts, Client(learner.local), pairs.query, 4, temperature=1.0, seed=99).texts
        return float(np.mean([len(text) for text in drawn]))

    before = length()
    reinforce(prompts, learner, pairs, tmp_path / "grpo", Training(preset, 5))
    assert length() < before - 5
    assert [seed for _, seed, _, _ in asked] == list(range(5, 5 + len(pairs) // 2))
    assert {one[:1] + one[2:] for one in asked} == {(2, 1.0, False)}
    assert (tmp_path / "grpo" / "adapter" / "adapter_model.safetensors").is_file()


def test_where_all_answers_cost_the_same_the_teacher_is_learned_from(
    base: Path, tuned_by_grpo: Path, numeric_task: Task, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alike(prompts: Any, query: Any, answers: Any, plausibility: float) -> Any:
        return np.full((len(query), len(answers.texts) // len(query)), BAD)

    monkeypatch.setattr(sensecf.finetune.grpo, "prices", alike)
    learner = load(base, adapter=tuned_by_grpo, device="cpu")
    examples = encode(learner, pairs.prompts, pairs.completions)

    def loss() -> float:
        learner.network.eval()
        batch = collate(examples, learner.tokenizer.pad_token_id)
        found = learner.network(**{name: batch[name] for name in ("input_ids", "attention_mask", "labels")})
        return float(found.loss.detach())

    before = loss()
    reinforce(Brief(numeric_task), learner, pairs, tmp_path / "grpo", Training(SMALL))
    assert loss() < before - 0.01


def test_a_reward_is_how_much_cheaper_an_answer_is_than_its_group() -> None:
    price = np.array([[BAD, BAD, BAD, BAD], [4.0, 4.0, 4.0, BAD], [4.0, 4.1, 4.0, 4.1]])
    found = rewards(price)
    np.testing.assert_allclose(found.mean(axis=1), 0.0, atol=1e-12)
    assert (found[0] == 0).all()  # a question whose answers all cost the same teaches nothing
    assert found[1, 3] < -1.5 < 0.5 < found[1, 0]
    assert np.abs(found[2]).max() < 0.15  # a small difference stays one


@pytest.mark.parametrize("batch", [1, 2, 5, 8, 32])
@pytest.mark.parametrize("samples", [2, 3, 8])
def test_a_step_of_grpo_has_whole_groups_and_no_more_rows_at_once_than_fit(batch: int, samples: int) -> None:
    questions, rows = sizes(replace(SMALL, batch=batch, preference_batch=7, samples=samples), 10)
    assert questions == 7
    assert questions * (samples + 1) % rows == 0
    assert 1 <= rows <= batch
    assert sizes(replace(SMALL, preference_batch=7), 3)[0] == 3


def test_a_reward_wants_answers_to_compare() -> None:
    with pytest.raises(InputError, match="samples must be at least 2, not 1"):
        replace(GRPO, preset=replace(SMALL, samples=1))
    with pytest.raises(InputError, match='"dpo", "grpo", "group" or "none", not \'ppo\''):
        replace(TUNING, reward="ppo")
