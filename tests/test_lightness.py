"""What keeps the house light: no heavy import at start-up, one door per library, arrows that point one way. See test_readable.py, too."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest
from conftest import PATIENCE
from parsed import DYNAMIC, MODULES, PACKAGES, PARSED, PLACES, PROGRAMS, ROOT, at_start, floor, hidden, imported, ours, public_names

HEAVY = ("llama_cpp", "onnxruntime", "torch", "sklearn", "pandas", "transformers", "onnx", "gguf", "numpy", "rich",
         "pyarrow", "ray", "paho", "starlette", "uvicorn", "jinja2", "httpx", "sqlite3", "multiprocessing", "sensecf_convert")  # fmt: skip
DOORS = {
    "llama_cpp": {"sensecf_edge.llama.library"},
    "onnxruntime": {"sensecf_edge.judge.classifier"},
    "numpy": {"sensecf_edge", "sensecf_convert"},
    "click": {"sensecf_edge.cli", "sensecf_convert"},
    "rich": {"sensecf_edge.report.rendering", "sensecf_edge.batch.progress", "sensecf_convert.progress"},
    "sqlite3": {"sensecf_edge.batch.store", "sensecf_edge.watch.stream.store"},
    "fitdecode": {"sensecf_edge.sensors.readers.garmin_fit"},
    "pyarrow": {"sensecf_edge.table.parquet", "sensecf_edge.batch.parquet"},
    "ray": {"sensecf_edge.batch.ray"},
    "paho": {"sensecf_edge.watch.mqtt"},
    "cryptography": {"sensecf_edge.bundle.signing"},
    "jinja2": {"sensecf_edge.llama.chat", "sensecf_edge.serve.app", "sensecf_convert.presentation.pages"},
    "starlette": {"sensecf_edge.serve.app", "sensecf_edge.serve.door", "sensecf_edge.serve.line", "sensecf_edge.serve.hooks"},
    "uvicorn": {"sensecf_edge.serve.server"},
    "h11": {"sensecf_edge.serve.server"},
    "httpx": {"sensecf_edge.generators.wire"},
    "httpcore": {"sensecf_edge.generators.wire"},
    "torch": {"sensecf_convert.generator"},
    "transformers": {"sensecf_convert.generator"},
    "safetensors": {"sensecf_convert.generator.base"},
    "peft": {"sensecf_convert.generator.base.adapters"},
    "sentencepiece": {"sensecf_convert.generator.base"},
    "huggingface_hub": {"sensecf_convert.generator.base.hub"},
    "gguf": {"sensecf_convert.export.quantize", "sensecf_convert.generator"},
    "pandas": {"sensecf_convert"},
    "sklearn": {"sensecf_convert"},
    "scipy": {"sensecf_convert"},
    "threadpoolctl": {"sensecf_convert.density.fitting"},
    "imblearn": {"sensecf_convert.augment.study.methods"},
    "matplotlib": {"sensecf_convert.presentation.pictures", "sensecf_convert.compare.plots"},
    "psutil": {"sensecf_convert.table.free_memory"},
    "onnx": {"sensecf_convert.classifier"},
    "google": {"sensecf_convert.classifier.own.graph"},
    "skl2onnx": {"sensecf_convert.classifier.onnx", "sensecf_convert.classifier.converters"},
    "onnxmltools": {"sensecf_convert.classifier.onnx"},
    "skops": {"sensecf_convert.classifier.own.skops_file"},
    "xgboost": {"sensecf_convert.classifier.kinds", "sensecf_convert.classifier.onnx"},
}
"""Who may import what is not Python's own: modules, or folders with all that lies in them. What is not named here may be imported nowhere;
of Python's own, `sqlite3` alone is held to its doors."""
IMPORTED_AS = {"llama-cpp-python": "llama_cpp", "scikit-learn": "sklearn", "imbalanced-learn": "imblearn", "paho-mqtt": "paho",
               "xgboost-cpu": "xgboost"}  # fmt: skip
COMES_WITH = {"h11": "uvicorn", "httpcore": "httpx", "safetensors": "transformers", "huggingface_hub": "transformers",
              "threadpoolctl": "sklearn", "google": "onnx"}  # fmt: skip
NEVER_IMPORTED = {"python-multipart", "tzdata"}
"""starlette reads forms, and Python time zones, with them."""
NAMED_WHEN_IT_RUNS = {
    "sensecf_edge.lazy": "public names of a package, held to be below it",
    "sensecf_edge.cli.commands": "modules of cli/",
    "sensecf_edge.cli.doctor": "whatever the runtime has, to see whether it loads",
    "sensecf_edge.sensors.sources": "modules of sensors/readers/",
}
"""Modules that make the name of an import while they run, which no test can follow, and which names those are."""
RUNTIME = ("lazy", "errors", "settings", "schema", "arguments", "answer", "space", "budget", "propose", "testing", "llama", "judge",
           "proof", "bundle", "trial", "report", "page", "generators", "search", "explain", "trial_child", "letter", "wish", "table",
           "sensors", "fhir", "private_files", "audit", "batch", "watch", "serve", "cli", "__main__")  # fmt: skip
BUILD = ("progress", "plan", "work", "presentation", "statistics", "table", "classifier", "density", "teachers", "export",
         "generator", "proof", "memorisation", "baselines", "evaluate", "bundle", "compare", "augment", "fit")  # fmt: skip
ORDER = (*(f"sensecf_edge.{name}" for name in RUNTIME), *(f"sensecf_convert.{name}" for name in BUILD))
"""From the ground up: a module may import what stands before its own package, and its own package, also inside functions."""
BUILD_COMMANDS = {"augment", "build", "compare", "export"}
MOST_FLAT = {"sensecf_edge": 12, "sensecf_convert": 8}

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
def test_few_modules_are_the_doors_to_each_outside_library(library: str) -> None:
    users = {name for name in INSIDE if any(found.split(".")[0] == library for found in imported(name))}
    doors = {user: [door for door in DOORS[library] if user == door or user.startswith(f"{door}.")] for user in users}
    assert not [user for user, through in doors.items() if not through], f"{library} has no door there"
    assert {door for through in doors.values() for door in through} == DOORS[library], f"nothing goes through a door to {library}"


def test_whatever_is_not_pythons_own_has_a_door_and_is_asked_for_in_pyproject() -> None:
    known = {*DOORS, *PLACES, *sys.stdlib_module_names}
    assert not {(name, found) for name in INSIDE for found in imported(name) if found.split(".")[0] not in known}
    lists = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\ndependencies = [")[2].partition("\ntest = [")[0]
    asked = set(re.findall(r'"([a-z][\w-]*)(?=[\[>=;"])', lists)) - {"sensecf-edge"}
    assert {IMPORTED_AS.get(name, name) for name in asked - NEVER_IMPORTED} == {*DOORS} - {*COMES_WITH, *sys.stdlib_module_names}
    assert set(COMES_WITH.values()) <= set(DOORS)


def test_imports_are_written_where_a_test_can_read_them() -> None:
    """A name in so many words, and nothing that runs other code by its name."""
    for module in INSIDE:
        found = hidden(MODULES[module])
        assert found <= DYNAMIC and bool(found) == (module in NAMED_WHEN_IT_RUNS), f"{module} imports what no test can read: {found}"


HIDDEN = (
    "import_module('.llama', 'sensecf_edge')", "import_module('.llama', __package__)", "import_module(name='torch')", "import_module(name)",
    "__import__('llama', globals(), locals(), [], 2)", "__import__('tor' + 'ch')", "from importlib import import_module as load",
    "f = import_module", "import importlib\ngetattr(importlib, 'import_' + 'module')('torch')", "import importlib as i\ni.util",
    "__builtins__['__import__']('torch')", "import pkgutil\npkgutil.resolve_name('torch')", "from pkgutil import resolve_name",
    "import pydoc\npydoc.locate('torch')", "EntryPoint('a', 'torch:nn', 'b').load()", "from importlib.metadata import entry_points as e",
    "importlib.metadata.entry_points()", "eval('1')",
)  # fmt: skip
PLAIN = ("import_module('torch')", "importlib.import_module('torch')", "importlib.util.find_spec('torch')", "__import__('torch')",
         "from . import code", "model.eval()")  # fmt: skip


@pytest.mark.parametrize("code", HIDDEN)
def test_an_import_that_no_test_can_read_is_seen(code: str) -> None:
    assert hidden(ast.parse(code))


@pytest.mark.parametrize("code", PLAIN)
def test_an_import_in_so_many_words_is_no_hidden_one(code: str) -> None:
    assert not hidden(ast.parse(code))


SHARED = {f"{PROGRAMS}asked", f"{PROGRAMS}limits"}
"""What `compare` itself says of a question and its limits, in words that an environment's Python can read, too."""


def test_programs_of_other_environments_are_run_and_never_imported() -> None:
    """No test reads what they import, so it would come into this package past every door."""
    outside = [name for name in PARSED if not name.startswith(PROGRAMS)]
    reached = {(floor(name), found) for name in outside for found in ours(name) if found.startswith(PROGRAMS)}
    assert reached == {("sensecf_convert.compare", found) for found in SHARED}
    known = {*sys.stdlib_module_names, *PLACES, "numpy", "onnxruntime", "limits"}
    assert {found.split(".")[0] for name in SHARED for found in imported(name)} <= known


def test_every_reader_of_sensors_is_asked_and_told_of() -> None:
    from sensecf_edge.sensors.sources import READERS, names

    prefix = "sensecf_edge.sensors.readers."
    assert sorted(READERS) == sorted(name.removeprefix(prefix) for name in MODULES if name.startswith(prefix))
    assert set(names()) <= set(re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / "sensors.md").read_text(encoding="utf-8"), flags=re.M))


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
    for name in MODULES:
        if name.startswith("sensecf_edge"):
            assert not any(found.split(".")[0] == "sensecf_convert" for found in at_start(name)), name
            if not (floor(name) == "sensecf_edge.cli" and name.rpartition(".")[2] in BUILD_COMMANDS):
                assert not any(found.split(".")[0] == "sensecf_convert" for found in imported(name)), name


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_goes_in_and_out_and_imports_nothing(package: str) -> None:
    said = ast.get_docstring(MODULES[package]) or ""
    assert said, f"{package} has no docstring"
    if package not in PLACES:
        lazy = {"sensecf_edge.lazy"} if public_names(package) else set()
        assert imported(package) == lazy, f"{package} imports when only a part of it is wanted"
        assert len(MODULES[package].body) == (3 if lazy else 1), f"{package} does more than to say what it is and where its names are"


def test_public_names_of_packages_are_loaded_when_they_are_asked_for() -> None:
    watch = (
        "import sys; from importlib import import_module; packages = {0!r}; [import_module(p) for p in packages]; "
        + "print(sorted(m for m in sys.modules if m.split('.')[0] in ('sensecf_edge', 'sensecf_convert') and m not in packages))"
    )
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
