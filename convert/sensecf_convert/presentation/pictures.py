"""Pictures without a display: one style, PNG bytes."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
from matplotlib import pyplot as plt

__all__ = ["STYLE", "plt", "png"]

matplotlib.use("Agg")


STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.titleweight": "bold"}


def png(figure: Any) -> bytes:
    """The picture; the figure is closed."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    return out.getvalue()
