"""Every command line of README and docs is run: page by page, in the order in which it is written, beside the files that it names.

What cannot be run here (gigabytes, hours, other packages, other machines) is named in ELSEWHERE, with the test that runs the same command.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import records
import sensors
from conftest import Ran
from pages import PAGES, ROOT, STAYS, arguments, modules, ours
from test_generators import CHATML
from test_sensor_days import table_of_days
from test_signing import make_keys
from toys import toy_gguf

from sensecf_edge.bundle.bundle import Bundle

WALKS = ("README.md", "docs/clinic.md", "docs/batch.md", "docs/own-table.md", "docs/research.md", "docs/explanations.md", "docs/signing.md",
         "docs/sensors.md", "docs/generators.md")  # fmt: skip

ELSEWHERE = {
    r"--base |--tune |stress-llama": ("test_fit_base.py", "fit("),  # gigabytes
    r"--ray ": ("test_ray.py", '"--ray"'),  # a cluster
    r"--mqtts? ": ("test_watch.py", '"--mqtt"'),  # a broker
    r"smollm2": ("test_generators.py", "smollm2"),  # weights that are fetched
    r"openai:": ("test_endpoint.py", '"--generator"'),  # a server
    r"^sensecf-edge export (\w+) ": ("test_export.py", 'command("export", "{}"'),  # llama.cpp's converters, a fit's work folder
    r"^sensecf-edge compare(?:-pool)? ": ("test_compare.py", 'command("compare'),  # environments of other packages, public tables
    r"^sensecf-edge augment (?:study|pool) ": ("test_augment.py", "study_command.run("),  # an hour
    r"^sensecf-edge fit .*--classifier svm": ("test_fit.py", "fit("),
    r"^sensecf-edge fit (?:diabetes|breast-cancer|pima)": ("test_fit.py", "fit("),  # minutes
    r"^sensecf-edge schema draft pima": ("test_build.py", 'command("schema", "draft"'),  # a public table
    r"sensecf_convert\.evaluate\.typical ": ("test_compare.py", "beside.main"),
    r"sensecf_convert\.evaluate\.easing ": ("test_build.py", '"evaluate.easing"'),
    r"sensecf_convert\.table\.sources ": ("test_tables.py", "sources.main"),  # public tables
    r"sensecf_convert\.classifier ": ("test_classifiers.py", "classifier.__main__ import main"),
    r"sensecf_convert\.evaluate\.teacher_answers ": ("test_teachers.py", "teacher_answers.main"),
    r"sensecf_convert\.memorisation ": ("test_build.py", '"memorisation.__main__"'),
    r"sensecf_convert\.memorisation\.planted ": ("test_memorisation.py", "planted.experiment("),
    r"sensecf_convert\.generator\.base\.rehearsal ": ("bases.py", "rehearsal.write("),
}  # fmt: skip
"""Lines that no walk takes: where the same is run, and by which call. Of a line that fits several the first counts."""

LESS = {
    "fit": ("--size", "tiny", "--pairs", "200", "--passes", "0.2", "--no-improve"),
    "augment": ("--effort", "try", "--no-trial"),
}
"""What makes a long command short enough for a test; what it does stays whole."""

ONCE = ("fit",)
"""Commands that one page's walk runs, the page that is about them, and others only name."""


def elsewhere(line: str) -> tuple[str, str] | None:
    """The test that runs the line's command in another way, and its call."""
    for pattern, (test, call) in ELSEWHERE.items():
        if found := re.search(pattern, line):
            return test, call.format(*found.groups())
    return None


def walked(page: str) -> list[str]:
    """The lines of a page that its walk runs."""
    lines = [line for line in ours(page) if arguments(line)[0] not in STAYS and elsewhere(line) is None]
    return [line for line in lines if page == "docs/own-table.md" or arguments(line)[0] not in ONCE]


WALKED = {line for page in WALKS for line in walked(page)}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_is_walked_or_run_by_another_test(page: str) -> None:
    for line in (*ours(page), *modules(page)):
        if line in WALKED or (line in ours(page) and arguments(line)[0] in STAYS):
            continue
        there = elsewhere(line)
        assert there is not None, f"no test runs {line}; walk {page}, or say where it is run"
        test, call = there
        assert call in (ROOT / "tests" / test).read_text(encoding="utf-8"), f"{test} does not run {line}"


@pytest.mark.parametrize("page", WALKS)
def test_a_users_walk_through_a_page_goes_through(
    page: str, command: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirection is followed, so that what one line makes is there for the next."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for prepare in (_patients, _cohort, _health_record, *PREPARED.get(page, ())):
        prepare(tmp_path)
    lines = walked(page)
    assert len(lines) >= LEAST.get(page, 2)
    for line in lines:
        given = [_as_it_is_now(word) for word in arguments(line)]
        ran = command(*given, *LESS.get(given[0], ()))
        assert ran.code in MADE_UP_DAYS.get(page, (0,)), f"{line}\n{ran.out}\n{ran.err}"
        words = shlex.split(line, comments=True)
        if ">" in words:
            Path(words[words.index(">") + 1]).write_text(ran.out, encoding="utf-8")


def _as_it_is_now(word: str) -> str:
    """A word as a shell hands it over; hashes are those of the log that lies here, for a page cannot know them."""
    if word in ("3f9a", "5c27…"):
        hashes = [json.loads(line)["hash"] for line in Path("log.jsonl").read_bytes().splitlines()]
        return str(hashes[0][:10] if word == "3f9a" else hashes[-1])
    return str(Path(word).expanduser()) if word.startswith("~/") else word


def _patients(folder: Path) -> None:
    """60 people with two visits each; weight and steps decide, with some luck."""
    rng = np.random.default_rng(0)
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["patient_id", "age", "sex", "steps", "weight", "smoker", "outcome"])
        for person in range(60):
            age, sex = int(rng.integers(30, 80)), rng.choice(["female", "male"])
            for _ in range(2):
                steps, weight = 100 * int(rng.integers(20, 120)), int(rng.integers(55, 110))
                sick = weight / 20 - steps / 2500 + rng.normal(0, 0.7) > 1.3
                out.writerow([person, age, sex, steps, weight, rng.choice(["no", "yes"]), "sick" if sick else "healthy"])


def _cohort(folder: Path) -> None:
    """heart's samples as a cohort, as CSV and as Parquet."""
    import pandas as pd

    rows = [{"patient": f"p{k}", **sample.values} for k, sample in enumerate(Bundle.open("heart").samples)]
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    pd.DataFrame(rows).to_parquet(folder / "cohort.parquet")


def _health_record(folder: Path) -> None:
    """A FHIR Bundle, and what heart's record has beside it."""
    (folder / "bundle.json").write_text(json.dumps(records.bundle(*records.lately(records.survey()))), encoding="utf-8")
    rest = {k: v for k, v in Bundle.open("heart").samples[1].values.items() if k not in ("age", "sex", "trestbps", "chol")}
    (folder / "rest.json").write_text(json.dumps(rest), encoding="utf-8")




def _record(folder: Path) -> None:
    values = Bundle.open("heart").samples[0].values
    (folder / "me.json").write_text(json.dumps(values), encoding="utf-8")


def _keys(folder: Path) -> None:
    """A maker's keys, whose public one is trusted, and a bundle to sign."""
    shutil.copytree(Bundle.open("heart").folder, folder / "bundles" / "patients")
    make_keys(folder)
    (folder / "keys").mkdir()
    shutil.copy(folder / "maker.pem", folder / "keys")


def _exports(folder: Path) -> None:
    """A day of glucose, and of a watch; what the watch writes is a table of readings here."""
    sensors.write(folder, "exports/clarity.csv", sensors.clarity([120 + k % 60 for k in range(288)]))
    day = table_of_days(1, ("Ann Example",)).splitlines(keepends=True)
    sensors.write(folder, "exports/garmin/day.csv", "".join(line for line in day if ",glucose," not in line))


def _general(folder: Path) -> None:
    toy_gguf(folder / "my-model.gguf", template=CHATML, context=8192)


PREPARED: dict[str, tuple[Callable[[Path], object], ...]] = {
    "docs/signing.md": (_record, _keys), "docs/sensors.md": (_exports,),
    "docs/generators.md": (_general,), "docs/own-table.md": (_general,),
}  # fmt: skip
LEAST = {"docs/research.md": 1}
MADE_UP_DAYS = {"docs/sensors.md": (0, 3)}
"""Nobody promises an answer to a day that was made up: 3 is none."""
