"""Tasks saved and loaded without pickle.

A saved task is a folder: `schema.toml`, `train.csv`, `classifier.skops` (where the classifier can
be written) and `task.json`, which holds the hashes of the others, is written last and read first.

Hashes find damage and accidents, not forgery. What keeps a stranger's folder from running code, or from ending
the process, is `saved_classifier`.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

import numpy as np
import pandas as pd

from sensecf.classifiers.fit import fit_classifier
from sensecf.classifiers.foreign import NamedClasses
from sensecf.classifiers.saved_classifier import KNOWN_TYPES, pack, remember, unpack
from sensecf.core.codec import Codec
from sensecf.core.errors import InputError
from sensecf.core.files import replacing, write_json
from sensecf.core.kept import Json, check_type, read_bytes, read_record
from sensecf.core.rules import Floats
from sensecf.core.schema import FeatureSchema, Value
from sensecf.core.task import Classifier, Task
from sensecf.core.version import __version__

#: Training rows whose probabilities are kept, to see on loading that the classifier is the same.
PROBES = 16

#: Largest difference in a probability that other processors and libraries may make.
PROBE_TOLERANCE = 1e-6

_FORMAT = 1
#: Largest file of a saved task, in bytes.
_LARGEST = 2**32
_RECORD, _SCHEMA, _TRAIN, _CLASSIFIER = "task.json", "schema.toml", "train.csv", "classifier.skops"


class _Skops(TypedDict):
    """What `task.json` says of a classifier that has a file."""

    kept: Literal["skops"]
    type: str


class _Spec(TypedDict):
    """Of one that is code with a name; `classes`: what it calls 0, 1, ..., where that was said."""

    kept: Literal["spec"]
    type: str
    spec: str
    classes: NotRequired[list[Value]]


class _Nothing(TypedDict):
    """Of one that could not be saved."""

    kept: Literal["nothing"]
    type: str
    reason: str


class _Record(TypedDict):
    """`task.json`."""

    format: int
    classes: list[Value]
    group_dtype: Literal["int64", "float64", "str"] | None
    data_hash: str
    classifier: _Skops | _Spec | _Nothing
    probe: list[list[float]]
    sha256: dict[str, str]
    versions: dict[str, str]


def data_hash(frame: pd.DataFrame) -> str:
    """SHA-256 over the columns of a table in order: names, values, blanks; not the index.

    Numbers count as float64 whatever their dtype (5 and 5.0 are equal), text never equals a number.
    """
    digest = hashlib.sha256()
    for name, column in frame.items():
        digest.update(json.dumps([str(name), len(column)]).encode())
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            # One zero and one NaN: both have several bit patterns.
            digest.update(np.where(np.isnan(values), np.nan, values + 0.0).astype("<f8").tobytes())
        else:
            blank = column.isna().tolist()
            cells = [None if b else v for b, v in zip(blank, column.tolist(), strict=True)]
            digest.update(json.dumps(cells, default=str).encode())
    return digest.hexdigest()


def save_task(task: Task, directory: str | Path, classifier_spec: str | None = None) -> None:
    """Save a task as a folder that `load_task` reads; an older one in its place is replaced.

    Only the schema's columns of the training rows are kept: features, label, group.
    `classifier_spec` is the `module:object` that the classifier came from. It is what is kept when
    skops cannot write the classifier, or only with types that a loader does not know. Without it a
    classifier that cannot be written must be given to `load_task` again.
    Raises `InputError` when the training rows would not read back exactly, or the classifier breaks its contract.

    >>> sensecf.save_task(task, folder / "saved")
    >>> sensecf.load_task(folder / "saved").schema.label
    'stress'
    """
    task.check()
    directory = Path(directory)
    (directory / _RECORD).unlink(missing_ok=True)  # from here on the folder is no task, until all is there
    task.schema.to_toml(directory / _SCHEMA)

    group = _group_dtype(task)
    content = data_hash(_train_frame(task.codec, task.rows, _labels(task), _group(task, group)))
    _write_train(task, directory / _TRAIN, group)
    if not _reads_back(task, directory / _TRAIN, group, content):
        raise InputError(
            "the training rows cannot be saved exactly: a level or class is empty text, or two of them print "
            "alike; rename it in the table and the schema"
        )

    classifier, data = _describe_classifier(task, classifier_spec)
    if data is None:
        (directory / _CLASSIFIER).unlink(missing_ok=True)
    else:
        with replacing(directory / _CLASSIFIER) as temporary:
            temporary.write_bytes(data)
        remember(data)
    files = [_SCHEMA, _TRAIN] + ([] if data is None else [_CLASSIFIER])
    write_json(
        directory / _RECORD,
        {
            "format": _FORMAT,
            "classes": task.classes,
            "group_dtype": group,
            "data_hash": content,
            "classifier": classifier,
            "probe": _probe(task, task.classifier).tolist(),
            "sha256": {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in files},
            "versions": _versions(),
        },
    )


def load_task(
    directory: str | Path, classifier: Any = None, trusted: Collection[str] = (), trust: bool = False
) -> Task:
    """The task saved in a folder, or in the `task` folder of a run.

    `classifier`: the fitted object, or its `module:object`, where it could not be saved.
    `trusted`: full names of further types that the saved classifier may consist of, or the
    `module:object` that it is read from. Name only what you know: it is code that will run.
    `trust`: take the saved classifier's contents as they are; those of a folder that was not written here are
    otherwise looked into first, and refused where they cannot be.

    Raises `InputError` when the folder is no complete task, a file was changed after saving, a type
    is not trusted, or the classifier does not answer as it did when it was saved.
    """
    directory = Path(directory)
    if not (directory / _RECORD).exists() and (directory / "task" / _RECORD).exists():
        directory = directory / "task"
    record = _read_record(directory)
    saved = record["classifier"]
    for name in (_SCHEMA, _TRAIN):
        _verified(directory, name, record)
    schema = FeatureSchema.from_toml(directory / _SCHEMA)
    train = _train_of(directory, Codec(schema), record)
    if classifier is not None:
        named = saved.get("classes", ()) if saved["kept"] == "spec" else ()
        classifier = fit_classifier(classifier, schema, train, classes=named)
    elif saved["kept"] == "skops":
        classifier = unpack(directory / _CLASSIFIER, _verified(directory, _CLASSIFIER, record), trusted, trust)
    elif saved["kept"] == "spec" and saved["spec"] in trusted:
        classifier = fit_classifier(saved["spec"], schema, train, classes=saved.get("classes", ()))
    elif saved["kept"] == "spec":
        raise InputError(
            f"the classifier of {directory} is the code {saved['spec']}; if you trust it, "
            f"pass trusted=[{saved['spec']!r}], or pass the object itself as classifier="
        )
    else:
        raise InputError(
            f"the classifier of {directory} ({saved['type']}) could not be saved ({saved['reason']}); "
            "pass the fitted object as classifier="
        )
    task = Task(schema, train, classifier)
    _check_answers(task, record, directory)
    task.vouch()
    return task


def _read_record(directory: Path) -> _Record:
    path = directory / _RECORD
    if not path.exists():
        raise InputError(f"{directory} holds no saved task, or saving it was interrupted ({_RECORD} is absent)")
    record = read_record(path, Json)
    if record.get("format", _FORMAT) != _FORMAT:
        raise InputError(
            f"{path} has format {record['format']!r}, SenseCF {__version__} reads {_FORMAT}; save the task again"
        )
    try:
        check_type(record, _Record, str(path))
    except InputError as error:
        raise InputError(f"{error}: it is not the record of a saved task; save the task again") from error
    return cast(_Record, record)


def _verified(directory: Path, name: str, record: _Record) -> bytes:
    path = directory / name
    if not path.exists():
        raise InputError(f"{path} is absent: the saved task is not whole, save it again")
    content = read_bytes(path, _LARGEST)
    if hashlib.sha256(content).hexdigest() != record["sha256"].get(name):
        raise InputError(f"{path} was changed after the task was saved; restore it or save the task again")
    return content


# --- training rows --------------------------------------------------------------------------


def _labels(task: Task) -> list[Value]:
    return [task.classes[position] for position in task.y]


def _group_dtype(task: Task) -> str | None:
    if task.schema.group is None:
        return None
    kind = task.train[task.schema.group].dtype
    if pd.api.types.is_integer_dtype(kind) and task.train[task.schema.group].notna().all():
        return "int64"
    return "float64" if pd.api.types.is_float_dtype(kind) else "str"


def _group(task: Task, dtype: Any) -> pd.Series[Any] | None:
    return None if dtype is None else task.train[task.schema.group].astype(dtype)


def _train_frame(codec: Codec, rows: Floats, labels: Sequence[Any], group: pd.Series[Any] | None) -> pd.DataFrame:
    others = pd.DataFrame({codec.schema.label: list(labels)})
    if group is not None:
        others[str(codec.schema.group)] = group.to_numpy()
    return pd.concat([codec.decode(rows), others], axis=1)


def _write_train(task: Task, path: Path, group: str | None) -> None:
    """Numbers as the shortest decimals that read back bit-equal, levels and classes as their text."""
    columns: dict[str, Floats | list[str | None] | list[str] | pd.Series[Any] | None] = {}
    for j, feature in enumerate(task.schema.features):
        column = task.rows[:, j]
        texts = [str(level) for level in feature.levels]
        columns[feature.name] = column if feature.numeric else [None if c != c else texts[int(c)] for c in column]
    columns[task.schema.label] = [str(label) for label in _labels(task)]
    if task.schema.group is not None:
        columns[task.schema.group] = _group(task, group)
    with replacing(path) as temporary:
        # Text is quoted, for a lone carriage return would end its row.
        pd.DataFrame(columns).to_csv(
            temporary, index=False, lineterminator="\n", encoding="utf-8", quoting=csv.QUOTE_NONNUMERIC
        )


def _train_of(directory: Path, codec: Codec, record: _Record) -> pd.DataFrame:
    """The training rows, whose record may be a stranger's. Raises `InputError` where the two do not fit."""
    try:
        train = _read_train(directory / _TRAIN, codec, record["classes"], record["group_dtype"])
        whole = data_hash(train) == record["data_hash"]
    except (ValueError, TypeError, KeyError):  # InputError is one
        whole = False
    if not whole:
        raise InputError(f"{directory / _TRAIN} does not fit {_RECORD}; save the task again")
    return train


def _reads_back(task: Task, path: Path, group: str | None, content: str) -> bool:
    try:
        return data_hash(_read_train(path, task.codec, task.classes, group)) == content
    except ValueError:  # InputError is one
        return False


def _read_train(path: Path, codec: Codec, classes: Sequence[Value], group: str | None) -> pd.DataFrame:
    schema = codec.schema
    frame = pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])
    for feature in schema.features:
        if feature.numeric:  # float() is exact; the parsers of pandas are not in every version
            frame[feature.name] = frame[feature.name].to_numpy(dtype=object, na_value=np.nan).astype(float)
    by_text = {str(value): value for value in classes}
    labels = [by_text.get(text) for text in frame[schema.label].tolist()]
    groups = None if schema.group is None or group is None else frame[schema.group].astype(cast(Any, group))
    return _train_frame(codec, codec.encode(frame), labels, groups)


# --- classifier -----------------------------------------------------------------------------


def _describe_classifier(task: Task, spec: str | None) -> tuple[_Skops | _Spec | _Nothing, bytes | None]:
    """What task.json says of the classifier, and the bytes of its file, if it gets one."""
    kind = f"{type(task.classifier).__module__}.{type(task.classifier).__qualname__}"
    own = _probe(task, task.classifier)
    data, types, reason = pack(task.classifier, lambda copy: np.array_equal(_probe(task, copy), own, equal_nan=True))
    if spec is not None and (data is None or types - KNOWN_TYPES):
        named: _Spec = {"kept": "spec", "type": kind, "spec": spec}
        if isinstance(task.classifier, NamedClasses):
            named["classes"] = list(task.classifier.classes)
        return named, None
    if data is None:
        return {"kept": "nothing", "type": kind, "reason": reason}, None
    return {"kept": "skops", "type": kind}, data


def _probe(task: Task, classifier: Classifier) -> Floats:
    """Probabilities of a few training rows, shape (up to PROBES, classes)."""
    rows = task.rows[np.linspace(0, len(task.rows) - 1, min(PROBES, len(task.rows))).astype(int)]
    return np.asarray(classifier.predict_proba(task.frame(rows)), dtype=float).reshape(len(rows), -1)


def _check_answers(task: Task, record: _Record, directory: Path) -> None:
    if task.classes != record["classes"]:
        raise InputError(f"the classifier's classes are {task.classes}, those of {directory} {record['classes']}")
    probe = _probe(task, task.classifier)
    if probe.shape != np.shape(record["probe"]) or not np.allclose(
        probe, record["probe"], rtol=0.0, atol=PROBE_TOLERANCE, equal_nan=True
    ):
        now = _versions()
        other = [f"{name} {v}, now {now.get(name)}" for name, v in record["versions"].items() if v != now.get(name)]
        reason = f" (saved with {'; '.join(other)})" if other else ""
        raise InputError(
            f"the classifier does not answer as it did when {directory} was saved{reason}; make the task anew"
        )


def _versions() -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "pandas", "scikit-learn", "skops")}
    if "xgboost" in sys.modules:  # its distribution has several names
        versions["xgboost"] = sys.modules["xgboost"].__version__
    return {"python": platform.python_version(), "sensecf": __version__} | versions
