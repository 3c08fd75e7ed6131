"""Tables in German, French, Spanish, Italian, Portuguese, Dutch and the Nordic languages are read as English ones."""

from __future__ import annotations

import pytest

from sensecf.core.missing import may_mean_missing, means_missing
from sensecf.data.infer import classwords
from sensecf.data.infer.names import is_person, parse_names, role_of, words_of
from sensecf.data.infer.targets import default_target
from sensecf.data.numerals import Marks, begins_as_number, read, split


@pytest.mark.parametrize(
    ("label", "wanted", "other"),
    [
        ("stato", "sano", "malato"),
        ("estado", "saudável", "doente"),
        ("status", "frisk", "sjuk"),
        ("status", "rask", "syg"),
        ("tila", "terve", "sairas"),
        ("status", "gezond", "ziek"),
        ("stan", "zdrowy", "chory"),
        ("状态", "健康", "患病"),
        ("статус", "здоров", "болен"),
        ("diabetes", "não", "sim"),
        ("sygdom", "nej", "ja"),
        ("diabetes", "ei", "kyllä"),
        ("stress", "låg", "hög"),
        ("stress", "basso", "alto"),
        ("sömnkvalitet", "hög", "låg"),
        ("qualità del sonno", "alta", "bassa"),
        ("tumor", "gutartig", "bösartig"),
        ("tumeur", "bénin", "malin"),
        ("gruppo", "controllo", "caso"),
        ("y", "uten stress", "med stress"),
        ("y", "sem stress", "com stress"),
        ("y", "非糖尿病", "糖尿病"),
        ("y", "guter Schlaf", "schlechter Schlaf"),
        ("y", "niedriges Risiko", "hohes Risiko"),
        ("sleep", "adequate", "inadequate"),
        ("y", "asymptomatic", "symptomatic"),
        ("glucose", "in range", "out of range"),
        ("y", "fine", "burned out"),
        ("y", "calme", "un peu stressé"),
        ("genesen", "ja", "nein"),
        ("guarito", "sì", "no"),
        ("quit_smoking", "yes", "no"),
        ("mood", "positive", "negative"),
    ],
)
def test_the_class_to_reach_is_known_by_its_word(label: str, wanted: str, other: str) -> None:
    for classes in ((wanted, other), (other, wanted)):
        assert default_target(classes, words_of(label))[0] == wanted


@pytest.mark.parametrize("classes", [("HC", "PD"), ("setosa", "versicolor"), ("male", "female"), ("H", "P")])
def test_words_that_say_nothing_leave_the_target_open(classes: tuple[str, str]) -> None:
    assert default_target(classes, ("group",))[0] is None


def test_no_word_is_wanted_in_one_language_and_unwanted_in_another() -> None:
    tables = classwords
    assert not classwords.words(tables.WANTED) & classwords.words(tables.UNWANTED)
    assert not classwords.words(tables.LOW) & classwords.words(tables.HIGH)
    assert not classwords.words(tables.YES) & classwords.words(tables.NO)
    assert not classwords.words(tables.NEGATIONS) & (
        classwords.words(tables.UNWANTED) | classwords.words(tables.LOW) | classwords.words(tables.HIGH)
    )


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("immutable", "età sesso leeftijd geslacht ålder kön alder køn kjønn idade altezza_cm età_anni leeftijd_jaren"),
        (
            "actionable",
            "passi stappen_per_dag steg skridt sonno_min sonno_ore søvn_timer slaap_uren fumo roken alkohol_per_uge",
        ),
        ("mutable", "glicemia_mgdl bloeddruk_systolisch blodtryk peso_kg vikt_kg frequenza_cardiaca hvilepuls"),
    ],
)
def test_names_have_the_role_of_what_they_mean(role: str, names: str) -> None:
    assert {name: role_of(words_of(name)) for name in names.split()} == dict.fromkeys(names.split(), role)


def test_a_word_is_foreign_only_beside_words_of_its_language() -> None:
    names = parse_names(["søvn_timer", "response_timer", "sonno_ore", "iron_ore"])
    assert [names[name].unit for name in names] == ["h", "", "h", ""]


@pytest.mark.parametrize("name", ["paziente_id", "deelnemer", "deltager_nr", "pasient", "Patienten-ID", "voluntario"])
def test_names_of_people_are_known(name: str) -> None:
    assert is_person(words_of(name))


@pytest.mark.parametrize(
    "text",
    ["7 t 51 min", "7 tim 51 min", "7 timer og 51 minutter", "7 u 51 min", "7 uur en 51 minuten", "7 ore e 51 minuti",
     "7 horas e 51 minutos", "7 tuntia ja 51 minuuttia", "7:51 h", "07:51:00 Std"],
)  # fmt: skip
def test_lengths_of_time_are_minutes(text: str) -> None:
    found = read([text, text.replace("51", "30")])
    assert (found.kind, found.unit, found.values.tolist()) == ("duration", "min", [471, 450])


def test_tonnes_are_no_hours() -> None:
    assert read(["471 t", "12 t"]).unit == "t"


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("R$ 3.017,81", "R$", 3017.81), ("kr 7 762,70", "kr", 7762.7), ("6 841,01 zł", "zł", 6841.01)],
)
def test_money_is_a_number_with_its_currency(text: str, unit: str, value: float) -> None:
    cell = split(text)
    assert cell is not None
    assert begins_as_number(text)
    thousands = "." if "." in text else " "
    assert read([text], Marks(",", thousands)).values.tolist() == [value]
    assert cell.unit == unit


@pytest.mark.parametrize("text", ["99 = unknown", "9: refused", "Unknown (not asked)", "DK/NA (refused)"])
def test_a_code_beside_what_it_means_is_no_answer(text: str) -> None:
    assert means_missing(text) or may_mean_missing(text)


@pytest.mark.parametrize("text", ["1 = daily", "none of the above", "Vitamin K/D", "other (unknown brand)"])
def test_answers_are_answers(text: str) -> None:
    assert not means_missing(text)
    assert not may_mean_missing(text)
