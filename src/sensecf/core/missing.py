"""Missing in disguise: the codes and words that tables write where nothing was measured."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split("|"))


def _plain(text: str) -> str:
    """Lower case words without accents or marks between them."""
    letters = unicodedata.normalize(
        "NFKD", text.casefold().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
    )
    return " ".join(re.findall(r"\w+", "".join(c for c in letters if not unicodedata.combining(c)))).replace("_", " ")


def _phrases(text: str) -> frozenset[str]:
    return frozenset(map(_plain, text.split("|")))


#: Texts that say that there is no answer; English ones are put together below, too.
_WORDS = _phrases(
    "unknown|missing|missing value|missing data|value missing|data missing|refused|refused to answer|patient refused|"
    "declined|declined to answer|prefer not to say|prefer not to answer|rather not say|don't know|do not know|"
    "did not answer|didn't answer|did not say|unanswered|undetermined|unspecified|unavailable|unrecorded|unreported|"
    "unmeasured|undocumented|undefined|skipped|n a|blank|left blank|unable to assess|unable to obtain|"
    "could not be measured|"
    "unbekannt|keine angabe|keine angaben|ohne angabe|ohne angaben|fehlt|fehlend|fehlender wert|nicht bekannt|"
    "nicht erfasst|nicht erhoben|nicht gemessen|nicht verfügbar|nicht beantwortet|nicht angegeben|nicht dokumentiert|"
    "nicht bestimmt|nicht durchgeführt|keine antwort|keine daten|kein wert|keine messung|weiß nicht|weiss nicht|"
    "verweigert|antwort verweigert|nicht ermittelt|"
    "inconnu|inconnue|non renseigné|non renseignée|non connu|non connue|non mesuré|non mesurée|"
    "non disponible|non précisé|"
    "non précisée|non répondu|non fait|non déterminé|non spécifié|indéterminé|indéterminée|pas de réponse|sans réponse|"
    "pas de données|pas de valeur|donnée manquante|données manquantes|manquant|manquante|ne sait pas|je ne sais pas|"
    "ne se prononce pas|refus de répondre|"
    "desconocido|desconocida|no sabe|no sé|ns nc|no contesta|no sabe no contesta|no responde|"
    "no informado|no registrado|"
    "no disponible|no medido|no especificado|no realizado|no determinado|sin dato|sin datos|sin información|"
    "sin respuesta|sin especificar|sin registro|no consta|se desconoce|perdido|prefiere no contestar|"
    "sconosciuto|sconosciuta|non noto|non nota|ignoto|non specificato|non rilevato|non misurato|non eseguito|"
    "non riportato|non pervenuto|non risponde|nessuna risposta|nessun dato|dato mancante|mancante|non so|non sa|"
    "desconhecido|desconhecida|não informado|não informada|não sabe|não respondeu|não disponível|não medido|"
    "não registado|não registrado|não especificado|não realizado|sem informação|sem dados|sem resposta|ignorado|"
    "onbekend|niet bekend|niet gemeten|niet ingevuld|niet beschikbaar|niet bepaald|niet opgegeven|geen antwoord|"
    "geen gegevens|geen opgave|weet niet|weet ik niet|ontbreekt|ontbrekend|"
    "okänd|okänt|ej känt|vet ej|vet inte|uppgift saknas|saknas|ej mätt|ej angivet|ej besvarad|"
    "ukjent|ikke kjent|ikke målt|ikke oppgitt|ikke besvart|vet ikke|mangler|ukendt|ved ikke|ikke oplyst|uoplyst|"
    "ikke besvaret|tuntematon|ei tiedossa|ei tietoa|ei mitattu|puuttuu|en osaa sanoa|ei vastausta|"
    "nieznany|nieznana|nieznane|nie wiem|brak danych|brak odpowiedzi|brak informacji|nie dotyczy|nie zmierzono|"
    "neznámý|neznámá|neznámé|nevím|neuvedeno|chybí|nezjištěno|neměřeno|bez odpovědi|ismeretlen|nincs adat|nem tudja|"
    "неизвестно|не известно|не указано|не указан|нет данных|нет ответа|не измерено|не знаю|пропущено|отказ|"
    "bilinmiyor|cevap yok|veri yok|belirtilmemiş|άγνωστο|δεν απαντώ|"
    "不明|未知|不詳|不详|缺失|未测|未測|未填|拒答|無回答|无回答|未回答|未記入|欠測|データなし|わからない|回答なし|모름|무응답|결측|미상"
)
#: "not recorded", "no answer", "data not available": what is denied, and what may stand before.
_DENIED = re.compile(
    r"(?:(?:data|value|values|result|results|information|info|answer|response|status|test|reading|"
    r"patient) (?:was |is |were |are )?)?"
    r"not (?:yet )?(?:known|recorded|reported|available|measured|assessed|asked|answered|stated|specified|"
    r"determined|done|"
    r"tested|provided|obtained|collected|given|documented|evaluated|examined|performed|registered|taken|entered|filled|"
    r"filled in|disclosed|ascertained|completed|supplied|indicated|captured|observed|charted|found|identified)"
    r"|no (?:answer|data|reading|readings|response|value|information|info|entry|record|records|"
    r"measurement|result|results)"
    r"(?: (?:given|available|recorded|provided|entered))?"
)
#: Texts that may be something else: abbreviations, and answers that are none.
_SHORT = _phrases(
    "na|nan|null|nil|unk|unkn|unkw|dk|nd|nr|ns|nk|ni|ka|k a|oa|o a|nsp|nsnc|refus|ref|rf|n d|s d|n r|n k|k d|n b|b d|"
    "n v t|xx|xxx|xxxx|wn|unbek|unbekt|manq|descon|onbek|ukj|none recorded|none available|not in record|"
    "not applicable|non applicable|non applicabile|nicht zutreffend|entfällt|no aplica|no procede|não se aplica|"
    "niet van toepassing|nvt|unclear|uncertain|not sure|unsure|unklar|indefinido|tbd|tbc|pending|invalid|error|empty|"
    "none given|leer|vide|vacío|vuoto|vazio|leeg"
)
_SPREADSHEET = _listed("#VALUE!|#DIV/0!|#REF!|#NAME?|#NUM!|#NULL!|#SPILL!|#CALC!")
# Between two ways of saying it: "unknown / not reported", "DK or refused".
_OR = re.compile(r"\s*[/|;,()\[\]]\s*|\s+(?:or|and|oder|und|ou|et|o|e|of)\s+", re.IGNORECASE)
# The number of an answer before the answer: "99 = unknown", "9: refused".
_CODED = re.compile(r"^\s*-?[0-9]{1,4}\s*[=:.)-]\s+")
#: Numbers that survey, clinic and sensor tables write for "not measured", apart from zero.
_CODES = np.array(
    [
        float(code)
        for code in _listed(
            "-1|-2|-3|-4|-5|-6|-7|-8|-9|-66|-77|-88|-99|-777|-888|-999|-9999|-99999|-99.9|-999.9|-99.99|8|9|66|77|88|99|"
            "555|666|777|888|999|7777|8888|9999|99999|99.9|999.9|99.99"
        )
    ]
)
#: The ends of what a machine's number holds.
_MACHINE = np.array(
    [float(sign * n) for n in (127, 255, 1023, 4095, 32767, 65535, 2**31 - 1, 2**32 - 1) for sign in (1, -1)]
    + [
        -128.0,
        -32768.0,
        -(2.0**31),
        65534.0,
        6553.5,
        3276.7,
        -3276.8,
        1e9,
        -1e9,
        999999.0,
        -999999.0,
        9999999.0,
        1e20,
        -1e20,
    ]
)
#: Rows that a code is found in at least, unless it lies very far outside.
_REPEATS = 3
#: So many times as frequent as another value a code is that stands near the others.
_STANDS_OUT = 3


class Codes(NamedTuple):
    """Values that stand for "not measured": beyond doubt, and perhaps."""

    certain: tuple[float, ...]
    doubtful: tuple[float, ...]


def means_missing(value: Any) -> bool:
    """Whether a text says that there is no answer ("unknown", "not recorded", "keine Angabe").

    >>> means_missing("Not recorded"), means_missing("N.A."), means_missing("none")
    (True, True, False)
    >>> means_missing("Unknown / not reported"), means_missing("other/unknown"), means_missing("#DIV/0!")
    (True, False, True)
    """
    if not isinstance(value, str):
        return False
    return value.strip().upper() in _SPREADSHEET or _says(value, _WORDS)


def may_mean_missing(value: Any) -> bool:
    """Whether a text is an abbreviation or a mark that may say that there is no answer ("DK", "k.A.", "-")."""
    if not isinstance(value, str):
        return False
    text = value.strip()
    mark = bool(text) and not any(c.isalnum() for c in text) and set(text) <= set("-–—_.*?/\\…#~ ")
    return mark or _says(value, _WORDS | _SHORT)


def _says(text: str, words: frozenset[str]) -> bool:
    """Whether a text, or every part of it, is one of the words or denies that there is an answer."""
    text = _CODED.sub("", text)
    plain = _plain(text)
    if plain in words or _DENIED.fullmatch(plain):
        return True
    parts = [part for part in map(_plain, _OR.split(text)) if part]
    return len(parts) > 1 and all(part in words or _DENIED.fullmatch(part) for part in parts)


def codes_among_words(levels: Collection[Any]) -> Codes:
    """The numbers among levels that are words otherwise ("daily", "weekly", "999"), as texts are no values.

    >>> codes_among_words(["daily", "weekly", "none", "999"]).certain, codes_among_words(["I", "II", "9"]).doubtful
    ((999.0,), (9.0,))
    """
    numbers: list[float] = []
    words = 0
    for level in levels:
        try:
            numbers.append(float(level))
        except (TypeError, ValueError):
            words += 1
    known = [number for number in numbers if number in _CODES]
    if words < 2 or len(known) < len(numbers):
        return Codes((), ())
    certain = tuple(number for number in known if number < 0 or number >= 66)
    return Codes(certain, tuple(number for number in known if number not in certain))


def find_codes(values: Floats, zero_is_missing: bool = False) -> Codes:
    """The codes for "not measured" among numbers (n,), NaN where blank.

    A code is a listed number beyond the other values and apart from them. Negative ones where nothing else
    is negative and ones farther outside than the others are wide are certain; what is merely apart is
    doubtful, and so are 8 and 9 above a scale and any other number that stands several times where nothing else is
    near. `zero_is_missing`: a living person has no zero here.
    """
    values = values[np.isfinite(values)]  # an infinite value is no code: it is refused with its row
    different, counts = np.unique(values, return_counts=True)
    listed = np.isin(different, np.concatenate([_CODES, _MACHINE, [0.0]]))
    alone = _alone(different, counts, listed)
    listed |= alone
    middle = different[~listed | _inside(different, listed)]
    if len(middle) < 2:
        return Codes((), ())
    low, high = float(middle[0]), float(middle[-1])
    width = high - low
    usual = 2 * float(np.quantile(np.diff(middle), 0.9))
    certain: list[float] = []
    doubtful: list[float] = []
    for value, count in zip(different[listed].tolist(), counts[listed].tolist(), strict=True):
        gap = max(low - value, value - high)
        if gap <= 0 or (value == 0 and low <= 0):
            continue
        if value in different[alone]:
            doubtful.append(value)
            continue
        far = gap >= 3 * width and abs(value) >= 99
        if value == 0:
            if zero_is_missing:
                certain.append(value)
            elif (
                len(middle) > 10
                and count >= _REPEATS
                and gap >= float(np.std(values[(values >= low) & (values <= high)]))
            ):
                doubtful.append(value)
        elif value < 0 and low >= 0:
            scale = value <= -9 or len(middle) > 10
            if value >= -1 and gap <= usual and count < _STANDS_OUT * float(np.median(counts)):
                scale = False  # next to 0, and no more frequent than the others: perhaps a value
            (certain if far or (count >= _REPEATS and scale) else doubtful).append(value)
        elif far or (abs(value) >= 66 and gap >= width and count >= _REPEATS):
            certain.append(value)
        elif count >= _REPEATS and (
            (gap >= width / 2 and value in (8.0, 9.0, 66.0, 77.0, 88.0, 99.0))
            or (value >= 66 and gap > usual and count >= 5 * float(np.median(counts)))  # an age of 99, again and again
        ):
            doubtful.append(value)
    return Codes(tuple(certain), tuple(doubtful))


def _alone(different: Floats, counts: NDArray[np.int_], listed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which values at either end stand several times, farther from all others than these are from each other."""
    alone = np.zeros(len(different), dtype=bool)
    while True:
        rest = np.flatnonzero(~listed & ~alone)
        if len(rest) <= 5:
            return alone
        ends = [(rest[-1], rest[:-1], different[rest[-1]] - different[rest[-2]])]
        ends += [(rest[0], rest[1:], different[rest[1]] - different[rest[0]])]
        found = [
            at for at, others, gap in ends if counts[at] >= _REPEATS and _apart(different, counts, at, others, gap)
        ]
        if not found:
            return alone
        alone[found] = True


def _apart(different: Floats, counts: NDArray[np.int_], at: np.intp, others: NDArray[np.intp], gap: float) -> bool:
    """Whether the value at one end is no value of the others, by the gap between them.

    The gap is as wide as the others are (ten times where these are few, as on a scale), or their spread several
    times where one value alone is far more frequent than they.
    """
    width = float(different[others[-1]] - different[others[0]])
    if len(others) < 10:
        return gap >= 10 * max(width, 1e-12)
    spread = float(np.sqrt(np.cov(different[others], fweights=counts[others])))
    return gap >= width or (gap >= 3 * spread and counts[at] >= 5 * float(np.median(counts[others])))


def _inside(different: Floats, listed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which values lie among those that are no code, with what joins on to them without a gap.

    8 and 9 on a scale from 0 to 10, or from 1 to 9, are values.
    """
    rest = different[~listed]
    if not len(rest):
        return np.zeros(len(different), dtype=bool)
    low, high = float(rest[0]), float(rest[-1])
    usual = float(np.quantile(np.diff(rest), 0.9)) if len(rest) > 2 else 1.0
    for value in different[different > high].tolist():
        if value - high > 2 * max(usual, 1e-12):
            break
        high = value
    for value in different[different < low][::-1].tolist():
        # Nothing else is negative, on a scale that does not go as far down as up.
        alone = value < 0 <= low and int((different < 0).sum()) == 1 and int((different >= 0).sum()) > 3
        if alone or low - value > 2 * max(usual, 1e-12):
            break
        low = value
    inside: NDArray[np.bool_] = (different >= low) & (different <= high)
    return inside


def is_code(values: Any, codes: Collection[Any]) -> NDArray[np.bool_]:
    """Which values (n,) are one of the codes, as written or as a number: -999 is "-999" and -999.0."""
    texts = {str(code).strip().casefold() for code in codes}
    numbers = {float(code) for code in codes if isinstance(code, int | float) and not isinstance(code, bool)}

    def hit(value: Any) -> bool:
        if str(value).strip().casefold() in texts:
            return True
        try:
            return not isinstance(value, bool) and float(value) in numbers
        except (TypeError, ValueError):
            return False

    return np.array([hit(value) for value in values], dtype=bool)
