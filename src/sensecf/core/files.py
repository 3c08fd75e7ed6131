"""Files written whole or not at all, and text read with a clear error."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sensecf.core.errors import InputError


@contextmanager
def replacing(path: str | Path, mode: int = 0o644) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Content and name are on the disk then: after a power cut there is the old file or the new one, not an empty one.
    Raises `InputError` where a folder stands at `path`.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder where a file is to be written; move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(mode)
        _sync(temporary)
        temporary.replace(path)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, data: Any) -> None:
    """Write JSON atomically; NaN is refused (undefined values are written as null by the caller)."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def refuse_pipe(path: str | Path) -> None:
    """Raise `InputError` for a named pipe or a device, from which reading may wait or go on for ever.

    What the shell hands over, `<(command)` or `/dev/stdin`, is a link to a pipe, and somebody writes to that.
    """
    path = Path(path)
    odd = path.is_fifo() or path.is_char_device() or path.is_block_device() or path.is_socket()
    if odd and not path.is_symlink():
        raise InputError(f"{path} is a named pipe, socket or device; name a file")


def read_text(path: str | Path) -> str:
    """Read UTF-8 text. Raises `InputError` naming the file when it is absent, not UTF-8, or a named pipe."""
    refuse_pipe(path)
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def cache_folder() -> Path:
    """Where trained models are kept: `SENSECF_CACHE`, else `sensecf` in the user's cache folder."""
    own = os.environ.get("SENSECF_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sensecf"
