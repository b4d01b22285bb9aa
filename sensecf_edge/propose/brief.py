"""The fewest words for a generator that was tuned on this very schema and reads text: the style `brief`.

What never differs is learnt and not said. With hints a prompt holds the values that help, each with what it would make of the
probability; without, the record. It costs a tenth of the tokens of `instructions`, in tuning as in answering.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..space.admissible import Admissible
from .instructions import Hint

END = "=>\n"


def build(space: Admissible, p: float, hints: Sequence[Hint] = ()) -> str:
    """The prompt of one record whose probability of the wanted class is p, 0..1: percentages, rounded down."""
    schema, record = space.record.schema, space.record
    now = {f.name: f.text(code) for f, code in zip(schema.features, record.vector, strict=True)}
    if hints:
        said = [f"{h.name} {now[h.name]}>{h.text} {_percent(h.p)}" for h in hints]
    else:
        said = [f"{name} {text}" for name, text in now.items()]
    return "\n".join([f"p {_percent(p)}", *said, END])


def _percent(p: float) -> int:
    return int(100 * p + 1e-9)
