"""The original CFNOW (package cfnow) on a task folder; runs in its own environment.

It sees numbers as shares of their training range, levels as it wants them: two levels as 0 and 1, more as
one 0/1 column each. Its target is the probability of the target class, as one number per row. It has
a time limit of its own, after which it gives the best it has; that is set a little below ours, and its clock is
that of the processor, as ours is.
"""

import time
import warnings
from datetime import datetime

import cfnow._cf_searchers
import cfnow._fine_tune
import numpy as np
import pandas as pd
from cfnow import find_tabular
from peer_files import main


class Clock:
    """What CFNOW takes for `datetime`: processor time."""

    @staticmethod
    def now():
        return datetime.fromtimestamp(time.process_time())


class View:
    """Encoded rows as CFNOW sees them, and back."""

    def __init__(self, task):
        self.task = task
        low, high = task.observed
        self.low, self.spread = low, np.where(task.numeric & (high > low), high - low, 1.0)
        self.many = [j for j, (n, v) in enumerate(zip(task.numeric, task.levels, strict=True)) if not n and v > 2]
        self.plain = [j for j in range(len(task.names)) if j not in self.many]
        # Columns that share what stands before the first underscore are one feature to it.
        self.columns = [f"x{j}" for j in self.plain]
        self.columns += [f"level{j}_{v}" for j in self.many for v in range(task.levels[j])]
        self.kinds = {c: "num" if c[0] == "x" and task.numeric[int(c[1:])] else "cat" for c in self.columns}

    def there(self, rows):
        scaled = np.where(self.task.numeric, (rows - self.low) / self.spread, rows)[:, self.plain]
        wide = [(rows[:, [j]] == np.arange(self.task.levels[j])).astype(float) for j in self.many]
        return np.hstack([scaled, *wide])

    def back(self, view):
        view = np.asarray(view, dtype=float)
        rows = np.empty((len(view), len(self.task.names)))
        rows[:, self.plain] = view[:, : len(self.plain)]
        at = len(self.plain)
        for j in self.many:
            rows[:, j] = view[:, at : at + self.task.levels[j]].argmax(axis=1)
            at += self.task.levels[j]
        return np.where(self.task.numeric, rows * self.spread + self.low, rows)


def build(task, method, seconds):
    """`explain` of CFNOW with the strategy `method`."""
    cfnow._cf_searchers.datetime = cfnow._fine_tune.datetime = Clock
    warnings.simplefilter("ignore")  # one warning per step of its fine-tuning
    np.random.seed(0)  # noqa: NPY002 (what it draws from)
    view = View(task)

    def explain(row):
        found = find_tabular(
            factual=pd.Series(view.there(row[None, :])[0], index=view.columns),
            model_predict_proba=lambda rows: task.trees.predict_proba(view.back(rows))[:, task.target],
            feat_types=view.kinds,
            cf_strategy=method,
            has_ohe=bool(view.many),
            limit_seconds=0.8 * seconds,
        )
        return view.back(np.asarray(found.cfs[0])[None, :])[0] if len(found.cfs) else None

    return explain


if __name__ == "__main__":
    main(build)
