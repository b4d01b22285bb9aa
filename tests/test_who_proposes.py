"""`compare --generators`: everybody is asked about the same records, and the figures are those of the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import Ran
from sensecf_convert.compare import generators
from test_compare import known
from toys import toy_gguf

from sensecf_edge.generators.choice import FILE, SMOLLM2, Choice


def test_everybody_is_asked_about_the_same_people_and_nobody_twice(command: Callable[..., Ran], tmp_path: Path) -> None:
    bundle, table = known(tmp_path / "known")
    model, out = toy_gguf(tmp_path / "any.gguf", context=8192), tmp_path / "out"
    asked = ("compare", table, "--model", bundle, "-o", out, "--generators", "--limit", 2, "--generator", f"raw:{model}")
    ran = command(*asked)
    assert ran.code == 0, ran.err
    rows = pd.read_csv(out / "answers.csv")
    names = [v.name for v in generators.variants(Choice(FILE, str(model), raw=True))]
    assert list(dict.fromkeys(rows.method)) == names and len(names) == 8 and (rows.groupby("method").record.nunique() == 2).all()
    told = pd.read_csv(out / "generators.csv")
    assert list(told[told["class"] == "all"].who) == names
    for name, part in rows.groupby("method"):
        figure = told[(told.who == name) & (told["class"] == "all")].valid.item()
        assert figure == pytest.approx(part.valid.mean())
    page = (out / "generators.html").read_text()
    assert all(name.replace("'", "&#x27;") in page for name in names) and "What the papers state" in page
    assert "http" not in page.split("base64")[0]
    assert json.loads((out / "generators.json").read_text())["asked"] == 2
    assert "the papers, fine-tuned LLaMA-3.1-8B: validity up to 99 %" in ran.out
    again = command(*asked)
    assert again.code == 0 and again.err.count("kept from before") == 8 and again.out == ran.out


def test_without_another_it_is_smollm2_with_examples_and_hints() -> None:
    ways = {v.name: v.generator for v in generators.variants(Choice(FILE, SMOLLM2)) if v.generator.kind == FILE}
    assert [(c.shots, c.hints) for c in ways.values()] == [(0, False), (3, False), (0, True), (3, True)]
    assert all(name.startswith("SmolLM2, ") for name in ways)
