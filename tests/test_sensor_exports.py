"""Readers of exports: every format in its real quirks, and what is wrong with files in clear words."""

from __future__ import annotations

import gzip
import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sensors import LONDON, Fit, ai_readi, apple, apple_record, clarity, libre, utc, write

from sensecf_edge.errors import TableError
from sensecf_edge.sensors.daily import Day, Rules, days
from sensecf_edge.sensors.exports import ReadOptions, number
from sensecf_edge.sensors.readings import DEEP, LIGHT, Readings
from sensecf_edge.sensors.sources import ReadResult, names, read_sources

DAY = ["100"] * 288


def read(path: Path, source: str = "", **asked: Any) -> ReadResult:
    return read_sources([str(path)], ReadOptions(**asked), source)


def day_of(path: Path, place: Any = LONDON, **asked: Any) -> list[Day]:
    return days(read(path, **asked).readings, Rules(place, now=round(time.time()) + 10**9))


def left(readings: Readings) -> str:
    return "\n".join(readings.notes.lines())


def held(readings: Readings, kind: str) -> list[float]:
    return [value for key, series in sorted(readings.all.items()) if key.kind == kind for value in series.columns()[2].tolist()]


def test_dexcom_knows_readings_from_alerts_and_low_from_a_number(tmp_path: Path) -> None:
    found = read(write(tmp_path, "a.csv", clarity(["Low", "High", 39, 401, *DAY])))
    assert found.known == {"dexcom": 1}
    assert found.readings.persons() == ["Ann Example"]
    assert held(found.readings, "glucose")[:4] == [float("-inf"), float("inf"), float("-inf"), float("inf")]
    (day, after) = day_of(tmp_path / "a.csv")
    assert day.values["glucose_mean"] == pytest.approx((40 + 400 + 40 + 400 + 284 * 100) / 288, abs=0.05) and after.date == "2026-05-02"


def test_dexcom_in_europe_has_mmol_and_commas(tmp_path: Path) -> None:
    german = clarity(['"5,6"'] * 288, unit="mmol/L").replace("Timestamp (YYYY-MM-DDThh:mm:ss)", "Zeitstempel (JJJJ-MM-TTThh:mm:ss)")
    german = german.replace("Event Type", "Ereignistyp").replace("Glucose Value", "Glukosewert")
    (day,) = day_of(write(tmp_path, "a.csv", german))
    assert day.values["glucose_mean"] == 100.9
    semicolons = clarity(["5.6"] * 288, unit="mmol/L").replace(",", ";").replace("5.6", "5,6")
    assert day_of(write(tmp_path, "b.csv", semicolons))[0].values == day.values


@pytest.mark.parametrize("encode", [lambda t: b"\xef\xbb\xbf" + t.encode(), lambda t: t.encode("utf-16"),
                                    lambda t: gzip.compress(t.encode()),
                                    lambda t: t.replace("\n", "\r\n").encode()])  # fmt: skip
def test_encodings_and_packing_are_known_by_the_file(tmp_path: Path, encode: Callable[[str], bytes]) -> None:
    text = clarity(DAY, first="Zoë")
    (day,) = day_of(write(tmp_path, "a.csv", encode(text)))
    assert (day.person, day.values["glucose_mean"]) == ("Zoë Example", 100)


def test_another_encoding_is_asked_for_with_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", clarity(DAY, first="Zoë").encode("cp1252"))
    with pytest.raises(TableError, match=r"line 2.*--encoding cp1252"):
        read(path)


def test_libreview_counts_the_history_and_reads_the_order_of_its_dates(tmp_path: Path) -> None:
    text = (
        libre([90] * 95 + ["LO"])
        + "FreeStyle LibreLink,0000,13-05-2026 10:00,1,,250,\nFreeStyle LibreLink,0000,13-05-2026 10:05,6,,,lunch\n"
    )
    found = read(write(tmp_path, "a.csv", text))
    assert "scans" in left(found.readings) and len(found.readings) == 96
    (day,) = day_of(tmp_path / "a.csv")
    assert (day.date, day.coverage["glucose_mean"], day.values["time_below_range_pct"]) == ("2026-05-13", 1, 1)
    american = libre([90] * 96, stamp="%m-%d-%Y %I:%M %p")
    assert day_of(write(tmp_path, "b.csv", american))[0].date == "2026-05-13"


def test_libreview_asks_where_no_date_tells_the_day_from_the_month(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", libre([90] * 50, begin="2026-05-04T00:01:00"))
    with pytest.raises(TableError, match="--dates DMY or --dates MDY"):
        read(path)
    assert day_of(path, dates="DMY")[0].date == "2026-05-04" and day_of(path, dates="MDY")[0].date == "2026-04-05"


@pytest.mark.parametrize("header", [
    "Gerät,Seriennummer,Gerätezeitstempel,Aufzeichnungstyp,Glukosewert-Verlauf mmol/L,Glukose-Scan mmol/L,Notizen\n",
    "Appareil,Numéro de série,Horodatage de l'appareil,Type d'enregistrement,Historique de la glycémie mmol/L,"
    "Numérisation de la glycémie mmol/L,N\n",
    "Dispositivo,Número de serie,Sello de tiempo del dispositivo,Tipo de registro,Historial de glucosa mmol/L,"
    "Escaneo de glucosa mmol/L,Notas\n",
])  # fmt: skip
def test_libreview_is_known_in_other_languages(tmp_path: Path, header: str) -> None:
    (day,) = day_of(write(tmp_path, "a.csv", libre(['"5,0"'] * 96, header)))
    assert day.values["glucose_mean"] == 90.1


def test_nightscout_has_milliseconds_codes_and_other_entries(tmp_path: Path) -> None:
    begin = utc("2026-05-01T00:00:00") - 3600
    entries: list[dict[str, Any]] = [{"type": "sgv", "sgv": 100, "date": (begin + 300 * i) * 1000, "device": "xDrip"} for i in range(285)]
    entries += [{"type": "sgv", "sgv": v, "date": (begin + 300 * (285 + i)) * 1000} for i, v in enumerate([39, 401, 5])]
    entries += [{"type": "mbg", "mbg": 110, "date": begin * 1000}, {"type": "sgv", "sgv": None, "date": begin * 1000}]
    (day,) = day_of(write(tmp_path, "entries.json", json.dumps(entries)))
    assert day.values["time_below_range_pct"] == 0.3 and day.coverage["glucose_mean"] == 1
    lines = "\n".join(map(json.dumps, entries))
    assert day_of(write(tmp_path, "lines.json", lines))[0].values == day.values
    meters = [{"type": "mbg", "mbg": 110, "date": begin * 1000, "device": "x" * 200}] * 300
    assert day_of(write(tmp_path, "meters.json", json.dumps(meters + entries)))[0].values == day.values
    assert day_of(write(tmp_path, "answer.json", json.dumps({"status": 200, "result": meters + entries})))[0].values == day.values


def fit_file(good: bool = True) -> bytes:
    begin, fit = utc("2026-05-01T00:00:00") - Fit.EPOCH, Fit()
    fit.message(0, (0, 0, "B", 32), (1, 0x84, "H", 1), (4, 0x86, "I", begin))
    for i in range(97):
        at = begin - 3600 + 900 * i
        fit.message(55, (253, 0x86, "I", at), (5, 0, "B", 6), (3, 0x86, "I", 50 * i), (19, 0x84, "H", 4 * i))
        fit.message(55, (26, 0x84, "H", (at + 60) & 0xFFFF), (27, 2, "B", 61))
        fit.message(227, (0, 0x83, "h", 30 if i % 2 else -1), (1, 0x86, "I", at))
    for i, level in enumerate([2, 3, 4, 1, 2]):
        fit.message(275, (253, 0x86, "I", begin + 3600 * i), (0, 0, "B", level))
    return fit.bytes(good)


def test_fit_has_counters_half_times_and_levels(tmp_path: Path) -> None:
    pytest.importorskip("fitdecode")
    found = read(write(tmp_path, "a.fit", fit_file()))
    assert found.known == {"garmin-fit": 1}
    readings = found.readings
    assert len(held(readings, "heart_rate")) == 97 and set(held(readings, "heart_rate")) == {61}
    assert sum(held(readings, "active_energy")) == 4 * 96
    (day, *_) = [d for d in day_of(tmp_path / "a.fit") if d.date == "2026-05-01"]
    assert day.values["steps"] == 50 * 96 and day.values["active_kcal"] == 384 and day.values["stress_mean"] == 30
    assert day.values["sleep_h"] == 3 and day.values["deep_sleep_pct"] == 33


def test_fit_with_a_broken_checksum_is_left_out_whole(tmp_path: Path) -> None:
    pytest.importorskip("fitdecode")
    write(tmp_path, "a.fit", fit_file())
    write(tmp_path, "b.fit", fit_file(good=False))
    write(tmp_path, "c.fit", fit_file()[:200])
    found = read(tmp_path)
    assert "checksum is wrong" in left(found.readings) and "damaged or cut off" in left(found.readings)
    assert len(held(found.readings, "heart_rate")) == 97


def test_fitbit_has_utc_steps_wall_sleep_and_short_wakes(tmp_path: Path) -> None:
    steps = [{"dateTime": f"05/0{1 + i // 1440}/26 {i // 60 % 24:02}:{i % 60:02}:00", "value": "10"} for i in range(1440)]
    pulse = [{"dateTime": s["dateTime"], "value": {"bpm": 60, "confidence": 2}} for s in steps[::5]]
    sleep = [{"dateOfSleep": "2026-05-01", "levels": {
        "data": [{"dateTime": "2026-04-30T23:00:00.000", "level": "light", "seconds": 7200},
                 {"dateTime": "2026-05-01T01:00:00.000", "level": "deep", "seconds": 3600}],
        "shortData": [{"dateTime": "2026-05-01T00:00:00.000", "level": "wake", "seconds": 600}]}}]  # fmt: skip
    write(tmp_path, "steps-2026-05-01.json", json.dumps(steps))
    write(tmp_path, "heart_rate-2026-05-01.json", json.dumps(pulse))
    write(tmp_path, "sleep-2026-04-30.json", json.dumps(sleep))
    write(tmp_path, "very_active_minutes-2026-05-01.json", json.dumps([{"dateTime": "05/01/26 00:00:00", "value": "30"}]))
    write(tmp_path, "resting_heart_rate-2026-05-01.json", json.dumps(
        [{"dateTime": "05/01/26 00:00:00", "value": {"date": "05/01/26", "value": 57.6, "error": 6}},
         {"dateTime": "05/02/26 00:00:00", "value": {"date": None, "value": 0.0, "error": 0}}]))  # fmt: skip
    write(tmp_path, "calories-2026-05-01.json", json.dumps(steps))
    write(tmp_path, "profile.txt", "x")
    found = read(tmp_path)
    assert found.known == {"fitbit": 6} and found.unknown == {".txt": 1} and "calories, not used" in left(found.readings)
    first, second = days(found.readings, Rules(LONDON))
    assert (first.values["steps"], second.coverage["steps"]) == (10 * 1380, 0.042)  # an hour of UTC's day is London's next
    assert first.values["sleep_h"] == round(3 - 1 / 6, 2) and first.values["deep_sleep_pct"] == 35
    assert first.values["vigorous_min"] == 30 and first.values["resting_hr"] == 58


def apple_day() -> list[str]:
    out = []
    for i in range(96):
        start, end = (f"2026-05-01 {(15 * i + m) // 60 % 24:02}:{(15 * i + m) % 60:02}:00 +0100" for m in (0, 10))
        out.append(apple_record("StepCount", start, end, 50))
        out.append(apple_record("StepCount", start, end, 45, source="Ann’s iPhone"))
        out.append(
            apple_record(
                "HeartRate", start, start, 61, "count/min", inside='<MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="1"/>'
            )
        )
        out.append(apple_record("ActiveEnergyBurned", start, end, 4.184, "kJ"))
    stages = [("InBed", 22, 24), ("AsleepCore", 0, 3), ("AsleepDeep", 3, 4), ("AsleepREM", 4, 5), ("Awake", 5, 6)]
    for stage, a, b in stages:
        first = f"2026-04-30 {a:02}:00:00 +0100" if a > 12 else f"2026-05-01 {a:02}:00:00 +0100"
        second = "2026-05-01 00:00:00 +0100" if b == 24 else f"2026-05-01 {b:02}:00:00 +0100"
        out.append(apple_record("SleepAnalysis", first, second, f"HKCategoryValueSleepAnalysis{stage}"))
    out.append(
        apple_record("BloodGlucose", "2026-05-01 08:00:00 +0100", "2026-05-01 08:00:00 +0100", 5.6, "mmol&lt;180.1558800000541&gt;/L")
    )
    out.append(apple_record("AppleExerciseTime", "2026-05-01 08:00:00 +0100", "2026-05-01 08:01:00 +0100", 1, "min"))
    return out


def test_apple_counts_one_device_at_a_time_and_reads_what_is_not_well_formed(tmp_path: Path) -> None:
    (day,) = day_of(write(tmp_path, "export.xml", apple(apple_day())))
    assert day.values["steps"] == 50 * 96 and day.values["active_kcal"] == 96
    assert (day.values["sleep_h"], day.values["deep_sleep_pct"], day.values["rem_sleep_pct"]) == (5, 20, 20)
    assert day.values["vigorous_min"] is None
    assert held(read(tmp_path / "export.xml").readings, "glucose") == [5.6]
    with pytest.raises(ElementTree.ParseError):
        ElementTree.parse(tmp_path / "export.xml")


def test_apple_reads_the_same_as_a_parser_where_the_file_is_well_formed(tmp_path: Path) -> None:
    whole = apple(apple_day()).replace("HKCharacteristic broken doctype\n", "")
    path = write(tmp_path, "export.xml", whole)
    parsed = [r for r in ElementTree.parse(path).iter("Record") if r.get("type") == "HKQuantityTypeIdentifierStepCount"]
    assert sorted(held(read(path).readings, "steps")) == sorted(float(r.get("value", "")) for r in parsed)
    assert {k.source for k in read(path).readings.all} == {"Ann’s Watch", "Ann’s iPhone"}


def test_apple_loses_only_records_that_are_none_and_names_their_line(tmp_path: Path) -> None:
    records = apple_day()
    broken = [*records[:8], ' <Record type="HKQuantityTypeIdentifierStepCount" startDate="2026\n', *records[8:]]
    text = apple(broken)
    found = read(write(tmp_path, "export.xml", text))
    line = text[: text.index('startDate="2026\n')].count("\n") + 1
    assert f"records that are no XML: 1 ({tmp_path / 'export.xml'}, line {line})" in left(found.readings)
    assert len(held(found.readings, "steps")) == 2 * 96
    cut = read(write(tmp_path, "cut.xml", apple(records, end="")[:-40]))
    assert "breaks off at the end" in left(cut.readings)


def test_apple_is_the_same_however_it_is_cut_into_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sensecf_edge.sensors.readers import apple_health

    path = write(tmp_path, "export.xml", apple(apple_day()))
    whole = read(path).readings
    for size in (701, 4096, 10_007):
        monkeypatch.setattr(apple_health, "BLOCK", size)
        small = read(path).readings
        assert {k: s.columns()[2].tolist() for k, s in small.all.items()} == {k: s.columns()[2].tolist() for k, s in whole.all.items()}
        assert small.notes.to_json() == whole.notes.to_json()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_ai_readi_in_each_of_its_versions(tmp_path: Path, version: int) -> None:
    at = {"start_date_time": "2025-01-10T08:00:00Z", "end_date_time": "2025-01-10T12:00:00Z"}
    sleep: dict[str, Any] = {"sleep_stage_state": "deep"}
    frame = {1: "effective_time_frame", 2: "sleep_stage_time_frame", 3: "effective_time_frame"}[version]
    sleep = {**({"sleep_duration": {"value": 4, "unit": "h"}} if version == 1 else sleep), frame: {"time_interval": at}}
    write(tmp_path, "sleep/1001_sleep.json", ai_readi("1001", {"sleep": [sleep]}, "pst" if version == 3 else None))
    moments = [f"2025-01-10T{8 + i // 12:02}:{i % 12 * 5:02}:00Z" for i in range(180)]
    cgm = [{"effective_time_frame": {"time_interval": {"start_date_time": m, "end_date_time": m}}, "event_type": "EGV",
            "blood_glucose": {"unit": "mg/dL", "value": "Low" if i == 0 else 100}} for i, m in enumerate(moments)]  # fmt: skip
    write(tmp_path, "cgm/1001_DEX.json", ai_readi("1001", cgm if version == 1 else {"cgm": cgm}, None))
    stress = [
        {"stress": {"value": -1 if i % 2 else 30, "unit": "stress level"}, "effective_time_frame": {"date_time": m}}
        for i, m in enumerate(moments)
    ]
    write(tmp_path, "stress/1001_stress.json", ai_readi("1001", {"stress": stress}))
    kcal = [{"activity_name": "kcal_burned", ("duration" if version == 1 else "calories_value"): {"value": 2 * i, "unit": "kcal"},
             "effective_time_frame": {"date_time": m}} for i, m in enumerate(moments)]  # fmt: skip
    walking = {
        "activity_name": "walking",
        "base_movement_quantity": {"value": 70, "unit": "steps"},
        "effective_time_frame": {"time_interval": at},
    }
    write(tmp_path, "activity/1001_activity.json", ai_readi("1001", {"activity": [walking]}))
    write(tmp_path, "calorie/1001_calorie.json", ai_readi("1001", {"activity": kcal}))
    found = read(tmp_path)
    assert found.known == {"ai-readi": 5} and "calls itself steps" in left(found.readings)
    (day,) = days(found.readings, Rules())
    assert (day.person, day.date) == ("1001", "2025-01-10")
    assert day.values["sleep_h"] == 4 and (day.values["deep_sleep_pct"] is None) is (version == 1)
    assert day.values["steps"] is None and day.values["stress_mean"] == 30 and day.values["active_kcal"] == 358
    assert day.coverage["glucose_mean"] == 0.625  # Pacific days, though the times are UTC


def test_open_mhealth_in_a_list_or_one_by_one(tmp_path: Path) -> None:
    def point(name: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"header": {"id": "x", "user_id": "p1", "schema_id": {"namespace": "omh", "name": name, "version": "4.0"}}, "body": body}

    def during(a: str, b: str) -> dict[str, Any]:
        return {"effective_time_frame": {"time_interval": {"start_date_time": a, "end_date_time": b}}}

    lasting = {
        "effective_time_frame": {"time_interval": {"start_date_time": "2026-05-01T09:00:00Z", "duration": {"value": 1, "unit": "h"}}}
    }
    points = [
        point(
            "blood-glucose",
            {"blood_glucose": {"value": 5.6, "unit": "mmol/L"}, "effective_time_frame": {"date_time": "2026-05-01T08:00:00+01:00"}},
        ),
        point("blood-glucose", {"blood_glucose": {"value": 101}, "effective_time_frame": {"date_time": "2026-05-01T08:05:00+01:00"}}),
        point("step-count", {"step_count": {"value": 500, "unit": "steps"}, **during("2026-05-01T08:00:00Z", "2026-05-01T09:00:00Z")}),
        point("step-count", {"step_count": 70, **lasting}),
        point(
            "sleep-episode", {"total_sleep_time": {"value": 420, "unit": "min"}, **during("2026-04-30T22:00:00Z", "2026-05-01T06:00:00Z")}
        ),
        point(
            "heart-rate", {"heart_rate": {"value": 61, "unit": "beats/min"}, "effective_time_frame": {"date_time": "2026-05-01T08:00:00Z"}}
        ),
        point("body-weight", {"body_weight": {"value": 70, "unit": "kg"}, "effective_time_frame": {"date_time": "2026-05-01T08:00:00Z"}}),
    ]
    found = read(write(tmp_path, "a.json", json.dumps(points)))
    assert (
        found.known == {"open-mhealth": 1}
        and "body-weight" in left(found.readings)
        and "a unit that can be read: 1" in left(found.readings)
    )
    assert held(found.readings, "steps") == [500, 70] and held(found.readings, "glucose") == [5.6]
    assert days(found.readings, Rules(LONDON))[0].values["sleep_h"] == 7
    lines = read(write(tmp_path, "b.json", "\n".join(map(json.dumps, points)))).readings
    assert {k: s.columns()[2].tolist() for k, s in lines.all.items()} == {k: s.columns()[2].tolist() for k, s in found.readings.all.items()}


def test_a_plain_table_names_what_it_holds(tmp_path: Path) -> None:
    text = "time;end;kind;value;unit;person\n2026-05-01 08:00;;glucose;5,6;mmol/L;a\n2026-05-01 08:05;;glucose;101;mg/dL;a\n"
    text += "2026-05-01 08:00;2026-05-01 09:00;steps;500;steps;a\n2026-05-01 00:00;2026-05-01 02:00;sleep;deep;;a\n"
    text += "2026-05-01 08:00;;steps;500;steps;a\n2026-05-01 08:10;;mood;5;;a\n"
    text += "yesterday;;glucose;5,7;mmol/L;a\n2026-05-01 08:20;;glucose;Low;mmol/L;a\n"
    found = read(write(tmp_path, "a.csv", text))
    assert found.known == {"table": 1} and held(found.readings, "glucose") == [101, 5.6, float("-inf")]
    assert held(found.readings, "steps") == [500] and held(found.readings, "sleep") == [DEEP] and LIGHT != DEEP
    for reason in ("without its end", "kind that is not known", "time that can be read"):
        assert reason in left(found.readings)


def test_a_plain_table_without_a_unit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "time,kind,value\n2026-05-01T08:00:00Z,glucose,5.6\n")
    with pytest.raises(TableError, match=r"no unit.*--unit glucose=mmol/L"):
        read(path)
    assert held(read(path, units={"glucose": "mmol/L"}).readings, "glucose") == [5.6]


def test_t1d_uom_adds_up_epochs_and_leaves_out_what_two_clocks_claim(tmp_path: Path) -> None:
    header = "participant,activity_ts,activity_type,active_Kcal,step_count,distance_m,duration_s,"
    header += "active_time_s,start_time_s,start_time_offset_s,intensity\n"
    begin = utc("2023-11-01T00:00:00")
    rows = []
    for i in range(96):
        when, at = f"01/11/2023 {i // 4:02}:{i % 4 * 15:02}", begin + 900 * i
        rows += [f"1,{when},WALKING,3,50,1,900,300,{at},0,ACTIVE\n", f"1,{when},SEDENTARY,0,0,0,900,600,{at},0,SEDENTARY\n"]
    rows += [rows[0], f"1,01/11/2023 00:15,WALKING,3,99,1,900,300,{begin + 900},3600,ACTIVE\n"]
    write(tmp_path, "activity.csv", header + "".join(rows))
    pulse = "".join(f"1,01/11/2023 {i // 4:02}:{i % 4 * 15:02},0,60,{-1 if i % 2 else 30},0,0\n" for i in range(96))
    write(tmp_path, "garmin.csv", "participant,sleep_ts,step_count,heart_rate,stress_level_value,sleep_level,resting_heart_rate\n" + pulse)
    sleep = "participant,calendar_date,duration_in_sec,start_date_ts,start_time_offset_s,"
    sleep += "unmeasurable_sleep_s,deep_sleep_s,light_sleep_s,rem_sleep_s,awake_s,validation\n"
    night = "1,01/11/2023,25200,31/10/2023 {},0,0,{},14400,7200,600,{}\n"
    write(tmp_path, "sleep.csv", sleep + night.format("23:00", 3600, "ENHANCED_TENTATIVE") + night.format("23:00", 7200, "ENHANCED_FINAL"))
    write(tmp_path, "bolus.csv", "participant,bolus_ts,bolus_dose\n1,01/11/2023 08:00,2\n")
    found = read(tmp_path)
    assert found.known == {"t1d-uom": 4}
    for reason in ("by two clocks", "duplicates", "tentative nights", "meals or insulin, not used"):
        assert reason in left(found.readings)
    (day,) = days(found.readings, Rules(LONDON))
    assert (day.values["steps"], day.values["active_min"], day.values["sedentary_min"]) == (95 * 50, 95 * 5, 95 * 10)
    assert day.values["sleep_h"] == 8 and day.values["deep_sleep_pct"] == 25 and day.values["stress_mean"] == 30


@pytest.mark.parametrize("text, value", [("5.6", 5.6), ("5,6", 5.6), ("101", 101), (" 7 ", 7), ("-1", -1), ("0,1234", 0.1234)])
def test_numbers_have_a_point_or_a_comma(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["1,234", "12,345,678", "five", "", "1_000", "٣", "1,2,3"])
def test_what_may_be_two_numbers_is_none(text: str) -> None:
    assert number(text) != number(text)


def test_two_peoples_files_in_one_folder_are_told_apart_or_refused(tmp_path: Path) -> None:
    write(tmp_path, "named/a.csv", clarity(DAY))
    write(tmp_path, "named/b.csv", clarity(["200"] * 288, first="Ben", begin="2026-05-01T00:01:30"))
    assert [d.person for d in day_of(tmp_path / "named")] == ["Ann Example", "Ben Example"]
    for name, begin in (("a", "2026-05-01T00:00:12"), ("b", "2026-05-01T00:01:30")):
        write(tmp_path, f"nameless/{name}/x.csv", clarity(DAY, first="", last="", begin=begin))
    with pytest.raises(TableError, match="of two people"):
        read(tmp_path / "nameless")
    apart = read_sources([str(tmp_path / "nameless")], by_folder=True).readings
    assert apart.persons() == ["a", "b"]


def test_an_export_twice_is_no_second_person(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", clarity(DAY))
    write(tmp_path, "b.csv", clarity([*DAY, *DAY]))
    assert [d.values["glucose_mean"] for d in day_of(tmp_path)] == [100, 100]


def test_a_folder_without_a_known_file_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, "a.pdf", b"%PDF-1.7 x")
    write(tmp_path, "b.csv", "a,b\n1,2\n")
    with pytest.raises(TableError) as told:
        read(tmp_path)
    assert all(f"{name}:" in str(told.value) for name in names()) and "1 .pdf" in str(told.value)
    with pytest.raises(TableError, match=r"a zip archive.*unpack"):
        read(write(tmp_path, "export.zip", b"PK\x03\x04xxxx"))
    with pytest.raises(TableError, match="is empty"):
        read(write(tmp_path, "empty.csv", ""))
    with pytest.raises(TableError, match="is not there"):
        read(tmp_path / "nothing")
    with pytest.raises(TableError, match="no source 'x'"):
        read(tmp_path, source="x")


def test_a_file_cut_in_the_middle_is_said_with_its_line(tmp_path: Path) -> None:
    found = read(write(tmp_path, "a.csv", clarity(DAY)[:-60]))
    assert "cut short" in left(found.readings) or len(found.readings) >= 286
    entries = json.dumps([{"type": "sgv", "sgv": 100, "date": 1}] * 9, indent=1)
    with pytest.raises(TableError, match=r"line \d+.*cut off"):
        read(write(tmp_path, "entries.json", entries[:-30]))
    packed = gzip.compress(clarity(DAY).encode())
    with pytest.raises(TableError, match="damaged or cut off"):
        read(write(tmp_path, "b.csv.gz", packed[:-800]))


@pytest.mark.parametrize("end", [",,", ",", ""])
def test_a_value_that_a_file_breaks_off_within_does_not_count(end: str, tmp_path: Path) -> None:
    whole = clarity([250] * 288)
    found = read(write(tmp_path, "a.csv", whole[: whole.rindex("250") + 2] + end))
    assert held(found.readings, "glucose") == [250] * 287 + ([25] if end else [])
    assert bool(end) or "cut short" in left(found.readings)
    history = libre([250] * 96)
    assert held(read(write(tmp_path, "b.csv", history[: history.rindex("250") + 2])).readings, "glucose") == [250] * 95


def test_a_quotation_mark_that_never_closes_spoils_one_line(tmp_path: Path) -> None:
    lines = clarity(DAY).splitlines(keepends=True)
    lines[100] = lines[100].replace(",EGV,", ',EGV,"', 1)
    found = read(write(tmp_path, "a.csv", "".join(lines)))
    assert len(found.readings) == 287 and "cut short: 1" in left(found.readings)


def test_a_header_moved_down_is_found(tmp_path: Path) -> None:
    assert len(day_of(write(tmp_path, "a.csv", "Clarity export\nfor somebody\n\n" + clarity(DAY)))) == 1


def test_dexcom_without_readings_says_so(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no row has the event type EGV"):
        read(write(tmp_path, "a.csv", clarity([])))


@pytest.mark.parametrize("value", ["Infinity", "1e400", "-Infinity", "NaN", '"Infinity"', '"nan"', "true"])
def test_infinity_is_no_high(value: str, tmp_path: Path) -> None:
    """A sensor that says nothing of the kind must not put somebody above their range."""
    text = f'[{{"type": "sgv", "sgv": {value}, "date": 1777593600000}}, {{"sgv": 100, "date": 1777593900000}}]'
    path = write(tmp_path, "entries.json", text)
    assert held(read(path).readings, "glucose") == [100]
    cells = "Device,Serial Number,Device Timestamp,Record Type,Historic Glucose mg/dL,Scan Glucose mg/dL,Notes\n"
    path = write(tmp_path, "libre.csv", libre([value.strip('"'), 100], cells))
    assert held(read(path).readings, "glucose") == [100]


def test_a_time_beyond_all_calendars_is_one_that_cannot_be(tmp_path: Path) -> None:
    entries = [{"sgv": 100, "date": 10**30}, *({"sgv": 100, "date": 1777593600000 + i * 300_000} for i in range(9))]
    path = write(tmp_path, "entries.json", json.dumps(entries))
    readings = read(path).readings
    assert len(days(readings, Rules(LONDON, now=utc("2026-06-01T00:00:00")))) == 1 and "at a time that cannot be" in left(readings)


def test_a_packed_export_that_is_cut_off_is_said(tmp_path: Path) -> None:
    held = [apple_record("StepCount", f"2026-05-01 0{i}:00:00 +0100", f"2026-05-01 0{i}:09:00 +0100", i) for i in range(9)]
    whole = gzip.compress(apple(held).encode())
    with pytest.raises(TableError, match=r"export\.xml.*damaged or cut off"):
        read(write(tmp_path, "export.xml", whole[: len(whole) * 2 // 3]))


def test_a_table_may_stand_below_other_lines_and_says_lines_as_an_editor_counts_them(tmp_path: Path) -> None:
    table = "time;kind;value;unit\n" + "\n".join(f"2026-05-01 {i // 12:02}:{i % 12 * 5:02};glucose;5,5;mmol/L" for i in range(288))
    text = 'sep=;\n"Export of ""somebody"""\n\nmade;in;May;2026;\n' + table + "\n\n2026-05-02 99:00;glucose;5,5;mmol/L\n"
    (day,) = day_of(write(tmp_path, "a.csv", text))
    assert day.values["glucose_mean"] == 99.1
    assert f"{tmp_path / 'a.csv'}, line 295)" in left(read(tmp_path / "a.csv").readings)


@pytest.mark.parametrize("change, said", [
    (lambda t: "\n".join('"' + line.replace('"', '""') + '"' for line in t.splitlines()), "looks like an export of dexcom"),
    (lambda t: t.replace(" (YYYY-MM-DDThh:mm:ss)", ""), "looks like an export of dexcom"),
    (lambda t: t.replace("2026-05-01T00:", "01.05.2026 00:"), r"first is '01\.05\.2026 00:00:12'.*--dates DMY"),
])  # fmt: skip
def test_an_export_that_a_spreadsheet_saved_again_gets_a_hint(change: Callable[[str], str], said: str, tmp_path: Path) -> None:
    text = change(clarity([100] * 12))
    with pytest.raises(TableError, match=said):
        read(write(tmp_path, "a.csv", text))
    write(tmp_path, "b.csv", libre([100] * 12))
    if "first is" not in said:
        assert "changed by another program" in left(read(tmp_path).readings)
    else:
        assert len(read(tmp_path / "a.csv", dates="DMY").readings) == 12


def test_what_is_left_out_is_told_with_file_and_line_of_the_first_few(tmp_path: Path) -> None:
    """Readings are judged when all files are read, and their places are known all the same."""
    lines = clarity(["100"] * 200).splitlines()
    for i in (20, 40, 60, 80):
        lines[i] = lines[i].replace("100", "5")
    lines.insert(30, lines[29])
    write(tmp_path, "a.csv", "\n".join(lines) + "\n")
    bad = [{"sgv": 5 if i == 7 else 100, "date": (1_777_680_000 + 300 * i) * 1000} for i in range(200)]
    write(tmp_path, "b.json", json.dumps(bad))
    readings = read(tmp_path, person="a").readings
    days(readings, Rules(LONDON, now=utc("2026-06-01T00:00:00")))
    told = left(readings)
    a, b = tmp_path / "a.csv", tmp_path / "b.json"
    assert f"another unit than stated): 5 (first: {a}, line 21, line 42, line 62)" in told
    assert re.search(rf"glucose that stands there already .*: 1 \({re.escape(str(a))}, line 3[01]\)", told)
    (note,) = (n for n in readings.notes.to_json()["left_out"] if "outside" in n["reason"])
    assert note["count"] == 5 and len(note["where"]) == 3
    held = read(b).readings
    days(held, Rules(LONDON, now=utc("2026-06-01T00:00:00")))
    assert f"({b}, entry 8)" in left(held)


def test_places_survive_what_memory_has_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensecf_edge.sensors.readings.IN_MEMORY", 256)
    text = clarity(["100"] * 700 + ["5"] + ["100"] * 300)
    readings = read(write(tmp_path, "a.csv", text)).readings
    days(readings, Rules(LONDON, now=utc("2026-06-01T00:00:00")))
    assert f"({tmp_path / 'a.csv'}, line 706)" in left(readings)


def test_one_damaged_file_of_many_is_left_out_and_told(tmp_path: Path) -> None:
    entries = json.dumps([{"sgv": 100, "date": 1777593600000}])
    write(tmp_path, "a.json", entries)
    write(tmp_path, "b.json", entries[:-5])
    found = read(tmp_path)
    told = left(found.readings)
    assert len(found.readings) == 1 and f"({tmp_path / 'b.json'})" in told and "damaged or break off" in told
    write(tmp_path, "c.jsonl", '{"sgv": 100, "date": 1777593600000}\n{"sgv": 100, "date": 1777593900000}\n{"sgv": 10')
    assert f"lines that are no JSON (is the file cut off? Export it again): 1 ({tmp_path / 'c.jsonl'}, line 3)" in left(
        read(tmp_path / "c.jsonl").readings
    )


def test_files_without_a_name_are_one_persons_and_that_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a/a.csv", libre([100] * 96))
    write(tmp_path, "b/b.csv", libre([150] * 96, begin="2026-05-15T00:02:00"))
    assert "files that say nobody's name, taken as one person's (else --person or --by-folder): 2" in left(read(tmp_path).readings)
    apart = read_sources([str(tmp_path)], by_folder=True).readings
    assert apart.persons() == ["a", "b"] and "nobody's name" not in left(apart)


def test_a_line_of_clarity_that_is_cut_short_is_told(tmp_path: Path) -> None:
    assert "cut short: 1 (" in left(read(write(tmp_path, "a.csv", clarity(DAY)[:-37])).readings)


def test_an_export_that_holds_nothing_is_told(tmp_path: Path) -> None:
    write(tmp_path, "steps-2026-05-01.json", "[]")
    write(tmp_path, "a.csv", clarity(DAY))
    assert f"files that hold nothing: 1 ({tmp_path / 'steps-2026-05-01.json'})" in left(read(tmp_path).readings)


SAMPLES = {
    "clarity.csv": clarity([100, "Low", 120, "High"]), "libre.csv": libre([100, "HI", 120]),
    "export.xml": apple([apple_record("StepCount", "2026-05-01 08:00:00 +0100", "2026-05-01 08:09:00 +0100", 50),
                         apple_record("BloodGlucose", "2026-05-01 08:00:00 +0100", "2026-05-01 08:00:00 +0100", 5.5, "mmol/L")]),
    "entries.json": json.dumps([{"type": "sgv", "sgv": 100, "date": 1777593600000}]),
    "a.fit": Fit().message(55, (253, 0x86, "I", 1146528000)).bytes(),
    "steps-2026-05-01.json": json.dumps([{"dateTime": "05/01/26 08:00:00", "value": "12"}]),
    "participant.json": ai_readi("1001", {"cgm": [{"effective_time_frame": {"time_interval": {"start_date_time": "2026-05-01T08:00:00Z"}},
                                                   "blood_glucose": {"unit": "mg/dL", "value": 100}}]}),
    "points.json": json.dumps({"header": {"schema_id": {"name": "heart-rate"}},
                               "body": {"heart_rate": {"value": 60, "unit": "beats/min"},
                                        "effective_time_frame": {"date_time": "2026-05-01T08:00:00Z"}}}),
    "sleep.csv": "participant,start_date_ts,start_time_offset_s,validation,deep_sleep_s,light_sleep_s,rem_sleep_s,awake_s,"
                 "unmeasurable_sleep_s\nUoM1,01/05/2026 22:00,3600,FINAL,3600,7200,3600,60,0\n",
    "readings.csv": "time,end,kind,value,unit\n2026-05-01T08:00:00Z,,glucose,100,mg/dL\n"
                    "2026-05-01T08:00:00Z,2026-05-01T08:10:00Z,steps,9,steps\n",
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_no_damage_breaks_a_reader(name: str, tmp_path: Path) -> None:
    """Cut, flipped, doubled, in another encoding or year: days or clear words that name the file, and never a fault of ours."""
    sample = SAMPLES[name]
    whole, chance = sample.encode() if isinstance(sample, str) else sample, random.Random(name)
    odd = [b"1e400", b"-1", b"null", b"9" * 30, b"[]", b"{}"]
    odd += [b'"', b"\0", b"", b"0000", b"1970", b"2089", b"\xef\xbb\xbf", "½".encode("cp1252")]
    for _ in range(120):
        data, at = whole, chance.randrange(len(whole))
        match chance.randrange(5):
            case 0:
                data = whole[:at]
            case 1:
                data = whole[:at] + bytes([chance.randrange(256)]) + whole[at + 1 :]
            case 2:
                data = whole[:at] + chance.choice(odd) + whole[at + chance.randrange(6) :]
            case 3:
                data = whole + whole
            case 4:
                data = whole.decode("latin-1").encode(chance.choice(["utf-16", "utf-8-sig", "cp1252"]), "replace")
        path = write(tmp_path, name, data)
        try:
            days(read(path, dates="DMY").readings, Rules(LONDON, now=utc("2026-06-01T00:00:00")))
        except TableError as error:
            assert "fault in this program" not in str(error) and (name in str(error) or "--unit" in str(error)), data


def test_half_a_character_in_a_name_is_written_by_its_number(tmp_path: Path) -> None:
    line = {"time": "2026-05-01T00:00:00Z", "kind": "glucose", "value": 100, "unit": "mg/dL", "person": "x\ud800"}
    assert read(write(tmp_path, "a.jsonl", json.dumps(line))).readings.persons() == ["x\\ud800"]
