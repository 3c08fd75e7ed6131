"""A fitted classifier as a file, without pickle; and one that a stranger made, looked into before it is used.

skops builds a classifier from named types alone, so that opening a file runs no code of the file's. Trees and
boosters are asked by compiled code though, which trusts what they hold: an edge that points outside of its tree
ends the process or never ends. A file that this user neither wrote nor looked into before is therefore opened in a
process of its own first, with limits on memory and time, and every tree in it is followed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.tree._tree import Tree

from sensecf.classifiers.foreign import resolve_object
from sensecf.core.errors import InputError, one_line
from sensecf.core.files import cache_folder
from sensecf.core.judge import Classifier
from sensecf.core.kept import Json

#: Classes a classifier may consist of beside those that skops trusts (scikit-learn's public
#: estimators). Listed one by one: whole packages hold dangerous names
#: (`sklearn.utils._testing.check_output` starts any program).
KNOWN_TYPES = frozenset(
    {
        "numpy.dtype",
        "sensecf.classifiers.Balanced",
        "sensecf.classifiers.Forest",
        "sensecf.classifiers.Kernel",
        "sensecf.classifiers.RowEncoder",
        "sensecf.classifiers.fit.Balanced",
        "sensecf.classifiers.fit.Forest",
        "sensecf.classifiers.fit.Kernel",
        "sensecf.classifiers.fit.RowEncoder",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._classification.balanced_accuracy_score",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRFClassifier",
    }
)

#: Where the types stand whose contents are looked into here, or are asked by NumPy alone, which checks its bounds.
_LOOKED_INTO = (
    "builtins.",
    "collections.",
    "numpy.",
    "sensecf.classifiers.",
    "sklearn.calibration.",
    "sklearn.compose.",
    "sklearn.dummy.",
    "sklearn.ensemble._forest.",
    "sklearn.feature_selection.",
    "sklearn.impute.",
    "sklearn.kernel_approximation.",
    "sklearn.linear_model.",
    "sklearn.metrics.",
    "sklearn.naive_bayes.",
    "sklearn.neural_network.",
    "sklearn.pipeline.",
    "sklearn.preprocessing.",
    "sklearn.svm._classes.LinearSVC",
    "sklearn.tree.",
    "sklearn.utils.",
    "xgboost.",
)

#: What the file of a classifier may be at most: parts, bytes of its description, and bytes unpacked beyond four
#: times its own size (we write it unpacked).
_PARTS, _DESCRIPTION, _BEYOND = 100_000, 256 << 20, 64 << 20
#: What opening a stranger's file may take: seconds of processor time, of waiting, and bytes of memory beyond twenty
#: times its size.
_SECONDS, _WAIT, _MEMORY = 60, 300, 8 << 30
#: Exit status of the process that looks into a file and does not like it.
_REFUSED = 3


def pack(classifier: Any, alike: Callable[[Any], bool]) -> tuple[bytes | None, set[str], str]:
    """A classifier as bytes, the types beyond scikit-learn's in it, and why there are no bytes where there are none.

    `alike` is asked whether the classifier made from the bytes again answers as this one.
    """
    if not isinstance(classifier, BaseEstimator):
        return None, set(), "it is no scikit-learn estimator"
    return _pack(classifier, alike)


def pack_all(classifiers: list[Any], alike: Callable[[list[Any]], bool]) -> tuple[bytes | None, set[str], str]:
    """As `pack`, for several classifiers in one file."""
    if not all(isinstance(one, BaseEstimator) for one in classifiers):
        return None, set(), "one of them is no scikit-learn estimator"
    return _pack(classifiers, alike)


def _pack(whole: Any, alike: Callable[[Any], bool]) -> tuple[bytes | None, set[str], str]:
    import skops.io  # imports every scikit-learn estimator: about a second

    try:
        data = skops.io.dumps(whole)
        types = skops.io.get_untrusted_types(data=data)
        same = alike(skops.io.loads(data, trusted=types))
    except Exception as error:  # whatever a foreign estimator does when it is taken apart: it is not saved
        return None, set(), one_line(error)
    return (data, set(types), "") if same else (None, set(), "its copy answers differently")


def remember(data: bytes) -> None:
    """Note that this user made these bytes, or that they were looked into: they are opened at once from now on."""
    try:
        place = _place(data)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    except OSError:  # a cache that cannot be written costs a look at each opening, and no more
        return


def _place(data: bytes) -> Path:
    return cache_folder() / "classifiers" / hashlib.sha256(data).hexdigest()


def unpack(path: Path, data: bytes, trusted: Collection[str], trust: bool) -> Classifier:
    """The classifier that `data`, the contents of `path`, holds.

    `trusted`: names of further types. `trust`: the maker of the file is trusted, whatever it holds.
    Raises `InputError` for a file that skops cannot read, that unpacks beyond measure, that holds types that are
    not trusted, or whose contents would end the process that asks it.
    """
    import skops.io

    found = _types(path, data)
    try:
        types = set(skops.io.get_untrusted_types(data=data))
    except Exception as error:  # the file may be a stranger's: anything may be wrong with it
        raise InputError(f"{path} is no classifier that skops can read ({one_line(error)})") from error
    unknown = sorted(types - KNOWN_TYPES - set(trusted))
    if unknown:
        raise InputError(
            f"{path} holds types that are not trusted: {', '.join(unknown)}; "
            f"if you know them, pass trusted={unknown!r}, or pass the fitted object as classifier="
        )
    for name in sorted(types - KNOWN_TYPES):
        module, _, attribute = name.rpartition(".")
        resolve_object(f"{module}:{attribute}")  # says which module or name is missing
    if not trust and not _place(data).exists():
        unseen = sorted(name for name in found - set(trusted) if not name.startswith(_LOOKED_INTO))
        if unseen:
            raise InputError(
                f"{path} was not written here and holds what cannot be looked into: {', '.join(unseen)}; if you know "
                "and trust who made it, say --trust (in Python trust=True)"
            )
        _look_apart(path, data, types)
        remember(data)
    try:
        made: Classifier = skops.io.loads(data, trusted=sorted(types))
    except Exception as error:
        raise InputError(f"{path} cannot be put together again ({one_line(error)}); save the task again") from error
    return made


def _types(path: Path, data: bytes) -> set[str]:
    """Full names of all types in a file. Raises `InputError` where its size or its description is not as it must be."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {part.filename: part.file_size for part in archive.infolist()}
            total = sum(part.file_size for part in archive.infolist())
            description = sizes.get("schema.json", 0)
            if len(sizes) > _PARTS or description > _DESCRIPTION or total > _BEYOND + 4 * len(data):
                raise InputError(
                    f"{path} has {len(sizes):,} parts and unpacks from {len(data):,} to {total:,} bytes, which no "
                    "saved classifier does; get the folder anew from who made it"
                )
            nodes = [json.loads(archive.read("schema.json"))]
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError, OSError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no classifier that skops can read ({one_line(error)})") from error
    found = set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if "__class__" in node and "__module__" in node:
                found.add(f"{node['__module__']}.{node['__class__']}")
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
    return found


# --- a process of its own -------------------------------------------------------------------


class Job(TypedDict):
    """What the other process is told: where modules are found, types that may be built, bytes of memory."""

    path: list[str]
    types: list[str]
    memory: int


def _look_apart(path: Path, data: bytes, types: set[str]) -> None:
    """Open a file in another process and follow its trees there. Raises `InputError` where that does not end well."""
    told: Job = {"path": sys.path, "types": sorted(types), "memory": _MEMORY + 20 * len(data)}
    job = json.dumps(told).encode()
    code = "import sys, json; job = json.loads(sys.stdin.buffer.readline()); sys.path[:] = job['path']; "
    code += "from sensecf.classifiers import saved_classifier; saved_classifier.look(job)"
    again = "it is damaged, or made to do harm: get the folder anew from who made it"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=job + b"\n" + data,
            capture_output=True,
            timeout=_WAIT,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{path} was not opened within {_WAIT} s; {again}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be looked into: {one_line(error)}; if you trust it, say --trust") from error
    if done.returncode == _REFUSED:
        raise InputError(f"{path}: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}; {again}")
    if done.returncode:
        raise InputError(f"{path} ends the process that opens it (status {done.returncode}); {again}")


def look(job: Job) -> None:
    """What the other process does: build the classifier on standard input within limits, and follow its trees."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (job["memory"], job["memory"]))
    except (ImportError, ValueError, OSError):  # not on every system; the time limit of the caller stays
        pass
    import skops.io

    try:
        check_contents(skops.io.loads(sys.stdin.buffer.read(), trusted=job["types"]))
    except Exception as error:  # whatever a stranger's file leads to is a reason not to use it
        print(error if isinstance(error, InputError) else one_line(error), file=sys.stderr)
        sys.exit(_REFUSED)


def check_contents(classifier: Any) -> None:
    """Raise `InputError` where compiled code that asks the classifier would leave its arrays, or never end."""
    for part in _parts(classifier):
        if type(part).__module__ == "xgboost.core":
            _check_booster(part)
        own = getattr(part, "n_features_in_", None)
        for tree in [part] if isinstance(part, Tree) else [getattr(part, "tree_", None)]:
            if tree is not None:
                _check_tree(tree)
                if tree is not part and tree.n_features != own:
                    raise InputError(f"a tree of {tree.n_features} columns in a model of {own}")
        if type(part).__module__ != "sklearn.calibration":
            for member in getattr(part, "estimators_", []):
                if hasattr(member, "tree_") and member.tree_.n_features != own:
                    raise InputError(f"a tree of {member.tree_.n_features} columns in a forest of {own}")


def _parts(whole: Any) -> Iterator[Any]:
    """Every object that a classifier is made of, each once."""
    waiting, seen = [whole], {}
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part  # kept, so that no other object gets its id
        yield part
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set):
            waiting += part
        elif isinstance(part, np.ndarray) and part.dtype == object:
            waiting += part.reshape(-1).tolist()
        elif hasattr(part, "__dict__") and not isinstance(part, type):
            waiting += vars(part).values()


def _check_tree(tree: Tree) -> None:
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    node = np.flatnonzero(left != -1)
    # scikit-learn numbers a node before its children, so that no path comes back.
    for child in (left, right):
        if ((child[node] <= node) | (child[node] >= tree.node_count)).any():
            raise InputError("a tree has an edge that leads out of it or back")
    if ((feature[node] < 0) | (feature[node] >= tree.n_features)).any():
        raise InputError("a tree asks about a column that there is not")
    if tree.node_count == 0 or tree.n_outputs != 1 or len(tree.value) != tree.node_count:
        raise InputError("a tree has no nodes, or not a value for each")


def _check_booster(booster: Any) -> None:
    """XGBoost's trees: their arrays of one length, every node reached once, every number within its range."""
    learner = json.loads(bytes(booster.save_raw(raw_format="json")))["learner"]
    if learner["gradient_booster"]["name"] not in ("gbtree", "dart"):
        raise InputError("a booster of other kinds than trees")
    grown = learner["gradient_booster"].get("gbtree", learner["gradient_booster"])["model"]
    shape = learner["learner_model_param"]
    columns, groups = int(shape["num_feature"]), max(1, int(shape["num_class"]))
    trees, owner, steps = grown["trees"], grown["tree_info"], grown["iteration_indptr"]
    if len(owner) != len(trees) or int(shape["num_target"]) != 1 or not all(0 <= group < groups for group in owner):
        raise InputError("a booster with trees of classes that there are not")
    if steps[0] != 0 or steps[-1] != len(trees) or any(np.diff(steps) < 0):
        raise InputError("a booster with rounds of trees that there are not")
    for tree in trees:
        _check_grown(tree, columns)


def _check_grown(tree: Json, columns: int) -> None:
    left, right, column = (np.array(tree[k]) for k in ("left_children", "right_children", "split_indices"))
    n = len(left)
    lengths = {len(tree[k]) for k in ("right_children", "split_indices", "split_conditions", "default_left")}
    if n == 0 or lengths != {n} or int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise InputError("a booster with a tree whose arrays differ in length")
    inner = np.flatnonzero(left != -1)
    children = np.concatenate([left[inner], right[inner]])
    # Where no two edges meet and none leads to the root, every path from the root ends.
    if ((children <= 0) | (children >= n)).any() or len(np.unique(children)) != len(children):
        raise InputError("a booster with a tree whose edges lead out of it or meet")
    if ((column[inner] < 0) | (column[inner] >= columns)).any():
        raise InputError("a booster that asks about a column that there is not")
    names = ("categories_nodes", "categories_segments", "categories_sizes", "categories")
    nodes, start, size, members = (np.array(tree[k], dtype=np.int64) for k in names)
    fits = len(nodes) == len(start) == len(size) and (nodes < n).all()
    fits = fits and all((v >= 0).all() for v in (nodes, start, size, members)) and (members < 1 << 24).all()
    if not fits or (start + size > len(members)).any():
        raise InputError("a booster with sets of levels that there are not")
