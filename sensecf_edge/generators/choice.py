"""The text behind `--generator`, understood: which generator, and what it is told beside the record."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConstraintError

BUNDLE, NONE, FILE, OPENAI = "bundle", "none", "file", "openai"
SMOLLM2 = "smollm2"
RAW = "raw:"
MOST_SHOTS = 10
FORMS = "bundle, none, smollm2, FILE.gguf, raw:FILE.gguf or openai:URL#MODEL"


@dataclass(frozen=True)
class Choice:
    """`place`: a GGUF's path or SMOLLM2, or a server's URL; `model` its name there. `raw`: without the GGUF's own chat template.

    `shots` made-up people are shown with their answers, `hints`: what single changes alone would give. Both are for general
    models. `hosts`: names of other machines that may be asked.
    """

    kind: str = BUNDLE
    place: str = ""
    model: str = ""
    raw: bool = False
    shots: int = 0
    hints: bool = False
    hosts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str = BUNDLE, shots: int = 0, hints: bool = False, hosts: tuple[str, ...] = ()) -> Choice:
        """Raises ConstraintError for a text that names no generator. Opens nothing."""
        if not 0 <= shots <= MOST_SHOTS:
            raise ConstraintError(f"shots is {shots}; it must be 0 to {MOST_SHOTS}")
        more = {"shots": shots, "hints": hints, "hosts": hosts}
        if text in (BUNDLE, NONE):
            if text == NONE and (shots or hints):
                raise ConstraintError("shots and hints are told to a language model, and the generator is none")
            return cls(text, **more)  # type: ignore[arg-type]
        if text.startswith(f"{OPENAI}:"):
            url, _, model = text.removeprefix(f"{OPENAI}:").partition("#")
            if not url or not model:
                raise ConstraintError("a server's generator is openai:URL#MODEL, for example openai:http://127.0.0.1:8080/v1#any")
            return cls(OPENAI, url, model, **more)  # type: ignore[arg-type]
        raw, place = text.startswith(RAW), text.removeprefix(RAW)
        if place != SMOLLM2 and not place.lower().endswith(".gguf"):
            raise ConstraintError(f"there is no generator {text!r}; give {FORMS}")
        return cls(FILE, place, raw=raw, **more)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """As the person gave it."""
        if self.kind == OPENAI:
            return f"{OPENAI}:{self.place}#{self.model}"
        return f"{RAW if self.raw else ''}{self.place}" if self.kind == FILE else self.kind

    @property
    def description(self) -> str:
        """The whole choice in a word or two: for what must be the same when a job goes on."""
        return " ".join([self.text, *([f"{self.shots} shots"] if self.shots else []), *(["hints"] if self.hints else [])])
