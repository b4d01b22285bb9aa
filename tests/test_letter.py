"""Letters: whoever words them, each change stands in them once, with its own numbers, unit and direction, and nothing else is claimed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import CALM, STRESSED, Ran
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import LETTERS, records, schemas
from test_grammar import Judge
from test_result import explanations
from toys import toy_gguf

from sensecf_edge.answer.result import Change, Counterfactual, Explanation, Provenance
from sensecf_edge.answer.risk import Risk, RiskScale
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import ConstraintError, EngineError
from sensecf_edge.explain import Explainer
from sensecf_edge.generators import weights
from sensecf_edge.letter import phrases
from sensecf_edge.letter.content import Listed, Said, content
from sensecf_edge.letter.grammar import language, letters, template
from sensecf_edge.letter.telling import Teller, tell
from sensecf_edge.llama.chat import Talk
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.engine import Proposal, Request, Unanswered
from sensecf_edge.report.rendering import DISCLAIMER
from sensecf_edge.report.wording import Wording
from sensecf_edge.schema.schema import Schema
from sensecf_edge.settings import EngineSettings
from sensecf_edge.space.constraints import Constraints
from sensecf_edge.testing import RandomEngine, by_chance

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
WAYS = [
    r"would go (?P<way>up|down) from (?P<b>N) to (?P<a>N)U\.", r"would be (?P<a>N)U instead of (?P<b>N)\.",
    r"would go (?P<way>up|down) by (?P<by>N), from (?P<b>N) to (?P<a>N)U\.",
    r"would stand at (?P<a>N)U, (?P<way>higher|lower) than now \((?P<b>N)\)\.", r"would read (?P<a>N)U instead of (?P<b>N)\.",
    r"would come out at (?P<a>N)U, (?P<way>higher|lower) than now \((?P<b>N)\)\.",
    r"would read (?P<a>N)U, (?P<way>higher|lower) than now \((?P<b>N)\)\.",
    r"would change along with that, from (?P<b>N) to (?P<a>N)U\.",
    r"would move (?P<way>up|down) along with that, from (?P<b>N) to (?P<a>N)U\.",
]  # fmt: skip
CHOICES = [
    r"would be “A” instead of “B”\.", r"would change from “B” to “A”\.", r"would be “A”, where it is “B” now\.",
    r"would read “A” instead of “B”\.", r"would come out as “A” rather than “B”\.", r"would change along with that, from “B” to “A”\.",
]  # fmt: skip
"""What a sentence about a change may be, written down here a second time: N a number, U the unit, A and B the choices."""

odd = st.text(LETTERS + '“”<b>\\"{}\n', max_size=10).filter(lambda text: "\n" not in text)


@st.composite
def answered(draw: st.DrawFn) -> tuple[Explanation, Schema]:
    """A record of any schema with one to three answers of one to all features: labels and units with signs of every kind."""
    schema = draw(schemas(5, relations=False))
    schema = Schema(tuple(replace(f, label=draw(odd), unit=draw(odd) if f.kind == "number" else "") for f in schema.features))
    record = draw(records(schema))
    values = record.to_mapping()
    free = [f for f in schema.features if values[f.name] is not None and len(f.lattice) > 1]
    found = []
    for _ in range(draw(st.integers(1, 3))) if free else ():
        changes = []
        for f in draw(st.lists(st.sampled_from(free), min_size=1, max_size=len(free), unique=True)):
            after = draw(st.sampled_from([v for v in ([*f.choices] or [float(c) for c in f.lattice]) if v != values[f.name]]))
            changes.append(Change(f.name, values[f.name], after, f.unit, draw(st.sampled_from([False, False, True]))))
        p = draw(st.floats(0.55, 0.99))
        found.append(Counterfactual(tuple(changes), p, len(changes), 0.1, draw(st.none() | st.floats(0, 100)), "search", risk=1 - p))
    now = draw(st.floats(0.01, 0.49))
    made = Provenance("toy", "0" * 64, 0, draw(st.integers(1, 3)), 8, 3, 0.7, 4, (), {}, {"sensecf-edge": "0"})
    return Explanation(
        "found" if found else "none", "calm", "stressed", now, 0.5, 0.05, values, tuple(found), None, {}, (), 0.9, 1, 0.1, made,
        Risk.of(RiskScale(), (now, now, now), 0.5, 0.55), "stressed", "stress",
    ), schema  # fmt: skip


def one(text: str, ways: list[str], title: str, parts: dict[str, str]) -> list[re.Match[str]]:
    """The ways in which a line can be read as one about this title."""
    out = []
    for way in ways:
        for mark, value in parts.items():
            way = way.replace(mark, value)
        out.append(re.fullmatch(f"- {re.escape(title)} {way}", text))
    return [found for found in out if found]


def fits(change: Change, line: str, say: Wording) -> bool:
    """Whether a line says this change: read by the patterns above, its numbers held against the raw ones."""
    name = change.feature
    for title in (say.title(name), f"{say.title(name)} ({name})"):
        if isinstance(change.before, str) or isinstance(change.after, str):
            parts = {"“A”": re.escape(f"“{change.after}”"), "“B”": re.escape(f"“{change.before}”")}
            if one(line, CHOICES, title, parts):
                return True
            continue
        unit = re.escape(f" {change.unit.strip()}") if change.unit.strip() else ""
        for found in one(line, WAYS, title, {"(?P<a>N)U": f"(?P<a>{NUMBER}){unit}", "N)": f"{NUMBER})"}):
            told = found.groupdict()
            near = all(abs(float(told[k]) - v) <= 0.05 * abs(v) + 1e-9 for k, v in (("b", change.before), ("a", change.after)))
            raised, way = float(told["a"]) > float(told["b"]), told.get("way")
            right = raised == (change.after > change.before) and (way is None or raised == (way in ("up", "higher")))
            step = told.get("by")
            if near and right and (step is None or abs(float(told["a"]) - float(told["b"])) == pytest.approx(float(step))):
                return True
    return False


def read(text: str, explanation: Explanation, schema: Schema) -> None:
    """A letter says each change of each answer once and in its place, and no number that is not the answer's."""
    say, lines = Wording(explanation, schema), text.split("\n")
    left = [line for line in lines if not line.startswith("- ")]
    told = [line for line in lines if line.startswith("- ")]
    wanted = [c for answer in explanation.found for c in answer.changes]
    notes = say.notes()
    assert len(told) == len(wanted) + len(notes)
    for answer in explanation.found:
        mine, told = told[: len(answer.changes)], told[len(answer.changes) :]
        waiting = list(answer.changes)
        for line in mine:
            found = next((c for c in waiting if fits(c, line, say)), None)
            assert found is not None, (line, waiting)
            waiting.remove(found)
    assert sorted(told) == sorted(f"- {note[:1].upper()}{note[1:].removesuffix('.')}." for note in notes)
    rest = "\n".join(left).replace(DISCLAIMER, "", 1)
    for answer in explanation.found:
        rest = rest.replace(f"{int(answer.realism or 0)} of 100", "").replace("under 1 of 100", "")
    own = {say.risk(r) for r in (explanation.risk.now, explanation.risk.threshold)} | {say.after(a) for a in explanation.found}
    own |= {say.base(), say.deciding(), say.reach(), say.target, say.unwanted, *(str(k) for k in range(4))}
    for piece in sorted(filter(None, own), key=len, reverse=True):
        rest = rest.replace(piece, "")
    assert not re.search("[0-9]", rest), rest


@given(made=answered(), seed=st.integers(0, 2**32), kind=st.sampled_from(phrases.KINDS))
@QUICK
def test_every_letter_that_the_grammar_has_says_the_answers_changes_once_each_and_no_other_number(
    made: tuple[Explanation, Schema], seed: int, kind: str
) -> None:
    explanation, schema = made
    parts, chance = content(explanation, schema, kind), np.random.default_rng(seed)
    words = language(parts)
    for text in (template(parts), *(by_chance(words.start, chance) for _ in range(4))):
        assert words.start.accepts(text)
        assert text.endswith(f"\n\n{DISCLAIMER}")
        read(text, explanation, schema)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> LlamaEngine:
    path = toy_gguf(tmp_path_factory.mktemp("toy") / "toy.gguf", [" would", "from ", "risk", ".\n", "\n- ", "“"], layers=1, context=8192)
    return LlamaEngine(path, EngineSettings(max_sequences=1, max_answer_tokens=6_000), talk=Talk("x", "y" * 4_000, chat=False))


@pytest.fixture(scope="module")
def judge(engine: LlamaEngine) -> Judge:
    return Judge(engine)


def spoilt(text: str, made: Explanation, chance: random.Random) -> list[str]:
    """Texts near a letter that are none: a number, a direction or a unit that is not the answer's, a change left out or said twice."""
    lines = text.split("\n")
    told = [k for k, line in enumerate(lines) if line.startswith("- ")]
    out = [text + " ", text + "\nTake 5 mg.", text.replace(DISCLAIMER, ""), text.replace("not medical", "medical"), text[:-1], ""]
    for k in told:
        out += ["\n".join(lines[:k] + lines[k + 1 :]), "\n".join(lines[: k + 1] + lines[k:])]
        digits = [at for at, sign in enumerate(lines[k]) if sign in "0123456789"]
        if digits:
            at = chance.choice(digits)
            other = chance.choice([d for d in "0123456789" if d != lines[k][at]])
            out.append("\n".join([*lines[:k], lines[k][:at] + other + lines[k][at + 1 :], *lines[k + 1 :]]))
        for here, there in ((" up ", " down "), (" higher ", " lower "), (" down ", " up "), (" lower ", " higher ")):
            if lines[k].count(here) == 1:
                out.append("\n".join([*lines[:k], lines[k].replace(here, there), *lines[k + 1 :]]))
    return [other for other in out if other != text]


@given(made=answered(), seed=st.integers(0, 2**32))
@settings(QUICK, max_examples=12)
def test_llama_cpp_accepts_these_letters_and_refuses_what_is_near_them(judge: Judge, made: tuple[Explanation, Schema], seed: int) -> None:
    explanation, schema = made
    words = language(content(explanation, schema))
    text, gbnf = by_chance(words.start, np.random.default_rng(seed)), words.gbnf()
    assert judge.accepts(gbnf, text), f"{text}\n{gbnf}"
    for other in spoilt(text, explanation, random.Random(seed)):
        accepted = judge.accepts(gbnf, other)
        assert accepted == words.start.accepts(other), other
        if accepted:  # two changes may differ in that very digit
            read(other, explanation, schema)


@given(made=answered())
@settings(QUICK, max_examples=15)
def test_a_language_model_writes_within_the_grammar_at_every_token(engine: LlamaEngine, made: tuple[Explanation, Schema]) -> None:
    explanation, schema = made
    said = list[str]()
    letter = tell(explanation, schema, teller=engine, say=said.append).letter
    assert letter is not None and not said and letter.writer == "LlamaEngine"
    text, _, by = letter.text.rstrip("\n").rpartition("\n\n")
    assert by == phrases.BY_MODEL.format(writer="LlamaEngine")
    read(text, explanation, schema)


@given(explanation=explanations(), schema=schemas(3), kind=st.sampled_from(phrases.KINDS))
@QUICK
def test_every_explanation_has_a_letter_whatever_its_status_and_schema(explanation: Explanation, schema: Schema, kind: str) -> None:
    told = tell(explanation, schema, kind, RandomEngine())
    assert told.letter is not None and told.letter.text.count(DISCLAIMER) == 1 and told.letter.kind == kind
    assert replace(told, letter=None) == replace(explanation, letter=None)
    assert Explanation.from_json(json.loads(json.dumps(told.to_json()))) == told
    parts = content(explanation, schema, kind)
    assert language(parts).start.accepts(template(parts))


def test_letters_are_counted_as_the_grammar_derives_them() -> None:
    parts = [Said(("a", "b", "ab"), ""), Listed((("c", "d"), ("e",))), Said(("f",))]
    waiting, derived = [language(parts).start], 0
    while waiting:
        node = waiting.pop()
        derived += node.final
        waiting += node.edges.values()
    assert derived == letters(parts) == 2 * 2 * 2


def stressed(explainer: Explainer, values: dict[str, object] = STRESSED, **more: int) -> Explanation:
    return explainer.explain(values, **more)


def test_the_words_of_every_status(toy: Path) -> None:
    with Explainer.load(toy, generator="none") as explainer:
        schema = explainer.schema
        found = template(content(stressed(explainer), schema))
        assert found.startswith("Hello,\n\n") and "the risk of “stressed” at" in found and "\n- " in found
        several = template(content(stressed(explainer, n=3), schema))
        assert several.count("\nWay ") == several.count("would put the risk at") >= 2
        calm = template(content(stressed(explainer, CALM), schema))
        assert "predicts “calm” already" in calm and "Nothing needs to change" in calm and " would be " not in calm
        few = explainer.explain(
            STRESSED, constraints=Constraints(bounds={"steps": (3000, 3500)}, freeze=frozenset({"smoker", "deep_sleep"}))
        )
        none = template(content(few, schema))
        assert few.status == "none" and "found none" in none and "no verdict on you" in none
        open_ = explainer.explain({**STRESSED, "deep_sleep": None})
        unknown = template(content(open_, schema))
        assert "Not in the record and left unknown: Deep sleep." in unknown
        note = template(content(stressed(explainer), schema, phrases.NOTE))
        assert note.startswith("The record was put to the model “toy”.") and not re.search(r"\b[Yy]ou\b|Hello", note)


def test_fewer_than_were_asked_for_is_said(toy: Path) -> None:
    with Explainer.load(toy, generator="none") as explainer:
        made = stressed(explainer, n=2)
        few = replace(made, found=made.found[:1], provenance=replace(made.provenance, answers=5))
        assert "That is fewer than the 5 that were asked for." in template(content(few, explainer.schema))


def test_two_features_of_one_label_are_told_apart_by_their_names() -> None:
    from sensecf_edge.schema.feature import Feature

    schema = Schema(tuple(Feature(n, label="Sleep", low=0, high=10, step=1) for n in "ab"))
    changes = (Change("a", 3.0, 5.0), Change("b", 3.0, 5.0))
    base = Provenance("toy", "0" * 64, 0, 1, 8, 3, 0.7, 4, (), {}, {})
    found, risk = (Counterfactual(changes, 0.6, 2, 0.1, None, "search"),), Risk.of(RiskScale(), (0.3,) * 3, 0.5, 0.55)
    e = Explanation("found", "calm", "stressed", 0.3, 0.5, 0.05, {"a": 3.0, "b": 3.0}, found, None, {}, (), 0.9, 1, 0.1, base, risk)
    text = template(content(e, schema))
    assert "- Sleep (a) would" in text and "- Sleep (b) would" in text


@pytest.mark.parametrize("answer", [
    [Proposal("Hello,\n\nTake 5 mg of it.", True)], [Proposal("Hello,", False)], [], Unanswered("the model answered no finite score"),
])  # fmt: skip
def test_what_the_grammar_does_not_have_is_never_told(toy: Path, answer: list[Proposal] | Unanswered) -> None:
    class Stubborn:
        def propose(self, requests: list[Request]) -> list[list[Proposal] | Unanswered]:
            return [answer]

    with Explainer.load(toy, generator="none") as explainer:
        said = list[str]()
        letter = tell(stressed(explainer), explainer.schema, teller=Stubborn(), say=said.append).letter  # type: ignore[arg-type]
    assert letter is not None and letter.writer == "template" and "5 mg" not in letter.text
    assert said and said[0].startswith("the letter is the template's: ") and letter.text.rstrip().endswith(phrases.BY_TEMPLATE)


def test_who_words_it_is_named_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Teller.of("auto") == Teller.of("template") == Teller()
    for text in ("openai:http://127.0.0.1:1/v1#m", "bundle", "gpt"):
        with pytest.raises(ConstraintError, match="nobody called"):
            Teller.of(text)
    with pytest.raises(EngineError, match="there is no file"):
        Teller.of(str(tmp_path / "gone.gguf"))


def test_the_command_line_prints_a_letter_and_keeps_it(command: Callable[..., Ran], toy: Path, tmp_path: Path) -> None:
    asked = ("explain", "--sample", "1", "--model", toy, "--generator", "none", "--tell", "--teller", "template")
    ran = command(*asked)
    assert ran.code == 0 and ran.out.startswith("Hello,\n") and max(map(len, ran.out.splitlines())) <= 80
    assert "".join(ran.out.split()).endswith("".join(phrases.BY_TEMPLATE.split()))
    made = Explanation.from_json(json.loads(command(*asked, "--json", "--tell-as", "note").out))
    assert made.letter is not None and made.letter.kind == "note" and made.letter.writer == "template"
    report = tmp_path / "page.html"
    assert command(*asked, "--report", report).code == 0
    page = report.read_text(encoding="utf-8")
    assert "In plain words" in page and "Worded by sensecf-edge" in page
    assert "In plain words" not in command(*asked[:-3], "--report", report).out + report.read_text(encoding="utf-8")
    assert command(*asked[:-3], "--teller", "template").code == 2


def test_a_general_model_words_it_under_its_own_name(command: Callable[..., Ran], toy: Path, tmp_path: Path) -> None:
    path = toy_gguf(tmp_path / "any.gguf", context=8192)
    ran = command("explain", "--sample", "1", "--model", toy, "--generator", "none", "--tell", "--teller", f"raw:{path}")
    assert ran.code == 0 and f"Worded by any.gguf {weights.digest(path)[:12]}" in ran.out
    small = toy_gguf(tmp_path / "small.gguf", context=256)
    ran = command("explain", "--sample", "1", "--model", toy, "--generator", "none", "--tell", "--teller", f"raw:{small}")
    assert ran.code == 0 and "template's" in ran.err and "without a language model" in ran.out


def test_markup_in_labels_stays_text_on_paper(toy: Path) -> None:
    from sensecf_edge.page.sheet import report_html

    with Explainer.load(toy, generator="none") as explainer:
        made = tell(stressed(explainer), explainer.schema)
        assert made.letter is not None
        evil = replace(made, letter=replace(made.letter, text=made.letter.text.replace("Hello", "<script>alert(1)</script>")))
        page = report_html(evil, explainer.bundle)
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_smollm2_words_a_letter_within_the_grammar() -> None:
    if not weights.path_of("smollm2").is_file():
        pytest.skip("SmolLM2 is not on this machine; sensecf-edge models fetch smollm2")
    if "heart" not in dict(Bundle.available()):
        pytest.skip("heart is not there")
    with Explainer.load("heart", generator="none") as explainer:
        made = explainer.explain(explainer.bundle.samples[0].values)
        letter = tell(made, explainer.schema, teller=Teller.of("smollm2")).letter
    assert letter is not None and letter.writer == "smollm2 b179c9523d0e" and "Worded by smollm2" in letter.text
    read(letter.text.rstrip("\n").rpartition("\n\n")[0], made, explainer.schema)
