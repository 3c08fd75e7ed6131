"""What is known to act on what among daily and clinical columns: edges with a sign and a citation.

They are proposals for a schema, written as comments, and count only where a person accepts them. Directions follow the
literature named at each edge, most of it trials or meta-analyses; sizes are never taken from here. Sleep stages are not
among the effects: they share the length of the night. An effect that takes
weeks (exercise on resting heart rate) is marked `slow`: in a table of days it may hardly show. Columns find their edges
by the names of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sensecf.core.schema import Sign


class Edge(NamedTuple):
    """`cause` acts on `effect`, both names of the catalogue; `sign`: which way; `source`: a key of `CITED`; `slow`:
    over weeks rather than within the day."""

    cause: str
    effect: str
    sign: Sign
    source: str
    slow: bool = False


CITED = {
    "definition": "by definition or by the day's 24 hours",
    "alkhatib": "Al Khatib et al. 2017, Eur J Clin Nutr 71:614 (short sleep, more eaten)",
    "altini": "Altini & Plews 2021, Sensors 21:7932 (resting heart rate and HRV after short or late nights)",
    "dempsey": "Dempsey et al. 2016, Diabetes Care 39:964 (sitting broken up by walking, and glucose)",
    "buxton": "Buxton et al. 2010, Diabetes 59:2126 (short sleep, less insulin sensitivity)",
    "bravata": "Bravata et al. 2007, JAMA 298:2296 (pedometers: steps, BMI, blood pressure)",
    "chang": "Chang et al. 2015, PNAS 112:1232 (screens in the evening delay and shorten sleep)",
    "colberg": "Colberg et al. 2016, Diabetes Care 39:2065 (activity and glucose)",
    "cornelissen": "Cornelissen & Smart 2013, J Am Heart Assoc 2:e004473 (exercise and blood pressure)",
    "ebrahim": "Ebrahim et al. 2013, Alcohol Clin Exp Res 37:539 (alcohol and sleep)",
    "gardiner": "Gardiner et al. 2023, Sleep Med Rev 69:101764 (caffeine and sleep)",
    "jenkins": "Jenkins et al. 1981, Am J Clin Nutr 34:362; Evert et al. 2019, Diabetes Care 42:731 (carbohydrates)",
    "nathan": "Nathan et al. 2008, Diabetes Care 31:1473 (mean glucose and HbA1c)",
    "neter": "Neter et al. 2003, Hypertension 42:878 (weight and blood pressure)",
    "pietilae": "Pietilä et al. 2018, JMIR Ment Health 5:e23 (alcohol and nightly heart rate variability)",
    "reimers": "Reimers et al. 2018, J Clin Med 7:503 (exercise and resting heart rate)",
    "sandercock": "Sandercock et al. 2005, Med Sci Sports Exerc 37:433 (exercise and heart rate variability)",
    "agp": "Battelino et al. 2019, Diabetes Care 42:1593 (what is counted of a glucose day)",
}

#: Effects among the catalogue's columns, causes in the order in which they are proposed.
EDGES: tuple[Edge, ...] = (
    Edge("steps", "active_min", "+", "definition"),
    Edge("steps", "active_kcal", "+", "definition"),
    Edge("active_min", "active_kcal", "+", "definition"),
    Edge("active_kcal", "calories_kcal", "+", "definition"),
    Edge("steps", "distance_m", "+", "definition"),
    Edge("active_min", "sedentary_min", "-", "definition"),
    Edge("sleep_total_min", "sedentary_min", "-", "definition"),
    Edge("sleep_awake_min", "sleep_efficiency_pct", "-", "definition"),
    Edge("sleep_total_min", "sleep_efficiency_pct", "+", "definition"),
    Edge("sleep_onset_min", "sleep_efficiency_pct", "-", "definition"),
    Edge("caffeine_mg", "sleep_onset_min", "+", "gardiner"),
    Edge("screen_time_min", "sleep_onset_min", "+", "chang"),
    Edge("alcohol_g", "sleep_awake_min", "+", "ebrahim"),
    Edge("steps", "glucose_mean_mgdl", "-", "colberg"),
    Edge("active_min", "glucose_mean_mgdl", "-", "colberg"),
    Edge("sleep_total_min", "glucose_mean_mgdl", "-", "buxton"),
    Edge("sedentary_min", "glucose_mean_mgdl", "+", "dempsey"),
    Edge("carbs_g", "glucose_mean_mgdl", "+", "jenkins"),
    Edge("bolus_insulin_u", "glucose_mean_mgdl", "-", "jenkins"),
    Edge("carbs_g", "glucose_sd_mgdl", "+", "jenkins"),
    Edge("glucose_mean_mgdl", "glucose_sd_mgdl", "+", "agp"),
    Edge("glucose_mean_mgdl", "glucose_tir_pct", "-", "agp"),
    Edge("glucose_sd_mgdl", "glucose_tir_pct", "-", "agp"),
    Edge("glucose_mean_mgdl", "glucose_tar_pct", "+", "agp"),
    Edge("glucose_mean_mgdl", "hyperglycaemia_events", "+", "agp"),
    Edge("glucose_sd_mgdl", "hyperglycaemia_events", "+", "agp"),
    Edge("glucose_sd_mgdl", "mage", "+", "agp"),
    Edge("glucose_mean_mgdl", "gmi_pct", "+", "definition"),
    Edge("glucose_mean_mgdl", "hba1c_pct", "+", "nathan", slow=True),
    Edge("sleep_total_min", "resting_hr_bpm", "-", "altini"),
    Edge("active_min", "resting_hr_bpm", "-", "reimers", slow=True),
    Edge("resting_hr_bpm", "hr_mean_bpm", "+", "definition"),
    Edge("active_min", "hr_mean_bpm", "+", "definition"),
    Edge("resting_hr_bpm", "hr_min_bpm", "+", "definition"),
    Edge("sleep_total_min", "hrv_rmssd_ms", "+", "altini"),
    Edge("alcohol_g", "hrv_rmssd_ms", "-", "pietilae"),
    Edge("active_min", "hrv_rmssd_ms", "+", "sandercock", slow=True),
    Edge("active_min", "vo2max", "+", "reimers", slow=True),
    Edge("active_min", "sbp", "-", "cornelissen", slow=True),
    Edge("steps", "bmi", "-", "bravata", slow=True),
    Edge("weight_kg", "bmi", "+", "definition"),
    Edge("weight_kg", "sbp", "+", "neter", slow=True),
    Edge("weight_kg", "waist_cm", "+", "definition"),
    Edge("sleep_total_min", "carbs_g", "-", "alkhatib"),
)


class Known(NamedTuple):
    """Causes proposed for one column of a table, with their signs, and where each is from."""

    causes: tuple[str, ...]
    sign: tuple[Sign, ...]
    source: str


def known_causes(columns: Mapping[str, str]) -> dict[str, Known]:
    """Proposed causes by column of a table; `columns`: the table's column for each name of the catalogue that it has.

    >>> known_causes({"steps": "Steps", "glucose_mean_mgdl": "Mean glucose"})["Mean glucose"].causes
    ('Steps',)
    """
    found: dict[str, Known] = {}
    for effect, column in columns.items():
        edges = [edge for edge in EDGES if edge.effect == effect and edge.cause in columns]
        if edges:
            sources = dict.fromkeys(
                f"{columns[e.cause]}: {CITED[e.source]}{', over weeks' if e.slow else ''}" for e in edges
            )
            found[column] = Known(
                tuple(columns[e.cause] for e in edges), tuple(e.sign for e in edges), "; ".join(sources)
            )
    return found
