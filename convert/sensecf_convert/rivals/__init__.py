"""Rivals of the generator: ways to an answer that need no language model, in the same answer space and under the same rules.

`ways` finds the answers, `beside` measures them on a bundle's unseen people, `allowance` says who is answered for how few rows of
the classifier, `usage` where the whole loop's rows and time go.
"""

from .ways import NAMES, Metered, answer

__all__ = ["NAMES", "Metered", "answer"]
