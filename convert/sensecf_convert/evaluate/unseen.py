"""What a bundle's classifier does on the people it was not fitted to, part by part; what the generator does is `measure`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.risk_scale import scale_of
from sensecf_edge.judge.classifier import OnnxChecker

from .. import statistics
from ..classifier import calibration, making
from ..table.cohort import Cohort
from ..table.split import Parts


def measured(bundle: Bundle, parts: Parts) -> dict[str, dict[str, Any]]:
    """Part -> people, rows, AUC, Brier score, calibration error and how true told risks are; `final` only where there is one."""
    named = {"test": parts.test} | ({} if parts.final is None else {"final": parts.final})
    return {name: calibration.rounded(_of(bundle, part)) for name, part in named.items()}


def _of(bundle: Bundle, part: Cohort) -> dict[str, Any]:
    manifest = bundle.manifest
    p = OnnxChecker(bundle.classifier_bytes(), len(bundle.schema), wanted=manifest.target.index).p_target(part.X)
    told = calibration.measured(scale_of(manifest), p, part.y, manifest.target.threshold, part.persons)
    auc = statistics.statistic(lambda persons, W: statistics.auc(part.y, p, persons, W), part.persons)
    known = {"people": part.people, "rows": len(part), **making.figures(part.y, p)}
    return {**known, "intervals": {"auc": auc}, "calibration": asdict(told)}


def headline(measured: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """What a bundle says of its classifier in one number: the figures on the final part, so that answers are called those of a weak
    classifier by people whom nobody looked at before. Empty without a final part: then the facts of the test part stand."""
    return {name: measured["final"][name] for name in ("auc", "brier", "calibration_error")} if "final" in measured else {}
