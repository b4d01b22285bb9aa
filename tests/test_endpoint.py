"""A server as the generator: what is sent where, what it is held to, and that no reply of it does harm."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from conftest import SCHEMA, STRESSED, Ran
from servers import completion, http, serving
from toys import toy_gguf

from sensecf_edge.answer.result import Explanation
from sensecf_edge.errors import ConstraintError, EngineError
from sensecf_edge.explain import Explainer
from sensecf_edge.generators.choice import Choice
from sensecf_edge.generators.endpoint import KEY, PATIENCE, Endpoint, schema_of
from sensecf_edge.generators.weights import cache
from sensecf_edge.generators.wire import Wire, WireError, address
from sensecf_edge.propose import reply
from sensecf_edge.propose.engine import Proposal, Request, Unanswered
from sensecf_edge.propose.grammar import Grammar
from sensecf_edge.schema.record import Record
from sensecf_edge.schema.schema import Schema
from sensecf_edge.space.admissible import admissible

TOY = Schema.from_json(SCHEMA)
RECORD = Record.from_mapping(TOY, STRESSED)
SPACE = admissible(RECORD)
GOOD = '{"steps":14000,"deep_sleep":30}'
SECRET = "sk-no-log-may-hold-this"


def asked(n: int = 1) -> Request:
    return Request("Record: age=44, steps=3000 …\nAnswer:\n", Grammar(SPACE), n, 0, 0.7)


def choice(url: str) -> Choice:
    return Choice.parse(f"openai:{url}#any")


def obedient(way: str, answer: str = GOOD) -> Callable[[dict[str, Any]], Iterator[bytes]]:
    """A server that keeps to one kind of constraint, refuses `structured_outputs`, and passes over the others in silence."""

    def says(body: dict[str, Any]) -> Iterator[bytes]:
        if "structured_outputs" in body and way != "structured_outputs":
            yield http(b'{"error":"unknown key"}', "400 Bad Request")
            return
        literal = re.match(r'root ::= "(.*)"\n$', body.get(way, "")) if way == "grammar" else None
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {}) if way == "json_schema" else {}
        if literal:
            yield completion(literal[1].replace('\\"', '"'))
        elif "n" in schema.get("properties", {}):
            yield completion(json.dumps({"n": schema["properties"]["n"]["enum"][0]}))
        elif "word" in body["messages"][0]["content"]:
            yield completion("Hello!")
        else:
            yield completion(answer)

    return says


@pytest.mark.parametrize("way", ["grammar", "json_schema", ""])
def test_it_is_found_out_and_said_whether_the_server_keeps_to_a_constraint(way: str, toy: Path) -> None:
    said: list[str] = []
    with serving(obedient(way)) as (url, server), Explainer.load(toy, generator=choice(url), say=said.append) as explainer:
        answered = explainer.explain(STRESSED, proposals=2, rounds=1)
        assert answered.first_try is not None and answered.first_try.valid
        assert answered.provenance.generator == f"openai:127.0.0.1#any ({way or 'unconstrained'})"
        assert Explanation.from_json(answered.to_json()) == answered
        greedy = server.bodies[-1]
        explainer.explain(STRESSED, n=9, proposals=3, rounds=1)
        told = server.bodies[-1]
    assert "records go to 127.0.0.1" in said[0] and "program on this machine" in said[0]
    assert (f"({way})" if way else "keeps to no constraint") in said[1]
    constrained = {"grammar", "structured_outputs", "guided_grammar", "response_format"} & set(told)
    assert constrained == ({"grammar"} if way == "grammar" else {"response_format"} if way else set())
    assert told["stream"] is False and greedy["temperature"] == 0 < told["temperature"] and "steps=3000" in told["messages"][0]["content"]


def test_the_constraint_as_json_schema_holds_just_what_the_record_may_become() -> None:
    schema = schema_of(Grammar(SPACE))
    assert list(schema["properties"]) == ["steps", "deep_sleep", "smoker"] and schema["additionalProperties"] is False
    assert schema["properties"]["smoker"]["enum"] == ["no"] and 3000 not in schema["properties"]["steps"]["enum"]
    assert schema["maxProperties"] == 3


@pytest.mark.parametrize("text", [f"Sure! ```json\n{GOOD}\n```", f"<think>{{hmm}}</think>\n{GOOD}", GOOD, f" {GOOD} "])
def test_words_around_an_answer_do_not_matter(text: str) -> None:
    with serving(lambda body: [completion(text)]) as (url, _):
        engine = Endpoint(Wire(url), "any", "", "x")
        assert engine.propose([asked()]) == [[Proposal(GOOD, True)]]
        engine.close()


# where records may go


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://localhost/v1", "https://[::1]:8/v1", "http://127.8.8.8"])
def test_this_machine_may_be_asked(url: str) -> None:
    assert address(url, ())[1]


@pytest.mark.parametrize("url, said", [
    ("http://10.0.0.7/v1", "--allow-host 10.0.0.7"), ("https://api.example.org/v1", "--allow-host api.example.org"),
    ("http://localhost.example.org", "another machine"), ("http://127.0.0.1.example.org", "another machine"),
    ("http://0.0.0.0:8/v1", "another machine"), ("ftp://localhost/", "must be http"), ("http://", "must be http"),
    ("http://me:pw@localhost/v1", "password"), ("http://localhost/v1?key=1", "must be http"), ("http://localhost:99999/", "must be http"),
])  # fmt: skip
def test_other_machines_and_odd_urls_are_refused(url: str, said: str) -> None:
    with pytest.raises(ConstraintError, match=re.escape(said)) as error:
        address(url, ())
    assert "pw" not in str(error.value).replace("password", "")
    assert not said.startswith("--") or address(url, (said.split()[1],)) == (said.split()[1], False)


def test_a_name_that_leads_elsewhere_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` may be made to mean another machine: the address that is connected to is what counts."""
    import httpcore

    class Elsewhere:
        def get_extra_info(self, info: str) -> Any:
            return ("203.0.113.9", 80)

        def close(self) -> None:
            closed.append(True)

    closed: list[bool] = []
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", lambda *_, **__: Elsewhere())
    wire = Wire("http://localhost:80/v1")
    with pytest.raises(WireError, match="cannot be asked"):
        wire.post("/chat/completions", {"secret": 1})
    wire.close()
    assert closed


def test_neither_proxies_nor_redirects_take_a_record_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda body: [completion(GOOD)]) as (away, other):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, away.removesuffix("/v1"))
        for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
            with serving(lambda body, status=status: [http(b"", status, f"Location: {away}/chat/completions")]) as (url, _):  # type: ignore[misc]
                wire = Wire(url)
                with pytest.raises(WireError, match="not followed"):
                    wire.post("/chat/completions", {})
                wire.close()
        assert not other.bodies


def test_the_key_is_sent_and_told_nobody(monkeypatch: pytest.MonkeyPatch, toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv(KEY, SECRET)
    said: list[str] = []
    with serving(lambda body: [http(SECRET.encode(), "401 No")]) as (url, server):
        with pytest.raises(EngineError, match=f"status 401; give a key in {KEY}") as error:
            Explainer.load(toy, generator=choice(url), say=said.append)
        assert f"Bearer {SECRET}" in server.heads[0]
    assert SECRET not in str(error.value) + "".join(said) + caplog.text
    monkeypatch.setenv(KEY, "a\r\nHost: evil")
    with pytest.raises(ConstraintError, match="characters that no key has"):
        Endpoint.open(choice("http://127.0.0.1:1/v1"), said.append)


# servers that misbehave


def test_a_server_that_is_not_there_says_so_at_once(command: Callable[..., Ran], toy: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = command("explain", "--sample", "1", "--model", toy, "--generator", f"openai:http://127.0.0.1:{port}/v1#any")
    assert ran.code == 1 and "cannot be asked" in ran.err and "records go to 127.0.0.1" in ran.err
    assert command("explain", "--sample", "1", "--model", toy, "--generator", "openai:http://10.1.2.3/v1#m").code == 2


@pytest.mark.parametrize("where", ["head", "body", "silence"])
def test_a_reply_that_drips_ends_with_the_deadline(where: str) -> None:
    whole, gone = completion(GOOD), time.monotonic() + 3.0

    def drips(body: dict[str, Any]) -> Iterator[bytes]:
        yield whole[: {"head": 5, "body": whole.index(b"\r\n\r\n") + 6, "silence": 0}[where]]
        while time.monotonic() < gone:
            time.sleep(0.05)
            if where != "silence":
                yield b"x"

    with serving(drips) as (url, _):
        wire, began = Wire(url, seconds=0.3), time.monotonic()
        with pytest.raises(WireError, match=r"not answered within 0\.3 s|cannot be asked"):
            wire.post("/chat/completions", {})
        wire.close()
        assert time.monotonic() - began < 2.0
        gone = 0.0


def test_a_reply_without_end_is_cut() -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for pieces in ([http(b'"' + b"x" * 10_000_000 + b'"')], [head, *[chunk] * 160]):
        with serving(lambda body, pieces=pieces: pieces) as (url, _):  # type: ignore[misc]
            wire = Wire(url)
            with pytest.raises(WireError, match="more than 1,000,000 bytes"):
                wire.post("/chat/completions", {})
            wire.close()


def test_a_server_that_fails_record_after_record_ends_the_work() -> None:
    with serving(lambda body: [http(b"<html>busy 3000</html>", "503 Busy")]) as (url, _):
        engine = Endpoint(Wire(url), "any", "", "x")
        assert engine.propose([asked()] * (PATIENCE - 1)) == [Unanswered("the server answers with status 503")] * (PATIENCE - 1)
        with pytest.raises(EngineError, match="times in a row"):
            engine.propose([asked()])
        engine.close()


CONTENTS = (
    "", "{", "}", "{}", "null", "[]", '{"steps":null}', '{"steps":1e999}', '{"steps":NaN}', '{"steps":-1}', '{"steps":"14000"}',
    '{"steps":3000}',
    '{"steps":14000,"steps":2000}', '{"age":20}', '{"nobody":1}', '{"steps":[14000]}', '{"steps":{"a":1}}', '{"steps":' + "9" * 5000 + "}",
    '{"smoker":"\\ud800"}', '{"smoker":"no\\u0000"}', '{"__class__":1}', '{"steps":true}', "{" * 9000 + "}" * 9000,
    '{"a":' * 3000 + "1" + "}" * 3000,
    "<html><body>{}</body></html>", "\x1b[2J{\"steps\":14000}", "x" * 30_000, GOOD[:-1], GOOD[1:], "’{“steps”:14000}", "<think>" + GOOD,
)  # fmt: skip
"""What a model might say instead of an answer."""

BODIES = (
    b"", b"null", b"[]", b"{}", b'{"choices":[]}', b'{"choices":{}}', b'{"choices":[null]}', b'{"choices":[{"message":null}]}',
    b'{"choices":[{"message":{"content":null}}]}', b'{"choices":[{"message":{"content":["a"]}}]}', b'{"choices":[{"text":"{}"}]}',
    b'{"error":{"message":"steps=3000"}}', b"<!doctype html><html></html>", b"\xff\xfe\x00", b"[" * 100_000,
    b'{"choices":' * 5000, b"data: {}\n\n",
    b"\x1f\x8b\x08\x00" + b"\x00" * 50, b'{"choices":[{"message":{"content":' + b"9" * 6000 + b"}}]}",
)  # fmt: skip
"""What a server might send instead of a completion."""

STATUSES = ("200 OK", "204 No Content", "302 Found", "400 Bad", "404 No", "429 Slow down", "500 Oh", "999 ?")
HEADERS = ("Location: http://203.0.113.1/", "Content-Encoding: gzip", "Content-Encoding: br", "Content-Length: 7",
           "Transfer-Encoding: chunked", "Set-Cookie: a=b",
           "X: " + "y" * 5000, "Content-Type: text/html; charset=utf-16", "Bad header")  # fmt: skip


def hostile(chance: random.Random) -> bytes:
    """A reply that no good server gives: drawn, and then perhaps cut, doubled or spoilt."""
    kind = chance.random()
    if kind < 0.4:
        whole = completion(chance.choice(CONTENTS))
    elif kind < 0.7:
        more = chance.sample(HEADERS, chance.randrange(3))
        good = json.dumps({"choices": [{"message": {"content": GOOD}}]}).encode()
        whole = http(chance.choice((*BODIES, good)), chance.choice(STATUSES), *more)
    elif kind < 0.8:
        whole = chance.randbytes(chance.randrange(200))
    else:
        whole = completion(GOOD)
        at = chance.randrange(len(whole))
        spoilt = whole[:at] + chance.randbytes(3) + whole[at:]
        whole = chance.choice((whole[:at], spoilt, whole[at:], whole + whole, b"HTTP/1.1 100 Continue\r\n\r\n" * 50))
    return whole


def test_a_thousand_hostile_replies_do_no_harm(toy: Path) -> None:
    """Every one ends as proposals that are read strictly or as a reason that tells neither record nor reply; none takes long."""
    chance, replies = random.Random(0), list[bytes]()

    def says(body: dict[str, Any]) -> list[bytes]:
        replies.append(hostile(chance))
        return [replies[-1]]

    read, refused, told = 0, 0, set[str]()
    with serving(says) as (url, _):
        engine = Endpoint(Wire(url, seconds=5.0), "any", "", "x")
        for _ in range(1_100):
            engine._failed = 0
            (answer,) = engine.propose([asked()])
            if isinstance(answer, Unanswered):
                refused += 1
                told.add(answer.reason)
                continue
            for proposal in answer:
                outcome = reply.read(RECORD, proposal.text) if proposal.complete else reply.CUT
                read += not isinstance(outcome, str)
        engine.close()
    assert len(replies) >= 1_000 and read >= 50 and refused >= 300
    assert not [reason for reason in told if "3000" in reason or "203.0" in reason or "\n" in reason], told


def test_hostile_replies_leave_the_answer_to_the_search(toy: Path) -> None:
    chance = random.Random(1)
    with serving(lambda body: [completion(chance.choice(CONTENTS))]) as (url, _), Explainer.load(toy, generator=choice(url)) as explainer:
        for _ in range(3):
            answered = explainer.explain(STRESSED, proposals=4)
            assert answered.found and Explanation.from_json(json.loads(json.dumps(answered.to_json()))) == answered


# a real server


def llama_server(model: Path, port: int) -> list[str | Path]:
    """llama.cpp's own server, of the pinned source."""
    program = Path(os.environ.get("SENSECF_LLAMA_SERVER") or cache() / "llama/server/bin/llama-server")
    if not program.is_file():
        pytest.skip("llama-server is not built: make llama-server")
    return [program, "-m", model, "--host", "127.0.0.1", "--port", str(port), "-c", "8192", "-np", "1", "--threads", "1"]


def python_server(model: Path, port: int) -> list[str | Path]:
    """The server that the pinned llama-cpp-python brings."""
    for needed in ("fastapi", "uvicorn", "sse_starlette", "starlette_context", "pydantic_settings", "yaml"):
        pytest.importorskip(needed, reason="pip install 'llama-cpp-python[server]'")
    return [sys.executable, "-m", "llama_cpp.server", "--model", model, "--host", "127.0.0.1", "--port", str(port), "--n_ctx", "8192"]


@pytest.mark.parametrize("command", [llama_server, python_server])
def test_a_real_server_keeps_to_the_grammar(command: Callable[[Path, int], list[str | Path]], toy: Path, tmp_path: Path) -> None:
    model = toy_gguf(tmp_path / "any.gguf", context=8192)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(command(model, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            _until_it_answers(port, running)
            with Explainer.load(toy, generator=choice(f"http://127.0.0.1:{port}/v1")) as explainer:
                answered = explainer.explain(STRESSED, proposals=4, rounds=1)
                assert answered.provenance.generator == "openai:127.0.0.1#any (grammar)"
                assert answered.first_try is not None and not [why for why in answered.refusals if "JSON" in why or "cut" in why]
        finally:
            running.terminate()


def _until_it_answers(port: int, running: subprocess.Popen[bytes]) -> None:
    """It has loaded its model once it tells which it has."""
    for _ in range(1_200):
        assert running.poll() is None, "the server ended by itself"
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5):
            return
        time.sleep(0.1)
    raise AssertionError("the server does not answer")
