"""Does a bundle remember the people it was made of? Four questions, each beside chance, each with what it could have found.

    said         do answers say what one training person has, rather than what people have? (`said`)
    generator    can be told from the likelihood of answers who was trained on? (`inference`)
    pairs        the same for the very pairs that the generator learnt, against others made alike; where the pairs are at hand
    classifier   can be told from the score of a person's recorded class?
    density      can be told from the density who of the wanted class was in?

Nothing of this bounds an attacker, and none of it is differential privacy: see docs/memorisation.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.realism import realism
from sensecf_edge.generators.prompting import Prompting
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.judge.density import Density
from sensecf_edge.judge.objective import Judge
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import LOOP
from sensecf_edge.space import rules

from ..classifier.threshold import goals
from ..generator.practice import Speaker
from ..plan import FitPlan
from ..table.cohort import Cohort
from ..teachers import classroom
from ..teachers.lesson import Lesson
from ..teachers.people import places
from . import people
from .formatting import COVERS
from .inference import Figures, by_person, told_apart
from .likelihood import AnsweredQuestion, log_likelihoods
from .people import Subject
from .repetition import Crowd, Spoken, repeated

__all__ = [
    "COVERS",
    "Figures",
    "Subject",
    "check",
    "exact",
    "lesson_of",
    "most_of",
    "of_generator",
    "of_pairs",
    "of_what_is_said",
]

MOST_PEOPLE, MOST_OF_A_FIT, MOST_OF_A_LARGE_ONE = 1_000, 300, 20
"""People asked about on either side, at most; in a fit that measures no more than some records; and where a given base was tuned, whose
generator is a thousand times slower."""
COPIES = 8
"""Near copies of each person that are asked about: their mean says more than one."""
LISTENED, PROPOSALS = 400, 8
"""Questions on either side whose answers are listened to, and how many answers to each."""
FRESH = 10_000_000
"""Chunks of pairs from this number on are of no fit: none has so many."""


def check(bundle: Bundle, train: Cohort, unseen: Cohort, pairs: Mapping[str, Vector] | None = None, most: int = MOST_PEOPLE) -> Figures:
    """Figures of the questions above by their names. `train`: all rows that anything was trained on; `unseen`: rows of other people.

    `pairs` are X and Y, shape (pairs, features), that the generator learnt first. They also give `exact_factuals`, the share of the
    made-up people X who are a training row on the lattice. `most`: people asked about on either side.
    """
    rng, lesson, out = np.random.default_rng(0), lesson_of(bundle, train), Figures()
    asked = bundle.manifest.generator
    subject = None if asked.none or asked.untuned else Subject.of(lesson, speaker_of(bundle))
    if subject is not None:
        out["said"] = of_what_is_said(subject, unseen, min(most, LISTENED), rng)
        out["generator"] = of_generator(subject, train, unseen, most, rng)
    out["classifier"] = _of_classifier(lesson.judge(), train, unseen)
    if isinstance(lesson.realism, Density):
        out["density"] = _of_density(lesson.realism, train, unseen)
    if pairs is not None and subject is not None:
        out["pairs"] = of_pairs(subject, pairs, most, rng)
        out["exact_factuals"] = exact(bundle.schema, pairs["X"], train.X)
    return {name: _rounded(found) for name, found in out.items()}


def _rounded(found: Any) -> Any:
    """Four digits of every number: more is nothing that people so few can carry."""
    if isinstance(found, dict):
        return {name: _rounded(value) for name, value in found.items()}
    return float(f"{found:.4g}") if isinstance(found, float) else found


def most_of(plan: FitPlan) -> int:
    """How many people a fit asks about on either side."""
    if plan.base is not None:
        return MOST_OF_A_LARGE_ONE
    return MOST_OF_A_FIT if plan.limit else MOST_PEOPLE


def lesson_of(bundle: Bundle, train: Cohort) -> Lesson:
    """What a bundle's generator was taught, as far as the bundle tells: its answers are asked of the default teacher."""
    target = bundle.manifest.target
    graph, typical = bundle.classifier_bytes(), realism(bundle)
    return Lesson(
        bundle.schema, graph, typical, target.threshold, goals(target.threshold), LOOP.max_changes, wanted=target.index, data=train
    )


def speaker_of(bundle: Bundle) -> Speaker:
    """A bundle's generator, ready to be asked."""
    target = bundle.manifest.target
    checker = OnnxChecker(bundle.classifier_bytes(), len(bundle.schema), target.index, classes=len(target.classes))
    return Speaker(bundle.generator_path, Prompting.of(bundle), bundle.manifest.generator.context, checker, bundle.adapter_path)


def of_generator(subject: Subject, inside: Cohort, outside: Cohort, most: int, rng: np.random.Generator) -> Figures:
    """`told_apart` by the likelihood of the teacher's answers to near copies of people; see `unexplained`."""
    asked = list[list[AnsweredQuestion]]()
    for data in (inside, outside):
        rows = people.drawn(subject, data, most, rng)
        asked.append(people.answered(subject, people.questions(subject, rows, COPIES, rng)))
    both = [*asked[0], *asked[1]]
    scores, cut = unexplained(both, log_likelihoods(subject.speaker, both)), len(asked[0])
    return told_apart(*(by_person([a.person for a in part], s) for part, s in zip(asked, (scores[:cut], scores[cut:]), strict=True)))


def unexplained(asked: list[AnsweredQuestion], likelihoods: Vector) -> Vector:
    """The log-likelihoods less what answers that change as much from the same probability have on average, shape (asked,).

    Least squares over all of them, whoever they belong to: longer answers are less likely, and who is nearer to the line has
    shorter ones. Without it the classifier's score of a person would be measured once more.
    """
    if not asked:
        return likelihoods
    changed = np.array([len(rules.proposed(a.space.record.schema, a.space.record.vector, a.y)) for a in asked], dtype=float)
    p = np.array([a.p for a in asked])
    known = np.column_stack([np.ones(len(asked)), changed, changed**2, p, p**2, changed * p])
    left: Vector = likelihoods - known @ np.linalg.lstsq(known, likelihoods, rcond=None)[0]
    return left


def of_pairs(subject: Subject, pairs: Mapping[str, Vector], most: int, rng: np.random.Generator) -> Figures:
    """`told_apart` between pairs that were learnt, at most `most`, and as many new ones, made and answered alike from the same people."""
    lesson, learnt = subject.lesson, {x.tobytes() for x in places(subject.lesson.schema, pairs["X"])}
    at = rng.permutation(len(pairs["X"]))[:most]
    old, new = _asked(subject, pairs["X"][at], pairs["Y"][at]), list[AnsweredQuestion]()
    chunks = classroom.teach(lesson, lesson.rows(), 0, 1, skip=FRESH)
    for taught in itertools.islice(chunks, len(at)):
        fresh = [(x, y) for x, y, _ in taught if places(lesson.schema, x[None])[0].tobytes() not in learnt]
        new += _asked(subject, np.array([x for x, _ in fresh]), np.array([y for _, y in fresh])) if fresh else []
        if len(new) >= len(old):
            break
    chunks.close()
    scores = unexplained([*old, *new], log_likelihoods(subject.speaker, [*old, *new]))
    return told_apart(scores[: len(old)], scores[len(old) :], of_people=False)


def _asked(subject: Subject, X: Vector, Y: Vector) -> list[AnsweredQuestion]:
    spaces, p = [classroom.space_of(subject.lesson, x) for x in X], subject.judge.checker.p_target(X)
    return [AnsweredQuestion("", space, float(q), y) for space, q, y in zip(spaces, p, Y, strict=True) if space is not None]


def of_what_is_said(subject: Subject, unseen: Cohort, most: int, rng: np.random.Generator) -> Figures:
    """`repeated_rows` for answers to people who were in, to people who were out and to near copies of both, as they came."""
    train, X, Y, asked = subject.lesson.rows(), list[Vector](), list[Vector](), list[str]()
    for side, data in (("in", train), ("out", unseen)):
        rows = people.drawn(subject, data, most, rng)
        copies = max(0, round(most / max(1, len(rows))) - 1)
        who = people.asked_as(subject, rows.X, rows.persons.tolist()) + people.questions(subject, rows, copies, rng)
        for (person, space, _), (_, said) in zip(who, subject.speaker.answers([q[1:] for q in who], PROPOSALS, 0), strict=True):
            different = {y.tobytes(): y for y in said if rules.proposed(train.schema, space.record.vector, y)}
            X += [space.record.vector] * len(different)
            Y += different.values()
            asked += [f"{side} {person}"] * len(different)
    spoken = Spoken(np.array(X).reshape(-1, len(train.schema)), np.array(Y).reshape(-1, len(train.schema)), tuple(asked))
    return repeated(Crowd.of(train, unseen), spoken, train.X[train.y])


def _of_classifier(judge: Judge, train: Cohort, unseen: Cohort) -> Figures:
    """`told_apart` by the score of the recorded class."""
    scores = []
    for data in (train, unseen):
        p = np.clip(judge.checker.p_target(data.X), 1e-6, 1 - 1e-6)
        scores.append(by_person(list(data.persons), np.log(np.where(data.y, p, 1 - p))))
    return told_apart(*scores)


def _of_density(density: Density, train: Cohort, unseen: Cohort) -> Figures:
    """`told_apart` among people of the wanted class by how ordinary the density finds them."""
    return told_apart(*(by_person(list(data.persons[data.y]), density.score(data.X[data.y])) for data in (train, unseen)))


def exact(schema: Schema, X: Vector, train: Vector) -> float | None:
    """Share of rows of X that equal a training row on the lattice, unknown equal to unknown; None where X has no row."""
    known = {row.tobytes() for row in places(schema, train)}
    return float(np.mean([row.tobytes() in known for row in places(schema, X)])) if len(X) else None
