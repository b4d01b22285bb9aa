"""What keeps the house readable: short modules and functions, docstrings that say what a caller must know, a picture that is whole.

Bounds hold for what ships and for tools/. A file of tests is a list of cases of one subject, each read alone, so there the bound is a
test's; what tests share is held to that of a module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
from parsed import FILES, PARSED, PLACES, ROOT, found_in
from test_lightness import BUILD, RUNTIME

LONGEST_MODULE, LONGEST_FUNCTION, LONGEST_ELSEWHERE = 300, 40, 60
TESTS = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "tests").rglob("*.py"))}
PICTURES = re.findall(r"^```text\n(.*?)^```", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), flags=re.M | re.S)
SHAPE = re.compile(r"\b[Ss]hapes?\b|\(\w+,(?: [^()]*)?\)|^(?:As|See) ")
"""`shape (n, features)`, the tuple alone (`a mask (rows,)`), or what is said elsewhere: `As `Checker`.`"""


def lengths(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every function of a module and its lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("top", sorted({name.split(".")[0] for name in FILES}))
def test_a_module_is_read_in_one_sitting_and_a_function_on_one_screen(top: str) -> None:
    longest = LONGEST_FUNCTION if top == "sensecf_edge" else LONGEST_ELSEWHERE
    for module in (name for name in FILES if name.split(".")[0] == top):
        lines = len(FILES[module].read_text(encoding="utf-8").splitlines())
        assert lines <= LONGEST_MODULE, f"{module} has {lines} lines"
        assert not [(name, length) for name, length in lengths(PARSED[module]) if length > longest], module


def test_a_test_is_read_on_one_screen_and_what_tests_share_in_one_sitting() -> None:
    for file, tree in TESTS.items():
        assert not [(name, length) for name, length in lengths(tree) if length > LONGEST_ELSEWHERE], file
        if not file.startswith("tests/test_"):
            assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE, file


def test_public_things_say_what_they_are() -> None:
    assert not [module for module, tree in PARSED.items() if not ast.get_docstring(tree)]


@cache
def arrays(module: str) -> frozenset[str]:
    """Names that stand for an array type in a module: NumPy's own, and the aliases that are made or imported there."""
    out = {"ndarray", "NDArray"}
    for node in PARSED[module].body:
        if isinstance(node, ast.Assign) and "NDArray[" in ast.unparse(node.value) and isinstance(node.targets[0], ast.Name):
            out.add(node.targets[0].id)
        if isinstance(node, ast.ImportFrom):
            above = [found for found in found_in(module, node) if found in PARSED and found != module]
            known = frozenset().union(*(arrays(found) for found in above if found.rpartition(".")[2] != "__init__"))
            out |= {alias.asname or alias.name for alias in node.names if alias.name in known}
    return frozenset(out)


def public_functions(module: str) -> Iterator[ast.FunctionDef]:
    """Functions of a module and methods of its classes, without underscore."""
    for node in PARSED[module].body:
        for inner in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                yield inner


def test_whoever_returns_an_array_names_its_shape() -> None:
    silent = []
    for module in PARSED:
        for function in public_functions(module):
            said, returns = ast.get_docstring(function) or "", ast.unparse(function.returns or ast.Constant(None))
            if set(re.findall(r"\w+", returns)) & arrays(module) and not SHAPE.search(said):
                silent.append(f"{module}:{function.lineno} {function.name} -> {returns}: {said}")
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("picture, names", list(zip(PICTURES, (RUNTIME, BUILD), strict=True)), ids=PLACES)
def test_the_picture_of_the_house_is_the_order_of_imports(picture: str, names: tuple[str, ...]) -> None:
    """Every folder and every module that stands alone, from the ground up; a line that begins with a space goes on."""
    assert tuple(re.findall(r"^(\w+) ", picture, flags=re.M)) == names
