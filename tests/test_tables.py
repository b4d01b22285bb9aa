"""What a fit refuses before it begins: suspect columns, classes of few people, tables larger than memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sensecf_convert.table import cohort as tables
from sensecf_convert.table import fit_relations, free_memory, leakage, sources
from sensecf_convert.table.cohort import Cohort, cohort, frame, read_table

from sensecf_edge.errors import TableError
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema

ROWS = 200
SCHEMAS = Path(__file__).parents[1] / "convert" / "schemas"
SHIPPED = {"heart": ("disease", "healthy", None), "stress": ("stress", "calm", "person"), "metabolic": ("Diabetes", "No", None)}


def with_column(values: np.ndarray, choices: int = 0, persons: int = ROWS, seed: int = 0) -> Cohort:
    """People with an honest column `pulse` and one more, `odd`; half of them in each class."""
    chance = np.random.default_rng(seed)
    y = np.arange(len(values)) % 2 == 0
    pulse = chance.normal(70, 10, len(values)).round(1).clip(30, 200) + 4 * y
    odd = (
        Feature("odd", "choice", choices=tuple(f"c{i}" for i in range(choices)), optional=True)
        if choices
        else Feature("odd", low=-1e6, high=1e6, step=1000, optional=True)
    )
    schema = Schema((Feature("pulse", low=30, high=210, step=1), odd))
    who = np.array([f"p{i % persons}" for i in range(len(values))])
    return Cohort(schema, np.column_stack([pulse, values.astype(float)]), y, who, ("ill", "well"), named=True)


WELL = np.arange(ROWS) % 2 == 0
CHANCE = np.random.default_rng(1)
SUSPECTS = {
    "constant": (with_column(np.full(ROWS, 7.0)), "odd has one value only, 7"),
    "a code for missing": (with_column(np.where(CHANCE.random(ROWS) < 0.1, -999, CHANCE.normal(5, 1, ROWS).round(1))), "odd holds -999 in"),
    "constant where known": (with_column(np.where(WELL, 7.0, np.nan)), "odd has one value only, 7"),
    "one choice": (with_column(np.zeros(ROWS), choices=2), "odd has one value only, c0"),
    "row numbers": (with_column(np.arange(ROWS)), "odd counts rows or names them, like an id"),
    "row numbers backwards with gaps": (with_column(-7 * np.arange(ROWS)), "odd counts rows or names them"),
    "row numbers shuffled": (with_column(CHANCE.permutation(ROWS)), "odd counts rows or names them"),
    "names": (with_column(np.arange(ROWS), choices=ROWS), "odd counts rows or names them"),
    "the answer": (with_column(WELL * 1.0), r"odd tells the classes apart alone \(AUC 1.000\)"),
    "the answer turned round": (with_column(5.0 - 3 * WELL), r"odd tells the classes apart alone \(AUC 1.000\)"),
    "the answer as a choice": (with_column(WELL * 1.0, choices=2), r"odd tells the classes apart alone \(AUC 1.000\)"),
    "the answer in the middle": (
        with_column(np.where(WELL, 0.5, CHANCE.choice([-1, 1], ROWS)) + CHANCE.uniform(0, 0.1, ROWS)), "odd tells the classes apart alone"
    ),
    "the answer by being unknown": (with_column(np.where(WELL, np.nan, CHANCE.normal(0, 5, ROWS))), "odd tells the classes apart alone"),
}  # fmt: skip


@pytest.mark.parametrize("case", SUSPECTS)
def test_a_suspect_column_is_refused_by_name_and_passes_with_a_warning_when_allowed(case: str) -> None:
    data, message = SUSPECTS[case]
    with pytest.raises(TableError, match=message) as error:
        leakage.refuse_leaks(data)
    assert "--allow odd" in str(error.value) and "\n" not in str(error.value)
    (warning,) = leakage.refuse_leaks(data, ("odd",))
    assert warning.startswith("odd ") and warning.endswith("allowed by name")


def test_a_column_without_any_value_cannot_be_allowed() -> None:
    for allow in ((), ("odd",)):
        with pytest.raises(TableError, match="odd has no value in any row; take it out of the schema"):
            leakage.refuse_leaks(with_column(np.full(ROWS, np.nan)), allow)


def test_a_column_that_tells_almost_everything_is_warned_of() -> None:
    (warning,) = leakage.refuse_leaks(with_column(np.where(WELL, 2.0, 0) + CHANCE.normal(0, 1, ROWS)))
    assert "odd tells the classes apart almost alone (AUC 0.9" in warning and "known before the outcome" in warning


def test_allowing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(TableError, match="--allow od: there is no such column; it may name pulse, odd, few-people"):
        leakage.refuse_leaks(with_column(CHANCE.normal(0, 1, ROWS)), ("od",))


@given(st.integers(0, 2**32 - 1), st.integers(40, 400), st.sampled_from([1.5, 6, 30]), st.floats(0, 0.6))
@settings(max_examples=80, deadline=None)
def test_a_measured_column_of_chance_is_never_refused(seed: int, rows: int, spread: float, unknown: float) -> None:
    """Columns that know nothing of the class, with ties, gaps and unknown values. A false alarm needs an AUC over 0.98 by
    chance: at 40 rows in two groups of 20 that is less than 1e-8 a case."""
    chance = np.random.default_rng(seed)
    values = (spread * chance.normal(0, 1, rows)).round()
    values[chance.random(rows) < unknown] = np.nan
    values[:3] = 0, 1, 1
    assert leakage.refuse_leaks(with_column(values, seed=seed, persons=rows)) == []


def test_measured_values_that_are_all_different_are_no_id() -> None:
    assert leakage.refuse_leaks(with_column(CHANCE.normal(0, 1, ROWS))) == []
    assert leakage.refuse_leaks(with_column(CHANCE.choice(100_000, ROWS, replace=False))) == []
    assert leakage.refuse_leaks(with_column(np.sort(CHANCE.normal(0, 1, ROWS)))) == []


def test_a_class_of_fewer_than_twenty_people_is_refused_unless_allowed() -> None:
    values = CHANCE.normal(0, 1, ROWS)
    assert leakage.refuse_leaks(with_column(values, persons=40)) == []
    few = with_column(values, persons=38)
    with pytest.raises(TableError, match=r"class ill has 19 people \(100 rows\), fewer than 20: .* --allow few-people"):
        leakage.refuse_leaks(few)
    warnings = leakage.refuse_leaks(few, ("few-people",))
    assert len(warnings) == 2 and "class ill has 19 people" in warnings[0] and "class well has 19 people" in warnings[1]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_larger_than_memory_is_refused_before_it_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"a": np.arange(50_000) % 7, "b": np.arange(50_000) / 3})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr(tables, "free_memory", lambda: 1_000_000)
    monkeypatch.setattr(tables, "read", lambda *_, **__: pytest.fail("the table was read"))
    with pytest.raises(TableError, match=rf"{name} would take about 0\.0 GB to read, 0\.0 GB are free; write a table"):
        read_table(tmp_path / name)


def test_a_table_that_fits_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame({"a": [1, 2]}).to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr(tables, "free_memory", lambda: 10**9)
    assert frame(read_table(tmp_path / "t.csv"))["a"].tolist() == [1, 2]


def test_parquet_is_weighed_by_its_cells_not_by_its_packed_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame({"a": np.zeros(300_000)}).to_parquet(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    monkeypatch.setattr(tables, "free_memory", lambda: 1_000_000)
    with pytest.raises(TableError, match="fewer rows"):
        read_table(tmp_path / "t.parquet")


def test_free_memory_is_less_than_there_is_and_less_still_in_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 10_000_000 < free_memory.free_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    monkeypatch.setattr(free_memory, "GROUP", tmp_path)
    for name, text in {"memory.max": "9000000", "memory.current": "5000000", "memory.stat": "anon 3000000\nfile 2000000\n"}.items():
        (tmp_path / name).write_text(text)
    assert free_memory.free_memory() == 6_000_000  # what the cache holds is given back
    (tmp_path / "memory.max").write_text("max")
    assert free_memory.free_memory() > 6_000_000


@pytest.mark.skipif("SENSECF_DATA" not in os.environ, reason="set SENSECF_DATA to the folder of the public tables")
@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_tables_pass_and_stress_only_with_its_few_people_allowed(name: str) -> None:
    target, wanted, person = SHIPPED[name]
    table = sources.SOURCES[name](Path(os.environ["SENSECF_DATA"]))
    data = cohort(table, fit_relations.read_schema(SCHEMAS / f"{name}.schema.json")[0], target, wanted, person)
    if name == "stress":
        with pytest.raises(TableError, match="class stressed has 13 people"):
            leakage.refuse_leaks(data)
        assert len(leakage.refuse_leaks(data, ("few-people",))) == 2
    else:
        assert leakage.refuse_leaks(data) == []


@pytest.mark.parametrize(("name", "target", "wanted", "rows"), [("diabetes", "progression", "slow", 442),
                                                                ("breast-cancer", "diagnosis", "benign", 569)])  # fmt: skip
def test_the_tables_of_scikit_learn_need_no_folder_and_fit_their_schemas(
    name: str, target: str, wanted: str, rows: int, tmp_path: Path
) -> None:
    made = CliRunner().invoke(sources.main, [name, "-o", str(tmp_path / "t.csv")])
    assert made.exit_code == 0, made.output
    schema = Schema.load(SCHEMAS / f"{name}.schema.json")
    data = cohort(read_table(tmp_path / "t.csv"), schema, target, wanted)
    assert data.X.shape == (rows, len(schema)) and 0.3 < data.y.mean() < 0.7 and schema.relations
    for relation in schema.relations:
        if relation.kind == "le":  # holds by definition, so for every row
            first, second = (data.X[:, schema.index[n]] for n in relation.features)
            assert (first <= second).all(), relation.sentence()


def test_a_table_that_is_downloaded_needs_its_folder(tmp_path: Path) -> None:
    made = CliRunner().invoke(sources.main, ["heart", "-o", str(tmp_path / "t.csv")])
    assert made.exit_code == 2 and "needs the FOLDER" in made.output
