"""Text in the encoding that it was saved in: UTF-8, or the one that a person names, chosen from how a word reads."""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import Path

from sensecf.core.errors import InputError

#: What spreadsheets save plain CSV in, by region; the first of those that read a word alike is offered.
ENCODINGS = ("cp1252", "cp1250", "mac_roman", "cp1251", "cp1253", "cp1255", "cp1256", "shift_jis", "gb18030")
#: Signs of units and numbers, which stand in words of any script.
SIGNS = "²³°µºª±–"
#: Bytes on each side of a strange one in which its word is looked for.
AROUND = 40


def check_encoding(encoding: str) -> None:
    """Raise `InputError` for what is no encoding of text."""
    try:
        "".encode(encoding or "utf-8")
    except LookupError:
        raise InputError(f"encoding {encoding!r} is unknown; use a name that Python knows, such as cp1252") from None


def decode(path: Path, content: bytes, encoding: str = "") -> str:
    """The text of a file, its line ends made newlines.

    `encoding`: what a person says; else UTF-8, or UTF-16 where its mark stands at the start. Raises `InputError` where
    the bytes are none of that, with what the strange word would be in others.

    >>> decode(Path("a.csv"), "schlaf;müde".encode("cp1252"), "cp1252")
    'schlaf;müde'
    """
    utf16 = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    said = encoding or ("utf-16" if utf16 else "utf-8-sig")
    try:
        text = content.decode(said)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"byte {error.start}, line {line}: 0x{content[error.start]:02X}"
        name = encoding or ("UTF-16" if utf16 else "UTF-8")
        raise InputError(f"{path} is not {name} text ({where}); {_readings(content, error.start, said)}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{path} holds a zero byte (line {line}), so it is no text; save it as UTF-8")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _readings(content: bytes, at: int, tried: str) -> str:
    """What the word at a byte would be in other encodings, where that is letters of one script and signs of units."""
    head = re.search(rb"[A-Za-z\x80-\xff]*\Z", content[max(at - AROUND, 0) : at])
    tail = re.match(rb"[A-Za-z\x80-\xff]*", content[at : at + AROUND])
    word = (head.group() if head else b"") + (tail.group() if tail else b"")
    found: dict[str, str] = {}
    for name in ENCODINGS:
        try:
            read = word.decode(name)
        except UnicodeDecodeError:
            continue
        letters = [one for one in read if one not in SIGNS]
        scripts = {unicodedata.name(letter, "?").split()[0] for letter in letters}
        if name != tried and all(letter.isalpha() for letter in letters) and len(scripts) <= 1:
            found.setdefault(read, name)
    offers = [f"--encoding {name} reads {read!r} there" for read, name in found.items()]
    return "; ".join([*offers[:4], "or save it as UTF-8"]) if offers else "save it as UTF-8"
