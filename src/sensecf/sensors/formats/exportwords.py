"""What exports of glucose sensors are written in: header words, limits and events, by language.

Structure decides first (units, dates, codes); words only where two columns have the same shape. A new
language is a word in each row here.
"""

from __future__ import annotations

import re
import unicodedata


def plain(text: str) -> str:
    """Text for comparison: lower case, without accents, with one kind of apostrophe and blank."""
    spread = unicodedata.normalize("NFKD", text.replace("\u2019", "'")).casefold()
    return " ".join("".join(c for c in spread if not unicodedata.combining(c)).split())


#: Parts of header cells.
HEADERS: dict[str, dict[str, tuple[str, ...]]] = {
    "record": {
        "en": ("record type",), "de": ("Aufzeichnungstyp", "Typ des Eintrags"), "fr": ("type d'enregistrement",),
        "es": ("tipo de registro",), "it": ("tipo di registrazione",), "nl": ("recordtype", "type record"),
        "pt": ("tipo de registo",), "sv": ("posttyp",), "da": ("posttype",),
    },
    "event": {
        "en": ("event type",), "de": ("Ereignistyp",), "fr": ("type d'événement",), "es": ("tipo de evento",),
        "it": ("tipo di evento",), "nl": ("type gebeurtenis", "gebeurtenistype"), "pt": ("tipo de evento",),
        "sv": ("händelsetyp",), "da": ("hændelsestype",),
    },
    "historic": {
        "en": ("historic glucose",), "de": ("Glukosewert-Verlauf", "gemessener Glukosewert"),
        "fr": ("historique",), "es": ("historial de glucosa", "glucosa histórica"), "it": ("storico",),
        "nl": ("historische",), "pt": ("histórico",), "sv": ("historisk",), "da": ("historisk",),
    },
    "scan": {
        "en": ("scan glucose",), "de": ("Glukose-Scan", "gescannter"), "fr": ("numérisation", "scan"),
        "es": ("escaneo", "glucosa escaneada"), "it": ("scansione", "scan"), "nl": ("scan",),
        "pt": ("digitaliza", "leitura"), "sv": ("skanna",), "da": ("scan",),
    },
    "sensor": {
        "en": ("sensor glucose",), "de": ("Sensorglukose", "Sensor-Glukose"),
        "fr": ("glucose du capteur", "glucose capteur"),
        "es": ("glucosa del sensor", "glucosa de sensor", "glucosa sensor", "valor del sensor"),
        "it": ("glucosio del sensore", "glucosio sensore"), "nl": ("sensorglucose",),
        "pt": ("glicose do sensor", "glucose do sensor"), "sv": ("sensorglukos",), "da": ("sensorglukose",),
    },
}  # fmt: skip
#: Parts of header cells with a glucose unit that hold no reading of the sensor: strips, ketones, calibration, targets.
NOT_SENSOR = (
    "strip",
    "streifen",
    "bandelette",
    "tira",
    "striscia",
    "keton",
    "ceton",
    "cetona",
    "chetoni",
    "calib",
    "kalib",
    "etalon",
    "target",
    "ziel",
    "cible",
    "objetivo",
    "obiettivo",
    "meter",
    "bg reading",
    "bwz",
    "insulin",
    "/min",
    "rate of change",
    "sensitivity",
    "linked",
    "messwert",
    "empfindlichkeit",
)
#: What the word for glucose begins with.
GLUCOSE = ("gluco", "gluko", "glyc", "glic")

#: What a sensor writes below and above what it can measure.
LOW = {
    "en": ("low", "lo"), "de": ("niedrig", "tief", "nied"), "fr": ("bas", "basse", "faible"), "es": ("bajo", "baja"),
    "it": ("basso", "bassa"), "nl": ("laag",), "pt": ("baixo", "baixa"), "sv": ("låg", "lågt"), "da": ("lav", "lavt"),
    "fi": ("matala",), "pl": ("niski", "niskie"), "cs": ("nízká", "nízký"),
    "no": ("lavt",), "hu": ("alacsony",), "tr": ("düşük",), "ru": ("низкий", "низкая", "низко"), "ja": ("低",),
    "zh": ("低", "过低"), "ko": ("낮음",),
}  # fmt: skip
HIGH = {
    "en": ("high", "hi"), "de": ("hoch",), "fr": ("haut", "haute", "élevé", "élevée"), "es": ("alto", "alta"),
    "it": ("alto", "alta"), "nl": ("hoog",), "pt": ("alto", "alta"), "sv": ("hög", "högt"), "da": ("høj", "højt"),
    "fi": ("korkea",), "pl": ("wysoki", "wysokie"), "cs": ("vysoká", "vysoký"),
    "no": ("høy", "høyt"), "hu": ("magas",), "tr": ("yüksek",), "ru": ("высокий", "высокая", "высоко"), "ja": ("高",),
    "zh": ("高", "过高"), "ko": ("높음",),
}  # fmt: skip
#: Clarity's event of a glucose value, where known; elsewhere it is the event with most glucose values.
READING = {"egv", "egw"}

_WORDS = {kind: tuple(plain(w) for words in by.values() for w in words) for kind, by in HEADERS.items()}
BELOW = {plain(word) for words in LOW.values() for word in words}
ABOVE = {plain(word) for words in HIGH.values() for word in words}
MMOL, MGDL = re.compile(r"mmol\s*/\s*l", re.IGNORECASE), re.compile(r"mg\s*/\s*dl", re.IGNORECASE)


def means(cell: str, kind: str) -> bool:
    """Whether a plain header cell has a word of that kind in any language."""
    return any(word in cell for word in _WORDS[kind])


def no_sensor(cell: str) -> bool:
    """Whether a plain header cell is of something else than the sensor's glucose."""
    return any(word in cell for word in NOT_SENSOR)


def has_unit(cell: str) -> bool:
    """Whether a header cell names a unit of glucose."""
    return bool(MMOL.search(cell) or MGDL.search(cell))
