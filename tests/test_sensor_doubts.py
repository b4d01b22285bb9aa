"""What could be two things is none: units, orders of day and month, columns, people. And `explain --from` takes what `days` takes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sensors import LONDON, NOW, clarity, glucose, libre, made, utc, write

from sensecf_edge.errors import TableError
from sensecf_edge.sensors.daily import Day, Rules, days
from sensecf_edge.sensors.exports import ReadOptions
from sensecf_edge.sensors.quantities import fits, spelled
from sensecf_edge.sensors.sources import ReadResult, read_sources

Command = Callable[..., Any]
HEADER = "time,kind,value,unit,person\n"


def read(path: Path, **asked: Any) -> ReadResult:
    return read_sources([str(path)], ReadOptions(**asked))


def day_of(path: Path, **asked: Any) -> list[Day]:
    return days(read(path, **asked).readings, Rules(LONDON, now=NOW + 10**9))


@pytest.mark.parametrize("values", [[22.3] * 288, [21.0, 24.5, 33.0] * 96, [22.0, 5.0, 25.0] * 96])
def test_a_day_of_over_20_mmol_that_is_said_to_be_mg_is_no_day_of_lows(values: list[float]) -> None:
    """Each is inside what a low may be, and together they are nobody's."""
    assert made(glucose("2026-01-10T00:00:00", values)) == []


def test_a_day_of_which_a_third_is_truly_low_counts() -> None:
    (day,) = made(glucose("2026-01-10T00:00:00", [35.0, 100.0, 100.0] * 96))
    assert day.values["time_below_range_pct"] == pytest.approx(33.3)
    (low,) = made(glucose("2026-01-10T00:00:00", [2.2] * 288, unit="mmol/L"))
    assert low.values["time_below_range_pct"] == 100


def test_small_and_large_calories_are_not_one_unit() -> None:
    assert spelled("Cal") == spelled("kcal") == "kcal"
    assert spelled("cal") is None and not fits("active_energy", "cal")


@pytest.mark.parametrize("given, kind", [("cal", "active_energy"), ("", "glucose")])
def test_a_table_with_a_unit_that_may_be_two_is_refused_with_its_line(given: str, kind: str, tmp_path: Path) -> None:
    row = f"2026-05-01T08:00:00Z,2026-05-01T08:15:00Z,{kind},100,{given},ann\n"
    with pytest.raises(TableError, match=r"a\.csv, line 2: .*--unit"):
        read(write(tmp_path, "a.csv", "time,end,kind,value,unit,person\n" + row))


def test_dates_of_a_file_go_before_the_order_that_the_user_says(tmp_path: Path) -> None:
    american = libre(["100"] * 96, stamp="%m-%d-%Y %H:%M")
    assert [d.date for d in day_of(write(tmp_path, "a.csv", american), dates="DMY")] == ["2026-05-13"]
    doubtful = libre(["100"] * 96, begin="2026-05-03T00:01:00")
    assert [d.date for d in day_of(write(tmp_path, "b.csv", doubtful), dates="DMY")] == ["2026-05-03"]


@pytest.mark.parametrize("asked", ["", "DMY", "MDY"])
def test_a_file_of_both_orders_is_refused(asked: str, tmp_path: Path) -> None:
    both = libre(["100"] * 96) + libre(["100"] * 96, stamp="%m-%d-%Y %H:%M", begin="2026-05-14T00:01:00")
    with pytest.raises(TableError, match="some of its dates have the day first and others the month"):
        read(write(tmp_path, "a.csv", both), dates=asked)


@pytest.mark.parametrize("table", [True, False])
def test_an_order_that_a_date_contradicts_is_refused_with_the_line(table: bool, tmp_path: Path) -> None:
    if table:
        text = HEADER + "".join(f"05/{day}/2026 08:00,glucose,100,mg/dL,ann\n" for day in ("11", "12", "13"))
    else:
        text = clarity(["100"] * 3).replace("2026-05-01T00:00:12", "05/11/2026 08:00").replace("2026-05-01T00:10:12", "05/13/2026 08:00")
    with pytest.raises(TableError, match=r"a\.csv, line \d+: '05/13/2026 08:00' is no date of --dates DMY"):
        read(write(tmp_path, "a.csv", text), dates="DMY")


@pytest.mark.parametrize("names, said", [("time,kind,value,unit,person,participant", "person and participant both stand for person"),
                                         ("time,start,kind,value,unit,person", "time and start both stand for time")])  # fmt: skip
def test_two_columns_for_one_thing_are_refused(names: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read(write(tmp_path, "a.csv", names + "\n2026-05-01T08:00:00Z,glucose,100,mg/dL,ann,ben\n"))


@pytest.mark.parametrize("by", [1, 1000])
def test_json_may_hold_times_as_numbers_as_a_stream_does(by: int, tmp_path: Path) -> None:
    begin = utc("2026-05-01T00:00:00")
    rows = [{"time": (begin + 300 * i) * by, "kind": "glucose", "value": 100, "unit": "mg/dL", "person": "ann"} for i in range(276)]
    made_of = day_of(write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert [d.date for d in made_of] == ["2026-05-01"] and made_of[0].values["glucose_mean"] == 100


def fitbit_steps(counts: list[int]) -> str:
    return json.dumps([{"dateTime": f"05/01/26 {i // 60:02}:{i % 60:02}:00", "value": str(n)} for i, n in enumerate(counts)])


def test_two_peoples_steps_are_not_the_larger_of_both(tmp_path: Path) -> None:
    write(tmp_path, "a/steps-2026-05-01.json", fitbit_steps([i % 40 for i in range(1400)]))
    write(tmp_path, "b/steps-2026-05-01.json", fitbit_steps([i % 37 for i in range(1400)]))
    with pytest.raises(TableError, match="of two people"):
        read(tmp_path)
    assert read_sources([str(tmp_path)], by_folder=True).readings.persons() == ["a", "b"]


def test_steps_exported_before_the_day_was_over_are_no_second_persons(tmp_path: Path) -> None:
    counts = [i % 40 for i in range(1400)]
    write(tmp_path, "a/steps-2026-05-01.json", fitbit_steps([*counts[:700], 3]))
    write(tmp_path, "b/steps-2026-05-01.json", fitbit_steps(counts))
    (day,) = [d for d in day_of(tmp_path) if d.date == "2026-05-01"]
    assert day.values["steps"] == sum(counts[: 23 * 60])  # London is an hour ahead


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    """Steps, energy and minutes without a unit and with days that may be months."""
    rows = ["time,end,kind,value"]
    for quarter in range(96):
        begin, end = (f"02/05/2026 {q // 4:02}:{q % 4 * 15:02}" if q < 96 else "03/05/2026 00:00" for q in (quarter, quarter + 1))
        rows += [f"{begin},{end},{kind},{value}" for kind, value in (("steps", 50), ("active_energy", 4), ("vigorous_time", 1))]
    return write(tmp_path, "a.csv", "\n".join(rows) + "\n")


def test_what_a_message_of_explain_asks_for_explain_takes(doubtful: Path, command: Command) -> None:
    words = ("explain", "--from", doubtful, "--model", "stress", "--zone", "Europe/London", "--json")
    units = ("--unit", "steps=steps", "--unit", "active_energy=kcal", "--unit", "vigorous_time=min")
    assert "--dates DMY or MDY" in command("days", doubtful, "--zone", "Europe/London", *units, "-o", "-").err
    assert "--unit steps=steps" in command(*words, "--dates", "DMY").err
    ran = command(*words, "--dates", "DMY", *units, "--day", "2026-05-02")
    assert ran.code in (0, 3), ran.err
    assert json.loads(ran.out)["factual"]["steps"] == 4800
    ran = command(*words, "--dates", "DMY", *units, "--floor", "steps=1", "--floor", "active_kcal=1", "--source", "dexcom")
    assert ran.code == 2 and "no file of a known export" in ran.err


@pytest.mark.parametrize("words", [("--day", "2026-05-01"), ("--dates", "DMY"), ("--by-folder",), ("--zone", "Europe/London")])
def test_what_belongs_to_an_export_is_not_passed_over_without_one(words: tuple[str, ...], command: Command) -> None:
    ran = command("explain", "--sample", "1", "--model", "stress", *words)
    assert ran.code == 2 and "belong to --from SOURCE" in ran.err


def test_a_spreadsheets_clarity_is_read_by_the_order_said(tmp_path: Path) -> None:
    text = clarity(["100"] * 288)
    for i in range(288):
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(utc("2026-05-01T00:00:12") + 300 * i))
        text = text.replace(f",{at},", f",05/01/2026 {at[11:]},")
    assert [d.date for d in day_of(write(tmp_path, "a.csv", text), dates="MDY")] == ["2026-05-01"]


def test_a_table_of_another_encoding_is_refused_as_every_export_is(tmp_path: Path) -> None:
    text = HEADER + "2026-05-01T08:00:00,glucose,100,mg/dL,Ann\n2026-05-01T08:00:00,glucose,100,mg/dL,Zoë\n"
    with pytest.raises(TableError, match=r"a\.csv, line 3: .*--encoding"):
        read(write(tmp_path, "a.csv", text.encode("cp1252")))


def test_one_reading_rounded_in_two_units_is_one_reading() -> None:
    exact = [40 + 1.2547 * i for i in range(287)]
    both = glucose("2026-01-10T00:00:00", [round(v) for v in exact]), glucose(
        "2026-01-10T00:00:00", [round(v / 18.016, 1) for v in exact], unit="mmol/L"
    )
    (day,) = made([*both[0], *both[1]])
    assert day.coverage["glucose_mean"] == 1
    with pytest.raises(TableError, match="several people"):
        made([*both[1], *(r._replace(value=r.value + 0.1) for r in both[1])])


@pytest.mark.parametrize("low, high", [("LO", "HI"), ("Niedrig", "Hoch"), ("Bas", "Élevé")])
def test_low_and_high_of_libreview_are_no_gaps_in_any_language(low: str, high: str, tmp_path: Path) -> None:
    (day,) = day_of(write(tmp_path, "a.csv", libre([low, high, *["100"] * 94])))
    assert day.values["time_below_range_pct"] == day.values["time_above_range_pct"] == 1.0


def test_a_table_of_days_is_no_export_and_is_told_where_it_goes(tmp_path: Path, command: Command) -> None:
    command("days", write(tmp_path, "a.csv", clarity(["100"] * 288)), "--zone", "Europe/London", "-o", tmp_path / "days.csv")
    ran = command("explain", "--from", tmp_path / "days.csv", "--model", "stress", "--zone", "Europe/London")
    assert ran.code == 2 and "a table of days already" in ran.err
