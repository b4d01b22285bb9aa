"""What keeps the house light and readable: no heavy import at start-up, one door per library, arrows that point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import PATIENCE

ROOT = Path(__file__).parents[1]
PLACES = {"sensecf_edge": ROOT / "sensecf_edge", "sensecf_convert": ROOT / "convert" / "sensecf_convert"}
FILES = {
    ".".join([top, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__"): path
    for top, folder in PLACES.items()
    for path in sorted(folder.rglob("*.py"))
}
MODULES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
PACKAGES = [name for name, path in FILES.items() if path.name == "__init__.py"]
PROGRAMS = "sensecf_convert.compare.programs."
"""Run by the Python of another package's environment: no part of this package."""

HEAVY = ("llama_cpp", "onnxruntime", "torch", "sklearn", "pandas", "transformers", "onnx", "gguf", "numpy", "rich",
         "pyarrow", "ray", "paho", "starlette", "uvicorn", "jinja2", "httpx", "sqlite3", "multiprocessing", "sensecf_convert")  # fmt: skip
DOORS = {
    "llama_cpp": {"sensecf_edge.llama.library"},
    "onnxruntime": {"sensecf_edge.judge.classifier"},
    "pyarrow": {"sensecf_edge.table.parquet", "sensecf_edge.batch.parquet"},
    "ray": {"sensecf_edge.batch.ray"},
    "paho": {"sensecf_edge.watch.mqtt"},
    "cryptography": {"sensecf_edge.bundle.signing"},
    "jinja2": {"sensecf_edge.llama.chat", "sensecf_edge.serve.app"},
    "starlette": {"sensecf_edge.serve.app", "sensecf_edge.serve.door", "sensecf_edge.serve.line", "sensecf_edge.serve.hooks"},
    "uvicorn": {"sensecf_edge.serve.server"},
    "httpx": {"sensecf_edge.generators.wire"},
    "httpcore": {"sensecf_edge.generators.wire"},
}
RUNTIME = ("lazy", "errors", "settings", "schema", "arguments", "answer", "space", "budget", "propose", "testing", "llama", "judge",
           "proof", "bundle", "trial", "report", "page", "generators", "search", "explain", "trial_child", "letter", "wish", "table",
           "sensors", "fhir", "private_files", "audit", "batch", "watch", "serve", "cli", "__main__")  # fmt: skip
BUILD = ("progress", "plan", "work", "presentation", "statistics", "table", "classifier", "density", "teachers", "export",
         "generator", "proof", "memorisation", "baselines", "evaluate", "bundle", "compare", "augment", "fit")  # fmt: skip
ORDER = (*(f"sensecf_edge.{name}" for name in RUNTIME), *(f"sensecf_convert.{name}" for name in BUILD))
"""From the ground up: a module may import what stands before its own package, and its own package, also inside functions."""
BUILD_COMMANDS = {"augment", "build", "compare", "export"}
LONGEST_MODULE, LONGEST_FUNCTION, LONGEST_OF_THE_BUILD_SIDE = 300, 40, 60
MOST_FLAT = {"sensecf_edge": 12, "sensecf_convert": 8}


def imported(name: str, tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Every imported module by its whole name, wherever the import stands."""
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield (f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base), node


def at_start(name: str) -> Iterator[str]:
    """Modules imported when this one is: not inside functions, not for type checking only."""
    for statement in MODULES[name].body:
        for_types = isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
        if not for_types and not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield from (found for found, _ in imported(name, statement))


def ours(name: str) -> set[str]:
    """Modules of the two packages that a module imports anywhere; what a package says of itself is no module."""
    return {found for found, _ in imported(name, MODULES[name]) if found in MODULES and found not in PLACES and found != name}


def floor(module: str) -> str:
    """A module's package, or the module where it stands alone."""
    return ".".join(module.split(".")[:2])


INSIDE = [name for name in MODULES if name not in PLACES and not name.startswith(PROGRAMS)]


@pytest.mark.parametrize("program", ["import sensecf_edge", "sys.argv = ['x', '--help']; from sensecf_edge.cli.main import main; main()",
                                     "sys.argv = ['x', 'explain', '--help']; from sensecf_edge.cli.main import main; main()",
                                     "sys.argv = ['x', 'batch', '--help']; from sensecf_edge.cli.main import main; main()",
                                     "sys.argv = ['x', 'serve', '--help']; from sensecf_edge.cli.main import main; main()",
                                     "sys.argv = ['x', 'watch', '--help']; from sensecf_edge.cli.main import main; main()"])  # fmt: skip
def test_import_and_help_load_nothing_heavy(program: str) -> None:
    watch = f"import atexit, sys; atexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)); "
    ran = subprocess.run([sys.executable, "-c", watch + program], capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.returncode, ran.stderr) == (0, "[]\n")


@pytest.mark.parametrize("module", ["judge.classifier", "llama.engine", "explain", "bundle.bundle", "report.rendering", "cli.doctor"])
def test_no_module_loads_an_engine_when_it_is_imported(module: str) -> None:
    watch = f"import sys, sensecf_edge.{module}; print([m for m in {HEAVY!r} if m != 'numpy' and m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, timeout=PATIENCE)
    assert ran.stdout == "[]\n", ran.stderr


UNUSED = (
    "importlib.metadata", "numpy.ma", "zipfile", "jinja2", "httpx", "sqlite3", "sensecf_edge.bundle.signature", "sensecf_edge.bundle.p256",
    "sensecf_edge.generators.weights", "sensecf_edge.judge.shapley", "sensecf_edge.page.sheet", "sensecf_edge.proof.prover",
    "sensecf_edge.wish.reading", "sensecf_edge.fhir.reading", "sensecf_edge.sensors.daily", "sensecf_edge.letter.telling",
)  # fmt: skip
"""What a plain `explain` has no use for: a third of its time is that of imports."""


def test_a_plain_explain_loads_nothing_that_it_does_not_use() -> None:
    watch = f"import atexit, sys; atexit.register(lambda: print([m for m in {UNUSED!r} if m in sys.modules], file=sys.stderr)); "
    words = ["x", "explain", "--sample", "2", "--model", "metabolic"]
    program = f"sys.argv = {words!r}; from sensecf_edge.cli.main import main; main()"
    ran = subprocess.run([sys.executable, "-c", watch + program], capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.returncode, ran.stderr) == (0, "[]\n") and "Weight" in ran.stdout


@pytest.mark.parametrize("library", DOORS)
def test_one_module_is_the_door_to_each_outside_library(library: str) -> None:
    runtime = [name for name in MODULES if name.startswith("sensecf_edge")]
    assert {n for n in runtime if any(found.split(".")[0] == library for found, _ in imported(n, MODULES[n]))} == DOORS[library]


def test_only_the_command_line_knows_click() -> None:
    knows = {n for n in MODULES if n.startswith("sensecf_edge") and any(f.split(".")[0] == "click" for f, _ in imported(n, MODULES[n]))}
    assert {floor(name) for name in knows} == {"sensecf_edge.cli"}


def test_every_package_has_a_place_in_the_order() -> None:
    assert {floor(name) for name in MODULES if name not in PLACES} <= set(ORDER)


@pytest.mark.parametrize("module", INSIDE)
def test_imports_point_up_the_order(module: str) -> None:
    below = ORDER[: ORDER.index(floor(module)) + 1]
    commands = module.startswith("sensecf_edge.cli.")  # the build side's are no more than its door: see below
    assert not [found for found in ours(module) if floor(found) not in below and not (commands and found.startswith("sensecf_convert."))]


def test_no_circle_of_modules_lazy_imports_among_them() -> None:
    waiting = {name: ours(name) for name in MODULES}
    while free := [name for name, needs in waiting.items() if not needs & set(waiting)]:
        for name in free:
            del waiting[name]
    assert not waiting, {name: sorted(needs & set(waiting)) for name, needs in waiting.items()}


def test_the_runtime_never_needs_the_build_side() -> None:
    for name, tree in MODULES.items():
        if name.startswith("sensecf_edge"):
            assert not any(found.split(".")[0] == "sensecf_convert" for found in at_start(name)), name
            if not (floor(name) == "sensecf_edge.cli" and name.rpartition(".")[2] in BUILD_COMMANDS):
                assert not any(found.split(".")[0] == "sensecf_convert" for found, _ in imported(name, tree)), name


def public_names(package: str) -> dict[str, str]:
    """What a package's one `__getattr__ = lazily(__name__, {...})` gives out, and the modules below it that hold it."""
    found = [node.value for node in MODULES[package].body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__getattr__"]
    if not found:
        return {}
    (call,) = found
    assert isinstance(call, ast.Call)
    assert (ast.unparse(call.func), ast.unparse(call.args[0]), len(call.args), call.keywords) == ("lazily", "__name__", 2, [])
    return dict(ast.literal_eval(call.args[1]))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_goes_in_and_out_and_imports_nothing(package: str) -> None:
    said = ast.get_docstring(MODULES[package]) or ""
    assert said, f"{package} has no docstring"
    if package not in PLACES:
        lazy = {"sensecf_edge.lazy"} if public_names(package) else set()
        assert {found for found, _ in imported(package, MODULES[package])} == lazy, f"{package} imports when only a part of it is wanted"
        assert len(MODULES[package].body) == (3 if lazy else 1), f"{package} does more than to say what it is and where its names are"


def test_public_names_of_packages_are_loaded_when_they_are_asked_for() -> None:
    watch = "import sys; from importlib import import_module; packages = {0!r}; [import_module(p) for p in packages]; " + \
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('sensecf_edge', 'sensecf_convert') and m not in packages))"
    ran = subprocess.run([sys.executable, "-c", watch.format(PACKAGES)], capture_output=True, text=True, timeout=PATIENCE)
    assert ran.stdout == "['sensecf_edge.lazy']\n", ran.stderr
    built = find_spec("torch") is not None
    for package in [name for name in PACKAGES if built or name.startswith("sensecf_edge")]:
        for name, module in public_names(package).items():
            assert f"{package}.{name}" not in MODULES, f"{package}.{name} is a module, too"
            value = getattr(import_module(package), name)
            assert value is getattr(import_module(f"{package}.{module}"), name)
            assert getattr(value, "__module__", f"{package}.{module}") == f"{package}.{module}", f"{name} is not made in {module}"
        with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
            import_module(package).no_such_name  # noqa: B018


@pytest.mark.parametrize("top", PLACES)
def test_few_files_stand_side_by_side(top: str) -> None:
    assert len(list(PLACES[top].glob("*.py"))) <= MOST_FLAT[top]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_read_in_one_sitting_and_a_function_on_one_screen(module: str) -> None:
    lines = len(FILES[module].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE, f"{module} has {lines} lines"
    longest = LONGEST_FUNCTION if module.startswith("sensecf_edge") else LONGEST_OF_THE_BUILD_SIDE
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= longest, f"{module}.{node.name} has {length} lines"


@pytest.mark.parametrize("module", MODULES)
def test_public_things_say_what_they_are(module: str) -> None:
    assert ast.get_docstring(MODULES[module]), f"{module} has no docstring"
