"""The kinds of classifiers that are trained here: an entry of KINDS each, and all that is asked of a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from sensecf_edge.schema.schema import Schema

from ..table.cohort import Cohort

MANY_ROWS = 4_000
"""From here on a forest's smallest leaves are larger: more rows would otherwise only make the graph larger."""

Recipe = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of classifier.

    candidates   the recipes tried on a table: few, and spread over what matters for it
    steps        a recipe and a seed -> unfitted steps of a pipeline, the classifier last; both classes weigh alike where it can say so
    plain        a seed -> the unfitted classifier of one recipe that weighs every row alike, for studies of training rows
    coded        unknown values are filled in and choices coded before it; else it takes codes and NaN as they come
    scaled       numbers are scaled to one spread before it
    margin       it scores by a distance (`decision_function`) and has no probability of its own
    rows_alike   its loss weighs every row alike, not both classes
    """

    candidates: Callable[[Cohort], list[Recipe]]
    steps: Callable[[Mapping[str, Any], int], list[tuple[str, Any]]]
    plain: Callable[[int], Any]
    coded: bool = True
    scaled: bool = False
    margin: bool = False
    rows_alike: bool = False


def pipeline(schema: Schema, kind: str, recipe: Mapping[str, Any], seed: int) -> Pipeline:
    """The unfitted pipeline of a recipe: unknown values filled in and choices coded where the kind wants that, then the classifier."""
    asked = KINDS[kind]
    return Pipeline([*([("code", coding(schema, asked.scaled))] if asked.coded else []), *asked.steps(recipe, seed)])


def coding(schema: Schema, scaled: bool) -> ColumnTransformer:
    """Numbers with the median for unknown, scaled where asked; choices with the most frequent one, each a column of its own."""
    numbers = [i for i, f in enumerate(schema.features) if f.kind == "number"]
    choices = [i for i, f in enumerate(schema.features) if f.kind == "choice"]
    fill: Any = SimpleImputer(strategy="median", keep_empty_features=True)
    parts: list[tuple[str, Any, list[int]]] = [("numbers", make_pipeline(fill, StandardScaler()) if scaled else fill, numbers)]
    if choices:
        categories = [np.arange(len(schema.features[i].choices), dtype=np.float32) for i in choices]
        coder = OneHotEncoder(categories=categories, handle_unknown="ignore", sparse_output=False, drop="if_binary")
        parts.append(("choices", make_pipeline(SimpleImputer(strategy="most_frequent", keep_empty_features=True), coder), choices))
    return ColumnTransformer(parts)


def _forests(data: Cohort) -> list[Recipe]:
    leaves = (5, 10, 20) if len(data) < MANY_ROWS else (10, 20, 40)
    return [{"n_estimators": 100, "min_samples_leaf": n, "max_depth": 10, "max_features": "sqrt"} for n in leaves]


def _forest(recipe: Mapping[str, Any], seed: int) -> list[tuple[str, Any]]:
    return [("forest", RandomForestClassifier(class_weight="balanced_subsample", random_state=seed, n_jobs=1, **recipe))]


def _plain_forest(seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(200, min_samples_leaf=3, random_state=seed, n_jobs=1)


def _svms(data: Cohort) -> list[Recipe]:
    linear = [{"kernel": "linear", "C": c} for c in (0.001, 0.01, 0.1, 1.0)]
    width = coding(data.schema, True).fit_transform(data.X[:1]).shape[1]
    gammas = [round(share / width, 5) for share in (0.3, 1.0)]
    return linear + [{"kernel": "rbf", "gamma": g, "C": c, "features": 256} for g in gammas for c in (0.01, 0.1, 1.0)]


def _svm(recipe: Mapping[str, Any], seed: int) -> list[tuple[str, Any]]:
    steps = list[tuple[str, Any]]()
    if recipe["kernel"] == "rbf":  # random Fourier features: support vectors would be training rows inside the bundle
        steps.append(("kernel", RBFSampler(gamma=recipe["gamma"], n_components=recipe["features"], random_state=seed)))
    return [*steps, ("machine", LinearSVC(C=recipe["C"], class_weight="balanced", dual=False, random_state=seed))]


def _plain_svm(seed: int) -> SVC:
    return SVC(C=1.0, kernel="rbf", gamma="scale")


def _boosters(data: Cohort) -> list[Recipe]:
    weight = round(float((~data.y).sum() / data.y.sum()), 4)
    same = {"learning_rate": 0.05, "min_child_weight": 5, "subsample": 0.8, "colsample_bytree": 0.8, "scale_pos_weight": weight}
    return [{"max_depth": d, "n_estimators": n, **same} for d in (2, 3, 4) for n in (60, 150, 300)]


def _booster(recipe: Mapping[str, Any], seed: int) -> list[tuple[str, Any]]:
    from xgboost import XGBClassifier

    return [("trees", XGBClassifier(random_state=seed, n_jobs=1, tree_method="hist", **recipe))]


def _plain_booster(seed: int) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=150, max_depth=3, learning_rate=0.05, subsample=0.8, colsample_bytree=0.8, n_jobs=1,
                         random_state=seed, tree_method="hist")  # fmt: skip


def _networks(data: Cohort) -> list[Recipe]:
    penalties = [round(share * len(data), 2) for share in (0.002, 0.01, 0.03, 0.1)]  # scikit-learn divides alpha by the rows
    return [{"hidden_layer_sizes": h, "alpha": a, "max_iter": 200} for h in ([16], [32, 16]) for a in penalties]


def _network(recipe: Mapping[str, Any], seed: int) -> list[tuple[str, Any]]:
    return [("network", MLPClassifier(solver="lbfgs", random_state=seed, **recipe))]


def _plain_network(seed: int) -> MLPClassifier:
    return MLPClassifier(hidden_layer_sizes=(16,), alpha=1.0, solver="lbfgs", max_iter=200, random_state=seed)


KINDS = {
    "random-forest": Kind(_forests, _forest, _plain_forest),
    "svm": Kind(_svms, _svm, _plain_svm, scaled=True, margin=True),
    "xgboost": Kind(_boosters, _booster, _plain_booster, coded=False),
    "neural-network": Kind(_networks, _network, _plain_network, scaled=True, rows_alike=True),
}
"""By the name that `--classifier` takes. The first is the default."""
