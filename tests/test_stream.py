"""Readings as they come: the same days as of an export, whatever order they come in and however often the process is killed."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
from cohort import PROGRAM
from conftest import PATIENCE, Ran
from hypothesis import given, settings
from hypothesis import strategies as st
from sensors import LONDON, glucose, night, steps, utc
from test_sensors import readings_of_all_kinds
from test_watch import Mosquitto, Running, ScriptedPort, watching  # noqa: F401

from sensecf_edge.errors import EngineError, SenseCFError, TableError
from sensecf_edge.sensors.cleaning import LONGEST
from sensecf_edge.sensors.clocks import DAY
from sensecf_edge.sensors.daily import Day, Rules, days
from sensecf_edge.sensors.quantities import spelled
from sensecf_edge.sensors.readings import STAGES, Episode, Reading, Readings
from sensecf_edge.settings import STREAM
from sensecf_edge.watch import age
from sensecf_edge.watch.loop import UnusableMessage
from sensecf_edge.watch.stream.arriving import Arrived, arrived
from sensecf_edge.watch.stream.days import OpenDays
from sensecf_edge.watch.stream.store import Store
from sensecf_edge.watch.stream.watcher import DayWatcher, Stream

Command = Callable[..., Ran]
NOW = datetime(2026, 4, 20, tzinfo=timezone.utc)
HOUR = 3600


def as_arrived(one: Reading | Episode) -> Arrived:
    if isinstance(one, Episode):
        return Arrived(one.person, "sleep", one.source, "stage", one.start, one.end - one.start, float(STAGES.index(one.stage)))
    return Arrived(one.person, one.kind, one.source, spelled(one.unit) or "", one.time, one.length, one.value)


def as_message(one: Reading | Episode) -> dict[str, Any]:
    """As a sender writes it."""
    at, end = (one.start, one.end) if isinstance(one, Episode) else (one.time, one.time + one.length)
    sent: dict[str, Any] = {"person": one.person} if one.person else {}
    sent |= {"kind": one.kind, "source": one.source, "time": datetime.fromtimestamp(at, timezone.utc).isoformat()}
    sent |= {"value": one.stage} if isinstance(one, Episode) else {"value": one.value, "unit": one.unit}
    return sent | ({"end": datetime.fromtimestamp(end, timezone.utc).isoformat()} if end > at else {})


class Hub:
    """Open days driven by hand. `told` is what was last told of each date; nothing that was taken and not committed outlives `crash`."""

    def __init__(self, folder: str | Path, rules: Rules, late: int = 48 * HOUR) -> None:
        self.path, self.rules, self.late, self.clock = Path(folder) / "days.sqlite", rules, late, 0.0
        self.told = dict[tuple[str, str], Day]()
        self.late_ones: list[Arrived] = []
        self._open()

    def _open(self) -> None:
        assert self.rules.place is not None
        self.store = Store(self.path, str(self.rules.place))
        self.days = OpenDays(self.store, self.rules, self.rules.place, self.late, 900.0, self.clock)

    def send(self, reading: Arrived) -> None:
        self.clock += 1
        try:
            self.days.take(reading, self.clock)
        except UnusableMessage:
            self.late_ones.append(reading)
        while self.days.crossed:
            self.look(self.days.crossed.popitem()[1].name)

    def look(self, name: str, last: bool = False) -> None:
        person = self.days.people[name]
        for found in self.days.look(person, self.rules.now or 0, self.clock, last):
            self.told[name, found.day.date] = found.day
            self.days.said.append((name, found.day.number, "told", found.over))
        self.days.settle(person, None, self.rules.now or 0, self.clock)

    @contextlib.contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """Around draws: hypothesis ends an example in the middle of one."""
        try:
            yield
        except BaseException:
            self.store.close()
            raise

    def crash(self) -> None:
        """Whatever was not committed is gone."""
        self.store.close()
        self._open()

    def end(self) -> list[Day]:
        for name in list(self.days.people):
            self.look(name, last=True)
        self.store.close()
        return [self.told[key] for key in sorted(self.told)]


def expected(held: Sequence[Reading | Episode], rules: Rules) -> list[Day]:
    return days(Readings.of(held), rules)


def measured(found: Sequence[Day]) -> list[Day]:
    """Without days that say nothing: a stream takes back what it told by one, where an export of the same readings has no day."""
    return [day for day in found if any(day.coverage.values()) or any(value is not None for value in day.values.values())]


def test_a_told_day_is_taken_back_where_a_later_reading_contradicts_its_only_one(tmp_path: Path) -> None:
    hub = Hub(tmp_path, Rules(LONDON, floors={"glucose_mean": 0.0}, now=utc("2026-04-20T00:00:00")))
    first, next_day = utc("2026-03-28T00:00:00"), utc("2026-03-29T00:15:00")
    for at, value in ((first, 39.0), (next_day, 39.0), (first, 70.0)):
        hub.send(as_arrived(Reading(at, "glucose", value, "mg/dL", "a")))
    taken_back, kept = hub.end()
    assert taken_back.date == "2026-03-28" and taken_back.hours == 24.0 and not measured([taken_back])
    assert kept.date == "2026-03-29" and kept.hours == 23.0 and kept.values["glucose_mean"] == 39.0


@settings(max_examples=60, deadline=None)
@given(st.lists(readings_of_all_kinds, max_size=40), st.randoms(use_true_random=False), st.sampled_from([(), ("b",), ("c", "a")]))
def test_any_order_duplicates_and_crashes_give_the_days_of_the_batch(
    held: list[Reading | Episode], chance: random.Random, prefer: tuple[str, ...]
) -> None:
    floors = {"glucose_mean": 0.0, "steps": 0.0, "sleep_h": 0.0, "deep_sleep_pct": 0.0}
    rules = Rules(LONDON, prefer, floors, utc("2026-04-20T00:00:00"))
    usable = [one for one in map(as_arrived, held) if one.kind in ("glucose", "heart_rate") or 0 < one.length <= LONGEST]
    sent = [*usable, *chance.choices(usable, k=len(usable) // 2)] if usable else []
    chance.shuffle(sent)
    with tempfile.TemporaryDirectory() as folder:
        hub, since = Hub(folder, rules, 5 * DAY), list[Arrived]()
        with hub.closed_on_error():
            for reading in sent:
                hub.send(reading)
                since.append(reading)
                what = chance.random()
                if what < 0.1:
                    hub.store.commit()
                    since.clear()
                elif what < 0.2:  # what was not acknowledged comes again, in whatever order
                    hub.crash()
                    chance.shuffle(since)
                    for again in since:
                        hub.send(again)
        assert measured(hub.end()) == measured(expected([one for one in held if as_arrived(one) in usable], rules))
        assert not hub.late_ones


def stretch(first: str, count: int, chance: random.Random) -> list[Reading | Episode]:
    """Days of a person with a watch that is left on the table now and then, a phone, and a sensor of glucose."""
    begin, out = datetime.fromisoformat(first), list[Reading | Episode]()
    for i in range(count):
        day = (begin + timedelta(days=i)).isoformat()
        out += glucose(day, [chance.uniform(60, 250) for _ in range(chance.choice([288, 200, 100]))])
        worn = chance.random() < 0.8 or i == 0
        out += steps(day, [chance.randrange(300) for _ in range(96)], source="watch") if worn or chance.random() < 0.5 else []
        out += steps(day, [chance.randrange(300) for _ in range(chance.choice([96, 40]))], source="phone")
        if worn:
            out += [Reading(utc(day) + 300 * j, "heart_rate", chance.randrange(50, 120), "bpm", "watch") for j in range(280)]
            out += [Reading(utc(day) + 300 * j, "stress", chance.randrange(-2, 100), "score", "watch") for j in range(200)]
        evening = (begin + timedelta(days=i, hours=22)).isoformat()
        out += night(evening, ("light", 3.0), ("deep", chance.choice([1.0, 1.5])), ("rem", 1.5), ("awake", 0.25), ("light", 1.0))
    return out


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_of_weeks_with_late_readings_tells_the_days_of_the_batch(seed: int, tmp_path: Path) -> None:
    """Over a change of clocks, each reading up to 40 hours late, every device at its own pace, with crashes in between."""
    chance, rules = random.Random(seed), Rules(LONDON, now=utc("2026-05-20T00:00:00"))
    held = stretch("2026-03-20T00:00:00", 14, chance)
    lags = {source: chance.choice([0, 20, 38]) * HOUR for source in ("cgm", "watch", "phone")}
    arrives = {one: as_arrived(one).end + lags[one.source] + chance.random() * 2 * HOUR for one in held}
    hub = Hub(tmp_path, rules)
    for at, one in enumerate(sorted(held, key=lambda one: arrives[one])):
        hub.send(as_arrived(one))
        if at % 2_000 == 1_999:
            hub.store.commit()
            hub.crash()
    kept = hub.store.held(next(iter(hub.days.people.values())).number)
    assert not hub.late_ones and kept < 0.6 * len(held), "closed days are kept"
    assert hub.end() == expected(held, rules)


def test_a_watch_that_lies_on_the_table_for_weeks_is_remembered_as_one_that_measures_a_pulse(tmp_path: Path) -> None:
    rules = Rules(LONDON, now=utc("2026-06-20T00:00:00"))
    pulses = [Reading(utc("2026-05-01T00:00:00") + 300 * j, "heart_rate", 60.0, "bpm", "watch") for j in range(288)]
    held: list[Reading | Episode] = [*pulses, *(r for i in range(1, 15) for r in steps(f"2026-05-{i:02}T00:00:00", [10.0] * 96))]
    hub = Hub(tmp_path, rules)
    for one in held:
        hub.send(as_arrived(one))
    hub.crash()
    made = hub.end()
    assert made == expected(held, rules) and [d.values["steps"] for d in made[-3:]] == [None] * 3


def test_a_reading_of_a_closed_day_is_refused_and_one_within_48_hours_lands_in_its_day(tmp_path: Path) -> None:
    hub = Hub(tmp_path, Rules(LONDON, now=utc("2026-05-20T00:00:00"), floors={"glucose_mean": 0.0}))
    first = Arrived("", "glucose", "cgm", "mg/dL", utc("2026-05-01T12:00:00"), 0, 100.0)
    for one in (first, first._replace(start=utc("2026-05-03T22:00:00")), first._replace(start=utc("2026-05-01T13:00:00"), value=200.0)):
        hub.send(one)
    assert not hub.late_ones
    hub.send(first._replace(start=utc("2026-05-03T23:30:00")))
    hub.send(first._replace(start=utc("2026-05-01T14:00:00")))
    assert [one.start for one in hub.late_ones] == [utc("2026-05-01T14:00:00")]
    assert [day.values["glucose_mean"] for day in hub.end()] == [150.0, 100.0, 100.0]


def test_a_night_of_an_open_day_may_come_after_its_evening_has_closed(tmp_path: Path) -> None:
    hub = Hub(tmp_path, Rules(LONDON, now=utc("2026-05-20T00:00:00")))
    hub.send(Arrived("", "glucose", "cgm", "mg/dL", utc("2026-05-01T12:00:00"), 0, 100.0))
    hub.send(Arrived("", "glucose", "cgm", "mg/dL", utc("2026-05-04T00:00:00"), 0, 100.0))
    for one in night("2026-05-01T21:00:00", ("light", 4.0), ("deep", 1.0), ("rem", 1.0)):
        hub.send(as_arrived(one))
    assert not hub.late_ones and [d.values["sleep_h"] for d in hub.end() if d.date == "2026-05-02"] == [6.0]


WHOLE = {"time": "2026-04-10T08:00:00+01:00", "kind": "glucose", "value": 101, "unit": "mg/dL", "person": "ann", "source": "cgm"}


def test_a_reading_is_read_as_it_is_written() -> None:
    assert arrived(WHOLE, {}, NOW) == ("ann", "glucose", "cgm", "mg/dL", utc("2026-04-10T07:00:00"), 0, 101.0)
    assert arrived({**WHOLE, "value": "Low", "unit": "mmol/l", "person": 7}, {}, NOW)[:4] == ("7", "glucose", "cgm", "mmol/L")
    counted = {"timestamp": utc("2026-04-10T07:00:00"), "end": (utc("2026-04-10T07:15:00")) * 1000, "kind": "steps", "value": "12"}
    assert arrived(counted, {"steps": "count"}, NOW) == ("", "steps", "table", "steps", utc("2026-04-10T07:00:00"), 900, 12.0)


@pytest.mark.parametrize("change, said", [
    ({"unit": None}, "glucose without a unit"), ({"unit": "stone"}, "glucose without a unit"), ({"unit": 5}, "without a unit"),
    ({"unit": "bpm"}, "without a unit"), ({"kind": "mood"}, "kind is missing or not known"), ({"kind": None}, "kind is missing"),
    ({"kind": ["glucose"]}, "kind is missing"), ({"time": "2026-04-10T08:00:00"}, "time does not say its offset"),
    ({"time": "2027-01-01T00:00:00Z"}, "lies in the future"), ({"time": 0}, "before the year 2000"), ({"time": None}, "time is"),
    ({"time": "1970-01-01T00:00:00Z"}, "before"),
    ({"time": 1e300}, "no time that there is"), ({"time": True}, "missing or no time"), ({"person": True}, "person is no text"),
    ({"person": ["ann"]}, "person is no text"), ({"person": ""}, "person is no text"), ({"person": "x" * 300}, "person is no text"),
    ({"person": "\ud800"}, "person is no text"), ({"source": "a\udfff"}, "source is no text"),
    ({"source": {}}, "source is no text"), ({"value": "lots"}, "not a number"), ({"value": None}, "value is missing"),
    ({"value": True}, "value"),
    ({"value": 10**400}, "value"), ({"value": [1]}, "value"), ({"kind": "steps", "unit": "steps"}, "its end is missing"),
    ({"kind": "steps", "unit": "steps", "end": "2026-04-10T06:00:00Z"}, "end is not after"), ({"persn": "ann"}, "stands for nothing"),
    ({"kind": "steps", "unit": "steps", "end": "2026-04-12T06:00:00Z"}, "over a day"), ({"device": "b"}, "two for one thing"),
    ({"kind": "sleep", "value": "dreaming", "end": "2026-04-10T08:00:00Z"}, "stage of sleep"),
])  # fmt: skip
def test_what_is_no_reading_is_refused_without_its_values(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UnusableMessage) as caught:
        arrived({**WHOLE, **change}, {}, NOW)
    unusable = caught.value.unusable
    assert said in unusable.reason and unusable.remedy
    assert not any(value in unusable.log for value in ("mood", "lots", "persn", "ann", "stone"))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*WHOLE, "end"]), st.none() | st.booleans() | st.integers() | st.floats() | st.text() |
                       st.lists(st.integers(), max_size=2)))  # fmt: skip
def test_no_message_breaks_the_reader(change: dict[str, Any]) -> None:
    try:
        arrived({**WHOLE, **change}, {}, NOW)
    except UnusableMessage as aside:
        assert aside.unusable.reason


def lines(held: Sequence[Reading | Episode]) -> bytes:
    return b"".join(json.dumps(as_message(one)).encode() + b"\n" for one in held)


def some_days(count: int = 3, first: str = "2026-05-01T00:00:00") -> list[Reading | Episode]:
    """Whole days of one person, with all that the model of stress needs, by the time at which they end."""
    begin, out = datetime.fromisoformat(first), list[Reading | Episode]()
    for i in range(count):
        day = (begin + timedelta(days=i)).isoformat()
        out += glucose(day, [100.0 + i + j % 7 for j in range(288)])
        out += [Reading(utc(day) + 300 * j, "heart_rate", 60.0, "bpm", "watch") for j in range(288)]
        for kind, unit in (("steps", "steps"), ("active_energy", "kcal"), ("active_time", "min"), ("vigorous_time", "min")):
            out += steps(day, [60.0 if kind == "steps" else 1.0] * 96, kind=kind, unit=unit)
        out += night((begin + timedelta(days=i, hours=-2)).isoformat(), ("light", 4.0), ("deep", 1.0), ("rem", 1.5))
    return sorted(out, key=lambda one: as_arrived(one).end)


def told(out: bytes) -> dict[str, dict[str, Any]]:
    """The last that was said of each date, by its name; how old readings are changes with every look."""
    last = {}
    for line in out.splitlines():
        held = json.loads(line)
        last[f"{held['id']} {held['day']}"] = {key: value for key, value in held.items() if key != "newest"}
    return dict(sorted(last.items()))


def run(data: bytes, *more: object) -> subprocess.CompletedProcess[bytes]:
    words = [*PROGRAM, "watch", "--readings", "--zone", "Europe/London", "--model", "stress", *map(str, more)]
    return subprocess.run(words, input=data, capture_output=True, timeout=PATIENCE)


def test_days_of_a_stream_are_those_of_the_table_of_its_lines_and_hostile_ones_are_put_aside(tmp_path: Path, command: Command) -> None:
    held = some_days()
    good = lines(held)
    hostile = [b"{", b"[]", b"\xff", json.dumps({**WHOLE, "unit": None}).encode(), json.dumps({**WHOLE, "kind": "mood"}).encode(),
               json.dumps({**WHOLE, "time": "2026-04-10T08:00:00"}).encode(), json.dumps({**WHOLE, "time": "2099-01-01"}).encode(),
               json.dumps({**WHOLE, "time": "2099-01-01T00:00:00Z"}).encode(),
               json.dumps({**WHOLE, "time": 12}).encode(), json.dumps({**WHOLE, "person": ["x"]}).encode(), b'{"value": NaN}',
               b'{"time": 1, "time": 2}', b'{"value": "' + b"9" * 10_000_000 + b'"}', b"[" * 100_000]  # fmt: skip
    chance, mixed = random.Random(1), good.splitlines()
    for line in hostile:
        mixed.insert(chance.randrange(len(mixed)), line)
    files = ("--store", tmp_path / "days.sqlite", "--dead", tmp_path / "dead.jsonl", "--health", tmp_path / "health.json")
    ran = run(b"\n".join(mixed), *files)
    assert ran.returncode == 0, ran.stderr
    health = json.loads((tmp_path / "health.json").read_text())
    letters = [json.loads(line) for line in (tmp_path / "dead.jsonl").read_text().splitlines()]
    assert (health["readings"], health["dead"], health["received"]) == (len(held), len(hostile), len(held) + len(hostile))
    assert len(letters) == len(hostile) and all(letter["reason"] and letter["remedy"] for letter in letters)
    assert set(health["newest_by_kind"]) == {as_arrived(one).kind for one in held} and health["people"] == 1

    (tmp_path / "readings.jsonl").write_bytes(good)
    table = command("days", tmp_path / "readings.jsonl", "-o", tmp_path / "days.csv", "--model", "stress", "--zone", "Europe/London")
    assert table.code == 0, table.err
    by_batch = {row["id"]: row for row in csv.DictReader((tmp_path / "days.csv").read_text().splitlines())}
    by_stream = told(ran.stdout)
    assert set(by_stream) == set(by_batch) == {f"1 2026-05-{day:02}" for day in (1, 2, 3, 4)}
    for key, line in by_stream.items():
        assert {n: "" if v is None else str(v) for n, v in line["record"].items()} == {n: by_batch[key][n] for n in line["record"]}
        assert line["partial"] == (key == "1 2026-05-04") and line["hours"] == 24
        assert (line["status"] == "silent") == ("reason" in line) == (key == "1 2026-05-04"), line
    assert "the model needs" in by_stream["1 2026-05-04"]["reason"]


def test_killed_again_and_again_it_tells_the_same_days(tmp_path: Path) -> None:
    """The sender sends everything again, for nothing tells it on a pipe what was kept."""
    data = lines(some_days(4))
    whole = run(data, "--store", tmp_path / "whole.sqlite")
    out, chance, kills = b"", random.Random(3), 0
    words = [*PROGRAM, "watch", "--readings", "--zone", "Europe/London", "--model", "stress", "--store", str(tmp_path / "days.sqlite")]
    while kills < 5:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(data[: data.rindex(b"\n", 0, chance.randrange(2, len(data)))] + b"\n")
        process.stdin.flush()
        time.sleep(0.7 + chance.random())
        process.send_signal(signal.SIGKILL)
        out += process.stdout.read()
        kills += process.wait(PATIENCE) == -signal.SIGKILL
        process.stdin.close()
        process.stdout.close()
    last = run(data, "--store", tmp_path / "days.sqlite", "--late", "48")
    assert last.returncode == 0 and json.dumps(told(whole.stdout)) == json.dumps(told(out + last.stdout))


class Days(ScriptedPort):
    """Readings, then silence until `more` says otherwise; states are looked at."""

    shows = True

    def __init__(self, *messages: bytes) -> None:
        super().__init__(*messages)
        self.done = 0
        self.shown: list[tuple[Any, datetime]] = []

    def start(self, waiting: Any) -> None:
        for message in self.messages:
            waiting.put(message, self._done)
        waiting.end()

    def _done(self) -> None:
        self.done += 1

    def show(self, name: Any, schema: Any, moment: datetime, risk: Any, made: Any) -> None:
        self.shown.append((name, moment))


def watch_of(port: Days, folder: Path, said: list[str] | None = None, **more: Any) -> DayWatcher:
    asked = {"queue": 10_000, "every": 900.0, "rules": Rules(LONDON), **more}
    return DayWatcher(Stream("stress", store=folder / "days.sqlite", **asked), port, (said if said is not None else []).append)


def messages(held: Sequence[Reading | Episode]) -> list[bytes]:
    return lines(held).splitlines()


def test_a_sensor_of_which_no_reading_counts_is_told(tmp_path: Path) -> None:
    said, port = list[str](), Days(*messages(glucose("2026-05-01T08:00:00", [101.0] * 12, unit="mmol/L")))
    watch_of(port, tmp_path, said).run()
    assert port.answers == [] and port.done == len(port.messages)
    assert any("no days of one person: none of the readings counts: glucose outside 20 to 600" in line for line in said), said


def test_advice_on_old_data_is_not_given_and_why_is_said(tmp_path: Path) -> None:
    port = Days(*messages(some_days(1)))
    watch_of(port, tmp_path, max_age=86_400.0).run()
    assert [a["status"] for a in port.answers if a["day"] == "2026-05-01"] == ["silent"]
    assert "--max-age is 86,400" in port.answers[0]["reason"] and port.shown == [] and port.answers[0]["record"]["steps"] == 5_520
    assert port.done == len(port.messages)


def test_the_day_so_far_is_told_as_partial_and_how_old_each_kind_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [one for one in some_days(1) if as_arrived(one).end <= utc("2026-05-01T18:00:00")]
    monkeypatch.setattr(age, "now", lambda: datetime(2026, 5, 1, 18, 10, tzinfo=timezone.utc))
    port = Days(*messages(held))
    watch_of(port, tmp_path, max_age=3_600.0, rules=Rules(LONDON, floors={"glucose_mean": 0.5, "glucose_cv": 0.5})).run()
    (line,) = port.answers
    assert line["partial"] and line["status"] == "fine" and line["newest"]["glucose"] == {"at": "2026-05-01T18:00:00+00:00", "age": 600}
    assert line["newest"]["sleep"]["age"] > 10 * HOUR and line["coverage"]["steps"] == 0.76 and len(port.shown) == 1


def test_days_are_looked_at_no_more_often_than_every(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 12 hours of readings, a minute apart, a look an hour."""
    held = glucose("2026-05-01T00:00:00", [100.0 + i % 9 for i in range(720)], every=60)
    port = Days(*messages(held))
    clock = [0.0]
    watcher = watch_of(port, tmp_path, every=3_600.0, rules=Rules(LONDON, floors={"glucose_mean": 0.0}))
    take, looks, look = watcher.days.take, list[float](), watcher.days.look

    def later(*given: Any) -> None:
        clock[0] += 60
        take(*given)

    monkeypatch.setattr(watcher.days, "take", later)
    monkeypatch.setattr(watcher.days, "look", lambda *given: looks.append(clock[0]) or look(*given))  # type: ignore[func-returns-value]
    monkeypatch.setattr("sensecf_edge.watch.stream.watcher.time.monotonic", lambda: clock[0])
    watcher.run()
    assert 11 <= len(looks) <= 13 and min(b - a for a, b in pairwise(looks[:-1])) >= 3_600


def test_a_date_is_over_by_the_clock_where_nothing_comes_any_more(tmp_path: Path) -> None:
    hub = Hub(tmp_path, Rules(LONDON, now=utc("2026-05-01T20:00:00")))
    for one in glucose("2026-05-01T00:00:00", [100.0] * 200):
        hub.send(as_arrived(one))
    person = hub.days.people[""]
    now, clock = utc("2026-05-01T22:59:00"), hub.clock + 6 * HOUR
    assert [d.over for d in hub.days.look(person, now, clock)] == [False]
    now, clock = utc("2026-05-01T23:20:00"), clock + 1260
    assert [p.name for p in hub.days.ripe(now, clock)] == [""] and [d.over for d in hub.days.look(person, now, clock)] == [True]
    hub.days.settle(person, None, now, clock)
    now, clock = now + 3 * DAY, clock + 3 * DAY
    hub.days.look(person, now, clock)
    hub.days.settle(person, None, now, clock)
    now, clock = now + 3 * DAY, clock + 3 * DAY
    hub.days.look(person, now, clock)
    hub.days.settle(person, None, now, clock)
    assert hub.store.held(person.number) == 0, "nothing is kept of somebody who sends nothing any more"
    hub.store.close()


def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, said = some_days(1), list[str]()
    port = Days(*messages(held))
    watcher = watch_of(port, tmp_path, said)
    commit, times = watcher.store.commit, [0]

    def full() -> None:
        times[0] += 1
        if 2 <= times[0] <= 4:
            assert port.done <= 1_000, "acknowledged before it was kept"
            raise SenseCFError("database or disk is full")
        commit()

    monkeypatch.setattr(watcher.store, "commit", full)
    monkeypatch.setattr("sensecf_edge.watch.stream.watcher.STREAM", STREAM._replace(group=100))
    watcher.run()
    assert port.done == len(held) and sum("is full" in line for line in said) == 1 and any("kept again" in line for line in said)
    assert times[0] > 4
    assert [a["day"] for a in port.answers if not a["partial"]] == ["2026-05-01"]


def test_a_disk_that_stays_full_is_an_error_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = Days(*messages(some_days(1)[:50]))
    watcher = watch_of(port, tmp_path)

    def full() -> None:
        raise SenseCFError("database or disk is full")

    monkeypatch.setattr(watcher.store, "commit", full)
    with pytest.raises(SenseCFError, match="50 readings could not be kept"):
        watcher.run()
    assert port.done == 0


def test_a_day_on_which_the_engine_fails_is_told_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = some_days(2)
    port = Days(*messages(held))
    watcher = watch_of(port, tmp_path)
    case, fails = watcher._case, [2]

    def failing(record: Any) -> Any:
        if fails[0]:
            fails[0] -= 1
            raise EngineError("no")
        return case(record)

    monkeypatch.setattr(watcher, "_case", failing)
    watcher.run()
    again = Days()
    watch_of(again, tmp_path).run()
    assert {a["day"] for a in (*port.answers, *again.answers) if not a["partial"]} == {"2026-05-01", "2026-05-02"}


def test_a_store_is_one_watchs_of_one_zone_and_what_it_says_it_is(tmp_path: Path) -> None:
    path = tmp_path / "days.sqlite"
    store = Store(path, "Europe/London")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TableError, match="another watch keeps its days"):
        Store(path, "Europe/London")
    store.close()
    with pytest.raises(TableError, match="those of Europe/London; start with --zone Europe/London"):
        Store(path, "Asia/Tokyo")
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(TableError, match="damaged"):
        Store(path, "Europe/London")
    with pytest.raises(TableError, match="cannot keep readings"):
        Store(tmp_path / "none" / "days.sqlite", "Europe/London")
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(TableError, match="link"):
        Store(tmp_path / "link", "Europe/London")


def test_makers_up_of_people_and_devices_fill_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(tmp_path, Rules(LONDON, now=utc("2026-05-20T00:00:00")))
    first = Arrived("", "glucose", "cgm", "mg/dL", utc("2026-05-01T12:00:00"), 0, 100.0)
    for i in range(100):
        hub.send(first._replace(source=f"s{i}"))
    assert len(hub.late_ones) == 36
    monkeypatch.setattr("sensecf_edge.watch.stream.days.STREAM", STREAM._replace(people=10, held=70))
    for i in range(20):
        hub.send(first._replace(person=f"p{i}"))
    assert len(hub.late_ones) == 36 + 11
    for i in range(10):  # the same again is no more of them
        hub.send(first._replace(source="s1", start=first.start + i // 2))
    assert len(hub.late_ones) == 47 and hub.store.held(1) in range(64, 71)
    for i in range(100):
        hub.send(first._replace(source="s1", start=first.start + 100 + i))
    hub.store.commit()
    assert hub.store.held(1) == 70
    hub.store.close()


@pytest.mark.parametrize("words, said", [
    (("--readings",), "--readings needs --zone"), (("--readings", "--zone", "+01:00"), "--zone takes a place"),
    (("--readings", "--zone", "Europe/London", "--id", "who"), "--id is for records"),
    (("--zone", "Asia/Tokyo"), "--zone needs --readings"),
    (("--readings", "--zone", "Europe/London", "--time", "at"), "--time is for records"), (("--store", "x"), "--store needs --readings"),
    (("--readings", "--zone", "Nowhere/Land"), "no time zone"),
    (("--readings", "--zone", "Europe/London", "--floor", "mood=1"), "no such measure"),
])  # fmt: skip
def test_wishes_that_do_not_fit_readings_are_told(words: tuple[str, ...], said: str, command: Command) -> None:
    ran = command("watch", "--model", "stress", *words)
    assert ran.code == 2 and said in ran.err, ran


def test_a_model_of_which_sensors_say_nothing_is_refused(command: Command, tmp_path: Path, toy: Path) -> None:
    for model in ("heart", toy):
        ran = command("watch", "--model", model, "--readings", "--zone", "Europe/London", "--store", tmp_path / "x.sqlite")
        assert ran.code and ("no sensor says" in ran.err or "can be made from sensors" in ran.err), ran


def test_readings_over_mqtt_are_acknowledged_when_they_are_kept(watching: Callable[..., Running], tmp_path: Path) -> None:  # noqa: F811
    """Killed while they come: with a session of its own the broker brings what was not kept."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    import shutil

    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    broker = Mosquitto(tmp_path)
    with (tmp_path / "mosquitto.conf").open("a") as conf:
        conf.write("max_queued_messages 0\n")  # else it keeps a thousand for who is away or slow, and drops the rest
    broker.start()
    heard: list[bytes] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="phone")
    client.on_message = lambda _, __, m: heard.append(bytes(m.payload))
    words = ("--readings", "--zone", "Europe/London", "--model", "stress", "--store", tmp_path / "days.sqlite", "--mqtt",
             f"mqtt://127.0.0.1:{broker.port}", "--topic", "readings", "--out-topic", "days", "--client", "hub", "--every", 1)  # fmt: skip
    try:
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        client.subscribe("days", 1)
        held = some_days(2)
        watch = watching(*words)
        watch.says("connected")
        for at, message in enumerate(messages(held)):
            client.publish("readings", message, qos=1).wait_for_publish(PATIENCE)
            if at in (400, 900):
                assert watch.end(signal.SIGKILL) == -signal.SIGKILL
                watch = watching(*words)
            if at == 700:
                watch.says("connected")
        end = time.monotonic() + PATIENCE
        whole = run(lines(held), "--store", tmp_path / "whole.sqlite")
        wanted = {key: line["record"] for key, line in told(whole.stdout).items()}
        while {k: v["record"] for k, v in told(b"\n".join(heard)).items()} != wanted and time.monotonic() < end:
            time.sleep(0.1)
        assert {k: v["record"] for k, v in told(b"\n".join(heard)).items()} == wanted
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_message = None
        watch.end(signal.SIGTERM)
        broker.stop()


def test_what_home_assistants_automation_sends_is_a_reading() -> None:
    page = (Path(__file__).parents[1] / "docs" / "hub" / "README.md").read_text(encoding="utf-8")
    template = page[page.index("payload: >-") :].split(">-", 1)[1].split("```", 1)[0]
    home = jinja2.Environment()
    home.filters["to_json"] = json.dumps
    state = SimpleNamespace(state="101", last_updated=NOW - timedelta(minutes=1), attributes=SimpleNamespace(unit_of_measurement="mg/dL"))
    sent = json.loads(home.from_string(template).render(trigger=SimpleNamespace(to_state=state)))
    assert arrived(sent, {}, NOW) == ("ann", "glucose", "cgm", "mg/dL", round(NOW.timestamp()) - 60, 0, 101.0)


def test_home_assistant_shows_each_persons_newest_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age, "now", lambda: datetime(2026, 5, 3, 1, tzinfo=timezone.utc))
    port = Days(*messages([*some_days(2), *(one._replace(person="bob") for one in some_days(2))]))
    watch_of(port, tmp_path, max_age=86_400.0).run()
    midnight = datetime(2026, 5, 2, 23, tzinfo=timezone.utc)
    assert {name: moment for name, moment in port.shown} == {"1": midnight, "bob": midnight}, "that of the day before is too old"
