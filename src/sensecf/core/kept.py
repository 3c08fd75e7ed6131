"""What comes back from disk is read here, and is trusted by its content, not by its name.

Only regular files are opened (a named pipe would be waited for), up to a size, and what they hold is checked
against types. Work that can be done again is sealed: its file begins with a hash over its content, its name and
what it is an answer to, so that a file that is empty, cut off, edited or of another question is done again.
The hashes have no key: they find damage and accidents, not forgery.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import sys
import tomllib
import types
import typing
import zipfile
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypeAlias, TypeVar, cast

import numpy as np

from sensecf.core.errors import InputError
from sensecf.core.files import replacing
from sensecf.core.version import FORMAT, __version__

#: Longest record (run.json, task.json, a schema), in bytes; a table of 10,000 columns needs about 2 MB.
RECORD = 16 * 2**20
#: Deepest nesting of brackets and of dotted keys in a TOML file; ours have three.
DEEPEST = 32
#: A whole number and an amount of at least 0.
Count = Annotated[int, 0]
Amount = Annotated[float, 0]

#: An object of JSON or TOML that somebody else wrote and nobody has checked: a vendor's export, a server's reply, a
#: file that a person edits. Anything may stand under any key, so whoever reads an entry says what it is first; what
#: this package writes itself has a type of its own.
Json: TypeAlias = dict[str, Any]
_Form = TypeVar("_Form")

_SEAL = b"sensecf-sealed 1 "
_STRINGS = re.compile(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*')
_WORDS = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false", type(None): "null"}


def check_format(data: Mapping[str, Any], where: str) -> None:
    """Raise `InputError` for what a later edition wrote; what says nothing of its format is from before formats."""
    told = data.get("format", FORMAT)
    if isinstance(told, bool) or not isinstance(told, int) or not 1 <= told <= FORMAT:
        raise InputError(
            f"{where} has format {told!r}, and SenseCF {__version__} reads up to {FORMAT}; it takes a later SenseCF"
        )


def read_bytes(path: str | Path, limit: int = RECORD) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises `InputError` for anything else."""
    try:
        # Without O_NONBLOCK, opening a named pipe waits for somebody to write to it.
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputError(f"{path} {what}") from error
    try:
        kind = os.fstat(file)
        if not stat.S_ISREG(kind.st_mode):
            raise InputError(f"{path} is no regular file (a folder, pipe or device); put the file back")
        if kind.st_size > limit:
            raise InputError(f"{path} has {kind.st_size:,} bytes, at most {limit:,} are read; put the file back")
        with os.fdopen(file, "rb", closefd=False) as opened:
            return opened.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    finally:
        os.close(file)


def parse(content: bytes | str, where: str) -> Any:
    """JSON in UTF-8. Raises `InputError` for what is none, holds NaN or infinity, or is nested too deep."""

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(content, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{where} is not valid JSON ({reason})") from error


def read_record(path: str | Path, form: type[_Form], limit: int = RECORD) -> _Form:
    """The JSON object in a file, of the form `form` by `check_type`. Raises `InputError` in one line."""
    record = parse(read_bytes(path, limit), str(path))
    check_type(record, form, str(path))
    if not isinstance(record, dict):
        raise InputError(f"{path}: a JSON object is needed")
    return cast(_Form, record)


def read_toml(path: str | Path) -> Json:
    """The tables of a TOML file. Raises `InputError` for what is none and for what is nested too deep."""
    from sensecf.core.files import read_text

    text = read_text(path)
    bare = _STRINGS.sub("''", text)
    # tomllib recurses into brackets and walks dotted keys again and again: 100,000 levels take minutes.
    depth = most = 0
    for bracket in re.findall(r"[\[\]{}]", bare):
        depth += 1 if bracket in "[{" else -1
        most = max(most, depth)
    if most > DEEPEST or re.search(rf"(?<![^\s.=\[\]{{}},])(?:[^\s.=\[\]{{}},]+[ \t]*\.[ \t]*){{{DEEPEST}}}", bare):
        raise InputError(f"{path} is nested deeper than {DEEPEST} levels, which no file of SenseCF is")
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error


def check_type(value: Any, form: Any, where: str) -> None:
    """Raise `InputError` naming the entry that does not have its type.

    `form`: a type as in annotations (`str`, `int`, `float`, `bool`, `None`, `Any`, unions, `Literal`, `list[T]`,
    `tuple[T, ...]`, `tuple[T, T]`, `dict[str, T]`), `Count` or `Amount`, a `TypedDict` or a dataclass. Numbers must be
    finite and whole numbers at most 2**53 in size; a tuple is a list in JSON; keys that these do not name may be there,
    and those of a `TypedDict` that are not required may be absent.
    """
    if _has_entries(form):
        if not isinstance(value, Mapping):
            raise InputError(f"{where} must be {_named(form)}, not {_short(value)}")
        needless = _needless(form)
        for key, kind in typing.get_type_hints(form, include_extras=True).items():
            if key in value:
                kind = typing.get_args(kind)[0] if typing.get_origin(kind) is NotRequired else kind
                check_type(value[key], kind, f"{where}: {key}")
            elif key not in needless:
                raise InputError(f"{where}: {key} is absent")
        return
    origin, inside = typing.get_origin(form), typing.get_args(form)
    if origin in (list, tuple, dict):
        if not isinstance(value, dict if origin is dict else list | tuple):
            raise InputError(f"{where} must be {'a table' if origin is dict else 'a list'}, not {_short(value)}")
        if origin is tuple and inside[-1] is not Ellipsis and len(value) != len(inside):
            raise InputError(f"{where} must have {len(inside)} entries, not {len(value)}")
        items: Any = value.items() if isinstance(value, dict) else enumerate(value)
        for place, item in items:
            check_type(item, inside[origin is dict], f"{where}, {place}")
        return
    if not _fits(value, form):
        raise InputError(f"{where} must be {_named(form)}, not {_short(value)}")


def _needless(form: Any) -> set[str]:
    """The entries that a `TypedDict` or a dataclass does without."""
    if not typing.is_typeddict(form):
        return {f.name for f in fields(form) if f.default is not MISSING}
    # Where annotations are texts, Python itself does not see what is marked as not required.
    marked = {
        k
        for k, kind in typing.get_type_hints(form, include_extras=True).items()
        if typing.get_origin(kind) is NotRequired
    }
    return marked | set(form.__optional_keys__)


def _has_entries(form: Any) -> bool:
    return typing.is_typeddict(form) or is_dataclass(form)


def _fits(value: Any, form: Any) -> bool:
    origin, inside = typing.get_origin(form), typing.get_args(form)
    if form is Any or form is object:
        return True
    if origin is Annotated:
        return _fits(value, inside[0]) and value >= inside[1]
    if origin is typing.Literal:
        return any(type(value) is type(one) and value == one for one in inside)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in inside)
    if origin is not None or _has_entries(form):
        try:
            check_type(value, form, "")
        except InputError:
            return False
        return True
    if form is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and abs(value) <= sys.float_info.max
    if form is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53
    return value is None if form in (None, type(None)) else isinstance(value, form)


def _named(form: Any) -> str:
    origin, inside = typing.get_origin(form), typing.get_args(form)
    if origin is Annotated:
        return f"{_named(inside[0])} of at least {inside[1]}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_named, inside)))
    if origin is typing.Literal:
        return " or ".join(map(repr, inside))
    if _has_entries(form):
        return f"a table with {', '.join(typing.get_type_hints(form))}"
    return _WORDS.get(form, "a list" if origin in (list, tuple) else "a table")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


# --- work that can be done again ------------------------------------------------------------


def write_sealed(path: Path, content: bytes, mark: str = "") -> None:
    """Write a file that `read_sealed` knows again under the same name and `mark`: what it is an answer to."""
    with replacing(path) as temporary:
        temporary.write_bytes(_SEAL + _digest(path, content, mark) + b"\n" + content)


def read_sealed(path: Path, mark: str = "", limit: int = 2**31) -> bytes | None:
    """What `write_sealed` wrote; None where the file is absent, damaged or an answer to something else."""
    try:
        head, end, content = read_bytes(path, limit).partition(b"\n")
    except InputError:
        return None
    return content if end and head == _SEAL + _digest(path, content, mark) else None


def _digest(path: Path, content: bytes, mark: str) -> bytes:
    digest = hashlib.sha256(json.dumps([path.name, mark]).encode())
    digest.update(content)
    return digest.hexdigest().encode()


def write_arrays(path: Path, arrays: Mapping[str, Any], mark: str = "") -> None:
    """Write arrays and numbers, sealed; objects are kept as their text."""
    buffer = io.BytesIO()
    plain = {name: np.asarray(value) for name, value in arrays.items()}
    texts = {name: value.astype(str) if value.dtype == object else value for name, value in plain.items()}
    np.savez_compressed(buffer, allow_pickle=False, **texts)
    write_sealed(path, buffer.getvalue(), mark)


def read_arrays(path: Path, mark: str = "") -> Mapping[str, Any] | None:
    """What `write_arrays` wrote, single numbers as numbers; None where it has to be made again."""
    content = read_sealed(path, mark)
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except (ValueError, EOFError, zipfile.BadZipFile):  # sealed by other means than ours
        return None
    return {k: v.item() if v.ndim == 0 else v.astype(object) if v.dtype.kind == "U" else v for k, v in arrays.items()}


def with_hash(record: Mapping[str, object]) -> dict[str, object]:
    """A JSON object with a hash over its entries, as `sha256`."""
    return {**record, "sha256": _hash_of(record)}


def is_whole(record: Mapping[str, object]) -> bool:
    """Whether a JSON object is as `with_hash` made it."""
    return record.get("sha256") == _hash_of({k: v for k, v in record.items() if k != "sha256"})


def _hash_of(record: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


# --- files that are only added to -----------------------------------------------------------


def append(file: int, content: bytes) -> None:
    """Add to an open file whole or not at all. Raises `OSError` where the disk refuses; the file is as before then."""
    size = os.fstat(file).st_size
    try:
        if os.write(file, content) != len(content):
            raise OSError(28, "the disk is full")
    except BaseException:
        os.ftruncate(file, size)
        raise


def lock(file: int, wait: bool = False) -> None:
    """Keep other processes from locking an open file until it is closed. Raises `OSError` where one has it."""
    if sys.platform == "win32":
        import msvcrt

        # A byte beyond the end, since Windows keeps others from reading a locked one.
        os.lseek(file, 1 << 40, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
