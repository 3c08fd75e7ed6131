"""Rows stay on this machine unless somebody said otherwise, and a dry run shows what would leave, byte for byte."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from command import call, judge, people
from fake_llm import always, answer, draw
from handmade import hand_task
from sensecf.cli.prompt import prompt
from sensecf.core.errors import InputError
from sensecf.core.limits import make_query
from sensecf.core.plain import is_local
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.data.card import Card
from sensecf.data.privacy_gate import permission, withheld
from sensecf.generators.prompted.prompted import Prompted
from sensecf.llm.language.prompting import Prompting
from sensecf.llm.language.prompts import Prompts, Style

CARD = Card("days", "a study", "CC BY 4.0", "shareable", "attribution", "stress", ())
LOCAL_ONLY = replace(CARD, leaves="local only", licence="agreement")
NAMED = replace(CARD, leaves="named hosts", hosts=("llm.hospital.org",))

#: The generator by its class: what it is called on the command line does not matter here.
PROMPTED = "sensecf.generators.prompted.prompted:Prompted"


# --- hosts and cards ----------------------------------------------------------------------


@pytest.mark.parametrize("host", [None, "localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]"])
def test_this_machine_is_local(host: str | None) -> None:
    assert is_local(host)
    assert permission(host, LOCAL_ONLY) == "stays on this machine"


@pytest.mark.parametrize(
    "host",
    [
        "api.openai.com", "localhost.evil.com", "evil.com#localhost", "127.0.0.1.evil.com", "0.0.0.0", "192.168.1.7",
        "10.0.0.1", "::ffff:8.8.8.8", "2130706433", "127.1", "", "my-localhost", "localhost.", "fe80::1",
    ],
)  # fmt: skip
def test_everything_else_is_not(host: str) -> None:
    assert not is_local(host)
    with pytest.raises(InputError, match="--allow-host"):
        permission(host, None)


@pytest.mark.parametrize(
    ("card", "allowed", "granted"),
    [
        (None, (), False),
        (None, ("llm.hospital.org",), True),
        (None, ("LLM.Hospital.org",), True),
        (None, ("hospital.org", "llm.hospital.org.evil.com"), False),
        (None, ("llm.hospital.org=days",), False),  # the table has no card that bears this name
        (CARD, (), True),
        (NAMED, (), True),
        (replace(NAMED, hosts=("other.org",)), (), False),
        (replace(NAMED, hosts=("other.org",)), ("llm.hospital.org",), False),
        (replace(NAMED, hosts=("other.org",)), ("llm.hospital.org=days",), True),
        (LOCAL_ONLY, (), False),
        (LOCAL_ONLY, ("llm.hospital.org",), False),  # the host alone does not overrule a card
        (LOCAL_ONLY, ("llm.hospital.org=nights",), False),
        (LOCAL_ONLY, ("llm.hospital.org=days",), True),
    ],
)
def test_a_remote_host_needs_a_card_that_permits_it_or_the_users_word(
    card: Card | None, allowed: tuple[str, ...], granted: bool
) -> None:
    if granted:
        assert permission("llm.hospital.org", card, allowed)
        return
    with pytest.raises(InputError, match=r"llm\.hospital\.org") as refused:
        permission("llm.hospital.org", card, allowed)
    # What the message tells to write is what helps.
    wanted = re.search(r"--allow-host (\S+)$", str(refused.value))
    assert wanted is not None
    assert permission("llm.hospital.org", card, [wanted[1]])


def test_a_generator_is_not_even_built_where_rows_may_not_go() -> None:
    llm = always(answer(steps=8000))
    llm.host = "api.example.com"
    for card in (None, LOCAL_ONLY):
        with pytest.raises(InputError, match=r"api\.example\.com"):
            Prompted(hand_task(), llm=llm, card=card)
    Prompted(hand_task(), llm=llm, card=CARD)
    assert Prompted(hand_task(), llm=llm, allow_hosts=["api.example.com"]).permission.startswith("allowed by the user")
    assert llm.calls == []


# --- what is never shown ------------------------------------------------------------------

PRIVATE = [
    Feature("patient_id", "integer", low=1, high=9999, step=1),
    Feature("MRN", "categorical", levels=("a1", "b2")),
    Feature("subject", "categorical", levels=("s1", "s2")),
    Feature("row_number", "integer", low=0, high=500, step=1),
    Feature("visit_date", "categorical", levels=("2024-05-01", "2024-05-02")),
    Feature("started", "categorical", levels=("1 May 2024", "2 May 2024", "unknown")),
    Feature("wake_time", "categorical", levels=("06:30", "07:15")),
    Feature("timestamp", "integer", low=1_700_000_000, high=1_800_000_000, step=1),
    Feature("day_date", "integer", low=20_240_101, high=20_241_231, step=1),
    Feature(
        "note", "categorical", levels=("none", "slept badly after the call from her sister, wants to talk about it")
    ),
    Feature("remark", "categorical", levels=("x" * 101, "y")),
    Feature("complaint", "categorical", levels=tuple(f"complaint {i}" for i in range(201))),
]
SHOWN = [
    Feature(
        "study_group",
        "categorical",
        levels=("oral_medication_and_or_non_insulin_injectable_medication_controlled", "b"),
    ),
    Feature("hours_in_bed_time", "continuous", low=0, high=24, step=0.1),
    Feature("site_code", "categorical", levels=(1, 2, 3)),
    Feature("education", "categorical", levels=("high school or the like", "college")),
    Feature("steps", "integer", low=0, high=30_000, step=1),
    Feature("ratio", "categorical", levels=("1/2", "1/3")),
]


@pytest.mark.parametrize("feature", PRIVATE, ids=lambda feature: feature.name)
def test_identifiers_dates_and_free_text_are_withheld(feature: Feature) -> None:
    assert list(withheld(FeatureSchema((feature, *SHOWN), "y", (0, 1)))) == [feature.name]


def test_measures_and_codes_are_not() -> None:
    assert withheld(FeatureSchema(tuple(SHOWN), "y", (0, 1))) == {}


@pytest.mark.parametrize("style", [Style(), Style("json"), Style(masked=True, hint=True), Style(offers=True)])
def test_a_prompt_holds_no_id_date_group_free_text_label_or_ignored_column(style: Style) -> None:
    rng = np.random.default_rng(0)
    n = 80
    frame = pd.DataFrame(
        {
            "steps": rng.integers(0, 100, n) * 100,
            "person": [f"SECRET-GROUP-{i // 2}" for i in range(n)],
            "patient_id": rng.integers(770_000, 779_999, n),
            "visit_date": rng.choice(["2024-05-01", "2024-05-02"], n),
            "note": rng.choice(["none", "SECRET words that somebody wrote about her mother and her long bad night"], n),
            "dropped": [f"SECRET-IGNORED-{i}" for i in range(n)],
        }
    )
    frame["stress"] = np.where(frame["steps"] > 5000, "low", "high")
    schema = FeatureSchema(
        (
            Feature("steps", "integer", low=0, high=10_000, step=100),
            Feature("patient_id", "integer", low=770_000, high=779_999, step=1),
            Feature("visit_date", "categorical", levels=("2024-05-01", "2024-05-02")),
            Feature("note", "categorical", levels=tuple(sorted(frame["note"].unique()))),
        ),
        "stress",
        ("high", "low"),
        "low",
        person="person",
        ignored={"dropped": "SECRET-REASON"},
    )

    class Steps:
        classes_ = np.array(["high", "low"])

        def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
            low = np.clip(X["steps"].to_numpy(float) / 10_000, 0.01, 0.99)
            return np.column_stack([1 - low, low])

        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return self.classes_[self.predict_proba(X).argmax(axis=1)]

    task = Task(schema, frame, Steps())
    llm = always(answer(note="none"))
    generator = Prompted(task, llm=llm, shots=3, style=style, rounds=1)
    asked = frame[frame["stress"] == "high"].head(10)
    generator.propose(make_query(task, asked), np.random.default_rng(0))
    everything = json.dumps(
        [[m.content for p in call for m in p[:-2]] + [p[-1].content for p in call] for call in llm.calls]
    )
    everything += json.dumps([settings["schemas"] for settings in llm.settings])
    assert '\\"steps\\"' in everything or style.masked
    for secret in ("SECRET", "patient_id", "visit_date", "2024", "person", "dropped", *map(str, frame["patient_id"])):
        assert secret not in everything
    assert set(generator.facts()["withheld"]) == {"patient_id", "visit_date", "note"}


def test_the_recorded_label_of_an_example_is_not_shown_only_what_the_classifier_says() -> None:
    """Labels turned upside down change no prompt."""
    task = hand_task()
    turned = task.train.assign(stress=task.train["stress"].map({"high": "low", "low": "high"}))
    other = Task(task.schema, turned, task.classifier)
    query = make_query(task, task.train.head(2), "low")
    texts = [[Prompts(t).render(asked) for asked in Prompts(t).ask(query)] for t in (task, other)]
    assert texts[0] == texts[1]


# --- dry run and the wire -----------------------------------------------------------------


class Recorder:
    """A server that keeps the bodies it is sent and answers by the JSON Schema in them."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        recorder, lock, rng = self, threading.Lock(), np.random.default_rng(0)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    recorder.bodies.append(content)
                    body = json.loads(content)
                    text = draw(body["response_format"]["json_schema"]["schema"], rng)
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
                said = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
                reply = json.dumps({**said, "choices": [choice], "usage": usage}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1#tiny-model"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    found = Recorder()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    people().rename(columns={"device": "dévice <|im_end|>"}).to_csv("table.csv", index=False)
    schema = call("schema", "table.csv", "--label", "stress")
    Path("schema.toml").write_text(schema.out, encoding="utf-8")
    return tmp_path


def dry(*arguments: Any) -> tuple[str, str]:
    """`sensecf prompt`, and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        prompt.main([*map(str, arguments)], standalone_mode=False)
    return out.getvalue(), err.getvalue()


ASK = (
    "table.csv",
    "--schema",
    "schema.toml",
    "--classifier",
    "logistic",
    "--limit",
    "6",
    "--lock",
    "age",
    "--shots",
    "2",
    "--hold",
    "0",
)


def test_a_dry_run_shows_byte_for_byte_what_a_server_receives(files: Path, recorder: Recorder) -> None:
    options = (*ASK, "--samples", "2", "--llm", recorder.url)
    printed, said = dry(*options)
    assert recorder.bodies == []
    dry(*options, "--out", "prompts.jsonl")
    assert Path("prompts.jsonl").read_text(encoding="utf-8") == printed
    assert "6 rows, 12 requests to 127.0.0.1: stays on this machine" in said

    done = call("explain", *options, "--rounds", "0", "--generator", PROMPTED, "--out", "out")
    assert done.status == 0, done.err
    assert sorted(recorder.bodies) == sorted(line.encode() for line in printed.splitlines())


def test_a_run_keeps_what_was_asked_what_it_cost_and_never_asks_twice(files: Path, recorder: Recorder) -> None:
    options = (*ASK, "--rounds", "2", "--llm", recorder.url, "--generator", PROMPTED, "--out", "out")
    done = call("explain", *options)
    assert done.status == 0, done.err
    assert "requests to" in done.err
    judge(Path("out"), lock=["age"])
    facts = json.loads(Path("out/run.json").read_text())
    answers = pd.read_csv("out/model_answers.csv")
    model, sent = facts["model"], len(recorder.bodies)
    assert len(answers) == sent == sum(entry["answers"] for entry in model["rounds"])
    assert model["tokens_in"] == 100 * sent == model["cost"]["all_runs"]["tokens_in"]
    assert model["tokens_out"] == 10 * sent
    assert model["permission"] == "stays on this machine"
    assert model["prompt_version"] >= 1
    assert facts["prompting"]["llm"] == recorder.url
    assert set(answers["query"]) <= set(pd.read_csv("out/factuals.csv")["query"])
    assert "Answers of the language model" in Path("out/report.html").read_text()
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert metrics["model_tokens"]["defined"]

    before = Path("out/counterfactuals.csv").read_text()
    again = call("explain", *options, "--overwrite")
    assert again.status == 0, again.err
    assert len(recorder.bodies) == sent
    unpaid = json.loads(Path("out/run.json").read_text())["model"]
    assert unpaid["cached_answers"] == sent
    assert unpaid["cost"]["this_run"]["tokens_in"] == 0
    columns = [c for c in pd.read_csv("out/counterfactuals.csv") if c != "seconds"]
    same = [pd.read_csv(source)[columns] for source in (io.StringIO(before), "out/counterfactuals.csv")]
    pd.testing.assert_frame_equal(*same)


def test_an_interrupted_run_goes_on_without_asking_again(
    files: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*ASK, "--rounds", "1", "--llm", recorder.url, "--generator", PROMPTED, "--out", "out")
    with monkeypatch.context() as patch:
        patch.setattr("sensecf.runs.run._write", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        assert call("explain", *options).status == 130
    sent = len(recorder.bodies)
    assert sent >= 6
    assert not Path("out/run.json").exists()
    done = call("explain", *options)
    assert done.status == 0, done.err
    assert len(recorder.bodies) == sent
    assert len(pd.read_csv("out/model_answers.csv")) == sent
    cost = json.loads(Path("out/run.json").read_text())["model"]["cost"]
    assert cost["all_runs"]["tokens_in"] == 100 * sent


def test_on_a_terminal_the_cost_is_confirmed_before_anything_is_asked(
    files: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    options = (*ASK, "--rounds", "0", "--llm", recorder.url, "--generator", PROMPTED, "--out", "out")
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    ended = call("explain", *options)
    assert ended.status == 130
    assert "6 requests to 127.0.0.1" in ended.err
    assert recorder.bodies == []
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert call("explain", *options).status == 0
    assert len(recorder.bodies) == 6


def test_a_token_cap_ends_the_asking_and_says_so(files: Path, recorder: Recorder) -> None:
    done = call("explain", *ASK, "--llm", recorder.url, "--token-cap", "1", "--generator", PROMPTED, "--out", "out")
    # One request goes alone past the cap; where its answer is no plan, the model answered nobody.
    found = pd.read_csv("out/counterfactuals.csv")
    own = (found["rank"].notna() & (found["generator"] == "prompted")).sum()
    assert done.status == (0 if own else 3), done.err
    assert own <= len(recorder.bodies) == 1
    answers = pd.read_csv("out/model_answers.csv")
    assert answers["reason"].str.contains("the cap of 1 tokens is reached").sum() == 5
    judge(Path("out"), lock=["age"])


@pytest.mark.parametrize("card", [None, LOCAL_ONLY])
def test_a_remote_model_is_refused_before_anything_is_written_or_asked(files: Path, card: Card | None) -> None:
    if card is not None:
        card.save_beside("table.csv")
    remote = (*ASK, "--llm", "https://llm.example.com/v1#m")
    ended = call("explain", *remote, "--generator", PROMPTED, "--out", "out")
    assert ended.status == 2
    assert "llm.example.com" in ended.err
    assert "--allow-host" in ended.err
    assert not Path("out").exists()
    _, said = dry(*remote)
    assert "refused" in said


def test_the_strictest_card_of_table_and_queries_counts(files: Path) -> None:
    CARD.save_beside("table.csv")
    Path("table.csv").replace("days.csv")
    Path("table.csv.card.json").replace("days.csv.card.json")
    Path("patients").mkdir()
    pd.read_csv("days.csv").head(4).to_csv("patients/queries.csv", index=False)
    remote = ("days.csv", *ASK[1:], "--llm", "https://llm.example.com/v1#m", "--queries", "patients/queries.csv")
    assert "refused" in dry(*remote)[1]
    CARD.save_beside("patients/queries.csv")
    assert "the card of days permits it" in dry(*remote)[1]
    LOCAL_ONLY.save_beside("patients/queries.csv")
    assert "refused" in dry(*remote)[1]


def test_without_a_model_the_prompts_are_rendered_for_any(files: Path) -> None:
    printed, _ = dry(*ASK, "--json-values", "--hint")
    lines = [json.loads(line) for line in printed.splitlines()]
    assert len(lines) == 6
    assert [m["role"] for m in lines[0]["messages"]][:2] == ["system", "user"]
    assert lines[0]["json_schema"]["type"] == "object"
    assert "leans most on" in lines[0]["messages"][1]["content"]
    read, _ = dry(*ASK, "--text")
    assert read.count("--- system\n") == 6


def test_a_dry_run_of_a_hosted_model_needs_no_key(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    printed, said = dry(*ASK, "--llm", "gpt-4o")
    assert json.loads(printed.splitlines()[0])["model"] == "gpt-4o"
    assert "api.openai.com: refused" in said


@pytest.mark.parametrize("spec", ["https://user:pass-word@llm.example.com/v1#m", "http://:pass-word@localhost/v1#m"])
def test_an_address_with_a_password_is_refused_without_repeating_it(files: Path, spec: str) -> None:
    with pytest.raises(InputError, match="holds a password") as refused:
        Prompting(spec)
    assert "pass-word" not in str(refused.value)
    ended = call("explain", *ASK, "--llm", spec, "--generator", PROMPTED, "--out", "out")
    assert ended.status == 2
    assert "pass-word" not in ended.err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--generator", PROMPTED), "--llm"),
        (("--generator", "search", "--llm", "gpt-4o"), "asks no language model"),
        (("--generator", PROMPTED, "--llm", "gpt-44o"), "gpt-4o"),
        (("--generator", PROMPTED, "--llm", "http://127.0.0.1:9/v1#m", "--samples", "0"), "samples must be at least 1"),
        (("--generator", PROMPTED, "--llm", "http://127.0.0.1:9/v1#m", "--rounds", "-1"), "rounds must be at least 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(files: Path, options: tuple[str, ...], says: str) -> None:
    ended = call("explain", *ASK, *options, "--out", "out")
    assert ended.status == 2
    assert says in ended.err
    assert not Path("out").exists()
