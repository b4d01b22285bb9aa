"""An own scikit-learn or XGBoost model: what it was fitted on, and its ONNX graph.

A model takes either one array, columns in the schema's order and choices as numbers, or a table with named columns whose
choices may be words. Which of the two is read from the model itself: its names, where it selects columns by name, and what
its encoders have learnt. A graph of a named model has one input a column; `own_graph` feeds them from the one array.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensecf_edge.errors import CheckError
from sensecf_edge.schema import Schema, Vector

from .boosters import unnamed
from .foreign import line

_DELEGATES = ("best_estimator_",)


@dataclass(frozen=True)
class Framed:
    """A fitted estimator that wants named columns, some of them in words: asked with codes, as everything here is."""

    estimator: Any
    schema: Schema
    words: tuple[str, ...]

    def predict_proba(self, X: Any) -> Any:
        """Probabilities, shape (rows, 2)."""
        return self.estimator.predict_proba(self.frame(X))

    def frame(self, X: Any) -> Any:
        """The codes as a table: numbers as they are, choices in words where the model has learnt words."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for i, feature in enumerate(self.schema.features):
            column = np.asarray(X)[:, i]
            if feature.name in self.words:
                known = ~np.isnan(column)
                texts = np.full(len(column), np.nan, dtype=object)
                texts[known] = np.array(feature.choices, dtype=object)[column[known].astype(int)]
                columns[feature.name] = texts
            else:
                columns[feature.name] = column
        return pd.DataFrame(columns)


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
    from .outputs import label_text

    return [label_text(c) for c in classes]


def fitted_in(estimator: Any, name: str, schema: Schema) -> Any:
    """The estimator in the form that takes rows of codes: itself without the names it was given, or a `Framed` one."""
    words = _learnt_words(estimator, name, schema)
    if words or _selects_by_name(estimator):
        return Framed(unnamed(estimator), schema, words)
    plain = unnamed(copy.deepcopy(estimator))
    for part in parts(plain):
        if "feature_names_in_" in vars(part):
            del part.feature_names_in_
    return plain


def parts(estimator: Any) -> Iterator[Any]:
    """Everything fitted that stands inside an estimator, the estimator itself last."""
    inside: list[Any] = [step for _, step in getattr(estimator, "steps", None) or []]
    inside += [part for _, part, _ in getattr(estimator, "transformers_", [])]
    inside += [part for _, part in getattr(estimator, "transformer_list", [])]
    inside += [getattr(c, "estimator", None) for c in getattr(estimator, "calibrated_classifiers_", [])]
    inside += np.ravel(getattr(estimator, "estimators_", [])).tolist() if not _is_forest(estimator) else []
    inside += [getattr(estimator, key, None) for key in ("final_estimator_", "estimator_", "best_estimator_")]
    for part in inside:
        if hasattr(part, "get_params"):
            yield from parts(part)
    yield estimator


def _is_forest(estimator: Any) -> bool:
    """Hundreds of trees need no look."""
    return type(estimator).__module__.startswith(("sklearn.ensemble._forest", "sklearn.ensemble._gb"))


def _selects_by_name(estimator: Any) -> bool:
    return any(
        isinstance(c, str) or (not isinstance(c, slice | int) and any(isinstance(k, str) for k in np.ravel(c)))
        for part in parts(estimator)
        for _, _, c in getattr(part, "transformers_", [])
        if not callable(c)
    )


def _learnt_words(estimator: Any, name: str, schema: Schema) -> tuple[str, ...]:
    """Features of which an encoder has learnt words. Raises CheckError where these are not the schema's choices."""
    found: dict[str, Any] = {}
    for column, kinds in _encoders(estimator, list(range(len(schema)))):
        if kinds.dtype.kind in "OUS" and any(isinstance(k, str) for k in kinds):
            found[schema.names[column]] = [str(k) for k in kinds if isinstance(k, str)]
    for feature, words in found.items():
        if schema[feature].kind != "choice":
            raise CheckError(f"{name} has learnt words of {feature} ({_few(words)}), in the schema it is a number; make it a choice there")
        if lacking := [c for c in schema[feature].choices if c not in words]:
            raise CheckError(
                f"{name} has learnt {_few(words)} of {feature} and not {_few(lacking)}, which the schema has; "
                "fit it on a table that has them, or take them out of the schema"
            )
    return tuple(found)


def _few(words: list[str]) -> str:
    return ", ".join(words[:6])


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
        for inner in list(getattr(estimator, "estimators_", [])) if not _is_forest(estimator) else []:
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
    from .export import converted

    estimator = model.estimator if isinstance(model, Framed) else model
    columns = [(n, n in model.words) for n in schema.names] if isinstance(model, Framed) else None
    try:
        return converted(estimator, len(schema), columns)
    except CheckError:
        raise
    except Exception as error:  # the converters raise what they like: KeyError, RuntimeError, their own kinds
        raise CheckError(f"{name} cannot be written as ONNX: {_why_not(estimator, error)}") from error


def _why_not(estimator: Any, error: Exception) -> str:
    """Which part has no converter, in words, and what to do instead."""
    names = {type(part).__name__ for part in parts(estimator)}
    said = str(error)
    culprit = next((n for n in sorted(names, key=len, reverse=True) if n in said and n not in ("Pipeline", "ColumnTransformer")), None)
    part = f"skl2onnx has no form for {culprit} as it is fitted here" if culprit else f"skl2onnx says: {line(error)}"
    return (
        f"{part}. Put another part in its place (docs/classifiers.md lists what is taken), or write the graph yourself and give the .onnx file"
    )
