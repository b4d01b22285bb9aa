"""What keeps the house light and readable: no heavy import at start-up, one door per library, arrows that point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sensecf_edge

ROOT = Path(sensecf_edge.__file__).parent
FILES = {path.stem: path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py"}
MODULES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
HEAVY = ("llama_cpp", "onnxruntime", "torch", "sklearn", "pandas", "transformers", "onnx", "gguf", "numpy", "rich",
         "pyarrow", "ray", "paho", "sqlite3", "multiprocessing", "sensecf_convert")  # fmt: skip
COMMANDS = {"cli", "cli_jobs", "cli_bench", "cli_build", "cli_compare", "cli_augment", "cli_days", "cli_export"}
DOORS = {"llama_cpp": {"native"}, "onnxruntime": {"check"}, "click": COMMANDS, "pyarrow": {"parquet", "columnar"}, "ray": {"ray_job"},
         "paho": {"mqtt"}, "fitdecode": {"garmin_fit"}}  # fmt: skip
ORDER = (
    "errors", "settings", "given",
    "sentences",
    "feature", "relation", "mixture", "schema_json", "schema", "density",
    "cells", "record", "admissible", "reasons", "prompt", "grammar", "reply", "measure", "rules", "contradictions", "coarse",
    "risk",
    "manifest", "reference", "bundle", "tokens", "proposals", "scripted", "sampling", "branches",
    "gguf_head", "native", "engine", "threads", "graph_audit", "check", "refine",
    "exact", "exchange", "stability", "rank", "result", "completions", "found", "budget", "loop", "trial",
    "opened", "lines", "marks", "delimited", "columnar", "read", "far", "fits",
    "quantities", "noted", "readings", "clocks", "measures", "sifted", "nights", "slots", "daily", "exports", "records",
    "dexcom", "libreview", "nightscout", "ai_readi", "open_mhealth", "fitbit", "apple_health", "garmin_fit", "t1d_uom", "plain_table",
    "gather",
    "problem", "tables", "layouts", "parquet", "answers", "workers",
    "ray_job", "owned", "store", "rows", "places", "meter", "batch", "stream", "watch", "broker", "mqtt",
    "wording",
    "report", "pages", "doctor", "yardsticks", "outside",
    "bench", "terminal", "__main__", "cli_jobs", "cli_bench", "cli_build", "cli_compare", "cli_augment", "cli_days", "cli_export", "cli",
)  # fmt: skip
LONGEST_MODULE, LONGEST_FUNCTION = 300, 40


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Every imported module: relative ones with a leading dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level and not node.module:
            yield from ((f".{alias.name}", node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), node


def at_start(tree: ast.Module) -> Iterator[str]:
    """Modules imported when this one is: not inside functions, not for type checking only."""
    for statement in tree.body:
        for_types = isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
        if not for_types and not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield from (name for name, _ in imports(statement))


@pytest.mark.parametrize("program", ["import sensecf_edge", "sys.argv = ['x', '--help']; from sensecf_edge.cli import main; main()",
                                     "sys.argv = ['x', 'explain', '--help']; from sensecf_edge.cli import main; main()",
                                     "sys.argv = ['x', 'batch', '--help']; from sensecf_edge.cli import main; main()",
                                     "sys.argv = ['x', 'watch', '--help']; from sensecf_edge.cli import main; main()"])  # fmt: skip
def test_import_and_help_load_nothing_heavy(program: str) -> None:
    watch = f"import atexit, sys; atexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)); "
    ran = subprocess.run([sys.executable, "-c", watch + program], capture_output=True, text=True, timeout=30)
    assert (ran.returncode, ran.stderr) == (0, "[]\n")


@pytest.mark.parametrize("module", ["check", "engine", "loop", "bundle", "report", "doctor"])
def test_no_module_loads_an_engine_when_it_is_imported(module: str) -> None:
    watch = f"import sys, sensecf_edge.{module}; print([m for m in {HEAVY!r} if m != 'numpy' and m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, timeout=30)
    assert ran.stdout == "[]\n", ran.stderr


@pytest.mark.parametrize("library", DOORS)
def test_one_module_is_the_door_to_each_outside_library(library: str) -> None:
    through = {name for name, tree in MODULES.items() if any(found.split(".")[0] == library for found, _ in imports(tree))}
    assert through == DOORS[library]


def test_every_module_has_a_place_in_the_order() -> None:
    assert set(MODULES) == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_up_the_order(module: str) -> None:
    above = ORDER[: ORDER.index(module)]
    for found in at_start(MODULES[module]):
        if found.startswith("."):
            name = found.lstrip(".").removeprefix("jobs.").removeprefix("table.").removeprefix("sensors.").split(".")[0]
            assert name in (*above, "__version__"), f"{module} imports {found}"


def test_the_runtime_never_needs_the_build_side_to_start() -> None:
    for name, tree in MODULES.items():
        assert not any(found.split(".")[0] == "sensecf_convert" for found in at_start(tree)), name
        if name not in ("cli_augment", "cli_bench", "cli_build", "cli_compare", "cli_export"):
            assert not any(found.split(".")[0] == "sensecf_convert" for found, _ in imports(tree)), name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_read_in_one_sitting_and_a_function_on_one_screen(module: str) -> None:
    lines = len(FILES[module].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE, f"{module} has {lines} lines"
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{module}.{node.name} has {length} lines"


@pytest.mark.parametrize("module", MODULES)
def test_public_things_say_what_they_are(module: str) -> None:
    assert ast.get_docstring(MODULES[module]), f"{module} has no docstring"
