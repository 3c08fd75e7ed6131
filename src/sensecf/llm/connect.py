"""`connect` where it was before `sensecf.llm` had public names: `from sensecf.llm.connect import connect` still works.

A module of this name takes the place of the function in the package once it is imported, so it can be called as one.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from sensecf.llm.named import connect

__all__ = ["connect"]


class _Callable(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        return connect(*args, **options)


sys.modules[__name__].__class__ = _Callable
