"""Who can say of a bundle's classifier that no answer exists: its trees, held against made-up people."""

from __future__ import annotations

from ..judge.classifier import Checker
from ..judge.density import Density, Realism
from ..proof.prover import ROWS, Prover
from .bundle import Bundle


def prover_of(bundle: Bundle, checker: Checker, typical: Realism | None) -> Prover | None:
    """The prover of the graph that `checker` judges with; None for a bundle without a density to draw people from. Reads nothing yet."""
    if not isinstance(typical, Density):
        return None
    return Prover(checker, bundle.classifier_bytes(), bundle.schema, lambda: typical.people(ROWS, 0), bundle.manifest.target.index)
