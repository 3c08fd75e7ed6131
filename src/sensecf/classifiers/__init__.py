"""What is explained: fitting, storing and looking inside of classifiers."""

# Folders saved before the rooms name these classes as parts of this module.
from sensecf.classifiers.fit import Balanced, Forest, Kernel, RowEncoder, check_answers, fit_classifier

__all__ = ["Balanced", "Forest", "Kernel", "RowEncoder", "check_answers", "fit_classifier"]
