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
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sensecf.core.errors import InputError
from sensecf.core.rules import Condition, Floats, Implication, Linear, Order, Total
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.data.card import Card
from sensecf.data.infer.catalogue import ERRORS

STUDY_GROUPS = (
    "healthy",
    "pre_diabetes_lifestyle_controlled",
    "oral_medication_and_or_non_insulin_injectable_medication_controlled",
    "insulin_dependent",
)
#: Feature: (centre, scale, weight) of the stress mechanism. Positive weights raise stress.
MECHANISM: dict[str, tuple[float, float, float]] = {
    "sleep_deep_min": (65.0, 20.0, -1.05),
    "sleep_rem_min": (80.0, 22.0, -0.7),
    "steps": (6500.0, 2800.0, -0.85),
    "glucose_mean_mgdl": (130.0, 30.0, 0.7),
    "hyperglycaemia_events": (1.5, 1.5, 0.55),
    "resting_hr_bpm": (66.0, 7.0, 1.0),
    "sleep_efficiency_pct": (90.0, 4.0, -0.35),
    "age": (60.0, 10.0, -0.25),
}
INTERCEPT = -0.3
CLIP = 2.5
PERSON_SD = 0.5
#: Share of nights and of glucose days without a recording.
BLANK_SHARE = 0.02

_GROUP_SHARES = np.array([776, 560, 686, 258]) / 2280
_NIGHT = ["sleep_total_min", "sleep_deep_min", "sleep_light_min", "sleep_rem_min", "sleep_efficiency_pct"]
_GLUCOSE = ["glucose_mean_mgdl", "glucose_sd_mgdl", "hyperglycaemia_events", "glucose_tir_pct"]


def simulate_cohort(people: int = 200, days: int = 10, seed: int = 0) -> pd.DataFrame:
    """SIMULATED days of simulated people, shape (people x days, 21), by person and day.

    The same arguments give the same rows. Every value lies in the range of `simulated_schema`
    and every row obeys its rules. Raises `InputError` unless people and days are at least 1.
    """
    if people < 1 or days < 1:
        raise InputError(f"a cohort needs at least 1 person and 1 day, not {people} and {days}")
    rng = np.random.default_rng(seed)

    def person(spread: float = 1.0) -> Floats:
        """One draw per person, repeated over their days."""
        return np.repeat(rng.normal(0.0, spread, people), days)

    # --- people: clinical state and habits ---
    group = rng.choice(4, people, p=_GROUP_SHARES)
    age = np.repeat(np.clip(np.round(rng.normal(60, 10.5, people)), 40, 89), days)
    years = (age - 60) / 10
    bmi = np.repeat(np.round(np.clip(rng.normal(np.array([27.5, 29.5, 31.5, 32.5])[group], 4.8), 17, 55), 1), days)
    hba1c_low, hba1c_high = np.array([4.6, 5.7, 5.9, 6.2])[group], np.array([5.6, 6.4, 10.5, 12.5])[group]
    hba1c = rng.normal(np.array([5.35, 6.0, 7.0, 7.8])[group], np.array([0.2, 0.2, 0.8, 1.1])[group])
    hba1c = np.repeat(np.round(np.clip(hba1c, hba1c_low, hba1c_high), 1), days)
    variation = np.repeat(rng.normal(np.array([0.17, 0.20, 0.25, 0.32])[group], 0.025), days)
    habit, fitness, sleeper = person(), person(), person()

    # --- days: each with an echo of the day before ---
    weekend = np.isin((np.arange(people * days) % days) % 7, (5, 6))
    activity = _daily(rng, people, days)
    steps = np.exp(8.68 + 0.32 * habit - 0.1 * years - 0.008 * (bmi - 29) + 0.33 * activity - 0.06 * weekend)
    steps = np.clip(np.round(steps), 200, 30000)
    night = _daily(rng, people, days)
    asleep = np.clip(np.round(405 + 28 * sleeper + 42 * night + 18 * weekend), 180, 660)
    deep_share = 0.165 + 0.022 * sleeper - 0.012 * years + 0.03 * _daily(rng, people, days) + 0.008 * activity
    rem_share = 0.2 + 0.018 * sleeper + 0.028 * _daily(rng, people, days) - 0.004 * years
    deep = np.round(asleep * np.clip(deep_share, 0.03, 0.35))
    rem = np.round(asleep * np.clip(rem_share, 0.04, 0.38))
    efficiency = 90.5 + 1.6 * sleeper - 0.8 * years + 1.8 * night + rng.normal(0, 2.0, len(age))
    efficiency = np.clip(np.round(efficiency), 60, 99)
    active = np.round(np.clip(steps / 105 + 8 * fitness + rng.normal(0, 12, len(age)), 0, 300))
    awake = 1440 - asleep - active
    sitting = 0.72 - 0.05 * activity - 0.03 * habit + rng.normal(0, 0.05, len(age))
    sedentary = np.round(np.clip(awake * np.clip(sitting, 0.35, 0.92), 240, awake))

    poor_night = (400 - asleep) / 60
    glucose = 28.7 * hba1c - 46.7 - 0.035 * (28.7 * hba1c - 46.7) * activity + 3.5 * poor_night
    glucose = np.clip(np.round(glucose + 0.055 * glucose * _daily(rng, people, days)), 70, 340)
    glucose_sd = glucose * np.clip(variation + rng.normal(0, 0.02, len(age)), 0.08, 0.5)
    glucose_sd = np.clip(np.round(glucose_sd), 6, 120)
    above, below = _share_above(glucose, glucose_sd, 180.0), 1 - _share_above(glucose, glucose_sd, 70.0)
    events = np.minimum(rng.poisson(6.0 * above * (1 - 0.45 * above)), 12)
    in_range = np.clip(np.round(100 * (1 - above - below), 1), 0, 100)
    in_range = np.where(events > 0, np.minimum(in_range, 99.0), in_range)  # an event is time out of range

    resting = 66 - 4.2 * fitness - 1.2 * habit + 0.18 * (bmi - 29) + 1.4 * poor_night + 2.2 * _daily(rng, people, days)
    resting = np.clip(np.round(resting + 1.0 * (hba1c - 6)), 42, 100)
    mean_hr = np.clip(np.round(resting + 9 + active / 22 + rng.normal(0, 2.2, len(age)), 1), resting, 140)

    start = pd.Timestamp("2024-01-01")
    frame = pd.DataFrame(
        {
            "participant_id": np.repeat([f"SIM-{number:04d}" for number in range(1, people + 1)], days),
            "date": np.tile([str((start + pd.Timedelta(days=d)).date()) for d in range(days)], people),
            "age": age.astype(int),
            "bmi": bmi,
            "study_group": np.repeat(np.array(STUDY_GROUPS)[group], days),
            "hba1c_pct": hba1c,
            "steps": steps.astype(int),
            "active_min": active.astype(int),
            "sedentary_min": sedentary.astype(int),
            "sleep_total_min": asleep,
            "sleep_deep_min": deep,
            "sleep_light_min": asleep - deep - rem,
            "sleep_rem_min": rem,
            "sleep_efficiency_pct": efficiency,
            "glucose_mean_mgdl": glucose,
            "glucose_sd_mgdl": glucose_sd,
            "hyperglycaemia_events": events.astype(float),
            "glucose_tir_pct": in_range,
            "hr_mean_bpm": mean_hr,
            "resting_hr_bpm": resting.astype(int),
        }
    )
    chance = 1 / (1 + np.exp(-(stress_logit(frame).to_numpy() + person(PERSON_SD))))
    frame["stress"] = np.where(rng.random(len(frame)) < chance, "high", "low")
    frame.loc[rng.random(len(frame)) < BLANK_SHARE, _NIGHT] = np.nan
    frame.loc[rng.random(len(frame)) < BLANK_SHARE, _GLUCOSE] = np.nan
    return frame


def stress_logit(frame: pd.DataFrame) -> pd.Series[float]:
    """The true log-odds of high stress of each row, without the person's offset; NaN where a blank hides it."""
    logit = pd.Series(INTERCEPT, index=frame.index)
    for name, (centre, scale, weight) in MECHANISM.items():
        logit = logit + weight * ((frame[name] - centre) / scale).clip(-CLIP, CLIP)
    return logit


def _daily(rng: np.random.Generator, people: int, days: int, echo: float = 0.4) -> Floats:
    """Standard normal day effects; neighbouring days of a person correlate by `echo`."""
    effect = rng.normal(size=(people, days))
    for day in range(1, days):
        effect[:, day] = echo * effect[:, day - 1] + np.sqrt(1 - echo**2) * effect[:, day]
    return effect.ravel()


def _share_above(mean: Floats, sd: Floats, limit: float) -> Floats:
    """Share of a log-normal glucose day above the limit."""
    from scipy.stats import norm

    spread = np.sqrt(np.log1p((sd / mean) ** 2))
    share: Floats = norm.sf((np.log(limit) - np.log(mean) + spread**2 / 2) / spread)
    return share


def simulated_schema() -> FeatureSchema:
    """The schema of the simulated cohort, made by hand.

    A plan concerns days, so age, group, BMI and HbA1c stay. Directions are set only where the
    opposite is never advice; the other features may move either way. No
    plan asks for less than a device tells apart.
    """
    sleep: dict[str, Any] = {"role": "actionable", "unit": "min", "step": 1, "missing": True}
    glucose: dict[str, Any] = {"role": "mutable", "missing": True}
    features: tuple[Feature, ...] = (
        Feature("age", "integer", "immutable", "years", 40, 89, 1, protected=True),
        Feature("bmi", "continuous", "immutable", "kg/m²", 17, 55, 0.1),
        Feature("study_group", "categorical", "immutable", levels=STUDY_GROUPS),
        Feature("hba1c_pct", "continuous", "immutable", "%", 4.6, 12.5, 0.1, description="three-month average"),
        Feature("steps", "integer", "actionable", "steps", 200, 30000, 1, direction="increase"),
        Feature("active_min", "integer", "actionable", "min", 0, 300, 1, direction="increase"),
        Feature("sedentary_min", "integer", "actionable", "min", 240, 1260, 1, direction="decrease"),
        Feature("sleep_total_min", "integer", low=180, high=660, **sleep),
        Feature("sleep_deep_min", "integer", low=0, high=231, **sleep),
        Feature("sleep_light_min", "integer", low=40, high=620, **sleep),
        Feature("sleep_rem_min", "integer", low=0, high=251, **sleep),
        Feature("sleep_efficiency_pct", "integer", "actionable", "%", 60, 99, 1, missing=True),
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
        group="participant_id",
        rules=rules,
        ignored={"date": "a date or time"},
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
