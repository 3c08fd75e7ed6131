"""Metrics with one value per request: was it answered, validly, well, and at what cost?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sensecf.core.rules import Bools
from sensecf.metrics.declare import metric
from sensecf.metrics.feasibility import feasible
from sensecf.metrics.plausibility import plausible
from sensecf.metrics.scored import Scored, of_answers


@metric(title="Found by the generator asked for", section="Answers", over="requests", better="higher")
def own_share(scored: Scored) -> pd.Series[float]:
    """Did the generator asked for find a valid answer itself? 1 or 0, higher is better.

    With `fallback_share`, `unanswered_share` and `not_needed_share` it adds up to 1 for every request.
    Blank where it is not known who was asked (`Counterfactuals.asked`). Leaves out: how good the answer
    is. Source: ours.
    """
    return _found_by(scored, "own")


@metric(title="Found by a fallback", section="Answers", over="requests", better="none")
def fallback_share(scored: Scored) -> pd.Series[float]:
    """Is the valid answer another generator's, asked where the one asked for found none? 1 or 0. Source: ours."""
    return _found_by(scored, "fallback")


@metric(title="Found by nobody", section="Answers", over="requests", better="lower")
def unanswered_share(scored: Scored) -> pd.Series[float]:
    """Did nobody find a valid answer? 1 or 0, lower is better. Source: ours."""
    return _found_by(scored, "nobody")


@metric(title="In the target class already", section="Answers", over="requests", better="none")
def not_needed_share(scored: Scored) -> pd.Series[float]:
    """Is the request in the target class as it is? 1 or 0. Source: ours."""
    return _found_by(scored, "not needed")


def _found_by(scored: Scored, who: str) -> pd.Series[float]:
    """Whether `who` (see `Counterfactuals.found_by`) found the answer, valid as judged anew."""
    if not scored.cfs.asked:
        return pd.Series(dtype=float)
    return (scored.cfs.found_by(scored.reached, scored.edits) == who).astype(float)


@metric(title="Valid", section="Answers", over="requests", better="higher")
def validity(scored: Scored) -> pd.Series[float]:
    """Is the request answered by a row that the classifier puts in the target class?

    Formula: the share of the request's answers for which `predict` says target and no two classes
    tie; 0 without an answer. With one answer per request it is 0 or 1. Range [0, 1], higher is better.
    Leaves out: rules, plausibility, effort.
    Source: Mothilal et al. 2020; that an unanswered request counts as 0 is ours.
    """
    good = scored.series(scored.reached)
    return good.groupby(level="query").mean().reindex(scored.requests, fill_value=0.0)


@metric(title="Answered", section="Answers", over="requests", better="higher")
def coverage(scored: Scored) -> pd.Series[float]:
    """Is the request answered at all? 1 or 0, higher is better.

    Leaves out: whether the answer is valid, feasible or any good.
    Source: Pawelczyk et al. 2021, where it goes by the name of success rate.
    """
    return pd.Series(scored.requests.isin(scored.queries).astype(float), scored.requests)


@of_answers
def success(scored: Scored, m: int = 3) -> pd.Series[float]:
    """Is the first answer good in every respect at once? 1 or 0, 0 without an answer; higher is better.

    Formula: the answer of lowest rank is valid, feasible, plausible (LOF inlier, changed values inside
    the training range), changes at most `m` features and is no farther (MAD-L1) than `reference`, a
    distance per request: that of another method's answer, NICE's in our tables. Where the reference
    has no value that clause is not asked. Leaves out: the answers behind the first. Source: ours.

    >>> sensecf.metrics.success(sensecf.metrics.read(plans, task), m=3).index.tolist() == people.index.tolist()
    True
    """
    reference = scored.given.reference
    near = np.ones(len(scored), dtype=bool)
    if reference is not None:
        limit = reference.reindex(scored.queries).to_numpy(dtype=float)
        near = np.isnan(limit) | (scored.distance <= limit + 1e-9)
    return _success(scored, m, near)


@metric(
    title="Good in every respect, at most 3 changes",
    section="Answers",
    over="requests",
    better="higher",
    short="success@3",
    needs="reference",
)
def success_at_3(scored: Scored) -> pd.Series[float]:
    """`success` with at most 3 changes, no farther than the reference. Source: ours."""
    return success(scored)


@metric(
    title="Good in every respect, at most 3 changes (no distance limit)",
    section="Answers",
    over="requests",
    better="higher",
)
def success_at_3_without_reference(scored: Scored) -> pd.Series[float]:
    """`success` with at most 3 changes, however far: it asks for less, and so it has another name. Source: ours."""
    return _success(scored, 3, np.ones(len(scored), dtype=bool))


def _success(scored: Scored, m: int, near: Bools) -> pd.Series[float]:
    good = near & scored.reached & (scored.edits <= m)
    good &= (feasible(scored).to_numpy() > 0) & (plausible(scored).to_numpy() > 0)
    order = np.argsort(scored.index.get_level_values("rank"), kind="stable")
    first = scored.series(good).iloc[order].groupby(level="query").first()
    return first.reindex(scored.requests, fill_value=0.0)


@metric(title="Seconds per request", section="Cost", over="requests", better="lower", share=False)
def seconds(scored: Scored) -> pd.Series[float]:
    """Seconds spent on the request, as the run noted them, abstentions included; lower is better.

    Formula: the largest value in column `seconds` of the request's rows; blank where none was noted.
    Leaves out: fitting the generator; other load on the machine is not taken off. Source: ours.
    """
    frame = scored.cfs.frame
    noted = pd.to_numeric(frame["seconds"]).groupby(frame["query"]).max()
    return noted.reindex(scored.requests).astype(float)
