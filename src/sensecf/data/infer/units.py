"""Units of one quantity: how they are spelled, and how many of one make another."""

from __future__ import annotations

import unicodedata

#: One spelling of each unit, and others of it, without capitals, accents and final points.
_SPELLINGS: dict[str, str] = {
    "beats/min": "bpm|beats per minute|beats/minute|schlage/min|/min|1/min|lpm|latidos/min|batt/min|battiti/min|"
    "bat/min|battements/min|slagen/min|slag/min|slag per minut",
    "steps": "count|step|schritte|pas|pasos|passi|passos|stappen",
    "s": "sec|secs|second|seconds|sekunde|sekunden|sek|seconde|secondes|segundo|segundos|secondo|secondi|seconden",
    "min": "mins|minute|minutes|minuten|minuto|minutos|minuti|minuut",
    "h": "hr|hrs|hour|hours|std|stunde|stunden|heure|heures|hora|horas|ora|ore|uur|uren|timer|timme|timmar|"
    "tunti|tuntia|godz|godziny",
    "m": "meter|meters|metre|metres|metro|metros|metri",
    "km": "kms|kilometer|kilometers|kilometre|kilometres|kilometro|kilometros|chilometri|quilometros",
    "mi": "mile|miles|meile|meilen|milla|millas|miglia|milhas",
    "cm": "centimeter|centimeters|centimetre|centimetres|zentimeter|centimetro|centimetros|centimetri",
    "in": "inch|inches|zoll|pouce|pouces|pulgada|pulgadas|pollici|polegadas",
    "kg": "kgs|kilo|kilos|kilogram|kilograms|kilogramm|kilogramme|kilogrammes|kilogramo|kilogramos",
    "lb": "lbs|pound|pounds|pfund|livre|livres|libra|libras|libbre",
    "g": "gram|grams|gramm|gramme|grammes|gramo|gramos|grammi|gramas",
    "mg": "milligram|milligrams|milligramm|milligramme|miligramo|miligramos|milligrammi",
    "kcal": "calories|kilocalories|kalorien|kilokalorien|calorias|calorie|kilocalorias",
    "years": "year|yr|yrs|jahr|jahre|jahren|an|ans|annee|annees|ano|anos|anni|jaar|jaren|ar|vuotta|lat",
    "kJ": "kilojoule|kilojoules",
}
_SPELLED = {other: unit for unit, others in _SPELLINGS.items() for other in (unit.casefold(), *others.split("|"))}
#: What may stand behind a unit without making it another: an amount a day is an amount of a day.
_A_DAY = (
    "/d", "/day", "/night", "/tag", "/nacht", "/jour", "/nuit", "/dia", "/noche", "/giorno", "/notte", "/dag",
    " per day", " a day", " per night", " pro tag", " am tag", " pro nacht", " par jour", " par nuit", " por dia",
    " al dia", " al giorno", " per dag",
)  # fmt: skip

#: Units of one quantity, each as a number of the first.
_QUANTITIES: tuple[dict[str, float], ...] = (
    {"min": 1.0, "h": 60.0, "s": 1 / 60},
    {"m": 1.0, "km": 1000.0, "mi": 1609.344},
    {"cm": 1.0, "in": 2.54},
    {"kg": 1.0, "lb": 0.45359237},
    {"g": 1.0, "mg": 0.001},
    {"kcal": 1.0, "kJ": 1 / 4.184},
)


def one_unit(unit: str) -> str:
    """One spelling of a unit that has several; one that is not known as it stands.

    >>> one_unit("Std."), one_unit("hours per day"), one_unit("mmol/L")
    ('h', 'h', 'mmol/L')
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", unit.casefold()) if not unicodedata.combining(c))
    plain = " ".join(plain.split()).rstrip(".")
    for ending in _A_DAY:
        plain = plain.removesuffix(ending).rstrip(" .")
    return _SPELLED.get(plain, unit)


def of_same_quantity(unit: str) -> tuple[str, ...]:
    """The other units of the quantity that a unit measures, as far as they are known."""
    name = one_unit(unit)
    return tuple(other for units in _QUANTITIES if name in units for other in units if other != name)


def factor(unit: str, other: str) -> float | None:
    """How many of `other` one of `unit` is; None for units of two quantities, and for unknown ones.

    >>> factor("h", "min"), factor("min", "kg")
    (60.0, None)
    """
    one, two = one_unit(unit), one_unit(other)
    if one == two:
        return 1.0
    return next((units[one] / units[two] for units in _QUANTITIES if one in units and two in units), None)
