"""A language model may draft causes: each with its reason, and nothing used that nobody approved."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from command import call
from fake_llm import always
from llm_servers import after, scripted
from sensecf import FeatureSchema, InputError
from sensecf.data.builtin.simulated import simulated_schema
from sensecf.llm.language.drafting import draft_causes, drafting_prompt, proposals

BARE = simulated_schema().edit(
    **{f.name: {"causes": (), "sign": (), "causes_source": ""} for f in simulated_schema().features}
)


def edge(cause: str, effect: str, sign: str = "-", reason: str = "muscles take up sugar") -> dict[str, str]:
    return {"cause": cause, "effect": effect, "sign": sign, "reason": reason}


ANSWER = json.dumps(
    {
        "edges": [
            edge("steps", "glucose_mean_mgdl", reason="muscles\n take up sugar"),
            edge("sleep_total_min", "glucose_mean_mgdl"),
            edge("glucose_mean_mgdl", "steps"),
            edge("moon", "steps"),
            edge("steps", "age"),
            edge("steps", "glucose_mean_mgdl", "+"),
        ]
    }
)


def test_edges_come_with_their_reasons_and_what_cannot_be_meant_is_left_out_and_said() -> None:
    model = always(ANSWER)
    edges, left = draft_causes(BARE, model)
    assert [(e.cause, e.effect, e.sign) for e in edges] == [
        ("steps", "glucose_mean_mgdl", "-"),
        ("sleep_total_min", "glucose_mean_mgdl", "-"),
    ]
    assert edges[0].reason == "muscles take up sugar"
    assert [line.rpartition(": ")[2] for line in left] == [
        "would close a circle", "no two columns of the schema", "age never changes", "listed twice",
    ]  # fmt: skip
    assert len(model.calls) == 1


def test_the_model_is_shown_names_and_no_row() -> None:
    system, asked = drafting_prompt(BARE)
    assert "JSON" in system.content
    assert "- steps (steps, actionable)" in asked.content
    assert "study_group" not in asked.content


@pytest.mark.parametrize("text", ["I cannot.", '{"edges": 3}', '{"causes": []}', "{"])
def test_an_answer_that_cannot_be_read_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match="can be read"):
        draft_causes(BARE, always(text))


def test_nothing_is_used_until_a_person_takes_the_mark_away(tmp_path: Path) -> None:
    edges, _ = draft_causes(BARE, always(ANSWER))
    text = BARE.to_toml(notes=proposals(edges, "scripted"))
    path = tmp_path / "schema.toml"
    path.write_text(text, encoding="utf-8")
    assert FeatureSchema.from_toml(path) == BARE
    path.write_text(re.sub(r"^# (causes|sign|causes_source) = ", r"\1 = ", text, flags=re.MULTILINE), encoding="utf-8")
    accepted = FeatureSchema.from_toml(path)["glucose_mean_mgdl"]
    assert (accepted.causes, accepted.sign) == (("steps", "sleep_total_min"), ("-", "-"))
    assert accepted.causes_source.startswith("drafted by scripted: steps: muscles")


def test_the_command_asks_a_server_once(tmp_path: Path) -> None:
    schema = tmp_path / "schema.toml"
    BARE.to_toml(schema)
    with scripted(after(0, ANSWER)) as server:
        ended = call("graph", "draft", "--schema", schema, "--llm", f"{server.url}#m")
    assert ended.status == 0, ended.err
    assert '# causes = ["steps", "sleep_total_min"]' in ended.out
    assert "2 edges drafted" in ended.err
