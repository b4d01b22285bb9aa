"""The curve as a picture: PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..presentation.pictures import STYLE, plt, png
from .row_budget import WORDS

TONES = {"generator": "#1f6feb", "additive": "#d1782a", "chance": "#57606a", "search": "#2e8b57", "whole loop": "#8250df"}


def picture(figures: Mapping[str, Any]) -> bytes:
    """Share of records answered (0 to 100 %) over rows of the classifier allowed, on a logarithmic axis, a line a way."""
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 3.6))
        for name, shares in figures["answered"].items():
            axis.plot(figures["allowed"], [100 * (s or 0.0) for s in shares], "o-", color=TONES[name], label=WORDS[name], markersize=4)
        axis.set_xscale("log")
        axis.set_xticks(figures["allowed"], [f"{n:,}" for n in figures["allowed"]])
        axis.minorticks_off()
        axis.set_ylim(0, 103)
        axis.set_xlabel("rows of the classifier allowed")
        axis.set_ylabel(f"% of {figures['of']:,} records answered at the goal")
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)
        axis.grid(color="#eaeef2")
        axis.set_axisbelow(True)
    return png(figure)
