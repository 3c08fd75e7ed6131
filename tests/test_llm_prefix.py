"""Prompts that share a beginning, and samples that share a prompt: computed once, answered as if each were alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_servers import CHAT, tiny_model
from sensecf.llm import Completion, Message
from sensecf.llm.asking import Answer, Request

torch = pytest.importorskip("torch", reason="needs torch")
transformers = pytest.importorskip("transformers", reason="needs transformers")
pytest.importorskip("llguidance", reason="needs llguidance")

import sensecf.llm.backends.local  # noqa: E402
from sensecf.llm.backends.local import Local  # noqa: E402
from sensecf.llm.backends.prefix import prefill, reusable, shared_start  # noqa: E402

COMMON = {
    "vocab_size": 60, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 128, "initializer_range": 0.3, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
PLAIN = {
    "llama": transformers.LlamaConfig(**COMMON),
    "qwen2": transformers.Qwen2Config(**COMMON),
    "mistral without a window": transformers.MistralConfig(**COMMON, sliding_window=None),
    "learned positions": transformers.GPT2Config(
        vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=128, initializer_range=0.3, bos_token_id=1,
        eos_token_id=2,
    ),
}  # fmt: skip
OTHER = {
    "window": transformers.MistralConfig(**COMMON, sliding_window=8),
    "hybrid": transformers.Gemma3TextConfig(**COMMON, head_dim=8, sliding_window=8),
    "state": transformers.MambaConfig(vocab_size=60, hidden_size=16, num_hidden_layers=2),
    "counted positions": transformers.MptConfig(vocab_size=60, d_model=16, n_heads=2, n_layers=2),
    "length-dependent rotation": transformers.LlamaConfig(
        **COMMON, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    ),
}
PROMPTS = [
    [1, 5, 6, 7, 8, 9],
    [1, 5, 6, 7, 20, 21, 22, 23, 24, 25, 26],
    [1, 5, 6, 7, 8, 9],
    [1, 5, 6, 7],
    [1, 5, 6, 7, 20, 21, 22, 23, 24, 25, 26],
]


def model_of(config: Any) -> Any:
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Local:
    return Local(tiny_model(tmp_path_factory.mktemp("model"), "llama", CHAT), batch_size=8, device="cpu")


@pytest.fixture
def plain(llama: Local, monkeypatch: pytest.MonkeyPatch) -> Local:
    """The same model, asked without reuse."""
    monkeypatch.setattr(llama, "_reuses", False)
    return llama


def answers(model: Local, requests: list[Request]) -> list[Completion]:
    got: dict[str, Completion] = {}

    def keep(request: Request, answer: Answer) -> None:
        got[request.key] = answer.completion

    model.answer(iter(requests), keep)
    return [got[request.key] for request in requests]


def asked(temperature: float, samples: int = 3) -> list[Request]:
    texts = ("short", "a longer question about minutes of sleep " * 4, "row 3", "row 4 and more")
    talks = [(Message("system", "Change as little as you can."), Message("user", text)) for text in texts]
    return [Request(talk, k, temperature=temperature, max_tokens=20) for talk in talks for k in range(samples)]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    "prompts", [PROMPTS, PROMPTS[:1] * 3, [[5, 6, 7], [8, 9, 10, 11]], [[7]], [[7], [8], [7]], [[7], [7, 8, 9]]]
)
def test_what_comes_next_is_what_came_next_without_reuse(name: str, prompts: list[list[int]]) -> None:
    model = model_of(PLAIN[name])
    assert reusable(model)
    with torch.inference_mode():
        begun = prefill(model, prompts, 0)
        options = transformers.GenerationConfig(
            max_new_tokens=6, min_new_tokens=6, pad_token_id=0, output_logits=True, return_dict_in_generate=True
        )
        together = model.generate(**begun, generation_config=options)
        for i, prompt in enumerate(prompts):
            alone = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                                   generation_config=options)  # fmt: skip
            assert together.sequences[i, -6:].tolist() == alone.sequences[0, -6:].tolist()
            for one, other in zip(together.logits, alone.logits, strict=True):
                assert float((one[i] - other[0]).abs().max()) < 1e-4


@pytest.mark.parametrize("name", OTHER)
def test_models_with_another_cache_are_asked_in_the_plain_way(name: str) -> None:
    assert not reusable(model_of(OTHER[name]))


def test_a_model_with_a_window_answers_as_each_prompt_alone(tmp_path: Path) -> None:
    model = Local(tiny_model(tmp_path / "mistral", "mistral"), device="cpu")
    assert not model._reuses
    requests = asked(1.0)
    together = [completion.text for completion in answers(model, requests)]
    assert together == [answers(model, [request])[0].text for request in requests]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_answers_are_those_without_reuse(llama: Local, temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = asked(temperature, 1 if temperature == 0 else 5)
    assert llama._reuses
    found = answers(llama, requests)
    monkeypatch.setattr(llama, "_reuses", False)
    plain = answers(llama, requests)
    assert [one.text for one in found] == [one.text for one in plain]
    assert [(one.tokens_in, one.tokens_out) for one in found] == [(one.tokens_in, one.tokens_out) for one in plain]


def test_the_shared_beginning_and_each_prompt_go_through_the_model_once() -> None:
    model, seen = model_of(PLAIN["llama"]), []
    model.model.register_forward_pre_hook(lambda _, __, given: seen.append(given["input_ids"].shape), with_kwargs=True)
    with torch.inference_mode():
        begun = prefill(model, PROMPTS * 4, 0)
    distinct = 3
    start = 3  # the last token of the shortest prompt is left to `generate`
    assert seen == [(1, start), (distinct, 11 - 1 - start)]
    assert begun["input_ids"].shape == (20, 11)
    assert begun["past_key_values"].get_seq_length() == 10


def test_the_shared_beginning_leaves_every_prompt_its_last_token() -> None:
    assert shared_start([[1, 2, 3], [1, 2, 3, 4], [1, 2, 5]]) == 2
    assert shared_start([[1, 2, 3]]) == 2
    assert shared_start([[1, 2], [3, 4]]) == 0
    assert shared_start([[1], [1, 2]]) == 0


def test_a_batch_that_does_not_fit_is_halved_with_its_cache(llama: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = asked(1.0)
    expected = [completion.text for completion in answers(llama, requests)]
    sizes: list[int] = []

    def small_memory(model: Any, prompts: Any, pad: int) -> dict[str, Any]:
        sizes.append(len(prompts))
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("too small")
        return prefill(model, prompts, pad)

    monkeypatch.setattr(sensecf.llm.backends.local, "prefill", small_memory)
    assert [completion.text for completion in answers(llama, requests)] == expected
    assert sizes == [6, 3, 1, 2, 3, 1, 2] * 2


def test_samples_of_a_prompt_stay_together_and_few_are_taken_ahead(
    plain: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[str]] = []

    def record(batch: list[Request], prompts: list[list[int]]) -> list[Completion]:
        batches.append([request.prompt[0].content for request in batch])
        return [Completion("x")] * len(batch)

    monkeypatch.setattr(plain, "_generate", record)
    taken = answered = most = 0

    def requests() -> Any:
        nonlocal taken, most
        for name, samples in (("a", 5), ("b", 3), ("c", 2), ("d", 20), ("e", 1)):
            for k in range(samples):
                taken += 1
                most = max(most, taken - answered)
                yield Request((Message("user", name),), k)

    def keep(request: Request, answer: Answer) -> None:
        nonlocal answered
        answered += 1

    plain.answer(requests(), keep)
    assert ["".join(batch) for batch in batches] == ["aaaaabbb", "cc", "dddddddd", "dddddddd", "dddde"]
    assert most <= 2 * 8
