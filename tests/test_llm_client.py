"""The client, its ledger and budget, recorded runs, batches as files, presets: everything but a network."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensecf.core.errors import InputError
from sensecf.llm import LLM, Completion, Message, Prompt
from sensecf.llm.asking import Answer, Request, estimate_tokens
from sensecf.llm.backends.presets import presets
from sensecf.llm.client import Client
from sensecf.llm.ledger import Ledger
from sensecf.llm.named import connect
from sensecf.llm.spend import Budget, Prices
from strategies import cases


class Echo:
    """A backend that answers with the prompt and the sample, and can be told what to do instead."""

    name = "echo"
    model = "echo at nowhere"
    host: str | None = None

    def __init__(self, answers: Callable[[Request], Answer] | None = None) -> None:
        self.asked: list[Request] = []
        self.answers = answers or (lambda r: Answer(Completion(f"{r.prompt[-1].content} {r.sample}", "", 10, 5, 0.5)))

    def answer(self, requests: Iterator[Request], keep: Callable[[Request, Answer], None]) -> None:
        for request in requests:
            self.asked.append(request)
            keep(request, self.answers(request))


def say(*texts: str) -> list[Prompt]:
    return [(Message("user", text),) for text in texts]


def texts(out: list[list[Completion]]) -> list[list[str]]:
    return [[completion.text for completion in row] for row in out]


# --- the protocol -------------------------------------------------------------------------


def test_a_client_is_an_llm_and_answers_in_order() -> None:
    client = Client(Echo())
    assert isinstance(client, LLM)
    assert texts(client.complete(say("a", "b"), 2)) == [["a 0", "a 1"], ["b 0", "b 1"]]
    assert client.complete([]) == []


def test_equal_requests_are_asked_once_and_cost_once() -> None:
    client = Client(backend := Echo())
    first, second, other = client.complete(say("a", "a", "b"))
    assert (first[0].cached, second[0].cached, other[0].cached) == (False, True, False)
    assert first[0].text == second[0].text
    again = client.complete(say("b", "a"))
    assert texts(again) == [["b 0"], ["a 0"]]
    assert all(row[0].cached and row[0].seconds == 0 for row in again)
    assert len(backend.asked) == 2
    assert client.costs()["tokens_in"] == 20
    assert client.costs()["cached"] == 3


CHANGES: list[dict[str, Any]] = [
    {"temperature": 0.5},
    {"seed": 1},
    {"max_tokens": 7},
    {"json_schemas": [{"type": "object"}]},
    {"json_schemas": [{"type": "array"}]},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_different_parameter_is_a_different_question(change: dict[str, Any]) -> None:
    client = Client(backend := Echo())
    client.complete(say("a"))
    client.complete(say("a"), **change)
    client.complete(say("a"), **change)
    assert len(backend.asked) == 2


def test_roles_and_turns_are_part_of_the_question() -> None:
    client = Client(backend := Echo())
    ways = [
        (Message("user", "ab"),),
        (Message("system", "ab"),),
        (Message("user", "a"), Message("user", "b")),
        (Message("user", "a"), Message("assistant", "b")),
    ]
    client.complete(ways)
    assert len({request.key for request in backend.asked}) == 4


def test_samples_have_seeds_of_their_own() -> None:
    drawn = {Request(say("a")[0], sample, seed=seed).draw for sample in range(50) for seed in range(50)}
    assert len(drawn) == 2500
    assert all(0 <= draw < 2**31 for draw in drawn)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": 0}, "n is 0"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"json_schemas": []}, "1 prompts came with 0 JSON Schemas"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Client(Echo()).complete(say("a"), **arguments)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(InputError, match="prompt 1 has no messages"):
        Client(Echo()).complete([*say("a"), ()])


def test_a_failure_is_a_row_with_its_reason_and_is_asked_again_next_time() -> None:
    failing = Echo(lambda r: Answer(Completion("", "HTTP 500 after 5 tries"), tries=5, final=False))
    client = Client(failing)
    assert [row[0].reason for row in client.complete(say("a", "a"))] == ["HTTP 500 after 5 tries"] * 2
    client.complete(say("a"))
    assert len(failing.asked) == 2
    assert client.costs() | {"asked": 2, "failed": 2, "answered": 0, "tries": 10} == client.costs()


def test_an_answer_without_use_is_paid_for_and_not_asked_again() -> None:
    client = Client(backend := Echo(lambda r: Answer(Completion("", "refused", 10, 1))))
    assert client.complete(say("a")) == [[Completion("", "refused", 10, 1)]]
    assert client.complete(say("a")) == [[Completion("", "refused", 10, 1, cached=True)]]
    assert len(backend.asked) == 1


def test_a_backend_that_wants_to_stop_is_asked_nothing_more() -> None:
    stop = Answer(Completion("", "HTTP 429: quota"), final=False, stop="not asked: quota")
    client = Client(backend := Echo(lambda r: stop))
    reasons = [row[0].reason for row in client.complete(say("a", "b", "c"))]
    assert reasons == ["HTTP 429: quota", "not asked: quota", "not asked: quota"]
    assert len(backend.asked) == 1


def test_progress_ends_at_one() -> None:
    shares: list[float] = []
    Client(Echo(), progress=lambda phase, share: shares.append(share)).complete(say("a", "b"))
    assert shares == [0.5, 1.0]


# --- the ledger ---------------------------------------------------------------------------


def test_a_ledger_goes_on_where_it_was(tmp_path: Path) -> None:
    client = Client(Echo(), ledger=Ledger(tmp_path / "deep" / "ledger.jsonl"))
    before = client.complete(say("a", "b"), 2)
    client.close()
    again = Client(backend := Echo(), ledger=Ledger(tmp_path / "deep" / "ledger.jsonl"))
    out = again.complete(say("b", "c"), 2)
    again.close()
    assert texts(out) == [["b 0", "b 1"], ["c 0", "c 1"]]
    assert out[0][0] == Completion(before[1][0].text, "", 10, 5, 0.0, cached=True)
    assert [request.prompt[0].content for request in backend.asked] == ["c", "c"]
    assert again.costs() | {"asked": 2, "cached": 2, "tokens_in": 20} == again.costs()


def test_models_share_a_ledger_but_no_answers(tmp_path: Path) -> None:
    with_both = Ledger(tmp_path / "ledger.jsonl")
    first, second = Client(Echo(), ledger=with_both), Echo()
    second.model = "another"
    first.complete(say("a"))
    Client(second, ledger=with_both).complete(say("a"))
    assert len(second.asked) == 1
    assert (with_both.usage("another").asked, with_both.usage(Echo.model).asked) == (1, 1)
    with_both.close()


@cases(20)
@given(st.lists(st.tuples(st.text(), st.text(), st.integers(0, 9), st.booleans()), max_size=6), st.integers(0, 400))
def test_a_ledger_that_was_torn_anywhere_opens_with_all_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int, bool]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "ledger.jsonl"
    ledger = Ledger(path)
    for i, (text, reason, tokens, final) in enumerate(rows):
        request = Request(say(str(i))[0])
        ledger.asked("m", request)
        ledger.answered("m", request, Answer(Completion(text, reason, tokens, tokens), final=final))
    ledger.close()
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - cut)])
    whole = path.read_bytes().count(b'"event": "answered"') - (not path.read_bytes().endswith(b"\n"))
    opened = Ledger(path)
    found = [opened.find("m", Request(say(str(i))[0])) for i in range(len(rows))]
    for (text, reason, tokens, _), completion in zip(rows, found, strict=True):
        assert completion in (None, Completion(text, reason, tokens, tokens, cached=True))
    assert sum(completion is not None for completion in found) >= whole
    opened.asked("m", Request(say("later")[0]))
    opened.close()
    assert all(json.loads(line) for line in path.read_bytes().splitlines())


def test_a_request_with_unknown_outcome_counts_at_its_upper_bound(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger, request = Ledger(path), Request(say("x" * 300)[0], max_tokens=77)
    for _ in range(2):  # asked twice: killed, then answered
        ledger.asked("m", request)
    ledger.answered("m", request, Answer(Completion("y", "", 90, 5)))
    ledger.close()
    opened = Ledger(path)
    usage = opened.usage("m")
    opened.close()
    assert (usage.tokens_in, usage.tokens_out, usage.lost_in, usage.lost_out) == (90, 5, 108, 77)  # 8 for the message
    assert (usage.asked, usage.answered) == (2, 1)


def test_what_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"line 1 of .*days\.csv is damaged"):
        Ledger(path)
    path.write_text('{"format": "something else"}\n{"a": 1}\n')
    with pytest.raises(InputError, match="is no ledger of this version"):
        Ledger(path)
    assert path.read_text() == '{"format": "something else"}\n{"a": 1}\n'


@pytest.mark.parametrize("bound", [[], [5], [5, 5, 5], [5, -1]])
def test_a_line_without_both_bounds_is_named(tmp_path: Path, bound: list[int]) -> None:
    ledger = Ledger(path := tmp_path / "ledger.jsonl")
    ledger.asked("m", Request(say("x")[0], max_tokens=77))
    ledger.close()
    header, line = path.read_text().splitlines()
    path.write_text(f"{header}\n{json.dumps(json.loads(line) | {'bound': bound})}\n")
    with pytest.raises(InputError, match=r"line 2 of .*bound"):
        Ledger(path)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    Ledger(path := tmp_path / "ledger.jsonl").close()
    with path.open("a") as file:
        file.write("{half a line\n")
    with pytest.raises(InputError, match="line 2 of"):
        Ledger(path)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_ledger_is_for_its_owner_only(tmp_path: Path) -> None:
    Ledger(path := tmp_path / "ledger.jsonl").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_processes_cannot_write_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    script = "import sys; from sensecf.llm.ledger import Ledger; Ledger(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60)
    assert "another process writes to the ledger" in done.stderr
    ledger.close()
    Ledger(path).close()


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no regular file"):
        Ledger(tmp_path)


# --- the budget ---------------------------------------------------------------------------


def test_a_cap_ends_the_asking_with_a_reason() -> None:
    client = Client(backend := Echo(), budget=Budget(cap_tokens=40))
    reasons = [row[0].reason for row in client.complete(say(*"abcde"))]
    assert reasons == [""] * 3 + ["not asked: the cap of 40 tokens is reached"] * 2
    assert len(backend.asked) == 3  # 15 tokens each: the third goes out at 30


def test_a_cap_in_money_counts_prices() -> None:
    client = Client(Echo(), budget=Budget(Prices(1e6, 2e6, "EUR"), cap_money=40))
    reasons = [row[0].reason for row in client.complete(say(*"abcd"))]
    assert reasons == [""] * 2 + ["not asked: the cap of 40 EUR is reached"] * 2  # 10 + 2 x 5 each
    assert client.costs()["money"] == pytest.approx(40)


def test_a_cap_holds_across_runs(tmp_path: Path) -> None:
    for letters, asked in (("ab", 2), ("cd", 1), ("ef", 0)):
        client = Client(backend := Echo(), ledger=Ledger(tmp_path / "l.jsonl"), budget=Budget(cap_tokens=40))
        client.complete(say(*letters))
        client.close()
        assert len(backend.asked) == asked


def test_lost_tries_count_towards_a_cap() -> None:
    lost = Echo(lambda r: Answer(Completion("", "timeout"), tries=2, lost=2, final=False))
    client = Client(lost, budget=Budget(cap_tokens=100))
    client.complete(say("a", "b"), max_tokens=60)
    assert len(lost.asked) == 1
    assert client.costs()["lost_out"] == 120


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"cap_tokens": 0}, "cap in tokens is 0"),
        ({"cap_money": 0.0, "prices": Prices(1, 1)}, "cap in money is 0"),
        ({"cap_money": 1.0}, "needs prices"),
    ],
)
def test_a_cap_that_cannot_work_is_refused(budget: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Budget(**budget)


def test_prices_below_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="prices are -1 and 2"):
        Prices(-1, 2)


def test_an_estimate_bounds_what_is_spent_and_asks_nothing() -> None:
    client = Client(backend := Echo(), budget=Budget(Prices(2.5, 10)))
    client.complete(say("a"), max_tokens=50)
    estimate = client.estimate(say("a", "b" * 30, "c" * 30), 2, max_tokens=50)
    assert (estimate.requests, estimate.tokens_in, estimate.tokens_out) == (5, 9 + 4 * 18, 250)
    assert estimate.money == pytest.approx((81 * 2.5 + 250 * 10) / 1e6)
    assert len(backend.asked) == 1
    assert (
        str(estimate)
        == "5 requests to this machine, about 81 tokens in, at most 250 tokens out, at most about 0.00 USD"
    )


def test_tokens_are_estimated_on_the_high_side() -> None:
    words = "The person slept seven hours and walked nine thousand steps. " * 20
    assert len(words) / 4 < estimate_tokens(words) < len(words) / 2
    assert estimate_tokens("") == 0
    # Some tokenizers split numbers digit by digit, and none makes more than a token of a byte.
    for text in ('"steps": 8214 (may become 4095 to 30000)', "größe 😀 2,5"):
        assert sum(c.isdigit() for c in text) < estimate_tokens(text) <= len(text.encode())


def test_a_backend_that_can_count_is_asked_to_and_answers_are_found_all_the_same(tmp_path: Path) -> None:
    class Counting(Echo):
        def count(self, prompt: Prompt) -> int:
            return 1000

    ledger = Ledger(tmp_path / "ledger.jsonl")
    client = Client(Echo(), ledger=ledger)
    client.complete(say("a"))
    counting = Client(Counting(), ledger=ledger)
    assert counting.estimate(say("a", "b")).tokens_in == 1000  # the first is in the ledger
    assert counting.complete(say("a"))[0][0].cached
    client.close()


# --- a recorded run -----------------------------------------------------------------------


def test_a_recorded_run_gives_the_same_answers_failures_included(tmp_path: Path) -> None:
    def mostly(request: Request) -> Answer:
        if request.prompt[0].content == "b":
            return Answer(Completion("", "HTTP 500 after 5 tries"), final=False)
        return Answer(Completion("fine", "", 3, 4, 1.0))

    path = tmp_path / "ledger.jsonl"
    client = Client(Echo(mostly), ledger=Ledger(path))
    recorded = client.complete(say("a", "b"))
    client.close()
    replayed = connect(f"replay:{path}")
    assert replayed.host is None
    out = replayed.complete(say("a", "b", "c"))
    assert texts(out[:2]) == texts(recorded)
    assert [row[0].reason for row in out] == ["", "HTTP 500 after 5 tries", "not in the recorded run ledger.jsonl"]
    assert replayed.costs()["tries"] == 0
    assert out[0][0].cached


def test_of_several_recorded_models_one_is_named(tmp_path: Path) -> None:
    ledger = Ledger(path := tmp_path / "ledger.jsonl")
    for model in ("small at http://a/v1", "large at http://a/v1"):
        ledger.answered(model, Request(say("a")[0]), Answer(Completion(model)))
    ledger.close()
    with pytest.raises(InputError, match="large at http://a/v1, small at http://a/v1"):
        connect(f"replay:{path}")
    assert connect(f"replay:{path}#small").complete(say("a"))[0][0].text == "small at http://a/v1"


def test_a_missing_recording_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        connect(f"replay:{tmp_path / 'nothing.jsonl'}")


# --- batches as files ---------------------------------------------------------------------


def result(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A line as vLLM and OpenAI write it."""
    said = request["body"]["messages"][-1]["content"]
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": f"to {said}"}}
    body = {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    line = {"id": "x", "custom_id": request["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}
    return line | changes


def test_a_batch_is_written_answered_elsewhere_and_read_back(tmp_path: Path) -> None:
    path, schema = tmp_path / "ask.jsonl", {"type": "object"}
    prompts = say(*"abcdef")
    spec, ledger = f"batch:{path}#some/model", tmp_path / "ledger.jsonl"
    client = connect(spec, ledger=ledger)
    out = client.complete(prompts, json_schemas=[schema] * 6, max_tokens=9)
    client.close()
    assert {row[0].reason for row in out} == {"waits for its answer; asked in ask.jsonl"}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["custom_id"] for line in lines}) == 6
    for line, letter in zip(lines, "abcdef", strict=True):
        assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
        assert line["body"]["model"] == "some/model"
        assert line["body"]["max_tokens"] == 9
        assert line["body"]["messages"] == [{"role": "user", "content": letter}]
        assert line["body"]["response_format"]["json_schema"]["schema"] == schema

    a, b, c, d, e, f = lines
    results = [
        result(e, response={"status_code": 500, "body": {"error": "overloaded"}}),
        result(c),
        result(a) | {"custom_id": "somebody else's"},
        result(d, response=None, error={"code": "expired", "message": "too late"}),
        result(b),
        result(f, response={"status_code": 200, "body": {"choices": []}}),
        result(e),
    ]
    written = [json.dumps(line) for line in results]
    path.with_suffix(".results.jsonl").write_text(
        "\n".join([*written[:2], "no JSON {", "[]", *written[2:], '{"id": "cut o'])
    )
    client = connect(spec, ledger=ledger)
    out = client.complete(prompts, json_schemas=[schema] * 6, max_tokens=9)
    client.close()
    assert [row[0].text for row in out] == ["", "to b", "to c", "", "to e", ""]
    reasons = [row[0].reason for row in out]
    assert reasons[0] == "has no answer in ask.results.jsonl; asked in ask.jsonl"
    assert "too late" in reasons[3]
    assert "malformed" in reasons[5]
    assert [json.loads(line)["body"]["messages"][0]["content"] for line in path.read_text().splitlines()] == ["a"]


def test_a_batch_needs_a_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="#MODEL"):
        connect(f"batch:{tmp_path / 'ask.jsonl'}")


# --- names --------------------------------------------------------------------------------


def test_the_presets_say_what_a_hospital_has_to_know() -> None:
    known = presets()
    assert {"gpt-4o", "llama-3.1-8b-instruct", "biomistral-7b"} <= known.keys()
    for preset in known.values():
        assert preset.licence
        assert preset.note
        local = preset.base_url.startswith("http://localhost")
        assert (preset.key_env is None) == local
        assert (preset.prices is None) == local
        assert set(preset.weights_gb) == ({"bf16", "int8", "int4"} if local else set())
    assert "retire" in known["gpt-4o"].note


def test_a_preset_without_its_key_says_which_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="set the environment variable OPENAI_API_KEY"):
        connect("gpt-4o")


def test_a_preset_brings_its_address_and_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " sk-planted\n")
    client = connect("gpt-4o", cap_money=5)
    assert (client.name, client.host) == ("gpt-4o", "api.openai.com")
    assert client.estimate(say("a")).money is not None
    assert connect("llama-3.1-8b-instruct").host == "localhost"


def test_a_key_that_no_header_carries_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-plan ted")
    with pytest.raises(InputError, match="the key in OPENAI_API_KEY holds blanks") as caught:
        connect("gpt-4o")
    assert "sk-plan" not in str(caught.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"did you mean 'gpt-4o'.*biomistral-7b.*replay:FILE"):
        connect("gpt4o")


def test_a_file_of_ones_own_adds_models(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('[ours]\nmodel = "m"\nbase_url = "http://localhost:9/v1"\nprice_in = 1\nprice_out = 2.5\n')
    client = connect(f"{path}#ours")
    assert (client.name, client.host, client.budget.prices) == ("ours", "localhost", Prices(1, 2.5))
    with pytest.raises(InputError, match="no language model 'theirs'"):
        connect(f"{path}#theirs")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ours = 1", "'ours' in .* is no table"),
        ("[ours]\nmodel = 'm'", "has no base_url"),
        ("[ours]\nmodel = 3\nbase_url = 'http://h/v1'", "model of .ours. in .* is 3"),
        ("[ours]\nmodel = 'm'\nbase_url = 'http://h/v1'\napi_key = 'sk'", "'api_key' of .ours. in .* is no field"),
        ("[ours", "is not valid TOML"),
        ("[ours.1]\nmodel = 'm'", r'write \["ours\.1"\]'),
    ],
)
def test_a_wrong_file_of_models_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        connect(f"{path}#ours")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("http://localhost:8000/v1", "no model is named"),
        ("http:///v1#m", "is no address"),
        ("http://localhost:99999/v1#m", "port"),
        ("http://user:planted@localhost:8000/v1#m", "holds a password"),
        ("http://localhost:8000/v1?key=planted#m", "holds a query"),
    ],
)
def test_addresses_that_cannot_be_used_are_refused(spec: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        connect(spec)
    assert "planted" not in str(caught.value)


def test_a_key_is_not_sent_unencrypted_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENSECF_LLM_KEY", "sk-planted")
    with pytest.raises(InputError, match="unencrypted"):
        connect("http://models.example.org/v1#m")
    assert connect("https://models.example.org/v1#m").host == "models.example.org"
    assert connect("http://127.0.0.1:8000/v1#m").host == "127.0.0.1"


@pytest.mark.parametrize(
    ("setting", "value"), [("concurrency", 0), ("tries", 0), ("timeout", 0.0), ("requests_per_minute", 0)]
)
def test_settings_of_nothing_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{setting} is {value}"):
        connect("http://localhost:8000/v1#m", **{setting: value})


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(InputError, match=r"'retries' is no setting of OpenAICompatible; it has .*tries"):
        connect("http://localhost:8000/v1#m", retries=3)


def test_the_protocol_and_its_names_load_nothing_heavy() -> None:
    script = (
        "import sensecf.llm.named, sys; print([m for m in ('torch', 'openai', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


def test_connect_is_found_where_it_was_and_where_it_is() -> None:
    import sensecf.llm
    from sensecf.llm.connect import connect as before

    assert before is sensecf.llm.named.connect
    with pytest.raises(InputError):
        sensecf.llm.connect("")
    with pytest.raises(InputError):
        before("")
