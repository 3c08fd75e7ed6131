"""Tuning on models of a few thousand weights: what is learned, resumed, judged, checked and written."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from llm_servers import loopback_only, tiny_model
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.task import Task
from sensecf.data.builtin.simulated import CARD, simulate_cohort, simulated_schema
from sensecf.data.card import Card
from sensecf.finetune.text_pairs import Pairs, draw
from sensecf.llm.language.brief import Brief

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("trl", reason="needs trl")
pytest.importorskip("peft", reason="needs peft")

import sensecf.finetune.tune  # noqa: E402
from sensecf.finetune.memorisation import ALTERNATIVES, canaries, copies, exposure  # noqa: E402
from sensecf.finetune.modelcard import measure  # noqa: E402
from sensecf.finetune.preference import BAD, CLEAR, compare, prices  # noqa: E402
from sensecf.finetune.presets import preset, presets  # noqa: E402
from sensecf.finetune.supervised import Supervised, Training, last_checkpoint, lora, supervise  # noqa: E402
from sensecf.finetune.tune import Tuning, finetune  # noqa: E402
from sensecf.llm.ask import ask  # noqa: E402
from sensecf.llm.client import Client  # noqa: E402
from sensecf.llm.tokens import VALUE_WEIGHT, Example, collate, encode, load  # noqa: E402
from tuning import GRPO, SMALL, TUNING, Kill, facts_of, furthest, weights  # noqa: E402

__all__ = ["loopback_only"]

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny", "llama", None)


@pytest.fixture(scope="module")
def pairs(numeric_task: Task) -> Pairs:
    return draw(Brief(numeric_task), SMALL.pairs)


@pytest.fixture(scope="module")
def tuned(base: Path, numeric_task: Task, pairs: Pairs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was tuned without an interrupt."""
    out = tmp_path_factory.mktemp("tuned") / "model"
    finetune(numeric_task, base, out, replace(TUNING, merge=True), pairs=pairs, card=CARD, device="cpu")
    return out


# --- tokens -------------------------------------------------------------------------------


def test_an_example_is_what_asking_would_continue_from(base: Path, pairs: Pairs) -> None:
    learner = load(base, device="cpu")
    for example, prompt, completion in zip(
        encode(learner, pairs.prompts, pairs.completions), pairs.prompts, pairs.completions, strict=True
    ):
        text = learner.tokenizer.decode(example.prompt)
        assert prompt[-1].content in text
        assert text.endswith("### Assistant\n")
        assert learner.tokenizer.decode(example.answer[:-1]) == completion
        assert example.answer[-1] == learner.tokenizer.eos_token_id


def test_tokens_of_new_values_weigh_more(base: Path) -> None:
    learner = load(base, device="cpu")
    text = '{"steps":9000,"a \\"b\\"}":"x}, y"}'
    example = encode(learner, [_hello()], [text])[0]
    heavy = "".join(
        learner.tokenizer.decode([token])
        for token, weight in zip(example.answer, example.weight, strict=True)
        if weight == VALUE_WEIGHT
    )
    assert "9000" in heavy
    assert "x}, y" in heavy
    assert "steps" not in heavy
    assert set(example.weight) == {1.0, VALUE_WEIGHT}


def _hello() -> Any:
    from sensecf.llm import Message

    return (Message("user", "hello"),)


def test_a_batch_learns_the_answers_only() -> None:
    batch = collate([Example([5, 6], [7, 8], [1.0, 2.0]), Example([5], [9], [1.0])], pad=0)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8], [5, 9, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 7, 8], [-100, 9, -100, -100]]
    assert batch["weights"].tolist() == [[0, 0, 1, 2], [0, 1, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_the_loss_is_the_weighted_likelihood_of_the_answer(base: Path, pairs: Pairs) -> None:
    from trl.trainer.utils import add_fused_lm_head

    learner = load(base, device="cpu")
    examples = encode(learner, pairs.prompts[:3], pairs.completions[:3])
    batch = collate(examples, 0)
    with torch.no_grad():
        log = learner.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.log_softmax(
            -1
        )
        by_hand = 0.0
        for i, one in enumerate(examples):
            for k, (token, weight) in enumerate(zip(one.answer, one.weight, strict=True)):
                by_hand -= weight * float(log[i, len(one.prompt) + k - 1, token])
        add_fused_lm_head(learner.network)
        loss = Supervised.compute_loss(object.__new__(Supervised), learner.network, batch)
    assert float(loss) == pytest.approx(by_hand / sum(len(one.answer) for one in examples), rel=1e-2)


# --- the whole ----------------------------------------------------------------------------


def test_a_tuned_folder_is_whole_and_holds_no_pickle(tuned: Path) -> None:
    names = {path.name for path in tuned.iterdir()}
    assert names == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "card.json", "history.json", "merged",
        "pairs.json", "pairs.jsonl", "stages", "tuned.json",
    }  # fmt: skip
    assert not [path for path in tuned.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]


def test_tuning_changes_the_model_and_preferences_change_it_again(
    base: Path, numeric_task: Task, pairs: Pairs, tuned: Path, tmp_path: Path
) -> None:
    assert max(float(tensor.abs().max()) for name, tensor in weights(tuned).items() if "lora_B" in name) > 0
    finetune(numeric_task, base, tmp_path / "m", replace(TUNING, reward="none"), pairs=pairs, device="cpu")
    assert furthest(weights(tmp_path / "m"), weights(tuned)) > 1e-5


def test_embeddings_are_tuned_where_asked_for_and_where_the_output_does_not_share_them(base: Path, tuned: Path) -> None:
    learned = [tensor for name, tensor in weights(tuned).items() if "embed_tokens" in name]
    network = load(base, device="cpu").network
    assert len(learned) == 1
    assert float((learned[0] - network.get_input_embeddings().weight.detach()).abs().max()) > 1e-5
    assert lora(SMALL, network).modules_to_save == ["embed_tokens"]
    assert lora(replace(SMALL, embeddings=False), network).modules_to_save is None
    network.config.tie_word_embeddings = True
    assert lora(SMALL, network).modules_to_save is None


def test_a_round_of_verdicts_that_makes_answers_worse_is_not_kept(
    base: Path, numeric_task: Task, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = iter([0.0, 0.5, 0.25, 0.5, 0.5])  # pretrained, pairs, two rounds of verdicts, and the last word

    def scripted(*arguments: Any) -> Any:
        found, drawn = measure(*arguments)
        return found.assign(greedy_valid=next(shares)), drawn

    monkeypatch.setattr(sensecf.finetune.tune, "measure", scripted)
    tuning = replace(TUNING, preset=replace(SMALL, rounds=2))
    facts = finetune(numeric_task, base, tmp_path / "m", tuning, pairs=pairs, device="cpu")
    assert facts["kept"] == "preferences 2"  # of equals the later
    stages = {name: weights(tmp_path / "m" / "stages" / name) for name in facts["stages"]}
    assert furthest(weights(tmp_path / "m"), stages["preferences 2"]) == 0
    shares = iter([0.0, 0.5, 0.25, 0.25, 0.5])
    facts = finetune(numeric_task, base, tmp_path / "n", tuning, pairs=pairs, device="cpu")
    assert facts["kept"] == "lora"
    assert furthest(weights(tmp_path / "n"), stages["lora"]) == 0
    # Both second rounds began with the adapter of the pairs.
    assert furthest(weights(tmp_path / "n" / "stages" / "preferences 2"), stages["preferences 2"]) < 1e-6


def test_what_was_learned_is_in_the_model_that_is_asked(base: Path, tuned: Path, pairs: Pairs) -> None:
    batch = collate(encode(load(base, device="cpu"), pairs.prompts[:4], pairs.completions[:4]), 0)

    def loss(**where: Any) -> float:
        network = load(base, device="cpu", **where).network
        with torch.no_grad():
            logits = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return float(torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten()))

    assert loss(adapter=tuned) < loss() - 0.1


def test_the_loss_falls_and_what_happened_is_kept(tuned: Path) -> None:
    history = json.loads((tuned / "history.json").read_text(encoding="utf-8"))
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert all(0 <= entry["eval_validity"] <= 1 for entry in history if "eval_validity" in entry)
    assert {entry["phase"] for entry in history} == {"tuning", "preferences"}


def test_the_card_says_what_it_was_made_from_and_what_it_does(tuned: Path) -> None:
    facts, text = facts_of(tuned), (tuned / "README.md").read_text(encoding="utf-8")
    assert list(facts["metrics"]) == ["pretrained", "lora", "preferences 1"]
    assert facts["stages"]["lora"]["seconds per step"] > 0
    assert any(name.startswith("peak") for name in facts["stages"]["lora"])
    for line in (CARD.licence, "licence and terms of use hold for this model too", "from training rows only"):
        assert line in text
    assert facts["memorisation"]["canaries"]["planted"] > 0
    assert "exact copies" in text
    assert "exposure" in text


def test_the_merged_weights_answer_as_base_and_adapter_do(
    base: Path, tuned: Path, numeric_task: Task, pairs: Pairs
) -> None:
    prompts, query = Brief(numeric_task), pairs.query.take(np.arange(4))
    apart = ask(prompts, Client(load(base, adapter=tuned, device="cpu").local), query).texts
    merged = ask(prompts, Client(load(tuned / "merged", device="cpu").local), query).texts
    assert apart == merged


@pytest.mark.parametrize("tuning", [TUNING, GRPO], ids=["dpo", "grpo"])
def test_nothing_is_sent_anywhere(
    base: Path, numeric_task: Task, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    loopback_only: list[str], tuning: Tuning,
) -> None:  # fmt: skip
    import trl.trainer.base_trainer

    told: list[Any] = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(trl.trainer.base_trainer, "send_telemetry", lambda *a, **k: told.append(a))
    finetune(numeric_task, base, tmp_path / "m", tuning, pairs=pairs, device="cpu")
    assert not told
    assert not loopback_only


# --- interrupts ---------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "step"), [("lora", 1), ("lora", 7), ("preferences", 0)])
def test_an_interrupted_tuning_ends_with_the_same_weights_and_loss(
    base: Path, numeric_task: Task, pairs: Pairs, tuned: Path, tmp_path: Path, stage: str, step: int
) -> None:
    out = tmp_path / "model"
    tuning = replace(TUNING, merge=True)
    with pytest.raises(KeyboardInterrupt):
        finetune(numeric_task, base, out, tuning, pairs=pairs, card=CARD, device="cpu", callbacks=[Kill(step, stage)])
    assert not (out / "tuned.json").exists()
    finetune(numeric_task, base, out, tuning, pairs=pairs, card=CARD, device="cpu")
    assert furthest(weights(out), weights(tuned)) < 1e-6
    for name, facts in facts_of(tuned)["stages"].items():
        assert facts_of(out)["stages"][name]["loss"] == pytest.approx(facts["loss"], abs=1e-4)
    assert not (out / "unfinished").exists()


def test_another_request_does_not_go_on_in_the_folder(
    base: Path, numeric_task: Task, pairs: Pairs, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        finetune(numeric_task, base, tmp_path, TUNING, pairs=pairs, device="cpu", callbacks=[Kill(1, "lora")])
    with pytest.raises(InputError, match="unfinished tuning of another request"):
        finetune(numeric_task, base, tmp_path, replace(TUNING, seed=1), pairs=pairs, device="cpu")


def test_a_folder_with_something_else_is_left_alone(
    base: Path, numeric_task: Task, tuned: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out, words in ((tmp_path, "is not empty"), (tuned, "holds a tuned model already")):
        with pytest.raises(InputError, match=words):
            finetune(numeric_task, base, out, TUNING, device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_checkpoint_that_a_kill_cut_short_is_passed_over(tmp_path: Path) -> None:
    for step, text in ((4, '{"global_step": 4}'), (8, '{"global_'), (12, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if text is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(text)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-4")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-4"]


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_in_a_checkpoint_does_not_run(base: Path, pairs: Pairs, tmp_path: Path) -> None:
    learner = load(base, device="cpu")
    examples = encode(learner, pairs.prompts, pairs.completions)
    arguments = (examples, examples[:2], lambda: {"score": 0.0}, tmp_path / "s")
    with pytest.raises(KeyboardInterrupt):
        supervise(learner, *arguments, Training(SMALL, callbacks=[Kill(7, "s")]))
    checkpoint = last_checkpoint(tmp_path / "s")
    assert checkpoint is not None
    for name in ("optimizer.pt", "scheduler.pt", "training_args.bin"):
        (Path(checkpoint) / name).write_bytes(pickle.dumps(Evil(tmp_path / "ran"), protocol=2))
    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        supervise(load(base, device="cpu"), *arguments, Training(SMALL))
    assert not (tmp_path / "ran").exists()


# --- verdicts as reward -------------------------------------------------------------------


def test_an_answer_costs_what_it_asks_for_and_a_bad_one_most(base: Path, numeric_task: Task, pairs: Pairs) -> None:
    from fake_llm import Scripted

    query = pairs.query.take(np.flatnonzero(pairs.query.max_changes > 2)[:6])
    prompts = Brief(numeric_task)
    texts = iter(["{}", "nonsense", *pairs.completions] * 10)
    answers = ask(prompts, Scripted(lambda prompt, schema, sample: next(texts)), query, 2)
    found = prices(prompts, query, answers, 1.0)
    assert found.shape == (6, 2)
    good = answers.verdicts.good.reshape(found.shape)
    assert (found[~good] == BAD).all()
    assert (found[good] < BAD).all()


def test_the_cheapest_good_answer_wins_and_the_teacher_where_none_is_good(
    base: Path, numeric_task: Task, pairs: Pairs
) -> None:
    learner = load(base, device="cpu")
    prompts = Brief(numeric_task)
    found = compare(prompts, learner, pairs, 4, 0, 1.0)
    assert found.query
    answers = ask(prompts, Client(learner.local), pairs.query, 4, temperature=1.0, seed=0)
    price = prices(prompts, pairs.query, answers, 1.0)
    texts = np.array(answers.texts, dtype=object).reshape(price.shape)
    taught = 0
    for i, better, worse in zip(found.query, found.better, found.worse, strict=True):
        paid = dict(zip(texts[i], price[i], strict=True))
        if price[i].min() < BAD:
            assert paid[better] == price[i].min()
            assert paid[worse] >= paid[better] + CLEAR
        else:
            taught += 1
            assert better == pairs.completions[i]
            assert paid[worse] == BAD
    assert found.facts["won by the teacher"] == taught


# --- memory -------------------------------------------------------------------------------


def test_a_secret_that_was_learned_stands_out_and_one_that_was_not_does_not(
    base: Path, numeric_task: Task, tmp_path: Path
) -> None:
    learner = load(base, device="cpu")
    prompts, answers = canaries(Brief(numeric_task), 0, 2)
    assert len(answers[0]) == ALTERNATIVES + 1
    most = float(np.log2(ALTERNATIVES + 1))
    before = exposure(learner, prompts, answers)
    assert before["mean exposure, bits"] < most
    planted = encode(learner, prompts, [several[0] for several in answers])
    strong = replace(SMALL, rank=16, rate=3e-2, epochs=60, batch=2, evaluations=1, patience=1000)
    supervise(learner, planted, planted, lambda: {"score": 0.0}, tmp_path / "s", Training(strong))
    after = exposure(load(base, adapter=tmp_path / "s" / "adapter", device="cpu"), prompts, answers)
    assert after["mean exposure, bits"] >= before["mean exposure, bits"]


def test_copies_of_training_rows_are_counted(numeric_task: Task) -> None:
    rows = numeric_task.rows
    base = rows[:3]
    far = np.array([4.9, -4.9, 4.9, -4.9])
    found = copies(
        numeric_task, base, Candidates.of(np.array([0, 1, 2, 2]), np.array([rows[7], rows[8], far, base[2]]), "")
    )
    assert found == {"answers": 4, "exact copies": 0.5, "near copies": pytest.approx(found["near copies"])}
    assert found["near copies"] >= 0.5
    nothing = Candidates.of(np.array([0]), np.full((1, 4), np.nan), "", ["no answer"])
    assert copies(numeric_task, base, nothing)["exact copies"] is None


# --- presets, the small base, the command, the benchmarks ---------------------------------


def test_no_preset_claims_a_machine_that_it_was_not_run_on() -> None:
    assert set(presets()) == {"cpu-small", "cpu-135m", "gpu-135m", "gpu-24", "gpu-40", "gpu-80"}
    assert [name for name, one in presets().items() if one.ran] == ["cpu-small", "cpu-135m"]
    assert presets()["gpu-24"].four_bit
    with pytest.raises(InputError, match="cpu-small, cpu-135m"):
        preset("tpu")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sensecf.finetune.smallbase import BaseRecipe, make_base

    folder = tmp_path_factory.mktemp("small") / "base"
    make_base(folder, 0, BaseRecipe(3, 10, 500, 32, 2, 2, 2048, 3e-3, 12), device="cpu")
    return folder


def test_the_small_base_is_an_ordinary_folder_that_spells_numbers(
    small: Path, numeric_task: Task, pairs: Pairs
) -> None:
    learner = load(small, device="cpu")
    tokens = learner.tokenizer.tokenize('"steps" 90210')
    assert tokens[-5:] == list("90210")
    assert learner.network.config.model_type == "llama"
    record = json.loads((small / "base.json").read_text(encoding="utf-8"))
    assert record["loss"][-1] < record["loss"][0]
    answers = ask(Brief(numeric_task), Client(learner.local), pairs.query.take(np.arange(3)))
    assert all(json.loads(text) for text in answers.texts)


def test_the_small_base_depends_on_its_seed_alone(small: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from sensecf.finetune.smallbase import BaseRecipe, make_base

    recipe = BaseRecipe(3, 10, 500, 32, 2, 2, 2048, 3e-3, 12)
    assert json.loads((small / "base.json").read_text(encoding="utf-8"))["recipe"] == asdict(recipe)
    make_base(tmp_path / "again", 0, recipe, device="cpu")
    one, other = (load_file(folder / "model.safetensors") for folder in (small, tmp_path / "again"))
    assert furthest(one, other) < 1e-6


def test_the_small_base_wants_a_new_folder(small: Path) -> None:
    from sensecf.finetune.smallbase import make_base

    with pytest.raises(InputError, match="is not empty"):
        make_base(small)


def test_a_small_base_that_was_interrupted_is_no_folder_and_the_next_call_makes_it_whole(tmp_path: Path) -> None:
    from sensecf.finetune.smallbase import BaseRecipe, make_base

    recipe, folder = BaseRecipe(2, 6, 500, 32, 2, 2, 2048, 3e-3, 4), tmp_path / "base"

    def stop(phase: str, share: float) -> None:
        if phase == "base":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_base(folder, 0, recipe, device="cpu", progress=stop)
    assert not folder.exists()
    make_base(folder, 0, recipe, device="cpu")
    assert (folder / "base.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_the_command_tunes_and_prints_the_stages(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sensecf.finetune.presets
    from sensecf.cli.finetune import finetune as command

    simulate_cohort(12, 6).to_csv(tmp_path / "days.csv", index=False)
    simulated_schema().to_toml(tmp_path / "schema.toml")
    Card(**{**asdict(CARD), "caveats": ()}).save_beside(tmp_path / "days.csv")
    tiny = replace(SMALL, epochs=1, pairs=24)
    monkeypatch.setattr(sensecf.finetune.presets, "presets", lambda: {"cpu-small": tiny})
    arguments = [
        str(tmp_path / "days.csv"), "--schema", str(tmp_path / "schema.toml"), "--model", str(base),
        "--out", str(tmp_path / "m"), "--classifier", "logistic",
    ]  # fmt: skip
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "preferences 1" in done.output
    assert "preset cpu-small has not been run" in done.output
    assert (tmp_path / "m" / "adapter_model.safetensors").is_file()
    assert (tmp_path / "m" / "card.json").is_file()
    assert facts_of(tmp_path / "m")["classifier"] == "logistic"
    with pytest.raises(InputError, match="neither a folder nor in the cache"):
        CliRunner().invoke(
            command, [*arguments[:4], "nobody/nothing", "--out", str(tmp_path / "n")], catch_exceptions=False
        )


def test_the_command_learns_from_nobody_and_says_what_it_spent(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sensecf.finetune.presets
    from sensecf.cli.finetune import finetune as command

    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    simulate_cohort(60, 3).to_csv(tmp_path / "days.csv", index=False)
    simulated_schema().to_toml(tmp_path / "schema.toml")
    small = replace(SMALL, epochs=1, pairs=24, rounds=0)
    monkeypatch.setattr(sensecf.finetune.presets, "presets", lambda: {"cpu-small": small})
    arguments = [
        str(tmp_path / "days.csv"), "--schema", str(tmp_path / "schema.toml"), "--model", str(base),
        "--out", str(tmp_path / "m"), "--classifier", "logistic", "--private", "--epsilon", "8",
    ]  # fmt: skip
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "epsilon 8 by person, 8 (delta 1e-05) with all runs" in done.output
    told = json.loads((tmp_path / "m" / "privacy.json").read_text(encoding="utf-8"))
    assert (told["epsilon"], told["total_epsilon"]) == (8.0, 8.0)
    with pytest.raises(InputError, match="--from-run"):
        CliRunner().invoke(command, [*arguments, "--from-run", str(tmp_path)], catch_exceptions=False)


def test_without_a_gpu_the_benchmark_says_what_it_would_do() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "gpu.py")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0
    assert "no GPU" in done.stdout
    for word in ("llama-3.1-8b", "mistral-7b", "QLoRA", "tokens per second", "MFU", "peak memory", "lists per second"):
        assert word in done.stdout
