"""How scores become risks, and how true those risks are: fitted on held-out scores of training people, measured on unseen ones.

The fitted scale is `sensecf_edge.answer.risk.RiskScale`. All of it counts rows as they come, at the share each class has; what
weighs both classes alike (scores, threshold) is the classifier's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit

from sensecf_edge.answer.risk import RiskScale
from sensecf_edge.schema.feature import Vector

from .. import statistics
from ..presentation.numbers import percent

EDGE = 1e-6
FLATTEST = 0.05
"""Least slope: a classifier whose held-out scores say nothing still tells risks in one order, all of them near the base rate."""
STRAYING = 1.0
"""Variance that the slope's logarithm is expected to have around 0: with few rows the scores rather keep their own spread."""
BINS, LEAST_IN_BIN = 10, 20


def fitted(p: Vector, y: NDArray[np.bool_], base_rate: float) -> dict[str, float]:
    """The manifest's `risk` from held-out scores `p` of the wanted class (rows,) and who is wanted; `base_rate` of all training rows.

    Logistic recalibration at the rows' own shares, its intercept moved from their share to `base_rate`.
    """
    odds, unwanted = logit(np.clip(1 - p, EDGE, 1 - EDGE)), ~y
    signs = np.where(unwanted, -1.0, 1.0)

    def loss(at: Vector) -> float:
        slope = np.exp(at[1])
        return float(np.logaddexp(0, (at[0] + slope * odds) * signs).mean() + at[1] ** 2 / (2 * STRAYING * len(odds)))

    share = float(np.clip(unwanted.mean(), EDGE, 1 - EDGE))
    best = minimize(loss, np.array([logit(share), 0.0]), method="BFGS")
    slope = max(float(np.exp(best.x[1])), FLATTEST)
    intercept = offset(slope * odds, unwanted)
    return {"intercept": intercept + float(logit(base_rate)) - float(logit(share)), "slope": slope, "base_rate": base_rate}


def offset(odds: Vector, unwanted: NDArray[np.bool_]) -> float:
    """What must be added to log-odds (rows,) for their mean risk to be the share of the unwanted: calibration in the large."""
    share = float(np.clip(unwanted.mean(), EDGE, 1 - EDGE))
    return float(brentq(lambda a: float(expit(odds + a).mean()) - share, -60, 60))


@dataclass(frozen=True)
class Calibration:
    """How true risks are on unseen rows.

    base_rate        share of the unwanted class at which risks were told, `seen` that among these rows
    slope            of a logistic regression of what was seen on the log-odds told: 1 is right, under 1 told risks lie too far apart
    intercept        log-odds to be added to make the mean right; 0 is right, under 0 the risks are too high
    brier            mean squared error of the risks; `brier_base_rate` that of telling everybody the base rate
    curve            per equally full bin of told risks: their mean, the share seen, and rows
    predicted        rows predicted unwanted; of those `recorded` are; ppv is recorded / predicted, None where none is predicted
    sensitivity      share of the recorded unwanted rows that are predicted so; specificity that of the others that are not
    intervals        of ppv, sensitivity, specificity and brier, by person (see `statistics`); empty where nobody said whose rows they are
    """

    rows: int
    base_rate: float
    seen: float
    slope: float | None
    intercept: float
    brier: float
    brier_base_rate: float
    curve: list[dict[str, float]]
    predicted: int
    recorded: int
    ppv: float | None
    sensitivity: float | None
    specificity: float | None
    intervals: dict[str, statistics.Figure] = field(default_factory=dict)


def measured(scale: RiskScale, p: Vector, y: NDArray[np.bool_], threshold: float, persons: ArrayLike | None = None) -> Calibration:
    """The risks that scores `p` (rows,) are told as, against who is wanted among these rows. `persons`: whose rows they are, (rows,)."""
    risk, unwanted = np.array([scale.risk(float(score)) for score in p]), ~y
    odds, flagged = logit(np.clip(risk, EDGE, 1 - EDGE)), p < threshold
    return Calibration(
        rows=len(p),
        base_rate=scale.base_rate,
        seen=float(unwanted.mean()),
        slope=calibration_slope(odds, unwanted),
        intercept=offset(odds, unwanted),
        brier=float(np.mean((risk - unwanted) ** 2)),
        brier_base_rate=float(np.mean((scale.base_rate - unwanted) ** 2)),
        curve=_curve(risk, unwanted),
        predicted=int(flagged.sum()),
        recorded=int((flagged & unwanted).sum()),
        ppv=_share(unwanted[flagged]),
        sensitivity=_share(flagged[unwanted]),
        specificity=_share(~flagged[~unwanted]),
        intervals={} if persons is None else _intervals(risk, unwanted, flagged, np.asarray(persons)),
    )


def _intervals(
    risk: Vector, unwanted: NDArray[np.bool_], flagged: NDArray[np.bool_], persons: NDArray[Any]
) -> dict[str, statistics.Figure]:
    held = {
        "ppv": statistics.share(unwanted[flagged], persons[flagged]),
        "sensitivity": statistics.share(flagged[unwanted], persons[unwanted]),
        "specificity": statistics.share(~flagged[~unwanted], persons[~unwanted]),
        "brier": statistics.mean((risk - unwanted) ** 2, persons),
    }
    return {name: figure for name, figure in held.items() if figure is not None}


def calibration_slope(odds: Vector, y: NDArray[np.bool_]) -> float | None:
    """Slope of a logistic regression of y, (rows,), on told log-odds, (rows,), by maximum likelihood: 1 where they spread as they should,
    under 1 where they are too sure of themselves (Cox, Biometrika 1958). None where all are alike, or one class is missing."""
    if not np.ptp(odds) > 0 or y.all() or not y.any():
        return None
    centred, signs = odds - odds.mean(), np.where(y, -1.0, 1.0)

    def loss(at: Vector) -> float:
        return float(np.logaddexp(0, (at[0] + at[1] * centred) * signs).mean() + 1e-9 * at[1] ** 2)

    return float(minimize(loss, np.array([logit(y.mean()), 1.0]), method="BFGS").x[1])


def _curve(risk: Vector, unwanted: NDArray[np.bool_]) -> list[dict[str, float]]:
    bins = max(1, min(BINS, len(risk) // LEAST_IN_BIN))
    parts = np.array_split(np.argsort(risk, kind="stable"), bins)
    return [{"told": float(risk[part].mean()), "seen": float(unwanted[part].mean()), "rows": len(part)} for part in parts]


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None


def rounded(value: Any) -> Any:
    """Plain JSON values, numbers to six digits: pages show three, and what is rounded to four and then to three can end one off."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, statistics.DIGITS) if isinstance(value, float) else value


def rows(figures: dict[str, Any], unwanted: str, wanted: str, unit: str = "people") -> list[tuple[str, str]]:
    """The figures in words, for card and table; privacy: shares of bins of 20 rows and more, no row. `unit`: what persons are called."""
    f = Calibration(**figures)
    others = f"{f.recorded:,} {unwanted}, {f.predicted - f.recorded:,} {wanted}"

    def sure(name: str, share: float | None) -> str:
        return statistics.with_interval(f.intervals[name], percent, unit) if name in f.intervals else percent(share)

    curve = "; ".join(f"{_hundredths(b['told'])} → {_hundredths(b['seen'])} ({b['rows']:,.0f})" for b in f.curve)
    return [
        ("risks told at a base rate of", f"{100 * f.base_rate:.3g} % {unwanted} (seen: {100 * f.seen:.3g} % of {f.rows:,} rows)"),
        ("calibration slope (1 is right) and intercept (0 is right)", f"{_plain(f.slope)}; {f.intercept:+.2f}"),
        ("Brier score of the risks (of telling everybody the base rate)", f"{f.brier:.4f} ({f.brier_base_rate:.4f})"),
        ("told → seen, per cent (rows)", curve),
        (f"rows predicted {unwanted}, by what is recorded", f"{f.predicted:,}: {others}"),
        (f"of those predicted {unwanted}, so many are (PPV)", sure("ppv", f.ppv)),
        ("sensitivity", sure("sensitivity", f.sensitivity)),
        ("specificity", sure("specificity", f.specificity)),
    ]


def plot(figures: dict[str, Any], width: int = 50) -> str:
    """Told against seen risks, a line for each bin of told ones: o what was told, x what was seen, * where both are the same."""
    curve = Calibration(**figures).curve
    top = max([0.01, *(max(b["told"], b["seen"]) for b in curve)])
    lines = [f"  told   seen  0 {'':<{width - 6}}{100 * top:.0f} %"]
    for b in curve:
        told, seen = (round(b[name] / top * width) for name in ("told", "seen"))
        marks = {told: "o", seen: "x"} if told != seen else {told: "*"}
        lines.append(f"{100 * b['told']:5.1f}  {100 * b['seen']:5.1f}  |" + "".join(marks.get(k, " ") for k in range(width + 1)).rstrip())
    return "\n".join([*lines, "o told, x seen, * both; per cent, bins of equally many rows"])


def _hundredths(share: float) -> str:
    return f"{100 * share:.2g}" if share < 0.995 else "100"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
