"""Whether any answer exists, and how few changes are enough: every combination tried, or ruled out by branch and bound.

In: an answer space, and a classifier or the trees inside it. Out: the highest probability, or a proof that there is none. Effort is counted
in work, so that a slow machine proves what a fast one does.
"""

from sensecf_edge.lazy import lazily

__getattr__ = lazily(__name__, {
    "Prover": "prover", "Fewest": "prover", "highest": "prover", "combinations": "prover", "every_answer": "prover",
    "summed": "prover",
})
