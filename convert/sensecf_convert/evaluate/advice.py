"""What answers advise, feature by feature, held against what the schema says a clinician would advise.

Written apart from `rules` and `admissible`, from the records before and after alone, so that it can find a fault in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema

SAME, NEAR = 1e-9, 1e-6
FAULTS = {
    "against": "answers that move a feature against its stated direction",
    "past": "answers that move a feature past what is advised, or whom it is not advised to",
    "broken": "answers that break a relation (sum, ratio, order, implication, band, cause)",
}
"""What must be 0, in words."""


def measured(schema: Schema, X: Vector, Y: Vector) -> dict[str, Any]:
    """How often and which way answers Y move each feature of the records X, both of shape (answers, features), and how many answers
    do what none should (see FAULTS). A change is counted for choices along the order of their list.

    features  name -> [moved up, moved down] for every feature that moved at all
    """
    up, down = Y > X + SAME, Y < X - SAME
    faults = {"against": _against(schema, up, down), "past": _past(schema, X, Y, up | down), "broken": _broken(schema, X, Y)}
    ways = np.stack([up.sum(axis=0), down.sum(axis=0)], axis=1)
    counts = {name: [int(n) for n in way] for name, way in zip(schema.names, ways, strict=True) if way.any()}
    return {"answers": len(X), **{name: int(bad.sum()) for name, bad in faults.items()}, "features": counts}


def rows(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What must be 0, for a table of figures."""
    return [(words, f"{figures[name]} of {figures['answers']:,}") for name, words in FAULTS.items()]


def table(schema: Schema, figures: Mapping[str, Any]) -> str:
    """Every feature as a Markdown table: what it is, how often answers move it which way, and why that is right."""
    head = "| feature | | moved up | moved down | as stated | why that way |\n|---|---|---|---|---|---|"
    lines = [
        f"| {f.title} | {kind(schema, f)} | {ups} | {downs} | {_stated(f, ups, downs) or _open(schema, f)} | {_why(f)} |"
        for f in schema.features
        if f.mutable
        for ups, downs in [figures["features"].get(f.name, (0, 0))]
    ]
    never = [f.title for f in schema.features if not f.mutable]
    return "\n".join([head, *lines, *(["", f"Never moved: {', '.join(never)}."] if never else [])])


def lines(schema: Schema, figures: Mapping[str, Any]) -> Iterator[str]:
    """The same for a terminal: only what moved, without sources."""
    yield f"first answers, {figures['answers']:,} of them: what they move, and which way"
    width = max((len(schema[name].title) for name in figures["features"]), default=0)
    for name, (ups, downs) in figures["features"].items():
        feature = schema[name]
        stated = _stated(feature, ups, downs)
        yield f"  {feature.title:<{width}}  {ups:>5,} up  {downs:>5,} down  {kind(schema, feature)}; {stated or _open(schema, feature)}"


def kind(schema: Schema, feature: Feature) -> str:
    """Whether a feature is a lever or a finding, and whether it follows others."""
    role = "finding" if feature.role == "marker" else "lever"
    return f"{role}, follows" if feature.name in schema.completed else role


def _stated(feature: Feature, ups: int, downs: int) -> str:
    """Whether all moves go the way the schema states; empty where it states none."""
    wrong = {"increase": downs, "decrease": ups}.get(feature.direction)
    if wrong is None:
        return ""
    return ("up" if feature.direction == "increase" else "down") + (f": {wrong} against it" if wrong else "")


def _open(schema: Schema, feature: Feature) -> str:
    return "as the others" if feature.name in schema.completed else "either way"


def _why(feature: Feature) -> str:
    """Why it moves that way and how far, with sources; one that stands behind both is named once."""
    way, aim = feature.direction_source, feature.advise_source
    head, _, source = way.rpartition(": ")
    if head and aim.endswith(f": {source}"):
        way, aim = f"{head};", aim[:1].lower() + aim[1:]
    return " ".join(filter(None, (way, aim))).replace("|", "/") or "not stated"


def _against(schema: Schema, up: Any, down: Any) -> Any:
    ways = [{"increase": down[:, i], "decrease": up[:, i]}.get(f.direction) for i, f in enumerate(schema.features)]
    fixed = [up[:, i] | down[:, i] for i, f in enumerate(schema.features) if not f.mutable]
    return _any([*(way for way in ways if way is not None), *fixed], len(up))


def _past(schema: Schema, X: Vector, Y: Vector, moved: Any) -> Any:
    """Whoever moves outside what is advised, unless a record that began further out comes nearer, as what follows others may; further
    than a change may go; or although this is advised to others only."""
    bad = []
    for i, feature in enumerate(schema.features):
        if feature.advise_for is not None:
            bad.append(moved[:, i] & ((X[:, i] < feature.advise_for[0] - SAME) | (X[:, i] > feature.advise_for[1] + SAME)))
        for name, among in feature.advise_if:
            bad.append(moved[:, i] & ~_stands(schema[name], X[:, schema.index[name]], among))
        limits = (feature.max_change, None if feature.relative_max_change is None else feature.relative_max_change * np.abs(X[:, i]))
        bad += [moved[:, i] & (np.abs(Y[:, i] - X[:, i]) > most + SAME) for most in limits if most is not None]
        if feature.advise is not None:
            outside = [np.maximum(feature.advise[0] - Z[:, i], Z[:, i] - feature.advise[1]) for Z in (X, Y)]
            worse = outside[1] > (np.maximum(outside[0], 0.0) if feature.name in schema.moved else 0.0) + SAME
            bad.append(moved[:, i] & worse)
    return _any([*bad, *(_unknowable(schema, relation, X, moved) for relation in schema.following)], len(X))


def _unknowable(schema: Schema, relation: Relation, X: Vector, moved: Any) -> Any:
    """Whoever moves what completes another feature that cannot be worked out: nobody knows whether it kept what is advised."""
    own = schema.index[relation.completes or ""]
    others = [i for name in relation.features if (i := schema.index[name]) != own]
    return moved[:, others].any(axis=1) & np.isnan(X[:, others]).any(axis=1)


def _stands(feature: Feature, column: Vector, among: tuple[Any, ...]) -> Any:
    """Which codes are known and in a range, or among choices."""
    if feature.kind == "number":
        return (column >= among[0] - SAME) & (column <= among[1] + SAME)
    return np.array([feature.text(code) in among for code in column], dtype=bool)


def _broken(schema: Schema, X: Vector, Y: Vector) -> Any:
    broken = [_off(schema, relation, X, Y) for relation in schema.relations if relation.kind != "causes"]
    effects = dict.fromkeys(r.features[1] for r in schema.relations if r.kind == "causes")
    return _any([*broken, *(_left_behind(schema, effect, X, Y) for effect in effects)], len(X))


def _off(schema: Schema, relation: Relation, X: Vector, Y: Vector) -> Any:
    """Answers that are further from what a relation says than its tolerance and than the record was; where all is known."""
    at = [schema.index[name] for name in relation.features]
    known = ~np.isnan(X[:, at]).any(axis=1) & (np.abs(Y[:, at] - X[:, at]) > SAME).any(axis=1)
    if relation.kind == "implies":
        return known & _contrary(schema, relation, Y)
    before, after = (_miss(relation, Z[:, at]) for Z in (X, Y))
    return known & (after > np.maximum(relation.tolerance, before) + NEAR)


def _miss(relation: Relation, Z: Vector) -> Vector:
    """By how much records miss what a relation says; Z holds its features alone, shape (records, features of the relation)."""
    if relation.kind == "sum":
        return np.asarray(np.abs(Z.sum(axis=1) - (relation.total or 0.0)))
    if relation.kind == "ratio":
        return np.asarray(np.abs(Z[:, 0] - relation.scale * Z[:, 1] / Z[:, 2] ** relation.power))
    if relation.kind not in ("band", "le"):
        raise NotImplementedError(f"by how much a record misses what {relation.kind} says")
    line = (relation.slope or 1.0) * Z[:, 1] + relation.intercept
    return np.asarray(np.abs(Z[:, 0] - line) if relation.kind == "band" else np.maximum(Z[:, 0] - line, 0.0))


def _contrary(schema: Schema, relation: Relation, Y: Vector) -> Any:
    first, second = (schema[name] for name in relation.features)
    texts = [[f.text(code) for code in Y[:, schema.index[f.name]]] for f in (first, second)]
    return np.array([a in relation.if_values and b not in relation.then_values for a, b in zip(*texts, strict=True)], dtype=bool)


def _left_behind(schema: Schema, effect: str, X: Vector, Y: Vector) -> Any:
    """Answers in which an effect does not stand where its causes put it; one that nothing completes may also be advised on, so
    that it must only not stand still while they move it."""
    i = schema.index[effect]
    shift = np.zeros(len(X))
    for relation in schema.relations:
        if relation.kind == "causes" and relation.features[1] == effect:
            cause = schema.index[relation.features[0]]
            shift += relation.slope * np.nan_to_num(Y[:, cause] - X[:, cause])
    away = np.abs(Y[:, i] - X[:, i] - shift) > NEAR
    return away if effect in schema.completed else away & (np.abs(Y[:, i] - X[:, i]) <= SAME)


def _any(masks: Sequence[Any], rows: int) -> Any:
    return np.logical_or.reduce([np.zeros(rows, dtype=bool), *masks])
