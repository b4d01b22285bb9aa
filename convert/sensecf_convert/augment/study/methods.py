"""How each method of the study makes good what the reduced training rows lack. It is given those rows and nothing else.

Methods that make rows of the short class add the same number, up to the other class; one that makes fewer has its rows repeated, so that
what is compared is the rows, not their number.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from sensecf_edge.errors import SenseCFError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Vector

from ...classifier.recipes import balance
from ...compare import environments as peers
from ...compare.methods import METHODS as PACKAGES
from ...compare.question import Options, Questions, questions_of, write
from ...compare.running import run
from ...compare.steps import as_given, brought
from ...table.imputation import imputed_values
from ..remaining import Added, Method, Remaining, filled, nothing, ours
from . import outside_knowledge

TRIES = 2
"""Times a package that draws by chance is asked about the same people, with other seeds, before its rows are repeated."""
SECONDS, MINUTES = 2.0, 10.0
PACKAGED = {"dice": "dice-random", "nice": "nice-sparsity"}
"""Methods that are packages in environments of their own, by their names in `compare`."""


def class_weights(left: Remaining) -> Added:
    """No row; both classes weigh alike in the loss."""
    return replace(nothing(left), weights=balance(left.data.y))


def smote(left: Remaining) -> Added:
    """SMOTE, for tables with choices SMOTE-NC (imbalanced-learn). It takes no unknown values: medians stand for them."""
    from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

    data = left.data
    complete = np.where(np.isnan(data.X), imputed_values(data), data.X)
    choices = [i for i, f in enumerate(data.schema.features) if f.kind == "choice"]

    y = left.towards.y

    def synthetic(count: int) -> Vector:
        have = int(y.sum())
        how = {"sampling_strategy": {1: have + count}, "random_state": left.seed, "k_neighbors": min(5, have - 1)}
        if len(choices) == len(data.schema):
            maker = SMOTEN(**how)
        else:
            maker = SMOTENC(categorical_features=choices, **how) if choices else SMOTE(**how)
        return np.asarray(maker.fit_resample(complete, y.astype(int))[0])[len(complete) :]

    return filled(left, synthetic)


def environments(names: Iterable[str]) -> None:
    """Make the environments that these methods need. Raises MissingExtraError where one cannot be made."""
    for name in names:
        if name in PACKAGED:
            peers.environment_python(PACKAGES[PACKAGED[name]].environment)


def package(left: Remaining, name: str) -> Added:
    """Another package's counterfactuals of the rows that ours is asked about, with the same checker and the same freedom."""
    return filled(left, lambda count: _answers(left, name, count))


def _answers(left: Remaining, name: str, count: int) -> Vector:
    """Valid answers in codes, numbers on their steps; asked again with other seeds while there are too few."""
    bundle, data = left.bundle(), left.towards
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
    out = [brought(asked, k, as_given(asked, k, answer["y"]))[0] for k, answer in enumerate(done.answers) if answer["y"] is not None]
    target = asked.bundle.manifest.target
    checker = OnnxChecker(asked.bundle.classifier_bytes(), len(asked.schema), target.index)
    return [y for y, p in zip(out, checker.p_target(np.array(out).reshape(-1, len(asked.schema))), strict=True) if p >= target.threshold]


METHODS: dict[str, Method] = {
    "none": nothing, "class-weights": class_weights, "smote": smote,
    **{short: partial(package, name=name) for short, name in PACKAGED.items()}, "ours": ours,
    "directions": outside_knowledge.directions, "unlabelled": outside_knowledge.unlabelled, "elsewhere": outside_knowledge.elsewhere,
    "taught": outside_knowledge.taught,
}  # fmt: skip
"""In the order of every table."""
