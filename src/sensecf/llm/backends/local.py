"""Models in this process, through transformers: nothing leaves the machine, nothing is downloaded."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub
import jinja2
import torch
import transformers
from llguidance import LLMatcher

from sensecf.core.errors import InputError, MissingExtraError
from sensecf.llm import Completion, JsonSchema, Prompt
from sensecf.llm.asking import Answer, Request
from sensecf.llm.backends.constrain import Constraint, Draw, Grammars
from sensecf.llm.backends.prefix import prefill, reusable


class Local:
    """Ask a model in this process, `batch_size` requests at a time.

    The samples of a prompt are drawn together from one pass over it, and what all prompts of a batch begin
    with is read once, where the model's cache can be copied (see `prefix.reusable`).

    `folder`: a folder with safetensors weights and a tokenizer, or the name of a model in the cache of
    Hugging Face. `adapter`: a folder with a LoRA adapter. `four_bit`: weights in 4 bit (needs a CUDA
    device and bitsandbytes). `device`: `cuda`, `cpu`, ...; by default a GPU where there is one.

    Answers follow their JSON Schema by construction. With a temperature above 0 each answer has
    its own draws, so it does not depend on what else is in the batch (apart from rounding in the model).
    Weights are read from safetensors only and code of the folder never runs.

    Raises `InputError` for a folder that holds no such model, and `MissingExtraError` for absent packages.
    """

    #: The keywords that `sensecf.llm.connect` passes on.
    settings: ClassVar[tuple[str, ...]] = ("name", "adapter", "four_bit", "device", "batch_size")
    host: str | None = None

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        adapter: str | Path | None = None,
        four_bit: bool = False,
        device: str | None = None,
        batch_size: int = 16,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; give at least 1")
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        path = _find(str(folder))
        self._tokenizer, self._model = _load(path, self._device, four_bit)
        self._ends = _ends(self._model, self._tokenizer, path)
        # What a folder says of temperatures and penalties must not reach into the answers.
        self._model.generation_config = transformers.GenerationConfig()  # type: ignore[no-untyped-call]
        self._reuses = reusable(self._model)
        if adapter is not None:
            self._model = _adapted(self._model, Path(adapter))
            # Keys and values that were learned stand before those of every prompt.
            self._reuses = self._reuses and not self._model.active_peft_config.is_prompt_learning
        self._model.eval()
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token_id = self._ends[0]
        self._control = [token for token in self._tokenizer.get_added_vocab() if len(token) > 1]
        self._context = getattr(self._model.config, "max_position_embeddings", None) or sys.maxsize
        self._batch_size = batch_size
        self._grammars: Grammars | None = None
        parts = [_identity(path)] + ([] if adapter is None else [_identity(Path(adapter))])
        self.model = " with ".join(parts) + (" in 4 bit" if four_bit else "")
        self.name = name or Path(folder).name + ("" if adapter is None else f" with {Path(adapter).name}")

    def answer(self, requests: Iterator[Request], keep: Callable[[Request, Answer], None]) -> None:
        """See `sensecf.llm.asking.Backend`."""
        for batch in _batches(requests, self._batch_size):
            prompts = [self._tokens(request) for request in batch]
            fitting = [i for i, prompt in enumerate(prompts) if len(prompt) + batch[i].max_tokens <= self._context]
            for i in sorted(set(range(len(batch))) - set(fitting)):
                reason = (
                    f"the prompt of {len(prompts[i])} tokens and an answer of {batch[i].max_tokens} "
                    f"exceed the {self._context} tokens of the model"
                )
                keep(batch[i], Answer(Completion("", reason), tries=0, final=False))
            if not fitting:
                continue
            began = time.perf_counter()
            completions = self._generate([batch[i] for i in fitting], [prompts[i] for i in fitting])
            seconds = (time.perf_counter() - began) / len(fitting)
            for i, completion in zip(fitting, completions, strict=True):
                keep(batch[i], Answer(replace(completion, seconds=seconds)))

    def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the model reads it."""
        return len(self._tokens(Request(prompt)))

    def _generate(self, batch: list[Request], prompts: list[list[int]]) -> list[Completion]:
        """The completions of a batch; in halves where memory does not do."""
        try:
            return self._generate_at_once(batch, prompts)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise InputError(
                    f"one prompt of {len(prompts[0])} tokens does not fit into the memory of {self._device}; "
                    "use four_bit, a smaller model or fewer shots"
                ) from None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        half = len(batch) // 2
        return self._generate(batch[:half], prompts[:half]) + self._generate(batch[half:], prompts[half:])

    @torch.inference_mode()
    def _generate_at_once(self, batch: list[Request], prompts: list[list[int]]) -> list[Completion]:
        limit, temperature = batch[0].max_tokens, batch[0].temperature  # the same in one call of `complete`
        if self._reuses:
            inputs = prefill(self._model, prompts, self._tokenizer.pad_token_id)
        else:
            inputs = self._tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(self._device)
        matchers = [self._matcher(request.schema) for request in batch]
        processors = transformers.LogitsProcessorList()
        if self._grammars is not None:
            processors.append(Constraint(matchers, self._ends, limit, self._grammars))
        if temperature > 0:
            processors.append(Draw([request.draw for request in batch], temperature, self._device))
        written = self._model.generate(
            **inputs,
            generation_config=transformers.GenerationConfig(  # type: ignore[no-untyped-call]
                max_new_tokens=limit, eos_token_id=self._ends, pad_token_id=self._tokenizer.pad_token_id
            ),
            logits_processor=processors,
        )
        answers = written[:, inputs["input_ids"].shape[1] :].tolist()
        return [self._read(*row) for row in zip(answers, matchers, map(len, prompts), strict=True)]

    def _read(self, ids: list[int], matcher: LLMatcher | None, tokens_in: int) -> Completion:
        end = next((i for i, token in enumerate(ids) if token in self._ends), None)
        text = self._tokenizer.decode(ids if end is None else ids[:end], skip_special_tokens=True)
        reason = ""
        # An answer that is complete with its very last token has no end token, and needs none.
        if end is None and not (matcher is not None and matcher.consume_token(ids[-1]) and matcher.is_accepting()):
            reason = "cut off at the token limit"
        elif not text.strip():
            reason = "empty answer"
        return Completion(text, reason, tokens_in, len(ids) if end is None else end + 1)

    def _matcher(self, schema: JsonSchema | None) -> LLMatcher | None:
        if schema is None:
            return None
        if self._grammars is None:
            self._grammars = Grammars(self._tokenizer, self._model.config.vocab_size, self._ends)
        return self._grammars.matcher(schema)

    def _tokens(self, request: Request) -> list[int]:
        """The prompt in the model's chat format, or in a plain one where it has none."""
        messages = [message | {"content": self._defused(message["content"])} for message in request.messages]
        if self._tokenizer.chat_template is None:
            return list(self._tokenizer(_plain(messages))["input_ids"])
        try:
            text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except jinja2.TemplateError:  # the templates of Mistral know no system message, and say so like this
            text = self._tokenizer.apply_chat_template(_merged(messages), tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _defused(self, content: str) -> str:
        """Text whose control tokens are text: a cell of a table must not end the message that it stands in."""
        for token in self._control:
            content = content.replace(token, f"{token[0]} {token[1:]}")
        return content


def _batches(requests: Iterator[Request], size: int) -> Iterator[list[Request]]:
    """Up to `size` requests at a time; neighbours with the same prompt stay together where they fit.

    So at most twice as many are taken from `requests` as are answered at once.
    """
    batch: list[Request] = []
    for _, same in groupby(requests, key=lambda request: request.prompt):
        while several := list(islice(same, size)):
            if len(batch) + len(several) > size:
                yield batch
                batch = []
            batch += several
    if batch:
        yield batch


def _find(name: str) -> Path:
    """The folder of a model: itself, or where the cache of Hugging Face keeps it."""
    if Path(name).is_dir():
        return Path(name)
    # transformers would look it up too, but libraries below it ask the network on the way.
    try:
        config = huggingface_hub.try_to_load_from_cache(name, "config.json")
    except ValueError:  # nothing that could be a name
        config = None
    if not isinstance(config, str):
        raise InputError(f"{name} is neither a folder nor in the cache of Hugging Face; to get it: hf download {name}")
    return Path(config).parent


def _load(folder: Path, device: torch.device, four_bit: bool) -> tuple[Any, Any]:
    """Tokenizer and model."""
    options: dict[str, Any] = {"dtype": "auto"}
    if four_bit:
        if device.type != "cuda":
            raise InputError(f"weights in 4 bit need a CUDA device, not {device}; leave four_bit out")
        if importlib.util.find_spec("bitsandbytes") is None:
            raise MissingExtraError("weights in 4 bit need bitsandbytes: pip install bitsandbytes")
        options["quantization_config"] = transformers.BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
        options["device_map"] = {"": device}
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left", **safe)
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **options, **safe)
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"{folder} holds no language model with safetensors weights and a tokenizer ({said[:200]}); "
            "name a folder with both"
        ) from error
    if not isinstance(tokenizer, transformers.PreTrainedTokenizerFast):
        raise InputError(f"the tokenizer of {folder} is of the slow kind; save it as tokenizer.json")
    return tokenizer, model if four_bit else model.to(device)


def _adapted(model: Any, adapter: Path) -> Any:
    """The model with a LoRA adapter."""
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("adapters need peft: pip install 'sensecf[llm]'") from error
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (adapter / name).is_file():
            raise InputError(f"{adapter} holds no adapter: {name} is absent; name a folder that peft has saved")
    try:
        return peft.PeftModel.from_pretrained(model, str(adapter), use_safetensors=True)
    except (ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"the adapter {adapter} does not fit the model ({said[:200]})") from error


def _ends(model: Any, tokenizer: Any, folder: Path) -> list[int]:
    """The tokens that end an answer."""
    given = model.generation_config.eos_token_id
    ends = [given] if isinstance(given, int) else list(given or [])
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        ends.append(tokenizer.eos_token_id)
    if not ends:
        raise InputError(f"the model in {folder} names no token that ends an answer; set eos_token in its tokenizer")
    return ends


def _identity(folder: Path) -> str:
    """A name that changes with the files of a folder: answers of an older model must not be taken for its own."""
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".json", ".jinja", ".model")):
        found = file.stat()
        digest.update(f"{file.name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return f"{folder.name} ({digest.hexdigest()[:12]})"


def _plain(messages: list[dict[str, str]]) -> str:
    """A conversation for models that were never taught one."""
    parts = [f"### {message['role'].capitalize()}\n{message['content']}\n" for message in messages]
    return "\n".join([*parts, "### Assistant\n"])


def _merged(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """System messages as the beginning of the user's, neighbours of one role as one."""
    out: list[dict[str, str]] = []
    for message in messages:
        role = "user" if message["role"] == "system" else message["role"]
        if out and out[-1]["role"] == role:
            out[-1]["content"] += f"\n\n{message['content']}"
        else:
            out.append({"role": role, "content": message["content"]})
    return out
