"""No generator at all: the loop's search answers alone."""

from __future__ import annotations

from collections.abc import Sequence

from ..propose.engine import Proposal, Request, Unanswered


class Silent:
    """An engine that proposes nothing."""

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Unanswered]:
        """No proposals for any record."""
        return [[] for _ in requests]
