"""A study: data sets, scenarios, methods, classifiers and seeds from one TOML file, cell by cell."""

from __future__ import annotations

from sensecf.runs.study.cells import Study, read_study, run_study

__all__ = ["Study", "read_study", "run_study"]
