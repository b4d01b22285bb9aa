"""Figures in README and docs: each table of them stands beside the command that prints it, and `make figures` runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if "decisions" not in path.parts]
MADE = (ROOT / "figures.mk").read_text(encoding="utf-8")
NUMBER = re.compile(r"[*<±+−-]*\d[\d,.]*\**( (%|MB|GB|h|s|days)\**)?$|\**\d[\d,.]*( %)?\**[,;/( ].*\d")
COMMAND = re.compile(
    r"sensecf-edge (evaluate|compare|augment|export|explain)|python -m sensecf_|`python -m sensecf_|python tests/|tests/test_\w+\.py"
    r"|\bmake (evaluate|bench|figures|soak|kit)|`(evaluate|compare|fit|scale\.py) ?[^`]*`|`sensecf_convert\.\w|no command prints"
)
HALF, LEAST = 0.4, 4


def tables() -> Iterator[tuple[str, str, str]]:
    """(page, first line of the table, its section's text) of each table of which four cells and two fifths are figures."""
    for path in PAGES:
        for section in re.split(r"^(?=## )", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            for table in re.findall(r"(?:^\|.*\n)+", section, flags=re.MULTILINE):
                cells = [cell.strip() for line in table.splitlines()[2:] for cell in line.strip("|").split("|")[1:]]
                if (figures := sum(bool(NUMBER.match(cell)) for cell in cells)) >= LEAST and figures >= HALF * len(cells):
                    yield str(path.relative_to(ROOT)), table.splitlines()[0], section


@pytest.mark.parametrize(("page", "table", "section"), [pytest.param(*found, id=f"{found[0]}: {found[1][:40]}") for found in tables()])
def test_a_table_of_figures_stands_beside_its_command(page: str, table: str, section: str) -> None:
    assert COMMAND.search(section), f"{page}: name the command that prints this table, or say that no command prints it"


def test_make_figures_names_every_page_that_holds_figures() -> None:
    pages = {Path(page).name.replace("README.md", "README") for page, _, section in tables() if "no command prints" not in section}
    assert len(pages) > 10
    assert not {page for page in pages if not re.search(rf"\b{re.escape(page)}", MADE)}


def test_every_file_that_make_figures_asks_for_has_a_rule() -> None:
    asked = set(re.findall(r"\$\(call ALL,(\w+)\)", MADE))
    assert {"final", "price", "memorisation"} <= asked
    for name in asked:
        assert f"$(FIGURES)/{name}-%.txt:" in MADE
    for file in re.findall(r"\$\(FIGURES\)/([\w./-]+\.txt)(?!:)", MADE.split("figures: ", 1)[1].split("\n\n", 1)[0]):
        assert any(f"$(FIGURES)/{rule}:" in MADE for rule in (file, re.sub(r"-\w+\.txt$", "-%.txt", file))), file
