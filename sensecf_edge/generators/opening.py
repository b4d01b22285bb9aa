"""A choice and a bundle -> an open engine and its way of prompting. The one place where `--generator` becomes a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..bundle.bundle import Bundle
from ..bundle.manifest import ADAPTER, CHAT
from ..errors import ConstraintError, EngineError
from ..llama.chat import Talk
from ..llama.engine import LlamaEngine
from ..llama.threads import settled
from ..propose.engine import Engine
from ..propose.prompt import GENERAL
from ..settings import ENGINE, EngineSettings
from .choice import BUNDLE, FILE, NONE, OPENAI, SMOLLM2, Choice
from .prompting import Prompting
from .silent import Silent

Say = Callable[[str], None]


def quiet(text: str) -> None:
    """Nobody is told."""


class Generator(NamedTuple):
    """What proposes, and how it is spoken to."""

    engine: Engine
    prompting: Prompting


def opened(choice: Choice, bundle: Bundle, settings: EngineSettings, shots: tuple[str, ...] = (), say: Say = quiet) -> Generator:
    """The generator of this choice, shown `shots` before each record. `say` hears what is fetched and where records go.

    Raises ConstraintError for a choice that cannot be, EngineError for one that does not open.
    """
    own = Prompting.of(bundle)
    if choice.kind == BUNDLE and bundle.manifest.generator.none:
        _told(own, choice)
        return Generator(Silent(), replace(own, name=NONE))
    if choice.kind == BUNDLE and bundle.manifest.generator.untuned:
        asked = replace(own, hints=own.hints or choice.hints).with_shots(shots)
        return Generator(_untuned(bundle, settings, asked), asked)
    if choice.kind == BUNDLE:
        return Generator(_own(bundle, settings), _told(own, choice))
    if choice.kind == NONE:
        return Generator(Silent(), replace(own, name=NONE))
    general = replace(own, style=GENERAL, hints=choice.hints).with_shots(shots)
    if choice.kind == OPENAI:
        from .endpoint import Endpoint

        server = Endpoint.open(choice, say)
        return Generator(server, replace(general, name=server.name))
    engine, name = _of_file(choice, settings, general.longest(bundle.schema), say)
    return Generator(engine, replace(general, name=name))


def plain_engine(choice: Choice, prompt: str, answer: str, say: Say = quiet, what: str = "records") -> tuple[Engine, str]:
    """A general model by itself, with room for texts as long as these, and what it is called. `what` is told to go to a server.

    Raises ConstraintError for a choice that is none, EngineError for one that does not open.
    """
    if choice.kind == OPENAI:
        from .endpoint import Endpoint

        server = Endpoint.open(choice, say, what=what)
        return server, server.name
    if choice.kind != FILE:
        raise ConstraintError(f"a general language model is needed here, not {choice.text!r}: smollm2, FILE.gguf or openai:URL#MODEL")
    return _of_file(choice, ENGINE, (prompt, answer), say)


def _of_file(choice: Choice, settings: EngineSettings, longest: tuple[str, str], say: Say) -> tuple[LlamaEngine, str]:
    from .weights import digest

    path = _file(choice, say)
    name = f"{SMOLLM2 if choice.place == SMOLLM2 else path.name} {digest(path)[:12]}{' raw' if choice.raw else ''}"
    return LlamaEngine(path, settled(path, settings), talk=Talk(*longest, not choice.raw)), name


def prepared(choice: Choice, say: Say) -> str:
    """Do once what every process that opens this choice would do: fetch, ask a server what it can. `say` hears of it.

    Returns the choice's `identity`. Raises as `opened`.
    """
    if choice.kind == OPENAI:
        from .endpoint import Endpoint

        Endpoint.open(choice, say).close()
    return identity(choice, say)


def identity(choice: Choice, say: Say = quiet) -> str:
    """What must be the same for work to go on later: the choice in words, with the hash of a file."""
    from .weights import digest

    return " ".join([choice.description, *([digest(_file(choice, say))[:12]] if choice.kind == FILE else [])])


def _file(choice: Choice, say: Say) -> Path:
    """The GGUF that is meant. Raises EngineError."""
    from .weights import weights

    path = weights(SMOLLM2, say) if choice.place == SMOLLM2 else Path(choice.place)
    if not path.is_file():
        raise EngineError(f"there is no file {path}; give the path of a GGUF, or one of bundle, none, smollm2")
    return path


def _own(bundle: Bundle, settings: EngineSettings) -> LlamaEngine:
    """The bundle's own generator, with the context that its manifest states."""
    path, facts = bundle.generator_path, bundle.manifest.generator
    adapter = None if bundle.adapter_path is None else bundle.manifest.files[ADAPTER].sha256
    return LlamaEngine(path, settled(path, settings), facts.context, bundle.adapter_path, bundle.generator_sha256, adapter_sha256=adapter)


def _untuned(bundle: Bundle, settings: EngineSettings, asked: Prompting) -> LlamaEngine:
    """The general model that a bundle names by its hash, with the room that its prompts need."""
    path, chat = bundle.generator_path, bundle.manifest.generator.untuned == CHAT
    talk = Talk(*asked.longest(bundle.schema), chat)
    return LlamaEngine(path, settled(path, settings), sha256=bundle.generator_sha256, talk=talk)


def _told(own: Prompting, choice: Choice) -> Prompting:
    """A bundle's generator is spoken to as it was tuned. Raises ConstraintError where more is asked."""
    if choice.shots or (choice.hints and not own.hints):
        raise ConstraintError("a bundle's own generator is asked as it was tuned; shots and hints are for others, such as smollm2")
    return own
