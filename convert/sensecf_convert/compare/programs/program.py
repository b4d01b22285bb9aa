"""Limits, relations and what is to be proven, as rules of a CP-SAT program over places of codes.

Changes are whole numbers of millionths of a unit, so that a program of integers holds them. A rule is a function of the places of
the features that move it: tables where one or two do, sums where more do.
"""

import itertools

import numpy as np

from sensecf_edge.space import measure, rules
from sensecf_edge.space.admissible import moved_by, reach
from sensecf_edge.space.constraints import EPSILON, Constraints

SCALE = 1_000_000
LARGEST_TABLE = 60_000


class CannotSayError(Exception):
    """A rule that this program has no words for."""


class Program:
    """`places`: feature -> the variable of its part's place. `model` is any CP-SAT model."""

    def __init__(self, model, question, k, folded, places):
        self.model, self.question, self.folded, self.places = model, question, folded, places
        self.schema, self.x = question.schema, question.exact[k]
        self.space = question.limits(k).space
        self.by = [set(s) & set(places) for s in moved_by(self.schema, self.space.values)]
        self.moved = {i: self._moved(place, folded.parts[i].present) for i, place in places.items()}
        self.change, self.followed = {}, {}
        for name, relations in self.schema.followers:
            i = self.schema.index[name]
            if i in folded.several or (i in places and self.by[i] - {i}):
                self._follower(i, relations)

    def _moved(self, place, present):
        out = self.model.NewBoolVar("moved")
        self.model.Add(place != present).OnlyEnforceIf(out)
        self.model.Add(place == present).OnlyEnforceIf(~out)
        return out

    def _table(self, place, values):
        """A variable that is values[place]; whole numbers."""
        values = [int(v) for v in values]
        out = self.model.NewIntVar(min(values), max(values), "table")
        self.model.AddElement(place, values, out)
        return out

    def delta(self, i):
        """By how much feature i moves, in millionths: a variable, a sum of them, or 0."""
        if i in self.change:
            return self.change[i]
        home = i if i in self.places else self.folded.home.get(i)
        if home is None:
            return 0
        part = self.folded.parts[home]
        self.change[i] = self._table(self.places[home], np.rint((part.rows[:, i] - self.x[i]) * SCALE))
        return self.change[i]

    def _follower(self, i, relations):
        """A follower of several features, or an effect that may be proposed as well: then what is proposed counts."""
        first, wide = relations[0], self._widest(i)
        if first.kind not in ("causes", "sum"):
            self.change[i] = self._gridded(i, first)
            self._inside(i, self.change[i], None)
            self.followed[i] = self._nonzero(self.change[i])
            return
        if first.kind == "causes":
            shifts = [self._scaled(self.schema.index[r.features[0]], r.slope) for r in relations]
        else:
            shifts = [self._scaled(self.schema.index[n], -1.0) for n in first.features if self.schema.index[n] != i]
        shift, change = sum(shifts), self.model.NewIntVar(-wide, wide, f"change[{i}]")
        if i in self.places:
            part = self.folded.parts[i]
            own = self._table(self.places[i], np.rint((part.codes - self.x[i]) * SCALE))
            self.model.Add(change == shift).OnlyEnforceIf(~self.moved[i])
            self.model.Add(change == own).OnlyEnforceIf(self.moved[i])
            self._inside(i, change, self.moved[i])
        else:
            self.model.Add(change == shift)
            self._inside(i, change, None)
        self.change[i] = change
        self.followed[i] = self._nonzero(change)

    def _widest(self, i):
        """More than any change of feature i, in millionths: no wider, or products of it leave 64 bits."""
        lattice = self.schema.features[i].lattice
        return int(2 * SCALE * (lattice[-1] - lattice[0]))

    def _gridded(self, i, relation):
        """By how much a ratio or a band moves feature i: tried for all places of the two features that move it."""
        places, Y = self._combinations(relation, self.folded.several[i])
        place = self.model.NewIntVar(0, len(places) - 1, f"both[{i}]")
        *_, (count, last) = [(len(self.folded.parts[j].codes), self.places[j]) for j in self.folded.several[i]]
        first = self.places[self.folded.several[i][0]] if len(self.folded.several[i]) == 2 else 0
        self.model.Add(place == first * count + last)
        return self._table(place, np.rint((Y[:, i] - self.x[i]) * SCALE))

    def _combinations(self, relation, by):
        """All places of one or two parts, shape (combinations, parts), and the records that they stand for, completed."""
        parts = [self.folded.parts[i] for i in by]
        if len(by) > 2 or np.prod([len(p.codes) for p in parts]) > LARGEST_TABLE:
            raise CannotSayError(relation.sentence())
        places = np.array(list(itertools.product(*(range(len(p.codes)) for p in parts))))
        Y = np.repeat(self.x[None], len(places), axis=0)
        for column, (i, part) in enumerate(zip(by, parts, strict=True)):
            Y[:, i] = part.codes[places[:, column]]
        return places, rules.complete(self.schema, self.x, Y)

    def _scaled(self, i, slope):
        """slope times the change of feature i; by a table where one part moves it."""
        home = i if i in self.places else self.folded.home.get(i)
        if i in self.change and i in self.followed:
            if abs(slope) != 1.0:
                raise CannotSayError("a cause that follows several features")
            return int(slope) * self.change[i]
        if home is None:
            return 0
        part = self.folded.parts[home]
        return self._table(self.places[home], np.rint((part.rows[:, i] - self.x[i]) * slope * SCALE))

    def _nonzero(self, change):
        out = self.model.NewBoolVar("changed")
        above = self.model.NewBoolVar("above")
        self.model.Add(change == 0).OnlyEnforceIf(~out)
        self.model.Add(change >= 1).OnlyEnforceIf([out, above])
        self.model.Add(change <= -1).OnlyEnforceIf([out, ~above])
        return out

    def _inside(self, i, change, proposed):
        """A follower stays in its range, as `rules` has it, unless it was proposed."""
        feature, now = self.schema.features[i], self.x[i]
        low, high = feature.reference or (feature.low, feature.high)
        if feature.advise:
            low, high = max(low, feature.advise[0]), min(high, feature.advise[1])
        near, far = reach(self.space.record, feature, now, Constraints())
        least, most = max(near, min(low, now)), min(far, max(high, now))
        for rule in (
            self.model.Add(change >= int(np.ceil(max(-1e6, least - now) * SCALE - 0.5))),
            self.model.Add(change <= int(np.floor(min(1e6, most - now) * SCALE + 0.5))),
        ):
            if proposed is not None:
                rule.OnlyEnforceIf(~proposed)

    def thresholds(self, i, step, ends):
        """`step` is how many of the thresholds, ascending, lie below follower i."""
        for j, end in enumerate(ends):
            beyond = self.model.NewBoolVar(f"beyond[{i},{j}]")
            least = int(np.floor((end - self.x[i]) * SCALE)) + 1
            self.model.Add(self.change[i] >= least).OnlyEnforceIf(beyond)
            self.model.Add(self.change[i] < least).OnlyEnforceIf(~beyond)
            self.model.Add(step >= j + 1).OnlyEnforceIf(beyond)
            self.model.Add(step <= j).OnlyEnforceIf(~beyond)

    def limits(self, most):
        """The largest number of proposed changes, and every relation."""
        self.model.Add(sum(self.moved.values()) <= most)
        for relation in self.schema.relations:
            at = [self.schema.index[n] for n in relation.features]
            by = sorted(set().union(*(self.by[i] for i in at)))
            if relation.kind == "causes" or np.isnan(self.x[at]).any() or not by:
                continue
            if len(by) <= 2:
                self._tabled(relation, by)
            elif relation.kind in ("sum", "le", "band"):
                self._linear(relation, at)
            else:
                raise CannotSayError(relation.sentence())

    def _tabled(self, relation, by):
        """One or two features move it: all their places tried, the bad ones forbidden."""
        places, Y = self._combinations(relation, by)
        bad = rules._breaks(self.schema, relation, self.x, Y, measure.changed(self.x, Y))
        if bad.any():
            self.model.AddForbiddenAssignments([self.places[i] for i in by], places[bad].tolist())

    def _linear(self, relation, at):
        x, unit = self.x, SCALE
        if relation.kind == "le":
            most = float(relation.most(x[at[1]]))
            room = max(0.0, most - x[at[0]]) + EPSILON
            self.model.Add(self.delta(at[0]) - self._scaled(at[1], relation.slope or 1.0) <= round(room * unit))
            return
        own = float(rules.deviation(self.schema, relation, x[None])[0])
        now = float(x[self.schema.index[relation.completes or relation.features[0]]] - rules.expected(self.schema, relation, x[None])[0])
        others = [i for i in at if self.schema.names[i] != (relation.completes or relation.features[0])]
        first = next(i for i in at if i not in others)
        if relation.kind == "band" and relation.completes:
            raise CannotSayError(relation.sentence())
        moved = self.delta(first) + (sum(self.delta(i) for i in others) if relation.kind == "sum" else 0)
        if relation.kind == "band":
            moved = self.delta(first) - self._scaled(others[0], relation.slope)
        wide = max(relation.tolerance, own)
        self.model.Add(moved <= round((wide - now + 1e-6) * unit))
        self.model.Add(moved >= round((-wide - now - 1e-6) * unit))

    def minimize(self, what):
        """fewest: features changed; nearest: their distance. What follows one feature is counted with it."""
        terms = []
        for i, place in self.places.items():
            rows = self.folded.parts[i].rows
            alone = [j for j in range(len(self.x)) if j == i or self.folded.home.get(j) == i]
            if i in self.followed:
                alone.remove(i)
            if what == "fewest":
                terms.append(self._table(place, measure.changed(self.x, rows)[:, alone].sum(axis=1)))
            else:
                far = measure.relative_changes(self.schema, self.x, rows)[:, alone].sum(axis=1)
                terms.append(self._table(place, np.rint(far * SCALE)))
        for i, changed in self.followed.items():
            terms.append(changed if what == "fewest" else self._distance(i))
        self.model.Minimize(sum(terms))

    def _distance(self, i):
        span = self.schema.spans[i]
        far = self.model.NewIntVar(0, self._widest(i), f"far[{i}]")
        self.model.AddAbsEquality(far, self.change[i])
        out = self.model.NewIntVar(0, int(self._widest(i) / span) + 1, f"distance[{i}]")
        self.model.Add(out * round(span * 1_000) >= far * 1_000)
        return out
