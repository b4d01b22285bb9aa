"""A server that speaks OpenAI's chat completions (llama-server, Ollama, LM Studio, vLLM, OpenAI itself) as the generator.

Opt-in by naming it. Whether it keeps to a constraint at all is found out when it is opened: many answer 200 and pass over
what they do not know. Whatever comes back is text that somebody else wrote: it is cut down to one JSON object here, and
read, held against the schema and judged by the loop like any proposal.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ConstraintError, EngineError
from ..propose.engine import Proposal, Request, Unanswered
from ..propose.grammar import Grammar, answer_value
from .choice import OPENAI, Choice
from .wire import Wire, WireError, address

KEY = "SENSECF_API_KEY"
LONGEST_REPLY, LONGEST_ENUM, ANSWER_TOKENS, PATIENCE = 20_000, 500, 400, 3
REFUSED = (400, 404, 405, 415, 422, 500, 501)
"""How servers say that they do not know a key of a request."""

Constraint = Callable[[str, dict[str, Any]], dict[str, Any]]
"""A grammar in GBNF, and the same as a JSON Schema as far as that goes -> what a request says of it."""

WAYS: dict[str, Constraint] = {
    "grammar": lambda gbnf, schema: {"grammar": gbnf},
    "structured_outputs": lambda gbnf, schema: {"structured_outputs": {"grammar": gbnf}},
    "guided_grammar": lambda gbnf, schema: {"guided_grammar": gbnf},
    "json_schema": lambda gbnf, schema: {
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    },
}
"""How a server may be told what it may answer, the most exact way first."""


class Endpoint:
    """An engine whose model lives in a server. `way` is how it is held to the answers that are admissible; empty where it is not."""

    def __init__(self, wire: Wire, model: str, way: str, name: str) -> None:
        self.wire, self.model, self.way, self.name = wire, model, way, name
        self._failed = 0

    @classmethod
    def open(cls, choice: Choice, say: Callable[[str], None], seconds: float = 120.0, what: str = "records") -> Endpoint:
        """Ask the server what it can, and say what was found; `what` is sent there later on.

        Raises ConstraintError for a URL that may not be asked, EngineError for a server that does not answer.
        """
        url = choice.place.rstrip("/")
        host, here = address(url, choice.hosts)
        say(f"{what} go to {host}: {'a program on this machine' if here else 'they leave this machine'}; --generator none sends nothing")
        if not here and url.startswith("http:"):
            say(f"the connection to {host} is not encrypted: anybody on the way can read them")
        wire = Wire(url, _key(), here, seconds)
        try:
            way = _way(wire, choice.model)
        except BaseException:
            wire.close()
            raise
        say(f"{host} keeps to the admissible answers ({way})" if way else f"{host} keeps to no constraint; its replies are only checked")
        return cls(wire, choice.model, way, f"{OPENAI}:{host}#{choice.model} ({way or 'unconstrained'})")

    def propose(self, requests: Sequence[Request]) -> list[list[Proposal] | Unanswered]:
        """One request after the other. Raises EngineError where the server fails at several records in a row."""
        return [self._answers(request) for request in requests]

    def _answers(self, request: Request) -> list[Proposal] | Unanswered:
        """What came before the server failed counts; where nothing did, the record goes without."""
        said: list[Proposal] = []
        words = request.grammar
        shape = schema_of(words) if isinstance(words, Grammar) else getattr(words, "json_schema", None)
        if shape is None:
            return Unanswered("a server is asked for JSON, and for nothing else")
        told = WAYS[self.way](words.gbnf(), shape) if self.way else {}
        for k in range(request.n):
            greedy = (k == 0 and request.greedy_first) or not request.temperature
            more = {"temperature": 0.0 if greedy else request.temperature, "seed": (request.seed + k) % 2**31, **told}
            try:
                said.append(_proposal(self.wire.post("/chat/completions", body(self.model, request.prompt, **more))))
            except WireError as error:
                self._failed += 1
                if self._failed >= PATIENCE:
                    raise EngineError(f"{error}, {PATIENCE} times in a row; look at the server, then run again") from error
                return said or Unanswered(str(error))
            self._failed = 0
        return said

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self.wire.close()


def body(model: str, prompt: str, tokens: int = ANSWER_TOKENS, **more: Any) -> dict[str, Any]:
    """A request's JSON."""
    return {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens, "stream": False, **more}


def _key() -> str:
    key = os.environ.get(KEY, "")
    if not key.isascii() or not all(c.isprintable() and not c.isspace() for c in key):
        raise ConstraintError(f"the key in {KEY} holds characters that no key has; set it again")
    return key


def _way(wire: Wire, model: str) -> str:
    """The first way in which the server can be held to an answer that it would never give by itself; empty where there is none."""
    ask, refused = "Reply with one friendly word and nothing else.", 0
    for way, constraint in WAYS.items():
        number = 1000 + secrets.randbelow(9000)
        only = {"type": "object", "properties": {"n": {"type": "integer", "enum": [number]}}, "required": ["n"],
                "additionalProperties": False}  # fmt: skip
        told = constraint(f'root ::= "{{\\"n\\":{number}}}"\n', only)
        try:
            reply = wire.post("/chat/completions", body(model, ask, 40, temperature=0.0, **told))
        except WireError as error:
            if error.status not in REFUSED:
                raise
            refused += 1
            continue
        if _is(_content(reply), {"n": number}):
            return way
    if refused == len(WAYS):
        wire.post("/chat/completions", body(model, ask, 40, temperature=0.0))
    return ""


def _is(text: str, expected: Any) -> bool:
    try:
        return bool(json.loads(text) == expected)
    except (ValueError, RecursionError):
        return False


def _content(reply: Any) -> str:
    """The text of a completion. Raises WireError where the reply is none."""
    try:
        content = reply["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise WireError("the server answers JSON that is no chat completion") from error
    if not isinstance(content, str) or len(content) > LONGEST_REPLY:
        raise WireError("the server answers with no text, or with far too much")
    return content


def _proposal(reply: Any) -> Proposal:
    """What a reply proposes: the JSON object in it, without thoughts before it and fences around it."""
    text = re.sub(r"(?s)^.*</think(?:ing)?>", "", _content(reply))
    start, end = text.find("{"), text.rfind("}")
    return Proposal(text[start : end + 1] if 0 <= start < end else "", 0 <= start < end)


def schema_of(grammar: Grammar) -> dict[str, Any]:
    """The answers of a grammar as a JSON Schema, as near as that comes: it knows no order of keys, and long lattices by their kind only."""
    properties: dict[str, Any] = {}
    for i in grammar.features:
        feature, values = grammar.schema.features[i], grammar.space.values[i]
        texts = [json.loads(answer_value(feature.text(code), feature.kind)) for code in values[:LONGEST_ENUM]]
        properties[feature.name] = {"enum": texts} if len(values) <= LONGEST_ENUM else {"type": "number"}
    return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1,
            "maxProperties": grammar.max_changes}  # fmt: skip
