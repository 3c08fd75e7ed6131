"""What is kept on this machine never gets out: identifiers, dates and what is shown, looked for by their letters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import sensecf
from command import call
from sensecf.core.limits import make_query
from sensecf.core.task import Task
from sensecf.data.prepare import prepare
from test_privacy_gate import PROMPTED, Recorder

#: Texts of every identifier, date and shown value: none of them may be found where they are not shown.
WHO, WHEN, SHOWN = "CANARYWHO", "2031-", "CANARYWARD"
CANARIES = (WHO, WHEN, SHOWN)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated cohort under names, dates and wards of which every cell is a canary."""
    folder = tmp_path_factory.mktemp("canary")
    frame = sensecf.datasets.simulate_cohort(people=40, days=5, seed=3)
    frame["participant_id"] = WHO + frame["participant_id"].str[4:]
    frame["date"] = WHEN + frame["date"].str[5:]
    frame["ward"] = [f"{SHOWN}{i % 7}" for i in range(len(frame))]
    frame.to_csv(folder / "days.csv", index=False)
    schema = call("schema", folder / "days.csv", "--label", "stress", "--shown", "ward")
    assert schema.status == 0, schema.err
    assert clean(schema.out + schema.err)
    (folder / "schema.toml").write_text(schema.out)
    return folder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    found = Recorder()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def clean(text: str | bytes) -> bool:
    """Whether no canary is in a text or a file's bytes."""
    raw = text.encode() if isinstance(text, str) else text
    return not any(canary.encode() in raw for canary in CANARIES)


def asked(folder: Path, *options: str) -> tuple[str, ...]:
    return (
        *(str(folder / "days.csv"), "--schema", str(folder / "schema.toml"), "--classifier", "logistic"),
        *("--hold", "0", "--limit", "6", *options),
    )


def test_the_schema_takes_them_apart(folder: Path) -> None:
    schema = sensecf.FeatureSchema.from_toml(folder / "schema.toml")
    assert schema.kept == ["participant_id", "date", "ward"]
    frame = sensecf.read_table(folder / "days.csv", schema)
    whole, train, held_out = prepare(frame, schema, None, 0)
    assert {"date", "ward"} <= set(whole) & set(held_out)
    assert not {"date", "ward"} & set(train)  # whose row it is stays, to keep people on one side


def test_a_run_shows_them_in_its_tables_and_nowhere_else(folder: Path) -> None:
    ended = call("explain", *asked(folder, "--out", str(folder / "out")))
    assert ended.status == 0, ended.err
    assert clean(ended.err)
    assert WHO in ended.out  # the terminal is on this machine
    with_them = {"factuals.csv", "held_out.csv", "counterfactuals.csv", "people.csv", "report.html", "task/train.csv"}
    files = {
        path.relative_to(folder / "out").as_posix(): path for path in (folder / "out").rglob("*") if path.is_file()
    }
    for name, path in files.items():
        assert clean(path.read_bytes()) or name in with_them or name.startswith("figures/"), name
    facts = pd.read_csv(files["factuals.csv"])
    assert facts["person"].str.startswith(WHO).all()
    assert facts["when"].str.startswith(WHEN).all()
    assert facts["ward"].str.startswith(SHOWN).all()
    assert SHOWN not in files["counterfactuals.csv"].read_text()
    learned = files["task/train.csv"].read_text()
    assert SHOWN not in learned
    assert WHEN not in learned


def test_no_prompt_no_server_and_no_ledger_sees_them(folder: Path, recorder: Recorder) -> None:
    options = asked(folder, "--llm", recorder.url, "--shots", "2", "--samples", "1")
    printed = call("prompt", *options)
    assert printed.status == 0, printed.err
    assert clean(printed.out + printed.err)
    ended = call("explain", *options, "--rounds", "1", "--generator", PROMPTED, "--out", str(folder / "asked"))
    assert ended.status in (0, 3), ended.err
    assert recorder.bodies
    assert all(map(clean, recorder.bodies))
    assert clean(ended.err)
    assert clean((folder / "asked" / "ledger.jsonl").read_bytes())


def test_no_comparison_and_no_augmentation_tells_of_them(folder: Path) -> None:
    ended = call(
        "compare", *asked(folder, "--generators", "search,nearest", "--refits", "1", "--out", str(folder / "compared"))
    )
    assert ended.status == 0, ended.err
    assert clean(ended.err)
    for name in ("report.html", "table.csv", "comparisons.csv", "table.md", "run.json"):
        assert clean((folder / "compared" / name).read_bytes()), name
    options = ("--scenario", "a", "--removed", "0.5", "--out", str(folder / "more"), "--classifiers", "logistic")
    ended = call("augment", folder / "days.csv", "--schema", folder / "schema.toml", *options)
    assert ended.status == 0, ended.err
    assert clean(ended.out + ended.err)
    for path in (folder / "more").rglob("*"):
        assert not path.is_file() or clean(path.read_bytes()), path


def test_a_trained_generator_and_its_pairs_do_not_learn_them(folder: Path) -> None:
    """What a language model, or the embedded one, is trained on comes from encoded rows."""
    from sensecf.llm.language.prompts import Prompts

    schema = sensecf.FeatureSchema.from_toml(folder / "schema.toml")
    frame = sensecf.read_table(folder / "days.csv", schema)
    task = Task(schema, frame, sensecf.fit_classifier("logistic", schema, frame))
    query = make_query(task, frame.head(5), "low", hold=0)
    prompts = Prompts(task)
    for question in prompts.ask(query):
        assert clean(repr(prompts.render(question)))
    found = sensecf.explain(task, "search", frame.head(12), "low", hold=0)
    before, after = found.factuals[schema.names], found.answers[schema.names]
    assert clean(before.to_csv() + after.to_csv())
    assert clean(repr(found) + found._repr_html_())
