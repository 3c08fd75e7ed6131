"""Controls of the scarcity study: what an augmentation must beat to be worth having.

An arm is a function from a `Situation` to a `Treatment`. It sees the rows that kept their label and
nothing else, unless `ARMS` says that it sees more. All arms that add rows add the same number, to the
same classes (`Situation.allot`).
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

from sensecf.augmentation.controls.situation import Arm, Situation, Treatment
from sensecf.core.errors import InputError, MissingExtraError

__all__ = ["CONTROLS", "Arm", "Control", "Situation", "Treatment", "find"]


class Control(NamedTuple):
    """Where an arm lives, what it may see (`reduced`, `unlabelled` or `removed` rows), its title, whether it takes
    an amount of rows to add.
    """

    where: str
    sees: str
    title: str
    amounts: bool = False


#: The controls by name. `removed` is for the upper bounds only.
CONTROLS: dict[str, Control] = {
    "nothing": Control("weighting:nothing", "reduced", "nothing"),
    "class-weights": Control("weighting:class_weights", "reduced", "class weights"),
    "reseeded": Control("weighting:reseeded", "reduced", "class weights, other random numbers"),
    "threshold": Control("weighting:threshold", "reduced", "threshold tuned in inner folds"),
    "oversampling": Control("oversampling:random", "reduced", "random oversampling", True),
    "smote": Control("oversampling:smote", "reduced", "SMOTE (SMOTENC with levels)", True),
    "borderline-smote": Control("oversampling:borderline", "reduced", "Borderline-SMOTE", True),
    "adasyn": Control("oversampling:adasyn", "reduced", "ADASYN", True),
    "cfa": Control("cfa:cfa", "reduced", "CFA (Temraz & Keane)", True),
    "copula": Control("copula:copula", "reduced", "Gaussian copula", True),
    "marginals": Control("marginals:marginals", "reduced", "noisy marginals, private", True),
    "self-training": Control("unlabelled:self_training", "unlabelled", "self-training on the unlabelled rows"),
    "label-spreading": Control("unlabelled:label_spreading", "unlabelled", "label spreading to the unlabelled rows"),
    "oracle": Control("weighting:oracle", "removed", "the removed labels given back"),
    "oracle-weights": Control("weighting:oracle_weights", "removed", "the removed labels given back, class weights"),
}


def find(name: str) -> Arm:
    """The function of a control. Raises `InputError` for an unknown name, `MissingExtraError` where its
    package is not installed."""
    if name not in CONTROLS:
        raise InputError(f"control {name!r} is unknown; use {', '.join(CONTROLS)}")
    module, _, function = CONTROLS[name].where.partition(":")
    try:
        home = importlib.import_module(f"sensecf.augmentation.controls.{module}")
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "imblearn":
            raise
        raise MissingExtraError(f"control {name!r} needs {error.name}: pip install 'sensecf[augment]'") from error
    found: Arm = getattr(home, function)
    return found
