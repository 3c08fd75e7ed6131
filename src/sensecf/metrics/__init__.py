"""Metrics: plain functions `(counterfactuals, task) -> one value per answer`, or per request.

Each says its formula, range, direction, what it leaves out and where it comes from; `docs/metrics.md`
lists them. All are judged anew from the saved feature values: the verdict columns are not trusted.

>>> sensecf.metrics.summarise(cfs, task)  # doctest: +SKIP
"""

from sensecf.metrics.answers import Answers, read, valid_only
from sensecf.metrics.classifier import quality, sentence, unknown
from sensecf.metrics.diversity import distinct_actions, dpp, pairwise_distance
from sensecf.metrics.edits import actionable_share, change_entropy, change_profile, n_changed, redundancy
from sensecf.metrics.feasibility import breaches, feasible, in_range, locks_kept, rules_kept
from sensecf.metrics.plausibility import (
    critic,
    critic_before,
    in_class_range,
    in_training_range,
    isolation_inlier,
    knn_ratio,
    lof_inlier,
    plausible,
)
from sensecf.metrics.proximity import gower, heom, mad_l1
from sensecf.metrics.requests import (
    coverage,
    fallback_share,
    not_needed_share,
    own_share,
    seconds,
    success,
    unanswered_share,
    validity,
)
from sensecf.metrics.robust import (
    CrossFitted,
    agreement,
    cross_fitted,
    judge_validity,
    judge_validity_before,
    margin,
    noise_validity,
    perturbed,
    probability,
    retrain_validity,
    retrain_validity_worst,
    retrained,
)
from sensecf.metrics.summary import COLUMNS, METRICS, Metric, Values, aggregate, from_json, measure, summarise, to_json

__all__ = [
    "COLUMNS",
    "METRICS",
    "Answers",
    "CrossFitted",
    "Metric",
    "Values",
    "actionable_share",
    "aggregate",
    "agreement",
    "breaches",
    "change_entropy",
    "change_profile",
    "coverage",
    "critic",
    "critic_before",
    "cross_fitted",
    "distinct_actions",
    "dpp",
    "fallback_share",
    "feasible",
    "from_json",
    "gower",
    "heom",
    "in_class_range",
    "in_range",
    "in_training_range",
    "isolation_inlier",
    "judge_validity",
    "judge_validity_before",
    "knn_ratio",
    "locks_kept",
    "lof_inlier",
    "mad_l1",
    "margin",
    "measure",
    "n_changed",
    "noise_validity",
    "not_needed_share",
    "own_share",
    "pairwise_distance",
    "perturbed",
    "plausible",
    "probability",
    "quality",
    "read",
    "redundancy",
    "retrain_validity",
    "retrain_validity_worst",
    "retrained",
    "rules_kept",
    "seconds",
    "sentence",
    "success",
    "summarise",
    "to_json",
    "unanswered_share",
    "unknown",
    "valid_only",
    "validity",
]
