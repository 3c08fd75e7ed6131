"""`Report`: what a build read, and everything it could not use, counted and said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sensecf.core.errors import InputError

#: Examples kept for each reason, more for whole files; the counts are complete.
EXAMPLES, FILES = 3, 10


@dataclass
class Report:
    """Counts of a build; reports of parallel workers are added with `merge`.

    `seen`: what was read (people, files, records, ...), `rejected`: how many of each
    (what, why) were left out, with the first places in `examples`; `notes`: how often
    something was decided that a reader of the table should know.

    >>> from collections import Counter
    >>> sensecf.sensors.Report(seen=Counter(people=2)).seen["people"]
    2
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
        if len(places) < _kept(what) and where not in places:
            places.append(where)

    def merge(self, other: Report) -> None:
        """Add the counts of another report to this one."""
        self.seen += other.seen
        self.rejected += other.rejected
        self.notes += other.notes
        for key, places in other.examples.items():
            mine = self.examples.setdefault(key, [])
            mine += [place for place in places if place not in mine][: _kept(key[0]) - len(mine)]

    def count(self, what: str) -> int:
        """How many things of one sort ("file", "record", ...) were rejected for any reason."""
        return sum(n for (sort, _), n in self.rejected.items() if sort == what)

    def to_dict(self) -> dict[str, object]:
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
        return out + [f"note: {text} (× {n:,})" for text, n in self.notes.items() if n]


class NothingUsedError(InputError):
    """A build that used nothing of any file; `report` has the whole account."""

    def __init__(self, root: object, report: Report) -> None:
        files_first = sorted(report.rejected.items(), key=lambda item: item[0][0] != "file")
        why = [
            f"{', '.join(report.examples[key])}: {key[1]}" + (f" ({n:,} × {key[0]})" if n > 1 else "")
            for key, n in files_first
        ]
        why = why or [f"{text} (× {n:,})" for text, n in report.notes.items() if n]
        super().__init__(f"nothing could be used of {root}: {'; '.join(why) or 'its files hold no records'}")
        self.report = report


def _kept(what: str) -> int:
    return FILES if what == "file" else EXAMPLES
