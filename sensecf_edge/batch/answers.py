"""Rows in, lines out: what one process does with a chunk of a table. The same wherever it runs, alone, in a pool or on Ray.

Every row is answered with the same seed that `explain --seed` takes, so a row's answer depends on its values, the
settings and the bundle, and not on its place in the table, its neighbours or the number of workers. Chunks are cut by
row number alone, so that even rounding inside a shared batch falls alike in every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ..answer.result import Explanation
from ..budget import Budget
from ..errors import BundleError, CheckError, EngineError, RecordError, SenseCFError, place
from ..explain import Explainer
from ..generators.choice import Choice
from ..letter.telling import tell
from ..schema.record import Record
from ..schema.schema import Schema
from ..space.constraints import Constraints
from ..table.unusable import UnusableRecord, does_not_fit
from . import layouts
from .records import Row

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class JobSettings:
    """Everything an answer depends on beside the row. `form` is csv, json or parquet, `folder` and `bundle` the model and its hash,
    `tell` the kind of letter that goes with each answer, "" for none."""

    folder: str
    bundle: str
    form: str
    layout: str
    budget: Budget
    constraints: Constraints
    base_rate: float | None = None
    generator: Choice = field(default_factory=Choice)
    tell: str = ""

    def columns(self, schema: Schema) -> tuple[layouts.Column, ...]:
        """What stands in a line of the output."""
        return layouts.columns(self.layout, schema, bool(self.tell))

    def header(self, schema: Schema) -> bytes:
        """What stands before the first row of the output."""
        return layouts.as_csv([[column.name for column in self.columns(schema)]]) if self.form == "csv" else b""


class Chunk(NamedTuple):
    """Rows that are answered and committed together: the number of the last, and how far and with which hash the table is read."""

    rows: list[Row]
    last: int
    end: int
    read: str


class Answered(NamedTuple):
    """Lines for the output and for the rejects, and how many rows ended how."""

    output: bytes
    rejects: bytes
    counts: Mapping[str, int]


def load(plan: JobSettings) -> Explainer:
    """An engine of one's own. Raises BundleError where the bundle is no longer the one the job began with."""
    explainer = Explainer.load(plan.folder, base_rate=plan.base_rate, generator=plan.generator)
    if explainer.bundle.hash != plan.bundle:
        explainer.close()
        raise BundleError(f"the bundle {plan.folder} changed while the job ran; put it back and --resume, or start again with --force")
    return explainer


def answer(explainer: Explainer, rows: Sequence[Row], plan: JobSettings) -> Answered:
    """Every row is either in the output or among the rejects. Raises EngineError where the engine itself fails."""
    records: dict[int, Record] = {}
    unusable: dict[int, UnusableRecord] = {row.number: row.unusable for row in rows if row.unusable}
    for row in rows:
        if row.values is not None and row.unusable is None:
            try:
                records[row.number] = Record.from_mapping(explainer.schema, row.values)
            except RecordError as error:
                unusable[row.number] = does_not_fit(explainer.schema, row.values, error)
    outcomes = dict(zip(records, explain_all(explainer, list(records.values()), plan.constraints, plan.budget), strict=True))
    unusable |= {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, UnusableRecord)}
    found = {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, Explanation)}
    if plan.tell:
        found = {number: tell(explanation, explainer.schema, plan.tell) for number, explanation in found.items()}
    shown = plan.columns(explainer.schema)
    lines = [line for row in rows if row.number in found
             for line in layouts.lines(plan.layout, shown, row.number, row.id, found[row.number])]  # fmt: skip
    rejects = b"".join(layouts.rejected(row.number, row.id, unusable[row.number]) for row in rows if row.number in unusable)
    return Answered(layouts.written(plan.form, shown, lines), rejects, count(list(found.values()), len(unusable)))


def explain_all(
    explainer: Explainer, records: list[Record], constraints: Constraints, budget: Budget
) -> list[Explanation | UnusableRecord]:
    """All in one batch; where the classifier chokes on one of them, each alone, and the one at fault becomes a Problem."""
    if not records:
        return []
    try:
        answers = explainer.explain_many(records, constraints, budget)
    except CheckError as error:
        if len(records) == 1:
            return [UnusableRecord(f"the classifier failed on this record ({error})", "look at its values", "the classifier failed")]
        return [explain_all(explainer, [record], constraints, budget)[0] for record in records]
    except SenseCFError:
        raise
    except Exception as error:
        raise EngineError(f"a fault in this program ({place(error)}); please report it, without the record") from None
    return list(answers)


def count(explained: Sequence[Explanation], rejected: int) -> dict[str, int]:
    """Statuses, how many have an answer (a record that depends on what is unknown may), and how the first tries fared."""
    counts = Counter(e.status for e in explained)
    first = [e.first_try.valid for e in explained if e.first_try]
    answered = sum(bool(e.found) for e in explained)
    return {**counts, "answered": answered, "rejected": rejected, "first_tries": len(first), "first_valid": sum(first)}
