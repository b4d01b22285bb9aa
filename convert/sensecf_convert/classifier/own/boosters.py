"""XGBoost's models made ready for a converter that knows less than XGBoost: names off, what has no form said plainly."""

from __future__ import annotations

import copy
import json
from typing import Any

from sensecf_edge.errors import CheckError


def unnamed(estimator: Any) -> Any:
    """The estimator, in a copy where it holds XGBoost's models: these lose the names of columns that they were fitted on.

    Raises CheckError for boosters that have no ONNX form."""
    from .parts import parts

    for part in parts(estimator):
        if any(tree.nodes["is_categorical"].any() for step in getattr(part, "_predictors", []) for tree in step):
            raise CheckError(
                f"{type(part).__name__} with categorical_features has no ONNX form here; fit it without (choices stay numbers, "
                "which trees split as well), or behind a OneHotEncoder"
            )
    if not any(_is_boosted(part) for part in parts(estimator)):
        return estimator
    made = copy.deepcopy(estimator)
    for part in parts(made):
        if _is_boosted(part):
            _strip(part)
    return made


def _is_boosted(part: Any) -> bool:
    return type(part).__module__.startswith("xgboost") and hasattr(part, "get_booster")


def _strip(part: Any) -> None:
    booster = part.get_booster()
    trees = json.loads(booster.save_config())["learner"]["gradient_booster"]
    _refuse(trees, booster.feature_types or [])
    if getattr(part, "early_stopping_rounds", None) and booster.attr("best_iteration") is not None:
        booster = booster[: int(booster.attr("best_iteration")) + 1]
        part._Booster = booster
    booster.feature_names = booster.feature_types = None


def _refuse(trees: dict[str, Any], kinds: list[str]) -> None:
    """Raises CheckError for what the converter would write wrongly or not at all."""
    dropped = any(float(trees.get("dart_train_param", {}).get(name, 0)) for name in ("rate_drop", "one_drop"))
    kind = "dart" if dropped else trees["name"]  # from XGBoost 3.4 on it is named gbtree
    if kind in ("gblinear", "dart"):
        instead = "use scikit-learn's LogisticRegression" if kind == "gblinear" else 'fit it with booster="gbtree"'
        raise CheckError(f"XGBoost's {kind} has no ONNX form here; {instead}")
    if int(trees.get("gbtree_model_param", {}).get("num_parallel_tree", 1)) > 1:
        raise CheckError(
            "XGBoost's random forest (num_parallel_tree over 1) has no ONNX form here; "
            "use scikit-learn's RandomForestClassifier, or boosting"
        )
    if "c" in kinds:
        raise CheckError(
            "this XGBoost model was fitted on pandas categories (enable_categorical), which have no ONNX form here; "
            "fit it on choices as numbers, in the schema's order, or behind a OneHotEncoder"
        )
