"""Made-up schemas, records and constraints for hypothesis: odd steps, negative and decimal numbers, unicode names."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from sensecf_edge.errors import ConstraintError, SchemaError
from sensecf_edge.schema.feature import DIRECTIONS, UNKNOWN, Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

STEPS = [Decimal(s) for s in ("0.05", "0.1", "0.25", "0.3", "0.5", "0.7", "1", "2", "3", "5", "7.5", "10", "500")]
NAMES = ["a=b", "b=c;", 'x";{}', "\\", ">=30", "p", "want", "glucose_mean", "hba1c", "7", "root", "v0", "t1-0", "deep sleep", "a"]
LETTERS = "abcxyzXYZ0189_ .-+/%:,[]()'|*?<>&#!~^$@`;={}\\\"éßñØŁжяøαΩ中文日本語한국어🙂😴ａ"


@st.composite
def names(draw: st.DrawFn) -> str:
    """Anything a feature or a choice may be called: spaces inside, dots, slashes, JSON and GBNF signs, unicode."""
    text = draw(st.one_of(st.sampled_from(NAMES), st.text(LETTERS, min_size=1, max_size=8)))
    assume(text == text.strip() and text != UNKNOWN)
    return text


@st.composite
def numbers(draw: st.DrawFn, name: str, most: int = 12) -> Feature:
    """A number of 2 to `most` lattice values; `high` may lie off the lattice."""
    step = draw(st.sampled_from(STEPS))
    low = draw(st.integers(-40, 40)) * step + draw(st.sampled_from([Decimal(0), Decimal("0.5"), Decimal("-0.01")]))
    high = low + draw(st.integers(1, most - 1)) * step + draw(st.sampled_from([Decimal(0), step / 4]))
    ends = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    reference = tuple(float(low) + (float(high) - float(low)) * e for e in ends) if draw(st.booleans()) else None
    return Feature(
        name,
        low=float(low),
        high=float(high),
        step=float(step),
        reference=tuple(min(max(end, float(low)), float(high)) for end in reference) if reference else None,
        max_change=draw(st.none() | st.sampled_from([float(step), 2.5 * float(step), 6 * float(step)])),
        relative_max_change=draw(st.none() | st.none() | st.sampled_from([0.2, 0.5, 1.0])),
        advise=draw(st.none() | st.just((float(low), float(high) - (float(high) - float(low)) / 4))),
        advise_for=draw(st.none() | st.none() | st.just((float(low) + (float(high) - float(low)) / 3, float(high)))),
        **draw(st.sampled_from([{}, {"error": 0.0}, {"error": float(step), "error_source": "A, 2001"}, {"relative_error": 0.1}])),
        **_flags(draw),
    )


@st.composite
def choices(draw: st.DrawFn, name: str) -> Feature:
    """A choice of 2 to 5."""
    texts = draw(st.lists(names(), min_size=2, max_size=5, unique=True))
    moves = {now: tuple(draw(st.sets(st.sampled_from([t for t in texts if t != now])))) for now in draw(st.sets(st.sampled_from(texts)))}
    allowed = tuple(moves.items()) if draw(st.booleans()) else ()
    most = draw(st.none() | st.sampled_from([1.0, 2.0]))
    return Feature(name, "choice", choices=tuple(texts), max_change=most, moves=allowed, **_flags(draw))


def _flags(draw: st.DrawFn) -> dict[str, object]:
    return {
        "mutable": draw(st.sampled_from([True, True, True, False])),
        "never_advise": draw(st.sampled_from([False] * 7 + [True])),
        "optional": draw(st.booleans()),
        "role": draw(st.sampled_from(["lever", "lever", "marker"])),
        "direction": draw(st.sampled_from([*DIRECTIONS, "either", "either"])),
        "code": draw(st.sampled_from([(), (), (("http://loinc.org", "8480-6"),), (("http://loinc.org", "1-8"), ("urn:oid:2.16", "a b"))])),
    }


@st.composite
def schemas(draw: st.DrawFn, most: int = 6, relations: bool = True) -> Schema:
    """1 to `most` features, mostly mutable, and where it makes sense a relation or two."""
    kinds = draw(st.lists(st.sampled_from([numbers, numbers, choices]), min_size=1, max_size=most))
    titles = draw(st.lists(names(), min_size=len(kinds), max_size=len(kinds), unique=True))
    features = draw(_whom(tuple(draw(kind(name)) for kind, name in zip(kinds, titles, strict=True))))
    try:
        rate = draw(st.none() | st.just(0.2))
        return Schema(features, tuple(draw(_relations(features))) if relations else (), base_rate=rate)
    except SchemaError:  # two of them move the same feature, in a circle, or one that is never advised
        return Schema(features)


@st.composite
def _whom(draw: st.DrawFn, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Now and then a feature that is advised to some people only."""
    if len(features) < 2 or not draw(st.sampled_from([False, False, True])):
        return features
    meant, other = draw(st.permutations(features))[:2]
    among = other.choices[:-1] if other.kind == "choice" else (float(other.low), (float(other.low) + float(other.high)) / 2)
    return tuple(replace(f, advise_if=((other.name, among),)) if f is meant else f for f in features)


@st.composite
def _relations(draw: st.DrawFn, features: tuple[Feature, ...]) -> list[Relation]:
    numeric = [f.name for f in features if f.kind == "number"]
    lists = [f for f in features if f.kind == "choice"]
    out = []
    if len(numeric) >= 2 and draw(st.booleans()):
        line = draw(st.sampled_from([{}, {}, {"slope": -0.7, "intercept": 20.0}, {"slope": 1.0, "intercept": -2.0}]))
        out.append(Relation("le", tuple(draw(st.permutations(numeric))[:2]), **line))
    if len(numeric) >= 3 and draw(st.booleans()):
        parts = tuple(draw(st.permutations(numeric))[:3])
        out.append(Relation("sum", parts, total=100, tolerance=1, completes=draw(st.sampled_from([None, parts[0]]))))
    if len(numeric) >= 2 and draw(st.booleans()):
        first, second = draw(st.permutations(numeric))[:2]
        slope, width = draw(st.sampled_from([-0.5, 0.3, 2.0])), draw(st.sampled_from([0.0, 5.0]))
        out.append(Relation("band", (first, second), slope=slope, tolerance=width, completes=draw(st.sampled_from([None, first]))))
    if len(numeric) >= 2 and draw(st.booleans()):
        for _ in range(draw(st.integers(1, 2))):
            cause, effect = draw(st.permutations(numeric))[:2]
            slope = draw(st.sampled_from([-2.0, 0.1, 1.0]))
            out.append(Relation("causes", (cause, effect), slope=slope, completes=draw(st.sampled_from([None, None, effect]))))
    if len(lists) >= 2 and draw(st.booleans()):
        first, second = draw(st.permutations(lists))[:2]
        out.append(Relation("implies", (first.name, second.name), if_values=first.choices[:1], then_values=second.choices[1:]))
    return out


@st.composite
def records(draw: st.DrawFn, schema: Schema) -> Record:
    """Values on and off the lattice; optional ones may be unknown."""
    return Record(schema, np.array([draw(_code(f)) for f in schema.features]))


@st.composite
def _code(draw: st.DrawFn, feature: Feature) -> float:
    if feature.optional and draw(st.sampled_from([True, False, False, False])):
        return float("nan")
    if feature.kind == "choice" or draw(st.booleans()):
        return float(draw(st.sampled_from(list(feature.lattice))))
    assert feature.low is not None and feature.high is not None
    return draw(st.floats(feature.low, feature.high))


@st.composite
def constraints(draw: st.DrawFn, schema: Schema) -> Constraints:
    """Some features frozen, some bounded, 1 to 4 changes."""
    freeze = frozenset(draw(st.sets(st.sampled_from(schema.names), max_size=len(schema) // 2)))
    free = [f for f in schema.features if f.kind == "number" and f.name not in freeze]
    bounded = draw(st.sets(st.sampled_from([f.name for f in free]), max_size=2)) if free else set()
    bounds = {}
    for name in sorted(bounded):
        feature = schema[name]
        assert feature.low is not None and feature.high is not None
        low, high = sorted(draw(st.tuples(*[st.floats(feature.low, feature.high)] * 2)))
        bounds[name] = (low, high)
    return Constraints(freeze, bounds, draw(st.integers(1, 4)))


@st.composite
def spaces(draw: st.DrawFn, most: int = 6) -> Admissible:
    """An answer space that is not empty."""
    schema = draw(schemas(most))
    record, limits = draw(records(schema)), draw(constraints(schema))
    try:
        return admissible(record, limits)
    except ConstraintError:
        assume(False)
        raise
