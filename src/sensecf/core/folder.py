"""The folder of a run: claimed before it begins, whole files only, and only its own files removed."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sensecf.core.errors import InputError
from sensecf.core.files import write_json
from sensecf.core.kept import Json, read_record

#: Longest name of a file or folder, in bytes; temporary files need a few more.
LONGEST_NAME = 230
#: What a run leaves in its folder; `--overwrite` removes these files and nothing else.
FILES = (
    "run.json",
    "counterfactuals.csv",
    "counterfactuals.parquet",
    "factuals.csv",
    "held_out.csv",
    "people.csv",
    "schema.toml",
    "metrics.json",
    "report.html",
    "people/*.html",
    "figures/*.svg",
    "figures/*.pdf",
    "model_answers.csv",
    "card.json",
    "task/task.json",
    "task/schema.toml",
    "task/train.csv",
    "task/classifier.skops",
    "task/jury.json",
    "task/jury.skops",
    "task/hold.json",
    "task/*/tiny.json",
    "task/*/model.safetensors",
)
#: What it keeps there until it is complete.
UNFINISHED = ("unfinished/request.json", "unfinished/*/batch-*.npz", "unfinished/part-*.*")


@contextmanager
def claimed(folder: Path, asked: Mapping[str, object], overwrite: bool) -> Iterator[None]:
    """A folder for what is asked: new, of an older run that may go, or of the same request, unfinished.

    Where the block ends with an `InputError`, the folder is left as it was found.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder with --out")
    note = folder / UNFINISHED[0]
    resumed = not (folder / "run.json").exists() and _record(note) == json.loads(json.dumps(asked))
    if not resumed:
        _check_free(folder, overwrite)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        remove(folder, [_temporary(name) for name in (*FILES, *UNFINISHED)])
        if not resumed:
            remove(folder, UNFINISHED)
            write_json(note, asked)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); choose another --out") from error
    try:
        yield
    except InputError:
        if not resumed:
            remove(folder, UNFINISHED)
            for path in made:
                if not any(path.iterdir()):
                    path.rmdir()
        raise


def named(out: str | Path) -> Path:
    """The path of a folder or file to write.

    Raises `InputError` for no name, for one that no disk takes, and for what an unset variable or a quoted "~" makes of
    a name: the root of the file system, and a folder called "~".
    """
    if not str(out).strip():
        raise InputError("--out is empty; name what to write (. is the current folder)")
    if str(out).startswith("~"):
        raise InputError(f"--out {out}: no shell has put a home folder in place of ~; write the path out, or ./{out}")
    if len(Path(out).resolve().parts) == 1:
        raise InputError(f"--out {out} is the root of the file system; name a folder below it")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in Path(out).parts):
        raise InputError(f"--out: a name has at most {LONGEST_NAME} bytes; choose a shorter one")
    return Path(out)


def belongs(path: Path, folder: Path) -> bool:
    """Whether an existing file has the place of one that a run in `folder` writes."""
    return path.exists() and any(path.samefile(own) for pattern in FILES for own in folder.glob(pattern))


def _check_free(folder: Path, overwrite: bool) -> None:
    """Raise `InputError` when the folder holds what a run would replace and may not."""
    found = [path.relative_to(folder) for pattern in (*FILES, *UNFINISHED) for path in folder.glob(pattern)]
    if not found:
        return
    done, begun = _record(folder / "run.json"), _record(folder / UNFINISHED[0])
    if "sensecf" not in {*done, *begun}:
        raise InputError(f"{folder} holds {found[0]}, which is of no run of sensecf; choose another --out")
    if not overwrite:
        what = "another run" if done else "an unfinished run of another request"
        raise InputError(f"{folder} holds {what}; choose another --out or add --overwrite")


def _temporary(name: str) -> str:
    """The pattern of what `files.replacing` leaves of a file when the process is killed."""
    path = Path(name)
    return str(path.with_name(f".{path.name}.????????{path.suffix}"))


def _record(path: Path) -> Json:
    """A JSON object from a file, empty where there is none."""
    try:
        return read_record(path, Json)
    except InputError:  # absent or damaged
        return {}


def remove(folder: Path, patterns: Collection[str]) -> None:
    """Remove the files that match, and the folders below `folder` that this leaves empty."""
    for pattern in patterns:
        for path in list(folder.glob(pattern)):
            path.unlink()
            while (path := path.parent) != folder and not any(path.iterdir()):
                path.rmdir()
