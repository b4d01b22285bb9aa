"""treecf on the trees inside the ONNX classifier, with its own options: Freeze, Range, AllowedCategories, Grid, Linear.

It gets the trees as the record sees them (`folding`): a feature that follows one other is folded into it, and where no value of the
record lies, no split does. Its distance is set to ours: each change over the feature's range, a choice 1, with what
follows. It asks no classifier: the trees are a copy, checked against the graph before. Grid binds the exact search only
without its warm start, whose answers may lie between the steps and are kept; the genetic search gives a step up where it does not
reach the goal.

Followers of several features: its genetic search meets no equality of numbers that it puts on steps afterwards. It is asked once for
each way in which one feature moves each follower, the others standing still, and its nearest answer counts; what takes two of them is
out of its reach. The exact search gets such a follower as a free column, so it has more freedom than the others, and its distances
are a lower bound.
"""

import json
import math
import sys
import warnings

import asked
import numpy as np
from treecf import AllowedCategories, Counterfactual, Explainer, Freeze, Grid, Linear, Range, Target
from treecf.ir.model import CategoricalFeature, EnsembleIR, Link, Node, SplitOp, Tree
from treecf.ir.parsers._float32 import effective_le_threshold, effective_lt_threshold

KINDS = {"le": (SplitOp.LE, effective_le_threshold), "lt": (SplitOp.LT, effective_lt_threshold)}
NEAR = 1e-3
"""Part of the way between two codes at which a split is put, on the side of the one nearer to the record."""


class Plain:
    """The trees as they are: nothing but the immutables is pinned."""

    def __init__(self, nodes):
        self.tree = Tree(tuple(self._node(at, n) for at, n in enumerate(nodes)))

    @staticmethod
    def _node(at, n):
        if "value" in n:
            return Node(at, None, None, None, None, None, None, n["value"])
        if "codes" in n:
            return Node(at, n["feature"], None, None, n["unknown"], n["left"], n["right"], None, frozenset(n["codes"]))
        op, effective = KINDS[n["op"]]
        return Node(at, n["feature"], effective(n["threshold"]), op, n["unknown"], n["left"], n["right"], None)


class Grown:
    """A folded tree as treecf holds one, parents before children."""

    def __init__(self, question, parts, whole):
        self.question, self.parts = question, parts
        self.nodes: list[Node | None] = []
        self._add(whole)
        self.tree = Tree(tuple(self.nodes))

    def _add(self, tree):
        at = len(self.nodes)
        if tree[0] == "leaf":
            self.nodes.append(Node(at, None, None, None, None, None, None, tree[1]))
            return at
        self.nodes.append(None)
        if tree[0] == "above":
            _, feature, threshold, op, left, right = tree
            kind, effective = KINDS[op]
            split = (feature, effective(threshold), kind)
        else:
            _, feature, mask, left, right = tree
            part = self.parts[feature]
            if self.question.kinds[feature] == "choice":
                codes = frozenset(int(c) for c in part.codes[mask])
                self.nodes[at] = Node(at, feature, None, None, False, self._add(left), self._add(right), None, codes)
                return at
            if not mask[0]:
                mask, left, right = ~mask, right, left
            ends = np.flatnonzero(mask[:-1] != mask[1:])
            if len(ends) > 1:
                rest = mask.copy()
                rest[: ends[0] + 1] = rest[ends[0] + 1]
                right = ("split", feature, rest, left, right)
            split = (feature, effective_le_threshold(_between(part, int(ends[0]))), SplitOp.LE)
        below, above = self._add(left), self._add(right)
        self.nodes[at] = Node(at, *split, False, below, above, None)
        return at


def _between(part, j):
    """A number between the codes j and j + 1, beside the one that is nearer to the record."""
    low, high = part.codes[j], part.codes[j + 1]
    return float(low + NEAR * (high - low)) if j >= part.present else float(high - NEAR * (high - low))


def ensemble(question, trees, base):
    """The trees as treecf holds them."""
    categorical = {i: CategoricalFeature(question.choices[i]) for i in question.choice_columns}
    names = tuple(question.names)
    return EnsembleIR(tuple(trees), base, Link.IDENTITY, len(names), names, {"source": "onnx"}, categorical)


def limits(question, k, folded, exact):
    """What record k may change, in treecf's own words."""
    out = []
    for i, name in enumerate(question.names):
        part = folded.parts.get(i)
        if i in folded.several:
            out.append(Range(name, *(float(end) for end in question.schema.features[i].lattice[[0, -1]])))
        elif part is None:
            out.append(Freeze(name))
        elif question.kinds[i] == "choice":
            out.append(AllowedCategories(name, tuple(int(c) for c in part.codes)))
        else:
            out.append(Range(name, float(part.codes[0]), float(part.codes[-1])))
    for relation in question.plain["linear"]:
        at = [i for i, _ in relation["coefficients"]]
        coefficients = {question.names[i]: c for i, c in relation["coefficients"]}
        if question.unknown[k, at].any() or not any(i in folded.parts or i in folded.several for i in at):
            continue
        if relation["op"] == "==" and folded.home.keys() & set(at):
            continue  # it is what was folded in: kept whatever moves
        now = float(sum(c * question.exact[k, i] for i, c in relation["coefficients"]))
        if exact and (relation["op"] != "<=" or max(relation["rhs"], now) != 0.0):
            continue  # it takes an order of two features and no other rule over several
        if relation["op"] == "<=":
            out.append(Linear(coefficients, "<=", max(relation["rhs"], now)))
        else:
            own = max(abs(now - relation["rhs"]), relation["tolerance"])
            out += [Linear(coefficients, "<=", relation["rhs"] + own), Linear(coefficients, ">=", relation["rhs"] - own)]
    return out


def spans(question, k, folded):
    """The unit of distance of every feature, with what follows it."""
    out = dict(zip(question.names, question.spans, strict=True))
    for i, part in folded.parts.items():
        if question.kinds[i] == "number" and len(part.codes) > 1:
            j = int(np.abs(part.codes - part.codes[part.present]).argmax())
            cost = np.nan_to_num(np.abs(part.rows[j] - question.exact[k]) / question.spans).sum()
            out[question.names[i]] = float(abs(part.codes[j] - part.codes[part.present]) / cost)
    return out


def prepare(question, method):
    """See `asked.answer`."""
    import folding

    warnings.simplefilter("ignore")
    exact = method.startswith("treecf-exact")
    plain = json.loads((question.folder / "trees.json").read_text(encoding="utf-8"))
    bare = ensemble(question, [Plain(nodes).tree for nodes in plain["trees"]], plain["base"]) if question.pinned else None
    def explained(k, folded):
        trees = [Grown(question, folded.parts, tree).tree for tree in folded.trees]
        steps = {
            question.names[i]: Grid(step=question.steps[i][0], anchor=question.steps[i][1])
            for i in folded.parts
            if question.kinds[i] == "number" and i not in folded.several
        }
        whole, rules = ensemble(question, trees, plain["base"]), limits(question, k, folded, exact)
        return Explainer(whole, constraints=rules, normalizers=spans(question, k, folded), value_policy=steps)

    def explainers(k):
        if bare:
            frozen = [Freeze(n) for n, v in zip(question.names, question.vary[k], strict=True) if not v]
            return [Explainer(bare, constraints=frozen, normalizers=dict(zip(question.names, question.spans, strict=True)))]
        folded = folding.fold(question, k, plain["trees"])
        if exact or not folded.several:
            return [explained(k, folded)]
        return [explained(k, folding.fold(question, k, plain["trees"], still)) for still in folding.singly(folded)]

    def one(k):
        target, found, why = Target.raw(range=(plain["goal"], math.inf)), [], "none found"
        ways = explainers(k)
        for own in ways:
            more = {"backend": "exact", "warm_start": False} if exact else {}
            budget = (0.9 if exact else 0.8) * question.seconds / len(ways)
            done = own.explain(question.exact[k], target=target, seed=question.seed + k, time_budget_s=budget, **more)
            if isinstance(done, Counterfactual):
                found.append(done)
            elif exact and done.proof == "certified":
                why = "proved: none exists"
        if not found:
            return None, why
        best = min(found, key=lambda done: done.distance)
        return np.asarray(best.x_cf), best.proof if exact else ""

    return one, None


if __name__ == "__main__":
    asked.answer(sys.argv, prepare)
