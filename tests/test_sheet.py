"""One sheet for each kind of answer: all of it is there, it fits on a page of A4, fetches nothing, and nothing said becomes markup."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import PATIENCE, STRESSED, Ran

from sensecf_edge.answer.basis import Attribution, Group, Measure, Why
from sensecf_edge.answer.result import Explanation
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.explain import Explainer
from sensecf_edge.page.html import Html, el
from sensecf_edge.page.sheet import STYLE, report_html, sheet
from sensecf_edge.report import basis as sentences
from sensecf_edge.report.wording import Wording
from sensecf_edge.space.constraints import Constraints

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
KINDS = ("found", "none", "already", "unknown", "unlike")
HOSTILE = """</style></script><script>alert(1)</script><img src=x onerror="alert(2)">'&quot;"""


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, tuple[Explanation, Bundle]]]:
    """Real answers of every kind, by shipped models."""
    out = {}
    with Explainer.load("metabolic") as explainer:
        bundle, schema = explainer.bundle, explainer.schema
        record = dict(bundle.samples[1].values)
        out["found"] = explainer.explain(record, n=3, why=True), bundle
        out["unknown"] = explainer.explain({n: None if schema[n].optional else v for n, v in record.items()}, why=True), bundle
        heavy = {**record, "Age": 79, "Weight": 140.0, "BMI": 140e4 / float(record["Height"]) ** 2}
        request = Constraints(frozenset({"Pulse"}), {"SleepHrsNight": (5, 9)}, 1, {"BPSysAve": 3})
        out["none"] = explainer.explain(heavy, constraints=request, why=True), bundle
    with Explainer.load("heart") as explainer:
        record = dict(explainer.bundle.samples[0].values)
        healthy = {"age": 35, "thal": "normal", "ca": 0, "exang": "no", "oldpeak": 0.0}
        out["already"] = explainer.explain({**record, **healthy}, why=True), explainer.bundle
        out["unlike"] = explainer.explain({**record, "age": 77, "chol": 560, "thalach": 75, "trestbps": 200}, why=True), explainer.bundle
    return out


class Read(HTMLParser):
    """Elements with their attributes, and the text that a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.words, self._style = list[str](), list[tuple[str, str | None]](), list[str](), False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        self.words += [] if self._style else [data]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_answers_are_of_every_kind(answers: dict[str, tuple[Explanation, Bundle]]) -> None:
    assert [answers[kind][0].status for kind in KINDS] == ["found", "none", "already", "depends", "none"]
    assert any("unlike" in warning for warning in answers["unlike"][0].warnings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sheet_says_all_of_the_answer(kind: str, answers: dict[str, tuple[Explanation, Bundle]]) -> None:
    explanation, bundle = answers[kind]
    text, say = Read(report_html(explanation, bundle, "2031-02-03")).text, Wording(explanation, bundle.schema)
    m = bundle.manifest
    for part in ("2031-02-03", m.title, m.data.licence, m.not_for, explanation.provenance.bundle, "Seen by (signature)", *say.prediction(),
                 *say.notes(), "not medical advice", sentences.likeness(say), *sentences.groups(say), *sentences.measure_next(say),
                 m.intended, *sentences.why(say)[::len(sentences.why(say)) - 1]):  # fmt: skip
        assert " ".join(part.split()) in text, part
    for name, value in explanation.factual.items():
        assert f"{say.title(name)} {'not known' if value is None else value}" in text, name
    for answer in explanation.found:
        assert say.after(answer) in text
        assert all(say.title(change.feature) in text for change in answer.changes)
    assert (say.none() in text) == (kind in ("none", "unknown", "unlike"))
    assert not say.deciding() or say.deciding() in text
    assert ("not followed, because" in text) == bool(explanation.found)
    if kind == "none":
        assert all(said in text for said in ("Kept as it is, as asked: Pulse.", "Sleep within 5 to 9", "pressure counts 3 times"))


def test_all_of_a_count_of_cases_reads_all(answers: dict[str, tuple[Explanation, Bundle]]) -> None:
    explanation, bundle = answers["found"]
    made = replace(explanation, completions=38, holds_now=0.0, found=tuple(replace(answer, holds=1.0) for answer in explanation.found))
    assert "Holds, of 38 cases tried for what is unknown all" in Read(report_html(made, bundle)).text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_each_kind_is_one_page_of_a4_in_a_real_browser(answers: dict[str, tuple[Explanation, Bundle]], tmp_path: Path) -> None:
    first = report_html(*answers["found"])
    others = "".join(f'<div style="break-before: page"></div>{sheet(*answers[kind])}' for kind in KINDS[1:])
    (tmp_path / "all.html").write_text(first.replace("</body>", f"{others}</body>"), encoding="utf-8")
    program = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
               f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'all.pdf'}",
               (tmp_path / "all.html").as_uri()]  # fmt: skip
    subprocess.run(program, check=True, capture_output=True, timeout=PATIENCE)
    pdf = (tmp_path / "all.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == len(KINDS)
    assert {tuple(map(round, map(float, box.split()))) for box in re.findall(rb"/MediaBox\s*\[([^]]+)\]", pdf)} == {(0, 0, 595, 842)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_sheet_fetches_nothing_and_runs_nothing(kind: str, answers: dict[str, tuple[Explanation, Bundle]]) -> None:
    page = report_html(*answers[kind])
    read = Read(page)
    assert not set(read.tags) & {"script", "link", "img", "iframe", "object", "form", "base", "a"}
    assert "url(" not in page and "@import" not in page
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in ("style", "src", "href")]


def test_no_label_choice_reason_or_title_becomes_markup(toy: Path) -> None:
    with Explainer.load(toy) as explainer:
        explanation, bundle = explainer.explain(STRESSED, n=2), explainer.bundle
        none = explainer.explain({**STRESSED, "age": 90}, constraints=Constraints(max_changes=1, freeze=frozenset({"steps", "deep_sleep"})))
    short = HOSTILE[:60]
    features = tuple(replace(f, label=short, unit="<b>") for f in bundle.schema.features)
    manifest = replace(bundle.manifest, title=HOSTILE, not_for=HOSTILE, name=HOSTILE, created=HOSTILE, version=HOSTILE,
                       data=replace(bundle.manifest.data, source=HOSTILE, licence=HOSTILE))  # fmt: skip
    hostile = replace(bundle, schema=replace(bundle.schema, features=features), manifest=manifest)
    explanation = replace(explanation, why=Why(0.1, 0.2, (Attribution(("age",), 0.1, 0.0), Attribution(("steps",), -0.1, 0.0)), True, 9))
    plain = set(Read(report_html(explanation, bundle)).tags) | set(Read(report_html(none, bundle)).tags)
    for made in (explanation, none):
        wicked = replace(made, target=HOSTILE, predicted=HOSTILE, unwanted=HOSTILE, outcome="", warnings=(HOSTILE,), refusals={HOSTILE: 2},
                         reason=HOSTILE if made is none else "", next=(Measure(HOSTILE, 0.5, 0.1, 0.9),),
                         why=Why(0.1, 0.2, (Attribution((HOSTILE, "smoker"), 0.1, 0.01), Attribution(("steps",), -0.1, 0.01)), True, 9),
                         measured=(Group(HOSTILE, HOSTILE, 9, 0.5, 0.5), Group("age", HOSTILE + "9", 9, 0.5, 0.5, auc=0.5)),
                         factual={**made.factual, "smoker": HOSTILE},
                         provenance=replace(made.provenance, versions={HOSTILE: HOSTILE}, bundle=HOSTILE))  # fmt: skip
        page = report_html(wicked, hostile, when=HOSTILE)
        read = Read(page)
        assert set(read.tags) <= plain and "alert(1)" in read.text and "To measure next" in read.text and page.count("</style>") == 1
        assert not [name for name, _ in read.attributes if name.startswith("on") or name == "src"]


def test_an_element_escapes_what_is_put_into_it_but_for_elements() -> None:
    assert el("p", "a < b", el("b", "&"), None, cls='"x"', aria_label="1 > 0") == (
        '<p class="&quot;x&quot;" aria-label="1 &gt; 0">a &lt; b<b>&amp;</b></p>'
    )
    assert el("p", "\x1b[31m") == "<p>?[31m</p>" and el("i", Html("<br>")).__html__() == "<i><br></i>"


def test_the_command_writes_the_same_sheet_for_its_owner_alone(command: Callable[..., Ran], toy: Path, tmp_path: Path) -> None:
    (tmp_path / "me.json").write_text(json.dumps(STRESSED))
    ran = command("explain", tmp_path / "me.json", "--model", toy, "--json", "--report", tmp_path / "me.html")
    assert ran.code == 0, ran.err
    explanation = Explanation.from_json(json.loads(ran.out))
    assert (tmp_path / "me.html").read_text(encoding="utf-8") == report_html(explanation, Bundle.open(toy))
    assert (tmp_path / "me.html").stat().st_mode & 0o777 == 0o600
    for place in (tmp_path, tmp_path / "nowhere" / "me.html"):
        assert command("explain", tmp_path / "me.json", "--model", toy, "--report", place).code == 2


def test_a_notebook_shows_the_card_and_a_data_frame_gets_rows(toy: Path) -> None:
    with Explainer.load(toy) as explainer:
        explanation = explainer.explain(STRESSED, n=2)
    card = explanation._repr_html_()
    assert card is not None and STYLE in card and "Steps a day" in Read(card).text and "<body" not in card
    rows = explanation.rows()
    assert len(rows) == sum(len(answer.changes) for answer in explanation.found) and len({tuple(row) for row in rows}) == 1
    assert {row["option"] for row in rows} == {1, 2} and rows[0]["feature"] == explanation.found[0].changes[0].feature
    again = Explanation.from_json(explanation.to_json())
    assert again == explanation and again._repr_html_() is None  # labels are the bundle's, and a file names none
    assert pickle.loads(pickle.dumps(explanation)) == explanation
