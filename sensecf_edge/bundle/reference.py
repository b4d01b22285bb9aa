"""reference.json of a bundle: aggregates of the training people, by feature. No person's row is in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BundleError
from ..schema.schema import Schema
from .manifest import REBUILD, REFERENCE


@dataclass(frozen=True)
class Reference:
    """11 quantiles (0, 10 … 100 %) of every number, and its median absolute deviation.

    `realism_quantiles` (bundles of format 1 only) are 101 log-densities (0 … 100 %) of people of the wanted class.
    """

    quantiles: Mapping[str, tuple[float, ...]]
    mad: Mapping[str, float]
    realism_quantiles: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, data: Any, schema: Schema, with_realism: bool) -> Reference:
        """Parse and check. Raises BundleError."""
        try:
            quantiles = {str(k): tuple(map(_number, v)) for k, v in data["quantiles"].items()}
            mad = {str(k): _number(v) for k, v in data["mad"].items()}
            realism = tuple(map(_number, data["realism_quantiles"])) if with_realism else ()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BundleError(f"{REFERENCE} lacks usable quantiles, mad or realism_quantiles ({error}); {REBUILD}") from error
        unknown = sorted({*quantiles, *mad} - set(schema.names))
        if unknown:
            raise BundleError(f"{REFERENCE} names {unknown[0]!r}, which the schema does not have; {REBUILD}")
        if any(len(q) != 11 for q in quantiles.values()) or list(realism) != sorted(realism) or len(realism) not in (0, 101):
            raise BundleError(f"{REFERENCE}: realism_quantiles are 101 ascending numbers and quantiles 11 a feature; {REBUILD}")
        return cls(quantiles, mad, realism)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
