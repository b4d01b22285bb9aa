"""How people read it: an Explanation or a bundle as sentences, tables and text. Pure.

In: an `Explanation` or a `Bundle`. Out: text. Computes no figure anew, opens nothing and prints nothing.
"""

from ..lazy import lazily

__getattr__ = lazily(__name__, {"render": "rendering", "DISCLAIMER": "rendering"})
