"""The causal graph of the simulator, as data: the code computes with it and it is written beside the tree.

Nodes of a day are in standard units around the person's own level. Signs follow the literature
named at each edge; the sizes are ours, chosen so that the effects can be found in a few hundred
person-days. It describes simulated people and is no evidence about real ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

#: Nodes of a day, in the order they are computed; each with what it stands for and the columns that show it.
NODES: dict[str, tuple[str, tuple[str, ...]]] = {
    "load": ("demands of the day: work, care, worry (not measured)", ()),
    "activity": ("walking and running", ("active_min", "steps", "active_kcal", "hr_max_bpm")),
    "sleep": ("length of the night that ends on the day", ("sleep_total_min", "sleep_light_min")),
    "deep": ("deep share of that night", ("sleep_deep_min", "sleep_deep_pct", "sleep_efficiency_pct")),
    "rem": ("REM share of that night", ("sleep_rem_min", "sleep_rem_pct")),
    "diet": ("carbohydrates eaten", ()),
    "insulin_sensitivity": ("how well glucose is cleared (not measured)", ()),
    "glucose": (
        "level of glucose",
        ("glucose_mean_mgdl", "glucose_tar_pct", "hyperglycaemia_events", "glucose_sd_mgdl", "mage"),
    ),
    "stress": ("physiological stress", ("stress_mean", "stress")),
    "heart": ("heart rate at rest", ("hr_mean_bpm", "hr_min_bpm", "resting_hr_bpm")),
    "respiration": ("breathing rate", ("respiration_mean_brpm",)),
}

TRAITS: dict[str, str] = {
    "age": "decades above 60",
    "severity": "diabetes group: 0 healthy, 1 pre-diabetes, 2 oral medication, 3 insulin",
    "fitness": "cardiorespiratory fitness, standard units",
    "strain": "a person's usual stress, standard units",
}


@dataclass(frozen=True)
class Edge:
    """`effect` moves by `size` (standard units) per unit of `cause`, `lag` days before; `why` gives the ground."""

    cause: str
    effect: str
    size: float
    lag: int
    why: str


EDGES: tuple[Edge, ...] = (
    Edge("load", "load", 0.5, 1, "busy times last for days"),
    Edge("load", "activity", -0.30, 0, "less time to move"),
    Edge("activity", "activity", 0.2, 1, "habit"),
    Edge("stress", "activity", -0.15, 1, "Stults-Kolehmainen & Sinha 2014, Sports Med 44:81"),
    Edge("fitness", "activity", 0.6, 0, "fit people move more"),
    Edge("load", "sleep", -0.35, 1, "short nights after busy days"),
    Edge("activity", "sleep", 0.2, 1, "Kredlow et al. 2015, J Behav Med 38:427"),
    Edge("stress", "sleep", -0.2, 1, "Kim & Dimsdale 2007, Behav Sleep Med 5:256"),
    Edge("activity", "deep", 0.35, 1, "Kredlow et al. 2015"),
    Edge("stress", "deep", -0.2, 1, "Kim & Dimsdale 2007"),
    Edge("age", "deep", -0.3, 0, "Boulos et al. 2019"),
    Edge("stress", "rem", -0.2, 1, "Kim & Dimsdale 2007"),
    Edge("sleep", "rem", 0.3, 0, "REM comes late in the night"),
    Edge("diet", "diet", 0.3, 1, "habit"),
    Edge("sleep", "diet", -0.2, 0, "Al Khatib et al. 2017, Eur J Clin Nutr 71:614 (short sleep, more eaten)"),
    Edge("activity", "insulin_sensitivity", 0.45, 0, "Colberg et al. 2016, Diabetes Care 39:2065"),
    Edge("activity", "insulin_sensitivity", 0.25, 1, "Colberg et al. 2016 (lasts into the next day)"),
    Edge("sleep", "insulin_sensitivity", 0.25, 0, "Buxton et al. 2010, Diabetes 59:2126"),
    Edge("stress", "insulin_sensitivity", -0.2, 1, "Surwit et al. 1992, Diabetes Care 15:1413"),
    Edge("fitness", "insulin_sensitivity", 0.3, 0, "Colberg et al. 2016"),
    Edge("insulin_sensitivity", "glucose", -0.6, 0, "definition"),
    Edge("diet", "glucose", 0.5, 0, "definition"),
    Edge("severity", "glucose", 0.4, 0, "definition; the group also sets the baseline"),
    Edge("load", "stress", 0.7, 0, "definition"),
    Edge("sleep", "stress", -0.45, 0, "Kim & Dimsdale 2007"),
    Edge("deep", "stress", -0.35, 0, "Kim & Dimsdale 2007"),
    Edge("rem", "stress", -0.2, 0, "ours"),
    Edge("activity", "stress", -0.4, 0, "Stults-Kolehmainen & Sinha 2014"),
    Edge("glucose", "stress", 0.35, 0, "ours: high glucose raises sympathetic tone"),
    Edge("strain", "stress", 0.7, 0, "definition"),
    Edge("stress", "heart", 0.3, 0, "the score is computed from heart rate and its variability"),
    Edge("fitness", "heart", -0.7, 0, "Reimers et al. 2018"),
    Edge("stress", "respiration", 0.12, 0, "Grassmann et al. 2016, Neural Plast 2016:8146809"),
)

#: Standard deviation of what no edge explains.
NOISE = {
    "load": 0.85,
    "activity": 0.7,
    "sleep": 0.8,
    "deep": 0.7,
    "rem": 0.8,
    "diet": 0.8,
    "insulin_sensitivity": 0.4,
    "glucose": 0.4,
    "stress": 1.3,
    "heart": 0.5,
    "respiration": 0.6,
}


def causal_graph() -> dict[str, object]:
    """The graph as plain data for JSON: nodes with the columns that show them, traits, edges, noise.

    >>> sorted(sensecf.sensors.causal_graph())[:2]
    ['about', 'edges']
    """
    return {
        "about": "causal graph of the simulated people; sizes in standard units per unit of the cause",
        "nodes": [{"name": name, "meaning": text, "columns": list(shown)} for name, (text, shown) in NODES.items()],
        "traits": [{"name": name, "meaning": text} for name, text in TRAITS.items()],
        "edges": [asdict(edge) for edge in EDGES],
        "noise": dict(NOISE),
    }
