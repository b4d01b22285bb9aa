"""An answer in plain words, beside the answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Letter:
    """`text` is whole, its last line says who worded it. `writer`: "template", or a language model by name and hash.

    `kind`: "letter", to the person, or "note", about the record.
    """

    text: str
    writer: str
    kind: str = "letter"
