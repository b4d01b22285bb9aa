"""Examples for a general model: made-up people, never persons, whom the loop's own search has answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..answer.result import Explanation
from ..judge.classifier import Checker
from ..judge.imputation import Impute, imputed
from ..propose import instructions
from ..propose.grammar import answer_value
from ..schema.feature import Vector
from ..schema.record import Record, encode
from ..schema.schema import Schema
from ..space.admissible import admissible
from ..space.constraints import Constraints
from .prompting import Prompting, hints_of

DRAWN = 4
"""People drawn for each example wanted: not all are predicted unwanted, not all have an answer."""
SEED = 17


def people(schema: Schema, impute: Impute, checker: Checker, threshold: float) -> list[Record]:
    """Made-up people who are predicted unwanted, in an order of chance: drawn whole from what the bundle knows of everybody."""
    nobody = Record(schema, np.full(len(schema), np.nan))
    drawn = imputed(checker, nobody, impute, SEED, 0.0).rows
    unwanted = drawn[checker.p_target(drawn) < threshold]
    order = np.random.default_rng(SEED).permutation(len(unwanted))
    return [Record(schema, _on_the_lattice(schema, unwanted[k])) for k in order]


def _on_the_lattice(schema: Schema, x: Vector) -> Vector:
    """What does not follow others, on the steps of its lattice: as records are written."""
    out: Vector = x.copy()
    for i, feature in enumerate(schema.features):
        if feature.name not in schema.moved:
            out[i] = feature.lattice[feature.nearest(x[i])]
    return out


def shots_of(prompting: Prompting, checker: Checker, told: Sequence[tuple[Record, Explanation]], count: int) -> tuple[str, ...]:
    """`count` examples, fewer where there are not so many: different sets of changed features before the same again."""
    out, again, seen = list[str](), list[str](), set[frozenset[str]]()
    for record, explanation in told:
        if not explanation.found:
            continue
        changes = [change for change in explanation.found[0].changes if not change.follows]
        space, names = admissible(record, Constraints()), frozenset(change.feature for change in changes)
        features = [record.schema[change.feature] for change in changes]
        texts = (f.text(encode(f, change.after)) for f, change in zip(features, changes, strict=True))
        answer = ",".join(f'"{f.name}":{answer_value(text, f.kind)}' for f, text in zip(features, texts, strict=True))
        p = explanation.p_target
        hints = hints_of(checker, space, p) if prompting.hints else ()
        (again if names in seen else out).append(instructions.shot(space, p, prompting.task.wanted, "{" + answer + "}", hints))
        seen.add(names)
    return tuple([*out, *again][:count])
