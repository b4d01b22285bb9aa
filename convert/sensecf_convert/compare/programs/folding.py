"""Trees of a classifier as one record sees them, for packages that work on trees and know no classifier to put limits inside.

Splits on what stands still are decided; splits on a feature that follows one other become splits on that other. What is left
lies between two values that the record may take, so that any number between them leads where its limits would bring it.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sensecf_edge.space import rules
from sensecf_edge.space.admissible import moved_by

MOST_WAYS = 16


@dataclass
class Movable:
    """A feature that may be moved by itself: its codes, the present one among them, ascending, and where that stands.

    `rows[j]` is the record with this feature alone at `codes[j]` and all that follows, shape (codes, features).
    """

    feature: int
    codes: np.ndarray
    present: int
    rows: np.ndarray


@dataclass
class Folded:
    """`parts` by feature. `home`: followers of one part and of nothing else, feature -> part. `several`: what follows more than
    one part, or may be moved by itself as well (the effect of a cause); feature -> the parts it follows."""

    trees: list[Any]
    parts: dict[int, Movable]
    home: dict[int, int] = field(default_factory=dict)
    several: dict[int, list[int]] = field(default_factory=dict)


def fold(question, k, trees, still=frozenset()):
    """The trees of record k over its free features, but for those that stand `still`. Values that take a follower of one out of its
    range are left out."""
    limits, schema, x = question.limits(k), question.schema, question.exact[k]
    values = [] if limits.space is None else [v[:0] if i in still else v for i, v in enumerate(limits.space.values)]
    free = [i for i, v in enumerate(values) if v.size]
    out = Folded([], {i: _part(limits, i) for i in free})
    moved = moved_by(schema, values) if free else [set() for _ in schema.names]
    for name, _ in schema.followers:
        i = schema.index[name]
        by = moved[i] - {i}
        if not by or np.isnan(x[i]):
            continue
        if len(by) == 1 and i not in out.parts:
            out.home[i] = next(iter(by))
        else:
            out.several[i] = sorted(by)
    for i, part in out.parts.items():
        out.parts[i] = _within(limits, part, [schema.names[j] for j, home in out.home.items() if home == i])
    tables = {i: (i, part.codes) for i, part in out.parts.items() if i not in out.several}
    tables |= {i: (home, out.parts[home].rows[:, i]) for i, home in out.home.items()}
    out.trees = [_tree(nodes, tables, set(out.several), x) for nodes in trees]
    return out


def _part(limits, i):
    x = limits.x
    codes = np.sort(np.append(limits.space.values[i], x[i]))
    rows = np.repeat(x[None], len(codes), axis=0)
    rows[:, i] = codes
    return Movable(i, codes, int(np.flatnonzero(codes == x[i])[0]), rules.complete(limits.schema, x, rows))


def _within(limits, part, followers):
    """The part without the codes that take one of its followers out of its range: no other change mends that."""
    bad = np.zeros(len(part.codes), dtype=bool)
    for rule, mask in rules.broken(limits.space, part.rows).items():
        if rule in {f"{name} leaves its range" for name in followers}:
            bad |= mask
    codes = part.codes[~bad]
    return Movable(part.feature, codes, int(np.flatnonzero(codes == limits.x[part.feature])[0]), part.rows[~bad])


def _tree(nodes, tables, several, x):
    """A tree as nested tuples: ("leaf", value), ("split", part, mask over its codes, yes, no), ("above", follower, threshold, op, yes,
    no)."""

    def grow(at):
        node = nodes[at]
        if "value" in node:
            return ("leaf", node["value"])
        i = node["feature"]
        if i in several:
            return ("above", i, node["threshold"], node["op"], grow(node["left"]), grow(node["right"]))
        part, values = tables.get(i, (i, x[i : i + 1]))
        left = _goes_left(node, values)
        if left.all() or not left.any():
            return grow(node["left"] if left[0] else node["right"])
        return ("split", part, left, grow(node["left"]), grow(node["right"]))

    return grow(0)


def _goes_left(node, values):
    values = values.astype(np.float32)
    if "codes" in node:
        left = np.isin(values, node["codes"])
    else:
        left = values <= np.float32(node["threshold"]) if node["op"] == "le" else values < np.float32(node["threshold"])
    return np.where(np.isnan(values), node["unknown"], left)


def thinned(folded, schema):
    """The same without codes that nothing but their distance tells apart from one nearer to the record: no split of a tree and no
    relation reads them."""
    tied = {schema.index[name] for relation in schema.relations for name in relation.features}
    masks = {i: [np.arange(len(part.codes)) == part.present] for i, part in folded.parts.items()}
    for tree in folded.trees:
        for _, i, mask in splits(tree):
            masks[i].append(mask)
    kept = {i: np.ones(len(part.codes), dtype=bool) if i in tied else _nearest_alike(part, np.array(masks[i]))
            for i, part in folded.parts.items()}  # fmt: skip
    parts = {i: Movable(i, part.codes[kept[i]], int(kept[i][: part.present].sum()), part.rows[kept[i]]) for i, part in folded.parts.items()}
    return Folded([_masked(tree, kept) for tree in folded.trees], parts, folded.home, folded.several)


def splits(tree):
    """Every split of a tree by a part: ("split", part, mask)."""
    if tree[0] == "split":
        yield tree[:3]
    if tree[0] != "leaf":
        for branch in tree[-2:]:
            yield from splits(branch)


def _nearest_alike(part, masks):
    order = np.argsort(np.abs(part.codes - part.codes[part.present]), kind="stable")
    _, first = np.unique(masks[:, order], axis=1, return_index=True)
    kept = np.zeros(len(part.codes), dtype=bool)
    kept[order[first]] = True
    return kept


def _masked(tree, kept):
    if tree[0] == "leaf":
        return tree
    branches = [_masked(branch, kept) for branch in tree[-2:]]
    return ("split", tree[1], tree[2][kept[tree[1]]], *branches) if tree[0] == "split" else (*tree[:-2], *branches)


def singly(folded):
    """Sets of parts that may stand still so that every follower has one part at most that moves it, an effect of causes none but
    those; at most `MOST_WAYS` of them, each once."""
    effects = folded.several.keys() & folded.parts.keys()
    ways = itertools.islice(itertools.product(*folded.several.values()), MOST_WAYS)
    tied = {i for by in folded.several.values() for i in by}
    return list(dict.fromkeys(frozenset(effects | {i for i in tied if any(i in by and i != chosen for by, chosen in zip(
        folded.several.values(), way, strict=True))}) for way in ways))  # fmt: skip
