"""An own scikit-learn or XGBoost model: what it was fitted on, and its ONNX graph.

A model takes either one array, columns in the schema's order and choices as numbers, or a table with named columns whose
choices may be words. Which of the two is read from the model itself: its names, where it selects columns by name, and what
its encoders have learnt. A graph of a named model has one input a column; `graph` feeds them from the one array.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensecf_edge.errors import CheckError
from sensecf_edge.schema.schema import Schema

from ..converters import converted
from .boosters import unnamed
from .messages import first_line
from .outputs import label_text
from .parts import is_forest, parts

WAY_ROUND = "put another part in its place (docs/classifiers.md lists what is taken), or give a graph that you wrote yourself (.onnx)"


@dataclass(frozen=True)
class Framed:
    """A fitted estimator that wants named columns, and choices as it has learnt them: asked with codes, as everything here
    is. `learnt` holds, by feature, what stands for each of its choices: a word, or a number."""

    estimator: Any
    schema: Schema
    learnt: Mapping[str, tuple[Any, ...]]

    def predict_proba(self, X: Any) -> Any:
        """Probabilities, shape (rows, 2)."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X has feature names")  # a model fitted on an array of words takes a table as well
            return self.estimator.predict_proba(self.frame(X))

    def frame(self, X: Any) -> Any:
        """The codes as a table: numbers as they are, choices as the model has learnt them."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for i, feature in enumerate(self.schema.features):
            column = np.asarray(X)[:, i]
            if feature.name in self.learnt:
                known, told = ~np.isnan(column), np.array(self.learnt[feature.name], dtype=object)
                values = np.full(len(column), np.nan, dtype=object)
                values[known] = told[column[known].astype(int)]
                column = values.astype(np.float64) if isinstance(told[0], float) else values
            columns[feature.name] = column
        return pd.DataFrame(columns)

    @property
    def text_features(self) -> list[str]:
        """The features that go in as words."""
        return [name for name, values in self.learnt.items() if isinstance(values[0], str)]


def unwrapped(estimator: Any) -> Any:
    """What stands inside a search over settings, or a moved threshold: that is what answers probabilities."""
    while True:
        inner = getattr(estimator, "best_estimator_", None)
        if inner is None and type(estimator).__name__ in ("TunedThresholdClassifierCV", "FixedThresholdClassifier"):
            inner = getattr(estimator, "estimator_", None)
        if inner is None:
            return estimator
        estimator = inner


def checked(estimator: Any, name: str, schema: Schema) -> list[str]:
    """The two classes of a fitted classifier over the schema's features, in its order. Raises CheckError."""
    kind = type(estimator).__name__
    if not hasattr(estimator, "predict_proba"):
        raise CheckError(f"{name} holds a {kind} without probabilities; put it in CalibratedClassifierCV, fit again, save again")
    classes = list(getattr(estimator, "classes_", []))
    if len(classes) != 2:
        raise CheckError(f"{name} knows {len(classes)} classes, two are needed; fit it on the two classes of the target")
    width = getattr(estimator, "n_features_in_", len(schema))
    if width != len(schema):
        raise CheckError(f"{name} takes {width} features, the schema has {len(schema)}: {', '.join(schema.names)}; fit it on these")
    names = [str(n) for n in getattr(estimator, "feature_names_in_", schema.names)]
    if names != list(schema.names):
        at = next(i for i, (a, b) in enumerate(zip(names, schema.names, strict=True)) if a != b)
        raise CheckError(f"{name} has {names[at]} where the schema has {schema.names[at]} (feature {at + 1}); fit it in schema order")
    return [label_text(c) for c in classes]


def fitted_in(estimator: Any, name: str, schema: Schema) -> Any:
    """The estimator in the form that takes rows of codes: itself without the names it was given, or a `Framed` one."""
    for part in parts(estimator):
        if hasattr(part, "flatten_transform"):
            part.flatten_transform = False  # says nothing about probabilities, and skl2onnx knows no other
    learnt = _learnt(estimator, name, schema)
    if learnt or _selects_by_name(estimator):
        return Framed(unnamed(estimator), schema, learnt)
    plain = unnamed(copy.deepcopy(estimator))
    for part in parts(plain):
        if "feature_names_in_" in vars(part):
            del part.feature_names_in_
    return plain


def _selects_by_name(estimator: Any) -> bool:
    return any(
        isinstance(c, str) or (not isinstance(c, slice | int) and any(isinstance(k, str) for k in np.ravel(c)))
        for part in parts(estimator)
        for _, _, c in getattr(part, "transformers_", [])
        if not callable(c)
    )


def _learnt(estimator: Any, name: str, schema: Schema) -> dict[str, tuple[Any, ...]]:
    """Features of which an encoder has learnt words, or numbers that are not the choices' places in the schema's list.

    Raises CheckError where what was learnt is not the schema's choices."""
    found: dict[str, tuple[Any, ...]] = {}
    for column, kinds in _encoders(estimator, list(range(len(schema)))):
        feature = schema.features[column]
        values = [k for k in np.asarray(kinds, dtype=object).tolist() if k is not None and k == k]  # NaN is no choice
        words = [k for k in values if isinstance(k, str)]
        apart = np.asarray(kinds).dtype.kind == "O"  # learnt as things, not as an array of numbers: must be given so
        if not words and not apart and (feature.kind == "number" or _are_codes(values, feature)):
            continue
        if feature.kind == "number":
            raise CheckError(
                f"{name} has learnt {feature.name} as choices ({_few(values)}), in the schema it is a number; make it a choice there"
            )
        if not words and _are_codes(values, feature):
            found[feature.name] = tuple(range(len(feature.choices)))
            continue
        told = words or [label_text(v) for v in values]
        if lacking := [c for c in feature.choices if c not in told]:
            raise CheckError(
                f"{name} has learnt {_few(told)} of {feature.name} and not {_few(lacking)}, which the schema has; "
                "fit it on a table that has them, or take them out of the schema"
            )
        found[feature.name] = tuple(feature.choices) if words else tuple((int if apart else float)(float(c)) for c in feature.choices)
    return found


def _are_codes(values: Sequence[Any], feature: Any) -> bool:
    """Whether what was learnt are places in the schema's list."""
    return set(values) <= set(range(len(feature.choices)))


def _few(values: Sequence[Any]) -> str:
    return ", ".join(label_text(v) for v in values[:6])


def _encoders(estimator: Any, columns: list[int]) -> Iterator[tuple[int, Any]]:
    """Every encoder's categories, with the feature they are of; where it stands behind a step that mixes columns, none."""
    kind = type(estimator).__name__
    if kind == "Pipeline":
        for _, step in estimator.steps:
            yield from _encoders(step, columns)
            if not _keeps_columns(step):
                return
    elif kind == "ColumnTransformer":
        names = [str(n) for n in getattr(estimator, "feature_names_in_", [])]
        for part, inner, chosen in estimator.transformers_:
            if part != "remainder" or not isinstance(inner, str):
                at = _places(chosen, names, len(columns))
                yield from _encoders(inner, [columns[i] for i in at])
    elif kind == "FeatureUnion":
        for _, inner in estimator.transformer_list:
            yield from _encoders(inner, columns)
    elif hasattr(estimator, "categories_"):
        yield from zip(columns, estimator.categories_, strict=False)
    else:
        for inner in [getattr(c, "estimator", None) for c in getattr(estimator, "calibrated_classifiers_", [])]:
            yield from _encoders(inner, columns)
        for inner in list(getattr(estimator, "estimators_", [])) if not is_forest(estimator) else []:
            if hasattr(inner, "get_params"):
                yield from _encoders(inner, columns)


def _keeps_columns(step: Any) -> bool:
    """Whether a step of a pipeline leaves every column in its place."""
    return type(step).__name__ in ("SimpleImputer", "StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler", "OrdinalEncoder")


def _places(chosen: Any, names: list[str], width: int) -> list[int]:
    """Positions of the columns that a ColumnTransformer gives to one of its parts."""
    if isinstance(chosen, slice):
        start, stop = (names.index(c) if isinstance(c, str) else c for c in (chosen.start, chosen.stop))
        return list(range(width))[slice(start, stop if not isinstance(chosen.stop, str) else stop + 1, chosen.step)]
    some = np.ravel(chosen)
    if some.dtype == bool:
        return [int(i) for i in np.flatnonzero(some)]
    return [names.index(str(c)) if isinstance(c, str) else int(c) % width for c in some.tolist()]


def graph_of(model: Any, name: str, schema: Schema) -> bytes:
    """The ONNX graph, as the converters write it. Raises CheckError naming the part, the converter and a way round."""
    estimator = model.estimator if isinstance(model, Framed) else model
    columns = [(n, n in model.text_features) for n in schema.names] if isinstance(model, Framed) else None
    try:
        return converted(estimator, len(schema), columns)
    except CheckError:
        raise
    except Exception as error:  # the converters raise what they like: KeyError, RuntimeError, their own kinds
        raise CheckError(f"{name} cannot be written as ONNX: {_why_not(estimator, error)}") from error


def _why_not(estimator: Any, error: Exception) -> str:
    """Which part has no converter, in words, and what to do instead."""
    names = {type(part).__name__ for part in parts(estimator)} - {"Pipeline", "ColumnTransformer"}
    said = str(error)
    culprit = next((n for n in sorted(names, key=len, reverse=True) if n in said), None)
    if "_TemperatureScaling" in said:
        culprit = 'CalibratedClassifierCV(method="temperature")'
    cannot = f"skl2onnx cannot write {_listed(names)} ({first_line(error)})"
    part = f"skl2onnx has no form for {culprit} as it was fitted" if culprit else cannot
    return f"{part}; {WAY_ROUND}"


def why_it_differs(estimator: Any, error: CheckError) -> CheckError:
    """Why a graph may answer otherwise than the model it is of, and what to do."""
    inside = list(parts(estimator))
    names = {type(part).__name__ for part in inside}
    why = f"skl2onnx writes {_listed(names)} otherwise than scikit-learn computes it; {WAY_ROUND}"
    if names & {"KNeighborsClassifier", "RadiusNeighborsClassifier", "KNNImputer"}:
        why = "which of equally near people count as neighbours is decided by rounding; use a classifier or imputer without neighbours"
    elif any(getattr(c, "method", "") == "isotonic" for c in inside):
        why = 'isotonic calibration has steps, on which float32 and float64 stand on different sides; use method="sigmoid"'
    return CheckError(f"{str(error).removesuffix('; do not ship it')}: {why}")


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names - {"Pipeline", "ColumnTransformer"})[:6])
