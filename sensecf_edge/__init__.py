"""SenseCF-Edge: the smallest realistic change that would move a prediction, computed offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Explainer", "Explanation", "__version__"]

if TYPE_CHECKING:
    from .answer.result import Explanation
    from .explain import Explainer


def __getattr__(name: str) -> Any:
    """Explainer and Explanation, loaded on first use: the package itself imports in a blink."""
    if name == "Explainer":
        from .explain import Explainer

        return Explainer
    if name == "Explanation":
        from .answer.result import Explanation

        return Explanation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
