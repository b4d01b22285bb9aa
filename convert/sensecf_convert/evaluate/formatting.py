"""Figures of a bundle -> words and tables for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import statistics
from ..classifier import calibration
from ..classifier.threshold import goal_of
from ..presentation.numbers import percent, plain
from . import advice
from .metrics import METRICS

if TYPE_CHECKING:
    from sensecf_edge.bundle.bundle import Bundle

    from .figures import Figures


WHOSE = {
    "test": "the test {unit}, on whom nothing was trained",
    "final": "the final {unit}, with whom the bundle's fit did nothing but measure",
}
"""Part -> whose figures those are."""


def sure(figures: Mapping[str, Any], name: str, count: int | None, unit: str) -> str:
    """A share of so many records with its 95 % interval by person, in words. `figures`: as JSON; `unit`: what persons are called."""
    if (known := figures.get("intervals", {}).get(name)) is not None:
        return statistics.with_interval(known, percent, unit)
    share = figures.get(name)
    return "-" if share is None or not count else f"{percent(share)} of {count}"


def metric_rows(figures: Mapping[str, Any], unit: str) -> list[tuple[str, str]]:
    """A label and a value with its interval for each metric of an answer. `figures`: as JSON; of an older bundle some may be missing."""
    out = []
    for metric in (m for m in METRICS if m.key in figures):
        known, own = figures.get("intervals", {}).get(metric.key), figures.get(f"{metric.key}_factual")
        around = "" if known is None else f" ({statistics.interval(known, metric.text, unit)})"
        beside = "" if own is None else f"; of the records themselves {metric.text(own)}"
        out.append((metric.label, f"{metric.text(figures[metric.key])}{around}{beside}"))
    return out


def auc_of(figures: Mapping[str, Any], unit: str) -> str:
    """The AUC with its interval, and over how many rows. `figures`: as JSON, with `auc`, `rows` and `intervals`."""
    known = figures.get("intervals", {}).get("auc")
    rows = "" if known is not None and unit == "rows" else f", {figures['rows']:,} rows"
    return (plain(figures["auc"], 3) if known is None else statistics.with_interval(known, lambda v: f"{v:.3f}", unit, many=False)) + rows


def table_of(bundle: Bundle, figures: Figures, seconds: float, alternatives: int) -> str:
    """The figures as a table for people. `alternatives`: how many answers were asked for where their variety was counted."""
    target = bundle.manifest.target
    unit = "rows" if figures.people is None else "people"
    held = figures.to_json()
    rows = [
        (f"classifier's AUC on these {unit}", auc_of(held, unit)),
        (f"records asked for: predicted {target.unwanted}", f"{figures.asked:,}"),
        ("  of which may change nothing, by schema and own values", f"{figures.locked:,}"),
        (f"  of which an answer with p >= {target.threshold:.3g} exists", f"{figures.possible_valid:,}"),
        (
            f"  of which one with p >= {goal_of(target.threshold):.3g} exists",
            f"{figures.possible_usable:,}  (of all asked, {figures.unproven:,} neither proven nor ruled out: counted as if it did)",
        ),
        ("first try valid, of all asked for", sure(held, "first_try_valid_of_asked", figures.asked, unit)),
        ("first try valid, where one exists", sure(held, "first_try_valid", figures.possible_valid, unit)),
        ("usable after the loop, of all asked for", sure(held, "usable", figures.asked, unit)),
        ("usable after the loop, where one exists", sure(held, "usable_of_possible", figures.possible_usable, unit)),
        ("answers that change what may not change, or leave range or steps", f"{figures.broken:,}"),
        *metric_rows(held, unit),
        ("the fewest that any answer must change, mean", fewest_text(figures.fewest)),
        (f"alternatives: different sets of features, of {alternatives} answers", plain(figures.alternatives)),
        ("milliseconds per record, warm: p50 / p95", f"{plain(figures.p50_ms, 1)} / {plain(figures.p95_ms, 1)}"),
    ]
    rows += advice.rows(figures.advice) if figures.advice else []
    if figures.calibration:
        rows += calibration.rows(figures.calibration, target.unwanted, target.wanted, unit)
    width = max(len(k) for k, _ in rows)
    head = f"{bundle.manifest.title or bundle.name}: figures on {WHOSE[figures.part].format(unit=unit)} ({seconds:.0f} s)"
    out = [head, *(f"  {k:<{width}}  {v}" for k, v in rows)]
    if figures.rivals:
        from ..baselines import comparison, row_budget

        out += ["", comparison.text(figures.rivals, unit)]
        out += ["", row_budget.text(figures.curve)] if figures.curve else []
    out += ["", *advice.lines(bundle.schema, figures.advice)] if figures.advice else []
    return "\n".join(out)


def fewest_text(figures: dict[str, Any]) -> str:
    """What is proven of the fewest features, and how many answers change more."""
    if figures.get("mean") is None:
        return "-"
    least = "" if figures["proven"] == figures["answers"] else "at least "
    rest = f", not for {_rows(figures['unproven'])}" if figures.get("unproven") else ""
    proven = f"proven for {figures['proven']:,} of {figures['answers']:,}{rest}"
    return f"{least}{figures['mean']:.2f}  ({proven}; {figures['more']:,} change more)"


def _rows(named: list[list[Any]]) -> str:
    return ", ".join(f"{table} row {row}" for table, row in named)


def possible(found: dict[str, Any]) -> str:
    """Which records have an answer under the same rules, and whether ours has one for each of them."""
    mine = round(found["share"].get("ours", 0.0) * found["records"])
    text = f"an answer under the same rules: {found['records']:,} of {found['asked']:,} records; {found['proven']:,} proven to have none"
    text += f", {found['open']:,} open: {_rows(found['unproven'])}" if found["open"] else ""
    if "ours" not in found["share"]:
        return text
    lacking = f", not {_rows(found['missing'])}" if found["missing"] else ""
    return f"{text}; ours answers {mine:,} of the {found['records']:,}{lacking}"
