"""The rows of a table on their way to the answers: hashed as they are read, passed over where they are done, cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice

from ..errors import TableError
from ..table.unusable import UnusableRecord
from .answers import Chunk
from .records import Row, Source
from .store import Progress, Store


class Rows(Iterator[Row]):
    """The rows of a source, and a running hash of all that was read of them."""

    def __init__(self, source: Source, name: str) -> None:
        self.name = name
        self._rows = source.rows()
        self._hash = blake2b(digest_size=16)

    def __next__(self) -> Row:
        row = next(self._rows)
        self._hash.update(repr((row.id, row.values, row.unusable)).encode("utf-8", "backslashreplace"))
        return row

    @property
    def read(self) -> str:
        """The same for the same rows only."""
        return self._hash.hexdigest()

    def pass_over(self, progress: Progress) -> None:
        """Rows that are done are read again, which proves that they are the same: a pipe cannot be entered in the middle,
        and what stands in a file may have changed. Raises TableError where they are others."""
        passed = sum(1 for _ in islice(self, progress.rows))
        if progress.rows and (passed < progress.rows or self.read != progress.read):
            raise TableError(
                f"{self.name} is another input: its first {progress.rows:,} rows are not those that were answered; "
                "resume with the same table, or start again with --force"
            )

    def chunks(self, size: int, store: Store | None) -> Iterator[Chunk]:
        """Rows `size` at a time; with a store one whose id was seen before becomes a reject."""
        while some := list(islice(self, size)):
            if store is not None:
                doubles = store.doubles([(r.number, r.id) for r in some if r.unusable is None])
                some = [_doubled(row, doubles[row.number]) if row.number in doubles else row for row in some]
            yield Chunk(some, some[-1].number, some[-1].end, self.read)


def _doubled(row: Row, first: int) -> Row:
    return row._replace(unusable=UnusableRecord(f"the id stands in row {first} already", "give every record an id of its own"))
