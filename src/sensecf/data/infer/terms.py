"""What recognised columns are called: in the words of a clinician, and in those of anybody.

The catalogue's descriptions say what a column holds; these are names for it, short enough for a list. A column without
an entry is called by its description in both.
"""

from __future__ import annotations

from typing import Literal

from sensecf.core.schema import Feature
from sensecf.data.infer.catalogue import known_feature
from sensecf.data.infer.recognise import known_as

#: Whose words: a clinician's, or anybody's.
Register = Literal["clinical", "plain"]
REGISTERS: tuple[Register, ...] = ("clinical", "plain")

#: By the catalogue's name: the clinician's term, and the plain one.
TERMS: dict[str, tuple[str, str]] = {
    "age": ("Age", "Age"),
    "bmi": ("Body mass index", "Weight for height (BMI)"),
    "hba1c_pct": ("HbA1c", "Long-term blood sugar (HbA1c)"),
    "sbp": ("Systolic blood pressure", "Upper blood pressure"),
    "dbp": ("Diastolic blood pressure", "Lower blood pressure"),
    "cesd10": ("CES-D-10 depression score", "Low mood score"),
    "paid5": ("PAID-5 diabetes distress score", "Diabetes worry score"),
    "study_group": ("Diabetes severity group", "Diabetes group"),
    "sleep_total_min": ("Total sleep time", "Time asleep"),
    "sleep_deep_min": ("Deep sleep (N3)", "Deep sleep"),
    "sleep_rem_min": ("REM sleep", "Dream sleep (REM)"),
    "sleep_light_min": ("Light sleep (N1 and N2)", "Light sleep"),
    "sleep_deep_pct": ("Deep sleep, share", "Deep share of sleep"),
    "sleep_rem_pct": ("REM sleep, share", "Dream share of sleep"),
    "sleep_light_pct": ("Light sleep, share", "Light share of sleep"),
    "sleep_awake_min": ("Wake after sleep onset", "Awake during the night"),
    "sleep_onset_min": ("Sleep onset latency", "Time to fall asleep"),
    "sleep_efficiency_pct": ("Sleep efficiency", "Share of the night asleep"),
    "sleep_midpoint_sd_min": ("Sleep irregularity (SD of midpoint)", "How much bedtimes vary"),
    "steps": ("Steps", "Steps"),
    "active_min": ("Active time", "Time walking or running"),
    "sedentary_min": ("Sedentary time", "Time sitting"),
    "lightly_active_min": ("Light activity", "Light activity"),
    "moderately_active_min": ("Moderate activity", "Brisk activity"),
    "very_active_min": ("Vigorous activity", "Hard activity"),
    "active_kcal": ("Active energy expenditure", "Energy burnt by moving"),
    "calories_kcal": ("Total energy expenditure", "Energy burnt in all"),
    "hr_mean_bpm": ("Mean heart rate", "Average heart rate"),
    "hr_min_bpm": ("Minimum heart rate", "Lowest heart rate"),
    "hr_max_bpm": ("Maximum heart rate", "Highest heart rate"),
    "hr_sd_bpm": ("Heart rate, SD", "How much the heart rate varies"),
    "resting_hr_bpm": ("Resting heart rate", "Resting heart rate"),
    "hrv_rmssd_ms": ("Heart rate variability (RMSSD)", "Beat-to-beat variation at night"),
    "respiration_mean_brpm": ("Respiratory rate", "Breaths a minute"),
    "spo2_mean_pct": ("Oxygen saturation (SpO₂)", "Oxygen in the blood"),
    "vo2max": ("Cardiorespiratory fitness (VO₂max)", "Fitness (VO₂max)"),
    "glucose_mean_mgdl": ("Mean glucose", "Average blood sugar"),
    "glucose_mean_mmol": ("Mean glucose", "Average blood sugar"),
    "glucose_sd_mgdl": ("Glucose variability (SD)", "How much blood sugar swings"),
    "glucose_sd_mmol": ("Glucose variability (SD)", "How much blood sugar swings"),
    "glucose_cv_pct": ("Glucose variability (CV)", "How much blood sugar swings, share"),
    "glucose_tir_pct": ("Time in range, 70–180 mg/dL", "Blood sugar in range"),
    "glucose_tbr_pct": ("Time below range, under 70 mg/dL", "Blood sugar too low"),
    "glucose_tar_pct": ("Time above range, over 180 mg/dL", "Blood sugar too high"),
    "hyperglycaemia_events": ("Hyperglycaemic episodes", "Times with high blood sugar"),
    "gmi_pct": ("Glucose management indicator", "Estimated HbA1c (GMI)"),
    "mage": ("Mean amplitude of glycaemic excursions", "Size of blood sugar swings"),
    "weight_kg": ("Body weight", "Weight"),
    "waist_cm": ("Waist circumference", "Waist"),
    "cholesterol_mgdl": ("Total cholesterol", "Cholesterol"),
    "distance_m": ("Distance covered", "Distance walked or run"),
    "carbs_g": ("Carbohydrate intake, logged", "Carbohydrates eaten"),
    "screen_time_min": ("Screen time", "Time at a screen"),
    "caffeine_mg": ("Caffeine intake", "Caffeine"),
    "alcohol_g": ("Alcohol intake", "Alcohol"),
    "bolus_insulin_u": ("Bolus insulin", "Mealtime insulin"),
}

#: What people do, by what it is about, by the catalogue's name.
LEVERS: dict[str, str] = {
    "sleep_total_min": "Sleep",
    "sleep_midpoint_sd_min": "Sleep",
    "steps": "Activity",
    "active_min": "Activity",
    "sedentary_min": "Activity",
    "lightly_active_min": "Activity",
    "moderately_active_min": "Activity",
    "very_active_min": "Activity",
    "distance_m": "Activity",
    "carbs_g": "Food and drink",
    "caffeine_mg": "Food and drink",
    "alcohol_g": "Food and drink",
    "screen_time_min": "Screen time",
}


def term(name: str | Feature, register: Register) -> str:
    """What a recognised column is called, "" for one that is not recognised; a feature is looked at in its unit.

    >>> term("sleep_total_min", "clinical"), term("sleep_total_min", "plain")
    ('Total sleep time', 'Time asleep')
    """
    entry = known_feature(name) if isinstance(name, str) else known_as(name)
    if entry is None:
        return ""
    found = TERMS.get(entry.name)
    return entry.description.partition(":")[0] if found is None else found[REGISTERS.index(register)]


def lever(name: str | Feature) -> str:
    """What an action is about ("Sleep", "Activity"), "" for one that is not recognised; see `term`.

    >>> lever("sedentary_min"), lever("shoe_size")
    ('Activity', '')
    """
    entry = known_feature(name) if isinstance(name, str) else known_as(name)
    return "" if entry is None else LEVERS.get(entry.name, "")
