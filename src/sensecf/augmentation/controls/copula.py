"""A Gaussian copula per class: the light generative model of tables."""

from __future__ import annotations

import numpy as np
from scipy import stats
from sklearn.covariance import ledoit_wolf

from sensecf.augmentation.controls.situation import Situation, Treatment
from sensecf.augmentation.controls.space import Space
from sensecf.core.rules import Floats


def copula(situation: Situation, amount: float = 1.0) -> Treatment:
    """Rows drawn from a Gaussian copula of each class (Sklar 1959; as in Patki et al. 2016, the SDV).

    Margins are the class's own empirical quantiles, so that no value lies outside what it shows; the
    correlation of the normal scores is shrunk (Ledoit & Wolf 2004). Levels enter by their position.
    """
    rng = situation.rng(301)
    filled = np.where(np.isnan(situation.encoded), Space(situation).fill, situation.encoded)
    rows, y = [np.empty((0, filled.shape[1]))], []
    for position, count in enumerate(situation.allot(amount)):
        if count:
            rows.append(_draw(filled[situation.y == position], int(count), rng))
            y += [position] * int(count)
    made = np.concatenate(rows)
    numeric = situation.codec.numeric
    made[:, ~numeric] = np.round(made[:, ~numeric])
    return Treatment(added=situation.table(situation.codec.snap(made), np.array(y, dtype=np.intp)))


def _draw(rows: Floats, count: int, rng: np.random.Generator) -> Floats:
    """`count` rows with the margins and the rank correlation of `rows` (n, d)."""
    n, d = rows.shape
    scores = stats.norm.ppf(stats.rankdata(rows, axis=0) / (n + 1))
    covariance, _ = ledoit_wolf(scores)
    normal = rng.multivariate_normal(np.zeros(d), covariance, count, method="cholesky")
    deviation = np.sqrt(np.diag(covariance))
    share = stats.norm.cdf(normal / np.where(deviation > 0, deviation, 1.0))
    return np.column_stack([np.quantile(rows[:, j], share[:, j]) for j in range(d)])
