"""The public tables behind the shipped bundles and the comparisons, arranged for `fit`.

    python -m sensecf_convert.table.sources stress DOWNLOADED_FOLDER -o stress.csv
    python -m sensecf_convert.table.sources heart  DOWNLOADED_FOLDER -o heart.csv
    python -m sensecf_convert.table.sources diabetes -o diabetes.csv

The data itself is not part of this project; each function names what to download and its licence. Three tables come with
scikit-learn and need no folder. Those of `unfamiliar` are tables that nothing here was ever made for; `docs/unseen.md` measures on them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pandas as pd

from . import unfamiliar
from .raw_stress import stress_days

CHEST_PAIN = {1: "typical angina", 2: "atypical angina", 3: "non-anginal pain", 4: "asymptomatic"}
RESTING_ECG = {0: "normal", 1: "ST-T abnormality", 2: "ventricular hypertrophy"}
SLOPE = {1: "up", 2: "flat", 3: "down"}
THALLIUM = {3: "normal", 6: "fixed defect", 7: "reversible defect"}
YES_NO = {0: "no", 1: "yes"}


def heart_cleveland(folder: Path) -> pd.DataFrame:
    """The Cleveland part of UCI's Heart Disease data (dataset 45; Janosi, Steinbrunn, Pfisterer, Detrano; CC BY 4.0).

    Reads `heart_cleveland.csv`; one row per patient; `disease` is yes where num > 0. Codes become words.
    """
    return _heart(pd.read_csv(unfamiliar.file(folder, "heart_cleveland.csv"), na_values="?"))


def heart_elsewhere(folder: Path) -> pd.DataFrame:
    """The other three sites of the same data (Hungary, Switzerland, Long Beach): 617 patients with many unknown values.

    Reads `heart_uci_all4.csv`, all four sites in one file. A cholesterol or resting pressure of 0 is unknown there, and so is an ST
    depression under 0.
    """
    raw = pd.read_csv(unfamiliar.file(folder, "heart_uci_all4.csv"), na_values="?")
    raw = raw[raw.site != "cleveland"].drop(columns="site").reset_index(drop=True)
    positive = {name: raw[name].where(raw[name] > 0) for name in ("chol", "trestbps")}
    return _heart(raw.assign(**positive, oldpeak=raw.oldpeak.where(raw.oldpeak >= 0)))


def _heart(raw: pd.DataFrame) -> pd.DataFrame:
    table = raw.drop(columns="num")
    for column, words in {
        "sex": {0: "female", 1: "male"}, "cp": CHEST_PAIN, "fbs": YES_NO, "restecg": RESTING_ECG, "exang": YES_NO,
        "slope": SLOPE, "thal": THALLIUM,
    }.items():  # fmt: skip
        table[column] = raw[column].map(words)
    table["disease"] = (raw.num > 0).map({True: "disease", False: "healthy"})
    return table


def metabolic(folder: Path) -> pd.DataFrame:
    """Adults of NHANES 2009-2012 (CDC/NCHS; US public domain), as arranged by the R package NHANES.

    Reads `nhanes_2009_2012_adults.csv.gz`; one row per person of 20 years or more whose diabetes answer is known. Invalid
    codes become unknown: a diastolic pressure of 0, 99 active days. The level None is data there, not a missing value.
    """
    raw = pd.read_csv(unfamiliar.file(folder, "nhanes_2009_2012_adults.csv.gz"), keep_default_na=False, na_values=[""], low_memory=False)
    raw = raw[(raw.Age >= 20) & raw.Diabetes.notna()].reset_index(drop=True)
    table = raw[METABOLIC].copy()
    table["BPDiaAve"] = raw.BPDiaAve.where(raw.BPDiaAve > 0)
    table["BPSysAve"] = raw.BPSysAve.where(raw.BPDiaAve > 0)
    table["PhysActiveDays"] = raw.PhysActiveDays.where(raw.PhysActiveDays <= 7)
    table["BMI"] = (10_000 * raw.Weight / raw.Height**2).round(2)
    return table


METABOLIC = [
    "Age", "Sex", "Education", "Poverty", "Height", "Weight", "BMI", "Pulse", "BPSysAve", "BPDiaAve", "DirectChol", "TotChol",
    "SleepHrsNight", "SleepTrouble", "PhysActive", "PhysActiveDays", "AlcoholDay", "AlcoholYear", "Smoke100", "SmokeNow", "Diabetes",
]  # fmt: skip


BAND = {1: 22, **{k: 17 + 5 * k for k in range(2, 13)}, 13: 80}
SCHOOL = {1: "8th Grade", 2: "8th Grade", 3: "9 - 11th Grade", 4: "High School", 5: "Some College", 6: "College Grad"}
ELSEWHERE_ROWS = 2_000


def metabolic_elsewhere(folder: Path) -> pd.DataFrame:
    """2,000 answers to the telephone survey BRFSS 2015 (CDC; US public domain) in the columns of `metabolic`, most of them unknown.

    Reads `brfss2015_diabetes.csv.gz`. Asked in both: age (in bands, the middle stands for each), sex, schooling, body mass index,
    activity, a hundred cigarettes in a life.
    """
    raw = pd.read_csv(unfamiliar.file(folder, "brfss2015_diabetes.csv.gz")).sample(ELSEWHERE_ROWS, random_state=0).reset_index(drop=True)
    words = {0: "No", 1: "Yes"}
    known = {"Age": raw.Age.map(BAND), "Sex": raw.Sex.map({0: "female", 1: "male"}), "Education": raw.Education.map(SCHOOL), "BMI": raw.BMI,
             "PhysActive": raw.PhysActivity.map(words), "Smoke100": raw.Smoker.map(words),
             "Diabetes": raw.Diabetes_binary.map(words)}  # fmt: skip
    return pd.DataFrame({name: known.get(name) for name in METABOLIC}, columns=METABOLIC)


DIABETES = {"s1": "tc", "s2": "ldl", "s3": "hdl", "s4": "tch", "s5": "ltg", "s6": "glu"}


def diabetes() -> pd.DataFrame:
    """The diabetes table that scikit-learn brings, in raw units (Efron, Hastie, Johnstone, Tibshirani, 2004): 442 patients.

    `progression` is fast above the median of the disease's progression a year later, else slow. Serum columns get the
    names their documentation gives them (total cholesterol, LDL, HDL, TC / HDL, log of triglycerides, glucose).
    """
    from sklearn.datasets import load_diabetes

    raw = load_diabetes(as_frame=True, scaled=False)
    table = raw.data.rename(columns=DIABETES)
    table["sex"] = raw.data.sex.map({1.0: "a", 2.0: "b"})  # which of the two is female is documented nowhere
    table["progression"] = (raw.target > raw.target.median()).map({True: "fast", False: "slow"})
    return table


def breast_cancer() -> pd.DataFrame:
    """The Wisconsin diagnostic table that scikit-learn brings (Wolberg, Street, Mangasarian; UCI dataset 17; CC BY 4.0).

    One row per needle biopsy, 569 of them: mean, error and worst of ten measures of the cell nuclei in one picture.
    """
    from sklearn.datasets import load_breast_cancer

    raw = load_breast_cancer(as_frame=True)
    table = raw.data.rename(columns=lambda name: name.replace(" ", "_"))
    table["diagnosis"] = raw.target.map({0: "malignant", 1: "benign"})
    return table


SOURCES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "stress": stress_days, "heart": heart_cleveland, "metabolic": metabolic,
    "heart-elsewhere": heart_elsewhere, "metabolic-elsewhere": metabolic_elsewhere, **unfamiliar.SOURCES,
}  # fmt: skip
BUILT_IN: dict[str, Callable[[], pd.DataFrame]] = {"diabetes": diabetes, "breast-cancer": breast_cancer, "wine": unfamiliar.wine}
"""Tables that come with scikit-learn."""


@click.command()
@click.argument("name", type=click.Choice(sorted({*SOURCES, *BUILT_IN})))
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="CSV file to write.")
def main(name: str, folder: Path | None, output: Path) -> None:
    """Arrange a public table for `sensecf-edge fit`: a downloaded one in FOLDER, or one that comes with scikit-learn."""
    if name in BUILT_IN:
        table = BUILT_IN[name]()
    elif folder is None:
        raise click.UsageError(f"{name} needs the FOLDER that holds what was downloaded")
    else:
        table = SOURCES[name](folder)
    table.to_csv(output, index=False)
    click.echo(f"{output}: {len(table):,} rows, {table.shape[1]} columns", err=True)


if __name__ == "__main__":
    main()
