"""A kind of relation that somebody adds: what does not know it raises, and docs/architecture.md names all that asks for kinds by name."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensecf_convert.augment.relaxed import relaxed_schema
from sensecf_convert.compare import question
from sensecf_convert.evaluate import advice

from sensecf_edge.schema import schema as schemas
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.relation import CHANGE, EQUALITY, INEQUALITY, KINDS, VALUES, Kind, Relation
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space import contradictions, rules
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints

ROOT = Path(__file__).parents[1]
FEATURES = tuple(Feature(name, low=1, high=20, step=1, optional=True) for name in "abc")
X, Y = np.array([[6.0, 2.0, 3.0]]), np.array([[6.0, 2.0, 4.0]])
MOVED = np.array([[6.0, 3.0, 4.0]])


@pytest.fixture
def product(monkeypatch: pytest.MonkeyPatch) -> Schema:
    """A schema with a made-up kind, first = scale x second x third, of which nothing but its row is written yet."""
    monkeypatch.setitem(KINDS, "product", Kind(lambda r: " x ".join(r.features), EQUALITY, size=3, completes=0, exact=True))
    monkeypatch.setitem(schemas.NEEDS, "product", schemas.NEEDS["sum"])
    return Schema(FEATURES, (Relation("product", ("a", "b", "c"), completes="a"),))


def _checked(schema: Schema) -> Schema:
    """The same, with nothing completed."""
    return Schema(schema.features, (Relation("product", ("a", "b", "c")),))


COMPUTED: dict[str, Callable[[Schema], Any]] = {
    "what it leaves for a feature": lambda s: rules.left(s, s.relations[0], "b", X),
    "what it expects": lambda s: rules.expected(s, s.relations[0], X),
    "how far a record is from it": lambda s: rules.deviation(s, s.relations[0], X),
    "what follows others": lambda s: rules.complete(s, X[0], Y),
    "what a record says without holding it": lambda s: rules.computed(s, np.array([np.nan, 2.0, 3.0])),
    "which answers break it": lambda s: rules.broken(admissible(Record(_checked(s), X[0]), Constraints()), Y),
    "what a record says against itself": lambda s: contradictions.contradictions(Record(_checked(s), X[0])),
    "the count of answers that break it": lambda s: advice.measured(_checked(s), X, Y),
    "what packages that take lines are told": lambda s: question._linear(s),
}


@pytest.mark.parametrize("what", COMPUTED)
def test_whatever_computes_with_a_kind_that_it_does_not_know_raises(product: Schema, what: str) -> None:
    with pytest.raises(NotImplementedError, match="product"):
        COMPUTED[what](product)


WITHOUT_DISTANCE: dict[str, Callable[[Schema], Any]] = {
    "how far a record is from it": lambda s: rules.deviation(s, s.relations[0], X),
    "which answers break it": lambda s: rules.broken(admissible(Record(s, X[0]), Constraints()), MOVED),
    "what a record says against itself": lambda s: contradictions.contradictions(Record(s, X[0])),
    "the count of answers that break it": lambda s: advice.measured(s, X, MOVED),
    "what packages that take lines are told": lambda s: question._linear(s),
}


@pytest.mark.parametrize("what", WITHOUT_DISTANCE)
@pytest.mark.parametrize("holds", [INEQUALITY, VALUES])
def test_no_inequality_is_taken_for_an_equality(holds: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what has no distance, though what it leaves for a feature is written."""
    monkeypatch.setitem(KINDS, "over", Kind(lambda r: " over ".join(r.features), holds))
    monkeypatch.setitem(schemas.NEEDS, "over", schemas.NEEDS["sum"])
    monkeypatch.setattr(rules, "left", lambda schema, relation, name, Y: Y[:, 1])
    with pytest.raises(NotImplementedError, match="over"):
        WITHOUT_DISTANCE[what](Schema(FEATURES, (Relation("over", ("a", "b")),)))


def test_a_proof_leaves_no_inequality_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "over", Kind(lambda r: " over ".join(r.features), INEQUALITY))
    with pytest.raises(NotImplementedError, match="over"):
        Relation("over", ("a", "b")).most(X[:, 0])


def test_what_a_schema_must_hold_is_asked_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(schemas.NEEDS) == set(KINDS)
    monkeypatch.setitem(KINDS, "over", Kind(lambda r: " over ".join(r.features), INEQUALITY))
    with pytest.raises(NotImplementedError, match="what a schema must hold for over"):
        Schema(FEATURES, (Relation("over", ("a", "b")),))


def test_what_says_how_one_person_changes_is_no_rule_for_made_up_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "over", Kind(lambda r: " over ".join(r.features), CHANGE))
    monkeypatch.setitem(schemas.NEEDS, "over", schemas.NEEDS["sum"])
    assert not relaxed_schema(Schema(FEATURES, (Relation("over", ("a", "b")),))).relations


def _asking(tree: ast.Module) -> Iterator[str]:
    """The kinds of relations that a module compares something's kind with."""
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.Compare)):
        if "kind" in ast.unparse(node):
            yield from {c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)} & {*KINDS}


def test_the_architecture_names_every_module_that_asks_for_kinds_by_name() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    entry = page.split("**Another relation between features.**")[1].split("\n\n**")[0]
    modules = [path for side in ("sensecf_edge", "convert/sensecf_convert") for path in (ROOT / side).rglob("*.py")]
    asking = {path for path in modules if any(_asking(ast.parse(path.read_text(encoding="utf-8"))))}
    assert len(asking) >= 8
    assert not [str(path.relative_to(ROOT)) for path in asking if "/".join(path.parts[-2:]) not in entry]
