"""Ours at every price on training people: what the trade-off curve's mixtures are chosen by, so that nobody asked has a say in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import TableError

from ..table.cohort import Cohort
from .methods import CURVE, METHODS, Method
from .question import Options, Questions, questions_of
from .running import Run
from .scoring import COLUMNS, Ruler

FILE = "prices.csv"
MOST = 40
"""Training records asked."""


One = Callable[[Method, Questions, Options], Run]


def measured(bundle: Bundle, train: Cohort, options: Options, names: tuple[str, ...], one: One) -> pd.DataFrame:
    """A row for each training record and price of ours among `names`; none without two prices.

    Records of the unwanted class, predicted and recorded: a record of the wanted class would be its own nearest neighbour.
    """
    curve, rows = [n for n in CURVE if n in names], list[dict[str, object]]()
    fewer = dataclasses.replace(options, limit=min(MOST, options.limit or MOST))
    if len(curve) > 1:
        try:
            asked = questions_of(bundle, train, train.take(~train.y), fewer.limit, fewer.seed)
        except TableError:
            return pd.DataFrame(columns=list(COLUMNS))
        ruler = Ruler(asked, options.max_changes)
        for name in curve:
            done = one(METHODS[name], asked, fewer)
            rows += [] if done.failed else ruler.rows(name, done)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def read(folder: Path) -> pd.DataFrame:
    """What a run left behind of it."""
    return pd.read_csv(folder / FILE)
