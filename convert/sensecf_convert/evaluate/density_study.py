"""`python -m sensecf_convert.evaluate.density_study TABLE --model NAME`: how well a bundle's kind of density foretells people it was not
fitted on.

Beside it the plain kind: a mixture of Gaussians over the codes, choices taken for numbers, unknown values filled in with medians. Its
density is divided by its sum over all combinations of choices, so that both are densities of the same thing.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import click
import numpy as np

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import SenseCFError
from sensecf_edge.judge.mixture import log_sum
from sensecf_edge.schema.feature import Vector

from ..density import fitting
from ..table.cohort import Cohort
from ..table.imputation import imputed_values
from ..table.split import parts_of
from .plausibility import sampled

MOST_COMBINATIONS = 20_000
MOST_PEOPLE = 2_000
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
        return np.asarray(model.score_samples((rows - middle) / spread)) - np.log(spread[choices]).sum()
    places = (grid - middle[choices]) / spread[choices]
    parts = []
    for weight, mean, covariance in zip(model.weights_, model.means_[:, choices], model.covariances_, strict=True):
        own = covariance[np.ix_(choices, choices)]
        gaps = places - mean
        parts.append(np.log(weight) - 0.5 * ((gaps @ np.linalg.inv(own) * gaps).sum(axis=1) + np.linalg.slogdet(2 * np.pi * own)[1]))
    return np.asarray(model.score_samples((rows - middle) / spread)) - float(log_sum(log_sum(np.array(parts))[:, None])[0])


@click.command()
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", required=True, help="Shipped bundle by name, or a bundle's folder.")
def main(table: Path, model: str) -> None:
    """Held-out log-density of the wanted class's training people of TABLE, which MODEL was fitted on."""
    try:
        train = parts_of(Bundle.open(model), table).train
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    wanted = train.take(train.y)
    if len(wanted) > MOST_PEOPLE:
        wanted = wanted.take(sampled(np.arange(len(wanted)), MOST_PEOPLE))
    found = held_out(wanted)
    told = f"Gaussian times categories {found['mixed']:.2f}, Gaussian over codes {found['codes']:.2f}"
    click.echo(f"{len(wanted):,} rows of {train.classes[1]}, nats a row: {told}")


if __name__ == "__main__":
    main()
