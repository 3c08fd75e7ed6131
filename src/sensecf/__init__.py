"""SenseCF: verified counterfactuals for tables of wearable and clinical data."""

from __future__ import annotations

import os

# OpenMP threads that wait must sleep, not spin: beside one busy neighbour on a small machine,
# spinning made training five times slower. Read when the OpenMP runtime is loaded, so set first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
