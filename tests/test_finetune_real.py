"""What tuning a real model needs: presets of one's own, batches of like length, groups of answers, offers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sensecf.core.errors import InputError
from sensecf.core.task import Task
from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema
from sensecf.finetune.presets import Preset, preset, presets
from sensecf.finetune.text_pairs import Pairs, draw
from sensecf.llm.language.brief import Brief
from sensecf.llm.language.offered import Offered

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("trl", reason="needs trl")
pytest.importorskip("peft", reason="needs peft")

from llm_servers import tiny_model  # noqa: E402
from sensecf.finetune.alignment import BETA, against, judged  # noqa: E402
from sensecf.finetune.processes import remarks  # noqa: E402
from sensecf.finetune.supervised import ByLength, Training, likelihoods  # noqa: E402
from sensecf.finetune.tune import finetune  # noqa: E402
from sensecf.llm.tokens import Example, collate, encode, load  # noqa: E402
from tuning import SMALL, TUNING, facts_of, furthest, weights  # noqa: E402


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", "llama", None)


@pytest.fixture(scope="module")
def pairs(numeric_task: Task) -> Pairs:
    return draw(Brief(numeric_task), SMALL.pairs)


# --- presets ------------------------------------------------------------------------------


def test_a_preset_of_ones_own_stands_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[small]\npairs = 12\nrate = 1e-2\nmodels = ["some/model"]\nmemory_gib = 3\n', encoding="utf-8")
    assert preset(f"{file}#small") == Preset(pairs=12, rate=1e-2, models=("some/model",), memory_gib=3)
    assert presets(file).keys() == {"small"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[small]\npears = 3\n", r"'pears' of \[small\] in .* is no field of a preset; the fields are about, ran"),
        ("[small]\npairs = 0\n", r"pairs of \[small\] in .* must be at least 1, not 0"),
        ("[small]\nrate = 0.0\n", r"rate of \[small\] in .* must be above 0"),
        ('[small]\npairs = "many"\n', "pairs"),
        ("small = 3\n", "is no table"),
        ("[large]\npairs = 3\n", "'.*#small' is unknown; the presets are large"),
    ],
)
def test_what_is_wrong_with_a_file_of_presets_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        preset(f"{file}#small")


def test_presets_of_large_models_name_the_models_and_the_memory() -> None:
    for name in ("gpu-24", "gpu-40", "gpu-80"):
        one = preset(name)
        assert {"meta-llama/Llama-3.1-8B-Instruct", "BioMistral/BioMistral-7B"} <= set(one.models)
        assert 0 < one.memory_gib < float(name.removeprefix("gpu-"))


def test_a_preset_for_a_gpu_says_so_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "is for a GPU of 22 GiB, and there is none" in remarks("gpu-24", preset("gpu-24"))[-1]
    assert remarks("cpu-small", preset("cpu-small")) == []


# --- batches ------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 400), min_size=1, max_size=300), st.integers(1, 9), st.integers(0, 3))
def test_every_example_is_learned_once_an_epoch_in_an_order_that_the_seed_gives(
    lengths: list[int], size: int, epoch: int
) -> None:
    order = list(ByLength(lengths, size, 5, lambda: epoch))
    assert sorted(order) == list(range(len(lengths)))
    assert order == list(ByLength(lengths, size, 5, lambda: epoch))


def test_batches_hold_examples_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(100, 400, 256).tolist()
    order = np.array(list(ByLength(lengths, 8, 0, lambda: 0))).reshape(-1, 8)
    spread = np.ptp(np.array(lengths)[order], axis=1).mean()
    assert spread < 0.25 * np.ptp(np.array(lengths).reshape(-1, 8), axis=1).mean()


def test_scores_are_those_of_the_whole_model(base: Path, pairs: Pairs) -> None:
    learner = load(base, device="cpu")
    batch = collate(encode(learner, pairs.prompts[:4], pairs.completions[:4]), 0)
    with torch.no_grad():
        found = likelihoods(learner.network, batch)
        log = learner.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels = batch["labels"][:, 1:]
    whole = log[:, :-1].log_softmax(-1).gather(-1, labels.clamp_min(0)[..., None]).squeeze(-1)
    torch.testing.assert_close(found, whole * (labels != -100), rtol=1e-4, atol=1e-4)


def test_as_many_pairs_are_made_as_are_asked_for_or_the_card_says_how_many(numeric_task: Task) -> None:
    found = draw(Brief(numeric_task), 90)
    assert len(found) == 90 == found.card["wanted"] == found.card["pairs"]
    locked = draw(Brief(numeric_task, withheld=numeric_task.schema.names[1:]), 40)
    assert locked.card["pairs"] == len(locked) <= locked.card["wanted"] == 40


# --- groups of answers --------------------------------------------------------------------


def test_the_loss_falls_as_good_answers_gain_on_bad_ones() -> None:
    owner, side = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([1, 1, -1, 1, -1, 1])
    level = against(torch.zeros(6), owner, side)
    assert float(level) == pytest.approx(np.log(2))
    better = against(torch.tensor([1.0, 3.0, -1.0, 0.0, -1.0, 9.0]), owner, side)
    # (2 + 1) of the first question and 1 of the second; the third has no bad answer.
    assert float(better) == pytest.approx(-np.log(1 / (1 + np.exp(-BETA * 2.0))), rel=1e-5)
    assert float(against(torch.ones(2), torch.tensor([0, 1]), torch.tensor([1, -1]))) == 0.0


def test_what_the_classifier_refuses_is_bad_and_the_dearer_half_is_neither(
    base: Path, numeric_task: Task, pairs: Pairs
) -> None:
    some = pairs.take(np.arange(10))
    training = Training(replace(SMALL, samples=6), seed=1)
    found = judged(Brief(numeric_task), load(base, device="cpu"), some, training)
    assert len(found.texts) == len(found.sides) == 10
    for texts, sides in zip(found.texts, found.sides, strict=True):
        assert len(set(texts)) == len(texts) == len(sides)
        assert set(sides) <= {-1, 0, 1}
        fine = [side for side in sides if side >= 0]
        assert not fine or sum(fine) >= len(fine) / 2
    assert found.facts["jurors"] > 0
    assert 0 < found.facts["distinct samples"] <= 1


def test_a_round_of_alignment_changes_the_model_and_says_how_far_answers_differ(
    base: Path, numeric_task: Task, pairs: Pairs, tmp_path: Path
) -> None:
    finetune(numeric_task, base, tmp_path / "m", replace(TUNING, reward="group"), pairs=pairs, device="cpu")
    facts = facts_of(tmp_path / "m")["stages"]["alignment 1"]
    assert facts["entropy, nats"] > 0
    assert facts["steps"] >= 1
    stages = tmp_path / "m" / "stages"
    assert furthest(weights(stages / "lora"), weights(stages / "alignment 1")) > 0


# --- offers -------------------------------------------------------------------------------


def test_pairs_of_offers_are_answered_by_what_is_offered(numeric_task: Task) -> None:
    words = Offered(numeric_task)
    made = draw(words, 20)
    assert (made.card["source"], made.card["wording"]) == ("offers", words.version)
    for asked, text in zip(words.ask(made.query), made.completions, strict=True):
        told = {(numeric_task.schema.names[o.column], words.wording.shown(o.column, o.value)) for o in asked.offers}
        assert json.loads(text).items() <= told


def test_a_model_tuned_on_offers_is_asked_with_them(base: Path, numeric_task: Task, tmp_path: Path) -> None:
    from sensecf.generators.tuned import Tuned

    tuning = replace(TUNING, reward="none", offers=True)
    finetune(numeric_task, base, tmp_path / "m", tuning, device="cpu")
    facts = facts_of(tmp_path / "m")
    assert facts["offers"] is True
    assert isinstance(Tuned(numeric_task, model=tmp_path / "m", device="cpu").prompts, Offered)
    with pytest.raises(InputError, match="offers are a wording of their own"):
        replace(TUNING, full=True, offers=True)


def test_the_preset_says_the_wording_unless_another_is_asked_for(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sensecf.finetune.presets
    from sensecf.cli.finetune import finetune as command

    simulate_cohort(12, 6).to_csv(tmp_path / "days.csv", index=False)
    simulated_schema().to_toml(tmp_path / "schema.toml")
    told = replace(SMALL, epochs=1, pairs=16, offers=True)
    monkeypatch.setattr(sensecf.finetune.presets, "presets", lambda: {"cpu-small": told})
    table = [str(tmp_path / "days.csv"), "--schema", str(tmp_path / "schema.toml"), "--classifier", "logistic"]
    for option, wording in ((None, "offers"), ("--no-offers", "brief")):
        out = tmp_path / wording
        arguments = [*table, "--model", str(base), "--reward", "none", "--out", str(out)]
        CliRunner().invoke(command, [*arguments, *([option] if option else [])], catch_exceptions=False)
        assert facts_of(out)["wording"].split()[0] == wording


def test_a_model_tuned_on_leanings_is_refused(base: Path, numeric_task: Task, pairs: Pairs, tmp_path: Path) -> None:
    """They were a wording; the record of such a model says "brief 3", as of the wording without them."""
    from sensecf.generators.tuned import Tuned

    finetune(numeric_task, base, tmp_path / "m", replace(TUNING, reward="none"), pairs=pairs, device="cpu")
    facts = facts_of(tmp_path / "m")
    (tmp_path / "m" / "tuned.json").write_text(json.dumps({**facts, "leanings": True}), encoding="utf-8")
    with pytest.raises(InputError, match="was tuned in the wording 'leanings', this is 'brief 3'; tune it again"):
        Tuned(numeric_task, model=tmp_path / "m", device="cpu")


def test_an_answer_without_tokens_is_no_example() -> None:
    batch = collate([Example([1], [2], [1.0])], pad=0)
    assert batch["labels"].tolist() == [[-100, 2]]


def run(*command: Any) -> str:
    import os
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, str(root / "benchmarks" / "real_llm.py"), *map(str, command)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_benchmark_writes_a_cell_for_every_part(base: Path, tmp_path: Path) -> None:
    tables, out = tmp_path / "tables", tmp_path / "out"
    run("--prepare", tables)
    said = run("--weights", base, "--tables", tables, "--out", out, "--quick", "--parts", "pairs,prompted,tuned")
    names = {path.name for path in (out / "cells").iterdir()}
    assert names == {
        "pairs-heart-0.json", "prompted-heart-0.json", "tuned-heart-0-40-group.json",
    }, said  # fmt: skip
