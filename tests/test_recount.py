"""The figures of runs, counted again from their files by code that shares nothing with the product."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from command import call

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def recount() -> Iterator[ModuleType]:
    """The command, imported as it imports its tables."""
    sys.path.insert(0, str(FOLDER))
    try:
        import recount

        yield recount
    finally:
        sys.path.remove(str(FOLDER))


def explained(folder: Path, name: str) -> tuple[Path, Path]:
    import recount_tables

    def sensecf(*words: str) -> str:
        ended = call(*words)
        assert ended.status == 0, ended.err
        return ended.out

    return recount_tables.explained(folder, name, "--limit", "12", sensecf=sensecf)


def test_every_figure_of_a_run_is_counted_again_from_its_files(recount: ModuleType, tmp_path: Path) -> None:
    for name in ("heart", "still"):  # blanks, levels and rules; people, and a column that hardly varies
        run, table = explained(tmp_path, name)
        assert recount.compare(run, table) == 0
        said = json.loads((run / "metrics.json").read_text())
        assert said["mad_l1"]["n"] == said["n_changed"]["n"] > 10
    for metric in ("mad_l1", "validity", "classifier_brier"):  # and a figure that is another one is seen
        wrong = {**said, metric: {**said[metric], "value": said[metric]["value"] + 1e-4}}
        (run / "metrics.json").write_text(json.dumps(wrong))
        assert recount.compare(run, table) == 1
