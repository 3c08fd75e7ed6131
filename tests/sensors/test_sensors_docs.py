"""The Python of docs/sensors.md runs, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sensecf.sensors import FORMATS, known_feature

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "sensors.md").read_text()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL))
def test_the_code_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("people=20, days=10", "people=2, days=1"), "docs/sensors.md", "exec"), {})


def test_every_format_is_described() -> None:
    for name in FORMATS:
        assert f"`{name}`" in TEXT or f"--format {name}" in TEXT


def test_every_feature_named_in_full_is_known() -> None:
    names = re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)*_(?:min|pct|bpm|brpm|mgdl|kcal))`", TEXT)
    assert len(set(names)) > 10
    for name in names:
        assert known_feature(name), name
