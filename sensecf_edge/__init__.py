"""SenseCF-Edge: the smallest realistic change that would move a prediction, computed offline."""

from __future__ import annotations

from .lazy import lazily

__version__ = "0.2.0"
__all__ = ["Explainer", "Explanation", "__version__"]

TYPE_CHECKING = False  # true for whoever reads types; `typing` itself takes most of the time of this import
if TYPE_CHECKING:
    from .answer.result import Explanation
    from .explain import Explainer

__getattr__ = lazily(__name__, {"Explainer": "explain", "Explanation": "answer.result"})
