"""How few changes are enough for an answer, proven; whether one exists at all is the runtime's to prove.

In: an answer space, a classifier and training people. Out: the least number of features that an answer changes, and whether that is exact.
"""

from sensecf_edge.lazy import lazily

__getattr__ = lazily(__name__, {"Prover": "prover", "Fewest": "prover", "summed": "prover"})
