"""Numbers as people are told them: on the right side of every threshold, never certain, and as a person writes them."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sensecf_edge.report.phrases import auc_text, change_texts, class_text, digits_of, percent, percents, rate_text, weak_text

shares = st.floats(0, 1)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.22, "22 %"),
        (0.0, "under 0.1 %"),
        (1.0, "over 99.9 %"),
        (0.004, "0.4 %"),
        (0.9996, "over 99.9 %"),
        (0.995, "99.5 %"),
        (0.01, "1 %"),
    ],
)
def test_a_percentage_is_never_certain(share: float, text: str) -> None:
    assert percent(share) == text


def read(text: str) -> tuple[Decimal, int]:
    """A told percentage as its number, and on which side of that number it is said to lie."""
    side = 1 if text.startswith(("just over", "over")) else -1 if text.startswith(("just under", "under")) else 0
    (number,) = re.findall(r"\d+(?:\.\d+)?", text)
    return Decimal(number), side


@given(st.floats(1e-9, 0.999999999) | st.floats(1e-9, 1e-5), st.lists(shares, max_size=6), st.lists(st.floats(-1e-4, 1e-4), max_size=3))
def test_no_percentage_reads_as_if_it_lay_on_the_other_side_of_the_threshold(edge: float, others: list[float], near: list[float]) -> None:
    told = [*others, *(min(1.0, max(0.0, edge + gap)) for gap in near)]
    text = percents(edge, told)
    for share in told:
        assert (text(share) == text(edge)) == (share == edge)
        assert (read(text(share)) > read(text(edge))) == (share > edge)


@pytest.mark.parametrize(("share", "text"), [(0.1418, "14 %"), (0.0142, "1.4 %"), (0.0001, "0.01 %"), (0.995, "99.5 %"), (0.5, "50 %")])
def test_a_base_rate_is_told_however_rare_it_is(share: float, text: str) -> None:
    assert rate_text(share) == text


@given(shares, shares, st.integers(0, 3))
def test_a_larger_share_never_reads_as_a_smaller_one(first: float, second: float, digits: int) -> None:
    assume(first < second)
    assert read(percent(first, digits)) <= read(percent(second, digits))


@pytest.mark.parametrize(
    ("auc", "text"), [(0.696, "0.696"), (0.6999, "0.6999"), (0.64, "0.64"), (0.7, "0.70"), (0.935, "0.94"), (0.5, "0.50")]
)
def test_an_auc_reads_as_what_it_is_called(auc: float, text: str) -> None:
    assert auc_text(auc) == text


@given(shares)
def test_a_weak_auc_reads_weak_and_no_other_does(auc: float) -> None:
    assert (float(auc_text(auc)) < 0.7) == (auc < 0.7) == (weak_text(auc) is not None)


@pytest.mark.parametrize(
    ("before", "after", "step", "texts"),
    [
        (3000, 9500, 500, ("3000", "9500", "+6500")),
        (182907.66666666666, 230000, 10000, ("182908", "230000", "+47092")),
        (0.0042, 0.0039, 0.01, ("0.0042", "0.0039", "−0.0003")),
        (98.7, 74, 1, ("98.7", "74", "−24.7")),
        (10.0, 12.5, 1, ("10", "12.5", "+2.5")),
        (32.86, 24.642857, 0.1, ("32.86", "24.64", "−8.22")),
        (0.1, 0.30000000000000004, 0.1, ("0.1", "0.3", "+0.2")),
        (1e5, 1e5 + 0.1, 1, ("100000", "100000.1", "+0.1")),
        (5, 5.3, 0.1, ("5", "5.3", "+0.3")),
        (-2, 0, 1, ("-2", "0", "+2")),
    ],
)
def test_numbers_stand_as_a_person_writes_them(before: float, after: float, step: float, texts: tuple[str, ...]) -> None:
    assert change_texts(before, after, digits_of(step)) == texts


numbers = st.floats(-1e7, 1e7, allow_subnormal=False) | st.integers(-(10**6), 10**6)


@given(numbers, numbers, st.sampled_from([0.001, 0.05, 0.1, 0.5, 1, 5, 500]))
def test_the_three_numbers_of_a_change_agree_and_none_hides_it(before: float, after: float, step: float) -> None:
    assume(abs(after - before) > 1e-9 and all(v == 0 or abs(v) > 1e-9 for v in (before, after)))
    first, second, by = change_texts(before, after, digits_of(step))
    size = Decimal(by[1:])
    assert Decimal(second) - Decimal(first) == (size if by[0] == "+" else -size) != 0
    assert (by[0] == "+") == (after > before)
    for text, exact in ((first, before), (second, after)):
        assert abs(float(text) - exact) <= 0.05 * abs(exact) and not re.search("[eE]|^-0$|float", text)


@pytest.mark.parametrize(
    ("name", "outcome", "text"),
    [
        ("Yes", "Diabetes", "Diabetes"), ("No", "Diabetes", "no Diabetes"), ("disease", "disease", "disease"), ("calm", "mood", "calm"),
        ("not calm", "mood", "not calm"), ("1", "death_30d", "death_30d"), ("0", "death_30d", "no death_30d"), ("2", "stage", "stage 2"),
        ("Yes", "", "Yes"), ("False", "ill", "no ill"),
    ],
)  # fmt: skip
def test_a_class_says_what_it_is_a_class_of_where_its_name_does_not(name: str, outcome: str, text: str) -> None:
    assert class_text(name, outcome) == text
