"""How few features an answer must change: proven for the records that ours answers at the goal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from sensecf_edge.admissible import Constraints, admissible
from sensecf_edge.check import OnnxChecker
from sensecf_edge.record import Record

from ..effort import Effort
from ..proof import Fewest, Prover, summed
from .asked import Asked


def prove(asked: Asked, rows: pd.DataFrame, max_changes: int, report: Callable[[float, str], None]) -> pd.DataFrame:
    """The rows of all methods with two more columns filled in: what is proven of their record, see `proof.Fewest`."""
    bundle, effort = asked.bundle, Effort()
    graph, column = bundle.classifier_bytes(), bundle.manifest.target.index
    prover = Prover(OnnxChecker(graph, len(asked.schema), column), graph, asked.train, column)
    ours, proven = rows[(rows.method == "ours") & rows.at_goal], dict[int, Fewest]()
    for k, known in zip(ours.record, ours.n_changed, strict=True):
        space = admissible(Record(asked.schema, asked.rows[k]), Constraints(max_changes=max_changes))
        proven[k] = prover.fewest(space, asked.goal, effort.record(), int(known))
        report(len(proven) / len(ours), f"{len(proven)} of {len(ours)} records")
    return rows.assign(
        fewest=rows.record.map({k: found.least for k, found in proven.items()}),
        fewest_proven=rows.record.map({k: found.exact for k, found in proven.items()}),
    )


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Beside what ours changes, all in all: see `proof.summed`. Empty where nothing was to be proven."""
    ours = rows[(rows.method == "ours") & rows.at_goal & rows.fewest.notna()]
    if not len(ours):
        return {}
    proven = [Fewest(int(least), bool(exact)) for least, exact in zip(ours.fewest, ours.fewest_proven, strict=True)]
    return {"changed": round(float(ours.n_changed.mean()), 4), **summed([int(n) for n in ours.n_changed], proven)}
