"""Figures of a bundle -> words and tables for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import advice, calibration
from .threshold import goal_of

if TYPE_CHECKING:
    from sensecf_edge.bundle import Bundle

    from .evaluate import Figures


WHOSE = {
    "test": "the test {unit}, on whom nothing was trained",
    "final": "the final {unit}, whom nothing but these figures has seen",
}
"""Part -> whose figures those are."""


def percent(share: float | None) -> str:
    """A share of 0..1 in per cent."""
    return "-" if share is None else f"{100 * share:.1f} %"


def plain(value: float | None, digits: int = 2) -> str:
    """A number with so many digits behind the point."""
    return "-" if value is None else f"{value:.{digits}f}"


def interval(share: float | None, count: int) -> str:
    """A share of `count` records with its 95 % interval (Wilson's), in words."""
    if share is None or not count:
        return "-"
    from scipy.stats import binomtest

    ends = binomtest(round(share * count), count).proportion_ci(method="wilson")
    return f"{100 * share:.1f} % of {count} (95 % interval {100 * ends.low:.1f} to {100 * ends.high:.1f})"


def table_of(bundle: Bundle, figures: Figures, seconds: float, alternatives: int) -> str:
    """The figures as a table for people. `alternatives`: how many answers were asked for where their variety was counted."""
    target = bundle.manifest.target
    unit, people = ("rows", "") if figures.people is None else ("people", f"{figures.people:,} people, ")
    rows = [
        (f"classifier's AUC on unseen {unit}", f"{figures.auc:.3f}  ({people}{figures.rows:,} rows)"),
        ("records asked for", f"{figures.asked:,}"),
        ("  of which so many may change nothing", f"{figures.locked:,}"),
        (f"  of which an answer with p >= {target.threshold:.3g} exists", f"{figures.possible_valid:,}"),
        (
            f"  of which one with p >= {goal_of(target.threshold):.3g} exists",
            f"{figures.possible_usable:,}  ({figures.unproven} unproven)",
        ),
        ("first try valid, where one exists", interval(figures.first_try_valid, figures.possible_valid)),
        ("usable after the loop, of all asked for", interval(figures.usable, figures.asked)),
        ("usable after the loop, where one exists", interval(figures.usable_of_possible, figures.possible_usable)),
        ("immutable, out of range or off the lattice", str(figures.broken)),
        ("features changed / unchanged, mean", f"{plain(figures.n_changed)} / {plain(figures.n_unchanged)}"),
        ("  the fewest that any answer must change, mean", fewest(figures.fewest)),
        ("distance: Gower / L1 in MADs, mean", f"{plain(figures.distance, 4)} / {plain(figures.distance_mad, 3)}"),
        ("realism percentile, mean", plain(figures.realism, 0)),
        ("kNN ratio of answers / of the records", f"{plain(figures.knn_ratio)} / {plain(figures.knn_ratio_factual)}"),
        ("LOF inliers", percent(figures.lof_inliers)),
        (f"alternatives: different sets of features, of {alternatives} answers", plain(figures.alternatives)),
        ("milliseconds per record, warm: p50 / p95", f"{plain(figures.p50_ms, 1)} / {plain(figures.p95_ms, 1)}"),
    ]
    rows += advice.rows(figures.advice) if figures.advice else []
    if figures.calibration:
        rows += calibration.rows(figures.calibration, target.unwanted, target.wanted)
    width = max(len(k) for k, _ in rows)
    head = f"{bundle.manifest.title or bundle.name}: figures on {WHOSE[figures.part].format(unit=unit)} ({seconds:.0f} s)"
    out = [head, *(f"  {k:<{width}}  {v}" for k, v in rows)]
    if figures.rivals:
        from .rivals import allowance, beside

        out += ["", beside.text(figures.rivals)]
        out += ["", allowance.text(figures.curve)] if figures.curve else []
    out += ["", *advice.lines(bundle.schema, figures.advice)] if figures.advice else []
    return "\n".join(out)


def fewest(figures: dict[str, Any]) -> str:
    """What is proven of the fewest features, and how many answers change more."""
    if figures.get("mean") is None:
        return "-"
    least = "" if figures["proven"] == figures["answers"] else "at least "
    return f"{least}{figures['mean']:.2f}  (proven for {figures['proven']:,} of {figures['answers']:,}; {figures['more']:,} change more)"
