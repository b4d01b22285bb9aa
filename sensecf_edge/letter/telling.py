"""Explanation -> the same with its letter: by a language model that is on this machine, or by the template.

What a model writes is held against the grammar again before it counts; where anything fails, the template writes, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from ..answer.letter import Letter
from ..answer.result import Explanation
from ..errors import ConstraintError, EngineError
from ..generators.choice import FILE, NONE, SMOLLM2, Choice
from ..generators.opening import quiet
from ..generators.weights import digest, path_of, weights
from ..llama.chat import Talk
from ..llama.engine import LlamaEngine
from ..llama.threads import settled
from ..propose.branching import Branching
from ..propose.engine import Engine, Request, Unanswered
from ..report.wording import Wording, plain
from ..schema.schema import Schema
from ..settings import ENGINE, EngineSettings
from . import phrases
from .content import Passage, content
from .grammar import language, template

AUTO, TEMPLATE = "auto", "template"
FORMS = "auto, template, smollm2, FILE.gguf or raw:FILE.gguf"
LONGEST = 1_600
"""Tokens of a letter; a longer one is the template's."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Teller:
    """Who words letters: `name`, and the GGUF at `path`, None for the template. `raw`: without its own chat template."""

    name: str = TEMPLATE
    path: Path | None = None
    raw: bool = False
    settings: EngineSettings = ENGINE

    @classmethod
    def of(cls, text: str = AUTO, settings: EngineSettings = ENGINE, say: Say = quiet) -> Teller:
        """The teller that a text names. `auto` is SmolLM2 where it lies on this machine, else the template.

        Raises ConstraintError for a text that names none, EngineError where the file is not there.
        """
        if text == AUTO:
            text = SMOLLM2 if path_of(SMOLLM2).is_file() else TEMPLATE
            text = f"raw:{text}" if text == SMOLLM2 and find_spec("jinja2") is None else text
        if text in (TEMPLATE, NONE):
            return cls()
        choice = Choice.parse(text) if text.endswith((".gguf", SMOLLM2)) else None
        if choice is None or choice.kind != FILE:
            raise ConstraintError(f"nobody called {text!r} words a letter here; give {FORMS}: letters are worded on this machine alone")
        path = weights(SMOLLM2, say) if choice.place == SMOLLM2 else Path(choice.place)
        if not path.is_file():
            raise EngineError(f"there is no file {path}; give {FORMS}")
        name = SMOLLM2 if choice.place == SMOLLM2 else plain(path.name)
        return cls(f"{name} {digest(path)[:12]}", path, choice.raw, settings)

    def opened(self, prompt: str, longest: str) -> Engine:
        """An engine with room for one such letter, to be closed again. Raises EngineError."""
        assert self.path is not None
        settings = settled(self.path, self.settings)._replace(max_sequences=1, max_answer_tokens=LONGEST)
        return LlamaEngine(self.path, settings, talk=Talk(prompt, longest, not self.raw))


def tell(
    explanation: Explanation, schema: Schema, kind: str = phrases.LETTER, teller: Teller | Engine | None = None, say: Say = quiet
) -> Explanation:
    """The explanation with its letter: `kind` "letter" to the person, "note" about the record. Without a teller the template writes.

    An engine may be given in place of a teller; it is not closed. `say` hears why a model's letter was not taken.
    Raises ConstraintError for another kind.
    """
    if kind not in phrases.KINDS:
        raise ConstraintError(f"there is no {kind!r} to write; {' or '.join(phrases.KINDS)}")
    parts = content(explanation, schema, kind)
    text, writer = None, TEMPLATE
    if teller is not None and not (isinstance(teller, Teller) and teller.path is None):
        said = _worded(teller, parts, _prompt(explanation, schema, kind), explanation.provenance.seed)
        text = said if isinstance(said, str) else None
        if isinstance(said, Unanswered):
            say(f"the letter is the template's: {said.reason}")
        writer = TEMPLATE if text is None else teller.name if isinstance(teller, Teller) else type(teller).__name__
    by = phrases.BY_TEMPLATE if text is None else phrases.BY_MODEL.format(writer=writer)
    return replace(explanation, letter=Letter(f"{text or template(parts)}\n\n{by}\n", writer, kind))


def _worded(teller: Teller | Engine, parts: Sequence[Passage], prompt: str, seed: int) -> str | Unanswered:
    """The letter in a model's choice of phrases, or why it gave none that the grammar has."""
    words, engine = language(parts), teller
    try:
        engine = teller.opened(prompt, template(parts)) if isinstance(teller, Teller) else teller
        (answer,) = engine.propose([Request(prompt, words, 1, seed, 0.0)])
    except EngineError as error:
        return Unanswered(str(error))
    finally:
        if isinstance(engine, LlamaEngine) and engine is not teller:
            engine.close()
    if isinstance(answer, Unanswered):
        return answer
    if not answer or not answer[0].complete or not _accepted(words, answer[0].text):
        return Unanswered("the model came to no end within its room")
    return answer[0].text


def _accepted(words: Branching, text: str) -> bool:
    node = words.start.read(text.encode())
    return node is not None and node.final


def _prompt(explanation: Explanation, schema: Schema, kind: str) -> str:
    """What a model is asked: kind and plain words, about the facts that stand in the letter anyway."""
    wording = Wording(explanation, schema)
    whom = "a patient who is no expert" if kind == phrases.LETTER else "the file of a patient"
    changed = ", ".join(dict.fromkeys(wording.title(c.feature) for answer in explanation.found for c in answer.changes))
    about = f"The letter names these changes, the most important first: {changed}." if changed else "There is no change to name."
    return (
        f"Write a short {kind} for {whom}. It says what a computer model predicts from the record, in plain and kind words. "
        f"Use short sentences and do not repeat a turn of phrase. Give no advice and no promise.\n{wording.prediction()[0]}.\n{about}\n"
    )
