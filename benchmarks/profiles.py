"""What the commands spend their time on: `python benchmarks/profiles.py` (three minutes).

`sensecf demo` and `sensecf augment` on the simulated cohort, each under Python's profiler: processor seconds in the
functions that make up the work, calls below them included; the rest is imports, reading, writing. The methods of
`sensecf compare` run in processes of their own and are timed there: its table has their seconds and classifier rows.
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import pstats
import sys
import tempfile
import time
from pathlib import Path

import sensecf
from sensecf.cli.app import cli

#: Functions by command, as (end of the file's name, function); none of them calls another of its command.
PARTS = {
    "demo": {
        "fitting the classifier": ("classifiers.py", "fit_classifier"),
        "training the embedded model": ("generators/tiny.py", "_fit"),
        "answering": ("explainer.py", "explain"),
        "the model alone": ("run.py", "_alone"),
        "measuring": ("metrics/summary.py", "summarise"),
        "pictures and report": ("report.py", "write_report"),
    },
    "augment": {
        "judges": ("augmentation/judges.py", "convene"),
        "making and labelling rows": ("augmentation/rows.py", "augment"),
        "learning and scoring": ("augmentation/measure.py", "learn"),
    },
}


def profiled(arguments: list[str]) -> tuple[float, pstats.Stats]:
    """Processor seconds of a command in this process, in one thread, and its profile."""
    profile = cProfile.Profile(time.process_time)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        began = time.process_time()
        profile.enable()
        cli(arguments, standalone_mode=False)
        profile.disable()
        spent = time.process_time() - began
    return spent, pstats.Stats(profile)


def seconds(stats: pstats.Stats, file: str, function: str) -> float:
    """Seconds in a function and below it."""
    found: dict[tuple[str, int, str], tuple[int, int, float, float, object]] = stats.stats  # type: ignore[attr-defined]
    return sum(values[3] for (path, _, name), values in found.items() if path.endswith(file) and name == function)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = sensecf.datasets.load("simulated")
        table, schema = Path(folder) / "table.csv", Path(folder) / "schema.toml"
        data.frame.to_csv(table, index=False)
        data.schema.to_toml(schema)
        commands = {
            "demo": ["demo", "--out", f"{folder}/demo"],
            "augment": ["augment", str(table), "--schema", str(schema), "--scenario", "a", "--out", f"{folder}/added"],
        }
        print("| command | part | processor seconds | share |\n|---|---|---|---|")
        for name, arguments in commands.items():
            spent, stats = profiled(arguments)
            parts = {part: seconds(stats, *where) for part, where in PARTS[name].items()}
            for part, taken in (parts | {"the rest": spent - sum(parts.values())}).items():
                print(f"| {name} | {part} | {taken:.1f} | {taken / spent:.0%} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
