"""Speakers that repeat people in known ways, to see which of them `said` finds: `python -m sensecf_convert.memorisation.parrots TABLE
--model NAME`. No generator is asked; records and people are the table's own, one to four features are said of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from sensecf_edge.errors import SenseCFError
from sensecf_edge.schema.feature import Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.trial import opened

from ..presentation.numbers import percent
from ..presentation.options import model_option
from ..table.split import Parts, parts_of
from .inference import Figures
from .repetition import Crowd, Spoken, repeated

ANSWERS, MOST_SAID, FEW = 1_200, 4, 0.05
Chance = np.random.Generator
Source = Callable[[Chance], Vector]
"""Gives a row, shape (features,), whose values are said; unknown ones are not."""


@dataclass(frozen=True)
class Rows:
    """Whom a speaker may repeat: training people of the wanted class, a few of them, and everybody, in or out."""

    schema: Schema
    trained: Vector
    few: Vector
    everybody: Vector

    def speakers(self) -> dict[str, Source]:
        """Every speaker by what it says."""

        def often(share: float, rows: Vector) -> Source:
            return lambda chance: _one(rows, chance) if chance.random() < share else _each(self.everybody, chance)

        return {
            "of each feature anybody's value": often(0.0, self.trained),
            "of each feature a training person's value": lambda chance: _each(self.trained, chance),
            "training people, always": often(1.0, self.trained),
            "training people, half of the time": often(0.5, self.trained),
            "training people, a fifth of the time": often(0.2, self.trained),
            "5 % of the training people, always": often(1.0, self.few),
            "5 % of the training people, a fifth of the time": often(0.2, self.few),
            "one training person, always": often(1.0, self.few[:1]),
            "training people, each number a step beside": lambda chance: self._beside(_one(self.trained, chance), chance),
        }

    def _beside(self, row: Vector, chance: Chance) -> Vector:
        out: Vector = row.copy()
        for i, feature in enumerate(self.schema.features):
            if feature.kind == "number" and not np.isnan(row[i]):
                place = feature.nearest(row[i]) + chance.choice([-1, 1])
                out[i] = feature.lattice[min(max(place, 0), len(feature.lattice) - 1)]
        return out


def _one(rows: Vector, chance: Chance) -> Vector:
    return np.asarray(rows[chance.integers(len(rows))])


def _each(rows: Vector, chance: Chance) -> Vector:
    """Of each feature another row's value."""
    return np.asarray(rows[chance.integers(len(rows), size=rows.shape[1]), np.arange(rows.shape[1])])


def heard(parts: Parts, seed: int) -> dict[str, Figures]:
    """`repeated_rows` for every speaker."""
    train, outside = parts.train, parts.untrained
    chance, good = np.random.default_rng(seed), train.X[train.y]
    few = good[chance.permutation(len(good))[: max(1, round(FEW * len(good)))]]
    rows, crowd = Rows(train.schema, good, few, np.concatenate([train.X, outside.X])), Crowd.of(train, outside)
    return {name: repeated(crowd, _speech(parts, source, chance), good, seed) for name, source in rows.speakers().items()}


def _speech(parts: Parts, source: Source, chance: Chance) -> Spoken:
    schema = parts.train.schema
    free = [i for i, f in enumerate(schema.features) if f.mutable and f.name not in schema.completed]
    X, Y, asked = list[Vector](), list[Vector](), list[str]()
    for _ in range(ANSWERS):
        side, data = (("in", parts.train), ("out", parts.untrained))[chance.integers(2)]
        at = chance.integers(len(data))
        x, row = data.X[at], source(chance)
        here = chance.choice(free, min(len(free), int(chance.integers(1, MOST_SAID + 1))), replace=False)
        y = x.copy()
        y[here] = np.where(np.isnan(row[here]) | np.isnan(x[here]), x[here], row[here])
        if (y[here] != x[here]).any():
            X, Y, asked = [*X, x], [*Y, y], [*asked, f"{side} {data.persons[at]}"]
    return Spoken(np.array(X), np.array(Y), tuple(asked))


@click.command()
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--times", type=int, default=3, show_default=True, help="How often each speaks, from other chance.")
def main(table: Path, model: str, times: int) -> None:
    """Which of several parrots the check finds among the people of TABLE, which MODEL was fitted on."""
    try:
        parts = parts_of(opened(model), table)
        found = [heard(parts, seed) for seed in range(times)]
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error
    for name in found[0]:
        each = [f[name] for f in found]
        if "p" not in each[0]:
            raise click.ClickException("fewer than ten people on one side: nothing can be said")
        share = np.mean([f["share"] for f in each if f["share"] is not None])
        most = max(f["most_in"] for f in each), max(f["most_out"] for f in each)
        click.echo(
            f"{name:50}  found {sum(f['found'] for f in each)} of {times}, as if {percent(float(share))}; "
            f"alone hold at most {most[0]:,} (in), {most[1]:,} (out)"
        )


if __name__ == "__main__":
    main()
