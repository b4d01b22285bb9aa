"""The trees inside an ONNX classifier as plain nodes over the schema's features, for methods that work on trees.

What comes before the trees in the graph (filling in, one-hot coding) is found out by asking that part of the graph, not
by knowing how it was built: each column the trees read must be one number of the record, or a function of one choice.
Where an unknown value goes in a split is found out the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..judge.classifier import OnnxChecker, open_session
from ..schema.feature import Vector
from ..schema.schema import Schema
from .graph import NoTreesError as NoTreesError
from .graph import ensemble, with_output

MODES = {"BRANCH_LEQ": ("le", False), "BRANCH_LT": ("lt", False), "BRANCH_GT": ("le", True), "BRANCH_GTE": ("lt", True)}
CLOSE, EDGE = 1e-4, 1e-3
PROBES = 9


@dataclass(frozen=True)
class Forest:
    """Trees as lists of nodes, the sum they start from, and the smallest sum that stands for the goal. No sum under `floor` reaches
    it: the same, unless p is neither the sum nor logistic in it, and `goal` only the least sum that was seen to reach it."""

    trees: list[list[dict[str, Any]]]
    base: float
    goal: float
    floor: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"trees": self.trees, "base": self.base, "goal": self.goal}


@dataclass(frozen=True)
class Reading:
    """The trees of a graph before a goal is set: they, the sum they start from, and of some rows the sums and p, which grow together."""

    trees: list[list[dict[str, Any]]]
    base: float
    sums: Vector
    p: Vector

    def forest(self, goal: float) -> Forest:
        """The forest for a goal. Raises NoTreesError where no row says at which sum it is reached."""
        found = _least(self.sums, self.p, goal)
        if found is None:
            raise NoTreesError("which sum stands for the goal is not known")
        return Forest(self.trees, self.base, *found)


def read(graph: bytes, schema: Schema, wanted: int, X: Vector) -> Reading:
    """The trees of a graph. `X`, shape (rows, features), is what their sums are held against. Raises NoTreesError."""
    held = ensemble(graph)
    try:
        columns = _columns(with_output(graph, held.reads), held.reads, schema, X)
        forests = [(_trees(held.attributes, leaves, columns), base) for leaves, base in _leaves(held.attributes)]
    except (KeyError, IndexError, StopIteration) as error:
        raise NoTreesError("its trees are written in a way that is not known here") from error
    p = OnnxChecker(graph, len(schema), wanted).p_target(X)
    for trees, base in forests:
        sums = base + evaluate(trees, X)
        for sign in (1.0, -1.0):
            if _grow_together(sign * sums, p):
                flipped = [[{**n, "value": sign * n["value"]} if "value" in n else n for n in tree] for tree in trees]
                return Reading(flipped, sign * base, sign * sums, p)
    raise NoTreesError("its probability does not grow with the sum over its trees alone")


def _grow_together(sums: Vector, p: Vector) -> bool:
    order = np.argsort(sums, kind="stable")
    return bool(np.abs(sums - p).max() < CLOSE or ((np.diff(p[order]) >= -CLOSE).all() and p.max() - p.min() >= CLOSE))


def _least(sums: Vector, p: Vector, goal: float) -> tuple[float, float] | None:
    """The sum at which p reaches the goal, and the one under which none does; None where no row says so.

    Exact where p is the sum, or logistic in it or in its log-odds (calibrated forests); else the least sum of a row that does, and the
    largest of one that does not.
    """
    if np.abs(sums - p).max() < CLOSE:
        return goal, goal
    inner = (p > EDGE) & (p < 1 - EDGE)
    plain = _through_line(sums[inner], p[inner], goal)
    if plain is not None:
        return plain, plain
    inner &= (sums > EDGE) & (sums < 1 - EDGE)
    odds = _through_line(_logit(sums[inner]), p[inner], goal)
    if odds is not None:
        return (share := float(1.0 / (1.0 + np.exp(-odds)))), share
    enough = sums[p >= goal]
    return (float(enough.min()), float(sums[p < goal].max(initial=-np.inf))) if enough.size else None


def _through_line(score: Vector, p: Vector, goal: float) -> float | None:
    """The score with p = goal where p is logistic in a straight line of the score, None where it is not."""
    if len(score) < PROBES or np.ptp(score) < CLOSE:
        return None
    slope, start = np.polyfit(score, _logit(p), 1)
    fits = slope > 0 and np.abs(1.0 / (1.0 + np.exp(-(slope * score + start))) - p).max() < CLOSE
    return float((_logit(np.array(goal)) - start) / slope) if fits else None


def _logit(p: Vector) -> Vector:
    return np.asarray(np.log(p / (1.0 - p)))


@dataclass(frozen=True)
class _Column:
    """A column the trees read: the feature it comes from (-1: none), its value for every code (None: the number itself), and
    its value where the feature is unknown (NaN: the trees decide)."""

    feature: int
    table: list[float] | None
    unknown: float


def _columns(graph: bytes, name: str, schema: Schema, X: Vector) -> list[_Column]:
    """Every column the trees read, which the graph gives out as `name`. Raises NoTreesError for one that is made of several values."""
    session = open_session(graph, "the classifier")

    def coded(rows: Vector) -> Vector:
        return np.asarray(session.run([name], {session.get_inputs()[0].name: rows.astype(np.float32)})[0], dtype=np.float64)

    found = [_Column(-1, None, np.nan)] * coded(X[:1]).shape[1]
    for i, feature in enumerate(schema.features):
        values = feature.lattice if feature.kind == "choice" else np.linspace(feature.lattice[0], feature.lattice[-1], PROBES)
        rows = np.repeat(X[:1], len(values) + 1, axis=0)
        rows[:, i] = [*values, np.nan]
        *known, unknown = coded(rows)
        out = np.array(known)
        for c in np.flatnonzero(np.ptp(out, axis=0) > 0):
            plain = feature.kind == "number" and np.array_equal(out[:, c], values.astype(np.float32).astype(np.float64))
            if found[c].feature >= 0 or (feature.kind == "number" and not plain):
                raise NoTreesError("its trees read columns that are made of more than one value of the record")
            found[c] = _Column(i, None if plain else out[:, c].tolist(), float(unknown[c]))
    return found


def _leaves(attributes: dict[str, Any]) -> list[tuple[dict[tuple[int, int], float], float]]:
    """Readings of the leaves, one for each class that has weights: (tree, node) -> weight, and the base sum."""
    kind = "class" if "class_ids" in attributes else "target"
    keys = zip(attributes[f"{kind}_treeids"], attributes[f"{kind}_nodeids"], strict=True)
    rows = list(zip(keys, attributes[f"{kind}_ids"], attributes[f"{kind}_weights"], strict=True))
    base = list(attributes.get("base_values", []))
    out = []
    for one in sorted({column for _, column, _ in rows}, reverse=True):
        start = base[one] if one < len(base) else base[0] if base else 0.0
        out.append(({key: float(w) for key, column, w in rows if column == one}, float(start)))
    return out


def _trees(attributes: dict[str, Any], leaves: dict[tuple[int, int], float], columns: list[_Column]) -> Any:
    """Nodes in lists, children by place in the list, splits over features of the schema."""
    names = ("treeids", "nodeids", "modes", "featureids", "values", "truenodeids", "falsenodeids")
    lists = [attributes[f"nodes_{n}"] for n in names]
    lists.append(attributes.get("nodes_missing_value_tracks_true") or [0] * len(lists[0]))
    by_tree: dict[int, dict[int, tuple[Any, ...]]] = {}
    for tree, at, *rest in zip(*lists, strict=True):
        by_tree.setdefault(tree, {})[at] = tuple(rest)
    out = []
    for tree, nodes in sorted(by_tree.items()):
        place = {at: k for k, at in enumerate(_reached(nodes))}
        out.append([_node(nodes[at], leaves.get((tree, at), 0.0), columns, place) for at in place])
    return out


def _reached(nodes: dict[int, tuple[Any, ...]]) -> list[int]:
    """Nodes from the root on, parents first. The root is the one that is nobody's child."""
    children = {c for mode, _, _, yes, no, _ in nodes.values() if mode != b"LEAF" for c in (yes, no)}
    out = [next(at for at in nodes if at not in children)]
    for at in out:
        mode, _, _, yes, no, _ = nodes[at]
        out += [] if mode == b"LEAF" else [yes, no]
    return out


def _node(node: tuple[Any, ...], weight: float, columns: list[_Column], place: dict[int, int]) -> dict[str, Any]:
    mode, at, value, yes, no, follows = node
    if mode == b"LEAF":
        return {"value": weight}
    if mode.decode() not in MODES:
        raise NoTreesError(f"its trees split by {mode.decode()}")
    op, swapped = MODES[mode.decode()]
    left, right = (place[no], place[yes]) if swapped else (place[yes], place[no])
    column = columns[at]
    if column.feature < 0:
        raise NoTreesError("its trees read a column that no value of the record moves")
    unknown = bool(follows) != swapped if np.isnan(column.unknown) else _below(op, column.unknown, value)
    split = {"feature": column.feature, "left": left, "right": right, "unknown": unknown}
    if column.table is None:
        return {**split, "threshold": float(value), "op": op}
    codes = [code for code, v in enumerate(column.table) if _below(op, v, value)]
    if codes:
        return {**split, "codes": codes}
    return {**split, "codes": list(range(len(column.table))), "left": right, "right": left, "unknown": not unknown}


def _below(op: str, x: float, threshold: float) -> bool:
    return x <= threshold if op == "le" else x < threshold


def evaluate(trees: list[list[dict[str, Any]]], X: Vector) -> Vector:
    """The sum over the trees, shape (rows,), splits compared in float32 as onnxruntime does."""
    X32, total = X.astype(np.float32), np.zeros(len(X))
    for tree in trees:
        waiting = [(0, np.arange(len(X)))]
        while waiting:
            at, rows = waiting.pop()
            node = tree[at]
            if "value" in node:
                total[rows] += node["value"]
                continue
            column = X32[rows, node["feature"]]
            if "codes" in node:
                left = np.isin(column, node["codes"])
            else:
                left = column <= np.float32(node["threshold"]) if node["op"] == "le" else column < np.float32(node["threshold"])
            left = np.where(np.isnan(column), node["unknown"], left)
            waiting += [(node["left"], rows[left]), (node["right"], rows[~left])]
    return total
