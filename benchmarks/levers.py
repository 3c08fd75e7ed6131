"""How many of ten thousand plans edit what nobody does, or break a rule once everything has followed.

    python benchmarks/levers.py [--plans 10000] [--seed 0]

Plans of the search for held-out days of the simulated cohort, with the defaults but for three plans per day, which are
to withstand cautious consequences. Counted:
plans with an action that is not `actionable`; plans in which a feature differs that is neither an action, nor a part of
a total that is one; plans that break a rule as saved, with the expected or with cautious consequences; plans that the
classifier does not put in the target class, as saved or with cautious consequences. All of them are to be 0.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import sensecf
from sensecf.core.limits import Limits
from sensecf.core.query import Query
from sensecf.core.rules import Total
from sensecf.data.builtin.simulated import simulate_cohort, simulated_schema
from sensecf.pipeline.consequences import Mechanisms


def main() -> None:
    """Count and print as JSON."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--plans", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    schema = simulated_schema()
    frame = simulate_cohort(people=max(60, asked.plans // 4), seed=asked.seed)
    train, test = sensecf.datasets.split(frame, schema, 0.7, seed=asked.seed)
    task = sensecf.Task(schema, train, sensecf.fit_classifier("xgboost", schema, train, seed=asked.seed))
    high = test[task.judge(task.codec.encode(test)).predicted == task.classes.index("high")]
    began = time.perf_counter()
    found = sensecf.explain(
        task, "search", high.reset_index(drop=True), target="low", n=3, consequences="cautious", seed=asked.seed
    )
    seconds = time.perf_counter() - began
    answers = found.answers.head(asked.plans)
    kept = sensecf.Counterfactuals(answers, found.factuals, schema)
    base = task.codec.encode(found.factuals.loc[answers["query"]])
    rows = task.codec.encode(answers)
    acts = kept.acts
    own = np.array([f.role == "actionable" for f in schema.features])
    towed = np.zeros_like(acts)
    for rule in schema.rules:
        if isinstance(rule, Total):
            parts = [schema.columns[name] for name in rule.parts]
            towed[:, parts] |= acts[:, [schema.columns[str(rule.whole)]]]
    query = Query.of_rows(task, base, "low", Limits())
    follow, _, cautious = task.once(Mechanisms).verdicts(query, np.arange(len(rows)), rows)
    tables = (rows, follow.expected, rows if follow.worst is None else follow.worst)
    broken = [task.codec.rules.violated(table).any(axis=1) for table in tables]
    differs = task.codec.changed(base, rows)
    print(
        json.dumps(
            {
                "days": len(high),
                "answered": int(found.answers["query"].nunique()),
                "plans": len(answers),
                "with an action that nobody does": int((acts & ~own).any(axis=1).sum()),
                "with a change that is no action and follows none": int((differs & ~acts & ~towed).any(axis=1).sum()),
                "that break a rule as saved": int(broken[0].sum()),
                "that break a rule after following": int(np.logical_or.reduce(broken[1:]).sum()),
                "not valid with cautious consequences": int((~cautious).sum()),
                "not valid as saved": int((task.judge(rows, final=True).predicted != task.classes.index("low")).sum()),
                "seconds per day": round(seconds / len(high), 4),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
