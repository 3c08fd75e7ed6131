"""A whole comparison, with generators that hang, crash and cannot be built; what it leaves, and that it goes on."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from handmade import random_task
from sensecf.cli.compare import compare as command
from sensecf.core.errors import InputError
from sensecf.core.limits import Limits
from sensecf.core.schema import RESERVED, FeatureSchema
from sensecf.core.task import Task
from sensecf.runs.compare import CompareSpec, Comparison, compare, isolate, report, tables
from sensecf.runs.compare import run as module
from sensecf.runs.compare.isolate import TimeLimits, ask
from sensecf.runs.compare.worker import Chunk, Job

NAMES = ("search", "handmade_generators:Two", "handmade_generators:Moody", "handmade_generators:Unbuilt")
REQUEST = CompareSpec(
    NAMES, classifier="logistic", target="good", limit=6, n=2, seconds_per_query=1.0, time_limit=90.0, refits=1
)


@pytest.fixture(scope="module")
def table() -> Task:
    return random_task()


@pytest.fixture(scope="module")
def ended(table: Task, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    """The comparison of all, asked about the six rows with the smallest, the largest and usual x0."""
    out = tmp_path_factory.mktemp("compare") / "out"
    return compare(table.train, table.schema, out, REQUEST, queries=asked_about(table)), out


def asked_about(table: Task) -> pd.DataFrame:
    bad = table.train[table.train["y"] == "bad"]
    rows = bad.head(6).copy()
    rows["x0"] = [-2.5, -1.0, -1.1, -1.2, -0.5, 0.0]
    rows["x1"] = -1.0
    return rows


def test_every_method_stays_in_the_table_with_its_reason(ended: tuple[Comparison, Path]) -> None:
    made, _ = ended
    moody = made.answers["Moody"].frame.drop_duplicates("query").set_index("query")
    assert moody["rank"].isna().tolist() == [True, False, False, False, False, True]
    assert moody["reason"][0] == "no answer within 1 s"
    assert moody["reason"][5].startswith("its process ended with status 7")
    unbuilt = made.answers["Unbuilt"].frame
    assert unbuilt["reason"].str.contains("cannot be built").all()
    assert unbuilt["reason"].str.contains("no such model").all()
    assert len(unbuilt) == 6


def test_a_peer_is_shown_raw_and_filtered_and_ours_is_polished(ended: tuple[Comparison, Path]) -> None:
    made, _ = ended
    assert [m.label for m in made.methods] == [
        "search", "Two", "Two+filter", "Moody", "Moody+filter", "Unbuilt", "Unbuilt+filter",
    ]  # fmt: skip
    shares = made.scores.summary.query("direction == 'all' and metric == 'validity'").set_index("method")["value"]
    assert shares["search"] == 1.0
    assert shares["Two"] == 0.5  # the first of its two answers is the factual itself
    assert shares["Two+filter"] == 1.0
    assert shares["Moody+filter"] == pytest.approx(4 / 6)
    assert shares["Unbuilt"] == 0.0


def test_success_is_held_against_nice_though_nobody_named_it(ended: tuple[Comparison, Path]) -> None:
    made, _ = ended
    found = made.scores.summary.query("direction == 'all' and metric == 'success_at_3'").set_index("method")
    assert made.facts["reference"] == "nice-sparsity"
    assert (found["n"] == 6).all()
    assert found.loc["search", "value"] > found.loc["Two", "value"] == 0.0


def test_the_folder_holds_what_it_says(ended: tuple[Comparison, Path]) -> None:
    made, out = ended
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert {
        "counterfactuals.csv", "factuals.csv", "table.csv", "comparisons.csv", "table.md", "report.html", "run.json",
        "schema.toml", "figures/intervals.svg", "figures/trade-offs.svg", "figures/radar.svg", "task/task.json",
    } <= files  # fmt: skip
    assert not any(name.startswith("unfinished") for name in files)
    long = pd.read_csv(out / "counterfactuals.csv")
    assert list(long.columns) == [*RESERVED, *made.task.schema.names]
    assert long.groupby("generator")["query"].nunique().tolist() == [6] * 7
    assert long.loc[long["rank"].isna(), "reason"].notna().all()
    assert set(long["query"]) == set(asked_about(made.task).index)
    facts = json.loads((out / "run.json").read_text())
    assert facts["methods"]["search"]["classifier_rows"] > 0
    assert FeatureSchema.from_toml(out / "schema.toml") == made.task.schema
    assert not facts["quality"]["good"]["classifier_auc"]["defined"], "--queries: nobody is held out"
    for file in ("report.html", "table.md"):
        assert "It is not known how good" in (out / file).read_text(encoding="utf-8")


def test_verdicts_in_the_csv_are_the_classifiers_own(ended: tuple[Comparison, Path]) -> None:
    made, out = ended
    long = pd.read_csv(out / "counterfactuals.csv")
    rows = long[long["rank"].notna()]
    predicted = made.task.classifier.predict(rows[made.task.schema.names])
    assert ((predicted == rows["target"]) == rows["valid"]).all()
    assert (predicted == rows["predicted"]).all()


def test_the_page_is_self_contained_and_says_what_was_done(ended: tuple[Comparison, Path]) -> None:
    from test_report import Page

    _, out = ended
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "iframe", "object", "embed", "form", "img", "base"} & {tag for tag, _ in page.tags}
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    for word in ("Moody+filter", "no answer within 1 s", "success@3", "nice-sparsity", "of 6", "Seed"):
        assert word in page.text, word
    assert "http" not in text.replace("http://www.w3.org", "").replace("http-equiv", "")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_example_on_the_page_names_the_method_that_made_it(ended: tuple[Comparison, Path]) -> None:
    made, out = ended
    text = (out / "report.html").read_text(encoding="utf-8").split('id="plans"')[1].split("</section>")[0]
    named = [unescape(name) for name in re.findall(r'<th scope="row">(.*?)</th>', text)]
    assert named
    assert set(named) <= {method.label for method in made.methods}


def test_the_markdown_has_a_row_per_method_with_denominators(ended: tuple[Comparison, Path]) -> None:
    _, out = ended
    lines = (out / "table.md").read_text(encoding="utf-8").splitlines()
    row = next(line for line in lines if line.startswith("| All requests | Two+filter |"))
    assert "100 % [56.6–100 %] of 6" in row  # six requests of five people


def test_figures_are_xml_with_a_size(ended: tuple[Comparison, Path]) -> None:
    from xml.etree import ElementTree

    _, out = ended
    for path in (out / "figures").glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        width = float(root.attrib["width"].removesuffix("pt")) / 72 * 25.4
        assert min(abs(width - 89), abs(width - 183)) < 0.1, "as wide as one column of a journal, or two"
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_an_interrupted_comparison_goes_on_where_it_stopped(
    table: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = CompareSpec(("nearest+raw", "handmade_generators:Two"), classifier="logistic", target="good", limit=3)
    asked: list[str] = []

    def watched(job: Job, *rest: Any) -> Any:
        asked.append(job.generator)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return work(job, *rest)

    work = isolate._work
    monkeypatch.setattr(isolate, "_work", watched)
    monkeypatch.setattr(module, "REFERENCE", "no reference, to save a process")
    with pytest.raises(KeyboardInterrupt):
        compare(table.train, table.schema, tmp_path, quick)
    (kept,) = tmp_path.glob("unfinished/*/batch-*x*.npz")
    [before] = Chunk.all_in(kept.parent)
    made = compare(table.train, table.schema, tmp_path, quick)
    assert asked == ["nearest", "handmade_generators:Two", "handmade_generators:Two"]
    rows = table.codec.encode(made.answers["nearest+raw"].answers)
    assert len(rows) == 3
    assert all((row == before.rows).all(axis=1).any() for row in rows)
    assert not list(tmp_path.glob("unfinished"))


def test_without_its_reference_success_is_undefined_and_the_page_says_so(ended: tuple[Comparison, Path]) -> None:
    made, _ = ended
    summary = made.scores.summary.query("metric != 'success_at_3'")
    facts = {**made.facts, "reference": None}
    bare = replace(made, facts=facts, scores=made.scores._replace(summary=summary))
    assert "success@3 is not defined" in tables.markdown(bare)
    assert "success@3 is not defined" in report.render(bare, [])


def test_a_method_whose_time_is_up_leaves_the_rest_unanswered(tmp_path: Path) -> None:
    job = Job("x", str(tmp_path))
    made = ask(job, [np.arange(2), np.arange(2, 5)], 3, TimeLimits(1.0, 0.0))
    assert sorted(int(n) for chunk in made for n in chunk.asked) == [0, 1, 2, 3, 4]
    assert {reason for chunk in made for reason in chunk.reason} == {
        "not answered within the 0 s that each method may take"
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seconds_per_query": 0.0}, "--seconds-per-query must be a positive number"),
        ({"time_limit": float("nan")}, "--time-limit must be a positive number"),
        ({"limit": 0}, "--limit must be at least 1"),
        ({"target": "good", "each_class": True}, "exclude each other"),
        ({"target": "nice"}, "nice"),
        ({"limits": Limits(lock=("x9",))}, "x9"),
        ({"generators": ("nobody",)}, "'nobody' is unknown"),
    ],
)
def test_wrong_input_is_said_before_anything_is_written(
    table: Task, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    request = CompareSpec(**{"generators": ("search",), "classifier": "logistic", **options})
    with pytest.raises(InputError, match=says):
        compare(table.train, table.schema, tmp_path / "out", request)
    assert not (tmp_path / "out").exists()


def test_nobody_to_ask_about_is_an_error(table: Task, tmp_path: Path) -> None:
    rows = table.train[table.classifier.predict(table.train[table.schema.names]) == "good"].head(3)
    with pytest.raises(InputError, match="nobody to ask about"):
        compare(table.train, table.schema, tmp_path / "out", REQUEST, queries=rows)
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_table_of_every_direction(table: Task, tmp_path: Path) -> None:
    table.train.to_csv(tmp_path / "days.csv", index=False)
    table.schema.to_toml(tmp_path / "schema.toml")
    arguments = [
        "days.csv", "--schema", "schema.toml", "--generators", "nearest+raw", "--classifier", "logistic",
        "--each-class", "--limit", "2", "--lock", "x2", "--out", "out",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        found = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert found.exit_code == 0
    for word in ("All requests", "bad → good", "good → bad", "nearest+raw", "success@3", "not a proven effect"):
        assert word in found.output, word
    long = pd.read_csv(tmp_path / "out" / "counterfactuals.csv")
    facts = pd.read_csv(tmp_path / "out" / "factuals.csv").set_index("query")
    assert sorted(long["target"]) == ["bad", "bad", "good", "good"]
    assert (long.set_index("query")["x2"] == facts["x2"].reindex(long["query"])).all()
