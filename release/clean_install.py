"""The wheel and the source archive, installed where there is no repository: `python release/clean_install.py DIST`.

For every Python named (default: those at hand from 3.11 on) an environment is made in a folder of its own, the wheel is
installed into it with nothing but what it asks for, and a CSV file is taken from a schema to plans by the installed
command. The source archive is built and installed for the first of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
TABLE = """
import numpy as np, pandas as pd
rng = np.random.default_rng(0)
frame = pd.DataFrame({"steps": rng.integers(2000, 15000, 160), "sleep_hours": rng.normal(7, 1, 160).round(1)})
frame["stress"] = np.where(frame["steps"] / 3000 + frame["sleep_hours"] + rng.normal(0, 0.5, 160) < 9.5, "high", "low")
frame.to_csv("days.csv", index=False)
"""
TYPED = "import importlib.resources as r; assert (r.files('sensecf') / 'py.typed').is_file()"


def found() -> list[str]:
    """Interpreters at hand that are what their name says."""
    paths = [path for name in PYTHONS if (path := shutil.which(name))]
    return [path for path in paths if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0]


def install(python: str, archive: Path) -> None:
    """One archive in one environment; raises `CalledProcessError` where anything fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Neither the repository nor packages of the caller's environment are seen.
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")}

        def run(*command: str | Path) -> str:
            done = subprocess.run(
                [str(part) for part in command], cwd=folder, env=clean, check=False, capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(f"{python}: {' '.join(map(str, command))} ended with {done.returncode}\n{done.stderr}")
            return done.stdout

        run(python, "-m", "venv", "env")
        own = folder / "env" / "bin"
        run(own / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", archive)
        run(own / "python", "-c", TYPED)
        run(own / "python", "-c", TABLE)
        (folder / "schema.toml").write_text(run(own / "sensecf", "schema", "days.csv", "--label", "stress"))
        said = run(own / "sensecf", "explain", "days.csv", "--schema", "schema.toml", "--classifier", "logistic",
                   "--generator", "search", "--hold", "0", "--limit", "5", "--out", "plans")  # fmt: skip
        assert (folder / "plans" / "report.html").is_file()
        assert "plans" in said
        version = run(own / "python", "-c", "import sys; print(sys.version.split()[0])").strip()
        print(f"{archive.name} on Python {version}: installed, plans made")


def main() -> None:
    """See the module."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("dist", type=Path, help="folder with the wheel and the source archive")
    options.add_argument("--python", action="append", help="an interpreter; more than one may be named")
    given = options.parse_args()
    pythons = given.python or found()
    wheel, source = (next(given.dist.resolve().glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    for python in pythons:
        install(python, wheel)
    install(pythons[0], source)


if __name__ == "__main__":
    main()
