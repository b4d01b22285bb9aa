"""Does a bundle remember the people it was made of? Each question beside chance, each with what it could have found.

In: a bundle and the table it was fitted on. Out: figures. Nothing of this bounds an attacker, and none of it is differential privacy.
"""

from sensecf_edge.lazy import lazily

__getattr__ = lazily(__name__, {"check": "checks"})
