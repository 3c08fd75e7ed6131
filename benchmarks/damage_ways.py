"""Ways in which `benchmarks/damage.py` damages a file or a frame."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

#: What stands in JSON where something else should.
STRANGE = (None, True, -1, 0, 1e308, -1e308, "x", "", [], {}, [None], {"a": 1}, [[[]]], 10**30, "\u0000", ["x"] * 50)
#: What stands in a cell, or in a schema, where something else should.
WORDS = (b"nan", b"1e400", b"1e20", b"-1", b"1,5", b"0x10", b'"', b"[", b"\xff", b"\x00", b"x", b"", b"12-13-2020")
#: What stands in a frame where a plain column should, made from that column.
COLUMNS: dict[str, Callable[[pd.Series[Any]], Any]] = {
    "complex": lambda c: c.astype(complex) + 1j,
    "lists": lambda c: [[v] for v in c],
    "bytes": lambda c: [str(v).encode() for v in c],
    "huge": lambda c: [10**30] * len(c),
    "float32 and beyond": lambda c: np.where(np.arange(len(c)) == 1, 1e300, c),
    "unsigned": lambda c: np.full(len(c), 2**64 - 1, dtype=np.uint64),
    "infinite": lambda c: np.where(np.arange(len(c)) % 3 == 0, np.inf, c),
    "text": lambda c: c.astype(str),
    "a word": lambda c: [*c.astype(str)[:-1], "x"],
    "category": lambda c: c.astype("category"),
    "strings": lambda c: c.astype("string"),
    "nullable": lambda c: c.round().astype("Int64").mask(np.arange(len(c)) % 4 == 0),
    "decimals": lambda c: [Decimal(str(v)) for v in c],
    "dates": lambda c: pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(c.to_numpy(dtype=float), unit="h"),
    "periods": lambda c: pd.period_range("2024", periods=len(c), freq="D"),
    "intervals": lambda c: pd.interval_range(0, len(c), periods=len(c)),
    "sparse": lambda c: pd.arrays.SparseArray(c.to_numpy()),
    "objects": lambda c: [object() for _ in c],
    "blank": lambda c: [None] * len(c),
    "constant": lambda c: [c.iloc[0]] * len(c),
    "truths": lambda c: c > c.median(),
    "mixed": lambda c: [v if i % 2 else str(v) for i, v in enumerate(c)],
    "dictionaries": lambda c: [{"a": v} for v in c],
}
#: What is done to a frame as a whole.
FRAMES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "no frame": lambda f: f.to_dict("list"),
    "a column": lambda f: f.iloc[:, 0],
    "numbers": lambda f: f.to_numpy(),
    "none": lambda f: None,
    "a column twice": lambda f: pd.concat([f, f.iloc[:, :1]], axis=1),
    "no rows": lambda f: f.iloc[:0],
    "one row": lambda f: f.iloc[:1],
    "no columns": lambda f: f.iloc[:, :0],
    "names of two levels": lambda f: f.set_axis(pd.MultiIndex.from_product([["a"], f.columns]), axis=1),
    "names are numbers": lambda f: f.set_axis(range(f.shape[1]), axis=1),
    "a reserved name": lambda f: f.rename(columns={"sleep": "reason"}),
    "a column less": lambda f: f.drop(columns="steps"),
    "rows twice": lambda f: pd.concat([f, f]),
    "index of two levels": lambda f: f.set_axis([np.arange(len(f)) // 2, np.arange(len(f)) % 2], axis=0),
    "index of nothing": lambda f: f.set_axis([None] * len(f), axis=0),
    "index of dates": lambda f: f.set_axis(pd.date_range("2024", periods=len(f)), axis=0),
}


def edited(value: Any, rng: random.Random) -> Any:
    """JSON with one entry replaced by something strange, or left out."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        copy = value.copy()
        key = rng.choice(list(copy)) if isinstance(copy, dict) else rng.randrange(len(copy))
        if rng.random() < 0.15:
            del copy[key]
        else:
            copy[key] = edited(copy[key], rng)
        return copy
    return rng.choice(STRANGE)


def reworded(content: bytes, suffix: str, rng: random.Random) -> bytes:
    """A table or a schema with something else in one place, or written in another way."""
    mark = b" " if suffix == ".toml" else b","
    match rng.choice(["cell", "cell", "cell", "line", "line twice", "mark", "code", "break", "wide"]):
        case "line":
            lines = content.splitlines(keepends=True)
            lines.pop(rng.choice([0, rng.randrange(len(lines))]))
            return b"".join(lines)
        case "line twice":
            lines = content.splitlines(keepends=True)
            return b"".join([*lines, rng.choice(lines)])
        case "mark":
            return content.replace(mark, rng.choice([b";", b"\t", b"|", b" ,"]))
        case "code":
            return content.decode().encode(rng.choice(["utf-16", "utf-8-sig", "utf-32", "cp037"]))
        case "break":
            return content.replace(b"\n", rng.choice([b"\r", b"\r\n", b"\n\n", b"\x00\n", b",\n"]))
        case "wide":
            return content.replace(b"\n", mark * 5000 + b"\n", 1)
    words = content.split(mark)
    words[rng.randrange(len(words))] = rng.choice(WORDS)
    return mark.join(words)


def damaged(content: bytes, how: str, path: Path, others: list[Path], rng: random.Random) -> bytes:
    """What a file holds after it was damaged in one way."""
    at = rng.randrange(len(content) or 1)
    match how:
        case "entry":
            lines = content.splitlines(keepends=True) if path.suffix == ".jsonl" else [content]
            place = rng.randrange(len(lines))
            try:
                entry = json.loads(lines[place])
            except ValueError:  # a sealed file: not JSON alone
                return content[:at]
            lines[place] = json.dumps(edited(entry, rng)).encode() + b"\n"
            return b"".join(lines)
        case "word":
            return reworded(content, path.suffix, rng)
        case "cut":
            return content[:at]
        case "bytes":
            return content[:at] + rng.randbytes(min(8, len(content) - at)) + content[at + 8 :]
        case "zeros":
            return bytes(len(content))
        case "doubled":
            return content + content
        case "swapped":
            return rng.choice(others).read_bytes()
        case "deep":
            return b"[" * 100_000 + b"]" * 100_000
        case "null":
            return b"null\n"
        case "large":
            return b"[" + b"0," * 10_000_000 + b"0]"
    return b""


def damage(path: Path, others: list[Path], rng: random.Random) -> str:
    """Damage one file; returns how."""
    if path.name == "frame.txt":  # the frame is made from what stands here
        path.write_text(str(rng.random()))
        return path.read_text()
    ways = ["empty", "cut", "bytes", "zeros", "doubled", "swapped", "deep", "null", "pipe", "folder", "absent", "large"]
    ways += ["entry"] * 12 if path.suffix in (".json", ".jsonl") and path.stat().st_size else []
    ways += ["word"] * 24 if path.suffix in (".toml", ".csv") else []
    how = rng.choice(ways)
    content = damaged(path.read_bytes(), how, path, others, rng)
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how != "absent":
        path.write_bytes(content)
    return how
