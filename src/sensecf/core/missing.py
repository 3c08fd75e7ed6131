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


#: Texts that say that there is no answer, in the form that `_plain` gives them; the short ones may be something else.
_WORDS = _listed(
    "unknown|not known|not recorded|not reported|not available|not measured|not assessed|not asked|"
    "not answered|not stated|not specified|not determined|not done|not tested|no answer|no data|no reading|"
    "no response|no value|n a|missing|missing value|refused|refused to answer|declined|declined to answer|"
    "prefer not to say|prefer not to answer|dont know|do not know|undetermined|unspecified|unavailable|"
    "unbekannt|keine angabe|keine angaben|fehlt|fehlend|nicht bekannt|nicht erfasst|nicht erhoben|"
    "nicht gemessen|nicht verfugbar|weiss nicht|verweigert|inconnu|inconnue|non renseigne|non renseignee|"
    "non connu|non mesure|non disponible|pas de reponse|manquant|ne sait pas|desconocido|desconocida|no sabe|"
    "ns nc|no contesta|no informado|no registrado|no disponible|sin dato|sin datos|sin informacion|no consta|"
    "se desconoce|sconosciuto|non noto|non disponibile|ignoto|onbekend"
)
_SHORT = _listed("na|nan|null|unk|dk|nd|nr|ka|k a|nsp|nsnc|refus")
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
#: Rows that a code is found in at least, unless it lies very far outside.
_REPEATS = 3


class Codes(NamedTuple):
    """Values that stand for "not measured": beyond doubt, and perhaps."""

    certain: tuple[float, ...]
    doubtful: tuple[float, ...]


def _plain(text: str) -> str:
    letters = unicodedata.normalize(
        "NFKD", text.casefold().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
    )
    return " ".join(re.findall(r"\w+", "".join(c for c in letters if not unicodedata.combining(c)))).replace("_", " ")


def means_missing(value: Any) -> bool:
    """Whether a text says that there is no answer ("unknown", "not recorded", "keine Angabe").

    >>> means_missing("Not recorded"), means_missing("N.A."), means_missing("none")
    (True, True, False)
    """
    return isinstance(value, str) and _plain(value) in _WORDS


def may_mean_missing(value: Any) -> bool:
    """Whether a text is an abbreviation that may say that there is no answer ("DK", "k.A.", "unk")."""
    return isinstance(value, str) and _plain(value) in _SHORT


def find_codes(values: Floats, zero_is_missing: bool = False) -> Codes:
    """The codes for "not measured" among numbers (n,), NaN where blank.

    A code is a listed number beyond the other values and apart from them. Negative ones where nothing else
    is negative and ones farther outside than the others are wide are certain; what is merely apart is
    doubtful, and so are 8 and 9 above a scale. `zero_is_missing`: a living person has no zero here.
    """
    values = values[~np.isnan(values)]
    different, counts = np.unique(values, return_counts=True)
    listed = np.isin(different, np.append(_CODES, 0.0))
    middle = different[~listed | _inside(different, listed)]
    if len(middle) < 2:
        return Codes((), ())
    low, high = float(middle[0]), float(middle[-1])
    width = high - low
    certain: list[float] = []
    doubtful: list[float] = []
    for value, count in zip(different[listed].tolist(), counts[listed].tolist(), strict=True):
        gap = max(low - value, value - high)
        if gap <= 0 or (value == 0 and low <= 0):
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
            (certain if far or (count >= _REPEATS and scale) else doubtful).append(value)
        elif far or (abs(value) >= 66 and gap >= width and count >= _REPEATS):
            certain.append(value)
        elif gap >= width / 2 and count >= _REPEATS and value in (8.0, 9.0, 66.0, 77.0, 88.0, 99.0) and width > 1:
            doubtful.append(value)
    return Codes(tuple(certain), tuple(doubtful))


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
        if low - value > 2 * max(usual, 1e-12):
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
