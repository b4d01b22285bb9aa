"""`compare --generators`: who proposes, held against who else could: the papers' own comparison, on a bundle's unseen people.

Each language model is asked for its greedy first proposal, which nothing checks or repairs: that is what the papers' validity is
a share of. Beside them stand the bundle's own generator and ways that need no language model. Everybody's answers to the same
records are measured by the ruler of `compare`.
"""

from __future__ import annotations

import csv
import json
from base64 import b64encode
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from sensecf_edge.errors import CheckError
from sensecf_edge.generators.choice import FILE, NONE, OPENAI, SMOLLM2, Choice
from sensecf_edge.generators.opening import prepared
from sensecf_edge.page.html import Html, el, joined
from sensecf_edge.settings import LOOP
from sensecf_edge.trial import opened

from ..progress import console, note
from ..table.split import kept_back, parts_of
from . import figures, plots
from .command import answered, private_folder
from .methods import METHODS, chosen
from .question import Options, Questions, questions_of
from .running import Run
from .scoring import COLUMNS, Ruler

FIRST = "ours-first-try"
WITHOUT = ("additive", "chance", "search")
"""Ways to an answer without a language model."""
SHOTS = 3
FILES = ("generators.csv", "generators.json", "generators.html", "answers.csv")
KEYS = ("asked", "valid", "of_possible", "usable", "kept", "n_changed", "distance", "knn_ratio", "realism", "rows", "p50_ms")
SHOWN = ("asked", "valid", "of_possible", "usable", "n_changed", "distance", "p50_ms")
PAPERS = (
    ("fine-tuned LLaMA-3.1-8B", "validity up to 99 %; plausibility up to 99 %"),
    ("fine-tuned over pretrained", "20 to 40 points of validity more; less than half the distance"),
)
"""What the papers state (Soumma et al., arXiv 2601.14590); their data, classifier and definitions are others."""


@dataclass(frozen=True)
class Variant:
    """One way to ask: `name` in the table, the method of `compare` and the generator that it asks."""

    name: str
    method: str
    generator: Choice


def variants(general: Choice, more: tuple[str, ...] = ()) -> list[Variant]:
    """The bundle's own generator, the general model in its ways, ways without any, and `more` methods of `compare` by name."""
    called = "SmolLM2" if general.place == SMOLLM2 else general.model or Path(general.place).name
    plain = replace(general, shots=0, hints=False)
    asked = {
        "no example": plain, f"{SHOTS} examples": replace(plain, shots=SHOTS), "hints": replace(plain, hints=True),
        "both": replace(plain, shots=SHOTS, hints=True),
    }  # fmt: skip
    others = [Variant(method.name, method.name, Choice(NONE)) for method in chosen((*WITHOUT, *more)) if method.name != FIRST]
    return [
        Variant("the bundle's own", FIRST, Choice()),
        *(Variant(f"{called}, {how}", FIRST, choice) for how, choice in asked.items()),
        *others,
    ]


def compare_generators(table: Path, model: str, names: tuple[str, ...], options: Options, out: Path) -> dict[str, Any]:
    """Ask everybody, measure, write FILES to `out`. A finished part is not asked again.

    `options.generator` is the general model (SmolLM2 where it is the bundle's). Raises TableError for a table that the bundle was not
    fitted on, CheckError where nobody could be asked.
    """
    general = options.generator if options.generator.kind in (FILE, OPENAI) else Choice(FILE, SMOLLM2)
    bundle = opened(model)
    drawn = parts_of(bundle, table)
    prepared(general, note)
    asked = questions_of(bundle, drawn.train, kept_back(bundle, drawn) if options.final else drawn.test, options.limit, options.seed)
    private_folder(out)
    ruler, rows, left_out = Ruler(asked, options.max_changes), list[dict[str, Any]](), dict[str, str]()
    done: dict[str, Run] = {}
    for at, variant in enumerate(variants(general, names)):
        console.print(f"[bold]{variant.name}[/]")
        place = out / f"{at:02d}"
        run = answered(METHODS[variant.method], asked, replace(options, generator=variant.generator), place, done)
        if run.failed:
            left_out[variant.name] = run.failed
            console.print(f"{variant.name} left out: {run.failed}")
            continue
        done[variant.method] = run
        rows += ruler.rows(variant.name, run)
    if not rows:
        raise CheckError("nobody could be asked, so there is nothing to write; the reasons stand above")
    return _write(out, asked, pd.DataFrame(rows, columns=list(COLUMNS)), options, left_out)


def _write(out: Path, asked: Questions, rows: pd.DataFrame, options: Options, left_out: dict[str, str]) -> dict[str, Any]:
    seed = options.seed if options.seed is not None else LOOP.seed
    pooled, classes = figures.summary(rows, seed), figures.by_class(rows, seed)
    results = {
        "model": asked.bundle.name, "bundle": asked.bundle.hash, "asked": len(asked.rows), "left_out": left_out, "pooled": pooled,
        "classes": classes, "changes": figures.changes(rows), "papers": dict(PAPERS),
    }  # fmt: skip
    rows.to_csv(out / "answers.csv", index=False)
    (out / "generators.json").write_text(json.dumps(results, indent=1, allow_nan=False), encoding="utf-8")
    with (out / "generators.csv").open("w", newline="", encoding="utf-8") as file:
        written = csv.writer(file)
        written.writerow(["who", "class", *KEYS])
        for label, part in {"all": pooled, **classes}.items():
            written.writerows([name, label, *(_value(got.get(key)) for key in KEYS)] for name, got in part.items())
    (out / "generators.html").write_text(_page(results, rows, asked.moved), encoding="utf-8")
    print(figures.lines(pooled, SHOWN))
    for who, what in PAPERS:
        print(f"the papers, {who}: {what}")
    console.print(f"wrote {', '.join(FILES)} to {out}; answers.csv holds people's data")
    return results


def _value(figure: Any) -> Any:
    value = figure["value"] if isinstance(figure, dict) else figure
    return "" if value is None else round(value, 6)


def _page(results: dict[str, Any], rows: pd.DataFrame, names: list[str]) -> str:
    """One file, nothing fetched: the figures, by class as well, what the papers state, and what each changes."""
    told = (
        "The greedy first proposal of each, unchecked; the last lines need no language model. Over all people asked, so no answer counts "
        "as invalid."
    )
    picture = b64encode(plots.radar(rows, names, results["model"])).decode()
    parts = [
        el("h1", f"Who proposes: {results['model']}, {results['asked']} unseen people in the unwanted class"),
        el("p", told),
        _table(results["pooled"]),
        el("h2", "What the papers state"),
        el("p", "Other data, another classifier, other definitions: to stand beside, not to subtract."),
        el("ul", *(el("li", f"{who}: {what}") for who, what in PAPERS)),
        *(part for label, got in results["classes"].items() for part in (el("h2", f"Recorded class: {label}"), _table(got))),
        el("h2", "What each changes"),
        Html(f'<img alt="Share of answers that change each feature" src="data:image/png;base64,{picture}">'),
        *(el("p", f"Left out: {name}: {why}") for name, why in results["left_out"].items()),
    ]
    style = "body{font:15px/1.5 sans-serif;margin:2rem}table{border-collapse:collapse}td,th{padding:.2rem .7rem;text-align:right}"
    head = el("head", Html('<meta charset="utf-8">'), el("title", "Who proposes"), el("style", Html(style)))
    return f'<!DOCTYPE html>\n<html lang="en">{head}{el("body", joined(parts))}</html>\n'


def _table(summary: dict[str, dict[str, Any]]) -> Html:
    head = el("tr", el("th", "who"), *(el("th", figures.TITLES[key]) for key in KEYS))
    return el(
        "table", head, *(el("tr", el("th", name), *(el("td", _cell(key, got.get(key))) for key in KEYS)) for name, got in summary.items())
    )


def _cell(key: str, figure: Any) -> str:
    """A figure with its interval where there is one."""
    text = figures.cell(key, figure)
    low, high = (figure.get("low"), figure.get("high")) if isinstance(figure, dict) else (None, None)
    return text if low is None or high is None else f"{text} ({figures.cell(key, low)} to {figures.cell(key, high)})"
