"""What both sides of the comparison share: tables, a classifier and an autoencoder as plain files.

This file runs in the side environments too, beside numpy of any version and without SenseCF. A task is a
folder: `task.json` (columns, training ranges, target), `trees.json` (the classifier), `autoencoder.json`,
`train.csv` (encoded rows and the position of the label's class) and `queries.csv` (encoded rows). Answers
are written line by line, so that whatever stops an original costs the queries it had not reached.
"""

import json
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

#: Rows that go through the trees at once.
CHUNK = 512


class Trees:
    """A boosted ensemble for two classes, evaluated with numpy: the same answers in every environment.

    Arrays are (trees, nodes): `feature` (-1 at a leaf), `threshold`, `left`, `right`, `missing_left`, `value`
    (of a leaf); `right_levels` (trees, nodes, levels) says which levels go right where `by_level`, a node
    that splits levels. `base` is the margin that the leaves add to, `depth` the longest way to a leaf.
    """

    def __init__(self, data):
        self.data = data
        shape = np.shape(data["feature"])
        first = np.arange(shape[0])[:, None] * shape[1]
        feature = np.array(data["feature"])
        leaf = (feature < 0).ravel()
        # One flat array of nodes; a leaf leads to itself.
        self._feature = np.maximum(feature, 0).ravel()
        self._threshold = np.array(data["threshold"], dtype=np.float32).ravel()
        left, right = ((np.array(data[side]) + first).ravel() for side in ("left", "right"))
        self._next = np.where(leaf, np.arange(leaf.size), np.stack([right, left])).ravel()
        self._missing_left = np.array(data["missing_left"], dtype=bool).ravel()
        self._value = np.array(data["value"], dtype=np.float32).ravel().astype(float)
        self._by_level = np.array(data["by_level"], dtype=bool).ravel()
        self._right_levels = np.array(data["right_levels"], dtype=bool).reshape(leaf.size, -1)
        self._roots = first.ravel()
        self.rows_judged = 0

    def predict_proba(self, rows):
        """Probability of both classes, shape (n, 2), of encoded rows (n, d); blanks are NaN."""
        rows = np.asarray(rows, dtype=float)
        self.rows_judged += len(rows)
        margin = np.concatenate([self._margin(rows[i : i + CHUNK]) for i in range(0, max(len(rows), 1), CHUNK)])
        chance = 1.0 / (1.0 + np.exp(-margin))
        return np.column_stack([1.0 - chance, chance])

    def _margin(self, rows):
        narrow = rows.astype(np.float32).ravel()  # as XGBoost compares them
        start = np.arange(len(rows))[:, None] * rows.shape[1]
        node = np.tile(self._roots, (len(rows), 1))
        blanks = np.isnan(narrow).any()
        for _ in range(self.data["depth"]):
            value = narrow.take(self._feature.take(node) + start)
            left = value < self._threshold.take(node)
            if self._by_level.any():
                at = np.nonzero(self._by_level.take(node))
                level = np.clip(np.nan_to_num(value[at]), 0, self._right_levels.shape[1] - 1).astype(int)
                left[at] = ~self._right_levels[node[at], level]
            if blanks:
                left = np.where(np.isnan(value), self._missing_left.take(node), left)
            node = self._next.take(node + left * self._feature.size)
        return self.data["base"] + self._value.take(node).sum(axis=1)


class Autoencoder:
    """The autoencoder of our `nice-plausibility`, evaluated with numpy, for the original to use too."""

    def __init__(self, data):
        self.numeric = np.array(data["numeric"], dtype=bool)
        self.low, self.spread = np.array(data["low"]), np.array(data["spread"])
        self.levels = data["levels"]
        self.weights = [np.array(w) for w in data["weights"]]
        self.biases = [np.array(b) for b in data["biases"]]

    def error(self, rows):
        """Mean squared error of the reconstruction, shape (n,), of encoded rows (n, d) without blanks."""
        rows = np.asarray(rows, dtype=float)
        parts = [(2 * (rows - self.low) / self.spread - 1)[:, self.numeric]]
        parts += [(rows[:, [j]] == np.arange(count)).astype(float) for j, count in self.levels]
        columns = np.hstack(parts)
        hidden = np.tanh(columns @ self.weights[0] + self.biases[0])
        return ((hidden @ self.weights[1] + self.biases[1] - columns) ** 2).mean(axis=1)


class Task:
    """A task read from its folder."""

    def __init__(self, folder):
        folder = Path(folder)
        facts = json.loads((folder / "task.json").read_text())
        self.names, self.levels, self.target = facts["names"], facts["levels"], facts["target"]
        self.numeric = np.array(facts["numeric"], dtype=bool)
        self.changeable = np.array(facts["changeable"], dtype=bool)
        #: Range of the training rows; range of the schema with the direction each feature may take.
        self.observed, self.allowed, self.direction = (np.array(facts[k]) for k in ("observed", "allowed", "direction"))
        self.trees = Trees(json.loads((folder / "trees.json").read_text()))
        self.autoencoder = Autoencoder(json.loads((folder / "autoencoder.json").read_text()))
        table = np.loadtxt(folder / "train.csv", delimiter=",", skiprows=1, ndmin=2)
        self.train, self.y = table[:, :-1], table[:, -1].astype(int)
        self.queries = np.loadtxt(folder / "queries.csv", delimiter=",", skiprows=1, ndmin=2)


class OutOfTime(Exception):
    """The time for one query is over."""


@contextmanager
def time_limit(seconds):
    """Raise `OutOfTime` in the block when it takes more processor seconds; a busy neighbour costs none.

    Windows has no such alarm; there, and for whoever waits without working, the caller's limit is left.
    """

    def ring(signum, frame):
        raise OutOfTime

    if hasattr(signal, "SIGPROF"):
        before = signal.signal(signal.SIGPROF, ring)
        signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        if hasattr(signal, "SIGPROF"):
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)


def answer_each(task, explain, path, seconds):
    """Ask `explain(row)` for every query and write one line each to `path`: row or null, reason, seconds, rows.

    Seconds are processor seconds, as with `time_limit`.
    """
    with open(path, "w") as out:
        for number, row in enumerate(task.queries):
            began, before, answer, reason = time.process_time(), task.trees.rows_judged, None, ""
            try:
                with time_limit(seconds):
                    answer = explain(row.copy())
                reason = "" if answer is not None else "no counterfactual found"
            except OutOfTime:
                reason = f"no answer within {seconds:g} processor seconds"
            except Exception as error:  # whatever an original dies of is its result, with its reason
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
            line = {
                "query": number,
                "row": None if answer is None else [float(v) for v in answer],
                "reason": reason,
                "seconds": time.process_time() - began,
                "rows": task.trees.rows_judged - before,
            }
            out.write(json.dumps(line) + "\n")
            out.flush()


def main(build):
    """The command line of a runner: `FOLDER METHOD SECONDS OUT`; `build(task, method, seconds)` gives `explain`."""
    folder, method, seconds, out = sys.argv[1:]
    task = Task(folder)
    answer_each(task, build(task, method, float(seconds)), out, float(seconds))
