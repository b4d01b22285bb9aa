"""Share of records answered over the rows of the classifier that are allowed.

A way has answered within so many rows where what it hands over by then reaches the goal and keeps the rules. What proposes
without asking (the generator, chance) checks one proposal a row and hands over its next one unchecked when the rows are spent;
`additive` likewise within `methods.answer`; search and the whole loop hand over what the classifier was seen to put at the goal.
The generator and the loop need one row before all else: their prompt states the record's own p.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from sensecf_edge.explain import Explainer
from sensecf_edge.judge.objective import Judge
from sensecf_edge.propose import reply
from sensecf_edge.propose.engine import Request, Unanswered
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.record import Record
from sensecf_edge.settings import LOOP
from sensecf_edge.space import rules
from sensecf_edge.space.admissible import Admissible, admissible
from sensecf_edge.space.constraints import Constraints

from ..presentation.numbers import percent
from .comparison import GENERATOR, LOOP_NAME
from .methods import Metered, SpentError, additive, drawn, unled
from .usage import standing_in

ALLOWED = (1, 3, 10, 30, 100, 300, 1_000)
HELPING, DRY = 32, 4
"""Samples asked of the generator at a time behind the first ones, and helpings without anything new that end it."""
WORDS = {GENERATOR: "generator, greedy, then samples", "additive": "additive", "chance": "chance", "search": "search, no generator",
         LOOP_NAME: "whole loop"}  # fmt: skip
Rows = int | None
"""How many rows a record took until its answer was handed over; None where that is more than the most allowed."""


def curve(explainer: Explainer, rows: Vector, report: Callable[[float, str], None] | None = None) -> dict[str, Any]:
    """{allowed, of, answered: way -> shares}, over the records of `rows`, shape (records, features): those of which an answer at
    the goal exists. The explainer must judge unknown values as the classifier fills them in."""
    took: dict[str, list[Rows]] = {GENERATOR: [], "chance": [], "search": [], LOOP_NAME: []}
    guessed = []
    for k, x in enumerate(rows):
        record = Record(explainer.schema, x)
        space = admissible(record, Constraints())
        took[GENERATOR].append(_handed(explainer, proposals_of(explainer, space, ALLOWED[-1]), 1))
        took["chance"].append(_handed(explainer, islice(drawn(space, LOOP.seed), ALLOWED[-1] + 1), 0))
        took["search"].append(_seen(explainer, space, partial(unled, space=space)))
        took[LOOP_NAME].append(_seen(explainer, space, partial(_explained, explainer, record=record)))
        guessed.append([_additive(explainer, space, allowed) for allowed in ALLOWED])
        if report:
            report((k + 1) / len(rows), f"{k + 1} of {len(rows)} records: rows allowed")
    answered = {name: [_share([r is not None and r <= most for r in these]) for most in ALLOWED] for name, these in took.items()}
    answered["additive"] = [_share(column) for column in zip(*guessed, strict=True)] if guessed else [None] * len(ALLOWED)
    order = (GENERATOR, "additive", "chance", "search", LOOP_NAME)
    return {"allowed": list(ALLOWED), "of": len(rows), "answered": {name: answered[name] for name in order}}


def _handed(explainer: Explainer, proposals: Iterable[Vector], before: int) -> Rows:
    """Rows until a proposal is handed over that reaches the goal: those asked `before` and one for each that failed."""
    for failed, y in enumerate(proposals):
        if before + failed > ALLOWED[-1]:
            break
        if explainer.checker.p_target(y[None])[0] >= explainer.goal:
            return before + failed
    return None


def _seen(explainer: Explainer, space: Admissible, run: Callable[[Judge], Any]) -> Rows:
    """Rows until the classifier is first seen to put an answer at the goal; `run` is stopped there."""
    at: Rows = None

    def seen(Y: Vector, p: Vector) -> None:
        nonlocal at
        good = np.flatnonzero(p >= explainer.goal)
        good = good[rules.admitted(space, Y[good])] if good.size else good
        if good.size:
            at = metered.rows - len(Y) + int(good[0]) + 1
            raise SpentError

    metered = Metered(explainer.checker, ALLOWED[-1], seen)
    with suppress(SpentError):
        run(replace(explainer.judge, checker=metered))
    return at


def _explained(explainer: Explainer, judge: Judge, record: Record) -> None:
    with standing_in(explainer, explainer.engine, judge):
        explainer.explain(record, ease=False)


def _additive(explainer: Explainer, space: Admissible, allowed: int) -> bool:
    metered = Metered(explainer.checker, allowed)
    y = additive(replace(explainer.judge, checker=metered), metered, space)
    return y is not None and bool(explainer.checker.p_target(y[None])[0] >= explainer.goal)


def prompt_of(explainer: Explainer, space: Admissible) -> str:
    """The prompt of a record, which states the classifier's present p: one row asked."""
    p = float(explainer.checker.p_target(space.record.vector[None])[0])
    return explainer.prompting.prompt(space, p, explainer.checker)


def proposals_of(explainer: Explainer, space: Admissible, most: int) -> Iterator[Vector]:
    """Proposals of the generator that can be read and keep the rules, shape (features,), each once: greedy first, then samples, as hot as
    the loop's."""
    schema, x = explainer.schema, space.record.vector
    text = prompt_of(explainer, space)
    grammar, known, dry, round_ = Grammar(space), set[bytes](), 0, 0
    while dry < DRY and len(known) < most:
        heat = LOOP.temperature + LOOP.temperature_step * min(round_, LOOP.rounds - 1)
        count = LOOP.proposals if not round_ else HELPING
        (answers,) = explainer.engine.propose([Request(text, grammar, count, LOOP.seed + 1_000_003 * round_, heat, not round_)])
        dry, round_ = dry + 1, round_ + 1
        for proposal in [] if isinstance(answers, Unanswered) else answers:
            read = reply.read(space.record, proposal.text) if proposal.complete else reply.CUT
            if isinstance(read, str):
                continue
            y = rules.complete(schema, x, read[None])
            if y.tobytes() not in known and rules.admitted(space, y)[0]:
                known.add(y.tobytes())
                dry = 0
                yield y[0]


def _share(flags: Iterable[bool]) -> float | None:
    known = list(flags)
    return round(sum(known) / len(known), 4) if known else None


def text(figures: Mapping[str, Any]) -> str:
    """The curve as a table for a terminal."""
    head = f"Share of {figures['of']:,} records answered at the goal, by rows of the classifier allowed"
    rows = [("", *(f"{n:,}" for n in figures["allowed"]))]
    rows += [(WORDS[name], *map(percent, shares)) for name, shares in figures["answered"].items()]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ["  ".join(c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))) for row in rows]
    return "\n".join([head, *(f"  {line}" for line in lines)])
