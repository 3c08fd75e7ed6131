"""What a column's name says: unit, role, protected attribute, identifier, group, date, code.

Names only suggest; the schema file is where a person decides. English words of wearable and
clinical tables, listed below so that they can be read and extended.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from sensecf.core.schema import Role


def word_set(text: str, separator: str | None = None) -> frozenset[str]:
    """The words of a text as a set: long vocabularies stay readable."""
    return frozenset(text.split(separator))


_BRACKETS = re.compile(r"[(\[]([^)\]]{1,15})[)\]]\s*$")
# Spellings whose capitals are no word boundary.
_ONE_WORD = {"SpO2": "spo2", "HbA1c": "hba1c", "VO2": "vo2", "mmHg": "mmhg", "dL": "dl", "mmolL": "mmoll"}

#: Trailing words that are a unit whatever comes before them.
_UNITS: dict[tuple[str, ...], str] = {
    ("bpm",): "bpm",
    ("brpm",): "breaths/min",
    ("pct",): "%",
    ("percent",): "%",
    ("percentage",): "%",
    ("kg",): "kg",
    ("g",): "g",
    ("grams",): "g",
    ("mg",): "mg",
    ("lb",): "lb",
    ("lbs",): "lb",
    ("pounds",): "lb",
    ("cm",): "cm",
    ("mm",): "mm",
    ("m",): "m",
    ("km",): "km",
    ("miles",): "mi",
    ("kcal",): "kcal",
    ("kj",): "kJ",
    ("ms",): "ms",
    ("s",): "s",
    ("sec",): "s",
    ("secs",): "s",
    ("seconds",): "s",
    ("mins",): "min",
    ("minutes",): "min",
    ("h",): "h",
    ("hrs",): "h",
    ("hours",): "h",
    ("days",): "days",
    ("years",): "years",
    ("yrs",): "years",
    ("celsius",): "°C",
    ("fahrenheit",): "°F",
    ("mmol",): "mmol/L",
    ("mmoll",): "mmol/L",
    ("mmol", "l"): "mmol/L",
    ("mgdl",): "mg/dL",
    ("mg", "dl"): "mg/dL",
    ("g", "dl"): "g/dL",
    ("mmhg",): "mmHg",
    ("mm", "hg"): "mmHg",
    ("ml",): "mL",
    ("kg", "m2"): "kg/m²",
    ("ml", "kg", "min"): "ml/kg/min",
    ("u",): "U",
    ("iu",): "IU",
    ("lux",): "lux",
    ("db",): "dB",
    ("steps",): "steps",
    ("met",): "MET",
    ("mets",): "MET",
}
#: Words that make a unit of their own with the unit behind them: mg/min, m/s, uU/mL. What is not listed above as a
#: whole is left without a unit: none is better than a wrong one.
_COMPOUND = {word for unit in _UNITS for word in unit} - {"steps", "met", "mets", "min", "mins", "minutes"} | word_set(
    "per pro par uu mu miu ug ng pg mcg nmol pmol umol mol l dl cl fl hz khz w kw j n pa kpa v mv uv ohm us nm um "
    "cells counts rad deg degrees bpm beats"
)
#: Whole names (less words such as mean or max) that have one usual unit.
_NAMED_UNITS = {"age": "years", "vo2max": "ml/kg/min", "vo2": "ml/kg/min", "bmi": "kg/m²", "met": "MET"}
#: Words that name a statistic of a quantity rather than the quantity.
STATISTICS = word_set("min minimum mean avg average median max maximum peak sd std stddev cv var variance resting")
#: Before a final "min", these say that it is a minimum and not minutes.
_QUANTITIES = word_set("hr bpm rate glucose temp temperature spo2 pressure bp sbp dbp hrv rmssd stress")

_PROTECTED = word_set(
    "age sex gender race ethnicity ethnic religion nationality disability disabled pregnant pregnancy"
)
_PROTECTED_NAMES = frozenset({"native country", "national origin", "sexual orientation", "skin color", "skin colour"})
_IMMUTABLE = word_set(
    "height birth born birthday birthplace site center centre country zip zipcode postcode marital genotype "
    "allele history prior previous pedigree hereditary parity pregnancies menopause cohort arm randomised "
    "randomized"
)
_IMMUTABLE_NAMES = word_set(
    "study group|family history|diabetes duration|duration of diabetes|years since diagnosis|age group|"
    "blood type|day|day of week|day of month|day of year|dow|weekday|weekend|is weekend|week|month|"
    "quarter|season|year|hour|hour of day|holiday|is holiday",
    "|",
)
_READOUTS = word_set(
    "glucose sugar hba1c a1c glycaemia glycemia hyperglycaemia hyperglycemia hypoglycaemia hypoglycemia tir tar "
    "tbr insulin hr heart heartrate bpm pulse hrv rmssd sdnn pnn50 ecg restecg qt qrs thalach oldpeak slope temp "
    "temperature spo2 oxygen saturation breathing breath respiration respiratory bp sbp dbp systolic diastolic "
    "pressure trestbps cholesterol chol ldl hdl triglycerides triglyceride creatinine sodium potassium platelets "
    "haemoglobin hemoglobin ferritin crp cortisol bilirubin albumin urea egfr fbs bmi weight waist fat vo2 vo2max "
    "eda gsr scl skin angina exang pain cp thal ejection st"
)
# What a person does, whatever is counted of it; with any other word beside it (walking speed, sleep apnea) it may be
# a read-out, and is no lever that is known.
_LEVERS = word_set(
    "steps stepcount exercise exercises workout workouts sedentary sitting bedtime smoking smoker cigarettes "
    "alcohol drinks drinking caffeine coffee screentime screen meditation mindfulness carbs carbohydrates salt "
    "vegetables fruit snacks meals naps nap sleep active activity walking running"
)
_COUNTED = word_set(
    "day daily night nightly week weekly per number no count total sum time duration minutes min mins hours "
    "hour h cups units glasses portions servings intake mean avg average n current currently last previous "
    "evening grams g mg steps physical"
)


def bare(word: str) -> str:
    """A word in small letters without accents: große is grosse, müde is mude, élevé is eleve."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))


#: Words of tables in other languages, and the English ones that the lists here know.
_ENGLISH = {
    bare(foreign): english.split()
    for english, all_foreign in {
        "age": "alter lebensalter edad eta idade leeftijd alder ika wiek vek věk kor életkor starost varsta vârsta "
        "yaş yas usia umur tuổi ηλικία возраст вік възраст 年齢 年龄 年齡 나이 연령 อายุ العمر عمر גיל",
        "birth": "geburt geburtsjahr geburtsdatum naissance nacimiento nascita nascimento geboorte geboortejaar "
        "fodelsear fødselsar fødsel",
        "sex": "geschlecht sexe sexo sesso geslacht kon køn kjønn sukupuoli płeć plec pohlaví spol sexul cinsiyet "
        "kelamin φύλο пол стать 性別 性别 성별 เพศ الجنس جنس מין",
        "gender": "genre genero genere",
        "family": "familiar familiares familiale familiaux familial familie familiare",
        "history": "historia historial historique anamnese anamnesi antecedents antecedentes antecedente storia "
        "voorgeschiedenis",
        "family history": "familienanamnese familiengeschichte familiarita familieanamnese",
        "height": "grosse groesse korpergrosse koerpergroesse taille altura estatura talla altezza statura lengte "
        "langd højde høyde pituus wzrost výška рост ύψος 身長 身高 키 신장",
        "ethnicity": "ethnie ethnizitat herkunft etnia etnicidade etniciteit etnicitet etnisitet",
        "nationality": "nationalitat staatsangehorigkeit nationalite nacionalidad nazionalita nacionalidade "
        "nationaliteit nationalitet nasjonalitet",
        "disability": "behinderung discapacidad disabilita deficiencia funktionsnedsattning",
        "pregnant": "schwanger schwangerschaft enceinte grossesse embarazo embarazada incinta gravidanza gravida "
        "gravidez zwanger zwangerschap gravid graviditet",
        "marital": "familienstand burgerlijke civilstand sivilstatus",
        "weight": "gewicht korpergewicht koerpergewicht poids peso lichaamsgewicht vikt kroppsvikt vægt kropsvægt vekt "
        "kroppsvekt paino",
        "bmi": "imc",
        "waist": "taillenumfang bauchumfang cintura midjematt livvidde buikomvang",
        "bp": "blutdruck bloeddruk blodtryck blodtryk blodtrykk verenpaine",
        "sbp": "systolisch systolischer systolique sistolica sistolico systolische systolisk systoliskt",
        "dbp": "diastolisch diastolischer diastolique diastolica diastolico diastolische diastolisk diastoliskt",
        "hr": "herzfrequenz puls pulso polso cardiaca hartslag hjartfrekvens hjertefrekvens pols",
        "resting hr": "ruhepuls ruheherzfrequenz vilopuls hvilepuls rusthartslag",
        "glucose": "blutzucker glukose glycemie glucemia glucosa glicemia glicose glucosio bloedsuiker blodsocker "
        "blodsukker glukos verensokeri",
        "cholesterol": "cholesterin colesterol colesterolo kolesterol kolesteroli",
        "pain": "schmerz schmerzen douleur dolor dolore pijn smarta smerte kipu",
        "temperature": "temperatur korpertemperatur temperatura temperatuur",
        "sleep duration": "schlafdauer schlafzeit slaapduur somntid søvntid søvnlengde søvnvarighet",
        "sleep hours": "schlafstunden slaapuren",
        "sleep": "schlaf sommeil sueno sonno sono slaap somn søvn",
        "steps": "schritte schrittzahl pasos passi passos stappen steg skridt skritt askeleet",
        "activity": "aktivitat activite actividad attivita atividade activiteit aktivitet aktiivisuus",
        "physical": "korperliche physique fisica lichamelijke fysisk fyysinen",
        "exercise": "sport bewegung ejercicio esercizio exercicio beweging traning træning trening liikunta",
        "smoking": "rauchen raucher raucherin tabac tabaco fumeur fumador fumo fumatore fumatrice tabagismo roken "
        "roker "
        "rokning rokare rygning ryger røyking røyker tupakointi",
        "alcohol": "alkohol alcool alcol alkoholi",
        "coffee": "kaffee cafe caffe koffie kaffe kahvi",
        "sitting": "sitzen sitzzeit zitten stillasittande stillesittende",
        "day": "tag jour dia giorno dag paiva",
        "hours": "stunden heures horas uren timmar tuntia",
        "minutes": "minuten minutos minuti minuter minutter",
        "week": "woche semaine semana settimana vecka uke uge viikko",
    }.items()
    for foreign in all_foreign.split()
}  # a word that is another thing in English ("pas", "date") is not listed
#: Words that are another thing in English, and known beside a word of their language: søvn_timer, sonno_ore.
_BESIDE = {"timer": "hours", "ore": "hours"}


def english(words: Iterable[str]) -> tuple[str, ...]:
    """Words of a name with those of the other languages in English, as far as they are known.

    >>> english(("größe", "cm"))
    ('height', 'cm')
    """
    plain = tuple(map(bare, words))
    foreign = any(word in _ENGLISH for word in plain)
    return tuple(
        known for word in plain for known in _ENGLISH.get(word, (_BESIDE.get(word, word),) if foreign else (word,))
    )


_ALIVE = word_set(
    "glucose glu sugar hba1c a1c hr heartrate bpm pulse bp sbp dbp systolic diastolic bmi weight height temp "
    "temperature spo2 respiration respiratory breathing cholesterol chol hemoglobin haemoglobin hrv rmssd sdnn "
    "vo2max waist pressure bloodpressure presion tension"
)
_MAY_BE_ZERO = word_set(
    "sd std stddev cv var variance range change delta diff difference slope trend events count zone tir tar tbr dose "
    "loss gain error flag score med medication drug pct above below high low reserve"
)

_ID = word_set("id ids uid uuid guid mrn ssn identifier rowid")
_NUMBER = word_set("no nr nbr num number code key nummer numero")
_ROW = frozenset({"index", "row", "row number", "rownum", "row nr", "record", "record number", "unnamed 0", "key"})
_PEOPLE = word_set(
    "participant subject patient person user individual respondent client pid subj teilnehmer teilnehmerin proband "
    "probandin patientin patienten probanden versuchsperson vp vpn sujet sujeto paciente participante personne persona "
    "paziente partecipante soggetto sujeito pessoa voluntario deelnemer proefpersoon deltagare deltager deltaker "
    "pasient "
    "forsøksperson potilas osallistuja"
)
#: One word in German: Patientennummer.
_PEOPLE_NUMBERS = word_set("patientennummer patientenid probandennummer probandenid teilnehmernummer teilnehmerid")
#: What an identifier names that is nobody.
_THINGS = word_set(
    "row rowid encounter visit order transaction sample specimen measurement session device sensor site hospital "
    "clinic ward centre center product item event image file batch"
)
_BIRTH = word_set(
    "birth birthday birthdate dob born geburt geburtsdatum geburtstag naissance nacimiento nascita nascimento geboorte "
    "geboortedatum fodelsedatum fødselsdato"
)
_DATES = word_set(
    "date datetime timestamp time ts dob epoch unixtime unix clock created recorded datum zeit zeitpunkt zeitstempel "
    "fecha hora horodatage heure data dato dag tidspunkt tijdstip paivamaara visit visited admission admitted "
    "discharge measured at on start end begin"
)
#: Names under which whole numbers may be days as spreadsheets count them.
_DAYS = word_set(
    "date datetime dob datum dato fecha data visit visited admission admitted discharge birthday besuch visita"
)
_FOLLOWED = word_set(
    "time|followup|follow up|followup time|follow up time|survival time|time to event|tte|time to death|os|"
    "pfs|dfs|overall survival|survival|time to failure|time to relapse|tenure|futime|stime|nachbeobachtung",
    "|",
)
_EVENTS = word_set(
    "death died dead deceased event status mortality survived survival alive vital relapse recurrence failure churn "
    "churned exitus tod verstorben deces fallecido muerte censored readmission readmitted"
)
_CODES = word_set(
    "code codes type category cat cluster site region state country race ethnicity ethnic gender sex marital "
    "occupation religion cp restecg thal slope"
)


class ColumnName(NamedTuple):
    """A name taken apart: its words, the unit it ends in ("" for none), and the words before the unit."""

    words: tuple[str, ...]
    unit: str
    stem: tuple[str, ...]


_A_DAY_WORDS = "days?|d|tag|jour|día|dia|giorno|dag|dygn|døgn|night|nacht|nuit|noche|notte|natt|nat"
#: "/Tag", "per day" and "(pro Nacht)" at the end of a name: rows are days, so they say nothing of a feature. A closing
#: bracket after a unit stays.
_A_DAY = re.compile(
    rf"""\s*[\[(]\s*(?:/\s*|(?:per|pro|par|por|al|alla|à)\s+)(?:{_A_DAY_WORDS})\s*[\])]$
      | (?<=\w)\s*(?:/\s*|[\s_.]+(?:per|pro|par|por|al|alla|à)[\s_.]+)(?:{_A_DAY_WORDS})(?=\s*[\])]?$)""",
    re.IGNORECASE | re.VERBOSE,
)


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: "restingHR_bpm" gives resting, hr, bpm."""
    for spelling, plain in _ONE_WORD.items():
        name = name.replace(spelling, plain)
    name = re.sub(r"(?<=[^\W\d_])(?<![A-Z])(?=[A-Z])|(?<=\d)(?=[A-Z][a-z])", " ", name)
    return tuple(word.casefold() for word in re.split(r"[\W_]+", name) if word)


def parse_names(names: Iterable[str]) -> dict[str, ColumnName]:
    """Every name taken apart. All are needed at once: "x_min" beside "x_max" is no time in minutes."""
    whole = {name: _A_DAY.sub("", name) or name for name in names}
    parts = {name: words_of(rest) for name, rest in whole.items()}
    known = set(parts.values())
    return {name: _parse(whole[name], words, known) for name, words in parts.items()}


def _parse(name: str, words: tuple[str, ...], known: set[tuple[str, ...]]) -> ColumnName:
    brackets = _BRACKETS.search(name)
    if brackets:
        return ColumnName(words, brackets[1].strip(), words_of(name[: brackets.start()]))
    if len(words) > 1 and words[-1] == "min":
        sibling = any((*words[:-1], other) in known for other in ("max", "mean", "avg", "average", "median", "maximum"))
        if not sibling and words[-2] not in _QUANTITIES | _COMPOUND:
            return ColumnName(words, "min", words[:-1])
    if len(words) > 1 and words[-1] in ("c", "f") and {"temp", "temperature"} & set(words):
        return ColumnName(words, "°C" if words[-1] == "c" else "°F", words[:-1])
    for length in (3, 2, 1):
        unit = _UNITS.get(english(words)[-length:])
        # A bare "m" or "s" is a name, a bare "steps" is its own unit.
        if unit is not None and (len(words) > length or unit == "steps"):
            if len(words) > length + 1 and words[-length - 1] in _COMPOUND:
                return ColumnName(words, "", words)
            return ColumnName(words, unit, words[:-length])
    quantity = " ".join(word for word in english(words) if word not in STATISTICS)
    return ColumnName(words, _NAMED_UNITS.get(quantity, ""), words)


def role_of(words: tuple[str, ...]) -> Role | None:
    """Who moves the column: an attribute nobody, a read-out follows, a plain behaviour a person; None where unknown."""
    words = english(words)
    name, found = " ".join(words), set(words)
    if name in _IMMUTABLE_NAMES or is_protected(words) or "family history" in name or "study group" in name:
        return "immutable"
    if found & _IMMUTABLE:
        return "immutable"
    if found & _READOUTS:
        return "mutable"
    if name == "alcohol":  # drunk, or in a wine
        return None
    return "actionable" if found & _LEVERS and found <= _LEVERS | _COUNTED else None


def is_protected(words: tuple[str, ...]) -> bool:
    """Whether the name is an attribute that people are discriminated by."""
    words = english(words)
    return bool(set(words) & _PROTECTED) or " ".join(words) in _PROTECTED_NAMES


def is_identifier(words: tuple[str, ...]) -> bool:
    """Whether the name is that of an identifier."""
    rest = [word for word in words if word not in _ID and word not in _NUMBER]
    return bool(words) and (is_person(words) or words[-1] in _ID or not rest)


def is_row_number(words: tuple[str, ...]) -> bool:
    """Whether the name is that of a row's number."""
    return " ".join(words) in _ROW


def is_person(words: tuple[str, ...]) -> bool:
    """Whether the name is that of a person's identifier: participant_id, subject, patientNo, id."""
    rest = [word for word in map(bare, words) if word not in _ID and word not in _NUMBER]
    return words == ("id",) or (len(rest) == 1 and rest[0] in _PEOPLE | _PEOPLE_NUMBERS)


def names_things(words: tuple[str, ...]) -> bool:
    """Whether an identifier names something else than people: a row, a visit, a sample."""
    return bool(set(words) & _THINGS) or is_row_number(words)


def is_birth(words: tuple[str, ...]) -> bool:
    """Whether the name is that of a day of birth."""
    return bool({*words, *map(bare, words)} & _BIRTH)


def is_date(words: tuple[str, ...]) -> bool:
    """Whether the name may be that of a date or a point in time (the values must look like one too)."""
    return bool(set(words) & _DATES)


def is_day(words: tuple[str, ...]) -> bool:
    """Whether the name is that of a date, so that numbers under it may be a spreadsheet's days."""
    return bool(set(words) & _DAYS)


def is_follow_up(stem: tuple[str, ...], label: tuple[str, ...]) -> bool:
    """Whether a column (its words without unit) is the time until the event that the label tells of."""
    known = " ".join(word for word in stem if word not in ("in", "days", "months", "years", "weeks"))
    return known in _FOLLOWED and bool(set(label) & _EVENTS)


def lives(name: ColumnName) -> bool:
    """Whether the quantity is one that no living person has at zero: heart rate, pressure, glucose, weight."""
    words = set(english(name.words))
    return bool(words & _ALIVE) and not words & _MAY_BE_ZERO and name.unit not in ("min", "h")


def is_code(words: tuple[str, ...]) -> bool:
    """Whether whole numbers under this name are likely codes of categories."""
    return bool(set(words) & _CODES) or " ".join(words) in ("study group", "blood type")
