"""Days and readers held against other people's programs, each in an environment of its own that SENSECF_PYTHON_NAME names."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE
from sensors import LONDON, clarity, glucose, libre, made, utc, write

from sensecf_edge.sensors import daily
from sensecf_edge.sensors.daily import Rules, days
from sensecf_edge.sensors.measures import MEASURES
from sensecf_edge.sensors.sources import read_sources

IGLU = """
import json, sys
import iglu_python as iglu, pandas as pd
held = json.load(sys.stdin)
table = pd.DataFrame({"id": "a", "time": pd.to_datetime([t for t, _ in held], unit="s"), "gl": [float(v) for _, v in held]})
told = {"glucose_mean": iglu.mean_glu(table)["mean"], "glucose_sd": iglu.sd_glu(table)["SD"], "glucose_cv": iglu.cv_glu(table)["CV"],
        "gmi": iglu.gmi(table)["GMI"], "time_below_range_pct": iglu.below_percent(table, targets_below=[70])["below_70"],
        "time_in_range_pct": iglu.in_range_percent(table, target_ranges=[[70, 180]])["in_range_70_180"],
        "time_above_range_pct": iglu.above_percent(table, targets_above=[180])["above_180"]}
print(json.dumps({name: float(values.iloc[0]) for name, values in told.items()}))
"""
CGM_FORMAT = """
import json, sys
from cgm_format import FormatParser
found = FormatParser.parse_file(sys.argv[1])
print(json.dumps([[str(t), v] for t, v in zip(found["original_datetime"], found["original_glucose"]) if v is not None]))
"""
OMH_SHIM = """
import json
from omh_shim import convert
session = {"start_time": "2026-05-01T22:30:00+00:00", "end_time": "2026-05-02T06:30:00+00:00", "sleep_duration_seconds": 27000,
           "stages": {"light_minutes": 240, "deep_minutes": 90, "rem_minutes": 120, "awake_minutes": 30}, "is_nap": False}
points = [convert("ow_normalized", "sleep_episode", session)]
for minute in range(0, 1440, 5):
    at = f"2026-05-02T{minute // 60:02}:{minute % 60:02}:00+00:00"
    points.append(convert("ow_normalized", "blood_glucose", {"type": "blood_glucose", "value": 100 + minute % 7, "timestamp": at}))
    points.append(convert("ow_normalized", "heart_rate", {"type": "heart_rate", "value": 60, "timestamp": at}))
print(json.dumps(points))
"""


def asked(name: str, program: str, *words: object, given: Any = None) -> Any:
    """What another program says. Skips where its environment is not there."""
    python = os.environ.get(f"SENSECF_PYTHON_{name.upper().replace('-', '_')}")
    if not python:
        pytest.skip(f"SENSECF_PYTHON_{name.upper().replace('-', '_')} names no Python that has {name}")
    alone = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    command = [python, "-c", program, *map(str, words)]
    ran = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=PATIENCE, env=alone)
    assert ran.returncode == 0, ran.stderr[-2_000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture
def unrounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(daily, "MEASURES", tuple(replace(measure, digits=12) for measure in MEASURES))
    yield


@pytest.mark.parametrize("seed", range(3))
def test_glucose_of_a_day_is_iglus_to_a_millionth(seed: int, unrounded: None) -> None:
    chance = random.Random(seed)
    values = [70.0, 180.0, 69.0, 181.0, *(float(chance.randrange(40, 400)) for _ in range(chance.choice([284, 230])))]
    (day,) = made(glucose("2026-02-03T00:00:00", values))
    theirs = asked("iglu", IGLU, given=[[utc("2026-02-03T00:00:00") + 300 * i, v] for i, v in enumerate(values)])
    assert len(theirs) == 7
    for name, value in theirs.items():
        assert day.values[name] == pytest.approx(value, abs=1e-6), name


def test_where_iglu_says_another_thing_it_is_what_the_page_says(unrounded: None) -> None:
    """10.0 mmol/L is in range by its own unit, and over 180 mg/dL once it is converted; and a reading twice is two readings there."""
    (day,) = made(glucose("2026-02-03T00:00:00", [10.0] * 288, unit="mmol/L"))
    theirs = asked("iglu", IGLU, given=[[utc("2026-02-03T00:00:00") + 300 * i, 10.0 * 18.016] for i in range(288)])
    assert (day.values["time_in_range_pct"], theirs["time_in_range_pct"]) == (100, 0)
    twice = [100.0] * 287 + [200.0]
    (day,) = made([*glucose("2026-02-03T00:00:00", twice), *glucose("2026-02-03T00:00:00", twice)[-1:]])
    moments = [[utc("2026-02-03T00:00:00") + 300 * i, v] for i, v in enumerate(twice)]
    theirs = asked("iglu", IGLU, given=[*moments, moments[-1]])
    assert theirs["glucose_mean"] > (day.values["glucose_mean"] or 0) + 0.1


def readings_of(path: Path) -> list[tuple[int, float]]:
    (series,) = read_sources([str(path)]).readings.all.values()
    starts, _, values = series.columns()
    return list(zip(starts.tolist(), values.tolist(), strict=True))


LIBRE = ("Device,Serial Number,Device Timestamp,Record Type,Historic Glucose mg/dL,Scan Glucose mg/dL,Non-numeric Rapid-Acting Insulin,"
         "Rapid-Acting Insulin (units),Non-numeric Food,Carbohydrates (grams),Carbohydrates (servings),Non-numeric Long-Acting Insulin,"
         "Long-Acting Insulin Value (units),Notes,Strip Glucose mg/dL,Ketone mmol/L,Meal Insulin (units),Correction Insulin (units),"
         "User Change Insulin (units)\n")  # fmt: skip


@pytest.mark.parametrize("text", [clarity([100 + i % 60 for i in range(60)]),
                                  libre([100 + i % 60 for i in range(60)], LIBRE).replace(",,\n", "," * 14 + "\n")])  # fmt: skip
def test_exports_hold_the_readings_that_cgm_format_finds(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, "export.csv", text)
    theirs = [(utc(when.replace(" ", "T")[:19]), value) for when, value in asked("cgm-format", CGM_FORMAT, path)]
    assert len(theirs) == 60 and sorted(readings_of(path)) == sorted(theirs)


def test_low_and_high_are_39_and_401_to_cgm_format_and_limits_of_the_sensor_here(tmp_path: Path) -> None:
    path = write(tmp_path, "export.csv", clarity([100, "Low", "High", *[120] * 40]))
    theirs = [value for _, value in asked("cgm-format", CGM_FORMAT, path)]
    ours = [value for _, value in readings_of(path)]
    assert theirs[:3] == [100, 39, 401] and ours[0] == 100 and ours[1] < 0 and ours[2] == float("inf") and ours[3:] == theirs[3:]


def test_data_points_that_omh_shim_makes_and_validates_become_the_day(tmp_path: Path) -> None:
    path = write(tmp_path, "points.json", json.dumps(asked("omh-shim", OMH_SHIM)))
    found = read_sources([str(path)])
    day = next(d for d in days(found.readings, Rules(LONDON, now=utc("2026-05-10T00:00:00"))) if d.date == "2026-05-02")
    assert (day.values["sleep_h"], day.values["deep_sleep_pct"], day.values["rem_sleep_pct"]) == (7.5, 20, 27)
    assert day.values["glucose_mean"] == 103.0 and found.readings.notes.dropped == 0
