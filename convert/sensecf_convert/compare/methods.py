"""What there is to compare. `how` is what the report says about the way a method was asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sensecf_edge.settings import COST, NEAREST, SEARCH, TYPICAL, CostSettings

OWN = "own"
"""The environment of methods that run in this very Python."""

DISTANCE = CostSettings(count=0.0, distance=1.0, realism=0.0, below=0.0)
"""Nothing but the distance counts, not even the floor of realism, as for methods that know no other cost."""

LONG = 65_536
"""Rows of a search that takes about a second, as `explain --exact` does."""

INSIDE = "limits and followers are put on inside the classifier"
RANGES = f"immutables, ranges and permitted choices through its own options; {INSIDE}"
TREES = "the trees inside the ONNX classifier, an exact copy, with followers folded in"
PINNED = "-pinned"
"""How the name of a package ends where it is told of the immutables alone, as its users run it."""


@dataclass(frozen=True)
class Method:
    """One method. `environment` names an entry of `peers.PINS` or OWN; `goal` says whether it can be asked for a probability.

    `price` is what ours weighs answers by where that is not the default: a point of its trade-off curve. `search` is how many
    rows its search over sets of features may ask about. `pinned`: only the immutables are asked for. `typical`: ours is
    asked for its most typical answer.
    """

    name: str
    environment: str
    program: str
    goal: bool
    how: str
    needs: str | None = None
    price: CostSettings | None = None
    search: int = SEARCH.rows
    pinned: bool = False
    typical: bool = False

    @property
    def trees(self) -> bool:
        """Whether it works on the trees of a classifier, and asks none."""
        return self.environment in ("treecf", "oceanpy")

    @property
    def base(self) -> str:
        """The method that this one is a variant of, or itself."""
        return self.name.removesuffix(PINNED)


def _curve(name: str, price: CostSettings) -> Method:
    how = f"ours with other prices: {price.count:g} a feature, {price.distance:g} a distance, {price.realism:g} for being rare"
    return Method(f"ours-{name}", OWN, "own", True, how, price=price)


def _nice(kind: str) -> Method:
    how = f"no options: each record gets the training rows brought to its limits; {INSIDE}; takes 0.5 for the threshold"
    return Method(f"nice-{kind}", "nice", "run_nice.py", False, how)


def _dice(kind: str) -> Method:
    wish = "asked for p >= goal" if kind != "kdtree" else "picks training rows, so that p >= goal has no effect"
    return Method(f"dice-{kind}", "dice", "run_dice.py", kind != "kdtree", f"{RANGES}; {wish}")


def _cfnow(kind: str) -> Method:
    how = f"no options: shown only what may change; {INSIDE}; takes 0.5 for the threshold"
    return Method(f"cfnow-{kind}", "cfnow", "run_cfnow.py", False, how)


def _ocean(kind: str, wish: str) -> Method:
    how = f"{TREES}; its constraint program of them, our limits, relations and largest number of changes as rules of it; proves {wish}"
    return Method(f"oceanpy-{kind}", "oceanpy", "run_oceanpy.py", True, how)


_PACKAGES = (
    *(_dice(kind) for kind in ("random", "genetic", "kdtree")),
    *(_cfnow(kind) for kind in ("greedy", "random")),
    *(_nice(kind) for kind in ("sparsity", "proximity", "plausibility")),
    Method("treecf", "treecf", "run_treecf.py", True, f"{TREES}; Freeze, Range, AllowedCategories, Grid and Linear; the same distance as "
           "ours; its default genetic search"),
)  # fmt: skip


_ALL = (
    Method("ours", OWN, "own", True, "the default budget of `explain`"),
    Method("ours-first-try", OWN, "own", True, "the greedy proposal, untouched: nothing checked, repaired or shrunk"),
    Method("ours-without-llm", OWN, "own", True, "random admissible proposals, as many as ours; the same checks, refinement and rounds"),
    Method("ours-without-llm-rows", OWN, "own", True, "random proposals until the classifier was asked as many rows as ours on the record",
           "ours"),
    Method("ours-without-llm-time", OWN, "own", True, "random proposals until as much time has passed as ours took on the record", "ours"),
    Method("additive", OWN, "own", True, "one batch of the classifier: every single change, the best added up until their gains reach the "
           "goal; handed over unchecked"),
    Method("chance", OWN, "own", True, "one random admissible answer, handed over unchecked"),
    Method("search", OWN, "own", True, "ours without a generator: its search over sets of features from the record itself, default budget"),
    Method("teacher", OWN, "own", True, "the teacher: sparse search over the lattice, then the same refinement; asked for the same goal"),
    Method("ours-distance-exact", OWN, "own", True, f"as ours-distance, searching on over {LONG:,} rows", price=DISTANCE, search=LONG),
    _curve("distance", DISTANCE),
    *(_curve(f"distance-{weight:g}", replace(DISTANCE, realism=weight, below=COST.below)) for weight in (0.25, 1)),
    _curve("nearest", NEAREST),
    *(_curve(f"realism-{weight:g}", replace(COST, realism=weight)) for weight in (0, 5, 12)),
    _curve("typical", TYPICAL),
    Method("ours-typical-people", OWN, "own", True, "`explain --typical`: the answer nearest to made-up people of the wanted class",
           typical=True),
    *_PACKAGES,
    Method("treecf-exact", "treecf", "run_treecf.py", True, f"{TREES}; as treecf; proves its optimum within the time limit; rules over "
           "several features are left out of it, so its distance is a lower bound"),
    _ocean("fewest", "the fewest features"),
    _ocean("nearest", "the least distance"),
    *(replace(m, name=m.name + PINNED, how="only the immutables are pinned: no ranges, steps, relations or followers", pinned=True)
      for m in _PACKAGES),
)  # fmt: skip

METHODS = {method.name: method for method in _ALL}
CURVE = ("ours", *(m.name for m in _ALL if m.price and m.search == SEARCH.rows))
"""Ours at other prices: together what it can trade nearness and sparsity against realism for."""
RIVALS = ("additive", "chance", "search")
"""Ways to an answer without a language model, see `baselines`; as the teacher they stand beside ours like other packages."""
EQUAL_BUDGET = ("ours", "ours-first-try", *RIVALS, "teacher", "ours-without-llm", "ours-without-llm-rows", "ours-without-llm-time")


def chosen(names: tuple[str, ...]) -> list[Method]:
    """The named methods in the order of the table, all for none; what a method needs comes with it."""
    wanted = set(names or METHODS)
    wanted |= {needed for name in wanted if (needed := METHODS[name].needs)}
    return [method for method in _ALL if method.name in wanted]
