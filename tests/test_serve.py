"""The page's door over real sockets: who is let in, what is refused, what is kept apart, and how it ends."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohort import PROGRAM
from conftest import CALM, PATIENCE, SCHEMA, STRESSED, Ran, write_toy
from sensors import clarity

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from sensecf_edge.answer.result import Explanation
from sensecf_edge.audit.chain import verify
from sensecf_edge.bundle.bundle import Bundle, write_manifest
from sensecf_edge.errors import RecordError, TableError
from sensecf_edge.explain import Explainer
from sensecf_edge.schema.schema import Schema
from sensecf_edge.serve.answers import PageQuestion, explained
from sensecf_edge.serve.by_hand import moved_by_hand
from sensecf_edge.serve.files import rows_of
from sensecf_edge.serve.form import FieldsError, record_of
from sensecf_edge.serve.texts import HERE, texts

ROOT = Path(__file__).parents[1]
HASTY = """
import sys
from sensecf_edge import settings
settings.SERVE = settings.SERVE._replace(body_seconds=1.0, head_seconds=1.0, waiting=60)
from sensecf_edge.serve import app
def fault(explainer, asked):
    raise ValueError(f"a value: {asked.values}")
app.moved_by_hand = fault
from sensecf_edge.cli.main import main
main(sys.argv[1:])
"""


class Served:
    """A page in a process of its own."""

    def __init__(self, *arguments: object, program: tuple[str, ...] = tuple(PROGRAM)) -> None:
        self.process = subprocess.Popen(
            [*program, "serve", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        if not select.select([self.process.stdout], [], [], 60)[0]:
            self.process.kill()
        self.url = self.process.stdout.readline().strip()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]{32,})", self.url)
        assert found, self.process.communicate()
        self.port, self.token = int(found[1]), found[2]
        self.host = f"127.0.0.1:{self.port}"
        self.cookie = self.session()
        self.log = Path()

    def session(self) -> str:
        status, headers, _ = self.ask("GET", f"/?token={self.token}", cookie="")
        assert status == 200
        return headers["set-cookie"].partition(";")[0]

    def ask(
        self, method: str, path: str, body: Any = None, cookie: str | None = None, **headers: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request as the page makes it, but for the headers that are given; None leaves one out."""
        plain = {
            "Host": self.host,
            "Cookie": self.cookie if cookie is None else cookie,
            "Sec-Fetch-Site": "same-origin",
            "Origin": None if method == "GET" else f"http://{self.host}",
            "Content-Type": None if body is None else "application/json",
        }
        given = {**plain, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            if data is not None and "Content-Length" not in given:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, what: str, question: Any, cookie: str | None = None) -> tuple[int, Any]:
        status, _, body = self.ask("POST", f"/api/{what}", question, cookie)
        return status, json.loads(body)

    def raw(self, data: bytes, slowly: bytes = b"") -> bytes:
        """What comes back for bytes, and for more of them one by one, until the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as sock:
            try:
                sock.sendall(data)
                for k in range(len(slowly)):
                    time.sleep(0.05)
                    sock.sendall(slowly[k : k + 1])
            except OSError:  # cut off
                pass
            out = b""
            try:
                while more := sock.recv(65536):
                    out += more
            except ConnectionResetError:
                pass
            return out

    def end(self, signum: int = signal.SIGINT) -> Ran:
        self.process.send_signal(signum)
        out, err = self.process.communicate(timeout=PATIENCE)
        return Ran(self.process.returncode, out, err)


def fields(values: dict[str, Any]) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in values.items()}


@pytest.fixture(scope="module")
def served(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page with the toy alone and an audit log, whose patience is short and whose tries by hand fail."""
    log = tmp_path_factory.mktemp("audit") / "log.jsonl"
    page = Served("--model", toy, "--only", "--port", 0, "--audit", log, program=(sys.executable, "-c", HASTY))
    page.log = log
    yield page
    ran = page.end()
    assert ran.code == 0
    lines = ran.err.splitlines()
    assert lines[0].startswith("Open this address") and all(re.fullmatch(r"a request failed: .*ValueError at .*", x) for x in lines[1:]), (
        ran.err
    )


QUESTION = {"model": "toy", "values": fields(STRESSED), "answers": 2}


def test_without_the_token_nothing_is_told(served: Served) -> None:
    ways = [
        ("GET", "/"),
        ("GET", "/static/main.js"),
        ("GET", "/api/model?key=toy"),
        ("POST", "/api/explain"),
        ("POST", "/keep"),
        ("GET", "/?token=" + "x" * 32),
        ("GET", f"/api/model?key=toy&token={served.token}"),
        ("GET", f"/?token={served.token}&token=x"),
        ("GET", "/?token=%ff%00"),
        ("HEAD", "/"),
        ("PUT", "/"),
        ("DELETE", "/nowhere"),
    ]
    for method, path in ways:
        for cookie in ("", "sensecf=1", f"sensecf-{served.port}=guess", served.cookie + "x"):
            status, headers, body = served.ask(method, path, {} if method == "POST" else None, cookie)
            assert (status, b"toy" in body, "set-cookie" in headers) == (403, False, False), (method, path)
    assert b"printed when it was started" in served.ask("GET", "/", cookie="")[2]


def test_the_token_gives_a_session_that_scripts_and_other_sites_never_see(served: Served) -> None:
    status, headers, body = served.ask("GET", f"/?token={served.token}", cookie="", Sec_Fetch_Site="cross-site")  # a link in a message
    name, _, rest = headers["set-cookie"].partition("=")
    assert (status, name) == (200, f"sensecf-{served.port}")
    assert rest.split("; ")[1:] == ["HttpOnly", "SameSite=Strict", "Path=/"] and served.token not in body.decode()
    assert "set-cookie" not in served.ask("GET", "/")[1]
    assert served.ask("GET", "/", cookie=headers["set-cookie"].partition(";")[0] + "; other=1")[0] == 200


def test_a_name_that_was_made_to_lead_here_is_refused(served: Served) -> None:
    for host in (
        "evil.example",
        f"evil.example:{served.port}",
        "127.0.0.1",
        f"127.0.0.1:{served.port + 1}",
        f"127.0.0.1.evil:{served.port}",
        f"{served.host}.",
        "",
        f"user@{served.host}",
    ):
        assert served.ask("GET", f"/?token={served.token}", Host=host)[0] in (400, 421), host
    assert served.ask("GET", "/", Host=f"localhost:{served.port}")[0] == 200
    assert served.ask("GET", "/", Host=None)[0] == 400
    two = served.raw(f"GET / HTTP/1.1\r\nHost: {served.host}\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
    assert two.split(b" ")[1] in (b"400", b"421")


def test_other_pages_cannot_ask_in_a_persons_name(served: Served) -> None:
    """Even where the browser sends the cookie: another port of 127.0.0.1 is the same site to it."""
    for origin in ("http://evil.example", f"http://127.0.0.1:{served.port + 1}", f"https://{served.host}", "null", None, "file://"):
        for site in ("cross-site", "same-site", None):
            assert served.ask("POST", "/api/explain", QUESTION, Origin=origin, Sec_Fetch_Site=site)[0] == 403, (origin, site)
            assert served.ask("POST", "/keep", b"as=json", Origin=origin, Sec_Fetch_Site=site)[0] == 403, (origin, site)
    assert served.ask("GET", "/api/model?key=toy", Origin="http://evil.example")[0] == 403
    assert served.ask("GET", "/static/main.js", Sec_Fetch_Site="cross-site")[0] == 403
    assert served.ask("OPTIONS", "/api/explain", Origin="http://evil.example")[0] == 403


def test_every_answer_leaves_with_the_same_headers(served: Served) -> None:
    asked = [
        served.ask("GET", "/"),
        served.ask("GET", "/", cookie=""),
        served.ask("GET", "/", Host="evil"),
        served.ask("GET", "/static/x"),
        served.ask("GET", "/static/main.js"),
        served.ask("POST", "/api/explain", {}),
    ]
    assert [status for status, _, _ in asked] == [200, 403, 421, 404, 200, 422]
    for _, headers, _ in asked:
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy and "frame-ancestors 'none'" in policy
        assert (headers["x-content-type-options"], headers["cache-control"], headers["referrer-policy"]) == (
            "nosniff",
            "no-store",
            "no-referrer",
        )
        assert not {"server", "access-control-allow-origin", "x-powered-by"} & set(headers)


def test_what_is_too_large_or_too_slow_is_cut_off(served: Served) -> None:
    began = time.monotonic()
    assert served.ask("POST", "/api/explain", b"{}", Content_Length="100000000")[0] == 413
    assert served.ask("POST", "/api/explain", b" " * 1_000_001)[0] == 413
    head = f"POST /api/explain HTTP/1.1\r\nHost: {served.host}\r\nCookie: {served.cookie}\r\nOrigin: http://{served.host}\r\n"
    head += "Content-Type: application/json\r\n"
    endless = head + "Transfer-Encoding: chunked\r\n\r\n" + f"{65536:x}\r\n{'x' * 65536}\r\n" * 1600  # 100 MB
    assert served.raw(endless.encode())[9:12] in (b"413", b"")
    assert served.raw((head + "Content-Length: 50\r\n\r\n").encode(), b"{" * 40)[9:12] == b"408"
    assert served.raw(head.encode(), b"X: yes" * 7) == b""  # a head that never ends
    begun = f"GET / HTTP/1.1\r\nHost: {served.host}\r\n\r\n"
    assert served.raw(begun.encode(), b"GET / HTTP/1.1\r\nX: no end in sight")[9:12] == b"403"  # nor does the second one
    assert served.raw(b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000)[9:12] in (b"400", b"431", b"")
    assert time.monotonic() - began < 100
    assert served.post("explain", QUESTION)[0] == 200


def test_no_path_leads_to_a_file(served: Served) -> None:
    for path in (
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/",
        "/static/texts.json",
        "/static/page.html",
        "//static/main.js",
        "/static/main.js%00.txt",
        "/static/main.js/",
        "/docs",
        "/openapi.json",
        "/api",
        "/api/explain",
        "/keep",
        "/static/..\\app.py",
    ):
        status, _, body = served.ask("GET", path)
        assert status in (404, 405) and len(body) < 200, path
    assert served.raw(b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[9:12] == b"421"
    assert served.raw(b"\x16\x03\x01\x02\x00hello\r\n\r\n")[9:12] == b"400"  # TLS


def test_bad_questions_end_alone_and_say_what_is_wrong(served: Served) -> None:
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"):
        assert served.ask("POST", "/api/explain", QUESTION, Content_Type=kind)[0] == 415, kind
    assert served.ask("POST", "/api/read", b"{}", Content_Type="application/json")[0] == 415
    assert served.ask("POST", "/api/read", b"--x\r\nno", Content_Type="multipart/form-data; boundary=x")[0] in (400, 422)
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"model":"toy","model":"toy"}',
        b'{"model": NaN}',
        b'{"model":"toy"}',
    ):
        assert served.ask("POST", "/api/explain", body)[0] == 422, body[:20]
    bad = [
        {"extra": 1},
        {"model": "../toy"},
        {"model": "heart"},
        {"values": []},
        {"values": {"age": 44}},
        {"answers": 7},
        {"answers": "2"},
        {"answers": True},
        {"freeze": "age"},
        {"freeze": ["ages"]},
        {"bounds": {"age": [1]}},
        {"bounds": {"age": [5, float("1e999")]}},
        {"bounds": {"steps": [9, 1]}},
        {"costs": {"steps": -1}},
        {"costs": [1]},
        {"max_changes": 0},
        {"max_changes": 1e3},
        {"base_rate": 1},
        {"base_rate": "10%"},
        {"freeze": ["steps", "deep_sleep", "smoker"]},
    ]
    for more in bad:
        status, answer = served.post("explain", {**QUESTION, **more})
        assert (status, len(answer["error"]) > 10) == (422, True), more
    status, answer = served.post("explain", {**QUESTION, "values": {"age": "300", "steps": None, "smoker": "<b>maybe</b>", "size": "1"}})
    assert status == 422 and set(answer["fields"]) == {"age", "steps", "smoker", "size"}
    assert answer["fields"]["age"] == "Age cannot be 300; allowed is 18 to 90 years"  # as the command line says it
    assert "'<b>maybe</b>'" in answer["fields"]["smoker"]
    status, answer = served.post("explain", {**QUESTION, "values": {"\ud800": "1"}})  # half a surrogate pair
    assert status == 422 and "\ud800" in answer["fields"]
    assert served.post("explain", QUESTION)[0] == 200


def test_a_fault_of_ours_names_its_place_and_no_value(served: Served) -> None:
    status, answer = served.post("try", {**QUESTION, "moved": {}})
    assert status == 500 and "ValueError at" in answer["error"] and "44" not in answer["error"].partition("at ")[0]
    assert served.post("explain", QUESTION)[0] == 200


def test_fifty_at_once_by_two_sessions_are_all_answered_each_its_own(served: Served, toy: Path) -> None:
    cookies = [served.cookie, served.session()]
    questions = [{**QUESTION, "values": fields({**STRESSED, "age": 30 + k, "steps": 2000 + 50 * k})} for k in range(50)]
    answers: dict[int, Any] = {}

    def ask(k: int) -> None:
        answers[k] = served.post("explain", questions[k], cookies[k % 2])

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [answers[k][0] for k in range(50)] == [200] * 50
    with Explainer.load(toy) as explainer:
        assert [answers[k][1]["explanation"]["factual"]["age"] for k in range(50)] == [30 + k for k in range(50)]
        for k in range(0, 50, 7):
            made = Explanation.from_json(answers[k][1]["explanation"])
            alone = explained(explainer, PageQuestion.of(questions[k]))
            assert made.factual == alone.factual and made.found == alone.found


def test_what_was_shown_and_what_came_of_it_is_in_the_audit_log_without_a_value(served: Served) -> None:
    status, answer = served.post("explain", {**QUESTION, "values": fields({**STRESSED, "age": 77, "steps": 4321})})
    assert status == 200
    note = {"entry": answer["entry"], "option": 1, "accepted": False, "reason": "<script>knee</script>"}
    assert served.post("note", note)[0] == 200
    beyond = len(answer["cards"]) + 1
    for wrong in ({"entry": "0" * 64}, {"entry": None}, {"entry": [1]}, {"option": 0}, {"option": beyond},
                  {"accepted": "yes"}, {"reason": 5}, {"reason": "x" * 501}):  # fmt: skip
        assert served.post("note", {**note, **wrong})[0] == 422, wrong
    found = verify(served.log)
    assert found.faults == () and found.lines > 1
    *_, shown, noted = served.log.read_text(encoding="utf-8").splitlines()
    assert json.loads(noted)["of"] == answer["entry"] == json.loads(shown)["hash"] and json.loads(noted)["reason"] == note["reason"]
    assert "4321" not in shown and "77" not in json.dumps(json.loads(shown)["shown"]["options"])


def test_nothing_is_noted_of_an_answer_that_showed_no_option(served: Served) -> None:
    status, answer = served.post("explain", {**QUESTION, "values": fields(CALM)})
    assert (status, answer["cards"]) == (200, [])
    for option in (None, 1):
        status, told = served.post("note", {"entry": answer["entry"], "option": option, "accepted": True, "reason": ""})
        assert status == 422 and "no option" in told["error"].lower(), told


def test_a_number_may_have_a_decimal_comma_and_is_asked_back_where_it_may_be_two() -> None:
    schema = Schema.from_json(SCHEMA)
    plain = fields(STRESSED)
    for typed, read in (("10,5", 10.5), ("10.5", 10.5), ("0,125", 0.125), ("10,500", 10.5), (" 7,0 ", 7.0)):  # 10,500 percent cannot be
        assert record_of(schema, {**plain, "deep_sleep": typed}).to_mapping()["deep_sleep"] == read
    assert record_of(schema, {**plain, "steps": "14,5"}).to_mapping()["steps"] == 14.5
    for typed in ("7,080", "1,080", "25,500", "99,000"):
        with pytest.raises(FieldsError) as caught:
            record_of(schema, {**plain, "steps": typed})
        assert caught.value.faults == {"steps": f"{typed} may be thousands or decimals; write it without a comma, or with a decimal point."}
    for typed in ("1,2,3", "7.080,5", "1,", ","):
        with pytest.raises(FieldsError):
            record_of(schema, {**plain, "steps": typed})


def test_who_goes_away_holds_nobody_up(served: Served) -> None:
    body = json.dumps(QUESTION).encode()
    head = (
        f"POST /api/explain HTTP/1.1\r\nHost: {served.host}\r\nCookie: {served.cookie}\r\nOrigin: http://{served.host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for part in (head + body, head + body[:20], head[:40], b""):
        for _ in range(15):
            with socket.create_connection(("127.0.0.1", served.port)) as sock:
                sock.sendall(part)
    assert served.post("explain", QUESTION)[0] == 200


def test_an_answer_is_kept_as_the_command_line_gives_it(served: Served, toy: Path) -> None:
    from urllib.parse import urlencode

    question = json.dumps({**QUESTION, "freeze": ["smoker"]})
    for kind, found in (("json", "attachment"), ("html", "attachment"), ("print", "")):
        form = urlencode({"as": kind, "question": question}).encode()
        status, headers, body = served.ask("POST", "/keep", form, Content_Type="application/x-www-form-urlencoded", Origin="null")
        assert status == 200 and headers.get("content-disposition", "").startswith(found)
        if kind == "json":
            made = Explanation.from_json(json.loads(body))
            with Explainer.load(toy) as explainer:
                assert made.found == explained(explainer, PageQuestion.of(json.loads(question))).found
            assert made.provenance.freeze == ("smoker",)
        else:
            assert b"Steps a day" in body and b"<script" not in body
    assert headers["x-frame-options"] == "SAMEORIGIN" and "style-src 'sha256-" in headers["content-security-policy"]
    for bad in ("as=exe&question={}", "as=json", "as=json&question=[]", "&" * 500):
        status = served.ask("POST", "/keep", bad.encode(), Content_Type="application/x-www-form-urlencoded")[0]
        assert status == 422, bad


def test_files_become_records(served: Served) -> None:
    def read(*files: tuple[str, bytes], model: str = "toy") -> tuple[int, Any]:
        parts = [b'--edge\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + model.encode() + b"\r\n"]
        parts += [
            b'--edge\r\nContent-Disposition: form-data; name="file"; filename="' + name.encode() + b'"\r\n\r\n' + data + b"\r\n"
            for name, data in files
        ]
        body = b"".join([*parts, b"--edge--\r\n"])
        status, _, answer = served.ask("POST", "/api/read", body, Content_Type="multipart/form-data; boundary=edge")
        return status, json.loads(answer)

    status, answer = read(("me.json", json.dumps({**STRESSED, "name": "<i>"}, indent=1).encode()))
    assert (status, answer["rows"][0]["values"], answer["rows"][0]["unused"]) == (200, fields(STRESSED), ["name"])
    status, answer = read(("a.csv", "﻿Name;age;steps;smoker;deep_sleep\r\nA;44;3000;yes;10,5\r\nB;50;;no;?\r\n".encode()))
    rows = answer["rows"]
    assert [row["values"]["deep_sleep"] for row in rows] == ["10.5", None] and rows[1]["values"]["steps"] is None
    status, answer = read(("me.json", b'{"smoker": "\\ud800"}'))
    assert (status, answer["rows"][0]["values"]) == (200, {"smoker": "\ud800"})
    for name, data in (
        ("x.csv", b"a,b\n1,2\n"),
        ("../../etc/passwd", b"\x00\x01"),
        ("x.xlsx", b"PK\x03\x04"),
        ("x.gz", gzip.compress(b"age\n" + b"x" * 10**7)),
        ("x.csv", b""),
        ("x", b"[1]"),
    ):
        status, answer = read((name, data))
        assert status == 422 and answer["error"], name
    assert read(("me.json", b"{}"), model="nothing")[0] == 422
    assert read()[0] == 422


@pytest.fixture(scope="module")
def heart() -> Iterator[Explainer]:
    with Explainer.load("heart") as explainer:
        yield explainer


def _try(explainer: Explainer, values: dict[str, Any], moved: dict[str, str | None], **more: Any) -> dict[str, Any]:
    return moved_by_hand(explainer, PageQuestion.of({"model": "x", "values": fields(values), "moved": moved, **more}))


def test_a_try_by_hand_says_the_risk_the_rules_and_what_follows() -> None:
    with Explainer.load("metabolic") as explainer:
        values = dict(max((s.values for s in explainer.bundle.samples), key=lambda held: held["Weight"] or 0))
        same, lighter = _try(explainer, values, {}), _try(explainer, values, {"Weight": str(round(0.6 * values["Weight"]))})
        assert (same["changes"], same["rules"]) == ([], [])
        assert {c["feature"]: c["follows"] for c in lighter["changes"]} == {"Weight": False, "BMI": True}
        assert lighter["risk"]["now"] < same["risk"]["now"] and re.search("Weight.* advised", lighter["rules"][0])
        odd = _try(explainer, values, {"BPDiaAve": "140", "Age": "30"})
        assert any("is over" in rule for rule in odd["rules"]) and any("Age cannot change" in rule for rule in odd["rules"])
        open_ = _try(explainer, values, {"Pulse": None, "HDL": None} if "HDL" in values else {"Pulse": None})
        assert open_["risk"]["low"] < open_["risk"]["high"]


def test_a_broken_bundle_is_refused_in_its_own_words(heart: Explainer) -> None:
    for data, said in ((b'{"resourceType": "Bundle", "entry": [', "not JSON"),
                       (b'{"resourceType": "Bundle", "type": 1, "type": 2}', "stands twice"),
                       (b'{"resourceType": "Patient"}', "Bundle.resourceType is 'Patient'")):  # fmt: skip
        with pytest.raises(RecordError, match=said):
            rows_of(heart.schema, [("b.json", data)])
    (row,) = rows_of(heart.schema, [("b.json", b'{"resourceType": "Bundle"}')])
    assert row["values"] == {} and "says nothing of the last 1 year" in row["told"][0]


def test_an_option_tried_by_hand_has_the_risk_that_its_card_says(heart: Explainer) -> None:
    values = dict(heart.bundle.samples[1].values)
    made = explained(heart, PageQuestion.of({"model": "heart", "values": fields(values), "answers": 3}))
    assert len(made.found) == 3
    for answer in made.found:
        moved = {change.feature: str(change.after) for change in answer.changes if not change.follows}
        got = _try(heart, values, moved)
        assert got["risk"]["now"] == pytest.approx(answer.risk, abs=1e-6) and got["rules"] == [] and got["status"] == "already"


def test_what_is_wrong_with_an_export_names_the_file_as_it_was_given() -> None:
    line = b"time,end,kind,value,unit\n2026-05-01T08:00:00Z,2026-05-01T09:00:00Z,steps,300,\n"
    with pytest.raises(TableError, match=r"^watch\.csv\b.*: steps has no unit"):
        rows_of(Bundle.open("stress").schema, [("watch.csv", line)], "Europe/London")


def test_a_days_export_fills_in_what_it_knows() -> None:
    schema = Bundle.open("stress").schema
    export = [("clarity.csv", clarity(["110"] * 576).encode())]
    with pytest.raises(TableError, match="where they live"):
        rows_of(schema, export)
    rows = rows_of(schema, export, "Europe/London")
    assert [row["label"].split()[-1] for row in rows] == ["2026-05-02", "2026-05-01"]
    assert (rows[0]["values"]["glucose_mean"], rows[0]["values"]["steps"]) == ("110", None)
    with pytest.raises(TableError):
        rows_of(schema, [("a.csv", b"x\n1\n"), ("b.csv", b"y\n2\n")])
    with pytest.raises(RecordError):
        rows_of(schema, [])


def test_a_port_in_use_is_told_with_what_to_do(served: Served) -> None:
    program = [*PROGRAM, "serve", "--model", "heart", "--port", str(served.port)]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 2 and ran.stdout == "" and f"port {served.port} is in use" in ran.stderr and "--port 0" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--host", "0.0.0.0", "--plain"), "every address"),
        (("--host", "192.0.2.1"), "--plain allows it"),
        (("--host", "192.0.2.1", "--plain"), "cannot listen on"),
        (("--host", "example.org"), "no address"),
        (("--only",), "which ones"),
        (("--model", "nothing"), "no model is called"),
    ],
)
def test_a_place_that_cannot_be_is_refused(arguments: tuple[str, ...], said: str, command: Any) -> None:
    ran = command("serve", *arguments, "--port", "0")
    assert ran.code in (1, 2) and said in ran.err and not ran.out


def test_ctrl_c_ends_it_quietly_with_tabs_open() -> None:
    page = Served("--model", "heart", "--only", "--port", 0)
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=PATIENCE)
    connection.request("GET", "/", headers={"Host": page.host, "Cookie": page.cookie})
    assert connection.getresponse().read()
    began = time.monotonic()
    ran = page.end()
    connection.close()
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (0, "", 1) and time.monotonic() - began < 10


def test_a_wish_is_told_back_and_limits_nothing_by_itself(served: Served) -> None:
    asked = {"model": "toy", "values": fields(STRESSED)}
    status, found = served.post("wish", {**asked, "wish": "My knee hurts. Leave my deep sleep alone, at most 9,000 steps a day"})
    assert status == 200 and found["freeze"] == ["deep_sleep"] and found["bounds"] == {"steps": [0.0, 9000.0]} and not found["costs"]
    assert [said.split(" (")[0] for said in found["sentences"]][2] == "Not understood and not used: “My knee hurts”."
    for wish in (None, 7, ["x"], "x" * 3_000):
        assert served.post("wish", {**asked, "wish": wish})[0] == 422
    assert served.post("wish", {**asked, "wish": "keep deep sleep", "more": 1})[0] == 422


def test_the_pages_texts_are_in_one_place_and_none_is_left_over() -> None:
    """So that they can be translated; the page's own files name them by key."""
    sources = {path.name: path.read_text(encoding="utf-8") for folder in ("static", "templates") for path in (HERE / folder).iterdir()}
    program = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("*.py"))
    page = "".join(sources.values())
    used = {
        *re.findall(r"""\bt\(["'](\w+)["']""", page),
        *re.findall(r"\bt\.(\w+)", sources["page.html"]),
        *re.findall(r"""text\("(\w+)\"""", program),
    }
    named = {key for key in texts() if re.search(rf"""["'`]{key}["'`]""", page + program)}
    stages = {"record", "now", "options", "hand", "keep"}
    made = {"hard_0.5", "hard_1", "hard_3", "hard_10", "note_accepted", "note_refused"}
    assert used <= set(texts()) and set(texts()) == used | named | stages | made
    for name, source in sources.items():
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", source), name
        assert not re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|localStorage|sessionStorage|indexedDB", source
        ), name


def marked(folder: Path) -> Path:
    """A toy whose labels, units, choices, title and samples are markup."""
    write_toy(folder)
    bold = '<img src=x onerror="document.title=1">'
    schema = json.loads(json.dumps(SCHEMA))
    for feature in schema["features"]:
        feature["label"] = bold[:60] if feature["name"] != "smoker" else "</script><b>Smokes</b>"
    (folder / "schema.json").write_text(json.dumps(schema))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"title": f"Toy {bold}</script><script>document.title=2</script>", "not_for": bold, "name": "marked"}
    for key in ("files", "schema_hash", "features", "format"):
        del manifest[key]
    write_manifest(folder, manifest)
    assert Schema.load(folder / "schema.json").features[0].label.startswith("<img") and np.isfinite(os.getpid())
    return folder


def test_markup_in_a_bundle_is_text_in_the_page(tmp_path: Path) -> None:
    page = Served("--model", marked(tmp_path / "marked"), "--only", "--port", 0)
    try:
        _, _, body = page.ask("GET", "/")
        assert body.count(b"<script") == 2 and b"<img" not in body and body.count(b"</script>") == 2
        start = re.search(rb'<script type="application/json" id="start">(.*?)</script>', body, re.DOTALL)
        assert start and "onerror" in json.loads(start[1])["models"][0]["title"]
        status, answer = page.post("explain", {"model": "marked", "values": fields(CALM), "answers": 1})
        assert status == 200 and answer["status"] == "already"
    finally:
        assert page.end().code == 0
