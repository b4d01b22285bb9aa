"""How typical records are, as a bundle knows it: its density, or the graph of an older bundle."""

from __future__ import annotations

from ..judge.classifier import OnnxRealism
from ..judge.density import Realism
from .bundle import Bundle


def realism(bundle: Bundle, threads: int = 1, device: str = "cpu") -> Realism:
    """How ordinary records are, as the bundle knows it. Raises CheckError."""
    graph = bundle.realism_bytes()
    if graph is None:
        assert bundle.density is not None  # `Bundle.open` saw to it
        return bundle.density
    return OnnxRealism(graph, len(bundle.schema), bundle.reference.realism_quantiles, threads, device)
