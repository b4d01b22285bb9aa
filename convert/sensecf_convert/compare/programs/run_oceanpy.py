"""oceanpy's constraint program (CP-SAT; no Gurobi licence is needed) of the trees inside the ONNX classifier.

It gets the trees as the record sees them (`folding`). Each feature that may move is one of its continuous features whose levels
lie between the places of the record's codes, so that its own encoding of the trees reads places; a choice whose splits take no
stretch of places is one-hot. oceanpy has no words for limits: relations, ranges of followers and the largest number of changes are
added to its program as rules, and its objective, which knows thresholds and no steps, is replaced by what is to be proven: the
number of features changed, or the distance of `measure.proximity`, with what follows counted in both.

What it cannot be given is said, not guessed: a ratio or a band over several features that move. One worker, so that a seed repeats.
"""

import json
import sys
import threading
import time
import warnings

import asked
import numpy as np
from ocean.abc import Mapper
from ocean.cp import Model
from ocean.feature import Feature
from ocean.tree import Node, Tree
from ortools.sat.python import cp_model
from pandas import MultiIndex


class Trees:
    """Folded trees as oceanpy's; `hot` are the choices that are one-hot."""

    def __init__(self, folded, base, goal):
        self.folded = folded
        self.hot = {part for tree in folded.trees for part in _scattered(tree)}
        self.limits = {i: sorted({float(t) for tree in folded.trees for t in _thresholds(tree, i)}) for i in folded.several}
        share = (base - goal) / max(1, len(folded.trees))
        self.trees = [Tree(self._grown(tree, share)) for tree in folded.trees]

    def mapper(self):
        """oceanpy's features: only those that some tree reads, or that may move."""
        features, columns = {}, []
        for i, part in self.folded.parts.items():
            if i in self.hot:
                features[str(i)] = Feature(Feature.Type.ONE_HOT_ENCODED, codes=[str(j) for j in range(len(part.codes))])
                columns += [(str(i), str(j)) for j in range(len(part.codes))]
            else:
                features[str(i)] = Feature(Feature.Type.CONTINUOUS, levels=np.arange(len(part.codes) + 1) - 0.5)
                columns.append((str(i), ""))
        for i, ends in self.limits.items():
            features[f"value of {i}"] = Feature(Feature.Type.CONTINUOUS, levels=np.arange(len(ends) + 2) - 0.5)
            columns.append((f"value of {i}", ""))
        return Mapper(features, columns=MultiIndex.from_tuples(columns))

    def _grown(self, whole, share):
        count = iter(range(sys.maxsize))

        def grow(tree):
            at = next(count)
            if tree[0] == "leaf":
                return Node(at, n_samples=1, value=np.array([[0.0, tree[1] + share]]))
            if tree[0] == "above":
                _, i, threshold, _, left, right = tree
                return Node(at, feature=f"value of {i}", threshold=self.limits[i].index(float(threshold)) + 0.5, n_samples=1,
                            left=grow(left), right=grow(right))  # fmt: skip
            _, i, mask, left, right = tree
            if i in self.hot:
                return hot(at, str(i), mask, left, right)
            ends = np.flatnonzero(mask[:-1] != mask[1:])
            below, above = (left, right) if mask[0] else (right, left)
            if len(ends) > 1:
                rest = mask.copy()
                rest[: ends[0] + 1] = rest[ends[0] + 1]
                above = ("split", i, rest, left, right)
            return Node(at, feature=str(i), threshold=int(ends[0]) + 0.5, n_samples=1, left=grow(below), right=grow(above))

        def hot(at, name, mask, left, right):
            few, inside, outside = (mask, left, right) if mask.sum() <= (~mask).sum() else (~mask, right, left)
            codes = np.flatnonzero(few)
            node = Node(at, feature=name, code=str(codes[0]), n_samples=1)
            rest = few.copy()
            rest[codes[0]] = False
            node.left = hot(next(count), name, rest, inside, outside) if rest.any() else grow(outside)
            node.right = grow(inside)
            return node

        return grow(whole)


def _scattered(tree):
    """Parts whose splits take no stretch of places from an end."""
    if tree[0] == "leaf":
        return
    if tree[0] == "split" and (tree[2][:-1] != tree[2][1:]).sum() > 1:
        yield tree[1]
    for branch in tree[-2:]:
        yield from _scattered(branch)


def _thresholds(tree, i):
    if tree[0] == "leaf":
        return
    if tree[0] == "above" and tree[1] == i:
        yield tree[2]
    for branch in tree[-2:]:
        yield from _thresholds(branch, i)


def prepare(question, method):
    """See `asked.answer`."""
    import folding
    import program

    warnings.simplefilter("ignore")
    plain = json.loads((question.folder / "trees.json").read_text(encoding="utf-8"))

    def one(k):
        if question.limits(k).space is None:
            return None, "nothing may change"
        folded = folding.thinned(folding.fold(question, k, plain["trees"]), question.schema)
        given = Trees(folded, plain["base"], plain["goal"])
        model = Model(given.trees, given.mapper())
        model.build()
        places = {i: _place(model, i, i in given.hot, len(part.codes)) for i, part in folded.parts.items()}
        steps = {i: model.mapper[f"value of {i}"].xget() for i in folded.several}
        try:
            whole = program.Program(model, question, k, folded, places)
            whole.limits(question.plain["max_changes"])
        except program.CannotSayError:
            return None, "a relation that it cannot be given"
        for i, step in steps.items():
            whole.thresholds(i, step, given.limits[i])
        whole.minimize(method.removeprefix("oceanpy-"))
        model.set_majority_class(y=1)
        solver, status = solved(model, question)
        if status == "MODEL_INVALID":
            return None, "its program is not valid"
        if status not in ("OPTIMAL", "FEASIBLE"):
            return None, "proved: none exists" if status == "INFEASIBLE" else "none found"
        y = question.exact[k].copy()
        for i, place in places.items():
            y[i] = folded.parts[i].codes[solver.Value(place)]
        return question.brought(y[None])[0], "optimal" if status == "OPTIMAL" else ""

    return one, None


def solved(model, question):
    """The solver and its status after so much processor time, whatever else keeps the machine busy. Without a linear relaxation, which
    made it slower on our classifiers."""
    solver, done = cp_model.CpSolver(), threading.Event()
    solver.parameters.num_workers, solver.parameters.random_seed, solver.parameters.linearization_level = 1, question.seed, 0
    ends = time.process_time() + 0.8 * question.seconds

    def watch():
        while not done.wait(0.05):
            if time.process_time() > ends:
                solver.stop_search()

    threading.Thread(target=watch, daemon=True).start()
    try:
        return solver, solver.status_name(solver.Solve(model))
    finally:
        done.set()


def _place(model, i, hot, count):
    variable = model.mapper[str(i)]
    if not hot:
        return variable.xget()
    place = model.NewIntVar(0, count - 1, f"place[{i}]")
    model.Add(place == sum(j * variable.xget(str(j)) for j in range(count)))
    return place


if __name__ == "__main__":
    asked.answer(sys.argv, prepare)
