"""Exports whose content has another shape than their format says: days or clear words about file and place, never a fault of ours."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensors import LONDON, Fit, ai_readi, apple, apple_record, clarity, libre, utc, write

from sensecf_edge.errors import TableError
from sensecf_edge.sensors.daily import Rules, days
from sensecf_edge.sensors.exports import ReadOptions
from sensecf_edge.sensors.sources import ReadResult, read_sources

AT = {"date_time": "2026-05-01T08:00:00Z"}
SPAN = {"time_interval": {"start_date_time": "2026-05-01T01:00:00Z", "end_date_time": "2026-05-01T05:00:00Z"}}


def point(name: str, **body: Any) -> dict[str, Any]:
    return {
        "header": {"schema_id": {"namespace": "omh", "name": name}, "user_id": "u", "acquisition_provenance": {"source_name": "w"}},
        "body": body,
    }


JSON: dict[str, Any] = {
    "entries.json": [
        {"type": "sgv", "sgv": 100, "date": 1777593600000, "units": "mg/dl", "subject": "a"},
        {"type": "mbg", "mbg": 90, "date": 1},
        {"type": "sgv", "sgv": 110, "dateString": "2026-05-01T08:00:00Z", "date": None},
    ],
    "answer.json": {"status": 200, "result": [{"sgv": 100, "date": 1777593600000}, {"sgv": 101, "date": 1777593900000}]},
    "steps-2026-05-01.json": [{"dateTime": "05/01/26 08:00:00", "value": "12"}, {"dateTime": "05/01/26 08:01:00", "value": "9"}],
    "heart_rate-2026-05-01.json": [{"dateTime": "05/01/26 08:00:00", "value": {"bpm": 60, "confidence": 2}}],
    "resting_heart_rate-2026-05-01.json": [{"dateTime": "05/01/26 08:00:00", "value": {"date": "05/01/26", "value": 57.5, "error": 6}}],
    "very_active_minutes-2026-05-01.json": [{"dateTime": "05/01/26 00:00:00", "value": "30"}],
    "sleep-2026-05-01.json": [
        {
            "dateOfSleep": "2026-05-01",
            "levels": {
                "data": [{"dateTime": "2026-04-30T23:00:00.000", "level": "light", "seconds": 7200}],
                "shortData": [{"dateTime": "2026-05-01T00:00:00.000", "level": "wake", "seconds": 60}],
            },
        }
    ],
    "cgm.json": json.loads(ai_readi("1001", {"cgm": [{"effective_time_frame": SPAN, "blood_glucose": {"unit": "mg/dL", "value": 100}}]})),
    "watch.json": json.loads(
        ai_readi(
            "1001",
            {
                "stress": [{"stress": {"value": 30, "unit": "stress level"}, "effective_time_frame": AT}],
                "heart_rate": [{"heart_rate": {"value": 60, "unit": "beats/min"}, "effective_time_frame": AT}],
                "sleep": [
                    {"sleep_stage_state": "deep", "sleep_stage_time_frame": SPAN},
                    {"sleep_duration": {"value": 4}, "effective_time_frame": SPAN},
                ],
                "activity": [
                    {"activity_name": "kcal_burned", "calories_value": {"value": 9, "unit": "kcal"}, "effective_time_frame": AT},
                    {"activity_name": "sedentary", "base_movement_quantity": {"value": "0"}, "effective_time_frame": SPAN},
                ],
            },
        )
    ),
    "points.json": [
        point("blood-glucose", blood_glucose={"value": 100, "unit": "mg/dL"}, effective_time_frame=AT),
        point("step-count", step_count=90, effective_time_frame=SPAN),
        point("sleep-duration", sleep_duration={"value": 3, "unit": "h"}, effective_time_frame=SPAN),
        point(
            "sleep-stage",
            sleep_stage_state="rem",
            effective_time_frame={"time_interval": {"start_date_time": "2026-05-01T05:00:00Z", "duration": {"value": 20, "unit": "min"}}},
        ),
    ],
}
HEADS = {
    "entries.json": ("sgv", "date"),
    "cgm.json": ("AIREADI-", "header"),
    "watch.json": ("AIREADI-", "header"),
    "points.json": ("schema_id", "body"),
    "answer.json": ("sgv", "date"),
}
"""What a file is known by: where a change takes it away, it is another file."""

odd = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        39,
        1e400,
        -1e400,
        float("nan"),
        10**30,
        -(10**400),
        2**63,
        1.5,
        "",
        " ",
        "0",
        "x",
        "Infinity",
        "1e999",
        "\x1b[2J",
        "=1+1",
        "\ud800",
        "2026-13-45T99:99:99Z",
        "2026-05-01",
        "9999-12-31T23:59:59Z",
        [],
        {},
        [[]],
        [1, "a", None],
        {"value": []},
        {"value": {"value": 1}},
        [{"value": 1}],
        "x" * 5_000,
    ]
)


def places(held: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
    return [at, *(found for key, value in inner for found in places(value, (*at, key)))]


def changed(held: Any, at: tuple[Any, ...], change: Callable[[Any, Any], None]) -> None:
    for key in at[:-1]:
        held = held[key]
    change(held, at[-1])


def _nested(held: Any, key: Any) -> None:
    held[key] = [held[key]] if isinstance(held[key], dict) else {"value": held[key]}


def _gone(held: Any, key: Any) -> None:
    del held[key]


def _doubled(held: Any, key: Any) -> None:
    if isinstance(held, list):
        held.insert(key, held[key])
    else:
        held[f"{key}s"] = held.pop(key)


@st.composite
def shapes(draw: st.DrawFn, name: str) -> str:
    held = json.loads(json.dumps(JSON[name]))
    for _ in range(draw(st.integers(1, 4))):
        inside = [at for at in places(held) if at]
        if not inside:
            break
        value = copy.deepcopy(draw(odd))
        changed(
            held,
            draw(st.sampled_from(inside)),
            draw(st.sampled_from([lambda h, k, v=value: h.__setitem__(k, v), _nested, _gone, _doubled])),
        )
    return json.dumps(held)


def made_of(name: str, data: str | bytes, **asked: Any) -> ReadResult | None:
    """What is read of it, turned into days; None where it is refused in clear words."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), name, data)
        try:
            found = read_sources([str(path)], ReadOptions(dates="DMY", **asked))
            days(found.readings, Rules(LONDON, now=utc("2026-06-01T00:00:00")))
        except TableError as error:
            told = str(error)
            assert "fault in this program" not in told and (name in told or "--unit" in told), (told, data)
            return None
        for line in found.readings.notes.lines():
            assert line.isprintable(), line
        return found


@pytest.mark.parametrize("name", JSON)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data())
def test_json_of_another_shape(name: str, data: st.DataObject) -> None:
    text = data.draw(shapes(name))
    found = made_of(name, text)
    if found is not None and all(word in text for word in HEADS.get(name, ())):
        assert len(found.readings) or found.readings.notes.lines(), text


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("whole", ["[]", "{}", "[[]]", "[1, null, true]", "null", '"text"', "[" * 50_000, '{"a":' * 50_000, "9" * 6_000])
def test_json_that_is_another_thing_altogether(name: str, whole: str) -> None:
    made_of(name, whole)
    for held in HEADS.get(name, ()):
        made_of(name, f'{{"{held}": {whole}, ' + ", ".join(f'"{other}": {whole}' for other in HEADS[name]) + "}")


@pytest.mark.parametrize("value", [[], {}, [1], "x", None, 5, {"header": []}])
def test_ai_readi_survives_each_part_of_another_shape_and_says_where(value: Any) -> None:
    for at in places(JSON["watch.json"]):
        if at:
            held = json.loads(json.dumps(JSON["watch.json"]))
            changed(held, at, lambda h, k: h.__setitem__(k, value))
            made_of("watch.json", json.dumps({"uuid": "AIREADI-1", **held}))


TABLES = {
    "clarity.csv": clarity([100, "Low", 120, "High"]),
    "libre.csv": libre([100, "HI", 120]),
    "glucose.csv": "participant,bg_ts,value\n2301,01/05/2026 10:00,5.6\n2301,01/05/2026 10:05,5.7\n",
    "garmin.csv": "participant,sleep_ts,heart_rate,stress_level_value,resting_heart_rate\n2301,01/05/2026 10:00,60,30,55\n",
    "sleep.csv": "participant,start_date_ts,start_time_offset_s,validation,deep_sleep_s,light_sleep_s,rem_sleep_s,awake_s,"
    "unmeasurable_sleep_s\nUoM1,01/05/2026 22:00,3600,FINAL,3600,7200,3600,60,0\n",
    "activity.csv": "participant,activity_ts,start_time_s,start_time_offset_s,activity_type,intensity,active_time_s,step_count,active_Kcal,"
    "duration_s\n2301,01/05/2026 10:00,1777629600,3600,WALKING,ACTIVE,600,900,40,900\n"
    "2301,01/05/2026 10:00,1777629600,3600,SEDENTARY,SEDENTARY,300,0,0,900\n",
    "readings.csv": "time,end,kind,value,unit,person,source\n2026-05-01T08:00:00Z,,glucose,100,mg/dL,a,s\n"
    "2026-05-01T08:00:00Z,2026-05-01T08:10:00Z,steps,9,steps,a,s\n2026-05-01T01:00:00Z,2026-05-01T08:00:00Z,sleep,deep,,a,s\n",
}
cells = st.sampled_from(
    [
        "",
        " ",
        "x",
        "-1",
        "1e400",
        "1e-400",
        "NaN",
        "Infinity",
        "9" * 400,
        "1,5",
        "1.234,5",
        "1,234",
        "½",
        "\x00",
        "\x1b[2J",
        "=cmd",
        "''",
        "Low",
        "HIGH",
        "32/13/2026 99:99",
        "01/05/26 08:00",
        "2026-05-01T08:00:00+99:00",
        "0",
        "65535",
        "-99999999999999999999",
    ]
)


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data())
def test_tables_with_other_cells_columns_and_rows(name: str, data: st.DataObject) -> None:
    rows = list(csv.reader(io.StringIO(TABLES[name])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(rows) - 1))
        column = data.draw(st.integers(0, max(len(rows[at]) - 1, 0)))
        match data.draw(st.sampled_from(["cell", "cut", "more", "swap", "again", "gone"])):
            case "cell" if rows[at]:
                rows[at][column] = data.draw(cells)
            case "cut":
                rows[at] = rows[at][:column]
            case "more":
                rows[at] = [*rows[at], data.draw(cells)]
            case "swap":
                rows = [[*row[column:], *row[:column]] for row in rows]
            case "again":
                rows.insert(at, list(rows[at]))
            case "gone":
                rows = [[cell for i, cell in enumerate(row) if i != column] for row in rows]
    out = io.StringIO()
    escape = "\\" if sys.version_info < (3, 11) else None  # without one, Python 3.10 writes no NUL
    delimiter = data.draw(st.sampled_from([",", ";", "\t"]))
    csv.writer(out, delimiter=delimiter, lineterminator="\n", escapechar=escape).writerows(rows)
    made_of(name, out.getvalue())


RECORD = apple_record("StepCount", "2026-05-01 08:00:00 +0100", "2026-05-01 08:09:00 +0100", 50)
SLEPT = apple_record("SleepAnalysis", "2026-05-01 01:00:00 +0100", "2026-05-01 05:00:00 +0100", "HKCategoryValueSleepAnalysisAsleepDeep")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([RECORD, SLEPT]), st.integers(0, 12), cells, st.sampled_from(["value", "name", "gone", "twice"])),
        min_size=1,
        max_size=4,
    )
)
def test_apple_records_with_other_attributes(changes: list[tuple[str, int, str, str]]) -> None:
    out = []
    for record, which, text, how in changes:
        attributes = re.findall(r' [A-Za-z]+="[^"]*"', record)
        at = attributes[which % len(attributes)]
        name, value = at.strip().split("=", 1)
        new = {"value": f' {name}="{text}"', "name": f" {name}s={value}", "gone": "", "twice": at + at}[how]
        out.append(record.replace(at, new))
    made_of("export.xml", apple(out).encode("utf-8", "replace"))


BASES = [
    (0, "B", 255),
    (1, "b", -1),
    (0x83, "h", -300),
    (0x84, "H", 65535),
    (0x85, "i", -(2**31)),
    (0x86, "I", 2**32 - 1),
    (2, "B", 0),
    (7, "8s", b"\xff\x00ab\x1b[2J"),
    (0x88, "f", float("nan")),
    (0x88, "f", float("inf")),
    (0x89, "d", 1e300),
    (13, "3B", 0),
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 20, 55, 103, 227, 211, 275, 9999]),
            st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 5, 19, 24, 26, 27, 253, 254]), st.sampled_from(BASES)), min_size=1, max_size=5),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_fit_messages_with_fields_of_other_types(messages: list[tuple[int, list[tuple[int, tuple[int, str, Any]]]]]) -> None:
    pytest.importorskip("fitdecode")
    fit = Fit().message(55, (253, 0x86, "I", 1146528000), (27, 2, "B", 61))
    for number, fields in messages:
        fit.message(number, *((field, base, form, value) for field, (base, form, value) in fields if form != "3B"))
    made_of("a.fit", fit.bytes())
