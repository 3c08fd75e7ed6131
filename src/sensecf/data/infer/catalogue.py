"""The default health schema: what a recognised column is, in which unit and range, and what a person can do about it.

A role says what a person does: steps, minutes of activity and of sitting, the length and regularity of sleep, meals
and screens are levers (`actionable`); what the body answers with (sleep stages, efficiency, heart rate, glucose,
energy, blood values, weight) is a result (`mutable`).

`known_feature(name)` answers for one column, `known_rules(names)` gives the rules that hold among
the columns present. Ranges are what a person can plausibly have (not what is healthy; `healthy`
is that), steps the precision worth stating, `weekly` the largest change that is reasonable to ask
for within a week. A direction is set only where the opposite is never advice. Each number has a source
in `SOURCES`; "ours" marks a choice of this project.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sensecf.core.rules import Condition, Implication, Linear, Order, Rule, Total
from sensecf.core.schema import Direction, Kind, Role
from sensecf.data.infer.units import factor, one_unit

SOURCES = {
    "aasm": "Boulos et al. 2019, Lancet Respir Med 7:533 (normal polysomnography values)",
    "aha": "American Heart Association: resting heart rate 60-100; Whelton et al. 2018 blood pressure guideline",
    "ada": "American Diabetes Association, Standards of Care in Diabetes (targets; HbA1c moves over 8-12 weeks)",
    "agp": "Battelino et al. 2019, Diabetes Care 42:1593 (time in range targets, coverage, CV 36 %)",
    "bravata": "Bravata et al. 2007, JAMA 298:2296 (pedometers: about 2,500 steps a day more)",
    "cdc": "CDC: losing 0.5-1 kg a week is a steady, safe pace",
    "cesd": "Andresen et al. 1994, Am J Prev Med 10:77 (CES-D-10, 0-30, 10 or more positive)",
    "dash": "Sacks et al. 2001, N Engl J Med 344:3 (DASH and sodium: -11.5 mmHg within 30 days in hypertension)",
    "garmin": "Garmin stress score: 0-25 rest, 26-50 low, 51-75 medium, 76-100 high",
    "fitbit": "de Zambotti et al. 2018, Chronobiol Int 35:465 (Charge 2 against polysomnography: 9 minutes of sleep)",
    "gmi": "Bergenstal et al. 2018, Diabetes Care 41:2275 (GMI = 3.31 + 0.02392 x mean glucose)",
    "iso": "ISO 81060-2 (a monitor passes with a mean error of at most 5 mmHg, SD 8)",
    "nsf": "Hirshkowitz et al. 2015, Sleep Health 1:40 (7-9 hours for adults); Ohayon et al. 2017 (quality)",
    "ours": "a choice of this project, to be edited in the schema",
    "paid": "McGuire et al. 2010, Diabetologia 53:66 (PAID-5, 0-20, 8 or more positive)",
    "paluch": "Paluch et al. 2022, Lancet Public Health 7:e219 (steps and mortality: 6,000-10,000 a day)",
    "reimers": "Reimers et al. 2018, J Clin Med 7:503 (exercise lowers resting heart rate by 3-6 bpm over months)",
    "sleepx": "Al Khatib et al. 2018, Am J Clin Nutr 107:43 (sleep extension: 21 minutes within 4 weeks)",
    "who": "WHO 2020 guidelines on physical activity; WHO BMI classes",
}


@dataclass(frozen=True)
class Entry:
    """What is known of one column.

    `low`, `high`, `step`, `weekly`, `healthy` are in `unit`; `levels` for categorical columns.
    `peak`: a column none of whose values is above it is in another unit (hours, fractions,
    thousands). `ignore`: why the column is no feature (an id, a date), else "". `label_source`: a
    stress label is computed from it. `formula`: the columns that determine this one exactly; a
    schema with all of them present does better without it, since no rule keeps a quotient true.
    `sources`: keys of `SOURCES`. `factor`: how many of `unit` one of the catalogue's unit is, see `into`.
    """

    name: str
    description: str
    kind: Kind = "continuous"
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    role: Role = "mutable"
    direction: Direction = "any"
    weekly: float | None = None
    healthy: tuple[float, float] | None = None
    levels: tuple[str, ...] = ()
    protected: bool = False
    peak: float = -math.inf
    formula: str = ""
    ignore: str = ""
    label_source: bool = False
    sources: tuple[str, ...] = ("ours",)
    factor: float = 1.0

    @property
    def most(self) -> float | None:
        """The largest change of a day that a person can be asked for, see `MOST`; None where none is known."""
        return self._by(MOST[self.name][0]) if self.name in MOST else None

    @property
    def error(self) -> float | None:
        """How far off a device is, see `ERRORS`; None where it is not known."""
        return self._by(ERRORS[self.name][0]) if self.name in ERRORS else None

    def _by(self, number: float) -> float:
        """A number of the catalogue's unit in this one, in four digits."""
        return number if self.factor == 1.0 else float(f"{number * self.factor:.4g}")

    def into(self, unit: str) -> Entry | None:
        """The entry in another unit of the same quantity, as it is spelled there; None for a unit of another one.

        Amounts keep four digits; `step` is then the table's own affair.
        """
        by = factor(self.unit, unit)
        if by is None or self.step is None or self.low is None or self.high is None:
            return None
        if by == 1.0:
            return self
        low, high = self.healthy or (0.0, 0.0)
        return replace(
            self,
            factor=self.factor * by,
            unit=one_unit(unit),
            kind="continuous",
            low=float(f"{self.low * by:.4g}"),
            high=float(f"{self.high * by:.4g}"),
            weekly=None if self.weekly is None else float(f"{self.weekly * by:.4g}"),
            healthy=None if self.healthy is None else (float(f"{low * by:.4g}"), float(f"{high * by:.4g}")),
            peak=self.peak * by,
        )

    @property
    def derived_from(self) -> tuple[str, ...]:
        """The columns of the formula."""
        return tuple(re.findall(r"[a-z]\w*", self.formula))

    @property
    def decimals(self) -> int:
        """Decimals needed to write multiples of `step`."""
        return 0 if self.step is None else max(0, -math.floor(math.log10(self.step) + 1e-9))


def _minutes(
    name: str, description: str, high: float, role: Role, direction: Direction, weekly: float | None, *sources: str,
    healthy: tuple[float, float] | None = None, peak: float = 24,
) -> Entry:  # fmt: skip
    return Entry(
        name, description, "integer", "min", 0, high, 1, role, direction, weekly, healthy, peak=peak, sources=sources,
    )  # fmt: skip


def _percent(
    name: str, description: str, role: Role, direction: Direction = "any", weekly: float | None = None,
    *sources: str, healthy: tuple[float, float] | None = None, formula: str = "",
) -> Entry:  # fmt: skip
    return Entry(
        name, description, "continuous", "%", 0, 100, 0.1, role, direction, weekly, healthy,
        peak=1, formula=formula, sources=sources,
    )  # fmt: skip


def _bpm(name: str, description: str, weekly: float | None, healthy: tuple[float, float] | None = None) -> Entry:
    return Entry(
        name, description, "continuous", "beats/min", 25, 230, 0.1, "mutable", "any", weekly, healthy,
        sources=("aha", "reimers"),
    )  # fmt: skip


def _skip(name: str, description: str, reason: str) -> Entry:
    return Entry(name, description, "categorical", role="immutable", ignore=reason)


GROUPS = (
    "healthy",
    "pre_diabetes_lifestyle_controlled",
    "oral_medication_and_or_non_insulin_injectable_medication_controlled",
    "insulin_dependent",
)

#: In the order of the table's columns.
ENTRIES: tuple[Entry, ...] = (
    _skip("person_id", "who: splits keep a person on one side", "identifies the person (the group of the splits)"),
    _skip("date", "local day; a night counts to its morning", "a date"),
    _skip("recommended_split", "the data set's own train/val/test split by person", "the official split"),
    Entry("study_group", "AI-READI diabetes severity group", "categorical", role="immutable", levels=GROUPS),
    _skip("clinical_site", "where the person was seen", "the site of the study"),
    Entry("age", "age", "integer", "years", 18, 110, 1, "immutable", protected=True),
    Entry("bmi", "body mass index", unit="kg/m²", low=12, high=70, step=0.1, role="mutable", weekly=0.3,
          healthy=(18.5, 25), sources=("who", "cdc")),
    Entry("hba1c_pct", "HbA1c", unit="%", low=3.5, high=18, step=0.1, weekly=0.1, healthy=(4, 5.7), sources=("ada",)),
    Entry("sbp", "systolic blood pressure", "integer", "mmHg", 70, 250, 1, weekly=4, healthy=(90, 130),
          sources=("aha", "dash")),
    Entry("dbp", "diastolic blood pressure", "integer", "mmHg", 35, 150, 1, weekly=2, healthy=(60, 80),
          sources=("aha", "dash")),
    Entry("cesd10", "CES-D-10 depression total", "integer", "points", 0, 30, 1, healthy=(0, 9), sources=("cesd",)),
    Entry("paid5", "PAID-5 diabetes distress total", "integer", "points", 0, 20, 1, healthy=(0, 7), sources=("paid",)),
    _minutes("sleep_total_min", "asleep: light + deep + REM", 960, "actionable", "any", 60, "nsf", "sleepx",
             healthy=(420, 540)),
    _minutes("sleep_deep_min", "deep sleep", 360, "mutable", "any", 20, "aasm", healthy=(60, 120)),
    _minutes("sleep_rem_min", "REM sleep", 360, "mutable", "any", 20, "aasm", healthy=(75, 140)),
    _minutes("sleep_light_min", "light sleep", 720, "mutable", "any", 45, "aasm"),
    _percent("sleep_deep_pct", "deep share of sleep", "mutable", "any", 5, "aasm", healthy=(12, 25),
             formula="100 * sleep_deep_min / sleep_total_min"),
    _percent("sleep_rem_pct", "REM share of sleep", "mutable", "any", 5, "aasm", healthy=(15, 25),
             formula="100 * sleep_rem_min / sleep_total_min"),
    _percent("sleep_light_pct", "light share of sleep", "mutable", "any", 10, "aasm",
             formula="100 * sleep_light_min / sleep_total_min"),
    _minutes("sleep_awake_min", "awake within the night", 480, "mutable", "decrease", 30, "nsf", peak=0),
    _percent("sleep_efficiency_pct", "asleep share of the time recorded", "mutable", "increase", 5, "nsf",
             healthy=(85, 100), formula="100 * sleep_total_min / (sleep_total_min + sleep_awake_min)"),
    _minutes("sleep_midpoint_sd_min", "irregularity: SD of the middle of the nights", 720, "actionable", "decrease", 20,
             "ours", healthy=(0, 45), peak=0),
    Entry("steps", "steps", "integer", "steps", 0, 60_000, 100, "actionable", "increase", 2500, (6000, 12_000),
          peak=300, sources=("bravata", "paluch")),
    _minutes("active_min", "walking or running", 1080, "actionable", "increase", 60, "who", healthy=(22, 300),
             peak=0),
    Entry("active_kcal", "active energy", "integer", "kcal", 0, 6000, 10, "mutable", weekly=150, peak=10),
    Entry("hr_mean_bpm", "mean heart rate", unit="beats/min", low=25, high=180, step=0.1, weekly=3,
          sources=("aha", "ours")),
    _bpm("hr_min_bpm", "lowest heart rate", 2),
    _bpm("hr_max_bpm", "highest heart rate", None),
    _bpm("resting_hr_bpm", "resting heart rate: lowest mean of 30 minutes", 1.5, (50, 80)),
    Entry("hrv_rmssd_ms", "heart rate variability at night (RMSSD)", unit="ms", low=1, high=250, step=0.1, weekly=5),
    Entry("respiration_mean_brpm", "mean respiration rate", unit="breaths/min", low=6, high=40, step=0.1, weekly=1,
          healthy=(12, 20)),
    Entry("spo2_mean_pct", "mean oxygen saturation", unit="%", low=70, high=100, step=0.1, weekly=1,
          healthy=(95, 100)),
    Entry("glucose_mean_mgdl", "mean glucose", unit="mg/dL", low=40, high=400, step=0.1, weekly=20,
          healthy=(70, 154), sources=("ada", "agp")),
    Entry("glucose_sd_mgdl", "SD of glucose", unit="mg/dL", low=0, high=150, step=0.1, weekly=10, peak=8.5,
          sources=("agp",)),
    _percent("glucose_cv_pct", "coefficient of variation of glucose", "mutable", "any", 5, "agp", healthy=(0, 36),
             formula="100 * glucose_sd_mgdl / glucose_mean_mgdl"),
    _percent("glucose_tir_pct", "time in range, 70-180 mg/dL", "mutable", "any", 15, "agp", healthy=(70, 100)),
    _percent("glucose_tbr_pct", "time below 70 mg/dL", "mutable", "any", 5, "agp", healthy=(0, 4)),
    _percent("glucose_tar_pct", "time above 180 mg/dL", "mutable", "any", 15, "agp", healthy=(0, 25)),
    Entry("hyperglycaemia_events", "times above 180 mg/dL for 15 minutes or more", "integer", "events", 0, 30, 1,
          weekly=2, sources=("agp",)),
    Entry("gmi_pct", "glucose management indicator", unit="%", low=3.31, high=13, step=0.01, weekly=0.5,
          formula="3.31 + 0.02392 * glucose_mean_mgdl", sources=("gmi",)),
    Entry("mage", "mean amplitude of glucose swings", unit="mg/dL", low=0, high=350, step=0.1, weekly=20, peak=19),
    Entry("fitbit_stress_score", "Fitbit's stress management score, higher is calmer", "integer", "points", 1, 100, 1,
          label_source=True),
    Entry("stress_mean", "mean of the valid stress scores of the day", unit="points", low=1, high=100, step=0.1,
          healthy=(1, 25), label_source=True, sources=("garmin",)),
    Entry("stress", "high when stress_mean reaches the threshold", "categorical", role="mutable",
          levels=("low", "high"), label_source=True),
    # Not computed by `build`, but common in tables of watches, glucose sensors and clinics.
    Entry("glucose_mean_mmol", "mean glucose", unit="mmol/L", low=2, high=23, step=0.1, weekly=1.1,
          healthy=(3.9, 8.6), sources=("ada", "agp")),
    Entry("glucose_sd_mmol", "SD of glucose", unit="mmol/L", low=0, high=8.5, step=0.1, weekly=0.6, sources=("agp",)),
    _minutes("sedentary_min", "sitting or lying awake", 1440, "actionable", "decrease", 90, "who"),
    _minutes("lightly_active_min", "light activity", 1080, "actionable", "any", 90, "who", peak=0),
    _minutes("moderately_active_min", "moderate activity", 720, "actionable", "increase", 30, "who", peak=0),
    _minutes("very_active_min", "vigorous activity", 480, "actionable", "increase", 20, "who", peak=0),
    _minutes("sleep_onset_min", "minutes to fall asleep", 240, "mutable", "any", 15, "nsf", healthy=(0, 30), peak=0),
    Entry("distance_m", "distance covered", "integer", "m", 0, 100_000, 100, "actionable", "increase", 2000, peak=200),
    Entry("carbs_g", "carbohydrates logged; a blank is not zero", "integer", "g", 0, 1000, 1, "actionable", weekly=50,
          peak=5),
    _minutes("screen_time_min", "screen time", 1200, "actionable", "any", 60, "ours", peak=0),
    Entry("caffeine_mg", "caffeine", "integer", "mg", 0, 2000, 10, "actionable", weekly=100, peak=5),
    Entry("alcohol_g", "alcohol drunk", "integer", "g", 0, 400, 1, "actionable", weekly=20, peak=0),
    Entry("bolus_insulin_u", "bolus insulin: a dose is set with the clinician, no plan changes it", unit="U",
          low=0, high=300, step=0.1, role="immutable"),
    Entry("calories_kcal", "energy spent, rest included", "integer", "kcal", 500, 10_000, 10, weekly=200),
    Entry("hr_sd_bpm", "SD of heart rate", unit="beats/min", low=0, high=60, step=0.1, weekly=2),
    Entry("vo2max", "cardiorespiratory fitness", unit="ml/kg/min", low=8, high=90, step=0.1, weekly=0.3,
          sources=("reimers", "ours")),
    Entry("weight_kg", "body weight", unit="kg", low=30, high=300, step=0.1, weekly=0.9, sources=("cdc",)),
    Entry("waist_cm", "waist circumference", unit="cm", low=45, high=200, step=0.5, weekly=0.9),
    Entry("cholesterol_mgdl", "total cholesterol", "integer", "mg/dL", 70, 600, 1, weekly=5, healthy=(120, 200),
          sources=("aha", "ours")),
)  # fmt: skip

_BY_NAME = {entry.name: entry for entry in ENTRIES}

#: Other names of the same quantity. Those without a unit may be in several: the values decide.
ALIASES: dict[str, tuple[str, ...]] = {
    "participant_id": ("person_id",),
    "sleep_min": ("sleep_total_min",),
    "sleep_duration_min": ("sleep_total_min",),
    "deep_sleep": ("sleep_deep_min", "sleep_deep_pct"),
    "rem_sleep": ("sleep_rem_min", "sleep_rem_pct"),
    "light_sleep": ("sleep_light_min", "sleep_light_pct"),
    "sleep_efficiency": ("sleep_efficiency_pct",),
    "step_count": ("steps",),
    "daily_steps": ("steps",),
    "highly_active_min": ("very_active_min",),
    "hr_mean": ("hr_mean_bpm",),
    "resting_hr": ("resting_hr_bpm",),
    "rmssd_ms": ("hrv_rmssd_ms",),
    "rmssd": ("hrv_rmssd_ms",),
    "breathing_rate_brpm": ("respiration_mean_brpm",),
    "spo2": ("spo2_mean_pct",),
    "spo2_pct": ("spo2_mean_pct",),
    "glucose_mean": ("glucose_mean_mgdl", "glucose_mean_mmol"),
    "glucose_sd": ("glucose_sd_mgdl", "glucose_sd_mmol"),
    "glucose_cv": ("glucose_cv_pct",),
    "time_in_range_pct": ("glucose_tir_pct",),
    "hba1c": ("hba1c_pct",),
    "systolic_bp": ("sbp",),
    "sbp_mmhg": ("sbp",),
    "diastolic_bp": ("dbp",),
    "dbp_mmhg": ("dbp",),
    "mage_mgdl": ("mage",),
    "moderate_activity_min": ("moderately_active_min",),
    "vigorous_activity_min": ("very_active_min",),
    "light_activity_min": ("lightly_active_min",),
}

_RULES: tuple[Rule, ...] = (
    Total(("sleep_deep_min", "sleep_rem_min", "sleep_light_min"), "sleep_total_min"),
    Total(("sleep_deep_pct", "sleep_rem_pct", "sleep_light_pct"), 100.0, tolerance=0.05),
    Total(("glucose_tir_pct", "glucose_tbr_pct", "glucose_tar_pct"), 100.0, tolerance=0.05),
    Order(("hr_min_bpm", "hr_mean_bpm", "hr_max_bpm")),
    Order(("resting_hr_bpm", "hr_mean_bpm")),
    Order(("dbp", "sbp")),
    # 0.01 is the rounding of both columns together.
    Linear({"gmi_pct": 1.0, "glucose_mean_mgdl": -0.02392}, "==", 3.31, tolerance=0.01),
    # No day is longer than its minutes.
    Linear({"sleep_total_min": 1.0, "active_min": 1.0, "sedentary_min": 1.0}, "<=", 1440.0),
    Linear(
        dict.fromkeys(("lightly_active_min", "moderately_active_min", "very_active_min", "sedentary_min"), 1.0),
        "<=", 1440.0,
    ),
    # An excursion above 180 mg/dL is time out of range.
    Implication(Condition("hyperglycaemia_events", ">", 0), Condition("glucose_tir_pct", "<", 100)),
)  # fmt: skip


#: How far off a device is, in the unit of the column, and where that is from: a smaller change is not told from it.
#: Only the two blood pressures are a standard's figure (its limit for the mean error over people, taken here for a
#: single reading). Minutes of sleep are rounded up from the mean error of one wristband; single nights and stages
#: differ by more. All others are ours, not measured.
ERRORS: dict[str, tuple[float, str]] = {
    "sleep_total_min": (10, "fitbit"),
    "sleep_deep_min": (10, "ours"),
    "sleep_rem_min": (10, "ours"),
    "sleep_light_min": (10, "ours"),
    "sleep_awake_min": (5, "ours"),
    "steps": (300, "ours"),
    "active_min": (5, "ours"),
    "resting_hr_bpm": (1, "ours"),
    "hr_mean_bpm": (1, "ours"),
    "hrv_rmssd_ms": (2, "ours"),
    "spo2_mean_pct": (1, "ours"),
    "sbp": (5, "iso"),
    "dbp": (5, "iso"),
    "hba1c_pct": (0.2, "ours"),
    "glucose_mean_mgdl": (5, "ours"),
    "glucose_mean_mmol": (0.3, "ours"),
    "glucose_sd_mgdl": (3, "ours"),
    "weight_kg": (0.5, "ours"),
    "waist_cm": (1, "ours"),
    "bmi": (0.2, "ours"),
}


#: The largest change of a day that a person can be asked for, in the unit of `Entry`, and why: about twice what trials
#: bring on average, since plans concern single days. The numbers are ours, to be edited in the schema.
MOST: dict[str, tuple[float, str]] = {
    "sleep_total_min": (
        120,
        "two hours; sleep extension brings 21 (Al Khatib et al. 2018) to 70 minutes (Tasali et al. 2022) on average",
    ),
    "sleep_midpoint_sd_min": (90, "an hour and a half: from changing hours to fixed ones (ours)"),
    "steps": (6000, "an hour of brisk walking; pedometers bring 2,500 steps on average (Bravata et al. 2007)"),
    "active_min": (60, "an hour; guidelines ask for 22 to 43 minutes a day (WHO 2020)"),
    "sedentary_min": (180, "three hours; desks that stand bring one and a half (Shrestha et al. 2018, Cochrane)"),
    "lightly_active_min": (180, "three hours: what sitting less can be filled with (ours)"),
    "moderately_active_min": (60, "an hour; guidelines ask for 22 to 43 minutes a day (WHO 2020)"),
    "very_active_min": (45, "three quarters of an hour; guidelines ask for 11 to 21 minutes a day (WHO 2020)"),
    "distance_m": (5000, "an hour of brisk walking (ours)"),
    "carbs_g": (100, "a hundred grams: about 400 kcal of a day's food (ours)"),
    "screen_time_min": (180, "three hours (ours)"),
    "caffeine_mg": (300, "three cups of coffee (ours)"),
    "alcohol_g": (40, "three to four drinks (ours)"),
}


def known_feature(name: str) -> Entry | None:
    """The catalogue's entry of that name, or the first under that other name; None when it is not known.

    >>> sensecf.sensors.known_feature("glucose_mean_mgdl").unit
    'mg/dL'
    >>> sensecf.sensors.known_feature("shoe_size") is None
    True
    """
    return _BY_NAME.get(name) or next((_BY_NAME[other] for other in ALIASES.get(name, ())), None)


def in_range(name: str, value: float) -> bool:
    """Whether a value lies in the catalogue's range of the column. Raises `KeyError` for one without a range."""
    entry = known_feature(name)
    if entry is None or entry.low is None or entry.high is None:
        raise KeyError(name)
    return entry.low <= value <= entry.high


def known_rules(names: Iterable[str]) -> list[Rule]:
    """The rules all of whose members are among the columns `names` (canonical names only).

    >>> [str(rule) for rule in sensecf.sensors.known_rules(["sbp", "dbp", "age"])]
    ['dbp <= sbp']
    """
    present = set(names)
    return [rule for rule in _RULES if set(rule.members()) <= present]
