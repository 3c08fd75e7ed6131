"""`sensecf fairness`: who gets a plan, what it costs whom, and how the classifier treats them before any plan."""

from sensecf.runs.fairness.run import Fairness, FairnessSpec, fairness

__all__ = ["Fairness", "FairnessSpec", "fairness"]
