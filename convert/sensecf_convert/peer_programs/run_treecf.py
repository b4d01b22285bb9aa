"""treecf on the trees inside the ONNX classifier, with its own options: Freeze, Range, AllowedCategories, Grid, Linear.

Its distance is set to ours: each change over the feature's range, a choice 1. It asks no classifier: the trees are its own
copy, checked against the graph before. Grid binds the exact search only without its warm start, whose answers may lie
between the steps and are kept; the genetic search gives a step up where it does not reach the goal. The exact search
takes no sum over three features, so such relations are left out of its rules: it then has more freedom than the others,
and its distances are a lower bound.
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


def ensemble(question):
    """The trees as treecf holds them, and the sum to reach."""
    plain = json.loads((question.folder / "trees.json").read_text(encoding="utf-8"))
    kinds = {"le": (SplitOp.LE, effective_le_threshold), "lt": (SplitOp.LT, effective_lt_threshold)}

    def node(at, n):
        if "value" in n:
            return Node(at, None, None, None, None, None, None, n["value"])
        if "codes" in n:
            return Node(at, n["feature"], None, None, n["unknown"], n["left"], n["right"], None, frozenset(n["codes"]))
        op, effective = kinds[n["op"]]
        return Node(at, n["feature"], effective(n["threshold"]), op, n["unknown"], n["left"], n["right"], None)

    trees = tuple(Tree(tuple(node(at, n) for at, n in enumerate(nodes))) for nodes in plain["trees"])
    categorical = {i: CategoricalFeature(question.choices[i]) for i in question.choice_columns}
    names = tuple(question.names)
    return EnsembleIR(trees, plain["base"], Link.IDENTITY, len(names), names, {"source": "onnx"}, categorical), plain["goal"]


def rules(question, k, exact):
    """What record k may change, in treecf's own words."""
    out = []
    for i, name in enumerate(question.names):
        if not question.vary[k, i]:
            out.append(Freeze(name))
        elif question.kinds[i] == "choice":
            out.append(AllowedCategories(name, tuple(question.allowed[k][i])))
        else:
            out.append(Range(name, float(question.low[k, i]), float(question.high[k, i])))
    for relation in question.plain["linear"]:
        coefficients = {question.names[i]: c for i, c in relation["coefficients"]}
        if any(question.unknown[k, i] for i, _ in relation["coefficients"]):
            continue
        now = sum(c * question.exact[k, i] for i, c in relation["coefficients"])
        if exact and len(coefficients) > 2:
            continue
        if relation["op"] == "<=":
            out.append(Linear(coefficients, "<=", max(relation["rhs"], float(now))))
        else:
            own = max(abs(float(now) - relation["rhs"]), relation["tolerance"])
            out.append(Linear(coefficients, "<=", relation["rhs"] + own))
            out.append(Linear(coefficients, ">=", relation["rhs"] - own))
    return out


def prepare(question, method):
    """See `asked.answer`."""
    warnings.simplefilter("ignore")
    exact = method == "treecf-exact"
    model, goal = ensemble(question)
    spans = dict(zip(question.names, question.spans, strict=True))

    def one(k):
        steps = {
            n: Grid(step=question.steps[i][0], anchor=question.steps[i][1])
            for i, n in enumerate(question.names)
            if question.kinds[i] == "number" and question.vary[k, i]
        }
        explainer = Explainer(model, constraints=rules(question, k, exact), normalizers=spans, value_policy=steps)
        more = (
            {"backend": "exact", "warm_start": False, "time_budget_s": 0.9 * question.seconds}
            if exact
            else {"time_budget_s": 0.8 * question.seconds}
        )
        done = explainer.explain(question.exact[k], target=Target.raw(range=(goal, math.inf)), seed=question.seed + k, **more)
        if not isinstance(done, Counterfactual):
            return None, "proved: none exists" if done.proof == "certified" else "none found"
        return np.asarray(done.x_cf), done.proof if exact else ""

    return one, None


if __name__ == "__main__":
    asked.answer(sys.argv, prepare)
