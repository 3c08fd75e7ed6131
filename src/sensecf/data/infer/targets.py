"""Which class a counterfactual should reach when nobody says."""

from __future__ import annotations

from collections.abc import Sequence

from sensecf.core.schema import Value
from sensecf.data.infer.names import bare, word_set, words_of

# Words of a class that say it is to be left, and to be reached; English, German, French, Spanish, without accents.
_UNWANTED = word_set(
    "yes y true positive pos stress stressed stressful tense anxious disease diseased sick ill bad poor worse "
    "abnormal case diabetic diabetes prediabetes prediabetic present dead died death fail failed failure risk "
    "risky severe unhealthy reject rejected denied declined malignant depressed obese overweight hypertensive "
    "hypertension tired default churn late unstable critical burnout insomnia apnea event relapse "
    "ja krank schlecht gestresst diabetiker diabetes tot gestorben verstorben schwer mude auffallig erkrankt risiko "
    "oui malade mauvais stresse stressee mort decede decedee grave fatigue diabetique risque anormal "
    "si enfermo enferma malo mala estresado estresada muerto muerta fallecido fallecida cansado diabetico diabetica "
    "riesgo"
)
_WANTED = word_set(
    "no n false negative neg normal healthy good better best absent control none benign calm relaxed "
    "alive survived pass passed approved accepted success rested stable ok fine recovered well remission show "
    "responder excellent fit euglycaemic euglycemic normotensive "
    "nein gesund gut entspannt kontrolle kontrollgruppe lebend uberlebt unauffallig ruhig "
    "non sain saine bon bonne temoin vivant calme detendu detendue "
    "sano sana bueno buena vivo viva relajado relajada tranquilo ausente bien"
)
#: Degrees: low is the one to reach of what is bad (stress), high of what is good (fitness).
_LOW = word_set("low lower lowest niedrig gering faible bas basse bajo baja")
_HIGH = word_set("high higher highest elevated raised hoch erhoht eleve elevee haut haute alto alta")
_GOOD_QUANTITIES = word_set(
    "quality wellbeing fitness mood recovery satisfaction health readiness adherence performance resilience calm "
    "survival happiness sleep wohlbefinden schlafqualitat qualitat gesundheit qualite sante bienestar calidad salud"
)
_NEGATIONS = word_set("not non no without never free un nicht kein keine ohne pas sans sin")
#: Answers to the question that the label's name asks.
_ANSWERS = word_set("yes y true positive pos no n false negative neg ja nein oui non si")
# Words of a label that make its 1, yes or true the class to reach.
_WANTED_LABELS = word_set(
    "survived survival alive approved approval success successful healthy recovered recovery good pass passed "
    "accepted response responder remission paid repaid adherent adherence improved improvement normal rested "
    "wellbeing gesund sano sain show"
)


def named_target(classes: Sequence[Value], label: tuple[str, ...]) -> Value | None:
    """The class whose name says that it is the one to reach; None where no name does, or several do.

    `label`: the words of the label's name.
    """
    # Among more than two numbers 0 and 1 are degrees, and 1 and 2 are codes: not the answers no and yes.
    coded = not all(isinstance(value, str) or value in (-1, 0, 1) for value in classes) or len(classes) > 2
    signs = [0 if coded and not isinstance(value, str) else _sign(value, label) for value in classes]
    wanted = [c for c, sign in zip(classes, signs, strict=True) if sign > 0]
    neutral = [c for c, sign in zip(classes, signs, strict=True) if sign == 0]
    if len(classes) == 2 and not wanted and len(neutral) == 1:
        wanted = neutral
    return wanted[0] if len(wanted) == 1 else None


def default_target(classes: Sequence[Value], label: tuple[str, ...]) -> tuple[Value | None, str]:
    """The class to reach by its name, or None, and one line that says why; `label`: the words of its name.

    How frequent a class is says nothing about whether anybody wants to be in it.
    """
    wanted = named_target(classes, label)
    if wanted is not None:
        return wanted, f"target: {wanted!r} looks like the class to reach, by its name; change it if it is not"
    if len(classes) > 2:
        return (
            None,
            f"target: none of the {len(classes)} classes is plainly the one to reach; set one or use --target",
        )
    return None, (
        f"target: neither {classes[0]!r} nor {classes[1]!r} is plainly the class to reach; set target in the schema, "
        "or name it when asking: --target CLASS"
    )


def _sign(value: Value, label: tuple[str, ...]) -> int:
    """1 for a class to reach, -1 for one to leave, 0 where its name does not say."""
    words = tuple(map(bare, words_of(value))) if isinstance(value, str) else ()
    names = set(map(bare, label))
    # Yes, true and 1 are good news where the label's own name is ("survived").
    turned = -1 if names & _WANTED_LABELS and not names & _NEGATIONS else 1
    if not isinstance(value, str) or words in (("0",), ("1",)):
        number = float(value)
        return turned * (1 if number in (0, -1) else -1 if number == 1 else 0)
    if len(words) == 1 and words[0] in _ANSWERS:
        return turned * (-1 if words[0] in _UNWANTED else 1)
    words = tuple(part for word in words for part in _unglued(word))
    # "not stressed": the negation turns the rest round; "no event": what is denied is rarely wanted.
    negated = len(words) > 1 and bool(set(words) & _NEGATIONS)
    rest = set(words) - _NEGATIONS if negated else set(words)
    sign = bool(rest & _WANTED) - bool(rest & _UNWANTED)
    degree = bool(rest & _LOW) - bool(rest & _HIGH)
    if degree and (not sign or rest & (_UNWANTED | _GOOD_QUANTITIES)):
        good = (rest | names) & _GOOD_QUANTITIES and not (rest | names) & _UNWANTED
        sign = -degree if good else degree
    return (-sign or 1) if negated else sign


def _unglued(word: str) -> tuple[str, ...]:
    """The word, or a negation and the known word that it is glued to: notstressed, nondiabetic, nichtkrank."""
    for start in ("nicht", "non", "not", "un", "no"):
        rest = word.removeprefix(start)
        if rest != word and word not in _UNWANTED | _WANTED and rest in _UNWANTED | _WANTED:
            return start, rest
    return (word,)
