"""`compare`: ask every method, measure, write; and `pool`: the same page over several tables. A finished method is not asked again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

import sensecf_edge
from sensecf_edge import __version__
from sensecf_edge.errors import CheckError, MissingExtraError, TableError
from sensecf_edge.generators.opening import prepared
from sensecf_edge.proof import trees
from sensecf_edge.trial import opened

from ..evaluate import formatting
from ..progress import bar, console, note
from ..table.split import kept_back, parts_of
from . import environments, fewest, figures, page, prices, trade_off
from .methods import METHODS, OWN, Method, chosen
from .programs.asked import SAFE
from .question import Options, Questions, questions_of, write
from .running import Run, run
from .scoring import COLUMNS, Ruler

FORMAT = 3
TEXTS = ("table", "method", "class", "why", "changed", "before", "after")
MAIN_PACKAGES = {
    "dice": ("dice-ml",),
    "cfnow": ("cfnow",),
    "nice": ("nicex",),
    "treecf": ("treecf",),
    "oceanpy": ("oceanpy", "ortools"),
    OWN: ("llama-cpp-python", "onnxruntime"),
}


def compare(table: Path, model: str, names: tuple[str, ...], options: Options, out: Path, prove: bool = False) -> dict[str, Any]:
    """Ask the named methods (all for none) and write results.csv, results.json and report.html. Returns the results.

    `prove`: prove as well how few features an answer must change, for the records that ours answers at the goal, and for the
    others whether an answer exists.

    Raises TableError for a table that the bundle was not fitted on, or without a record to ask.
    """
    bundle = opened(model)
    drawn = parts_of(bundle, table)
    prepared(options.generator, note)
    asked = questions_of(bundle, drawn.train, kept_back(bundle, drawn) if options.final else drawn.test, options.limit, options.seed)
    private_folder(out)
    runs: dict[str, Run] = {}
    left_out: dict[str, str] = {}
    for method in chosen(names):
        done = answered(method, asked, options, out, runs)
        if done.failed:
            left_out[method.name] = done.failed
            console.print(f"{method.name:<22} left out: {done.failed}")
        else:
            runs[method.name] = done
    ruler = Ruler(asked, options.max_changes)
    rows = pd.DataFrame([row for name, done in runs.items() for row in ruler.rows(name, done)], columns=list(COLUMNS))
    if prove:
        with bar("fewest") as show:
            rows = fewest.prove(asked, rows, options.max_changes, show)
    about = {"tables": [_about(asked, ruler)], "options": asdict(options), "methods": _methods(runs), "left_out": left_out}
    trained = prices.measured(bundle, drawn.train, options, tuple(runs), lambda m, a, o: answered(m, a, o, out / "training", {}))
    return _write(out, rows, about, trained)


def pool(folders: tuple[Path, ...], out: Path) -> dict[str, Any]:
    """The same over what several runs of `compare` left behind. Raises TableError for a folder without, or one table given twice."""
    tables, rows, trained = [], list[pd.DataFrame](), list[pd.DataFrame]()
    merged: dict[str, Any] = {"methods": {}, "left_out": {}}
    for folder in folders:
        try:
            got = json.loads((folder / "results.json").read_text(encoding="utf-8"))
            part = pd.read_csv(folder / "results.csv", keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXTS, str))
            trained.append(prices.read(folder))
        except (OSError, ValueError) as error:
            raise TableError(f"{folder} holds no results of `compare`; run `sensecf-edge compare ... -o {folder}` first") from error
        if got["format"] != FORMAT:
            raise TableError(f"{folder} holds results of format {got['format']}; this version reads {FORMAT}: compare again")
        tables += got["tables"]
        rows.append(part.assign(why=part.why.fillna("")).reindex(columns=list(COLUMNS)))
        merged["methods"] |= {n: about for n, about in got["methods"].items() if n not in merged["methods"]}
        merged["left_out"] |= {f"{n} ({got['tables'][0]['name']})": why for n, why in got["left_out"].items()}
    twice = {t["name"] for t in tables if [o["name"] for o in tables].count(t["name"]) > 1}
    if twice:
        raise TableError(f"{', '.join(sorted(twice))} is given more than once; records would count twice")
    order = {name: at for at, name in enumerate(METHODS)}
    together = pd.concat(rows).sort_values("method", key=lambda c: c.map(order), kind="stable").reset_index(drop=True)
    merged["methods"] = dict(sorted(merged["methods"].items(), key=lambda item: order[item[0]]))
    private_folder(out)
    return _write(out, together, {"tables": tables, "options": got["options"], **merged}, pd.concat(trained))


def private_folder(out: Path) -> None:
    """A folder for people's data: where it is made here, only its owner may look."""
    if not out.exists():
        out.mkdir(parents=True, mode=0o700)


def answered(method: Method, asked: Questions, options: Options, out: Path, runs: dict[str, Run]) -> Run:
    """A method's answers: kept ones where nothing has changed since, else asked now and kept."""
    needed = runs.get(method.needs) if method.needs else None
    if method.needs and needed is None:
        return Run([], None, f"it needs {method.needs}, which has no answers")
    place = out / "methods" / f"{method.name}.json"
    key = _key(method, asked, options, needed)
    if place.exists() and (kept := json.loads(place.read_text(encoding="utf-8")))["key"] == key:
        console.print(f"{method.name:<22} kept from before")
        return Run(kept["answers"], kept["cold"])
    began = time.monotonic()
    try:
        done = _ask(method, asked, options, needed)
    except (MissingExtraError, trees.NoTreesError) as error:
        return Run([], None, str(error))
    if not done.failed:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_suffix(".part")
        fresh.write_text(json.dumps({"key": key, "cold": done.cold, "answers": done.answers}), encoding="utf-8")
        os.replace(fresh, place)
        answered = sum(a["y"] is not None for a in done.answers)
        console.print(f"{method.name:<22} {answered} of {len(done.answers)} records answered ({time.monotonic() - began:.1f} s)")
    return done


def _ask(method: Method, asked: Questions, options: Options, needed: Run | None) -> Run:
    with tempfile.TemporaryDirectory(prefix="sensecf-") as place:
        folder = Path(place)
        if method.trees:
            graph, column = asked.bundle.classifier_bytes(), asked.bundle.manifest.target.index
            forest = trees.read(graph, asked.schema, column, asked.train.X).forest(asked.goal + SAFE)
            (folder / "trees.json").write_text(json.dumps(forest.to_json()), encoding="utf-8")
        if method.environment != OWN:
            environments.environment_python(method.environment)
        write(asked, folder, options, shifted=options.shift and not method.goal, pin=method.pinned)
        if needed is not None:
            budget = [{"rows": a["rows"], "seconds": a["seconds"]} for a in needed.answers]
            (folder / "budget.json").write_text(json.dumps(budget), encoding="utf-8")
        with bar(method.name) as show:
            return run(method, folder, len(asked.rows), options, show)


def _key(method: Method, asked: Questions, options: Options, needed: Run | None) -> str:
    """What an answer depends on: bundle, table, options, the method's code and its environment; for some, ours."""
    source, pins = hashlib.sha256(), "" if method.environment == OWN else environments.lock(method.environment)
    for program in _own_code() if method.environment == OWN else _programs(method):
        source.update(program.read_bytes())
    budget = [[a["rows"], a["seconds"]] for a in needed.answers] if needed else None
    given = options.of(method.environment == OWN)
    whole = [method.name, asked.bundle.hash, asked.train.fingerprint, given, source.hexdigest(), pins, budget,
             asked.places.tolist(), method.pinned]  # fmt: skip
    if method.price:
        whole.append([asdict(method.price), method.search])
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def _own_code() -> list[Path]:
    """All that our own methods are made of: this very code may change from day to day, a package's pins do not."""
    here, runtime = Path(__file__).parent, Path(sensecf_edge.__file__).parent
    shared = [environments.PROGRAMS / "asked.py", here / "own.py", *sorted((here.parent / "teachers").glob("*.py"))]
    return [*shared, *sorted(runtime.rglob("*.py"))]


def _programs(method: Method) -> list[Path]:
    """What stands between a package and its answers: its own program, the question, and the rules that are put on inside."""
    runtime = Path(sensecf_edge.__file__).parent
    shared = ["asked.py", "limits.py", *(("folding.py", "program.py") if method.trees else ())]
    rules = sorted(path for floor in ("schema", "space") for path in (runtime / floor).glob("*.py"))
    return [*(environments.PROGRAMS / n for n in (*shared, method.program)), *rules]


def _methods(runs: dict[str, Run]) -> dict[str, dict[str, Any]]:
    out = {}
    for name, done in runs.items():
        room = METHODS[name].environment
        held = {p: version(p) for p in MAIN_PACKAGES[OWN]} if room == OWN else environments.cached(room) or {}
        out[name] = {"cold_start": done.cold, "versions": {p: held.get(p, "?") for p in MAIN_PACKAGES[room]}}
    return out


def _about(asked: Questions, ruler: Ruler) -> dict[str, Any]:
    manifest, schema = asked.bundle.manifest, asked.schema
    return {
        "name": manifest.name,
        "title": manifest.title,
        "wanted": manifest.target.wanted,
        "classifier": manifest.classifier.kind,
        "auc": manifest.classifier.auc,
        "bundle": asked.bundle.hash,
        "table": manifest.split.get("table"),
        "asked": len(asked.rows),
        "people": len(set(asked.persons.tolist())) if asked.named else None,
        "threshold": asked.threshold,
        "goal": asked.goal,
        "mutable": asked.moved,
        "immutable": [f.name for f in schema.features if not f.mutable],
        "factual": ruler.factuals(),
    }


def _write(out: Path, rows: pd.DataFrame, about: dict[str, Any], trained: pd.DataFrame) -> dict[str, Any]:
    """Figures, files, and the table on standard output."""
    if rows.empty:
        raise CheckError("no method could be run, so there is nothing to write; the reasons stand above")
    seed = int(about["options"]["seed"])
    results: dict[str, Any] = {
        "format": FORMAT,
        "versions": {"sensecf-edge": __version__},
        **about,
        "pooled": figures.summary(rows, seed),
        "classes": figures.by_class(rows, seed),
        "paired": figures.paired(rows, seed),
        "possible": figures.possible(rows),
        "fewest": fewest.summary(rows),
        "trade": trade_off.trade(rows, trained, seed),
        "changes": figures.changes(rows),
    }
    rows.to_csv(out / "results.csv", index=False)
    trained.to_csv(out / prices.FILE, index=False)
    (out / "results.json").write_text(json.dumps(results, indent=1, allow_nan=False), encoding="utf-8")
    (out / "report.html").write_text(page.render(results, rows), encoding="utf-8")
    print(figures.lines(results["pooled"], figures.SHOWN))
    print(formatting.possible(results["possible"]))
    if results["fewest"]:
        print(
            f"features changed by ours {results['fewest']['changed']:.2f}; the fewest possible {formatting.fewest_text(results['fewest'])}"
        )
    console.print(f"wrote results.csv, results.json and report.html to {out}; they hold people's data")
    return results
