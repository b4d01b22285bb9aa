"""How typical ours is with as many changes as another method made: its plain and its most typical answer beside the other's.

    python -m sensecf_convert.evaluate.typical TABLE --model NAME --beside OUTDIR [--method nice-sparsity]

OUTDIR is where `compare` has left its results. Asked are the records that the method answers at the goal and within all limits; ours may
change as many features as it did and no more. Unseen people, or those of the final part where `compare` asked them (`--final`).
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pandas as pd

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import SenseCFError, TableError
from sensecf_edge.explain import Explainer
from sensecf_edge.schema.record import Record
from sensecf_edge.space import measure
from sensecf_edge.space.constraints import Constraints
from sensecf_edge.trial import opened

from .. import statistics
from ..presentation.options import model_option
from ..table.split import Parts, kept_back, parts_of
from .measure import vector
from .plausibility import Realism

WAYS = {"plain": False, "typical": True}


def beside(bundle: Bundle, drawn: Parts, others: pd.DataFrame, final: bool = False) -> pd.DataFrame:
    """A row for each way and record that all of them answer; `others` are the rows of one method in results.csv, at the goal."""
    people, real, rows = kept_back(bundle, drawn) if final else drawn.test, Realism(drawn.train), list[dict[str, object]]()
    with Explainer.load(bundle.folder) as explainer:
        explainer.impute = None  # as `compare` asks: what is unknown as the classifier fills it in
        for other in others.itertuples():
            x, most = people.X[other.row], Constraints(max_changes=int(other.n_changed))
            made = {name: explainer.explain(Record(bundle.schema, x), constraints=most, ease=False, typical=typical)
                    for name, typical in WAYS.items()}  # fmt: skip
            if not all(e.found for e in made.values()):
                continue
            about = {"person": people.persons[other.row]}
            rows.append({**about, "way": other.method, "changed": other.n_changed, "knn": other.knn_ratio, "lof": float(other.lof_inliers)})
            for name, e in made.items():
                y = vector(bundle.schema, x, e)[None]
                rows.append({**about, "way": name, "changed": int(measure.sparsity(x, y)[0]), "knn": float(real.knn_ratio(y)[0]),
                             "lof": float(real.lof_inliers(y)[0]), "rows": e.rows_asked, "seconds": e.seconds})  # fmt: skip
    return pd.DataFrame(rows)


def text(rows: pd.DataFrame, method: str) -> str:
    """A line for each way, and how much more typical ours is, with its interval."""
    lines = [f"{int((rows.way == method).sum())} records that {method} and ours answer, of ours with no more changes"]
    for name in (method, *WAYS):
        own = rows[rows.way == name]
        lines.append(f"{name:<18} changed {own.changed.mean():.2f}, kNN ratio {own.knn.mean():.3f}, LOF inliers {own.lof.sum():.0f}"
                     + (f", rows {own['rows'].mean():,.0f}, seconds {own.seconds.mean():.3f}" if name in WAYS else ""))  # fmt: skip
    mine, theirs = (rows[rows.way == name] for name in ("typical", method))
    gap = statistics.mean(mine.knn.to_numpy() - theirs.knn.to_numpy(), np.asarray(mine.person))
    return "\n".join([*lines, f"typical less {method}: kNN ratio {statistics.with_interval(gap, '{:+.3f}'.format)}"])


@click.command()
@click.argument("file", metavar="TABLE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@model_option
@click.option("--beside", "folder", required=True, type=click.Path(path_type=Path), help="Folder of results of `compare`.")
@click.option("--method", default="nice-sparsity", show_default=True, help="Whose answers are held beside ours.")
@click.option("--final", is_flag=True, help="`compare` asked people of the final part.")
def main(file: Path, model: str, folder: Path, method: str, final: bool) -> None:
    """How typical ours is on people of TABLE with as many changes as another method made."""
    try:
        bundle = opened(model)
        drawn, path = parts_of(bundle, file), folder / "results.csv"
        if not path.is_file():
            raise TableError(f"{folder} holds no results of `compare`; run `sensecf-edge compare ... -o {folder}` first")
        rows = pd.read_csv(path)
        others = rows[(rows.method == method) & rows.at_goal]
        if others.empty:
            raise TableError(f"{path} holds no answer of {method} at the goal and within all limits")
        click.echo(text(beside(bundle, drawn, others, final), method))
    except SenseCFError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
