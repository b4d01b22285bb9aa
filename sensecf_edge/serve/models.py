"""The models that the page offers: named from their manifests, opened when they are first asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..bundle.bundle import Bundle, find, read_manifest
from ..bundle.manifest import Manifest
from ..errors import BundleError, SenseCFError
from ..explain import Explainer


@dataclass(frozen=True)
class Offered:
    """A model that is offered. `given` is what opens it."""

    key: str
    given: str | Path
    manifest: Manifest


@dataclass
class Models:
    """Models by key, in the order in which they are offered. Not for two threads at once, but for `offered`."""

    offered: dict[str, Offered]
    threads: int = 0
    device: str = "auto"
    _open: dict[str, Explainer] = field(default_factory=dict)

    @classmethod
    def of(cls, models: Sequence[str], only: bool = False, threads: int = 0, device: str = "auto") -> Models:
        """Those that are named, and behind them the shipped ones unless it is to be `only` these. Raises BundleError.

        A shipped model that is damaged is left out, and so is one over weights that are fetched, unless it is named.
        """
        shipped = {folder.resolve(): name for name, folder in Bundle.available()}
        out = dict[str, Offered]()
        for model in models:
            folder = find(model)
            name = shipped.get(folder.resolve())
            manifest, _ = read_manifest(folder)
            key = name or next(k for k in _keys(manifest.name) if k not in out and k not in shipped.values())
            out.setdefault(key, Offered(key, name or folder, manifest))
        for folder, name in shipped.items():
            if not (only and models) and name not in out:
                try:
                    manifest, _ = read_manifest(folder)
                except SenseCFError:
                    continue
                if manifest.generator.weights is None:
                    out[name] = Offered(name, name, manifest)
        if not out:
            raise BundleError("there is no model to offer; give one: --model PATH")
        return cls(out, threads, device)

    def explainer(self, key: str, base_rate: float | None = None) -> Explainer:
        """A model, opened. At another base rate it is the same one, told otherwise. Raises SenseCFError."""
        if key not in self.offered:
            raise BundleError(f"no model {key!r} is offered here")
        if key not in self._open:
            self._open[key] = Explainer.load(self.offered[key].given, self.threads, self.device)
        held = self._open[key]
        if base_rate is None:
            return held
        return Explainer(held.bundle, held.engine, held.checker, held.realism, held.rivals, base_rate=base_rate, prompting=held.prompting)

    def close(self) -> None:
        """Give native memory back."""
        for explainer in self._open.values():
            explainer.close()
        self._open.clear()


def _keys(name: str) -> list[str]:
    return [name, *(f"{name} ({k})" for k in range(2, 100))]
