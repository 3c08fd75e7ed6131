"""The simulated cohort as structural equations: every value is a function of its causes and of recorded noise.

    people    group, age, BMI, HbA1c, habit, fitness, sleep need            (noise alone)
    levers    steps, active_min, sedentary_min, sleep_total_min
    results   sleep stages, efficiency, glucose and what is counted of it, heart rates
    label     `MECHANISM` over eight of these, an offset of the person, and what is hidden

What is done to a lever moves what stands below it, by the same equations and with the same noise. Steps are read off
the day's effort: whoever walks more makes the effort that gives those steps, and glucose, sitting and deep sleep
answer to it. A longer night has its stages by the night's own shares.

`Cohort.confounding` switches a hidden common cause on: the load of a day makes people move and sleep less and raises
heart rate, glucose and stress, so that part of what the table shows is no effect. `Cohort.drift` lets the laws change
with time. Without either this is the table of `data.builtin.simulated`, which says where its numbers come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm, poisson

from sensecf.core.errors import InputError
from sensecf.core.rules import Bools, Floats
from sensecf.data.world.base import Actions, Noises, Outcome, carried, check_levers, shares

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

#: What a person can do, with the values that a day can have.
LEVERS: dict[str, tuple[float, float]] = {
    "steps": (200, 30000),
    "active_min": (0, 300),
    "sedentary_min": (240, 1260),
    "sleep_total_min": (180, 660),
}
NIGHT = ["sleep_total_min", "sleep_deep_min", "sleep_light_min", "sleep_rem_min", "sleep_efficiency_pct"]
GLUCOSE = ["glucose_mean_mgdl", "glucose_sd_mgdl", "hyperglycaemia_events", "glucose_tir_pct"]
#: Who moves whom; the label is `stress`.
EDGES: tuple[tuple[str, str], ...] = (
    ("steps", "active_min"),
    ("steps", "sedentary_min"),
    ("steps", "glucose_mean_mgdl"),
    ("steps", "sleep_deep_min"),
    ("active_min", "sedentary_min"),
    ("active_min", "hr_mean_bpm"),
    ("sleep_total_min", "sleep_deep_min"),
    ("sleep_total_min", "sleep_light_min"),
    ("sleep_total_min", "sleep_rem_min"),
    ("sleep_total_min", "sedentary_min"),
    ("sleep_total_min", "glucose_mean_mgdl"),
    ("sleep_total_min", "resting_hr_bpm"),
    ("glucose_mean_mgdl", "glucose_sd_mgdl"),
    ("glucose_mean_mgdl", "hyperglycaemia_events"),
    ("glucose_mean_mgdl", "glucose_tir_pct"),
    ("glucose_sd_mgdl", "hyperglycaemia_events"),
    ("glucose_sd_mgdl", "glucose_tir_pct"),
    ("hyperglycaemia_events", "glucose_tir_pct"),
    ("resting_hr_bpm", "hr_mean_bpm"),
    ("sleep_deep_min", "sleep_light_min"),
    ("sleep_rem_min", "sleep_light_min"),
    ("age", "steps"),
    ("age", "sleep_deep_min"),
    ("age", "sleep_rem_min"),
    ("age", "sleep_efficiency_pct"),
    ("bmi", "steps"),
    ("bmi", "resting_hr_bpm"),
    ("hba1c_pct", "glucose_mean_mgdl"),
    ("hba1c_pct", "resting_hr_bpm"),
    ("study_group", "hba1c_pct"),
    ("study_group", "bmi"),
    ("study_group", "glucose_sd_mgdl"),
    *((cause, "stress") for cause in MECHANISM),
)

#: Day effects that echo from day to day, and those that do not, with the standard deviation of each draw.
ECHOES = ("activity", "night", "deep", "rem", "glucose", "resting", "load_day")
FRESH = {"efficiency": 2.0, "active": 12.0, "sitting": 0.05, "glucose_sd": 0.02, "hr_mean": 2.2}
ECHO = 0.4
_GROUP_SHARES = np.array([776, 560, 686, 258]) / 2280
#: How a step count answers to effort: in logarithms, per standard unit of the day's activity.
_STRIDE = 0.33
#: Days over which a drift of 1 changes the laws by the sizes below.
_MONTH = 30.0


@dataclass(frozen=True)
class Cohort:
    """The simulated cohort under one set of laws; `presets` has those that are named, with their schema.

    `confounding` in [0, 1): the correlation of a day's hidden load with less activity and shorter sleep; where it is
    above 0 the load also acts on heart rate, glucose and stress, efficiency does not follow from longer nights, and
    what steps and sleep do to glucose and heart rate is half as large. `drift`: how much the laws change in 30 days;
    `delay`: days between the table and the day on which a plan is carried out.
    """

    name: str = "easy"
    confounding: float = 0.0
    drift: float = 0.0
    delay: int = 0

    @property
    def levers(self) -> tuple[str, ...]:
        """What a person can do."""
        return tuple(LEVERS)

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Who moves whom among the columns, and what moves the label."""
        further = () if self.confounding else (("sleep_total_min", "sleep_efficiency_pct"),)
        return (*EDGES, *further)

    def simulate(self, people: int = 200, days: int = 10, seed: int = 0) -> tuple[pd.DataFrame, Noises]:
        """The table, shape (people x days, 21), by person and day, and its noises; see `World`."""
        if people < 1 or days < 1:
            raise InputError(f"a cohort needs at least 1 person and 1 day, not {people} and {days}")
        noise = self._draw(np.random.default_rng(seed), people, days, seed)
        lived = self._day(noise, {})
        frame = self._frame(noise, lived)
        start = pd.Timestamp("2024-01-01")
        names = np.repeat([f"SIM-{number:04d}" for number in range(1, people + 1)], days)
        frame.insert(0, "participant_id", names)
        frame.insert(1, "date", np.tile([str((start + pd.Timedelta(days=d)).date()) for d in range(days)], people))
        frame["stress"] = np.where(noise["label"] < self._stress(noise, lived), "high", "low")
        return frame, noise

    def do(
        self,
        noises: Noises,
        actions: Actions,
        *,
        adherence: float = 1.0,
        slip: float = 0.0,
        future: int = 0,
        seed: int = 0,
    ) -> Outcome:
        """Live days again on which something is done, `delay` days after; see `World`.

        Raises `InputError` for an action that is no lever.
        """
        check_levers(actions, LEVERS)
        rng = np.random.default_rng([seed, len(noises)])
        if self.delay:
            noises = self._later(noises, self.delay)
        natural = self._day(noises, {})
        share = shares(rng, len(noises), adherence, slip)
        reached = {name: carried(natural[name], wanted, share, *LEVERS[name]) for name, wanted in actions.items()}
        acted = {name: np.where(np.isnan(actions[name]), np.nan, np.round(reached[name])) for name in actions}
        lived = self._day(noises, acted)
        return Outcome(
            self._frame(noises, lived),
            1 - self._stress(noises, lived),
            self._labels(noises, natural, actions, future, (adherence, slip), rng),
        )

    def well(self, noises: Noises, actions: Actions) -> Floats:
        """The true probability of low stress where exactly `actions` happen, shape (n,): `do` in short."""
        noises = self._later(noises, self.delay) if self.delay else noises
        return 1 - self._stress(noises, self._day(noises, actions))

    # --- noise ---

    def _draw(self, rng: np.random.Generator, people: int, days: int, seed: int) -> Noises:
        """Noise of all nodes; in the order in which the table has always drawn it, so that its bytes stay."""
        n = people * days

        def person(spread: float = 1.0) -> Floats:
            return np.repeat(rng.normal(0.0, spread, people), days)

        group = rng.choice(4, people, p=_GROUP_SHARES)
        of: dict[str, np.ndarray] = {"day": np.arange(n) % days, "group": np.repeat(group, days)}
        of["age"] = np.repeat(np.clip(np.round(rng.normal(60, 10.5, people)), 40, 89), days)
        bmi = np.clip(rng.normal(np.array([27.5, 29.5, 31.5, 32.5])[group], 4.8), 17, 55)
        of["bmi"] = np.repeat(np.round(bmi, 1), days)
        low, high = np.array([4.6, 5.7, 5.9, 6.2])[group], np.array([5.6, 6.4, 10.5, 12.5])[group]
        hba1c = rng.normal(np.array([5.35, 6.0, 7.0, 7.8])[group], np.array([0.2, 0.2, 0.8, 1.1])[group])
        of["hba1c"] = np.repeat(np.round(np.clip(hba1c, low, high), 1), days)
        of["variation"] = np.repeat(rng.normal(np.array([0.17, 0.20, 0.25, 0.32])[group], 0.025), days)
        of["habit"], of["fitness"], of["sleeper"] = person(), person(), person()
        for node in ("activity", "night", "deep", "rem"):
            of[node] = _daily(rng, people, days)
        for node in ("efficiency", "active", "sitting"):
            of[node] = rng.normal(0, FRESH[node], n)
        of["glucose"] = _daily(rng, people, days)
        of["glucose_sd"] = rng.normal(0, FRESH["glucose_sd"], n)
        hidden = np.random.default_rng([seed, 1])
        of["load"] = np.repeat(hidden.normal(size=people), days)
        of["load_day"] = _daily(hidden, people, days)
        # A count is drawn at its rate; the quantile that gives it at any rate is found afterwards.
        rate = self._until_glucose(Noises(of), {})["rate"]
        of["events"] = _quantile(rng.poisson(rate), rate, hidden)
        of["resting"] = _daily(rng, people, days)
        of["hr_mean"] = rng.normal(0, FRESH["hr_mean"], n)
        of["offset"] = person(PERSON_SD)
        of["label"] = rng.random(n)
        of["no_night"], of["no_glucose"] = rng.random(n) < BLANK_SHARE, rng.random(n) < BLANK_SHARE
        return Noises(of)

    @staticmethod
    def _later(noises: Noises, days: int) -> Noises:
        """The same noises on a later day."""
        return Noises({**noises.of, "day": noises["day"] + days})

    def _labels(
        self,
        noises: Noises,
        natural: dict[str, Floats],
        actions: Actions,
        days: int,
        execution: tuple[float, float],
        rng: np.random.Generator,
    ) -> Bools:
        """Whether each of the days that follow is of low stress, shape (n, days)."""
        n, low = len(noises), np.empty((len(noises), days), dtype=bool)
        for day in range(days):
            of = dict(noises.of)
            for node in ECHOES:
                of[node] = ECHO * of[node] + np.sqrt(1 - ECHO**2) * rng.normal(size=n)
            for node, spread in FRESH.items():
                of[node] = rng.normal(0, spread, n)
            of |= {"events": rng.random(n), "label": rng.random(n), "day": noises["day"] + 1}
            noises = Noises(of)
            share = shares(rng, n, *execution)
            today, acted = self._day(noises, {}), {}
            for name, wanted in actions.items():
                moved = today[name] + (wanted - natural[name])
                acted[name] = np.where(
                    np.isnan(wanted), np.nan, np.round(carried(today[name], moved, share, *LEVERS[name]))
                )
            low[:, day] = noises["label"] >= self._stress(noises, self._day(noises, acted))
        return low

    # --- equations ---

    def _until_glucose(self, noise: Noises, act: Actions) -> dict[str, Floats]:
        """Values of a day down to glucose, and the `rate` of its excursions, shape (n,) each."""
        h = self.confounding
        own = np.sqrt(1 - h * h)
        load = 0.6 * noise["load"] + 0.8 * noise["load_day"]
        years = (noise["age"] - 60) / 10
        weekend = np.isin(noise["day"] % 7, (5, 6))
        causal = 0.5 if h else 1.0

        effort = own * noise["activity"] - h * load if h else noise["activity"]
        usual = 8.68 + 0.32 * noise["habit"] - 0.1 * years - 0.008 * (noise["bmi"] - 29)
        natural = np.clip(np.round(np.exp(usual + _STRIDE * effort - 0.06 * weekend)), *LEVERS["steps"])
        steps = _set(natural, act.get("steps"))
        effort = effort + np.log(steps / natural) / _STRIDE

        night = own * noise["night"] - h * load if h else noise["night"]
        usually = np.clip(np.round(405 + 28 * noise["sleeper"] + 42 * night + 18 * weekend), 180, 660)
        asleep = _set(usually, act.get("sleep_total_min"))
        # Without a hidden cause a longer night is a better one; with it, the load decides how good the night is.
        better = night if h else night + (asleep - usually) / 42
        deep_share = 0.165 + 0.022 * noise["sleeper"] - 0.012 * years + 0.03 * noise["deep"] + 0.008 * effort
        rem_share = 0.2 + 0.018 * noise["sleeper"] + 0.028 * noise["rem"] - 0.004 * years
        deep = np.round(asleep * np.clip(deep_share, 0.03, 0.35))
        rem = np.round(asleep * np.clip(rem_share, 0.04, 0.38))
        efficiency = 90.5 + 1.6 * noise["sleeper"] - 0.8 * years + 1.8 * better + noise["efficiency"]
        active = np.round(np.clip(steps / 105 + 8 * noise["fitness"] + noise["active"], *LEVERS["active_min"]))
        active = _set(active, act.get("active_min"))
        awake = 1440 - asleep - active
        sitting = 0.72 - 0.05 * effort - 0.03 * noise["habit"] + noise["sitting"]
        sedentary = np.round(np.clip(awake * np.clip(sitting, 0.35, 0.92), 240, awake))
        sedentary = np.minimum(_set(sedentary, act.get("sedentary_min")), awake)

        poor_night = (400 - asleep) / 60
        base = 28.7 * noise["hba1c"] - 46.7
        glucose = base - causal * 0.035 * base * effort + causal * 3.5 * poor_night
        if h or self.drift:
            glucose = glucose + 0.03 * base * load * bool(h) + 4.0 * self._drifted(noise)
        glucose = np.clip(np.round(glucose + 0.055 * glucose * noise["glucose"]), 70, 340)
        glucose_sd = glucose * np.clip(noise["variation"] + noise["glucose_sd"], 0.08, 0.5)
        glucose_sd = np.clip(np.round(glucose_sd), 6, 120)
        above = share_above(glucose, glucose_sd, 180.0)
        return {
            "steps": steps,
            "active_min": active,
            "sedentary_min": sedentary,
            "sleep_total_min": asleep,
            "sleep_deep_min": deep,
            "sleep_light_min": asleep - deep - rem,
            "sleep_rem_min": rem,
            "sleep_efficiency_pct": np.clip(np.round(efficiency), 60, 99),
            "glucose_mean_mgdl": glucose,
            "glucose_sd_mgdl": glucose_sd,
            "poor_night": poor_night,
            "above": above,
            "load": load,
            "rate": 6.0 * above * (1 - 0.45 * above),
        }

    def _day(self, noise: Noises, act: Actions) -> dict[str, Floats]:
        """All values of a day, shape (n,) each, by column; with what only the equations know."""
        day = self._until_glucose(noise, act)
        glucose, above = day["glucose_mean_mgdl"], day["above"]
        below = 1 - share_above(glucose, day["glucose_sd_mgdl"], 70.0)
        events = np.minimum(poisson.ppf(noise["events"], np.maximum(day["rate"], 1e-300)), 12)
        events = np.where(day["rate"] > 0, events, 0.0)
        in_range = np.clip(np.round(100 * (1 - above - below), 1), 0, 100)
        in_range = np.where(events > 0, np.minimum(in_range, 99.0), in_range)  # an event is time out of range

        causal = 0.5 if self.confounding else 1.0
        resting = 66 - 4.2 * noise["fitness"] - 1.2 * noise["habit"] + 0.18 * (noise["bmi"] - 29)
        resting = resting + causal * 1.4 * day["poor_night"] + 2.2 * noise["resting"]
        if self.confounding or self.drift:
            resting = resting + 1.6 * day["load"] * bool(self.confounding) + 1.5 * self._drifted(noise)
        resting = np.clip(np.round(resting + 1.0 * (noise["hba1c"] - 6)), 42, 100)
        mean_hr = np.clip(np.round(resting + 9 + day["active_min"] / 22 + noise["hr_mean"], 1), resting, 140)
        return day | {
            "hyperglycaemia_events": events,
            "glucose_tir_pct": in_range,
            "hr_mean_bpm": mean_hr,
            "resting_hr_bpm": resting,
            "age": noise["age"],
        }

    def _stress(self, noise: Noises, day: dict[str, Floats]) -> Floats:
        """The true probability of high stress, shape (n,)."""
        drifted = self._drifted(noise)
        logit = np.full(len(noise), INTERCEPT)
        for name, (centre, scale, weight) in MECHANISM.items():
            now = weight * (1 - 0.3 * drifted) if self.drift and name == "steps" else weight
            logit = logit + now * np.clip((day[name] - centre) / scale, -CLIP, CLIP)
        logit = logit + noise["offset"]
        if self.confounding or self.drift:
            logit = logit + 0.8 * day["load"] * bool(self.confounding) + 0.5 * drifted
        chance: Floats = 1 / (1 + np.exp(-logit))
        return chance

    def _drifted(self, noise: Noises) -> Floats:
        """How far the laws have moved by each day, shape (n,)."""
        moved: Floats = self.drift * noise["day"] / _MONTH
        return moved

    def _frame(self, noise: Noises, day: dict[str, Floats]) -> pd.DataFrame:
        """The recorded columns of days."""
        whole = ("steps", "active_min", "sedentary_min", "resting_hr_bpm")
        frame = pd.DataFrame(
            {
                "age": noise["age"].astype(int),
                "bmi": noise["bmi"],
                "study_group": np.array(STUDY_GROUPS)[noise["group"]],
                "hba1c_pct": noise["hba1c"],
                **{
                    name: day[name].astype(int) if name in whole else day[name]
                    for name in ("steps", "active_min", "sedentary_min", *NIGHT, *GLUCOSE, "hr_mean_bpm")
                },
                "resting_hr_bpm": day["resting_hr_bpm"].astype(int),
            }
        )
        frame.loc[noise["no_night"], NIGHT] = np.nan
        frame.loc[noise["no_glucose"], GLUCOSE] = np.nan
        return frame


def _set(natural: Floats, wanted: Floats | None) -> Floats:
    """A natural value, or the one that is set."""
    return natural if wanted is None else np.where(np.isnan(wanted), natural, wanted)


def _daily(rng: np.random.Generator, people: int, days: int, echo: float = ECHO) -> Floats:
    """Standard normal day effects; neighbouring days of a person correlate by `echo`."""
    effect = rng.normal(size=(people, days))
    for day in range(1, days):
        effect[:, day] = echo * effect[:, day - 1] + np.sqrt(1 - echo**2) * effect[:, day]
    return effect.ravel()


def _quantile(count: np.ndarray, rate: Floats, rng: np.random.Generator) -> Floats:
    """A uniform draw that gives each count at its rate, shape (n,): the noise behind it, drawn given what was seen."""
    below = np.where(count > 0, poisson.cdf(count - 1, rate), 0.0)
    width = poisson.pmf(count, rate)
    drawn: Floats = below + width * rng.uniform(0.001, 0.999, len(rate))
    return drawn


def share_above(mean: Floats, sd: Floats, limit: float) -> Floats:
    """Share of a log-normal glucose day above the limit."""
    spread = np.sqrt(np.log1p((sd / mean) ** 2))
    share: Floats = norm.sf((np.log(limit) - np.log(mean) + spread**2 / 2) / spread)
    return share
