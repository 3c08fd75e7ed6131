"""Attacks: what they see where something is planted, what they say where nothing is, and a command that is honest."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command import call, explain, make_schema, people, refused
from sensecf.core.limits import Limits
from sensecf.data.card import Card
from sensecf.generators.tiny.tiny import Recipe, Tiny
from sensecf.metrics.attacks import ON_ROWS, Release, holders, likelihood_ratio, loss, value_match
from sensecf.metrics.membership import BOUND, Scores, tpr
from sensecf.pipeline.explain import explain as answered
from sensecf.runs.attack.embedded import answers, of_embedded
from sensecf.runs.attack.identifiers import identifiers, scan
from sensecf.runs.attack.label import NOT, SHAREABLE, label
from sensecf.runs.attack.surfaces import Crowd, copies, of_model, of_plans, of_rows, own_label
from sensecf.runs.attack.text import by_chance

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import attack as bench  # noqa: E402


@cache
def crowd(seed: int = 0) -> tuple[Crowd, object]:
    return bench.prepared_crowd(seed)


def areas(surface: object, planted: bool = False) -> pd.DataFrame:
    found, _ = crowd()
    return surface.scores(found, planted, np.random.default_rng(0)).areas().set_index("attack")


def test_rows_of_an_overfitted_generator_tell_members_and_the_ratio_tells_more_than_the_density():
    """As van Breugel et al. (2023) report."""
    found = bench.directions().set_index(["what", "attack"])["auc"]
    assert found["overfitted rows", "density ratio"] > found["overfitted rows", "kernel density"]
    assert found["overfitted rows", "nearest, calibrated"] > 0.9
    assert found["overfitted rows", "attribute inference"] > found["clean rows", "attribute inference"]
    assert found["random-forest", "likelihood ratio"] > 0.9
    assert found["logistic", "loss"] < found["random-forest", "loss"]


def test_planted_people_are_seen_and_clean_releases_are_not_flagged():
    found, made = crowd()
    asked = made.table.held_out.iloc[made.asked(60)]
    answers = answered(made.task, "search", asked, made.target, limits=Limits(hold=0.0))
    for surface in (
        of_plans(answers, asked["who"].to_numpy(str), made.task),
        of_rows("rows", "rows", bench.clean_rows(found, 0), made.task),
    ):
        clean, planted = (surface.scores(found, p, np.random.default_rng(1)) for p in (False, True))
        assert planted.tested(surface.sharp)["flagged"]
        assert planted.tested(surface.sharp)["first"] >= 10
        assert not clean.tested(surface.sharp)["flagged"]


def test_a_model_that_has_its_rows_by_heart_is_seen():
    _, made = crowd()
    surface = of_model("logistic", "logistic", made.task, own_label(made.task), "logistic")
    assert areas(surface, planted=True).loc["loss", "auc"] > 0.95
    assert areas(surface).loc["loss", "low"] < 0.6


def test_a_clean_release_is_flagged_in_five_per_cent_at_most():
    """Scores that have nothing to do with membership."""
    rng = np.random.default_rng(0)
    flagged = 0
    for seed in range(200):
        table = pd.DataFrame(rng.normal(size=(100, 6)), columns=list(ON_ROWS))
        flagged += Scores(table, np.arange(100) < 70).tested("value match", seed)["flagged"]
    assert flagged <= 18  # 10 are expected, 18 are seen in one of a hundred


def test_true_positives_at_few_false_ones():
    score = np.r_[np.full(10, 9.0), np.zeros(60), np.full(1, 5.0), np.full(29, -1.0)]
    member = np.arange(100) < 70
    assert tpr(score, member) == pytest.approx(10 / 70)
    assert np.isnan(tpr(score, np.ones(100, bool)))


def release(values: np.ndarray, rows: np.ndarray, whose: list[str], without: list[str]) -> Release:
    persons = np.array([f"p{i}" for i in range(len(rows))])
    changed = np.ones(values.shape, dtype=bool)
    return Release(
        values, values, changed, np.array(whose), rows, rows, persons, np.array(without), np.ones(rows.shape[1], bool)
    )


def test_nobody_is_attacked_with_rows_that_started_from_their_own():
    rows = np.arange(20.0).reshape(10, 2)
    everyone = [f"p{i}" for i in range(10)]
    own = release(rows, rows, everyone, everyone)
    assert (own.closest[0] > 0).all()
    others = release(rows, rows, [""] * 10, everyone)
    assert (others.closest[0] == 0).all()
    for name, run in ON_ROWS.items():
        assert np.isfinite(run(own)).all(), name


def test_a_rare_value_that_is_shared_says_more_than_a_common_one():
    rows = np.array([[1.0, 5], [1, 6], [1, 7], [2, 8]])
    seen = release(np.array([[1.0, 9], [2.0, 9]]), rows, ["", ""], ["x"] * 4)
    found = value_match(seen)
    assert found[3] > found[0] > 0
    assert found[0] == found[1] == found[2]


def test_values_are_counted_by_people_and_only_where_they_were_made():
    rows = np.array([[1.0], [1.0], [2.0], [3.0]])
    persons = np.array(["a", "a", "b", "c"])
    held = holders(rows, persons, np.array([[1.0], [2.0], [9.0], [2.0]]), np.array([[True], [True], [True], [False]]))
    assert held[:3, 0].tolist() == [1, 1, 0]
    assert np.isnan(held[3, 0])


def test_copies_of_few_are_told_from_new_values():
    found, _ = crowd()
    rare = found.rows[found.member][:3].copy()
    rare[:, 5] = [200.05, 200.05, 200.05]
    table = copies(found, rare, np.ones(rare.shape, bool)).set_index("feature")
    assert table.loc["pulse_bpm", "held_by_none"] == 3
    assert table.loc["steps", "held_by_few"] > 0


@given(st.floats(0.0, 1.0))
def test_log_odds_are_finite(p: float):
    assert np.isfinite(loss(np.array([p]))).all()


def test_the_likelihood_ratio_follows_who_was_inside():
    rng = np.random.default_rng(0)
    inside = rng.random((20, 50)) < 0.5
    shadows = rng.normal(0, 0.3, (20, 50)) + 2 * inside
    member = np.arange(50) < 25
    found = likelihood_ratio(2.0 * member, shadows, inside)
    assert found[member].min() > found[~member].max()


def table_of(high: float) -> pd.DataFrame:
    return pd.DataFrame({"attack": ["nearest"], "auc": [0.5], "low": [0.45], "high": [high]})


def card(leaves: str) -> Card:
    return Card("days", "s", "l", leaves, "d", "label", (), hosts=("x",) if leaves == "named hosts" else ())


def test_the_label_is_earned():
    assert label(table_of(0.54), True, False, 0, (), card("shareable")) == (SHAREABLE, [])
    for asked, says in (
        ((table_of(0.56), True, False, 0, (), None), "nearest"),
        ((table_of(float("nan")), True, False, 0, (), None), "no upper bound"),
        ((table_of(0.5), False, False, 0, (), None), "blind"),
        ((table_of(0.5), True, True, 0, (), None), "told from others"),
        ((table_of(0.5), True, False, 3, (), None), "fewer than five"),
        ((table_of(0.5), True, False, 0, (), card("local only")), "terms"),
        ((table_of(0.5), True, False, 0, ("linked",), None), "linked"),
    ):
        called, why = label(*asked)
        assert called == NOT
        assert says in " ".join(why)
    assert BOUND == 0.55


def test_identifiers_are_found_as_whole_words(tmp_path: Path):
    frame = bench.cohort(0)
    known = identifiers(bench.SCHEMA, frame)
    (tmp_path / "a.csv").write_text("x,y\nP0001,3\nXP00021,4\n")
    (tmp_path / "b.json").write_text('{"identifier": [{"value": "P0002"}]}')
    (tmp_path / "c.md").write_text("nobody")
    hits = {(h.file, h.column): h.values for h in scan(tmp_path, [], known)}
    assert {file for file, _ in hits} == {"a.csv", "b.json"}
    assert set(hits.values()) == {1}


def test_a_fhir_file_beside_the_run_is_looked_into(ran: Path, tmp_path: Path):
    patient = {"resourceType": "Patient", "identifier": [{"value": "P0003"}]}
    (tmp_path / "bundle.json").write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": patient}]}))
    ended = call("attack", ran / "run", "--out", ran / "fhir", "--file", tmp_path / "bundle.json")
    assert "bundle.json" in ended.out
    hits = pd.read_csv(ran / "fhir" / "identifiers.csv").set_index("file")
    assert set(hits.loc[["bundle.json"], "values"]) == {1}


def test_exports_of_a_run_are_looked_into_and_named(ran: Path, tmp_path: Path):
    """Spreadsheet, REDCap and FHIR name their people on purpose; the attack says which of them do."""
    made = []
    for form in ("csv", "redcap", "fhir"):
        ended = call("export", ran / "run", "--format", form, "--system", "urn:example:ids", "--out", tmp_path / form)
        assert ended.status == 0, ended.err
        made += [path for path in (tmp_path / form).iterdir() if path.suffix in (".csv", ".json")]
    files = [part for path in made for part in ("--file", path)]
    ended = call("attack", ran / "run", "--out", ran / "exports", *files)
    assert ended.status == 0, ended.err
    hits = pd.read_csv(ran / "exports" / "identifiers.csv")
    known = set(pd.read_csv(ran / "run" / "factuals.csv")["person"].astype(str))
    for path in made:
        names = {name for name in known if re.search(rf"\b{name}\b", path.read_text(encoding="utf-8"))}
        mine = hits[(hits["file"] == path.name) & (hits["column"] == "person")]
        assert set(mine["values"]) == ({len(names)} if names else set()), path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("attacked")
    bench.cohort(0).to_csv(place / "table.csv", index=False)
    bench.SCHEMA.to_toml(place / "schema.toml")
    ended = explain(place / "table.csv", place / "schema.toml", place / "run", "--limit", 60)
    assert ended.status == 0, ended.err
    return place


def test_the_command_attacks_plans_and_models_and_says_what_it_saw(ran: Path):
    ended = call("attack", ran / "run")
    assert ended.status == 0, ended.err
    assert "The plans alone" in ended.out
    assert "Not shareable" in ended.out
    folder = ran / "run" / "attack"
    labels = json.loads((folder / "label.json").read_text())
    assert set(labels) == {"plans", "classifier"}
    assert "share most values with a row of the person" in " ".join(labels["plans"]["why"])
    found = pd.read_csv(folder / "areas.csv")
    assert set(found[found["surface"] == "plans"]["attack"]) == set(ON_ROWS)
    assert "task/train.csv" in set(pd.read_csv(folder / "identifiers.csv")["file"])
    assert " safe" not in (folder / "report.md").read_text()


def test_the_same_seed_gives_the_same_bytes_and_another_result_is_not_replaced(ran: Path):
    for name in ("a", "b"):
        assert call("attack", ran / "run", "--out", ran / name, "--seed", 3).status == 0
    for name in ("areas.csv", "copies.csv", "label.json"):
        assert (ran / "a" / name).read_bytes() == (ran / "b" / name).read_bytes()
    assert "--overwrite" in call("attack", ran / "run", "--out", ran / "a", "--seed", 4).err


def test_a_run_whose_people_are_not_known_is_refused(ran: Path, tmp_path: Path):
    people(60).to_csv(tmp_path / "table.csv", index=False)
    schema = make_schema(tmp_path / "table.csv", tmp_path / "schema.toml")
    people(20, 1).drop(columns="stress").to_csv(tmp_path / "asked.csv", index=False)
    run = explain(tmp_path / "table.csv", schema, tmp_path / "run", "--queries", tmp_path / "asked.csv")
    assert run.status == 0, run.err
    refused(call("attack", tmp_path / "run", "--out", tmp_path / "out"), "named", left=tmp_path / "out")
    other = tmp_path / "table.csv"
    refused(call("attack", ran / "run", "--out", tmp_path / "o", "--table", other), "table", left=tmp_path / "o")


def test_an_interrupted_attack_goes_on(ran: Path, monkeypatch: pytest.MonkeyPatch):
    from sensecf.runs.attack import AttackSpec, attack, run

    real, seen = run.planted_and_true, []

    def counted(surface, crowd, seed):
        seen.append(surface.name)
        if surface.name == "classifier" and len(seen) == 2:
            raise KeyboardInterrupt
        return real(surface, crowd, seed)

    monkeypatch.setattr(run, "planted_and_true", counted)
    with pytest.raises(KeyboardInterrupt):
        attack(ran / "run", ran / "on", AttackSpec(5))
    attack(ran / "run", ran / "on", AttackSpec(5))
    assert seen == ["plans", "classifier", "classifier"]


def test_an_embedded_model_that_has_ten_people_by_heart_is_seen():
    found, made = crowd()
    recipe = Recipe(pairs=300, epochs=2, rounds=1, round_queries=16, samples=8)
    surface = of_embedded(Tiny(made.task, recipe=recipe))
    clean, planted = (surface.scores(found, p, np.random.default_rng([0, 12])) for p in (False, True))
    assert planted.tested("loss")["first"] >= 5
    assert planted.tested("loss")["flagged"]
    assert set(clean.table.columns) == {"loss", "vocabulary"}
    assert np.isfinite(clean.table.to_numpy()).all()


def test_a_kept_model_answers_as_it_did_and_a_damaged_one_is_none(tmp_path: Path):
    _, made = crowd()
    model = Tiny(made.task, recipe=Recipe(pairs=200, epochs=1, rounds=1, round_queries=16, samples=8))
    model.save(tmp_path)
    again = Tiny.kept(tmp_path, made.task)
    assert again is not None
    query, _, rows = answers(crowd()[0].some(np.random.default_rng(0), 60))
    assert np.allclose(model.likelihood(query, rows), again.likelihood(query, rows), equal_nan=True)
    (tmp_path / "model.safetensors").write_bytes(b"no")
    assert Tiny.kept(tmp_path, made.task) is None


def tuned(folder: Path, mean: float, copied: float) -> Path:
    folder.mkdir(exist_ok=True)
    canaries = {"planted": 8, "mean exposure, bits": mean, "largest exposure, bits": 6.0, "most, bits": 6.0}
    told = {"canaries": canaries, "answers": {"answers": 40, "exact copies": copied, "near copies": 0.1}}
    (folder / "tuned.json").write_text(json.dumps({"memorisation": told}))
    return folder


def test_planted_texts_that_a_model_knows_by_heart_stand_in_the_way(tmp_path: Path):
    assert by_chance(1.4, 8) > 0.2
    assert by_chance(6.0, 8) < 0.001
    known = tuned(tmp_path / "known", 5.5, 0.0)
    done = call("attack", known)
    assert done.status == 0, done.err
    told = json.loads((known / "attack" / "label.json").read_text())["text model"]
    assert told["label"] == NOT
    assert any("by heart" in one for one in told["why"])
    clean = tuned(tmp_path / "clean", 1.2, 0.0)
    assert call("attack", clean).status == 0
    assert "without --private" in json.loads((clean / "attack" / "label.json").read_text())["text model"]["why"][0]
    (clean / "privacy.json").write_text("{}")
    assert call("attack", clean, "--out", tmp_path / "again").status == 0
    assert json.loads((tmp_path / "again" / "label.json").read_text())["text model"]["label"] == SHAREABLE
    (clean / "tuned.json").write_text("{}")
    refused(call("attack", clean, "--out", tmp_path / "none"), "tune it anew", left=tmp_path / "none")
