"""The project's own code, parsed: its modules, what each imports wherever it stands, and the public names of packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = {"sensecf_edge": ROOT / "sensecf_edge", "sensecf_convert": ROOT / "convert" / "sensecf_convert"}
TOOLS = {"sensecf_bench": ROOT / "tools" / "sensecf_bench", "sensecf_kit": ROOT / "tools" / "sensecf_kit"}
"""Shipped to nobody; written like the rest."""


def _files(places: dict[str, Path]) -> dict[str, Path]:
    return {
        ".".join([top, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__"): path
        for top, folder in places.items()
        for path in sorted(folder.rglob("*.py"))
    }


FILES = _files(PLACES | TOOLS)
PARSED = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
MODULES = {name: tree for name, tree in PARSED.items() if name.split(".")[0] in PLACES}
"""What is shipped."""
PACKAGES = [name for name in MODULES if FILES[name].name == "__init__.py"]
PROGRAMS = "sensecf_convert.compare.programs."
"""Run by the Python of another package's environment: no part of this package."""
DYNAMIC = {"import_module", "__import__"}
RUNS_CODE = {"exec", "eval", "run_module", "run_path", "exec_module", "load_module", "resolve_name", "EntryPoint", "entry_points"}
RUNNERS = {"builtins", "code", "pkgutil", "pydoc", "runpy", "zipimport"}
"""Of Python's own, what imports by a name or runs a text, whatever is asked of it (`pydoc.locate`)."""


def called(node: ast.AST) -> str | None:
    """The module that a call of `import_module` or `__import__` names in so many words and whole, as its only argument."""
    if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in DYNAMIC or len([*node.args, *node.keywords]) != 1:
        return None
    told = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    return told if isinstance(told, str) and not told.startswith(".") else None


def hidden(tree: ast.Module) -> set[str]:
    """Names by which a module imports what no test can read, or runs code. (`model.eval()` is torch's, not Python's.)"""
    names, doors, plain = set[str](), set[str](), set[int]()
    for node in ast.walk(tree):  # from above, so a call before its function
        if isinstance(node, ast.Call) and called(node) is not None:
            plain.add(id(node.func))
        if isinstance(node, ast.Attribute):
            names |= {node.attr} - {"eval"} if id(node) not in plain else set()
            plain |= {id(node.value)} if ast.unparse(node.value) == "importlib" else set()  # handed on whole, it may be asked for anything
        elif isinstance(node, ast.Name) and id(node) not in plain:
            names.add(node.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.name for alias in node.names if alias.asname}
            doors |= {node.module or ""} if not node.level else set()
        elif isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names if alias.asname}
            doors |= {alias.name for alias in node.names}
    return names & (DYNAMIC | RUNS_CODE | {"importlib", "__builtins__"}) | doors & RUNNERS


def found_in(name: str, tree: ast.AST) -> Iterator[str]:
    """Every module that is imported in a piece of the module `name`, by its whole name, wherever the import stands.

    A public name of a package (`from ..schema import Record`) is an import of the module that holds it, a package (`from .. import schema`)
    one of all modules that its public names are in.
    """
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from whole(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            for alias in node.names:
                if f"{base}.{alias.name}" in PARSED:
                    yield from whole(f"{base}.{alias.name}")
                else:
                    holder = public_names(base).get(alias.name) if base in PACKAGES else None
                    yield f"{base}.{holder}" if holder else base
        elif (module := called(node)) is not None:
            yield from whole(module)


def whole(module: str) -> Iterator[str]:
    """A module, and where it is a package those that it gives out names of."""
    yield module
    yield from (f"{module}.{holder}" for holder in (public_names(module).values() if module in PACKAGES else ()))


@cache
def imported(name: str) -> frozenset[str]:
    """Every module that a module imports anywhere."""
    return frozenset(found_in(name, PARSED[name]))


def at_start(name: str) -> Iterator[str]:
    """Modules imported when this one is: not inside functions, not for type checking only."""
    for statement in MODULES[name].body:
        for_types = isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
        if not for_types and not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield from found_in(name, statement)


def ours(name: str) -> set[str]:
    """Modules of the two packages that a module imports anywhere; what a package says of itself is no module."""
    return {found for found in imported(name) if found in MODULES and found not in PLACES and found != name}


def floor(module: str) -> str:
    """A module's package, or the module where it stands alone."""
    return ".".join(module.split(".")[:2])


@cache
def public_names(package: str) -> dict[str, str]:
    """What a package's one `__getattr__ = lazily(__name__, {...})` gives out, and the modules below it that hold it."""
    found = [node.value for node in MODULES[package].body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__getattr__"]
    if not found:
        return {}
    (call,) = found
    assert isinstance(call, ast.Call)
    assert (ast.unparse(call.func), ast.unparse(call.args[0]), len(call.args), call.keywords) == ("lazily", "__name__", 2, [])
    return dict(ast.literal_eval(call.args[1]))
