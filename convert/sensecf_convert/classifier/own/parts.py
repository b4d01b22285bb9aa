"""What stands inside a fitted estimator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def parts(estimator: Any) -> Iterator[Any]:
    """Everything fitted that stands inside an estimator, the estimator itself last."""
    inside: list[Any] = [step for _, step in getattr(estimator, "steps", None) or []]
    inside += [part for _, part, _ in getattr(estimator, "transformers_", [])]
    inside += [part for _, part in getattr(estimator, "transformer_list", [])]
    inside += [getattr(c, "estimator", None) for c in getattr(estimator, "calibrated_classifiers_", [])]
    inside += list(getattr(estimator, "estimators_", [])) if not is_forest(estimator) else []
    inside += [getattr(estimator, key, None) for key in ("final_estimator_", "estimator_", "best_estimator_")]
    for part in inside:
        if hasattr(part, "get_params"):
            yield from parts(part)
    yield estimator


def is_forest(estimator: Any) -> bool:
    """Hundreds of trees need no look."""
    return type(estimator).__module__.startswith(("sklearn.ensemble._forest", "sklearn.ensemble._gb"))
