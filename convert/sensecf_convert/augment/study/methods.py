"""How each method of the study makes good what the reduced training rows lack. It is given those rows and nothing else.

Methods that make rows add the same number, class by class (`Scarcity.wanting`); one that makes fewer has its rows repeated, so that
what is compared is the rows, not their number.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import SenseCFError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Vector

from ...classifier.recipes import balance
from ...compare import environments as peers
from ...compare.methods import METHODS as PACKAGES
from ...compare.question import Options, Questions, questions_of, write
from ...compare.running import run
from ...compare.scoring import as_given, brought
from ...table.cohort import Cohort
from ...table.imputation import imputed_values
from ...work import Work
from .. import rows
from ..relaxed import towards_class
from ..training import FULL, SHORT, Effort, train_bundle

TRIES = 2
"""Times a package that draws by chance is asked about the same people, with other seeds, before its rows are repeated."""
SECONDS, MINUTES = 2.0, 10.0
PACKAGED = {"dice": "dice-random", "nice": "nice-sparsity"}
"""Methods that are packages in environments of their own, by their names in `compare`."""
UNWILLING = "it makes no row here"


@dataclass(frozen=True)
class Left:
    """What a method is given: the rows that are left (y: positive), how many of each class are wanted, chance, and a folder.

    `starts` holds, for each class, the weights that short tunings begin with, or nothing.
    """

    data: Cohort
    wanting: tuple[int, int]
    seed: int
    work: Path
    checker: str
    effort: Effort = SHORT
    starts: Mapping[str, Path] = field(default_factory=dict)
    bundles: dict[tuple[str, str], Bundle] = field(default_factory=dict)

    def missing(self) -> list[tuple[str, int]]:
        """Classes that lack rows, and how many."""
        return [(name, count) for name, count in zip(self.data.classes, self.wanting, strict=True) if count > 0]

    def bundle(self, made: str, effort: str = "short") -> Bundle:
        """The checker and generator for rows of class `made`, forged once."""
        if (made, effort) not in self.bundles:
            place = Work(self.work / f"{effort}-{self.data.classes.index(made)}")
            start = self.starts.get(made) if effort == "short" else None
            how = self.effort if effort == "short" else FULL
            self.bundles[made, effort] = train_bundle(
                towards_class(self.data, made), how, place, self.seed, self.checker, lambda _: None, start
            )
        return self.bundles[made, effort]


@dataclass(frozen=True)
class Added:
    """Rows that join the real ones: codes X, shape (rows, features), y true for the positive class; `made` counts those that are
    not repeated, (negative, positive). `weights`: of real and added rows, or None."""

    X: Vector
    y: NDArray[np.bool_]
    made: tuple[int, int]
    weights: Vector | None = None


Method = Callable[[Left], Added]


def nothing(left: Left) -> Added:
    """The reduced rows as they are."""
    return Added(np.empty((0, len(left.data.schema))), np.empty(0, dtype=bool), (0, 0))


def class_weights(left: Left) -> Added:
    """No row; both classes weigh alike in the loss."""
    plain = nothing(left)
    return Added(plain.X, plain.y, (0, 0), balance(left.data.y))


def _each(left: Left, make: Callable[[str, int], Vector]) -> Added:
    """Rows of every class that lacks some, repeated where there are too few. Raises SenseCFError where there are none."""
    parts, labels, made = list[Vector](), list[NDArray[np.bool_]](), {name: 0 for name in left.data.classes}
    for at, (name, count) in enumerate(left.missing()):
        X = make(name, count)[:count]
        if not len(X):
            raise SenseCFError(f"{UNWILLING}: none of class {name}")
        made[name] = len(X)
        again = np.random.default_rng((left.seed, at)).permutation(len(X))
        parts.append(X[np.resize(np.concatenate([np.arange(len(X)), again]), count)] if len(X) < count else X)
        labels.append(np.full(count, name == left.data.classes[1]))
    empty = nothing(left)
    low, high = left.data.classes
    return Added(np.concatenate([empty.X, *parts]), np.concatenate([empty.y, *labels]), (made[low], made[high]))


def duplicate(left: Left) -> Added:
    """Rows of the class drawn again, all once before any twice."""

    def again(name: str, count: int) -> Vector:
        own = left.data.X[left.data.y == (name == left.data.classes[1])]
        rng = np.random.default_rng((left.seed, 7))
        return np.concatenate([own[rng.permutation(len(own))] for _ in range(-(-count // len(own)))])[:count]

    return _each(left, again)


def smote(left: Left) -> Added:
    """SMOTE, for tables with choices SMOTE-NC (imbalanced-learn). It takes no unknown values: medians stand for them."""
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

    data = left.data
    filled = np.where(np.isnan(data.X), imputed_values(data), data.X)
    choices = [i for i, f in enumerate(data.schema.features) if f.kind == "choice"]

    def synthetic(name: str, count: int) -> Vector:
        is_made = data.y == (name == data.classes[1])
        have = int(is_made.sum())
        how = {"sampling_strategy": {1: have + count}, "random_state": left.seed, "k_neighbors": min(5, have - 1)}
        if len(choices) == len(data.schema):
            maker = SMOTEN(**how)
        else:
            maker = SMOTENC(categorical_features=choices, **how) if choices else SMOTE(**how)
        return np.asarray(maker.fit_resample(filled, is_made.astype(int))[0])[len(filled) :]

    return _each(left, synthetic)


def ours(left: Left, effort: str = "short") -> Added:
    """This project's pipeline, trained on the reduced rows."""

    def make(name: str, count: int) -> Vector:
        made, _ = rows.make_rows(left.bundle(name, effort), towards_class(left.data, name), count, left.seed)
        return np.array([row.y for row in made]).reshape(-1, len(left.data.schema))

    return _each(left, make)


def environments(names: Iterable[str]) -> None:
    """Make the environments that these methods need. Raises MissingExtraError where one cannot be made."""
    for name in names:
        if name in PACKAGED:
            peers.environment_python(PACKAGES[PACKAGED[name]].environment)


def package(left: Left, name: str) -> Added:
    """Another package's counterfactuals of the rows that ours is asked about, with the same checker and the same freedom."""
    return _each(left, lambda made, count: _answers(left, name, made, count))


def _answers(left: Left, name: str, made: str, count: int) -> Vector:
    """Valid answers in codes, numbers on their steps; asked again with other seeds while there are too few."""
    bundle, data = left.bundle(made), towards_class(left.data, made)
    sources = data.take(~data.y)
    order = np.random.default_rng(left.seed).permutation(len(sources))
    asked = questions_of(bundle, data, sources.take(order), count)
    out = list[Vector]()
    for k in range(TRIES if name.startswith("dice") else 1):
        if len(out) < count:
            out += _one_pass(asked, name, Options(None, left.seed + k, SECONDS, MINUTES))
    return np.array(list({y.tobytes(): y for y in out}.values())).reshape(-1, len(data.schema))


def _one_pass(asked: Questions, name: str, options: Options) -> list[Vector]:
    method = PACKAGES[name]
    peers.environment_python(method.environment)
    with tempfile.TemporaryDirectory(prefix="sensecf-") as place:
        folder = Path(place)
        write(asked, folder, options, shifted=False)
        done = run(method, folder, len(asked.rows), options, lambda *_: None)
    if done.failed:
        raise SenseCFError(f"{name}: {done.failed}")
    out = [brought(asked, k, as_given(asked, k, answer["y"])) for k, answer in enumerate(done.answers) if answer["y"] is not None]
    target = asked.bundle.manifest.target
    checker = OnnxChecker(asked.bundle.classifier_bytes(), len(asked.schema), target.index)
    return [y for y, p in zip(out, checker.p_target(np.array(out).reshape(-1, len(asked.schema))), strict=True) if p >= target.threshold]


METHODS: dict[str, Method] = {
    "none": nothing, "duplicate": duplicate, "class-weights": class_weights, "smote": smote,
    **{short: partial(package, name=name) for short, name in PACKAGED.items()},
    "ours": ours, "ours-full": partial(ours, effort="full"),
}  # fmt: skip
"""In the order of every table. `ours` is tuned briefly from shared weights, `ours-full` as long as a fit from nothing."""
