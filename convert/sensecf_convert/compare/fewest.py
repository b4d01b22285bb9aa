"""What is proven of the records asked: how few features an answer must change, and whether one exists where ours has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.proof.effort import Effort
from sensecf_edge.schema.record import Record
from sensecf_edge.space.admissible import admissible
from sensecf_edge.space.constraints import Constraints

from ..proof.prover import Fewest, Prover, summed
from . import figures
from .question import Questions

PROVERS = ("treecf-exact", "oceanpy-fewest", "oceanpy-nearest")
NONE = "proved: none exists"


def prove(asked: Questions, rows: pd.DataFrame, max_changes: int, report: Callable[[float, str], None]) -> pd.DataFrame:
    """The rows of all methods with three more columns filled in: what is proven of their record, see `prover.Fewest`, for those that
    ours answers; and `possible`, 1 where an answer under the same rules exists, 0 where none does, empty where that was not found out."""
    bundle, effort = asked.bundle, Effort()
    graph, column = bundle.classifier_bytes(), bundle.manifest.target.index
    prover = Prover(OnnxChecker(graph, len(asked.schema), column), graph, asked.train, column)
    ours, proven, possible = rows[(rows.method == "ours")], dict[int, Fewest](), dict[int, float]()
    for k, known, good in zip(ours.record, ours.n_changed, ours.same_rules, strict=True):
        if asked.spaces[k] is None:
            possible[k] = 0.0
        else:
            space = admissible(Record(asked.schema, asked.rows[k]), Constraints(max_changes=max_changes))
            if good:
                proven[k], possible[k] = prover.fewest(space, asked.goal, effort.record(), int(known)), 1.0
            elif (found := prover.reaches(space, asked.goal, effort.record())) is not None:
                possible[k] = float(found)
        report((k + 1) / len(ours), f"{k + 1} of {len(ours)} records")
    possible |= {k: 0.0 for k in _ruled_out(rows) if k not in possible}
    return rows.assign(
        fewest=rows.record.map({k: found.least for k, found in proven.items()}),
        fewest_proven=rows.record.map({k: found.exact for k, found in proven.items()}),
        possible=rows.record.map(possible),
    )


def _ruled_out(rows: pd.DataFrame) -> set[int]:
    """Records of which a package that works under our rules, or under fewer, proves that there is no answer."""
    sure = rows[rows.method.isin(PROVERS) & (rows.why == NONE)]
    return {int(k) for k in sure.record}


def agreement(rows: pd.DataFrame) -> dict[str, int]:
    """Records of which both branch and bound and oceanpy prove the fewest features, and how many of those they differ on."""
    both = rows[(rows.method == "oceanpy-fewest") & (rows.why == "optimal") & rows.same_rules.astype(bool) & rows.fewest_proven.eq(True)]
    return {"records": len(both), "differ": int((both.n_changed != both.fewest).sum())} if len(both) else {}


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Beside what ours changes, all in all: see `prover.summed`; `unproven` names the rest. Empty where nothing was to be proven."""
    ours = rows[(rows.method == "ours") & rows.same_rules.astype(bool) & rows.fewest.notna()]
    if not len(ours):
        return {}
    proven = [Fewest(int(least), bool(exact)) for least, exact in zip(ours.fewest, ours.fewest_proven, strict=True)]
    out = {"changed": round(float(ours.n_changed.mean()), 4), **summed([int(n) for n in ours.n_changed], proven)}
    return {**out, "unproven": figures.named(ours[~ours.fewest_proven.eq(True)]), "agreement": agreement(rows)}
