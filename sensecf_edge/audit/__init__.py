"""What was asked, what was shown and what came of it: a log that only grows, each line chained to the one before. Off unless asked for.

In: explanations and notes on them. Out: JSON Lines, and what is wrong with a file of them. Holds no value of a record unless told to.
"""

from ..lazy import lazily

__getattr__ = lazily(__name__, {"Log": "log", "verify": "chain"})
