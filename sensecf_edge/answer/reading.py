"""Reading what was written: older formats of an explanation become the present one, keys of later versions are passed over."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .risk import Risk, RiskScale


def known(kind: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass, without the keys that a later version may have added."""
    names = {f.name for f in dataclasses.fields(kind)}
    return {name: value for name, value in data.items() if name in names}


def from_first(data: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 as format 2. It knew neither base rates nor completions: its risks were those of both classes weighed alike."""
    scale, threshold, goal = RiskScale(), data["threshold"], min(1.0, data["threshold"] + data["margin"])
    risk = Risk.of(scale, (data["p_target"],) * 3, threshold, goal)
    out = {**data, "format": 2, "risk": dataclasses.asdict(risk), "unwanted": _other(data)}
    out["found"] = [{**f, **dict.fromkeys(("risk", "risk_low", "risk_high"), scale.risk(f["p_target"]))} for f in data["found"]]
    for answer in out["found"]:
        answer["stability"] = None  # drawn without anybody's statement of an error
    if proven := data.get("proven"):
        out["proof"] = {"features": proven, "goal": goal, "scope": "request"}
    return out


def _other(data: Mapping[str, Any]) -> str:
    return str(data["predicted"]) if data["predicted"] != data["target"] else f"not {data['target']}"
