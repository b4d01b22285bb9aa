"""A model's own chat template -> what stands before a request and behind it: the only door to jinja2 in the runtime.

A template is a program out of a file that somebody else made. It is rendered in jinja2's sandbox, which lets it reach
nothing but the message that it is given, and once per engine, around a mark: records never pass through it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, NoReturn

from ..errors import EngineError, MissingExtraError

MARK = "SENSECF-REQUEST"
RAW = "give the generator as raw:FILE.gguf"
LONGEST_TEMPLATE, LONGEST_FRAME = 100_000, 20_000
Frame = tuple[str, str]


class Talk(NamedTuple):
    """How a general model is spoken to: the longest prompt and answer that may come, as texts; `chat`: in its own chat template."""

    prompt: str
    answer: str
    chat: bool = True

    @staticmethod
    def answer_tokens(spelled: int) -> int:
        """How many an answer may take whose usual spelling takes so many: a model that spells oddly gets half as many again."""
        return spelled * 3 // 2 + 8


def frame(template: str, bos: str = "", eos: str = "") -> Frame:
    """The texts around a user's message, up to where the assistant's begins; control tokens in them are meant as such.

    A model that would think first is told not to, and a thought that the template opens is closed. Raises EngineError for a
    template that cannot be rendered or does not show the message once as it is.
    """
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise MissingExtraError(f"chat templates need jinja2: pip install 'sensecf-edge[llm]'; or {RAW}") from error
    if len(template) > LONGEST_TEMPLATE:
        raise EngineError(f"the model's chat template holds {len(template):,} characters, over {LONGEST_TEMPLATE:,}; {RAW}")
    room = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    room.globals.update(raise_exception=_refuse, strftime_now=lambda form: "")
    told: dict[str, Any] = {
        "messages": [{"role": "user", "content": MARK}], "add_generation_prompt": True, "bos_token": bos, "eos_token": eos,
        "enable_thinking": False, "thinking": False, "reasoning_effort": "low", "tools": None, "documents": None,
    }  # fmt: skip
    out = ""
    try:
        for piece in room.from_string(template).generate(**told):
            out += piece
            if len(out) > LONGEST_FRAME:
                raise EngineError(f"the model's chat template writes without end; {RAW}")
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        raise EngineError(f"the model's chat template cannot be used ({type(error).__name__}); {RAW}") from error
    before, mark, behind = out.partition(MARK)
    if not mark or MARK in behind:
        raise EngineError(f"the model's chat template does not show a message once, as it is; {RAW}")
    return before, _thought_closed(behind)


def _refuse(words: object = "") -> NoReturn:
    raise ValueError("the template refuses the message")


def _thought_closed(behind: str) -> str:
    """A thought opened for the model is closed at once: an answer under a grammar cannot end it."""
    opened = re.findall(r"<(/?)think(?:ing)?>", behind)
    return f"{behind.rstrip()}\n\n</think>\n\n" if opened and not opened[-1] else behind
