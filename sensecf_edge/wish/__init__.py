"""A wish in a person's own words -> what is kept, bounded or weighed in the answers: `freeze`, `bound` and `cost`, said back in words.

In: English text and a schema. Out: `Understood`, the rules and the parts that were not understood. A part is taken only where every word
of it is known and together they can mean one thing; all else is quoted back. Asks no model and changes no answer by itself.
"""

from ..lazy import lazily

__getattr__ = lazily(__name__, {"Understood": "rules", "understand": "reading"})
