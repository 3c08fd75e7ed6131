"""A SIMULATED cohort shaped like daily summaries of AI-READI. No row comes from a person.

One row is one day of one simulated adult of 40 years or more, with the watch, glucose-sensor and
clinical columns that AI-READI's recordings can be summarised to, and a stress label that follows
from the other columns by the mechanism below. It exists so that SenseCF can be tried, tested and
judged (the true mechanism is known) without anybody's data.

Where the numbers come from
    Published: age 40+, the four study groups and their shares (AI-READI v3: 776, 560, 686, 258);
    HbA1c below 5.7 %, 5.7 to 6.4 % and 6.5 % or more for no diabetes, prediabetes and diabetes
    (ADA Standards of Care); mean glucose = 28.7 HbA1c - 46.7 mg/dL (Nathan et al., Diabetes Care
    2008); 70 to 180 mg/dL as time in range, and variation up to 36 % as stable (Battelino et al.,
    Diabetes Care 2019); about 17 % variation without diabetes (Shah et al., JCEM 2019); 5,000
    steps a day as the upper end of a sedentary lifestyle (Tudor-Locke & Bassett, Sports Med 2004);
    resting heart rate of about 65 bpm on average (Quer et al., PLoS ONE 2020); less deep sleep
    with age (Ohayon et al., Sleep 2004).
    Ours: everything else, that is spreads, day-to-day correlation, the size of the couplings
    (an active day lowers glucose and sedentary time; a short or light night raises glucose and
    heart rate; fitness lowers resting heart rate), blanks, and the whole label mechanism.

The label
    `stress` is "high" with probability 1 / (1 + exp(-z)), where z is `INTERCEPT` plus, for each
    feature of `MECHANISM`, weight x (value - centre) / scale, the scaled value held within
    `CLIP`, plus an offset of the person (standard deviation `PERSON_SD`) that no column shows.

The equations are in `sensecf.data.world.cohort`; this is the table that they give without a hidden cause.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from sensecf.core.rules import Condition, Implication, Linear, Order, Total
from sensecf.core.schema import Feature, FeatureSchema, Sign
from sensecf.data.card import Card
from sensecf.data.infer.catalogue import ERRORS, MOST
from sensecf.data.world.cohort import BLANK_SHARE, CLIP, INTERCEPT, MECHANISM, PERSON_SD, STUDY_GROUPS, Cohort

__all__ = [
    "BLANK_SHARE", "CARD", "CLIP", "INTERCEPT", "MECHANISM", "PERSON_SD", "STUDY_GROUPS", "simulate_cohort",
    "simulated_schema", "stress_logit",
]  # fmt: skip


EQUATIONS = "the equations of the simulated cohort (sensecf.data.world.cohort)"
#: The causes of each result, with their signs, among what is recorded; stages share the length of the night.
CAUSES: dict[str, dict[str, Sign]] = {
    "active_min": {"steps": "+"},
    "sedentary_min": {"steps": "-", "active_min": "-", "sleep_total_min": "-"},
    "sleep_efficiency_pct": {"sleep_total_min": "+"},
    "glucose_mean_mgdl": {"steps": "-", "sleep_total_min": "-"},
    "glucose_sd_mgdl": {"glucose_mean_mgdl": "+"},
    "hyperglycaemia_events": {"glucose_mean_mgdl": "+", "glucose_sd_mgdl": "+"},
    "glucose_tir_pct": {"glucose_mean_mgdl": "-", "glucose_sd_mgdl": "-"},
    "resting_hr_bpm": {"sleep_total_min": "-"},
    "hr_mean_bpm": {"resting_hr_bpm": "+", "active_min": "+"},
}


def simulate_cohort(people: int = 200, days: int = 10, seed: int = 0) -> pd.DataFrame:
    """SIMULATED days of simulated people, shape (people x days, 21), by person and day.

    The same arguments give the same rows. Every value lies in the range of `simulated_schema`
    and every row obeys its rules. Raises `InputError` unless people and days are at least 1.

    >>> sensecf.datasets.simulate_cohort(people=3, days=2).shape
    (6, 21)
    """
    return Cohort().simulate(people, days, seed)[0]


def stress_logit(frame: pd.DataFrame) -> pd.Series[float]:
    """The true log-odds of high stress of each row, without the person's offset; NaN where a blank hides it."""
    logit = pd.Series(INTERCEPT, index=frame.index)
    for name, (centre, scale, weight) in MECHANISM.items():
        logit = logit + weight * ((frame[name] - centre) / scale).clip(-CLIP, CLIP)
    return logit


def simulated_schema() -> FeatureSchema:
    """The schema of the simulated cohort, made by hand.

    A plan concerns days, so age, group, BMI and HbA1c stay. Steps, activity, sitting and the length of sleep are
    what a person does; sleep stages, efficiency, glucose and heart rate are results, and the stages share what the
    night gains or loses. Directions are set only where the
    opposite is never advice; the other features may move either way. No
    plan asks for less than a device tells apart, or for more than a person can do (`MOST`).
    The causes among what follows are those of the equations that made
    the table, so that they are accepted here.
    """
    stage: dict[str, Any] = {"role": "mutable", "unit": "min", "step": 1, "missing": True}
    glucose: dict[str, Any] = {"role": "mutable", "missing": True}
    features: tuple[Feature, ...] = (
        Feature("age", "integer", "immutable", "years", 40, 89, 1, protected=True),
        Feature("bmi", "continuous", "immutable", "kg/m²", 17, 55, 0.1),
        Feature("study_group", "categorical", "immutable", levels=STUDY_GROUPS),
        Feature("hba1c_pct", "continuous", "immutable", "%", 4.6, 12.5, 0.1, description="three-month average"),
        Feature("steps", "integer", "actionable", "steps", 200, 30000, 1, direction="increase"),
        Feature("active_min", "integer", "actionable", "min", 0, 300, 1, direction="increase"),
        Feature("sedentary_min", "integer", "actionable", "min", 240, 1260, 1, direction="decrease"),
        Feature("sleep_total_min", "integer", "actionable", "min", 180, 660, 1, missing=True),
        Feature("sleep_deep_min", "integer", low=0, high=231, **stage),
        Feature("sleep_light_min", "integer", low=40, high=620, **stage),
        Feature("sleep_rem_min", "integer", low=0, high=251, **stage),
        Feature("sleep_efficiency_pct", "integer", "mutable", "%", 60, 99, 1, missing=True),
        Feature("glucose_mean_mgdl", "integer", unit="mg/dL", low=70, high=340, step=1, **glucose),
        Feature("glucose_sd_mgdl", "integer", unit="mg/dL", low=6, high=120, step=1, **glucose),
        Feature(
            "hyperglycaemia_events", "integer", unit="per day", low=0, high=12, step=1,
            description="excursions above 180 mg/dL", **glucose,
        ),
        Feature(
            "glucose_tir_pct", "continuous", unit="%", low=0, high=100, step=0.1,
            description="share of the day in 70 to 180 mg/dL", **glucose,
        ),
        Feature("hr_mean_bpm", "continuous", "mutable", "bpm", 42, 140, 0.1),
        Feature("resting_hr_bpm", "integer", "mutable", "bpm", 42, 100, 1),
    )  # fmt: skip
    # What a device tells apart, as the catalogue has it; sitting is told apart as walking is.
    least = {name: error for name, (error, _) in ERRORS.items()} | {"sedentary_min": 10}
    features = tuple(
        replace(f, least_change=least[f.name]) if least.get(f.name, 0) > (f.step or 0) else f for f in features
    )
    features = tuple(
        replace(f, causes=tuple(CAUSES[f.name]), sign=tuple(CAUSES[f.name].values()), causes_source=EQUATIONS)
        if f.name in CAUSES else f
        for f in features
    )  # fmt: skip
    features = tuple(replace(f, most_change=MOST[f.name][0]) if f.name in MOST else f for f in features)
    rules = (
        Total(("sleep_deep_min", "sleep_light_min", "sleep_rem_min"), "sleep_total_min", tolerance=0.5),
        Order(("resting_hr_bpm", "hr_mean_bpm")),
        Linear({"sleep_total_min": 1, "active_min": 1, "sedentary_min": 1}, "<=", 1440),
        Implication(Condition("hyperglycaemia_events", ">", 0), Condition("glucose_tir_pct", "<", 100)),
    )
    return FeatureSchema(
        features=features,
        label="stress",
        classes=("high", "low"),
        target="low",
        person="participant_id",
        rules=rules,
        when="date",
        name="simulated",
    )


CARD = Card(
    name="simulated",
    source="SIMULATED by sensecf.data.builtin.simulated; shaped like AI-READI's daily summaries, none of its rows",
    licence="Apache-2.0 (part of SenseCF)",
    leaves="shareable",
    derivatives="nothing to inherit: no person is described; whatever is made from it stays marked SIMULATED",
    label='stress "high" or "low", drawn from a logistic mechanism over eight features and a hidden offset per person',
    caveats=(
        "no row comes from a person: results say nothing about people, only about methods",
        "spreads, couplings and the label mechanism are ours; ranges follow published norms",
        "rows of one simulated person are correlated: split by participant_id",
    ),
    simulated=True,
)
