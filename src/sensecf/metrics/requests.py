"""Metrics with one value per request: was it answered, validly, well, and at what cost?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sensecf.core.counterfactuals import Counterfactuals
from sensecf.core.query import Query
from sensecf.core.task import Task
from sensecf.metrics.answers import reached, read
from sensecf.metrics.feasibility import feasible
from sensecf.metrics.plausibility import plausible
from sensecf.metrics.proximity import mad_l1


def validity(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Is the request answered by a row that the classifier puts in the target class?

    Formula: the share of the request's answers for which `predict` says target and no two classes
    tie; 0 without an answer. With one answer per request it is 0 or 1. Range [0, 1], higher is better.
    Leaves out: rules, plausibility, effort.
    Source: Mothilal et al. 2020; that an unanswered request counts as 0 is ours.
    """
    answers = read(cfs, task)
    good = answers.series(reached(task, answers.after, answers.target), "validity")
    return good.groupby(level="query").mean().reindex(answers.requests, fill_value=0.0)


def coverage(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Is the request answered at all? 1 or 0, higher is better.

    Leaves out: whether the answer is valid, feasible or any good.
    Source: Pawelczyk et al. 2021, where it goes by the name of success rate.
    """
    answers = read(cfs, task)
    return pd.Series(answers.requests.isin(answers.queries).astype(float), answers.requests, name="coverage")


def own_share(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Did the generator asked for find a valid answer itself? 1 or 0, higher is better.

    With `fallback_share`, `unanswered_share` and `not_needed_share` it adds up to 1 for every request.
    Blank where it is not known who was asked (`Counterfactuals.asked`). Leaves out: how good the answer
    is. Source: ours.
    """
    return _found_by(cfs, task, "own")


def fallback_share(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Is the valid answer another generator's, asked where the one asked for found none? 1 or 0. Source: ours."""
    return _found_by(cfs, task, "fallback")


def unanswered_share(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Did nobody find a valid answer? 1 or 0, lower is better. Source: ours."""
    return _found_by(cfs, task, "nobody")


def not_needed_share(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Is the request in the target class as it is? 1 or 0. Source: ours."""
    return _found_by(cfs, task, "not needed")


def _found_by(cfs: Counterfactuals, task: Task, who: str) -> pd.Series[float]:
    """Whether `who` (see `Counterfactuals.found_by`) found the answer, valid as judged anew."""
    if not cfs.asked:
        return pd.Series(dtype=float)
    answers = read(cfs, task)
    found = cfs.found_by(reached(task, answers.after, answers.target), answers.edits)
    return (found == who).astype(float).rename(who)


def success(
    cfs: Counterfactuals,
    task: Task,
    m: int = 3,
    reference: pd.Series[float] | None = None,
    query: Query | None = None,
) -> pd.Series[float]:
    """Is the first answer good in every respect at once? 1 or 0, 0 without an answer; higher is better.

    Formula: the answer of lowest rank is valid, feasible, plausible (LOF inlier, changed values inside
    the training range), changes at most `m` features and is no farther (MAD-L1) than `reference`, a
    distance per request: that of another method's answer, NICE's in our tables. Where the reference
    has no value that clause is not asked. Leaves out: the answers behind the first. Source: ours.
    """
    answers = read(cfs, task)
    good = reached(task, answers.after, answers.target) & (answers.edits <= m)
    good &= (feasible(cfs, task, query).to_numpy() > 0) & (plausible(cfs, task).to_numpy() > 0)
    if reference is not None:
        limit = reference.reindex(answers.queries).to_numpy(dtype=float)
        good &= np.isnan(limit) | (mad_l1(cfs, task).to_numpy() <= limit + 1e-9)
    order = np.argsort(answers.index.get_level_values("rank"), kind="stable")
    found = answers.series(good, f"success_at_{m}").iloc[order]
    return found.groupby(level="query").first().reindex(answers.requests, fill_value=0.0)


def seconds(cfs: Counterfactuals, task: Task) -> pd.Series[float]:
    """Seconds spent on the request, as the run noted them, abstentions included; lower is better.

    Formula: the largest value in column `seconds` of the request's rows; blank where none was noted.
    Leaves out: fitting the generator; other load on the machine is not taken off. Source: ours.
    """
    del task
    noted = pd.to_numeric(cfs.frame["seconds"]).groupby(cfs.frame["query"]).max()
    return noted.reindex(cfs.factuals.index).astype(float).rename("seconds")
