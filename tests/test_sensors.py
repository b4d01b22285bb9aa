"""From readings to days: each rule that keeps people from harm, one by one."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensors import LONDON, NOW, glucose, made, night, steps, utc

from sensecf_edge.errors import TableError
from sensecf_edge.sensors import clocks
from sensecf_edge.sensors.clocks import BOTH, from_wall, midnight, order_of, parse, parse_slashed, zone
from sensecf_edge.sensors.daily import Day, Rules, days
from sensecf_edge.sensors.quantities import factor
from sensecf_edge.sensors.readings import Episode, Reading, Readings
from sensecf_edge.sensors.slots import Calendar

WINTER = "2026-01-10T00:00:00"


def only(found: list[Day]) -> Day:
    assert len(found) == 1, [d.date for d in found]
    return found[0]


def worn(begin: str, quarters: int, source: str = "watch") -> list[Reading]:
    """A pulse in each quarter of an hour."""
    return [Reading(utc(begin) + i * 900, "heart_rate", 60, "bpm", source) for i in range(quarters)]


def test_glucose_of_a_day_is_mean_spread_and_time_in_range() -> None:
    values = [60.0, 100.0, 180.0, 181.0] * 72
    day = only(made(glucose(WINTER, values)))
    assert (day.date, day.hours, day.weekend) == ("2026-01-10", 24, "yes")
    assert day.values["glucose_mean"] == round(float(np.mean(values)), 1)
    assert day.values["glucose_sd"] == round(float(np.std(values, ddof=1)), 1)
    assert day.values["glucose_cv"] == round(100 * float(np.std(values, ddof=1) / np.mean(values)), 1)
    assert day.values["gmi"] == round(3.31 + 0.02392 * float(np.mean(values)), 2)
    assert [day.values[f"time_{n}_range_pct"] for n in ("below", "in", "above")] == [25, 50, 25]
    assert day.coverage["glucose_mean"] == 1


def test_a_unit_is_converted_and_its_own_range_counts() -> None:
    """10.0 mmol/L is in range though it is 180.2 mg/dL, and 3.9 is, though it is 70.3."""
    day = only(made(glucose(WINTER, [10.0, 3.9, 10.1, 3.8] * 72, unit="mmol/L")))
    assert [day.values[f"time_{n}_range_pct"] for n in ("below", "in", "above")] == [25, 50, 25]
    assert day.values["glucose_mean"] == round(18.016 * 6.95, 1)
    assert round(5.6 * factor("mmol/L", "mg/dL")) == 101


def test_two_units_in_one_file_are_each_converted() -> None:
    mixed = glucose(WINTER, [100.0] * 144) + glucose("2026-01-10T12:00:00", [5.55] * 144, unit="mmol/L")
    assert only(made(mixed)).values["glucose_mean"] == 100.0


def test_no_unit_is_refused_and_never_guessed() -> None:
    with pytest.raises(TableError, match=r"no unit.*--unit glucose=mmol/L"):
        made(glucose(WINTER, [5.6] * 288, unit=""))


@pytest.mark.parametrize("share, known", [(0.71, True), (0.69, False)])
def test_under_its_floor_a_measure_is_unknown_and_not_small(share: float, known: bool) -> None:
    day = only(made(glucose(WINTER, [100.0] * round(share * 288))))
    assert (day.values["glucose_mean"] is not None) is known
    assert day.coverage["glucose_mean"] == pytest.approx(share, abs=0.01)
    assert only(made(glucose(WINTER, [100.0] * 20), floors={"glucose_mean": 0.05})).values["glucose_mean"] == 100


def test_gaps_are_not_bridged() -> None:
    held = glucose(WINTER, [100.0] * 144) + glucose("2026-01-10T18:00:00", [200.0] * 72)
    day = only(made(held))
    assert day.coverage["glucose_mean"] == 0.75
    assert day.values["glucose_mean"] == round((144 * 100 + 72 * 200) / 216, 1)


def test_low_and_high_count_in_range_and_enter_the_mean_at_the_sensors_limit() -> None:
    readings = Readings()
    series = readings.series("glucose", "dexcom", "mg/dL", limits=(40.0, 400.0))
    for i in range(288):
        series.add(utc(WINTER) + 300 * i, [-math.inf, math.inf, 100.0][i % 3])
    day = only(days(readings, Rules(LONDON, now=NOW)))
    assert day.values["time_below_range_pct"] == day.values["time_above_range_pct"] == 33.3
    assert day.values["glucose_mean"] == 180
    assert any("'Low', counted as the sensor's limit of 40" in line for line in readings.notes.lines())


@pytest.mark.parametrize(
    "kind, unit, codes",
    [("glucose", "mg/dL", [-1, 0, 5, 12, 65535]), ("heart_rate", "bpm", [0, 255, 65535]), ("stress", "score", [-1, -2, 101])],
)
def test_error_codes_are_dropped_and_counted(kind: str, unit: str, codes: list[float]) -> None:
    readings = Readings.of([Reading(utc(WINTER) + 300 * i, kind, code, unit, "x") for i, code in enumerate(codes)])
    assert days(readings, Rules(LONDON, now=NOW)) == []
    assert readings.notes.dropped == len(codes)


def test_a_counter_that_shows_65535_has_counted_nothing() -> None:
    held = steps(WINTER, [100] * 96)
    held[5] = held[5]._replace(value=65535)
    assert only(made([*held, *worn(WINTER, 96)])).values["steps"] == 9500


@pytest.mark.parametrize("when", [0, 1, 631_065_600 - 86_400, utc("1970-01-01T00:00:00"), utc("2089-01-01T00:00:00"), NOW + 90_000])
def test_times_that_cannot_be_are_dropped_and_counted(when: int) -> None:
    readings = Readings.of([*glucose(WINTER, [100.0] * 288), Reading(when, "glucose", 100, "mg/dL", "cgm")])
    assert only(days(readings, Rules(LONDON, now=NOW))).date == "2026-01-10"
    assert readings.notes.dropped == 1


@pytest.mark.parametrize("date, hours", [("2026-03-29", 23), ("2026-10-25", 25), ("2026-05-01", 24)])
def test_days_have_23_24_or_25_hours(date: str, hours: int) -> None:
    first, after = (midnight(datetime.fromisoformat(date).toordinal() - 719_163 + i, LONDON) for i in (0, 1))
    assert after - first == hours * 3600
    held = [Reading(first + 300 * i, "glucose", 100, "mg/dL", "cgm") for i in range(hours * 12)]
    day = only(days(Readings.of(held), Rules(LONDON, now=2_000_000_000)))
    assert (day.date, day.hours, day.coverage["glucose_mean"]) == (date, hours, 1)


def test_a_midnight_that_never_was_begins_at_the_first_moment_there_is() -> None:
    santiago = zone("America/Santiago")  # clocks go from 24:00 to 1:00
    day = datetime(2025, 9, 7).toordinal() - 719_163
    assert midnight(day + 1, santiago) - midnight(day, santiago) == 23 * 3600
    calendar = Calendar(midnight(day, santiago), midnight(day, santiago) + 3600, santiago)
    assert len(calendar) == 1


def test_wall_time_in_an_hour_that_comes_twice_or_never_was_is_left_out() -> None:
    twice, never, plain = (np.array([utc(t)]) for t in ("2026-10-25T01:30:00", "2026-03-29T01:30:00", "2026-10-25T03:30:00"))
    assert from_wall(twice, LONDON)[1].all() and from_wall(never, LONDON)[1].all()
    moment, lost = from_wall(plain, LONDON)
    assert not lost.any() and moment[0] == utc("2026-10-25T03:30:00")
    assert from_wall(np.array([utc("2026-07-01T12:00:00")]), LONDON)[0][0] == utc("2026-07-01T11:00:00")


def test_days_of_files_that_state_no_zone_need_one() -> None:
    with pytest.raises(TableError, match="give --zone"):
        days(Readings.of(glucose(WINTER, [100.0])), Rules(now=NOW))


def test_a_fixed_offset_is_refused_where_the_readings_span_a_change_of_clocks() -> None:
    held = glucose("2026-03-01T00:00:00", [100.0] * 288) + glucose("2026-05-01T00:00:00", [100.0] * 288)
    with pytest.raises(TableError, match="change of clocks"):
        made(held, zone("+00:00"))
    with pytest.raises(TableError, match="change of clocks"):
        made(held, zone("UTC+0"))
    assert len(made(held[:288], zone("+00:00"))) == 1
    assert len(made(held, zone("Africa/Lagos"))) > 1
    few = glucose("2026-03-28T00:00:00", [100.0] * 288 * 2)  # two days, and the clocks of many places with +00:00 change in them
    with pytest.raises(TableError, match="change of clocks"):
        made(few, zone("+00:00"))


@pytest.mark.parametrize("name", ["Europe/Londn", "London", "+25:00", "BST!", "../etc/passwd"])
def test_a_zone_that_is_none_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(TableError, match="no time zone"):
        zone(name)


def test_duplicates_and_exports_that_overlap_change_nothing() -> None:
    held = [
        *glucose(WINTER, [90.0, 110.0, 130.0] * 96),
        *steps(WINTER, [100] * 96),
        *worn(WINTER, 96),
        *night("2026-01-09T23:00:00", ("light", 4), ("deep", 2)),
    ]
    assert made(held) == made([*held, *held[::-1], *held[40:200]])


def test_contradictory_readings_of_one_moment_do_not_count() -> None:
    held = glucose(WINTER, [100.0] * 288)
    readings = Readings.of([*held, held[10]._replace(value=300.0)])
    day = only(days(readings, Rules(LONDON, now=NOW)))
    assert day.values["glucose_mean"] == 100 and day.values["time_above_range_pct"] == 0
    assert readings.notes.dropped == 2


def test_many_contradictions_are_two_people_under_one_name() -> None:
    with pytest.raises(TableError, match="several people"):
        made([*glucose(WINTER, [100.0] * 288), *glucose(WINTER, [200.0] * 288)])


def test_the_same_reading_in_two_units_is_one_reading() -> None:
    held = [*glucose(WINTER, [101.0] * 288), *glucose(WINTER, [5.6] * 288, unit="mmol/L")]
    assert only(made(held)).values["glucose_mean"] == pytest.approx(101, abs=0.2)


def test_two_devices_that_count_the_same_steps_are_not_added() -> None:
    watch, phone = steps(WINTER, [100] * 96), steps(WINTER, [90] * 96, source="phone")
    assert only(made([*watch, *phone, *worn(WINTER, 96)])).values["steps"] == 9600


def test_where_one_device_is_not_worn_the_other_counts() -> None:
    watch, phone = steps(WINTER, [100] * 48), steps(WINTER, [90] * 96, source="phone")
    day = only(made([*watch, *phone, *worn(WINTER, 48)]))
    assert day.values["steps"] == 48 * 100 + 48 * 90
    assert only(made([*watch, *phone, *worn(WINTER, 48)], prefer=("phone",))).values["steps"] == 96 * 90


def test_a_watch_that_lies_on_the_table_does_not_hide_what_the_phone_counts() -> None:
    """It goes on writing zeros; not even as the preferred one does it count where it has no pulse."""
    watch, phone = steps(WINTER, [0] * 96), steps(WINTER, [90] * 96, source="phone")
    assert only(made([*watch, *phone, *worn(WINTER, 48)], prefer=("watch",))).values["steps"] == 48 * 90


def test_a_watch_that_is_worn_and_counts_nothing_has_counted_nothing() -> None:
    phone = steps("2026-01-10T10:00:00", [500] * 4, source="phone")
    day = only(made([*steps(WINTER, [100] * 4), *phone, *worn(WINTER, 96)], prefer=("watch",)))
    assert day.values["steps"] == 400


def test_steps_of_a_device_that_was_hardly_worn_are_unknown() -> None:
    assert only(made([*steps(WINTER, [10] * 96), *worn(WINTER, 20)])).values["steps"] is None
    assert only(made([*steps(WINTER, [10] * 96), *worn(WINTER, 40)])).values["steps"] == 960


def test_two_sensors_of_glucose_are_not_mixed_within_a_quarter_of_an_hour() -> None:
    held = [*glucose(WINTER, [100.0] * 288), *glucose("2026-01-10T00:02:00", [140.0] * 96, every=900, source="libre")]
    assert only(made(held)).values["glucose_mean"] == 100
    assert only(made(held, prefer=("libre",))).values["glucose_mean"] == 140


def test_a_count_over_midnight_is_shared_by_time() -> None:
    held = [*steps("2026-01-10T23:45:00", [300], every=2700), *worn(WINTER, 192)]
    before, after = made(held)
    assert (before.values["steps"], after.values["steps"]) == (100, 200)


def test_counts_of_one_device_over_one_time_count_once() -> None:
    held = [*steps(WINTER, [100] * 96), *worn(WINTER, 96)]
    grown = Reading(utc(WINTER) + 95 * 900, "steps", 130, "steps", "watch", length=1000)  # exported again a little later
    assert made([*held, grown])[0].values["steps"] == round(9500 + 130 * 900 / 1000)


@pytest.mark.parametrize("total", [0.0, 9_000.0, 100_000.0])
def test_a_count_of_a_day_hides_none_of_the_hours_that_the_same_source_states(total: float) -> None:
    """Its sum, or an error: either way the hours say more. Sums of sums give way too."""
    held = [*steps(WINTER, [100] * 96), *worn(WINTER, 96)]
    whole = Reading(utc(WINTER), "steps", total, "steps", "watch", length=86_400)
    hours = [Reading(utc(WINTER) + 3600 * i, "steps", total / 24, "steps", "watch", length=3600) for i in range(24)]
    readings = Readings.of([whole, *hours, *held])
    (day,) = days(readings, Rules(LONDON, now=NOW))
    assert day.values["steps"] == 9600 and readings.notes.dropped == 25
    one = [Reading(utc(WINTER) + 3600, "steps", 7, "steps", "watch", length=900)]
    assert only(made([whole, *one, *worn(WINTER, 96)])).values["steps"] == total  # one hour alone is no day's parts


def test_a_night_belongs_to_the_date_of_waking_and_naps_stand_apart() -> None:
    held = [
        *night("2026-01-09T23:00:00", ("light", 4), ("awake", 0.5), ("deep", 2), ("rem", 1)),
        *night("2026-01-10T14:00:00", ("light", 1)),
    ]
    day = only(made(held))
    assert (day.date, day.values["sleep_h"], day.values["nap_h"]) == ("2026-01-10", 7, 1)
    assert [day.values[f"{s}_sleep_pct"] for s in ("deep", "rem", "light")] == [29, 14, 57]


def test_nights_that_overlap_are_not_added_and_of_two_devices_one_counts() -> None:
    first = night("2026-01-09T23:00:00", ("light", 4), ("deep", 3))
    again = [Episode(first[0].start, first[-1].end, "sleep", "asleep", "watch")]
    phone = night("2026-01-09T22:00:00", ("asleep", 6), source="phone")
    assert only(made([*first, *again])).values["sleep_h"] == 7
    assert only(made([*first, *phone])).values["sleep_h"] == 7
    assert only(made([*first, *phone], prefer=("phone",))).values["sleep_h"] == 6


def test_stages_are_unknown_where_only_sleep_is_known() -> None:
    day = only(made(night("2026-01-09T23:00:00", ("asleep", 7))))
    assert day.values["sleep_h"] == 7 and day.values["deep_sleep_pct"] is None


def test_a_night_with_a_hole_is_unknown() -> None:
    day = only(made(night("2026-01-09T22:00:00", ("light", 3), ("unmeasured", 2), ("deep", 3))))
    assert day.values["sleep_h"] is None and day.coverage["sleep_h"] == 0.75


def test_sleep_backwards_or_of_over_a_day_is_dropped() -> None:
    at = utc(WINTER)
    bad = [
        Episode(at, at - 60, "sleep", "deep", "w"),
        Episode(at, at, "sleep", "deep", "w"),
        Episode(at, at + 90_001, "sleep", "deep", "w"),
    ]
    readings = Readings.of(bad)
    assert days(readings, Rules(LONDON, now=NOW)) == [] and readings.notes.dropped == 3


def test_a_counter_is_its_rises_and_what_it_shows_after_a_fall() -> None:
    readings = Readings()
    for hour, value in enumerate([50, 80, 80, 200, 30, 60]):
        readings.count_up("active_energy", "watch", "kcal", "", "", utc(WINTER) + 3600 * hour, value)
    readings.settle()
    (series,) = readings.of_person("", "active_energy")
    assert series.columns()[2].tolist() == [30, 0, 120, 30, 30]


def test_a_clock_that_jumps_back_gives_no_more_day_than_there_is() -> None:
    """The second hour is written over the first: values that differ at one moment do not count, and coverage says so."""
    held = glucose(WINTER, [100.0] * 280)
    readings = Readings.of([*held, *(r._replace(value=150.0) for r in held[:12])])
    day = only(days(readings, Rules(LONDON, now=NOW)))
    assert day.values["glucose_mean"] == 100 and day.coverage["glucose_mean"] < 0.95


moment = st.integers(utc("2026-03-28T00:00:00"), utc("2026-03-31T00:00:00"))
sources = st.sampled_from(["a", "b", "c"])
none, zero, lengths = st.just(""), st.just(0), st.sampled_from([-5, 0, 60, 900, 7200, 90_000, 2**40])
stages = st.sampled_from(["light", "deep", "rem", "asleep", "awake"])
readings_of_all_kinds = st.one_of(
    st.builds(Reading, moment, st.just("glucose"), st.sampled_from([39.0, 70.0, 180.0, 250.0]), st.just("mg/dL"), sources, none, zero),
    st.builds(Reading, moment, st.just("heart_rate"), st.integers(0, 200).map(float), st.just("bpm"), sources, none, zero),
    st.builds(Reading, moment, st.just("steps"), st.integers(0, 99).map(float), st.just("steps"), sources, none, lengths),
    st.builds(lambda t, n, s, w: Episode(t, t + n, "sleep", s, w), moment, st.integers(-60, 20_000), stages, sources),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(readings_of_all_kinds, max_size=40), st.randoms(use_true_random=False), st.sampled_from([(), ("b",), ("c", "a")]))
def test_any_order_of_readings_gives_the_same_days(held: list[Reading | Episode], chance: random.Random, prefer: tuple[str, ...]) -> None:
    shuffled = list(held)
    chance.shuffle(shuffled)
    floors = {"glucose_mean": 0.0, "steps": 0.0, "sleep_h": 0.0, "deep_sleep_pct": 0.0}
    try:
        expected = made(held, prefer=prefer, floors=floors)
    except TableError:
        with pytest.raises(TableError):
            made(shuffled, prefer=prefer, floors=floors)
        return
    assert made(shuffled, prefer=prefer, floors=floors) == expected
    assert made([*shuffled, *held], prefer=prefer, floors=floors) == expected  # and again changes nothing
    for day in expected:
        assert 23 <= day.hours <= 25
        assert all(0 <= share <= 1 for share in day.coverage.values())
        assert (day.values["sleep_h"] or 0) + (day.values["nap_h"] or 0) <= 48


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago", "Pacific/Apia"]),
       st.integers(15_000, 20_500))  # fmt: skip
def test_days_of_every_zone_follow_each_other_without_a_gap(name: str, day: int) -> None:
    place = zone(name)
    first, second = midnight(day, place), midnight(day + 1, place)
    assert second - first in [h * 1800 for h in (0, 46, 47, 48, 49, 50)]
    if second > first:
        calendar = Calendar(first, second - 1, place)
        assert calendar.starts[0] == first and calendar.starts[-1] == second and len(calendar) == 1
        assert calendar.slot(np.array([first, second - 1])).tolist() == [0, (second - first - 1) // 900]


@pytest.mark.parametrize("text, expected", [
    ("2026-05-01T08:00:00Z", ("2026-05-01T08:00:00", False)), ("2026-05-01 08:00:00 +0100", ("2026-05-01T07:00:00", False)),
    ("2026-05-01T08:00:00.123-05:30", ("2026-05-01T13:30:00", False)), ("2026-05-01 08:00", ("2026-05-01T08:00:00", True)),
    ("2026/05/01 08:00", ("2026-05-01T08:00:00", True)), ("2026-13-01T00:00:00Z", None), ("yesterday", None), ("", None),
])  # fmt: skip
def test_times_are_read_as_they_are_written(text: str, expected: tuple[str, bool] | None) -> None:
    assert parse(text) == (expected and (utc(expected[0]), expected[1]))


def test_the_order_of_day_and_month_is_told_by_all_dates_or_by_nobody() -> None:
    assert order_of(["01-02-2026 10:00", "13-02-2026 10:00"]) == "DMY" and order_of(["01-02-2026 10:00", "02-13-2026 10:00"]) == "MDY"
    assert order_of(["01-02-2026 10:00"]) == "" and order_of(["13-02-2026 10:00", "02-13-2026 10:00"]) == BOTH
    assert parse_slashed("02/13/2026 12:05 AM", "MDY") == utc("2026-02-13T00:05:00")
    assert parse_slashed("13/02/2026 12:05 pm", "DMY") == utc("2026-02-13T12:05:00")


def test_a_year_of_minutes_is_made_in_little_memory_and_the_same_by_the_month() -> None:
    """A day does not depend on what other days hold: the stream, which has a few open, makes the same ones."""
    begin = datetime(2026, 3, 20)
    held = [r for i in range(14) for r in glucose((begin + timedelta(days=i)).isoformat(), [100.0 + i] * 288)]
    whole = made(held)
    assert [d for d in whole if d.date == "2026-03-29"] == [d for d in made(held[7 * 288 : 12 * 288]) if d.date == "2026-03-29"]


def test_readings_that_memory_has_no_room_for_make_the_same_days(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [*glucose(WINTER, [100.0 + i % 50 for i in range(2_000)]), *steps(WINTER, [float(i) for i in range(700)])]
    whole = made(held)
    monkeypatch.setattr("sensecf_edge.sensors.readings.IN_MEMORY", 300)
    parted = Readings.of(held)
    assert len(parted) == 2_700 and all(series._away for series in parted.all.values())
    assert days(parted, Rules(LONDON, now=NOW)) == whole


@pytest.mark.parametrize("text", [
    "2026-05-01T24:00:00Z", "2026-05-01 08:00:60", "2026-05-01T08:0a:00", "2026-05-01T\uff108:00:00Z", "2026-02-30T08:00:00",
    "2026/05/01 08:00:00 +0100", "2026-05-01T08:00:00 nonsense", "2026-05-01x08:00:00", "20260501T080000Z",
])  # fmt: skip
def test_times_read_quickly_are_the_times_that_are_read(text: str) -> None:
    assert parse(text) == clocks._parse(text)


@given(st.datetimes(), st.sampled_from(["", "Z", "+01:00", " -0530", ".25", ".123+14:00", "+1", " UTC"]), st.sampled_from("T x"))
def test_any_time_read_quickly_is_the_time_that_is_read(moment: datetime, behind: str, between: str) -> None:
    text = moment.strftime(f"%Y-%m-%d{between}%H:%M:%S") + behind
    assert parse(text) == clocks._parse(text)


def test_a_nap_is_no_night_of_which_nothing_is_known() -> None:
    beside = worn(WINTER, 96)
    (day,) = made(beside + night(WINTER[:10] + "T13:00:00", ("light", 1)))  # type: ignore[operator]
    assert day.values["sleep_h"] is None and day.coverage["sleep_h"] == 0
    (day,) = made(beside + night(WINTER[:10] + "T09:30:00", ("light", 3)))  # type: ignore[operator]
    assert day.values["sleep_h"] == 3
    (day,) = made(beside + night(WINTER[:10] + "T03:00:00", ("light", 2)) + night(WINTER[:10] + "T13:00:00", ("light", 1)))  # type: ignore[operator]
    assert (day.values["sleep_h"], day.values["nap_h"]) == (2, 1)


def test_glucose_that_mostly_cannot_be_is_in_another_unit_and_no_low() -> None:
    assert made(glucose(WINTER, [8.5, 12.1, 22.3] * 96)) == []
    (after,) = made(glucose(WINTER, [8.5, 12.1, 22.3] * 96) + glucose("2026-01-11T00:00:00", [100.0] * 288))
    assert after.date == "2026-01-11"
    held = glucose(WINTER, [5.0, 100.0, 100.0, 22.0] * 72)
    (day,) = made(held + [reading for reading in held if reading.value == 5] * 3)  # an export that overlaps changes nothing
    assert day.values["time_below_range_pct"] == 33.3
