"""Columns and classes that make a fit worthless, found before anything long begins.

Strict where a fit would only look good (a column that is the answer, a row number) or prove nothing (a class of a few
people), each with its name and a remedy; what a person knows to be right is allowed by name. A table that cannot be
read as the schema says is refused earlier, by `cohort`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from sensecf_edge.errors import TableError
from sensecf_edge.schema.feature import Feature, Vector
from sensecf_edge.schema.schema import Schema
from sensecf_edge.table.outliers import far

from . import column_names
from .cohort import Cohort
from .repeated_rows import REPEATED

LEAK = 0.98
TELLING, LATER = 0.90, 0.80
"""AUC of a column alone above which it is asked about; the same for one that is called like something known only later."""
FEW_PEOPLE = 20
PEOPLE = "few-people"
"""What is allowed by this name is a class of fewer than FEW_PEOPLE people."""
ALL_MUTABLE = "all-mutable"
"""What is allowed by this name is a schema in which everything may change."""
GENERAL = (PEOPLE, REPEATED, ALL_MUTABLE)
ID_SHARE = 0.9
DENSE = 1.1
BIN_ROWS = 20
BINS = 20


def refuse_leaks(data: Cohort, allow: tuple[str, ...] = ()) -> list[str]:
    """Refuse a cohort whose figures could not be believed; returns warnings for the person who fits.

    `allow` names columns (and what GENERAL holds) that may pass all the same. Raises TableError naming the column: a class of
    fewer than 20 people; a column without a value, with one value, that counts rows or is nearly all different, in which one
    value recurs far away from all others, as codes for missing do, or that tells the classes apart alone
    (AUC above 0.98). Looks at one column at a time: two columns that leak together pass.
    """
    may = (*data.schema.names, *GENERAL)
    if unknown := [a for a in allow if a not in may]:
        raise TableError(f"--allow {unknown[0]}: there is no such column; it may name {', '.join(may)}")
    warnings = _people(data, PEOPLE in allow)
    for i, feature in enumerate(data.schema.features):
        column = data.X[:, i]
        if np.isnan(column).all():
            raise TableError(f"{feature.name} has no value in any row; take it out of the schema")
        why = _fault(feature, column, data.y)
        if why is None:
            continue
        what, hard = why
        if hard and feature.name not in allow:
            raise TableError(f"{feature.name} {what}; take it out of the schema, or allow it with --allow {feature.name}")
        warnings.append(f"{feature.name} {what}" + ("; allowed by name" if hard else ""))
    return warnings


def immutable(schema: Schema, allow: tuple[str, ...] = ()) -> list[str]:
    """Something about a person never changes; a schema in which everything may was not read through. Raises TableError."""
    free = [f.name for f in schema.features if f.mutable and column_names.lifelong(f.name)]
    if any(not f.mutable for f in schema.features):
        return [f'{", ".join(free)} may change by this schema; mark what nobody can change with "mutable": false'] if free else []
    told = f"by this schema everything may change{f', {_and(free)} too' if free else ''}"
    if ALL_MUTABLE not in allow:
        raise TableError(
            f'{told}: answers will advise it. Mark what nobody can change (age, sex, history, findings) with "mutable": false, or say '
            f"that all of it may with --allow {ALL_MUTABLE}"
        )
    return [f"{told}; allowed by name"]


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _people(data: Cohort, allowed: bool) -> list[str]:
    """Both classes need people, not only rows: what differs between few people is taken for what makes the class."""
    out = []
    for name, mask in zip(data.classes, (~data.y, data.y), strict=True):
        count = len(np.unique(data.persons[mask]))
        if count < FEW_PEOPLE:
            told = f"class {name} has {count} people ({int(mask.sum()):,} rows)" if data.named else f"class {name} has {count} rows"
            if not allowed:
                raise TableError(
                    f"{told}, fewer than {FEW_PEOPLE}: no figure on unseen {data.unit} would mean much; "
                    f"add {data.unit}, or allow it with --allow {PEOPLE}"
                )
            out.append(f"{told}, fewer than {FEW_PEOPLE}: read every figure as that of these few")
    return out


def _fault(feature: Feature, column: Vector, y: NDArray[np.bool_]) -> tuple[str, bool] | None:
    """What is wrong with a column, and whether that is refused (else it is worth a warning)."""
    known = column[~np.isnan(column)]
    if len(np.unique(known)) < 2:
        return f"has one value only, {feature.text(float(known[0]))}, so nothing can be learnt from it", True
    if like_an_id(feature, column):
        return "counts rows or names them, like an id", True
    for odd in far(column) if feature.kind == "number" else ():
        if odd.rows > 1:
            told = f"{odd.spans:,.1f} spans from the rest" if odd.sure else "and nothing else is near it"
            return f"holds {odd.text} in {odd.rows:,} rows, {told}: a code for missing? Write nothing there", odd.sure
    auc = auc_of_one_column(feature, column, y)
    if auc > LEAK:
        return f"tells the classes apart alone (AUC {auc:.3f}), so it is probably the answer itself or was written after it", True
    if auc > LATER and column_names.later(feature.name):
        told = f"is called like something known only after the outcome, and tells the classes apart alone at AUC {auc:.3f}"
        return f"{told}; is it known when a record is to be explained? If not, take it out of the schema", False
    if auc > TELLING:
        return f"tells the classes apart almost alone (AUC {auc:.3f}); make sure that it is known before the outcome", False
    return None


def like_an_id(feature: Feature, column: Vector) -> bool:
    """Whether nearly every row has a value of its own, and the values are names, ascend or descend with the rows, or are
    whole numbers without gaps. Measured values may be all different too; they are not whole, or leave gaps."""
    known = column[~np.isnan(column)]
    distinct = len(np.unique(known))
    if distinct < ID_SHARE * len(known):
        return False
    if feature.kind == "choice":
        return True
    if not (known == np.round(known)).all():
        return False
    steps = np.diff(known)
    in_order = bool((steps >= 0).all() or (steps <= 0).all())
    return in_order or float(known.max() - known.min()) + 1 <= DENSE * distinct


def auc_of_one_column(feature: Feature, column: Vector, y: NDArray[np.bool_]) -> float:
    """The best AUC (0.5..1) that one column reaches without any other: by its order, and by the share of the wanted class
    in groups of equal or neighbouring values, unknown a group of its own. Groups hold 20 rows or more on average, so
    that a column of chance stays far below 0.98."""
    unknown = np.isnan(column)
    group = np.full(len(column), -1)
    if feature.kind == "choice":
        group[~unknown] = column[~unknown].astype(int)
    else:
        edges = np.quantile(column[~unknown], np.linspace(0, 1, max(2, min(BINS, len(column) // BIN_ROWS)) + 1)[1:-1])
        group[~unknown] = np.searchsorted(edges, column[~unknown], side="right")
    _, at = np.unique(group, return_inverse=True)
    share = np.bincount(at, weights=y) / np.bincount(at)
    best = float(roc_auc_score(y, share[at]))
    if feature.kind == "number" and 0 < y[~unknown].sum() < (~unknown).sum():
        ordered = float(roc_auc_score(y[~unknown], column[~unknown]))
        reached = max(ordered, 1 - ordered)
        seen = float((~unknown).mean())
        best = max(best, seen * reached + (1 - seen) * 0.5)
    return best
