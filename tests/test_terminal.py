"""What a terminal shows: eighty columns are enough, with and without UTF-8, with and without colours."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command import SCRIPT, people
from sensecf.cli import compare
from sensecf.cli.app import COMMANDS, PLAIN, _plainly
from sensecf.cli.say import say

WIDTH = 80
STEER = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7]|38|48|9[0-7])(?:;\d+)*m")


def shown(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Status of the installed script, and what it prints on a terminal of eighty columns."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
    known = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "PYTHONIOENCODING")}
    running = subprocess.Popen(
        [SCRIPT, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=side, stderr=side,
        env=known | {"TERM": "xterm-256color"} | environment,
    )  # fmt: skip
    os.close(side)
    found = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # Linux's word for the end of a terminal
            break
        if not part:
            break
        found += part
    os.close(main)
    return running.wait(timeout=120), found.decode("utf-8", "replace")


def wide(text: str) -> list[str]:
    lines = re.split(r"[\r\n]+", STEER.sub("", text))
    return [line for line in lines if len(line) > WIDTH]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("terminal")
    people().to_csv(made / "table.csv", index=False)
    done = subprocess.run(
        [SCRIPT, "schema", "table.csv", "--label", "stress"], cwd=made, capture_output=True, text=True
    )
    (made / "schema.toml").write_text(done.stdout, encoding="utf-8")
    return made


ASK = ("explain", "table.csv", "--schema", "schema.toml", "--classifier", "logistic", "--generator", "nearest",
       "--hold", "0", "--limit", "3", "--overwrite", "--out")  # fmt: skip


def test_a_run_fits_into_eighty_columns_and_shows_what_it_does(folder: Path) -> None:
    status, text = shown(folder, *ASK, "plans")
    assert status == 0, text
    assert not wide(text)
    assert "Fitting the classifier" in text
    assert "━" in text or "╸" in text  # the bar


def test_without_utf_8_signs_are_plain_and_tables_stay_in_line(folder: Path) -> None:
    status, text = shown(folder, *ASK, "plain", NO_COLOR="1", PYTHONIOENCODING="ascii")
    assert status == 0, text
    assert text.isascii()
    assert not wide(text)
    assert r"\u" not in text
    assert not COLOUR.search(text)


def test_a_refusal_is_broken_between_words(folder: Path) -> None:
    status, text = shown(folder, *ASK, "x", "--lock", "no_such_feature_of_this_table")
    assert status == 2
    assert not wide(text)
    assert "no_such_feature_of_this_table" in text


@pytest.mark.parametrize("name", [*COMMANDS, "sensors build", "sensors simulate", "graph check", "bench recourse"])
def test_help_fits_into_eighty_columns(name: str) -> None:
    from click.testing import CliRunner

    from sensecf.cli.app import cli

    done = CliRunner().invoke(cli, [*name.split(), "--help"], terminal_width=WIDTH)
    assert done.exit_code == 0
    assert not wide(done.output)


def test_into_a_pipe_a_sentence_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("word " * 60)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_path_is_never_broken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    path = "/a/very/long-path/" * 5 + "report.html"
    say(f"Report, which one can open in a browser: {path}")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == path
    assert all(len(line) <= 40 for line in lines[:-1])


@given(st.text(max_size=30))
def test_every_text_can_be_printed_in_ascii(text: str) -> None:
    import codecs

    codecs.register_error("plainly", _plainly)
    printed = text.encode("ascii", "plainly").decode("ascii")
    if set(text) <= {*PLAIN, *map(chr, range(128))}:
        assert len(printed) == len(text)


def test_a_comparison_is_turned_on_its_side_where_it_does_not_fit() -> None:
    from rich.console import Console

    cell = {"value": "75.0 %", "interval": "40.9 to 92.9", "foot": "of 8"}
    heads = [{"title": title} for title in ("success@3", "Found by the generator asked for", "Valid", "Answered")]
    rows = [{"name": name, "cells": [cell] * 4} for name in ("search", "nice-plausibility+filter", "cfnow", "robx")]
    group: dict[str, Any] = {"title": "All requests", "heads": heads, "rows": rows}
    for width, make in ((WIDTH, lambda: compare._on_its_side(group, WIDTH)), (160, lambda: compare._upright(group))):
        console = Console(width=width, record=True, file=io.StringIO())
        for table in make():
            console.print(table)
        text = console.export_text()
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= width
        assert all(row["name"] in text for row in rows)
        assert all(word in text for head in heads for word in head["title"].split())
