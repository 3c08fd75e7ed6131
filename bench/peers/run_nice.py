"""The original NICE (package NICEx) on a task folder; runs in its own environment."""

import numpy as np
from nice import NICE
from peer_files import main


def build(task, method, seconds):
    """`explain` of NICE with the optimiser `method`."""
    original = NICE(
        predict_fn=task.trees.predict_proba,
        X_train=task.train.copy(),
        cat_feat=np.flatnonzero(~task.numeric).tolist(),
        y_train=task.y,
        optimization=method,
        auto_encoder=task.autoencoder.error,
    )
    return lambda row: original.explain(row[None, :], target_class=[task.target])[0]


if __name__ == "__main__":
    main(build)
