"""The table of `stress` from T1D-UOM's raw files, by the very code that makes days of anybody's exports; and what that changes.

    python -m sensecf_convert.table.sources stress FOLDER -o stress.csv
    python -m sensecf_convert.table.raw_stress FOLDER        the days held against daily.csv.gz, every difference by its rule

Days count where the runtime knows their stress and their steps: a share of the day must be covered, not a number of readings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pandas as pd

from sensecf_edge.sensors.clocks import zone
from sensecf_edge.sensors.daily import Day, Rules, days
from sensecf_edge.sensors.measures import MEASURES
from sensecf_edge.sensors.quantities import MG_DL_PER_MMOL_L
from sensecf_edge.sensors.sources import read_sources

STRESSED_FROM = 35
PLACE = "Europe/London"
"""The study was in Manchester; where its files state another offset, their clocks are followed."""
FEATURES = ("sleep_h", "deep_sleep_pct", "rem_sleep_pct", "light_sleep_pct", "glucose_mean", "glucose_cv", "time_above_range_pct", "steps",
            "active_kcal", "active_min", "vigorous_min")  # fmt: skip
THEIRS = {
    "glucose_mean": ("glucose_mean_mmol", MG_DL_PER_MMOL_L, 0.06), "glucose_sd": ("glucose_sd_mmol", MG_DL_PER_MMOL_L, 0.06),
    "time_above_range_pct": ("tar_gt10", 100, 0.06), "steps": ("steps", 1, 0.51), "active_kcal": ("active_kcal", 1, 0.51),
    "active_min": ("min_active", 1, 0.51), "vigorous_min": ("min_highly_active", 1, 0.51), "stress_mean": ("stress_mean", 1, 0.06),
    "resting_hr": ("resting_hr", 1, 0.51), "sleep_h": ("asleep_h", 1, 0.006),
}  # fmt: skip
"""By measure: the column made elsewhere, the factor into our unit, and how far rounding alone may part them."""


def made(folder: Path, floors: dict[str, float] | None = None) -> list[Day]:
    """All days of the raw files under `folder`. Raises TableError where they are not there."""
    return days(read_sources([str(folder / "t1d_uom")], source="t1d-uom").readings, Rules(zone(PLACE), floors=floors or {}))


def stress_days(folder: Path) -> pd.DataFrame:
    """One row per person and day from T1D-UOM (Alsuhaymi et al., Sci Data 2025; Zenodo 15169263; CC BY 4.0).

    Reads the raw files in `t1d_uom/`. A day counts where its stress and its steps are known (35 % of its quarters of an hour with a valid
    stress value, 10 hours of wear); it is `stressed` when its mean stress is 35 or more. Heart rate is left out on purpose: Garmin
    computes the stress score from it (active energy, which the watch estimates from movement and heart rate together, is kept, and
    the card says what it is worth). Insulin is left out: no dose is ever advised. Sleep stages are whole percent of the time asleep and
    add up to 100.
    """
    known = [day for day in made(folder) if day.values["stress_mean"] is not None and day.values["steps"] is not None]
    table = pd.DataFrame({"person": [day.person for day in known]})
    for name in FEATURES:
        table[name] = [day.values[name] for day in known]
    table["weekend"] = [day.weekend for day in known]
    table["stress"] = ["stressed" if (day.values["stress_mean"] or 0) >= STRESSED_FROM else "calm" for day in known]
    return table


def _marks(folder: Path) -> dict[str, set[tuple[str, str]]]:
    """Person-days of the raw files on which a rule has something to do, by rule."""
    raw = {name: pd.read_csv(folder / "t1d_uom" / f"{name}.csv.gz", dtype=str) for name in ("glucose", "activity", "sleep", "garmin_5min")}
    glucose, activity, sleep = raw["glucose"], raw["activity"].drop_duplicates(), raw["sleep"]
    moments = ["participant", "bg_ts"]
    once = glucose.drop_duplicates()
    late = pd.to_numeric(activity.start_time_s) + pd.to_numeric(activity.start_time_offset_s)
    over = late // 86_400 != (late + pd.to_numeric(activity.duration_s) - 1) // 86_400
    clocks = activity.groupby(["participant", "start_time_s"]).start_time_offset_s.transform("nunique") > 1
    twice = activity.assign(late=late).groupby(["participant", "late"]).start_time_offset_s.transform("nunique") > 1
    night = ["participant", "start_date_ts"]
    changes = {(who, day) for who in glucose.participant.unique() for day in ("2023-10-29", "2024-03-31")}
    around = {(who, day) for who in activity.participant.unique() for day in ("2023-10-28", "2023-10-29", "2024-03-30", "2024-03-31")}
    return {
        "a reading that stands there twice counts once": _dated(glucose[glucose.duplicated()], "bg_ts"),
        "different values at one moment do not count": _dated(once[once.duplicated(moments, keep=False)], "bg_ts"),
        "error codes do not count": _dated(glucose[pd.to_numeric(glucose.value) * MG_DL_PER_MMOL_L < 20], "bg_ts"),
        "the hour that comes twice": changes,
        "a count over midnight is shared by time": _dated(activity[over], "activity_ts", both=True),
        "activity of one moment by two clocks does not count": _dated(activity[clocks], "activity_ts"),
        "midnight is the zone's on the days around a change of clocks": around,
        "what one clock counts twice, set back on a journey, counts once": _dated(activity[twice], "activity_ts"),
        "nights of one beginning with different stages do not count": _dated(
            sleep[sleep.drop(columns="validation").drop_duplicates().reindex(sleep.index).duplicated(night, keep=False)], "calendar_date"),
    }  # fmt: skip


def _dated(rows: pd.DataFrame, column: str, both: bool = False) -> set[tuple[str, str]]:
    when = pd.to_datetime(rows[column], dayfirst=True)
    steps = (0, 1) if both else (0,)
    return {pair for n in steps for pair in zip(rows.participant, (when + pd.Timedelta(days=n)).dt.strftime("%Y-%m-%d"), strict=True)}


OF = {
    "glucose_mean": (0, 1, 2, 3), "glucose_sd": (0, 1, 2, 3), "time_above_range_pct": (0, 1, 2, 3), "stress_mean": (3,), "resting_hr": (),
    "steps": (4, 5, 6, 7), "active_kcal": (4, 5, 6, 7),
    "active_min": (4, 5, 6, 7), "vigorous_min": (4, 5, 6, 7), "sleep_h": (8,),
}  # fmt: skip
"""By measure: which of the rules, in the order of `_marks`, can move it."""
ALWAYS = {"resting_hr": "the last value of a date, not another", "vigorous_min": "0 where there is activity and none of it highly active",
          "active_min": "0 where there is activity and none of it active"}  # fmt: skip


def differences(folder: Path) -> Iterator[tuple[str, str, int]]:
    """(measure, rule, person-days) of every value that is not the same as in daily.csv.gz, floors left aside; 'same' among them."""
    ours = {(day.person, day.date): day for day in made(folder, {m.name: 0.0 for m in MEASURES})}
    theirs = pd.read_csv(folder / "t1d_uom" / "daily.csv.gz", dtype={"participant": str}).set_index(["participant", "date"])
    theirs["asleep_h"] = theirs[["deep_h", "light_h", "rem_h"]].sum(axis=1, min_count=1)
    marks = _marks(folder)
    rules = list(marks)
    for measure, (column, by, rounding) in THEIRS.items():
        count = Counter[str]()
        told = theirs[column].dropna().to_dict()
        known = {at for at, day in ours.items() if day.values[measure] is not None}
        for at in sorted({*told, *known}):
            value = ours[at].values[measure] if at in ours else None
            if at in told and value is not None and abs(told[at] * by - value) <= rounding:
                count["same"] += 1
                continue
            always = measure in ALWAYS and (measure == "resting_hr" or (at not in told and value == 0))
            rule = ALWAYS[measure] if always else next((rules[i] for i in OF[measure] if at in marks[rules[i]]), None)
            count[rule or "NOT EXPLAINED"] += 1
        yield from ((measure, rule, number) for rule, number in count.most_common())


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(folder: Path) -> None:
    """Hold the days of the raw files in FOLDER/t1d_uom against the daily table beside them. Exit code 1: a difference has no rule."""
    unexplained = 0
    for measure, rule, number in differences(folder):
        click.echo(f"{measure:<22} {number:>6,}  {rule}")
        unexplained += number * (rule == "NOT EXPLAINED")
    raise SystemExit(int(unexplained > 0))


if __name__ == "__main__":
    main()
