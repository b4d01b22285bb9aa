"""SenseCF-Edge: the smallest realistic change that would move a prediction, computed offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Explainer", "Explanation", "__version__"]

if TYPE_CHECKING:
    from .loop import Explainer
    from .result import Explanation


def __getattr__(name: str) -> Any:
    """Explainer and Explanation, loaded on first use: the package itself imports in a blink."""
    if name == "Explainer":
        from .loop import Explainer

        return Explainer
    if name == "Explanation":
        from .result import Explanation

        return Explanation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
