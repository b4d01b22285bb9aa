"""What one record asks of the classifier, counted."""

from __future__ import annotations

from ..schema.feature import Vector
from .classifier import Checker


class Counted:
    """A checker that counts the calls and rows it passes on."""

    def __init__(self, checker: Checker) -> None:
        self.checker, self.calls, self.rows = checker, 0, 0

    def p_target(self, Y: Vector) -> Vector:
        """See `Checker`."""
        self.calls += bool(len(Y))
        self.rows += len(Y)
        return self.checker.p_target(Y)
