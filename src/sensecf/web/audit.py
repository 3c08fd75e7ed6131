"""What people decide about plans: a log that is only ever added to.

One JSON object per line, written to the disk before the page says so. Each line holds the hash of
the one before it, so that a line changed or taken out later shows.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sensecf.errors import InputError

FILE = "decisions.jsonl"
#: What can be done with a plan.
ACTIONS = ("bookmark", "note", "sign off", "reject")
#: Longest name and longest note, in characters.
MAX_NAME, MAX_NOTE = 80, 2000


class Journal:
    """The log in one folder. Raises `InputError` when the file that is there is damaged or cannot be written."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / FILE
        self._lock = threading.Lock()
        self.entries: list[dict[str, Any]] = []
        self._last, self._size = "", 0
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        content = self.path.read_bytes()
        self._size = len(content)
        for number, line in enumerate(content.splitlines(), start=1):
            try:
                entry = json.loads(line)
                whole = isinstance(entry, dict) and entry["previous"] == self._last
            except (ValueError, KeyError):
                whole = False
            if not whole:
                raise InputError(
                    f"{self.path}, line {number}: the line, or one before it, was changed or cut off; "
                    "put the file back as it was, or move it away to begin a new one"
                )
            self.entries.append(entry)
            self._last = hashlib.sha256(line).hexdigest()

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
                "time": datetime.now(UTC).isoformat(timespec="seconds"), "who": who, "action": action, "note": note,
                "plan": plan, "previous": self._last,
            }  # fmt: skip
            line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode()
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab") as file:
                    if file.tell() != self._size:
                        raise InputError(f"{self.path} was written by somebody else meanwhile; start the page again")
                    file.write(line + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise InputError(f"{self.path} cannot be written ({error.strerror}); nothing was kept") from error
            self._last, self._size = hashlib.sha256(line).hexdigest(), self._size + len(line) + 1
            self.entries.append(entry)
        return entry

    def of_plan(self, plan: str) -> list[dict[str, Any]]:
        """The entries about one plan, oldest first."""
        return [entry for entry in self.entries if entry["plan"]["plan"] == plan]
