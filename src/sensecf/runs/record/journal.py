"""What people decide about plans, and what comes of it: a log that is only ever added to.

One JSON object per line, written to the disk before the page says so. Each line holds the hash of the one before
it and a code that takes the key in `decisions.key` to make; that file also holds how many lines there are and the
hash of the last one. So a line that was changed, taken out or added by anybody without the key shows, the last line
included, and so does a log that was shortened, emptied or chained anew. Whoever can read and write both files can make
another log; the hash of the last line (`seal`), noted elsewhere, shows that too.

Every entry has `time` (UTC), `who`, `kind` and `previous`; what else it has, its kind says (`KINDS`; an entry without a
kind is a decision):

decision: `action` (one of `ACTIONS`), `note`, `plan` (as data, at least its id under `plan`), `bound` (see `Bound`).
limits: `person`, `limits` (`Limits.to_dict`), `effort` (by feature), `fingerprint` (see `bound.fingerprint`), `note`.
plan: `person`, `plan`, `bound`, `origin` ("asked", or "own": put together by hand).
follow: `person`, `table` (hash of the file), `rows`, `plan` (its id, or null), `found` (what `follow` says of them).
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
from typing import Any, Literal, TypedDict

from sensecf.core.errors import InputError
from sensecf.core.files import replacing
from sensecf.core.kept import Count, append, check_type, lock, parse, read_bytes, read_record
from sensecf.runs.record.bound import Bound, Data
from sensecf.runs.record.standing import ACTIONS, REASONED, Standing, standing

FILE, KEY = "decisions.jsonl", "decisions.key"
#: Longest name and longest note, in characters.
MAX_NAME, MAX_NOTE = 80, 2000
#: Largest log that is read, in bytes.
LARGEST = 2**31


class LimitsEntry(TypedDict):
    """The limits of a person, until the next entry of this kind; `effort`: easy, normal or hard by feature."""

    person: str
    limits: Data
    effort: dict[str, str]
    fingerprint: str
    note: str


class PlanEntry(TypedDict):
    """A plan that is kept, so that it is found again; `origin` "own" was put together by hand."""

    person: str
    plan: Data
    bound: Data
    origin: Literal["asked", "own"]


class FollowEntry(TypedDict):
    """What came of a person's plan; see `follow`."""

    person: str
    table: str
    rows: Count
    plan: str | None
    found: Data


#: Kinds of entries beside decisions, and what each holds; another kind is one more line here.
KINDS: dict[str, type] = {"limits": LimitsEntry, "plan": PlanEntry, "follow": FollowEntry}


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
        self.entries: list[Data] = []
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

    def _checked(self, line: bytes, number: int, away: str) -> Data:
        where = f"{self.path}, line {number}"
        try:
            entry = parse(line, where)
        except InputError as error:
            raise InputError(f"{error}; {away}") from error
        code = entry.pop("code", None) if isinstance(entry, dict) else None
        fits = isinstance(code, str) and hmac.compare_digest(code.encode(), self._code(entry).encode())
        if not fits or entry["previous"] != self._last:
            raise InputError(f"{where}: the line, or one before it, was changed or cut off; {away}")
        return {"kind": "decision", **entry}

    def _code(self, entry: Data) -> str:
        content = json.dumps(entry, ensure_ascii=True, sort_keys=True).encode()
        return hmac.new(self._key.encode(), content, hashlib.sha256).hexdigest()

    def _keep_head(self) -> None:
        head = {"key": self._key, "entries": len(self.entries), "last": self._last}
        with replacing(self._head, mode=0o600) as temporary:
            temporary.write_text(json.dumps(head), encoding="utf-8")

    def append(self, who: str, action: str, plan: Data, note: str = "", bound: Bound | None = None) -> Data:
        """Add one decision about a plan; returns it once it is on the disk.

        `bound`: what the plan is tied to. Raises `InputError` for no name, an unknown action, a rejection or a stop
        without a reason, an empty note, texts that are too long, a decision that cannot follow (see
        `Standing.refuse`), and a disk that refuses.
        """
        who, note = _name(who), note.strip()
        if action not in ACTIONS:
            raise InputError(f"{action!r} is unknown; use {', '.join(ACTIONS)}")
        if action in REASONED and not note:
            raise InputError("Say why: a rejection or a stop needs a reason.")
        if action == "note" and not note:
            raise InputError("The note is empty.")
        if len(note) > MAX_NOTE:
            raise InputError(f"A note has at most {MAX_NOTE:,} characters.")
        self.standing(str(plan.get("plan", ""))).refuse(who, action)
        tied = {} if bound is None else {"bound": bound.to_dict()}
        return self._write({"who": who, "kind": "decision", "action": action, "note": note, "plan": plan} | tied)

    def add(self, kind: str, who: str, content: Data) -> Data:
        """Add one entry of a kind of `KINDS`; returns it once it is on the disk.

        Raises `InputError` for no name, an unknown kind, content that is not of its kind, and a disk that refuses.
        """
        if kind not in KINDS:
            raise InputError(f"kind {kind!r} is unknown; use {', '.join(KINDS)}, or append for a decision")
        check_type(content, KINDS[kind], kind)
        return self._write({"who": _name(who), "kind": kind, **content})

    def _write(self, content: Data) -> Data:
        with self._lock:
            entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **content, "previous": self._last}
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._add(entry)
            except OSError as error:
                raise InputError(f"{self.path} cannot be written ({error.strerror}); nothing was kept") from error
        return entry

    def _add(self, entry: Data) -> None:
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

    @property
    def seal(self) -> str:
        """The hash of the last line, "" for an empty log: whoever notes it elsewhere can tell another log from this."""
        return self._last

    def of_kind(self, kind: str, person: str | None = None) -> list[Data]:
        """The entries of a kind, oldest first, of everybody or of one person."""
        found = [entry for entry in self.entries if entry["kind"] == kind]
        return [entry for entry in found if person is None or _person(entry) == person]

    def of_plan(self, plan: str) -> list[Data]:
        """The decisions about one plan, oldest first."""
        return [entry for entry in self.of_kind("decision") if entry["plan"]["plan"] == plan]

    def plan(self, identity: str) -> Data | None:
        """A kept plan as data, by its id, whichever entry keeps it; None where none does."""
        kept = [e["plan"] for e in self.entries if e["kind"] in ("decision", "plan") and e["plan"]["plan"] == identity]
        return kept[-1] if kept else None

    def limits(self, person: str) -> Data | None:
        """The newest limits of a person, as the whole entry; None where nobody set any."""
        found = self.of_kind("limits", person)
        return found[-1] if found else None

    def standing(self, plan: str) -> Standing:
        """Where a plan stands."""
        return standing(self.of_plan(plan))


def _person(entry: Data) -> Any:
    return entry["plan"].get("person") if entry["kind"] == "decision" else entry.get("person")


def _name(who: str) -> str:
    who = who.strip()
    if not who:
        raise InputError("Say who you are: the log needs a name.")
    if len(who) > MAX_NAME:
        raise InputError(f"A name has at most {MAX_NAME} characters.")
    return who
