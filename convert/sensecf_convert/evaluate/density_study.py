"""`python -m sensecf_convert.evaluate.density_study TABLE --model NAME`: how well a bundle's kind of density foretells people it was not
fitted on; and how far its percentiles move when the same table is told otherwise, with another seed, and with fewer people.

Beside it the plain kind: a mixture of Gaussians over the codes, choices taken for numbers, unknown values filled in with medians. Its
density is divided by its sum over all combinations of choices, so that both are densities of the same thing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import SenseCFError
from sensecf_edge.judge.mixture import log_sum
from sensecf_edge.schema.feature import Feature, Vector

from ..density import fitting
from ..presentation.options import model_option
from ..table.cohort import Cohort
from ..table.imputation import imputed_values
from ..table.split import parts_of
from .plausibility import sampled

MOST_COMBINATIONS = 20_000
MOST_PEOPLE = 2_000
MOST_REFITTED = 500
"""Training rows that a density is fitted to again each time, where nobody asks for more."""
UNITS = ((1 / 18.016, 0.0), (1.8, 32.0), (1_000.0, 0.0))
"""Factors and summands that stand for other units: mmol/l, Fahrenheit, thousandths; one number after the other gets the next."""
FLOOR = 0.01
"""Variance added to every code, in units of its spread."""


def held_out(data: Cohort, seed: int = 0) -> dict[str, float]:
    """Mean log-density of rows in folds of people, nats a row, numbers in units of their spread: `mixed` as bundles have it, `codes`
    the plain kind. Each with the number of components, 1 to 8, that does best."""
    folds, out = fitting.folds_of(data, seed), dict[str, list[float]]()
    for count in fitting.COMPONENTS:
        if any(len(train) < count * fitting.ROWS_PER_COMPONENT for train, _ in folds):
            continue
        mixed = [fitting.foretold(data, count, seed, *fold) for fold in folds]
        codes = [plain(data.take(train), data.take(test).X, count, seed) for train, test in folds]
        for name, parts in (("mixed", mixed), ("codes", codes)):
            out.setdefault(name, []).append(float(np.mean(np.concatenate(parts))))
    return {name: max(values) for name, values in out.items()}


def plain(train: Cohort, X: Vector, count: int, seed: int) -> Vector:
    """Log-densities of rows under a mixture of Gaussians over standardised codes, shape (rows,)."""
    from sklearn.mixture import GaussianMixture

    filler = imputed_values(train)
    known, rows = (np.where(np.isnan(A), filler, A) for A in (train.X, X))
    choices = np.array([f.kind == "choice" for f in train.schema.features])
    middle, spread = known.mean(axis=0), np.where(known.std(axis=0) > 0, known.std(axis=0), 1.0)
    model = GaussianMixture(count, reg_covar=FLOOR, random_state=seed).fit((known - middle) / spread)
    lists = [np.arange(len(f.choices)) for f in train.schema.features if f.kind == "choice"]
    grid = np.array(list(itertools.islice(itertools.product(*lists), MOST_COMBINATIONS + 1)), dtype=float)
    if len(grid) > MOST_COMBINATIONS:  # too many to add up: as if every code filled one unit
        return np.asarray(model.score_samples((rows - middle) / spread)) - float(np.log(spread[choices]).sum())
    places = (grid - middle[choices]) / spread[choices]
    parts = []
    for weight, mean, covariance in zip(model.weights_, model.means_[:, choices], model.covariances_, strict=True):
        own = covariance[np.ix_(choices, choices)]
        gaps = places - mean
        parts.append(np.log(weight) - 0.5 * ((gaps @ np.linalg.inv(own) * gaps).sum(axis=1) + np.linalg.slogdet(2 * np.pi * own)[1]))
    return np.asarray(model.score_samples((rows - middle) / spread)) - float(log_sum(log_sum(np.array(parts))[:, None])[0])


def told_otherwise(data: Cohort, seed: int, doubles: int) -> Iterator[tuple[str, Cohort]]:
    """The same people told again and again: columns in an order of chance, then each by
    another one's name, every list of choices in an order of chance, every number in another unit,
    and up to `doubles` numbers and as many choices standing there twice, one at a time."""
    columns = np.random.default_rng((seed, 1)).permutation(len(data.schema))
    yield "columns in another order", _with(data, [data.schema.features[i] for i in columns], data.X[:, columns])
    named = zip(data.schema.features, (data.schema.names[i] for i in columns), strict=True)
    yield "columns by other names", _with(data, [replace(feature, name=name) for feature, name in named], data.X)
    rng, features = np.random.default_rng(seed), data.schema.features
    turned, X = list(features), data.X.copy()
    for i, feature in enumerate(features):
        if feature.kind == "choice":
            order = rng.permutation(len(feature.choices))
            order = order[::-1] if (order == np.arange(len(order))).all() else order
            turned[i] = replace(feature, choices=tuple(feature.choices[j] for j in order))
            known = ~np.isnan(X[:, i])
            X[known, i] = np.argsort(order)[X[known, i].astype(np.intp)]
    yield "choices in another order", _with(data, turned, X)
    numbers = [i for i, f in enumerate(features) if f.kind == "number"]
    turned, X = list(features), data.X.copy()
    for i, (times, more) in zip(numbers, itertools.cycle(UNITS), strict=False):
        low, high = ((end or 0.0) * times + more for end in (features[i].low, features[i].high))
        turned[i] = Feature(features[i].name, low=low, high=high, step=(features[i].step or 1.0) * times, optional=True)
        X[:, i] = X[:, i] * times + more
    yield "numbers in other units", _with(data, turned, X)
    for kind in ("number", "choice"):
        of_kind = [i for i, f in enumerate(features) if f.kind == kind]
        for i in rng.permutation(of_kind)[:doubles]:
            again = replace(features[i], name=f"{features[i].name} again")
            yield f"a {kind} twice", _with(data, [*features, again], np.column_stack([data.X, data.X[:, i]]))


def _with(data: Cohort, features: list[Feature], X: Vector) -> Cohort:
    return replace(data, schema=replace(data.schema, features=tuple(features), relations=()), X=X)


def moves(train: Cohort, people: Vector, seed: int, doubles: int) -> dict[str, Vector]:
    """By how much percentiles of `people` move, in points, where the density is fitted to the same training people told otherwise:
    shape (ways to tell x people,)."""
    both = Cohort(train.schema, np.concatenate([train.X, people]), np.append(train.y, np.zeros(len(people), dtype=bool)),
                  np.append(train.persons, [""] * len(people)), train.classes)  # fmt: skip
    now, out = _percentiles(both, len(train), seed), dict[str, list[Vector]]()
    shuffled = np.append(np.random.default_rng(seed).permutation(len(train)), np.arange(len(train), len(both)))
    for how, other in itertools.chain([("rows in another order", both.take(shuffled))], told_otherwise(both, seed, doubles)):
        out.setdefault(how, []).append(np.abs(_percentiles(other, len(train), seed) - now))
    return {how: np.concatenate(parts) for how, parts in out.items()}


def luck(train: Cohort, people: Vector, seed: int) -> dict[str, Vector]:
    """By how much percentiles of `people` move, in points, with three other seeds of the fit, and with a fifth of the training people left
    out, three times: shape (fits x people,)."""
    now = fitting.of_wanted(train, seed).percentile(people)
    others = [fitting.of_wanted(train, seed + k) for k in range(1, 4)]
    fewer = [fitting.of_wanted(train.take(rows), seed) for rows, _ in fitting.folds_of(train, seed)[:3]]
    fits = {"another seed of the fit": others, "a fifth of the training people left out": fewer}
    return {how: np.concatenate([np.abs(density.percentile(people) - now) for density in made]) for how, made in fits.items() if made}


def _percentiles(data: Cohort, trained: int, seed: int) -> Vector:
    return fitting.of_wanted(data.take(np.arange(trained)), seed).percentile(data.X[trained:])


@click.command()
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--doubles", type=click.IntRange(0), default=1, help="Numbers, and choices, that are told twice, one at a time.")
@click.option("--rows", type=click.IntRange(50), default=MOST_REFITTED, show_default=True,
              help="Training rows that densities are fitted to again, drawn; more than there are: all.")  # fmt: skip
def main(table: Path, model: str, doubles: int, rows: int) -> None:
    """Held-out log-density of the wanted class's training people of TABLE, which MODEL was fitted on; and by how many points the
    percentiles of its test people move where lists or rows are ordered otherwise, units are others, a column stands there twice,
    and by the luck of the fit."""
    try:
        found = parts_of(Bundle.open(model), table)
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    train = found.train
    wanted = train.take(train.y)
    if len(wanted) > MOST_PEOPLE:
        wanted = wanted.take(sampled(np.arange(len(wanted)), MOST_PEOPLE))
    nats = held_out(wanted)
    told = f"Gaussian times categories {nats['mixed']:.2f}, Gaussian over codes {nats['codes']:.2f}"
    click.echo(f"{len(wanted):,} rows of {train.classes[1]}, nats a row: {told}")
    people = found.test.X[sampled(np.arange(len(found.test)), MOST_PEOPLE)]
    fitted = train.take(sampled(np.arange(len(train)), rows))
    click.echo(f"the density fitted again to {len(fitted):,} of {len(train):,} training rows")
    for how, points in {**moves(fitted, people, 0, doubles), **luck(fitted, people, 0)}.items():
        told = f"mean {points.mean():.3f}, most {points.max():.3f}"
        click.echo(f"{how}, points of percentile over {len(people):,} test rows: {told}")


if __name__ == "__main__":
    main()
