"""The directive `public`: the classes and functions of a module, each with its docstring.

```{public} sensecf.metrics
```
"""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import sensecf


def public(module: ModuleType) -> list[tuple[str, str]]:
    """Name and kind ("function" or "class") of what `module.__all__` has, without modules, data and
    what stands at the top of the package."""
    top = () if module is sensecf else sensecf.__all__
    found = []
    for name in module.__all__:
        thing = getattr(module, name)
        if name in top and getattr(sensecf, name) is thing:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            found.append((name, "class" if inspect.isclass(thing) else "function"))
    return sorted(found, key=lambda pair: (pair[1] == "class", pair[0].lower()))


class Public(SphinxDirective):
    """An entry per public name of a module; of classes, what is written there and no inherited members."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        lines = ["```{eval-rst}"]
        for thing, kind in public(importlib.import_module(name)):
            lines += [f".. auto{kind}:: {name}.{thing}", *(["   :members:"] if kind == "class" else []), ""]
        content = StringList([*lines, "```"], source=self.env.doc2path(self.env.docname))
        parent = nodes.section()
        self.state.nested_parse(content, self.content_offset, parent)
        return parent.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("public", Public)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
