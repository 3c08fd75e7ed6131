"""One string becomes a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from sensecf.core.errors import InputError, MissingExtraError
from sensecf.llm.asking import Backend
from sensecf.llm.backends.presets import key_in_environment, preset, presets
from sensecf.llm.client import Client, Progress
from sensecf.llm.ledger import Ledger
from sensecf.llm.spend import Budget, Prices

#: Options of a backend by name; which there are is each backend's own `settings`.
Settings: TypeAlias = Mapping[str, object]

#: The environment variable with the key for an address that no preset describes.
KEY = "SENSECF_LLM_KEY"


def connect(
    spec: str,
    *,
    ledger: Ledger | str | Path | None = None,
    prices: Prices | None = None,
    cap_money: float | None = None,
    cap_tokens: int | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Client:
    """The model that a string names, with its ledger and budget; nothing is asked yet.

    Args:
        spec: a preset (`gpt-4o`), the preset of a file (`models.toml#NAME`), an address
            (`http://localhost:8000/v1#MODEL`), a folder of a model (`models/llama`, run in this process;
            `transformers:NAME` for a preset
            or a model in the cache of Hugging Face), `replay:FILE` for a recorded
            run, `batch:FILE#MODEL` for requests as a file.
        ledger: a file that keeps every answer, or one that is open; without it answers live in memory.
        prices: per million tokens; by default those of the preset.
        cap_money, cap_tokens: where to stop, over all runs on the ledger.
        progress: told how far a batch is.
        settings: options of the backend: for servers those of `OpenAICompatible`, for folders of `Local`.

    Raises:
        InputError: an unknown name, a missing key, an address or setting that cannot be used.
        MissingExtraError: the backend needs packages that are absent.

    >>> model = sensecf.llm.connect("http://127.0.0.1:8000/v1#small", ledger=folder / "ledger", cap_tokens=10_000)
    >>> model.host
    '127.0.0.1'
    """
    known = None
    if spec.startswith("replay:"):
        backend = _replay(spec.removeprefix("replay:"), settings)
    elif spec.startswith("batch:"):
        backend = _batch(spec.removeprefix("batch:"), settings)
    elif spec.startswith("transformers:"):
        name = spec.removeprefix("transformers:")
        backend = _local(presets()[name].model if name in presets() else name, settings)
    elif spec.startswith(("http://", "https://")):
        url, _, model = spec.partition("#")
        backend = _server(url, model, {"key": key_in_environment(KEY), **settings})
    elif Path(spec).is_dir():
        backend = _local(spec, settings)
    else:
        file, mark, name = spec.rpartition("#")
        known = preset(name, file) if mark else preset(spec)
        key = None if known.key_env is None else key_in_environment(known.key_env)
        if known.key_env is not None and key is None:
            raise InputError(f"{known.name} needs a key: set the environment variable {known.key_env}")
        given = {"name": known.name, "note": known.note, **settings, "key": key}
        backend = _server(known.base_url, known.model, given)
    budget = Budget(prices or (known.prices if known else None), cap_money, cap_tokens)
    opened = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
    return Client(backend, ledger=opened, budget=budget, progress=progress)


def _server(url: str, model: str, settings: Settings) -> Backend:
    try:
        from sensecf.llm.backends.openai_compatible import OpenAICompatible
    except ImportError as error:
        raise MissingExtraError(f"asking a server needs {error.name}: pip install 'sensecf[llm]'") from error
    return _with(OpenAICompatible, settings)(url, model)


def _local(folder: str, settings: Settings) -> Backend:
    try:
        from sensecf.llm.backends.local import Local
    except ImportError as error:
        raise MissingExtraError(f"a model in this process needs {error.name}: pip install 'sensecf[llm]'") from error
    return _with(Local, settings)(folder)


def _replay(rest: str, settings: Settings) -> Backend:
    from sensecf.llm.backends.replay import Replay

    file, _, model = rest.partition("#")
    return _with(Replay, settings)(file, model or None)


def _batch(rest: str, settings: Settings) -> Backend:
    from sensecf.llm.backends.batch_file import BatchFile

    file, _, model = rest.partition("#")
    return _with(BatchFile, settings)(file, model)


def _with(backend: type[Any], settings: Settings) -> Callable[..., Backend]:
    """The backend with these settings. Raises `InputError` for one that it does not know."""
    for name in settings:
        if name not in backend.settings:
            has = ", ".join(backend.settings) or "none"
            raise InputError(f"{name!r} is no setting of {backend.__name__}; it has {has}")
    return lambda *where: backend(*where, **settings)
