"""Columns are recognised by what they are called in tables of other languages, and no other columns are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import sensecf
from sensecf.data.infer.phrases import PHRASES
from sensecf.data.infer.recognise import known_columns

CALLED = {
    "sleep_total_min": "Schlafstunden|durée du sommeil (h)|horas de sueño|ore di sonno|duração do sono (h)|"
    "uren slaap|søvn (timer)|czas snu (h)|total sleep time (min)|TST (min)",
    "steps": "Anzahl Schritte|Tägliche Schritte|Schritte/Tag|nombre de pas|pas par jour|pas_quotidiens|número de pasos|"
    "pasos diarios|passi giornalieri|passos por dia|aantal stappen|antall skritt|liczba kroków|totalSteps|"
    "avg_daily_steps|歩数|步数|шаги|adım sayısı|걸음수",
    "sedentary_min": "sitzende Zeit (min)|minutes sédentaires|tiempo sedentario (min)|minuti sedentari|"
    "tempo seduto (min)|minutos sedentários|zittijd (min)|stillasittande (min)",
    "resting_hr_bpm": "resting heart rate|RestingHeartRate|RHR|Ruhepuls (bpm)|fréquence cardiaque au repos|"
    "FC en reposo (lpm)|frequenza cardiaca a riposo|frequência cardíaca em repouso|hartslag in rust|vilopuls",
    "bmi": "Body-Mass-Index|indice de masse corporelle|índice de masa corporal|indice di massa corporea|IMC",
    "sbp": "収縮期血圧|收缩压|систолическое давление|pressão_systolic|"
    "systolic blood pressure|Blutdruck systolisch (mmHg)|pression artérielle systolique|presión sistólica|"
    "pressione arteriosa sistolica|pressão arterial sistólica|systolische bloeddruk",
    "dbp": "diastolischer Blutdruck|tension artérielle diastolique|presión arterial diastólica (mmHg)",
    "weight_kg": "poids (kg)|peso corporal (kg)|Körpergewicht (kg)|body weight (kg)",
    "waist_cm": "waist circumference (cm)|tour de taille (cm)|perímetro abdominal (cm)|circonferenza vita (cm)",
    "age": "年齢|возраст|yaş|나이|العمر|Alter (Jahre)|âge (ans)|edad (años)|età|leeftijd",
    "screen_time_min": "temps d'écran (min)|tiempo de pantalla (min)|schermtijd (min)|Bildschirmzeit (h)",
    "glucose_mean_mgdl": "glycémie moyenne (mg/dL)|glucosa media (mg/dL)|mittlere Glukose (mg/dL)",
    "hba1c_pct": "glycated hemoglobin (%)|hémoglobine glyquée (%)|emoglobina glicata (%)",
    "hr_mean_bpm": "mean heart rate|frequenza cardiaca media|fréquence cardiaque moyenne|gemiddelde hartslag",
    "moderately_active_min": "activité modérée (min)|atividade moderada (min)",
}
#: Called much the same, and something else.
OTHERS = (
    "step length (cm)|steps_sd|pas de repos|weight loss (kg)|birth weight (g)|pressure (bar)|heart rate reserve|"
    "pulse pressure (mmHg)|sleep apnea|time since diagnosis|systolic change (mmHg)|peso del bagaglio (kg)|"
    "waist to hip ratio|activity"
)


@pytest.mark.parametrize(("name", "columns"), CALLED.items())
def test_a_quantity_is_known_by_what_tables_call_it(name: str, columns: str) -> None:
    for column in columns.split("|"):
        assert known_columns([column]) == {name: column}


@pytest.mark.parametrize("column", OTHERS.split("|"))
def test_another_quantity_is_not_taken_for_one(column: str) -> None:
    assert known_columns([column]) == {}


def test_a_phrase_means_one_quantity() -> None:
    said = [phrase for texts in PHRASES.values() for phrase in texts.split("|")]
    assert len(said) == len(set(said))
    meant = {(phrase, *sorted(known_columns([phrase]))) for phrase in said}
    assert all(len(names) <= 2 for names in meant)


def test_values_that_cannot_be_the_quantity_are_said() -> None:
    # PAS is the systolic pressure in French and Italian, pas are steps.
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"PAS": rng.integers(100, 180, 80), "label": rng.choice(["no", "yes"], 80)})
    feature = sensecf.infer_schema(frame, "label")["PAS"]
    assert (feature.unit, feature.role) != ("steps", "actionable")
