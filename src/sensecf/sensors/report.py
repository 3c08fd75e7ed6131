"""`Report`: what a build read, and everything it could not use, counted and said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

#: Examples kept for each reason; the counts are complete.
EXAMPLES = 3


@dataclass
class Report:
    """Counts of a build; reports of parallel workers are added with `merge`.

    `seen`: what was read (people, files, records, ...), `rejected`: how many of each
    (what, why) were left out, with the first places in `examples`; `notes`: how often
    something was decided that a reader of the table should know.
    """

    seen: Counter[str] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)

    def reject(self, what: str, why: str, where: str, count: int = 1) -> None:
        """Count `count` rejected things: "record", "reading is a sentinel", "0001_stress.json"."""
        if count <= 0:
            return
        key = (what, why)
        self.rejected[key] += count
        places = self.examples.setdefault(key, [])
        if len(places) < EXAMPLES and where not in places:
            places.append(where)

    def merge(self, other: Report) -> None:
        """Add the counts of another report to this one."""
        self.seen += other.seen
        self.rejected += other.rejected
        self.notes += other.notes
        for key, places in other.examples.items():
            mine = self.examples.setdefault(key, [])
            mine += [place for place in places if place not in mine][: EXAMPLES - len(mine)]

    def count(self, what: str) -> int:
        """How many things of one sort ("file", "record", ...) were rejected for any reason."""
        return sum(n for (sort, _), n in self.rejected.items() if sort == what)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, most frequent reasons first."""
        return {
            "seen": dict(self.seen),
            "rejected": [
                {"what": what, "why": why, "count": n, "examples": self.examples[what, why]}
                for (what, why), n in self.rejected.most_common()
            ],
            "notes": dict(self.notes),
        }

    def lines(self) -> list[str]:
        """The report as people read it, one fact a line."""
        out = ["read: " + ", ".join(f"{n:,} {name}" for name, n in self.seen.items())] if self.seen else []
        for (what, why), n in self.rejected.most_common():
            out.append(f"left out: {n:,} × {what}: {why} (for example {', '.join(self.examples[what, why])})")
        return out + [f"note: {text} (× {n:,})" for text, n in self.notes.items()]
