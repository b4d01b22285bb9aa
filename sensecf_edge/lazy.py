"""Public names of a package, each loaded from the module that holds it when it is first asked for: the package itself imports nothing."""

from __future__ import annotations

TYPE_CHECKING = False  # see the package's own
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lazily(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package: `names` maps each public name to the module below the package that holds it."""

    def attribute(name: str) -> Any:
        from importlib import import_module

        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{names[name]}"), name)

    return attribute
