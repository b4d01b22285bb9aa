"""What the page can ask for: itself, a model's form, an answer, a try by hand, a sheet of paper. Nothing is kept from one to the next."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import wraps
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ..arguments import whole
from ..audit.log import Log
from ..errors import ConstraintError, SenseCFError, place
from ..explain import Explainer
from ..fhir.writing import risk_assessment
from ..page import sheet
from ..report.wording import plain
from ..schema.record import parse_object
from ..settings import SERVE
from .answers import PageQuestion, explained, shown, understood
from .by_hand import moved_by_hand
from .files import rows_of
from .form import FieldsError, form
from .line import Line
from .models import Models
from .texts import HERE, text, texts

STATIC = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
JSON, FORM, FILES = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"
MOST_ENTRIES = 10_000
MultiPartParser.spool_max_size = SERVE.upload_bytes  # a file that is handed over stays in memory; else a large one goes to the disk
WORDS = {408: "slow", 413: "large", 415: "kind", 499: "gone", 503: "busy", 504: "long"}
Handler = Callable[["Page", Request], Awaitable[Response]]


class Json(JSONResponse):
    """An answer in JSON, and in ASCII: half a surrogate pair, which a request or a file can hold, has no other form to leave in."""

    def render(self, content: Any) -> bytes:
        """As bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Every error becomes an answer here; what is said of a fault in the program names its place and no value."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        page: Page = request.app.state.page
        try:
            return await handler(page, request)
        except FieldsError as error:
            return Json({"error": text("fields"), "fields": error.faults}, 422)
        except SenseCFError as error:
            return Json({"error": plain(str(error)), "kind": type(error).__name__}, 422)
        except HTTPException as error:
            said = text(WORDS[error.status_code]) if error.status_code in WORDS else error.detail
            return Json({"error": said}, error.status_code, error.headers)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:
            page.say(f"a request failed: a fault in this program ({place(error)})")
            return Json({"error": text("fault", place=place(error))}, 500)

    return answer


@dataclass
class Page:
    """What the handlers share: the models, the one line before them, where to talk to, and the audit log where one is kept.

    `entries` are the lines of answers that this page has shown, each with how many options: a note can be about no other.
    """

    models: Models
    line: Line
    say: Callable[[str], None]
    log: Log | None = None
    entries: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=MOST_ENTRIES))

    def __post_init__(self) -> None:
        folder = FileSystemLoader(HERE / "templates")
        templates = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        models = [{"key": o.key, "title": plain(o.manifest.title or o.manifest.name)} for o in self.models.offered.values()]
        limits = {"answers": SERVE.answers, "most_answers": SERVE.most_answers}
        start = {"models": models, "texts": texts(), "limits": limits, "audit": self.log is not None}
        self.html = templates.get_template("page.html").render(start=start, t=texts(), models=models)
        self.static = {path.name: path.read_bytes() for path in (HERE / "static").iterdir() if path.suffix[1:] in STATIC}

    def answer(self, explainer: Explainer, asked: PageQuestion) -> dict[str, Any]:
        """An answer as the page shows it; in the audit log before it is shown."""
        explanation = explained(explainer, asked)
        told = shown(explanation, explainer)
        if self.log is None:
            return told
        entry = self.log.answered(explanation)
        self.entries.append((entry, len(explanation.found)))
        return {**told, "entry": entry}

    async def asked(self, request: Request, asked: PageQuestion, work: Callable[[Explainer], Any]) -> Any:
        """What some work with the model of a question gives, in its turn."""
        return await self.line.do(lambda: work(self.models.explainer(asked.model, asked.base_rate)), request.is_disconnected)


async def body(request: Request, kind: str, most: int = SERVE.record_bytes) -> bytes:
    """What a request sends, of that kind and of `most` bytes. Raises HTTPException."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise HTTPException(415)
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > most:
            raise HTTPException(413, headers={"connection": "close"})
    return data


@guarded
async def index(page: Page, request: Request) -> Response:
    """The page itself."""
    return HTMLResponse(page.html)


@guarded
async def static(page: Page, request: Request) -> Response:
    """A file of the page, from memory: no path of the disk is ever made of what was asked."""
    name = request.path_params["name"]
    if name not in page.static:
        raise HTTPException(404, text("not_there"))
    return Response(page.static[name], media_type=STATIC[name.rpartition(".")[2]])


@guarded
async def model(page: Page, request: Request) -> Response:
    """A model's form."""
    key = request.query_params.get("key", "")
    return Json(await page.line.do(lambda: form(page.models.explainer(key), key), request.is_disconnected))


@guarded
async def explain(page: Page, request: Request) -> Response:
    """An answer."""
    asked = PageQuestion.of(parse_object(await body(request, JSON), "the question"))
    return Json(await page.asked(request, asked, lambda explainer: page.answer(explainer, asked)))


@guarded
async def by_hand(page: Page, request: Request) -> Response:
    """A try by hand."""
    asked = PageQuestion.of(parse_object(await body(request, JSON), "the question"))
    return Json(await page.asked(request, asked, lambda explainer: moved_by_hand(explainer, asked)))


@guarded
async def wish(page: Page, request: Request) -> Response:
    """What is understood of a wish; it limits nothing by itself."""
    data = parse_object(await body(request, JSON), "the wish")
    said, asked = data.pop("wish", None), PageQuestion.of(data)
    return Json(await page.asked(request, asked, lambda explainer: understood(explainer, asked, said)))


@guarded
async def note(page: Page, request: Request) -> Response:
    """What came of an answer, into the audit log."""
    data = parse_object(await body(request, JSON), "the note")
    entry, option, accepted, reason = (data.get(key) for key in ("entry", "option", "accepted", "reason"))
    log = page.log
    if log is None:
        raise ConstraintError(text("note_off"))
    options = next((count for shown, count in page.entries if shown == entry), None)
    if not options:
        raise ConstraintError(text("note_unknown" if options is None else "note_nothing"))
    if not isinstance(accepted, bool) or not isinstance(reason, str):
        raise ConstraintError(text("note_choose"))
    which = None if option is None else whole("the option", option, 1, options)
    made = await page.line.do(lambda: log.noted(str(entry), accepted, reason, which), request.is_disconnected)
    return Json({"entry": made})


@guarded
async def read(page: Page, request: Request) -> Response:
    """Records out of files."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FILES:
        raise HTTPException(415)
    async with request.form(max_files=50, max_fields=4, max_part_size=SERVE.record_bytes) as sent:
        key, local = str(sent.get("model", "")), str(sent.get("zone", ""))
        files = [(f.filename or "file", await f.read()) for f in sent.getlist("file") if isinstance(f, UploadFile)]
    rows = await page.line.do(lambda: rows_of(page.models.explainer(key).schema, files, local), request.is_disconnected)
    return Json({"rows": rows})


@guarded
async def keep(page: Page, request: Request) -> Response:
    """The answer on paper or as a file. It is computed again, so that it is this program's and nobody else's."""
    try:
        sent = dict(parse_qsl((await body(request, FORM)).decode("utf-8", "replace"), max_num_fields=4))
    except ValueError:
        sent = {}
    kind, question = sent.get("as", ""), parse_object(sent.get("question", ""), "the question")
    if kind not in ("json", "html", "fhir", "print"):
        raise ConstraintError("an answer is kept as json, html, fhir or print")
    asked = PageQuestion.of(question)
    explanation, bundle = await page.asked(request, asked, lambda explainer: (explained(explainer, asked), explainer.bundle))
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in bundle.name) or "answer"
    if kind in ("json", "fhir"):
        plain_values = explanation.to_json() if kind == "json" else risk_assessment(explanation, bundle.schema, datetime.now(timezone.utc))
        told, media = json.dumps(plain_values, indent=2, allow_nan=False), JSON
    else:
        told, media = sheet.report_html(explanation, bundle), "text/html; charset=utf-8"
    ending = "fhir.json" if kind == "fhir" else kind
    if kind == "print":
        return Response(told, media_type=media, headers={"content-security-policy": style_policy(), "x-frame-options": "SAMEORIGIN"})
    return Response(told, media_type=media, headers={"content-disposition": f'attachment; filename="{name}-answer.{ending}"'})


def style_policy() -> str:
    """What the report may do in its frame: have its one style, and be printed by the page around it."""
    digest = b64encode(sha256((sheet.STYLE + sheet.PAGE).encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"


async def _nothing(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Json({"error": text("not_there")}, status)


def app(page: Page, more: Sequence[Route] = ()) -> Starlette:
    """The application, without its door; with `more` addresses than the page's own."""
    routes = [
        Route("/", index), Route("/static/{name}", static), Route("/api/model", model), Route("/api/explain", explain, methods=["POST"]),
        Route("/api/try", by_hand, methods=["POST"]), Route("/api/read", read, methods=["POST"]),
        Route("/api/wish", wish, methods=["POST"]),
        Route("/api/note", note, methods=["POST"]), Route("/keep", keep, methods=["POST"]), *more,
    ]  # fmt: skip
    made = Starlette(routes=routes, exception_handlers={404: _nothing, 405: _nothing})
    made.state.page, made.router.redirect_slashes = page, False
    return made
