"""`days` and `explain --from`: from a folder of files to a table that the other commands read, and to an answer in one go."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from conftest import Ran
from sensors import LONDON, clarity, libre, write

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import TableError
from sensecf_edge.schema.feature import Feature
from sensecf_edge.schema.schema import Schema
from sensecf_edge.sensors import records
from sensecf_edge.sensors.daily import Rules, days
from sensecf_edge.sensors.sources import read_sources

Command = Callable[..., Ran]
DATA = os.environ.get("SENSECF_DATA")


def table_of_days(count: int, people: tuple[str, ...] = ("a",)) -> str:
    """A plain table with all that the model of stress needs."""
    out = ["time,end,kind,value,unit,person,source"]
    for person in people:
        for number in range(count):
            day = datetime(2026, 5, 1) + timedelta(days=number)
            for quarter in range(96):
                begin = day + timedelta(minutes=15 * quarter)
                a, b = begin.isoformat(), (begin + timedelta(minutes=15)).isoformat()
                out.append(f"{a},,glucose,{120 + quarter},mg/dL,{person},cgm")
                out.append(f"{a},,heart_rate,60,bpm,{person},watch")
                out.append(f"{a},{b},steps,50,steps,{person},watch")
                out.append(f"{a},{b},active_energy,3,kcal,{person},watch")
                out.append(f"{a},{b},vigorous_time,0.2,min,{person},watch")
            night = day - timedelta(hours=1)
            for stage, hours in (("light", 4), ("deep", 1), ("rem", 1)):
                out.append(f"{night.isoformat()},{(night + timedelta(hours=hours)).isoformat()},sleep,{stage},,{person},watch")
                night += timedelta(hours=hours)
    return "\n".join(out) + "\n"


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("readings"), "readings.csv", table_of_days(3, ("ann", "ben")))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_days_become_a_table_that_batch_takes_as_it_is(readings: Path, tmp_path: Path, command: Command) -> None:
    out, advice = tmp_path / "days.csv", tmp_path / "advice.csv"
    ran = command("days", readings, "--model", "stress", "-o", out, "--zone", "Europe/London")
    assert ran.code == 0 and "6 days of 2 people" in ran.err and "6 of them hold all that stress needs" in ran.err
    made = rows(out)
    assert [r["id"] for r in made][:2] == ["ann 2026-05-01", "ann 2026-05-02"]
    assert made[0]["steps"] == "4800" and made[0]["sleep_h"] == "6" and made[0]["weekend"] == "no" and made[1]["weekend"] == "yes"
    assert made[0]["steps_coverage"] == "1" and made[0]["active_min"] == ""
    assert (out.stat().st_mode & 0o077) == 0 or os.name != "posix"
    assert command("batch", out, "-o", advice, "--model", "stress", "--id", "id").code in (0, 3)
    assert not (tmp_path / "advice.csv.rejects.csv").exists() or not rows(tmp_path / "advice.csv.rejects.csv")
    assert command("batch", out, "-o", tmp_path / "b.csv", "--model", "stress").code in (0, 3)


def test_columns_beside_features_are_passed_over_in_tables_of_days_alone(readings: Path, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "days.csv"
    command("days", readings, "--model", "stress", "-o", out, "--zone", "Europe/London")
    text = out.read_text().replace("id,person,date,hours", "id,person,date,other", 1)
    other = write(tmp_path, "other.csv", text)
    ran = command("batch", other, "-o", tmp_path / "a.csv", "--model", "stress")
    assert ran.code == 2 and "--drop" in ran.err


def test_the_report_holds_all_that_was_left_out_and_no_value(tmp_path: Path, command: Command) -> None:
    source = write(tmp_path, "a.csv", clarity(["Low", 5, *["123.25"] * 286]))
    ran = command("days", source, "-o", tmp_path / "days.csv", "--zone", "Europe/London")
    report = json.loads((tmp_path / "days.csv.report.json").read_text())
    assert report["left_out"][0]["count"] == 1 and report["counted"][0]["count"] == 1 and report["days"] == 1
    assert report["files"] == {"dexcom": 1} and report["known"]["glucose_mean"] == 1
    assert "123.25" not in ran.err + json.dumps(report)


@pytest.mark.parametrize("name, shown", [
    ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("+a", "'+a"), ("-1", "'-1"), ("@a", "'@a"), ("\x1b[2Jx", "\\u001b[2Jx"), ("a-b", "a-b"),
])  # fmt: skip
def test_a_name_is_no_formula_and_no_order_to_a_terminal(name: str, shown: str, tmp_path: Path, command: Command) -> None:
    lines = [{"time": f"2026-05-01T{i // 4:02}:{i % 4 * 15:02}:00Z", "kind": "glucose", "value": 100, "unit": "mg/dL", "person": name,
              "source": name} for i in range(96)]  # fmt: skip
    source = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    ran = command("days", source, "-o", tmp_path / "days.csv", "--zone", "Europe/London")
    assert rows(tmp_path / "days.csv")[0]["person"] == shown and rows(tmp_path / "days.csv")[0]["id"] == f"{shown} 2026-05-01"
    assert "\x1b" not in ran.err + (tmp_path / "days.csv").read_text() + (tmp_path / "days.csv.report.json").read_text()


def test_one_day_is_explained_from_raw_files_in_one_go(readings: Path, command: Command) -> None:
    ran = command(
        "explain", "--from", readings, "--day", "2026-05-02", "--person", "ben", "--model", "stress", "--zone", "Europe/London", "--json"
    )
    assert ran.code in (0, 3), ran.err
    assert json.loads(ran.out)["factual"]["steps"] == 4800 and "covered: " in ran.err


@pytest.mark.parametrize("words, said", [
    (("--day", "2026-05-02"), "2 people.*--person"),
    (("--person", "eve"), "no readings of 'eve'"),
    (("--person", "ann", "--day", "2026-06-01"), "reach from 2026-05-01 to 2026-05-03"),
    (("--person", "ann", "--day", "1 May"), "write it as 2026-05-01"),
])  # fmt: skip
def test_what_explain_cannot_find_is_said(readings: Path, command: Command, words: tuple[str, ...], said: str) -> None:
    ran = command("explain", "--from", readings, *words, "--model", "stress", "--zone", "Europe/London")
    assert ran.code == 2
    assert re.search(said, ran.err), ran.err


def test_a_day_that_lacks_what_the_model_needs_is_not_explained(tmp_path: Path, command: Command) -> None:
    source = write(tmp_path, "a.csv", clarity(["100"] * 288))
    ran = command("explain", "--from", source, "--model", "stress", "--zone", "Europe/London")
    assert ran.code == 2 and "the model needs steps (0 % of the day covered, 42 needed)" in ran.err


@pytest.mark.parametrize("words, said", [
    ((), "say what to read"), (("nothing",), "give --zone|is not there"), (("R", "--zone", "Londn"), "no time zone"),
    (("R", "--zone", "Europe/London", "--floor", "steps"), "is not NAME=VALUE"),
    (("R", "--zone", "Europe/London", "--floor", "steps=2"), "0 to 1"),
    (("R", "--zone", "Europe/London", "--floor", "x=0.2"), "no such measure"),
    (("R", "--zone", "Europe/London", "--source", "x"), "no source 'x'"),
    (("R", "--zone", "Europe/London", "--model", "heart"), "none of the model's features can be made from sensors"),
])  # fmt: skip
def test_what_days_cannot_do_is_said(readings: Path, tmp_path: Path, command: Command, words: tuple[str, ...], said: str) -> None:
    ran = command("days", *(readings if w == "R" else w for w in words), "-o", tmp_path / "days.csv")
    assert ran.code == 2 and re.search(said, ran.err), ran.err
    assert not (tmp_path / "days.csv").exists()


def test_a_table_that_is_there_is_kept(readings: Path, tmp_path: Path, command: Command) -> None:
    out = write(tmp_path, "days.csv", "mine")
    assert command("days", readings, "-o", out, "--zone", "Europe/London").code == 2 and out.read_text() == "mine"
    assert command("days", readings, "-o", out, "--zone", "Europe/London", "--force").code == 0


def test_a_schemas_unit_is_what_days_are_written_in(tmp_path: Path) -> None:
    wanted = Schema((Feature("glucose_mean", low=2, high=25, step=0.5, unit="mmol/L", optional=True),
                     Feature("sleep_h", low=0, high=1000, step=10, unit="min", optional=True)))  # fmt: skip
    found = read_sources([str(write(tmp_path, "a.csv", libre([90] * 96)))])
    (day,) = days(found.readings, Rules(LONDON))
    assert records.values(day, wanted) == {"glucose_mean": 4.996, "sleep_h": None}
    with pytest.raises(TableError, match="cannot become"):
        records.columns(Schema((Feature("glucose_mean", low=2, high=25, step=0.5, unit="kg", optional=True),)))


def test_every_feature_of_the_model_of_stress_is_a_measure_of_days() -> None:
    if "stress" not in dict(Bundle.available()):
        pytest.skip("stress is not there")
    schema = Bundle.open("stress").schema
    assert {name for name, _ in records.columns(schema)} == {f.name for f in schema.features} - {"weekend"}


@pytest.mark.skipif(not DATA or not Path(DATA or "", "t1d_uom").is_dir(), reason="SENSECF_DATA does not hold T1D-UOM")
def test_raw_t1d_uom_gives_the_days_that_were_made_elsewhere() -> None:
    """Sleep, to the hundredth of an hour."""
    folder = Path(str(DATA), "t1d_uom")
    found = read_sources([str(folder / "sleep.csv.gz")])
    made = {(d.person, d.date): d for d in days(found.readings, Rules(LONDON, floors={"sleep_h": 0.0}))}
    with gzip.open(folder / "daily.csv.gz", "rt") as file:
        given = [r for r in csv.DictReader(file) if r["sleep_h"]]
    theirs = {(r["participant"], r["date"]): sum(float(r[f"{stage}_h"] or 0) for stage in ("deep", "light", "rem")) for r in given}
    differ = [k for k, hours in theirs.items() if k not in made or abs((made[k].values["sleep_h"] or 0) - hours) > 0.006]
    assert len(theirs) == 1489 and len(differ) == 4, differ  # four nights stand there twice, with different stages


@pytest.mark.skipif(not DATA or not Path(DATA or "", "t1d_uom").is_dir(), reason="SENSECF_DATA does not hold T1D-UOM")
def test_every_day_that_differs_from_the_table_made_elsewhere_has_a_rule() -> None:
    pytest.importorskip("pandas")
    from sensecf_convert.table.raw_stress import THEIRS, differences

    found = list(differences(Path(str(DATA))))
    assert not [(measure, number) for measure, rule, number in found if rule == "NOT EXPLAINED"]
    same = {measure: number for measure, rule, number in found if rule == "same"}
    assert set(same) == set(THEIRS) and min(same.values()) > 900
