"""What the whole loop asks of the classifier, and where its time goes: the generator, the classifier, the density, the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from sensecf_edge.explain import Explainer
from sensecf_edge.judge.objective import Judge

Out = TypeVar("Out")
PARTS = {"generator": ("propose",), "classifier": ("p_target",), "density": ("percentile", "log_density", "rank")}


class _Timed:
    """Stands in for something and counts the seconds spent inside some of its methods."""

    def __init__(self, inner: Any, methods: tuple[str, ...]) -> None:
        self._inner, self._methods, self.seconds, self.rows = inner, methods, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._watched(found) if name in self._methods else found

    def _watched(self, method: Callable[..., Out]) -> Callable[..., Out]:
        def call(*args: Any) -> Out:
            began = time.perf_counter()
            try:
                return method(*args)
            finally:
                self.seconds += time.perf_counter() - began
                self.rows += len(args[0])

        return call


@dataclass
class Usage:
    """Rows of the classifier that each watched record took, and the seconds of each part over all of them."""

    rows: list[int] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys([*PARTS, "rest"], 0.0))

    @contextmanager
    def watching(self, explainer: Explainer) -> Iterator[None]:
        """What the explainer does for one record inside is counted; afterwards the explainer is as it was."""
        judge, began = explainer.judge, time.perf_counter()
        inner = {"generator": explainer.engine, "classifier": judge.checker, "density": judge.realism}
        timed = {name: _Timed(inner[name], methods) for name, methods in PARTS.items()}
        typical = timed["density"] if judge.realism else None
        with standing_in(explainer, timed["generator"], replace(judge, checker=timed["classifier"], realism=typical)):
            yield
        for name, part in timed.items():
            self.seconds[name] += part.seconds
        self.seconds["rest"] += time.perf_counter() - began - sum(part.seconds for part in timed.values())
        self.rows.append(timed["classifier"].rows)

    def figures(self) -> dict[str, Any]:
        """Rows a record: mean, median, 95 %; shares (0..1) of the time by part. Empty where nothing was watched."""
        whole = sum(self.seconds.values())
        if not self.rows or not whole:
            return {}
        half, most = np.quantile(self.rows, [0.5, 0.95])
        shares = {name: round(seconds / whole, 3) for name, seconds in self.seconds.items()}
        return {"rows": round(float(np.mean(self.rows)), 1), "rows_p50": float(half), "rows_p95": float(most), "time": shares}


@contextmanager
def standing_in(explainer: Explainer, engine: Any, judge: Judge) -> Iterator[None]:
    """Another engine and judge, its classifier included, in an explainer's place of its own; afterwards it is as it was."""
    before = explainer.engine, explainer.checker, explainer.judge
    explainer.engine, explainer.checker, explainer.judge = engine, judge.checker, judge
    try:
        yield
    finally:
        explainer.engine, explainer.checker, explainer.judge = before
