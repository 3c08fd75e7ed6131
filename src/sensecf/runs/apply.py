"""Answers for people who come later: a finished run asked about a table of any size, part by part.

Nothing is fitted anew. A part is read, answered and written before the next one is read, so that memory holds
one part; finished parts are kept until the last, so that an interrupted call goes on where it stopped.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.errors import InputError, MissingExtraError
from sensecf.core.files import replacing, write_json
from sensecf.core.folder import FILES, UNFINISHED, claimed, named, remove
from sensecf.core.kept import read_sealed, write_sealed
from sensecf.core.people import PERSON, Counted, noun_of
from sensecf.core.schema import Value
from sensecf.core.task import Task
from sensecf.core.version import __version__
from sensecf.data.privacy_gate import permission
from sensecf.data.tables import read_parts
from sensecf.data.whose import whose
from sensecf.pipeline.explain import explain
from sensecf.runs.experiment import QUIETLY, Call, Progress
from sensecf.runs.facts import AnswerAsked, AnswerFacts, PartCounts
from sensecf.runs.finished import Finished
from sensecf.runs.run import RunSpec, check, versions

if TYPE_CHECKING:
    import pandas as pd

    from sensecf.data.card import Card

#: Rows answered and written together.
PART = 65_536
#: The formats that answers are written in.
FORMATS = ("csv", "parquet")


@dataclass(frozen=True)
class Layout:
    """How a table is read and its answers are written: `form` is a format of `FORMATS`, `part` the rows in memory at a
    time where the table is Parquet, `marks` are `MARKS` of `read_table`."""

    form: str = "csv"
    part: int = PART
    marks: Mapping[str, str] = field(default_factory=dict)


#: The layout where nothing is said of it.
USUAL = Layout()


def answer(
    finished: Finished,
    table: str | Path,
    out: str | Path,
    request: RunSpec | None = None,
    *,
    layout: Layout = USUAL,
    card: Card | None = None,
    call: Call = QUIETLY,
) -> AnswerFacts:
    """Answer every row of the file `table` into the folder `out`; returns the facts of its `run.json`.

    `counterfactuals.csv` (or `.parquet`, by the layout) has the columns of `explain`'s; `query` is the number of the
    row in the table, from 0. Rows outside the schema's ranges get a reason and no answer. `request`: what is
    wished, by default what the run was asked. The same table, request and layout give the same answers.
    Raises `InputError` for what cannot be used, before anything is written.
    """
    task, path, folder = finished.task, Path(table), named(out)
    request = finished.request if request is None else request
    check(request, task.schema)
    request = replace(request, limits=request.limits.settled(task.schema))
    _check_form(layout.form)
    permission(call.engine.host, card, call.engine.allows)
    goal = task.schema.find_class(task.default_target() if request.target is None else request.target)
    read = partial(read_parts, path, layout.part, task.schema, **layout.marks)
    rows, people, noun = _seen(task, read)
    _check_whole(path, rows, layout.part if request.per == "person" else rows)
    asked: AnswerAsked = {
        "n": request.n,
        **request.limits.to_dict(),
        "plausibility": request.plausibility,
        "seed": request.seed,
        "target": goal,
        "generator": request.generator,
        "per": request.per,
        "days": request.days,
        "table": _hash(path),
        "rows": rows,
        "people": people,
        "rows_are": noun,
        "part": layout.part,
        "format": layout.form,
        "task": finished.identity,
        "sensecf": __version__,
    }
    asked |= cast(AnswerAsked, layout.marks)
    with claimed(folder, asked, call.overwrite):
        job = _Job(finished, request, goal, folder, layout.form, json.dumps(asked), rows, call)
        counted = _parts(job, read())
        call.progress("measuring", 0.0)
        remove(folder, FILES)
        _join([job.kept(number) for number in range(len(counted))], folder / f"counterfactuals.{layout.form}")
        _take_people(job)
        facts = cast(AnswerFacts, {**asked, **_summed(counted)})
        if card is not None:
            card.save(folder)
        write_json(folder / "run.json", {**facts, "versions": versions()})
        remove(folder, UNFINISHED)
        call.progress("measuring", 1.0)
    return facts


def _check_form(form: str) -> None:
    """Raise `InputError` for a format that is none, or that cannot be written here."""
    if form not in FORMATS:
        raise InputError(f"format {form!r} is unknown; use {' or '.join(FORMATS)}")
    if form == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("writing Parquet needs pyarrow; run pip install 'sensecf[parquet]' or choose csv")


def _check_whole(path: Path, rows: int, part: int) -> None:
    """Raise `InputError` for a table of which a person's rows may lie in two parts."""
    if rows > part:
        raise InputError(
            f"{path} has {rows:,} rows, which are answered {part:,} at a time, and a plan for a person needs all rows "
            "of theirs; cut the table into files by person, or ask with --per row"
        )


@dataclass(frozen=True)
class _Job:
    """What all parts of a table share. `mark`: what was asked; `rows`: how many the table has."""

    finished: Finished
    request: RunSpec
    goal: Value
    folder: Path
    form: str
    mark: str
    rows: int
    call: Call

    def kept(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / "unfinished" / f"part-{number:06d}.{self.form}"

    @property
    def people(self) -> Path:
        """The table of people, where plans are for them: all rows are in one part then."""
        return self.folder / "unfinished" / "part-people.csv"


def _summed(counted: Sequence[PartCounts]) -> PartCounts:
    """What all parts count together."""
    first, *others = counted
    total = cast(dict[str, float], first)
    for counts in cast(list[dict[str, float]], others):
        total = {name: total[name] + counts[name] for name in total}
    return cast(PartCounts, total)


def _parts(job: _Job, frames: Iterator[pd.DataFrame]) -> list[PartCounts]:
    """What every part counts, answered one after the other."""
    counted, begin = [], 0
    for number, frame in enumerate(frames):
        counted.append(_part(job, number, frame, begin))
        begin += len(frame)
        job.call.progress("answers", begin / job.rows)
    return counted


def _part(job: _Job, number: int, frame: pd.DataFrame, begin: int) -> PartCounts:
    """Answer a part, unless it is answered already, and say what it counts; `begin` rows came before it."""
    kept, finished = job.kept(number), job.finished
    if _kept(kept, job.mark) is None:
        answers = explain(
            finished.task,
            finished.generator,
            frame,
            job.goal,
            **job.request.wishes,
            fallback=finished.fallback,
            strict=False,
            checkpoint=kept.with_suffix(""),
            progress=_within(job.call.progress, begin, len(frame), job.rows),
            engine=job.call.engine,
        )
        if len(answers.people):
            with replacing(job.people) as path:
                answers.people.to_csv(path, index=False)
        _keep(answers, kept, job.mark)
        remove(job.folder, [f"unfinished/{kept.stem}/batch-*.npz"])
    counts = _kept(kept, job.mark)
    if counts is None:
        raise OSError(errno.EIO, "cannot be read back as it was written", str(kept))
    return counts


def _seen(task: Task, read: Callable[[], Iterator[pd.DataFrame]]) -> Counted:
    """How many rows of how many people the table has, all of which can be read; what a row is, by its first part.

    Raises `InputError` for one that cannot.
    """
    count, people, noun = 0, set(), ""
    named = False
    for frame in read():
        task.codec.encode(frame)
        ids = whose(task.schema, frame)
        noun = noun or noun_of(ids)
        if PERSON in ids:
            named = True
            people |= set(ids[PERSON].unique())
        count += len(frame)
    return Counted(count, len(people) if named else None, noun)


def _take_people(job: _Job) -> None:
    """Put the table of people, where there is one, into the folder."""
    if job.people.exists():
        with replacing(job.folder / "people.csv") as path:
            shutil.copyfile(job.people, path)


def _within(say: Progress, begin: int, size: int, rows: int) -> Callable[[int, int], None]:
    """The progress of a part as that of the whole; equal rows are answered once, so shares count."""
    return lambda done, total: say("answers", (begin + size * done / total) / rows)


def _kept(path: Path, mark: str) -> PartCounts | None:
    """What a part counts; None where it is absent, damaged, or an answer to something else: it is made again."""
    counts = read_sealed(path.with_suffix(".json"), mark)
    if counts is None or not path.is_file():
        return None
    found = json.loads(counts)
    return cast(PartCounts, found) if found.pop("sha256") == _hash(path) else None


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(answers: Counterfactuals, path: Path, mark: str) -> None:
    """Write a part and then what it counts, with its hash."""
    found, frame = answers.answers, answers.frame
    counts: PartCounts = {
        "answers": len(found),
        "rows_answered": int(found["query"].nunique()),
        "rows_in_target": int(found.loc[found["n_changed"] == 0, "query"].nunique()),
        "abstentions": int(frame["rank"].isna().sum()),
        "plausible": int(found["plausible"].sum()),
        "changes": int(found["n_changed"].sum()),
        "classifier_rows": answers.cost["classifier_rows"],
        "seconds": round(answers.cost["seconds"], 3),
    }
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)
    write_sealed(path.with_suffix(".json"), json.dumps({**counts, "sha256": _hash(path)}).encode(), mark)


def _join(parts: list[Path], target: Path) -> None:
    """One file of all parts: lines after one header, or a row group for each part."""
    with replacing(target) as temporary:
        if target.suffix == ".csv":
            with temporary.open("wb") as file:
                for number, part in enumerate(parts):
                    with part.open("rb") as lines:
                        if number:
                            lines.readline()
                        shutil.copyfileobj(lines, file)
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        # A column without a value in one part, or whole numbers in one part only, take the type of the others.
        schema = pa.unify_schemas([pq.read_schema(part) for part in parts], promote_options="permissive")
        with pq.ParquetWriter(temporary, schema) as writer:
            for part in parts:
                writer.write_table(pq.read_table(part).cast(schema))
