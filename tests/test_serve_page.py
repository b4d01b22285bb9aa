"""The page in a real Chromium: every way through it, by mouse and by keyboard, at every size; held against WCAG by axe-core."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import browser as chromium
import jsonschema
import pytest
from conftest import PATIENCE
from test_serve import Served, marked

from sensecf_edge.answer.result import Explanation
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.explain import Explainer
from sensecf_edge.space.constraints import Constraints

ROOT = Path(__file__).parents[1]
AXE = next(iter(sorted((ROOT / ".axe").glob("axe-*.min.js"))), None)
SHOTS = os.environ.get("SENSECF_SHOTS")
"""A folder where pictures are left for somebody to look at."""
pytestmark = pytest.mark.skipif(
    not (chromium.CHROMIUM and chromium.DRIVER), reason="no chromium and chromedriver (Debian: chromium-driver)"
)
Go = Callable[..., None]


class Tab:
    """One browser on one page, and what the page is asked to do."""

    def __init__(self, page: Served, browser: chromium.Browser, downloads: Path) -> None:
        self.page, self.browser, self.downloads = page, browser, downloads

    def fresh(self, model: str = "heart") -> None:
        """The page, opened anew."""
        self.browser.look(1280, 900)
        self.browser.open(self.page.url)
        self.browser.until("document.querySelector('#record form')")
        if model != "heart":
            self.choose("#model", model)
            self.browser.until("document.querySelector('#record form') && !document.querySelector('#f12')")

    def choose(self, selector: str, value: str) -> None:
        self.browser.run(
            "const s = document.querySelector(arguments[0]); s.value = arguments[1]; if (s.value !== arguments[1]) throw arguments[1];"
            "s.dispatchEvent(new Event('input', {bubbles: true})); s.dispatchEvent(new Event('change', {bubbles: true}))",
            selector,
            value,
        )

    def sample(self, k: int, model: str = "heart") -> None:
        """An example, asked about."""
        self.fresh(model)
        self.choose("#sample", str(k))
        self.ask()

    def ask(self) -> None:
        self.browser.click("#record button.main")
        self.browser.until("!document.querySelector('#hand').hidden && document.querySelector('#hand .result .number')")

    def again(self, change: Callable[[], object]) -> None:
        """Do something that brings new options, and wait for them."""
        self.browser.run("window.before = document.querySelector('.cards')")
        change()
        self.browser.until("document.querySelector('.cards') !== window.before && !document.body.hasAttribute('aria-busy')")

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.browser.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText.trim())", selector)
        return found

    def text(self, selector: str) -> str:
        return self.texts(selector)[0]

    def picture(self, name: str) -> None:
        if SHOTS:
            self.browser.picture(Path(SHOTS) / f"{name}.png", whole=not name.startswith("4k"))


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    folder = tmp_path_factory.mktemp("page")
    page = Served("--model", "heart", "--model", marked(folder / "marked"), "--port", 0)
    browser = chromium.Browser(folder)
    yield Tab(page, browser, folder)
    try:
        hosts = {url.split("/")[2] for url in browser.requested() if "://" in url}
        assert hosts == {page.host}, f"the page asked others than its own program: {hosts}"
        assert [said for said in browser.complaints() if "status of 422" not in said] == []  # refusals, which the page shows
    finally:
        browser.close()
        assert page.end().code == 0


def test_the_key_leaves_the_address_bar_and_reloading_goes_on(tab: Tab) -> None:
    tab.fresh()
    assert tab.browser.run("return [location.href, document.cookie, document.title]") == [f"http://{tab.page.host}/", "", "SenseCF-Edge"]
    tab.browser.ask("POST", "/refresh")
    tab.browser.until("document.querySelector('#record form')")
    assert tab.text("#record-title") == "Record"


def test_an_example_gets_the_answer_that_the_command_line_gives(tab: Tab) -> None:
    tab.sample(1)
    with Explainer.load("heart") as explainer:
        made = explainer.explain(explainer.bundle.samples[1].values, n=3)
    assert tab.text("#now .number") == f"{100 * made.risk.now:.0f} %"
    assert len(tab.texts(".card")) == len(made.found) == 3
    for k, answer in enumerate(made.found):
        said = tab.texts(".card")[k]
        assert all(explainer.schema[c.feature].title in said and str(c.after) in said for c in answer.changes)
    assert "average in the training data: 46 %" in tab.text("#now") and "Stays as it is: Resting blood pressure" in tab.text(".card")
    assert tab.browser.run("return document.activeElement.id") == "now-title"
    assert tab.text("#said") == "3 options, the best at a risk of 40 %."
    adds = [said for said in tab.texts("#now .why li strong") if said]  # the others are folded away
    assert len(adds) == 6 and all(said[0] in "+−" and said.endswith(("point", "points")) for said in adds)
    assert "of all training people" in tab.text("#now") and "Measured on unseen people with Sex male" in tab.text("#now")


def test_a_record_is_filled_in_with_the_keyboard_alone(tab: Tab) -> None:
    """From the address bar: Tab to every field, type, Enter. Nothing is clicked."""
    tab.fresh()
    values = dict(Bundle.open("heart").samples[1].values)
    tab.browser.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    order = tab.browser.run("return [...document.querySelectorAll('#record [id^=f]')].filter(e => /^f\\d+$/.test(e.id)).map(e => e.id)")
    names, seen = list(values), set()
    for _ in range(60):
        tab.browser.keys("\ue004")
        at = tab.browser.run("return document.activeElement.id")
        if at in order and at not in seen:
            seen.add(at)
            tab.browser.keys(str(values[names[int(at[1:])]]))
        if len(seen) == len(order):
            break
    assert len(seen) == len(order) == 13
    tab.browser.keys("\ue007")
    if not tab.browser.run("return document.querySelector('#now').hidden === false"):
        for _ in range(4):  # Enter in a list opens it in some browsers; the button is a few steps further
            tab.browser.keys("\ue004")
            if tab.browser.run("return document.activeElement.type === 'submit'"):
                tab.browser.keys("\ue007")
                break
    tab.browser.until("!document.querySelector('#now').hidden")
    assert tab.text("#now .number") == "68 %"


def test_refusals_stand_beside_their_fields_and_a_changed_record_takes_its_answer_away(tab: Tab) -> None:
    tab.sample(1)
    tab.browser.write("#f0", "300")
    assert tab.browser.run("return document.querySelector('#now').hidden") is True and "was changed" in tab.text(
        "#record > div > div + form > .problem"
    )
    tab.choose("#f2", "")
    tab.browser.click("#record button.main")
    tab.browser.until("document.querySelector('#f0').getAttribute('aria-invalid')")
    assert tab.text("#f0-error") == "Age cannot be 300; allowed is 18 to 100 years"
    assert tab.text("#f2-error").startswith("Chest pain is missing; allowed is one of typical angina")
    assert tab.browser.run("return document.activeElement.id") == "f0"
    tab.picture("record-refused")
    tab.browser.write("#f0", "59")
    assert tab.browser.run(
        "return [document.querySelector('#f0-error').hidden, document.querySelector('#f0').hasAttribute('aria-invalid')]"
    ) == [True, False]


def test_an_answer_that_comes_after_the_record_was_changed_is_not_shown(tab: Tab) -> None:
    tab.fresh()
    tab.choose("#sample", "1")
    tab.browser.run("""document.querySelector('#record button.main').click(); const age = document.querySelector('#f0');
        age.value = '60'; age.dispatchEvent(new Event('input'));""")
    tab.browser.until("!document.body.hasAttribute('aria-busy')")
    assert tab.browser.run("return document.querySelector('#now').hidden") is True
    tab.ask()
    assert not tab.browser.run("return document.querySelector('#now').hidden")


def test_what_is_not_known_is_a_range_and_what_would_decide_is_named(tab: Tab) -> None:
    tab.sample(1)
    tab.choose("#f12", "")
    tab.browser.click("#f11-unknown")
    tab.ask()
    assert "depending on what is unknown" in tab.text("#now") and "Thallium test" in tab.text("#now")
    assert tab.browser.run("return document.querySelector('#m11').parentElement.firstChild.getAttribute('aria-valuetext')") == "Not known"
    tab.browser.write("#base", "10")
    tab.ask()
    assert "average, as the request states it: 10 %" in tab.text("#now")
    tab.browser.write("#base", "ten")
    tab.browser.click("#record button.main")
    assert "over 0 and under 100" in tab.text("#base-error")


def test_a_file_fills_the_form_in(tab: Tab) -> None:
    tab.fresh()
    rows = [dict(sample.values) for sample in Bundle.open("heart").samples[:2]]
    table = tab.downloads / "cohort.csv"
    table.write_text(
        "patient," + ",".join(rows[0]) + "\n" + "".join(f"p{k}," + ",".join(map(str, row.values())) + "\n" for k, row in enumerate(rows))
    )
    tab.browser.ask("POST", tab.browser.element("#file") + "/value", {"text": str(table)})
    tab.browser.until("document.querySelector('#row')")
    assert tab.texts("#row option") == ["1, patient p0", "2, patient p1"] and "Not used: patient" in tab.text(".told")
    tab.choose("#row", "1")
    tab.ask()
    assert tab.text("#now .number") == "68 %"
    (tab.downloads / "other.txt").write_text("nothing")
    tab.browser.ask("POST", tab.browser.element("#file") + "/value", {"text": str(tab.downloads / "other.txt")})
    tab.browser.until("document.querySelector('.told .problem')")


def test_freezing_bounding_and_weighing_bring_new_options_by_themselves(tab: Tab) -> None:
    tab.sample(1)
    heart_rate = "button[aria-label='Keep Highest heart rate under exercise as it is']"
    tab.again(lambda: tab.browser.click(f".card {heart_rate}"))
    assert tab.browser.run("return document.activeElement.id") == "options-title"  # the button is gone, the place is not
    assert "Kept because you asked: Highest heart rate under exercise" in tab.text("#options") or "No answer" in tab.text("#options")
    assert not any("Highest heart rate under exercise\n134" in text for text in tab.texts(".card"))
    tab.browser.click(".limits summary")
    assert tab.browser.run("return document.querySelector(arguments[0]).getAttribute('aria-pressed')", f".limits {heart_rate}") == "true"
    tab.again(lambda: tab.browser.click(f".limits {heart_rate}"))
    tab.again(
        lambda: tab.browser.run(
            "const e = document.querySelector('[aria-label=\"Highest heart rate under exercise: at most\"][type=range]');"
            "e.value = 150; e.dispatchEvent(new Event('input'))"
        )
    )
    with Explainer.load("heart") as explainer:
        made = explainer.explain(explainer.bundle.samples[1].values, n=3, constraints=Constraints(bounds={"thalach": (60, 150)}))
    assert [f"{100 * (a.risk or 0):.0f} %" for a in made.found] == tab.texts(".card .number")
    tab.again(lambda: tab.choose("#limit-count", "1"))
    assert len(tab.texts(".card")) == 1
    hard = "[aria-label='How hard is a change of ST depression under exercise for this person?']"
    tab.again(lambda: tab.choose(hard, "10"))
    tab.picture("limits")
    tab.again(lambda: tab.browser.click("#limits-reset"))
    assert len(tab.texts(".card")) == 3


def test_a_wish_is_read_told_back_and_kept_when_that_is_agreed_to(tab: Tab) -> None:
    tab.sample(1)
    tab.browser.click(".limits summary")
    tab.browser.run(
        "const e = document.querySelector('#wish'); e.value = arguments[0]; e.dispatchEvent(new Event('input'))",
        "My knee hurts. Leave my cholesterol alone. Heart rate at most 160. ST depression is really hard",
    )
    tab.browser.click("#wish-read")
    tab.browser.until("document.querySelector('#wish-keep')")
    said = tab.texts(".wish li")
    assert said[0].startswith("Cholesterol: kept as it is") and said[-1] == "Not understood and not used: “My knee hurts”."
    tab.again(lambda: tab.browser.click("#wish-keep"))
    limits = Constraints({"chol"}, {"thalach": (60, 160)}, costs={"oldpeak": 10.0})  # type: ignore[arg-type]
    with Explainer.load("heart") as explainer:
        made = explainer.explain(explainer.bundle.samples[1].values, n=3, constraints=limits)
    assert [f"{100 * (a.risk or 0):.0f} %" for a in made.found] == tab.texts(".card .number")


def test_values_are_tried_by_hand_and_from_an_option(tab: Tab) -> None:
    tab.sample(1)
    risks = tab.texts(".card .number")
    assert tab.browser.run("return ['#m1', '#m12'].map(e => document.querySelector(e).options[0].value)") == ["=female", ""]
    tab.browser.click("[aria-label='Try by hand, starting from option 3']")
    tab.browser.until("document.querySelector('#hand .result .number').innerText === $[0]", risks[2])
    assert "Nothing of this breaks a rule" in tab.text("#hand .result") and "would predict “healthy”" in tab.text("#hand .result")
    tab.browser.run("const e = document.querySelector('#m0'); e.value = '30'; e.dispatchEvent(new Event('change'))")
    tab.browser.until("document.querySelector('#hand .rules')")
    assert "Age cannot change; the model never advises it." in tab.texts("#hand .rules li")
    tab.browser.run("const e = document.querySelector('#m3'); e.value = '9'; e.dispatchEvent(new Event('change'))")
    tab.browser.until("!document.querySelector('#m3-error').hidden")
    assert tab.text("#m3-error") == "Resting blood pressure cannot be 9; allowed is 70 to 250 mm Hg"
    tab.picture("hand")


def test_a_decimal_comma_is_read_in_every_field(tab: Tab) -> None:
    """The record, the share, a bound and a try by hand; as many keyboards write it."""
    tab.fresh()
    tab.choose("#sample", "1")
    tab.browser.write("#f9", "2,2")
    tab.browser.write("#base", "9,5")
    tab.ask()
    assert "as the request states it: 9.5 %" in tab.text("#now")
    found = "[...document.querySelectorAll('.levers li')].findIndex(e => e.innerText.includes('ST depression'))"
    row = tab.browser.run(f"document.querySelector('details.limits').open = true; return {found}")
    set_to = "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('change'))"
    tab.again(lambda: tab.browser.run(set_to, f"bound{row}-1", "1,8"))
    assert tab.browser.run("return document.getElementById(arguments[0]).value", f"bound{row}-1") == "1.8"
    tab.browser.run(set_to, f"bound{row}-0", "one")
    assert "no number" in tab.text(f".levers li:nth-child({row + 1}) .bound")
    tab.browser.run(set_to, "m9", "0,6")
    tab.browser.until("document.querySelector('#hand .changes li')")
    assert "0.6" in tab.text("#hand .changes li")
    assert tab.browser.run("return document.getElementById('m9').parentElement.querySelector('input[type=range]').value") == "0.6"


def test_a_limit_that_the_record_cannot_be_brought_into_is_told_among_the_options(tab: Tab) -> None:
    tab.sample(1)
    tab.browser.click(".limits summary")
    tab.browser.run(
        "const e = document.querySelector('[aria-label=\"Highest heart rate under exercise: at most\"][type=text]');"
        "e.value = 100; e.dispatchEvent(new Event('change'))"
    )
    tab.browser.until("document.querySelector('#options .problem')")
    assert tab.text("#options .problem").startswith("Highest heart rate under exercise lies outside its bound")
    assert tab.texts(".card") == [] and tab.texts(".limits") != []
    assert tab.browser.run("return document.querySelector('#keep').hidden")
    tab.again(lambda: tab.browser.click("#limits-reset"))
    assert len(tab.texts(".card")) == 3


def test_where_no_option_is_shown_none_can_be_accepted(tab: Tab) -> None:
    tab.fresh()
    tab.choose("#sample", "0")
    for field, value in (("#f0", "35"), ("#f9", "0")):
        tab.browser.write(field, value)
    for field, value in (("#f8", "=no"), ("#f11", ""), ("#f12", "=normal")):
        if field == "#f11":
            tab.browser.write(field, "0")
        else:
            tab.choose(field, value)
    tab.ask()
    assert tab.texts(".card") == [] and tab.texts("#keep .note") == [] and "none to accept" in tab.text("#keep")


def test_an_answer_is_printed_saved_and_noted(tab: Tab) -> None:
    tab.sample(1)
    tab.browser.run("""const paper = document.querySelector('#paper'); window.sheets = 0;
        window.buttons = document.querySelectorAll('#keep button');
        paper.addEventListener('load', () => { paper.contentWindow.print = () => { window.sheets += 1; }; }); window.buttons[0].click()""")
    tab.browser.until("window.sheets === 1 && document.querySelector('#paper').contentDocument.querySelector('.sensecf')")
    sheet = tab.browser.run("return document.querySelector('#paper').contentDocument.body.innerText")
    assert "68 %" in sheet and "Highest heart rate under exercise" in sheet
    tab.browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tab.downloads))
    tab.browser.run("window.buttons[2].click()")
    made = Explanation.from_json(json.loads(_downloaded(tab.downloads / "heart-answer.json")))
    jsonschema.validate(made.to_json(), json.loads((ROOT / "sensecf_edge" / "explanation.schema.json").read_text()))
    assert [f"{100 * (a.risk or 0):.0f} %" for a in made.found] == tab.texts(".card .number")
    tab.browser.run("window.buttons[1].click()")
    assert "68 %" in _downloaded(tab.downloads / "heart-answer.html")
    tab.browser.click(".note button")
    assert "accepted or not followed" in tab.text(".note .problem")
    tab.browser.click(".note input[value=refused]")
    tab.choose("#note-about", "2")
    tab.browser.write("#note-reason", "<b>knee</b>")
    tab.browser.click(".note button")
    tab.browser.until("document.querySelector('.noted li')")
    assert tab.text(".noted li").endswith("Option 2 – not followed. <b>knee</b>")


def _downloaded(path: Path) -> str:
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} never came"
        time.sleep(0.05)
    return path.read_text(encoding="utf-8")


def test_nothing_is_left_in_the_browser_and_two_tabs_stand_apart(tab: Tab) -> None:
    tab.sample(1)
    first = tab.browser.ask("GET", "/window")
    second = tab.browser.ask("POST", "/window/new", {"type": "tab"})["handle"]
    tab.browser.ask("POST", "/window", {"handle": second})
    tab.fresh()
    assert set(tab.browser.run("return [...document.querySelectorAll('#record input[type=text]')].map(e => e.value)")) == {""}
    tab.choose("#sample", "0")
    tab.ask()
    other = tab.text("#now .number")
    assert tab.browser.run("return [localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert tab.browser.run("return indexedDB.databases().then(d => caches.keys().then(c => [d.length, c.length]))") == [0, 0]
    tab.browser.ask("DELETE", "/window")
    tab.browser.ask("POST", "/window", {"handle": first})
    assert tab.text("#now .number") == "68 %" != other
    tab.browser.ask("POST", "/refresh")
    tab.browser.until("document.querySelector('#record form')")
    assert set(tab.browser.run("return [...document.querySelectorAll('#record input[type=text]')].map(e => e.value)")) == {""}


def test_markup_of_a_bundle_and_of_a_record_stays_text(tab: Tab) -> None:
    tab.sample(0, "marked")
    assert "<img src=x onerror" in tab.text("#record") and "</script><b>Smokes</b>" in tab.text("#record")
    tab.choose("#sample", "1")
    tab.ask()
    assert "The prediction is the wanted one already" in tab.text("#options") and tab.texts(".card") == []
    assert tab.browser.run("return [document.images.length, document.querySelectorAll('main b').length, document.title]") == [
        0,
        0,
        "SenseCF-Edge",
    ]


@pytest.mark.parametrize("width, height, dark", [(320, 640, True), (1280, 900, False), (3840, 2160, False)])
def test_every_stage_fits_and_keeps_to_wcag(tab: Tab, width: int, height: int, dark: bool) -> None:
    if width == 320:
        tab.sample(0)
        tab.browser.click(".limits summary")
    tab.browser.look(width, height, dark)
    tab.browser.run("window.scrollTo(0, 0)")
    for scheme in (dark, not dark)[: 2 if SHOTS else 1]:
        tab.browser.look(width, height, scheme)
        tab.picture(f"{'4k' if width > 2000 else width}-{'dark' if scheme else 'light'}")
    tab.browser.look(width, height, dark)
    assert tab.browser.run("return document.documentElement.scrollWidth <= innerWidth")
    outside = "e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.unseen')"
    assert tab.browser.run(f"return [...document.querySelectorAll('main *')].filter({outside}).length") == 0
    if width > 2000:
        return
    if AXE is None:
        pytest.skip("no axe-core; `make axe` brings it")
    assert violations(tab) == []


def violations(tab: Tab) -> list[Any]:
    """What axe-core holds against the page by WCAG 2.2 A and AA and its own best practice."""
    assert AXE is not None
    tab.browser.run(AXE.read_text(encoding="utf-8") + ";window.axe = axe;")
    found = tab.browser.run(
        "return axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], iframes: false})"
        ".then(r => r.violations.map(v => [v.id, v.help, v.nodes.slice(0, 3).map(n => n.target.join(' ') + ': ' + n.failureSummary)]))"
    )
    assert isinstance(found, list)
    return found
