"""An answer in plain words, for the person or for the file: the phrases, the grammar that holds them, whoever chooses among them.

In: an `Explanation` and its schema. Out: a `Letter`. Every number, unit, name and direction in it stands in a phrase that was filled in
from the answer; a language model chooses among whole phrases and their order, and can say nothing else. Computes no figure anew.
"""

from ..lazy import lazily

__getattr__ = lazily(__name__, {"Teller": "telling", "tell": "telling"})
