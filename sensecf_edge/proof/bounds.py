"""An upper bound of a forest over boxes of answers: every tree takes the best leaf that the box still meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..schema.feature import Vector

Ends = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Levels:
    """A forest's nodes as arrays, children behind parents. A split sends values up to `last` (float32) to `left`.

    Choices are split by a table: `sets[k, code]` says whether the code goes left; `of_set` is k, -1 for numbers.
    """

    feature: Ends
    last: NDArray[np.float32]
    of_set: Ends
    sets: NDArray[np.bool_]
    left: Ends
    right: Ends
    value: Vector
    depths: list[Ends]
    roots: Ends

    @classmethod
    def of(cls, trees: list[list[dict[str, Any]]], codes: int) -> Levels:
        """From plain nodes; `codes` is the largest number of choices of any feature."""
        offset, rows, sets, roots = 0, list[tuple[float, ...]](), list[list[bool]](), list[int]()
        depths: list[list[int]] = []
        for tree in trees:
            roots.append(offset)
            depth = {0: 0}
            for k, node in enumerate(tree):
                while len(depths) <= depth[k]:
                    depths.append([])
                depths[depth[k]].append(offset + k)
                if "value" in node:
                    rows.append((-1, 0, -1, 0, 0, node["value"]))
                    continue
                depth[node["left"]] = depth[node["right"]] = depth[k] + 1
                last, of_set = 0.0, -1
                if "codes" in node:
                    of_set = len(sets)
                    sets.append([code in node["codes"] for code in range(codes)])
                else:
                    last = np.float32(node["threshold"])
                    last = float(last if node["op"] == "le" else np.nextafter(last, np.float32(-np.inf)))
                rows.append((node["feature"], last, of_set, offset + node["left"], offset + node["right"], 0.0))
            offset += len(tree)
        feature, last32, of, left, right, value = (np.array(column) for column in zip(*rows, strict=True))
        whole = [np.array(d, dtype=np.intp) for d in depths]
        table = np.array(sets, dtype=bool).reshape(-1, codes)
        return cls(feature.astype(np.intp), last32.astype(np.float32), of.astype(np.intp), table, left.astype(np.intp),
                   right.astype(np.intp), value, whole, np.array(roots))  # fmt: skip

    def sides(self, low: Vector, high: Vector, open_: Mask, nodes: Ends) -> tuple[Mask, Mask]:
        """Whether boxes reach the left and the right of splits, each of shape (nodes, boxes). See `upper` for the boxes."""
        f = self.feature[nodes]
        left, right = (low.astype(np.float32)[:, f] <= self.last[nodes]).T, (high.astype(np.float32)[:, f] > self.last[nodes]).T
        chosen = np.flatnonzero(self.of_set[nodes] >= 0)
        if chosen.size:
            may, goes = open_[:, f[chosen]], self.sets[self.of_set[nodes[chosen]]]
            left[chosen], right[chosen] = (may & goes).any(axis=2).T, (may & ~goes).any(axis=2).T
        return left, right

    @classmethod
    def joined(cls, parts: list[Levels]) -> Levels:
        """Several cuts of one forest beside each other: trees in the order of the parts."""
        starts = np.cumsum([0, *(len(part.value) for part in parts)])
        shifted = [(part, int(start)) for part, start in zip(parts, starts, strict=False)]
        depth = max(len(part.depths) for part in parts)
        depths = [np.concatenate([part.depths[d] + start for part, start in shifted if d < len(part.depths)]) for d in range(depth)]
        left, right, roots = (np.concatenate([getattr(part, n) + start for part, start in shifted]) for n in ("left", "right", "roots"))
        feature, last, of_set, value = (np.concatenate([getattr(p, n) for p in parts]) for n in ("feature", "last", "of_set", "value"))
        return cls(feature, last, of_set, parts[0].sets, left, right, value, depths, roots)

    def upper(self, low: Vector, high: Vector, open_: Mask, forests: int = 1) -> Vector:
        """An upper bound of the sum over each box of each of the `forests` beside each other, shape (forests, boxes): every tree takes its
        best leaf that the box meets.

        `low`, `high`: ends of the numbers, shape (boxes, features); `open_`: choices, shape (boxes, features, codes).
        """
        best = np.empty((len(self.value), len(low)))
        for nodes in reversed(self.depths):
            best[nodes] = self.value[nodes, None]
            inner = nodes[self.feature[nodes] >= 0]
            left, right = self.sides(low, high, open_, inner)
            best[inner] = np.maximum(np.where(left, best[self.left[inner]], -np.inf), np.where(right, best[self.right[inner]], -np.inf))
        return np.asarray(best[self.roots].reshape(forests, -1, len(low)).sum(axis=1))

    def within(self, low: Vector, high: Vector, open_: Mask) -> Levels:
        """What one box can still reach, splits with one side left taken out: a record fixes most of a forest. Shapes as for
        `upper`, with one box."""
        inner = np.flatnonzero(self.feature >= 0)
        left, right = (np.zeros(len(self.value), dtype=bool) for _ in range(2))
        left[inner], right[inner] = (side[:, 0] for side in self.sides(low, high, open_, inner))
        stands = np.arange(len(self.value))  # the node that stands in each one's place
        for nodes in reversed(self.depths):
            for only, child in ((left & ~right, self.left), (right & ~left, self.right)):
                passed = nodes[only[nodes]]
                stands[passed] = stands[child[passed]]
        reached = np.zeros(len(self.value), dtype=bool)
        reached[stands[self.roots]] = True
        for nodes in self.depths:
            forks = nodes[reached[nodes] & (self.feature[nodes] >= 0)]
            reached[stands[self.left[forks]]] = reached[stands[self.right[forks]]] = True
        kept = np.flatnonzero(reached)
        place = np.cumsum(reached) - 1
        depths = [place[nodes[reached[nodes]]] for nodes in self.depths]
        return Levels(
            self.feature[kept], self.last[kept], self.of_set[kept], self.sets, place[stands[self.left[kept]]],
            place[stands[self.right[kept]]], self.value[kept], [d for d in depths if d.size], place[stands[self.roots]],
        )  # fmt: skip
