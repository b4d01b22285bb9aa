"""How a page shows it: an Explanation with its bundle as one sheet of HTML that can be printed and kept.

In: an `Explanation` and the `Bundle` it is from. Out: HTML that fetches nothing and runs nothing. Computes no figure anew.
"""

from ..lazy import lazily

__getattr__ = lazily(__name__, {"report_html": "sheet", "card_html": "sheet"})
