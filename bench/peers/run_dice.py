"""The original DiCE (package dice-ml) on a task folder; runs in its own environment.

It is told which features may change, their range and their direction, which it can be told.
"""

import warnings

import dice_ml
import numpy as np
import pandas as pd
from peer_files import main


class Model:
    """The trees as a scikit-learn classifier on frames, as DiCE wants it."""

    def __init__(self, task):
        self.task = task

    def predict_proba(self, frame):
        return self.task.trees.predict_proba(frame[self.task.names].astype(float).to_numpy())

    def predict(self, frame):
        return self.predict_proba(frame).argmax(axis=1)


def frame_of(task, rows):
    """Encoded rows as a frame: numbers as floats, levels as texts."""
    frame = pd.DataFrame(rows, columns=task.names)
    for name, numeric in zip(task.names, task.numeric, strict=True):
        if not numeric:
            frame[name] = frame[name].astype(int).astype(str)
    return frame


def build(task, method, seconds):
    """`explain` of DiCE with the method `random`, `genetic` or `kdtree`."""
    warnings.simplefilter("ignore")
    data = dice_ml.Data(
        dataframe=frame_of(task, task.train).assign(label=task.y),
        continuous_features=[n for n, numeric in zip(task.names, task.numeric, strict=True) if numeric],
        outcome_name="label",
    )
    model = dice_ml.Model(model=Model(task), backend="sklearn", model_type="classifier")
    explainer = dice_ml.Dice(data, model, method=method)
    seeded = {"random_seed": 0} if method == "random" else {}

    def explain(row):
        np.random.seed(0)  # noqa: NPY002 (what it draws from)
        low, high = task.allowed
        low = np.where(task.direction > 0, np.maximum(low, row), low)
        high = np.where(task.direction < 0, np.minimum(high, row), high)
        ranges = {
            name: [float(low[j]), float(high[j])] if task.numeric[j] else [str(v) for v in range(task.levels[j])]
            for j, name in enumerate(task.names)
            if task.changeable[j]
        }
        found = explainer.generate_counterfactuals(
            frame_of(task, row[None, :]),
            total_CFs=1,
            desired_class=task.target,
            features_to_vary=list(ranges),
            permitted_range=ranges,
            verbose=False,
            **seeded,
        )
        answers = found.cf_examples_list[0].final_cfs_df
        if answers is None or not len(answers):
            return None
        return answers[task.names].astype(float).to_numpy()[0]

    return explain


if __name__ == "__main__":
    main(build)
