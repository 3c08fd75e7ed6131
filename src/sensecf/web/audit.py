"""What people decide about plans: a log that is only ever added to.

One JSON object per line, written to the disk before the page says so. Each line holds the hash of the one before
it and a code that takes the key in `decisions.key` to make; that file also holds how many lines there are and the
hash of the last one. So a line that was changed, taken out or added by anybody without the key shows, and so does a
log that was shortened, emptied or chained anew. Whoever can read and write both files can make another log.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from sensecf.core.errors import InputError
from sensecf.core.files import replacing
from sensecf.core.kept import Count, append, lock, parse, read_bytes, read_record

FILE, KEY = "decisions.jsonl", "decisions.key"
#: What can be done with a plan.
ACTIONS = ("bookmark", "note", "sign off", "reject")
#: Longest name and longest note, in characters.
MAX_NAME, MAX_NOTE = 80, 2000
#: Largest log that is read, in bytes.
LARGEST = 2**31


class _Head(TypedDict):
    """`decisions.key`: the key, how many lines the log has, and the hash of the last."""

    key: str
    entries: Count
    last: str


class Journal:
    """The log in one folder.

    `notice`: what was mended on opening, empty where nothing was. Raises `InputError` when the log was changed, is
    damaged or cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path, self._head = Path(folder) / FILE, Path(folder) / KEY
        self._lock = threading.Lock()
        self.entries: list[dict[str, Any]] = []
        self.notice = ""
        self._key, self._last, self._size = "", "", 0
        if self.path.exists() or self._head.exists():
            self._read()

    def _read(self) -> None:
        """Take the log as it is; a line that was being written when the power went or the disk was full is cut off."""
        away = f"put it back as it was, or move {FILE} and {KEY} away to begin a new log"
        if not self._head.exists():
            raise InputError(f"{self._head} is absent, so nobody can tell whether {self.path} was changed; {away}")
        head = read_record(self._head, _Head)
        self._key = head["key"]
        content = read_bytes(self.path, LARGEST) if self.path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        known = head["entries"] == 0
        for number, line in enumerate(whole.splitlines(), start=1):
            self.entries.append(self._checked(line, number, away))
            self._last = hashlib.sha256(line).hexdigest()
            known = known or (number == head["entries"] and self._last == head["last"])
        if not known or len(self.entries) > head["entries"] + 1:
            raise InputError(
                f"{self.path} has {len(self.entries)} decisions and {head['entries']} were kept, or the last ones are "
                f"others: it was changed or cut off; {away}"
            )
        self._size = len(whole)
        if len(whole) < len(content):
            with self.path.open("rb+") as file:
                file.truncate(self._size)
            self.notice = f"{self.path}: a decision that was not written to its end was cut off; nothing kept is lost"
        if len(self.entries) != head["entries"]:  # written, and stopped before it was counted
            self._keep_head()

    def _checked(self, line: bytes, number: int, away: str) -> dict[str, Any]:
        where = f"{self.path}, line {number}"
        try:
            entry = parse(line, where)
        except InputError as error:
            raise InputError(f"{error}; {away}") from error
        code = entry.pop("code", None) if isinstance(entry, dict) else None
        fits = isinstance(code, str) and hmac.compare_digest(code.encode(), self._code(entry).encode())
        if not fits or entry["previous"] != self._last:
            raise InputError(f"{where}: the line, or one before it, was changed or cut off; {away}")
        return dict(entry)

    def _code(self, entry: dict[str, Any]) -> str:
        content = json.dumps(entry, ensure_ascii=True, sort_keys=True).encode()
        return hmac.new(self._key.encode(), content, hashlib.sha256).hexdigest()

    def _keep_head(self) -> None:
        head = {"key": self._key, "entries": len(self.entries), "last": self._last}
        with replacing(self._head, mode=0o600) as temporary:
            temporary.write_text(json.dumps(head), encoding="utf-8")

    def append(self, who: str, action: str, plan: dict[str, Any], note: str = "") -> dict[str, Any]:
        """Add one entry; returns it once it is on the disk.

        Raises `InputError` for no name, an unknown action, a rejection without a reason, an empty note,
        texts that are too long, and a disk that refuses.
        """
        who, note = who.strip(), note.strip()
        if not who:
            raise InputError("Say who you are: the log needs a name.")
        if action not in ACTIONS:
            raise InputError(f"{action!r} is unknown; use {', '.join(ACTIONS)}")
        if action == "reject" and not note:
            raise InputError("Say why: a rejection needs a reason.")
        if action == "note" and not note:
            raise InputError("The note is empty.")
        if len(who) > MAX_NAME or len(note) > MAX_NOTE:
            raise InputError(f"A name has at most {MAX_NAME} characters, a note {MAX_NOTE:,}.")
        with self._lock:
            entry = {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "who": who,
                "action": action,
                "note": note,
                "plan": plan,
                "previous": self._last,
            }
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._add(entry)
            except OSError as error:
                raise InputError(f"{self.path} cannot be written ({error.strerror}); nothing was kept") from error
        return entry

    def _add(self, entry: dict[str, Any]) -> None:
        """Write a line and then the head that counts it; where either fails, the log is as it was."""
        before, count = self._last, len(self.entries)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        try:
            lock(file, wait=True)
            if os.fstat(file).st_size != self._size:
                raise InputError(f"{self.path} was written by somebody else meanwhile; start the page again")
            if not self._key:
                self._key = secrets.token_hex(32)
                self._keep_head()
            line = json.dumps({**entry, "code": self._code(entry)}, ensure_ascii=False, allow_nan=False).encode()
            append(file, line + b"\n")
            try:
                os.fsync(file)
                self.entries.append(entry)
                self._last = hashlib.sha256(line).hexdigest()
                self._keep_head()
            except OSError:
                os.ftruncate(file, self._size)
                self._last = before
                del self.entries[count:]
                raise
        finally:
            os.close(file)
        self._size += len(line) + 1

    def of_plan(self, plan: str) -> list[dict[str, Any]]:
        """The entries about one plan, oldest first."""
        return [entry for entry in self.entries if entry["plan"]["plan"] == plan]
