"""Training is counted in steps: what a limit in minutes cuts is decided once, and the clock changes nothing behind that."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pandas", reason="the build side is not installed")

from sensecf_convert.generator.steps import TIMED, WARM, Steps, cut


def trained(steps: Steps, clock: list[float], each: float) -> int:
    """Train to the end at so many seconds a step; returns the steps done."""
    done = 0
    while steps.share(done) < 1:
        done += 1
        clock[0] += each
        steps.took(done)
    return done


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@given(planned=st.integers(1, 500), each=st.floats(1e-6, 100))
def test_without_a_limit_the_clock_changes_nothing(planned: int, each: float) -> None:
    steps = Steps(planned)
    assert trained(steps, [0.0], each) == planned and cut(dict(steps.facts())) == ""


def test_a_limit_becomes_steps_by_the_speed_of_the_first_ones(clock: list[float]) -> None:
    steps = Steps(1000, minutes=2.0)
    assert trained(steps, clock, each=0.5) == 240
    assert cut(dict(steps.facts())) == "training was cut to 240 of 1,000 steps (24%) by the limit on its minutes"


def test_a_limit_that_is_long_enough_cuts_nothing_however_slow_the_machine_becomes(clock: list[float]) -> None:
    steps = Steps(100, minutes=60.0)
    for done in range(1, WARM + TIMED + 1):
        clock[0] += 1.0
        steps.took(done)
    clock[0] += 1e6
    steps.took(WARM + TIMED + 1)
    assert steps.total == steps.decided == 100


@pytest.mark.parametrize("left", [1, WARM, WARM + TIMED - 1, WARM + TIMED, 60])
def test_an_interrupted_training_is_cut_to_as_many_steps(clock: list[float], left: int) -> None:
    first = Steps(1000, minutes=1.0)
    for done in range(1, left + 1):
        clock[0] += 0.5
        first.took(done)
    again, done = Steps(1000, 1.0, first.decided), left
    while again.share(done) < 1:
        done += 1
        clock[0] += 0.5
        again.took(done)
    assert done == 120
