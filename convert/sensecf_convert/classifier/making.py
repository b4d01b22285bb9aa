"""The classifier that judges records: trained here, or brought along, as an ONNX graph that is proven to agree.

    recipes   what is tried, chosen over folds of people, calibrated      bring    an own ONNX or skops file
    export    the graph, and its parity on rows and on lattice points

`make` is the one entry. Its graph takes float32 codes [rows, features] with NaN for unknown and answers probabilities
[rows, 2] (unwanted, wanted).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from sensecf_edge.errors import TableError
from sensecf_edge.judge.classifier import OnnxChecker
from sensecf_edge.schema.feature import Vector

from ..table.cohort import Cohort
from . import onnx, recipes
from .kinds import KINDS
from .own import bring


@dataclass(frozen=True)
class Made:
    """A classifier ready for a bundle: the graph, the facts for manifest and card, and what a person should be told."""

    graph: bytes
    facts: dict[str, Any]
    warnings: list[str]


def make(choice: str, train: Cohort, test: Cohort, seed: int, say: Callable[[str], None]) -> Made:
    """Train, or bring in, the classifier named by `choice`: one of KINDS, or the path of an own *.onnx or *.skops.

    Only `train` decides anything; `test` is measured once, at the end. `say` is told the progress, in words. Raises
    TableError for a choice that is none, CheckError for a classifier that cannot be used as it is.
    """
    model: recipes.Model | None
    if choice in KINDS:
        chosen = recipes.choose(choice, train, seed, say)
        model, warnings = chosen.model, list[str]()
        graph = onnx.to_onnx(model, len(train.schema))
        facts = {
            "kind": choice, "recipe": chosen.recipe, "recipes_tried": chosen.tried, "calibrated": chosen.calibrated,
            "sigmoid": chosen.sigmoid and list(chosen.sigmoid), "class_weights": recipes.weights_of(choice, chosen.sigmoid is not None),
            "auc_cv": chosen.auc_cv,
            "brier_cv": chosen.brier_cv, "brier_cv_plain": chosen.brier_cv_plain, "calibration_error_cv": chosen.calibration_error_cv,
            "risk": chosen.risk,
        }  # fmt: skip
    elif Path(choice).suffix or Path(choice).exists():
        own = bring.load_own(Path(choice), train)
        graph, model, warnings = own.graph, own.model, own.warnings
        facts = {
            "kind": own.kind, "recipe": {}, "calibrated": "none", "class_weights": "as brought", "auc_cv": None,
            "class_order": own.order, "warnings": warnings,
        }  # fmt: skip
        say(f"the wanted class is known {own.order}")
    else:
        raise TableError(f"{choice!r} is no classifier; choose one of {', '.join(KINDS)}, or give the path of an own .onnx or .skops file")
    facts |= {"wanted_share": float(train.y.mean()), "graph_bytes": len(graph)}
    facts |= _measured(graph, test) | _agreement(model, graph, train, test, seed, say)
    return Made(graph, facts, warnings)


def _measured(graph: bytes, test: Cohort) -> dict[str, Any]:
    """What the shipped graph does on the people of the test part."""
    return figures(test.y, OnnxChecker(graph, len(test.schema), wanted=1, classes=2).p_target(test.X))


def figures(y: NDArray[np.bool_], p: Vector) -> dict[str, Any]:
    """AUC, Brier score and calibration error of scores `p` (rows,) of the wanted class, both classes weighed alike in the last two."""
    return {"auc": float(roc_auc_score(y, p)), "brier": recipes.brier(y, p), "calibration_error": recipes.calibration_error(y, p)}


def _agreement(
    model: recipes.Model | None, graph: bytes, train: Cohort, test: Cohort, seed: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Parity on every row and on random lattice points; None where only the graph is known, so nothing can be compared."""
    if model is None:
        return dict.fromkeys(("parity", "parity_lattice", "parity_ties", "parity_rows", "parity_lattice_rows"))
    say("comparing the graph with the classifier")
    rows = onnx.parity(model, graph, train.schema, np.concatenate([train.X, test.X]))
    points = onnx.parity(model, graph, train.schema, onnx.lattice_points(train.schema, onnx.LATTICE_ROWS, seed))
    return {
        "parity": rows.worst, "parity_rows": rows.rows, "parity_lattice": points.worst, "parity_lattice_rows": points.rows,
        "parity_ties": rows.ties + points.ties,
    }  # fmt: skip


def facts_line(facts: Mapping[str, Any], unit: str = "people") -> str:
    """The facts in one line: AUC on unseen `unit`, calibration, parity."""
    said = f"{facts['kind']}: AUC {facts['auc']:.3f} on unseen {unit}"
    if facts["auc_cv"] is not None:
        said += f" ({facts['auc_cv']:.3f} over folds, the best of {facts['recipes_tried']})"
    if facts["calibrated"] != "none":
        said += f", calibrated ({facts['calibrated']})"
    if facts["parity"] is None:
        return f"{said}; brought as ONNX, so there is nothing to compare it with"
    ties = f", {facts['parity_ties']:,} float32 ties" if facts["parity_ties"] else ""
    count = facts["parity_rows"] + facts["parity_lattice_rows"]
    return f"{said}; ONNX within {max(facts['parity'], facts['parity_lattice']):.1e} on {count:,} rows and lattice points{ties}"
