"""Smooth learners that are taught pairs: logistic regression and an MLP whose loss has a term of each pair.

The settings are those of the product's own two (`sensecf.classifiers.fit`), so that without pairs they are the same
models. A pair says one of two things: that the two rows are to be answered alike (consistency: the squared difference
of their log odds), or that one is to lie a margin nearer to the positive class than the other (squared hinge).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from sensecf.core.rules import Bools, Floats

#: Hidden units and penalty of the two learners, as in the product.
HIDDEN = {"logistic": 0, "mlp": 32}
PENALTY = {"logistic": 10.0, "mlp": 20.0}
#: Log odds by which a contrast's ends are to differ.
MARGIN = 1.0


class Pairs(NamedTuple):
    """Ends of pairs as encoded rows (m, d); the second is to be answered alike, or a margin higher."""

    first: Floats
    second: Floats
    strength: float


NO_PAIRS = Pairs(np.empty((0, 0)), np.empty((0, 0)), 0.0)


@dataclass
class PairNet:
    """A network of no or one hidden layer. `fit` learns from rows and pairs, `log_odds` answers (n, d) rows."""

    name: str
    seed: int = 0
    weights: Floats | None = None

    def fit(self, X: Floats, y: Bools, weight: Floats, alike: Pairs = NO_PAIRS, higher: Pairs = NO_PAIRS) -> PairNet:
        """Minimise weighted log loss, penalty and pair terms; a pair term of strength s weighs s times all rows."""
        start = self._start(X.shape[1])
        total = float(weight.sum())

        def loss(at: Floats) -> tuple[float, Floats]:
            odds, back = self._forward(at, X)
            value = float((weight * np.logaddexp(0.0, np.where(y, -odds, odds))).sum())
            slope = back(weight * (expit(odds) - y))
            for pairs, bent in ((alike, _square), (higher, _hinge)):
                if len(pairs.first):
                    one, back_one = self._forward(at, pairs.first)
                    two, back_two = self._forward(at, pairs.second)
                    cost, by = bent(two - one)
                    scale = pairs.strength * total / len(one)
                    value += scale * float(cost.sum())
                    slope = slope + back_two(scale * by) - back_one(scale * by)
            penalised = np.where(self._is_weight(X.shape[1]), at, 0.0)
            value += 0.5 * PENALTY[self.name] * float(penalised @ penalised)
            return value, slope + PENALTY[self.name] * penalised

        self.weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
        return self

    def log_odds(self, X: Floats) -> Floats:
        """Log odds of the positive class, shape (n,)."""
        assert self.weights is not None, "fitted first"
        return self._forward(self.weights, X)[0]

    def _start(self, d: int) -> Floats:
        h = HIDDEN[self.name]
        if h == 0:
            return np.zeros(d + 1)
        rng = np.random.default_rng(self.seed)
        first, last = np.sqrt(6 / (d + h)), np.sqrt(6 / (h + 1))
        return np.concatenate([rng.uniform(-first, first, d * h), np.zeros(h), rng.uniform(-last, last, h), [0.0]])

    def _is_weight(self, d: int) -> Bools:
        h = HIDDEN[self.name]
        sizes = [(d, True), (1, False)] if h == 0 else [(d * h, True), (h, False), (h, True), (1, False)]
        return np.concatenate([np.full(size, kind) for size, kind in sizes])

    def _forward(self, at: Floats, X: Floats):  # type: ignore[no-untyped-def]
        """Log odds (n,), and from their slopes (n,) the slope of the weights."""
        d, h = X.shape[1], HIDDEN[self.name]
        if h == 0:
            return X @ at[:d] + at[d], lambda g: np.append(X.T @ g, g.sum())
        first, shift = at[: d * h].reshape(d, h), at[d * h : d * h + h]
        last = at[d * h + h : d * h + 2 * h]
        hidden = np.maximum(X @ first + shift, 0.0)

        def back(g: Floats) -> Floats:
            inside = np.outer(g, last) * (hidden > 0)
            return np.concatenate([(X.T @ inside).ravel(), inside.sum(axis=0), hidden.T @ g, [g.sum()]])

        return hidden @ last + at[-1], back


def _square(difference: Floats) -> tuple[Floats, Floats]:
    return difference**2, 2 * difference


def _hinge(difference: Floats) -> tuple[Floats, Floats]:
    short = np.maximum(MARGIN - difference, 0.0)
    return short**2, -2 * short
