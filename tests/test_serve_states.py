"""Every state of the page in a real Chromium, held against WCAG by axe-core, at 320 pixels in the dark and on a desk in the light; and what
print() puts on paper, which is the sheet of `--report`."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browser as chromium
import pytest
import records
from conftest import Ran
from test_serve import Served
from test_serve_page import AXE, SHOTS, Tab, violations

from sensecf_edge.bundle.bundle import Bundle

pytestmark = pytest.mark.skipif(
    not (chromium.CHROMIUM and chromium.DRIVER), reason="no chromium and chromedriver (Debian: chromium-driver)"
)
Values = dict[str, Any]
KINDS = ("found", "none", "already", "unknown", "unlike")
A4 = (595, 842)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    folder = tmp_path_factory.mktemp("states")
    page = Served("--model", "heart", "--port", 0)
    browser = chromium.Browser(folder)
    yield Tab(page, browser, folder)
    try:
        assert [said for said in browser.complaints() if "status of 422" not in said] == []
    finally:
        browser.close()
        assert page.end().code == 0


def record(kind: str) -> tuple[str, Values]:
    """A shipped model, and a record that it answers in this way."""
    survey, heart = Bundle.open("metabolic"), Bundle.open("heart")
    values, patient = dict(survey.samples[1].values), dict(heart.samples[0].values)
    return {
        "found": ("metabolic", values),
        "unknown": ("metabolic", {name: None if survey.schema[name].optional else value for name, value in values.items()}),
        "none": ("metabolic", {**values, "Age": 79, "Weight": 140.0, "BMI": round(140e4 / float(values["Height"]) ** 2, 2)}),
        "already": ("heart", {**patient, "age": 35, "thal": "normal", "ca": 0, "exang": "no", "oldpeak": 0.0}),
        "unlike": ("heart", {**patient, "age": 77, "chol": 560, "thalach": 75, "trestbps": 200}),
    }[kind]


def fill(tab: Tab, model: str, values: Values) -> None:
    """The record of a model, typed into its form."""
    tab.browser.look(1280, 900)
    tab.browser.open(tab.page.url)
    tab.browser.until("document.querySelector('#record form')")
    if model != "heart":
        tab.browser.run("document.querySelector('#record form').id = 'old'")
        tab.choose("#model", model)
        tab.browser.until("document.querySelector('#record form') && !document.querySelector('#old')")
    texts = [None if held is None else str(held) for held in values.values()]
    tab.browser.run(
        """arguments[0].forEach((text, k) => { const field = document.getElementById(`f${k}`), list = field.tagName === 'SELECT';
        field.value = text === null ? '' : list ? `=${text}` : text;
        for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true })); })""",
        texts,
    )


def answered(kind: str) -> Callable[[Tab], None]:
    def go(tab: Tab) -> None:
        fill(tab, *record(kind))
        tab.ask()

    return go


def refused(tab: Tab) -> None:
    fill(tab, "heart", {**record("already")[1], "age": 300, "cp": None})
    tab.browser.write("#base", "ten")
    tab.browser.click("#record button.main")
    tab.browser.write("#base", "")
    tab.browser.click("#record button.main")
    tab.browser.until("document.querySelector('#f0').getAttribute('aria-invalid')")
    assert tab.browser.run("return document.querySelector('#base-error').hidden"), "an earlier refusal stays beside a field that is right"


def by_hand(tab: Tab) -> None:
    answered("unlike")(tab)
    tab.browser.run("const e = document.querySelector('#m0'); e.value = '30'; e.dispatchEvent(new Event('change'))")
    tab.browser.until("document.querySelector('#hand .rules li')")
    tab.browser.run("const e = document.querySelector('#m3'); e.value = '9'; e.dispatchEvent(new Event('change'))")
    tab.browser.until("!document.querySelector('#m3-error').hidden")


def limited(tab: Tab) -> None:
    answered("found")(tab)
    tab.browser.click(".limits summary")
    tab.again(lambda: tab.browser.click(".card button[aria-label^='Keep ']"))


def opened(tab: Tab) -> None:
    """Everything that is folded away, unfolded: the model, reasons, limits, the letter."""
    answered("found")(tab)
    tab.browser.run("document.querySelectorAll('details').forEach(part => { part.open = true; })")


def noted(tab: Tab) -> None:
    answered("found")(tab)
    tab.browser.click(".note button")
    tab.browser.click(".note input[value=refused]")
    tab.browser.click(".note button")
    tab.browser.until("document.querySelector('.noted li')")


def read(tab: Tab, name: str, text: str) -> None:
    """A file, handed to the form."""
    (tab.downloads / name).write_text(text, encoding="utf-8")
    tab.browser.ask("POST", tab.browser.element("#file") + "/value", {"text": str(tab.downloads / name)})
    tab.browser.until("document.querySelector('.told').children.length")


def from_a_table(tab: Tab) -> None:
    fill(tab, *record("already"))
    rows = [record("already")[1], record("unlike")[1]]
    read(tab, "rows.csv", ",".join(rows[0]) + "\n" + "".join(",".join(map(str, row.values())) + "\n" for row in rows))


def from_nothing(tab: Tab) -> None:
    fill(tab, *record("already"))
    read(tab, "nothing.txt", "nothing")


def from_a_bundle(tab: Tab) -> None:
    fill(tab, "metabolic", {})
    read(tab, "bundle.json", json.dumps(records.bundle(*records.lately(records.survey()))))


STATES: dict[str, Callable[[Tab], None]] = {
    "empty": lambda tab: fill(tab, "heart", {}), "refused": refused, **{kind: answered(kind) for kind in KINDS}, "by-hand": by_hand,
    "limited": limited, "opened": opened,
    "noted": noted, "from-a-table": from_a_table, "from-nothing": from_nothing, "from-a-bundle": from_a_bundle,
}  # fmt: skip


@pytest.mark.skipif(AXE is None, reason="no axe-core; `make axe` brings it")
@pytest.mark.parametrize("state", STATES)
def test_every_state_keeps_to_wcag(tab: Tab, state: str) -> None:
    STATES[state](tab)
    for width, height, dark in ((1280, 900, False), (320, 640, True)):
        tab.browser.look(width, height, dark)
        tab.browser.run("window.scrollTo(0, 0)")
        tab.picture(f"state-{state}-{width}")
        assert violations(tab) == [], (state, width)
        assert not tab.browser.run("return /\\[object|undefined|NaN|\\{[a-z]+\\}/.exec(document.body.innerText)"), (state, width)
        assert tab.browser.run("return document.documentElement.scrollWidth <= innerWidth"), (state, width)


def test_a_fhir_bundle_fills_the_form_and_its_answer_is_saved_as_fhir(tab: Tab) -> None:
    from_a_bundle(tab)
    told = tab.text(".told")
    assert "Read from bundle.json" in told and "newest values of the last 1 year" in told
    assert "Systolic blood pressure 142 mm Hg" in told and "Does sport Yes" in told
    held = tab.browser.run("return [...document.querySelectorAll('#record .field')].map(f => [f.querySelector('label').innerText.trim(),"
                           "f.querySelector('input:not([type=checkbox]), select')?.value])")  # fmt: skip
    fields = {label.partition(" (")[0]: value for label, value in held}
    assert (fields["Weight"], fields["Sex"], fields["Smokes now"], fields["Sleep"]) == ("84.2", "=female", "=No", "")
    tab.ask()
    assert "Risk of “Diabetes”" in tab.text("#now")
    tab.browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tab.downloads))
    path = tab.downloads / "metabolic-answer.fhir.json"
    tab.browser.run("[...document.querySelectorAll('#keep button')].find(b => b.innerText === 'Save as FHIR').click()")
    for _ in range(200):
        if path.exists():
            break
        tab.browser.run("return new Promise(done => setTimeout(done, 50))")
    made = json.loads(path.read_text(encoding="utf-8"))
    pytest.importorskip("fhir.resources.R4B.riskassessment").RiskAssessment.model_validate(made)
    assert f"{made['prediction'][0]['probabilityDecimal']:.0f} %" == tab.text("#now .number")
    two = records.bundle(*records.lately(records.survey()), records.patient(id="p2"))
    read(tab, "two.json", json.dumps(two))
    tab.browser.until("document.querySelector('.told .problem')")
    assert "Bundle.entry[0].resource and Bundle.entry[9].resource are two patients" in tab.text(".told .problem")


@pytest.mark.parametrize("kind", KINDS)
def test_what_print_puts_on_paper_is_one_sheet_of_a4_and_the_report(
    tab: Tab, kind: str, command: Callable[..., Ran], tmp_path: Path
) -> None:
    """The document that the page prints, by the browser's own printing; and the file of `--report`, printed in the same way."""
    answered(kind)(tab)
    tab.browser.run("""window.asked = 0; const paper = document.querySelector('#paper');
        paper.addEventListener('load', () => { paper.contentWindow.print = () => { window.asked += 1; }; });
        document.querySelector('#keep button').click()""")
    tab.browser.until("window.asked === 1")
    shown = tab.browser.run("return document.querySelector('#paper').contentDocument.documentElement.outerHTML")
    (tmp_path / "printed.html").write_text("<!doctype html>" + shown, encoding="utf-8")
    model, values = record(kind)
    (tmp_path / "record.json").write_text(json.dumps(values), encoding="utf-8")
    ran = command("explain", tmp_path / "record.json", "--model", model, "-n", 3, "--report", tmp_path / "report.html")
    assert ran.code in (0, 3), ran.err
    pictures = []
    for name in ("printed", "report"):
        tab.browser.open((tmp_path / f"{name}.html").as_uri())
        pdf = base64.b64decode(tab.browser.cdp("Page.printToPDF", preferCSSPageSize=True)["data"])
        boxes = re.findall(rb"/MediaBox\s*\[([^]]+)\]", pdf)
        assert [tuple(map(round, map(float, box.split())))[2:] for box in boxes] == [A4], (kind, name)
        tab.browser.look(794, 1123)
        tab.browser.cdp("Emulation.setEmulatedMedia", media="print")
        pictures.append(tab.browser.cdp("Page.captureScreenshot", format="png")["data"])
        tab.browser.cdp("Emulation.setEmulatedMedia", media="")
    assert pictures[0] == pictures[1], f"{kind}: the page prints another sheet than the report"
    if SHOTS:
        (Path(SHOTS) / f"paper-{kind}.png").write_bytes(base64.b64decode(pictures[0]))
