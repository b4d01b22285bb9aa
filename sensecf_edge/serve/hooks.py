"""CDS Hooks over HTTP, where it was asked for: discovery, a service for each model, feedback. For programs, which bring a key."""

from __future__ import annotations

import re
import stat
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..bundle.bundle import Bundle
from ..errors import ConstraintError, RecordError
from ..explain import Explainer
from ..fhir import hooks, moments
from ..fhir.reading import Reading, lacking, read_entries
from ..report.wording import plain
from ..schema.record import faults_in, parse_object
from ..schema.schema import Schema
from ..settings import FHIR, SERVE
from .app import JSON, MOST_ENTRIES, Json, Page, body, guarded

PATH = "/cds-services"
_KEY = re.compile(r"[A-Za-z0-9_-]{32,200}")


@dataclass
class Hooks:
    """What the three addresses share. `cards` are those that were shown: the service, the line of the audit log, and ids
    of their suggestions."""

    page: Page
    cards: OrderedDict[str, tuple[str, str, list[str]]] = field(default_factory=OrderedDict)
    _offered: dict[str, tuple[str, str, Schema]] = field(default_factory=dict)

    def offered(self) -> dict[str, tuple[str, str, Schema]]:
        """Models whose features have codes: key, title and schema by the id of their service. In the models' line."""
        for one in [] if self._offered else self.page.models.offered.values():
            schema = Bundle.open(one.given).schema
            if any(feature.code for feature in schema.features):
                name = re.sub(r"[^A-Za-z0-9]+", "-", one.key).strip("-") or "model"
                while name in self._offered:
                    name += "-2"
                self._offered[name] = one.key, plain(one.manifest.title or one.key), schema
        return self._offered

    def answered(self, name: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """The cards of a call. Raises RecordError where it is none."""
        if name not in self.offered():
            raise HTTPException(404, "no such service; ask /cds-services which there are")
        key, title, schema = self.offered()[name]
        call = hooks.asked(asked, schema)
        try:
            reading = read_entries(schema, call.found, moments.within(FHIR.within))
            if reading.subject and not reading.subject.endswith(f"/{call.person}"):
                raise RecordError(f"the record is of {reading.subject}, not of context.patientId")
        except RecordError as error:
            return [hooks.no_card(str(error), (), None, title)]
        if missing := lacking(schema, reading):
            return [hooks.no_card("", missing, reading, title)]
        if faults := faults_in(schema, reading.values):
            return [hooks.no_card("; ".join(faults.values()), (), reading, title)]
        return [self._card(name, self.page.models.explainer(key), reading, title)]

    def _card(self, name: str, explainer: Explainer, reading: Reading, title: str) -> dict[str, Any]:
        explanation = explainer.explain(reading.values, SERVE.answers, ease=False)
        entry = self.page.log.answered(explanation) if self.page.log else ""
        card = hooks.card(explanation, explainer.schema, reading, title)
        self.cards[card["uuid"]] = name, entry, [one["uuid"] for one in card.get("suggestions", [])]
        while len(self.cards) > MOST_ENTRIES:
            self.cards.popitem(last=False)
        return card

    def noted(self, name: str, told: list[hooks.Feedback]) -> None:
        """What became of a service's cards, into the audit log where one is kept. All of it or nothing."""
        for one in told:
            service, _, suggestions = self.cards.get(one.card, ("", "", []))
            if service != name or (one.accepted and one.suggestion not in suggestions):
                raise HTTPException(404, "no card of that id, or no such suggestion, was shown by this service")
        for one in told:
            _, entry, suggestions = self.cards[one.card]
            option = suggestions.index(one.suggestion) + 1 if one.accepted else None
            if self.page.log:
                self.page.log.noted(entry, one.accepted, one.reason[:500], option)


def routes(page: Page) -> list[Route]:
    """The three addresses."""
    held = Hooks(page)

    @guarded
    async def discovery(page: Page, request: Request) -> Response:
        offered = await page.line.do(held.offered, request.is_disconnected)
        return Json({"services": [hooks.service(name, title, schema) for name, (_, title, schema) in offered.items()]})

    @guarded
    async def call(page: Page, request: Request) -> Response:
        sent = await body(request, JSON, FHIR.max_bytes)
        try:
            cards = await page.line.do(lambda: held.answered(request.path_params["name"], _object(sent)), request.is_disconnected)
        except hooks.UnfetchedError as error:
            raise HTTPException(412, str(error)) from error
        except RecordError as error:
            raise HTTPException(400, str(error)) from error
        return Json({"cards": cards})

    @guarded
    async def feedback(page: Page, request: Request) -> Response:
        sent = await body(request, JSON)
        try:
            told = hooks.feedback(_object(sent))
        except RecordError as error:
            raise HTTPException(400, str(error)) from error
        await page.line.do(lambda: held.noted(request.path_params["name"], told), request.is_disconnected)
        return Json({})

    return [
        Route(PATH, discovery), Route(PATH + "/{name}", call, methods=["POST"]),
        Route(PATH + "/{name}/feedback", feedback, methods=["POST"]),
    ]  # fmt: skip


def _object(sent: bytes) -> dict[str, Any]:
    """The JSON of a request; a Bundle in it may be large. Raises RecordError."""
    return parse_object(sent, "the request", FHIR.max_bytes)


def key_in(path: Path, new: str) -> str:
    """The key in a file of this user's; `new` is written there where there is none. Raises ConstraintError."""
    from .. import private_files

    try:
        if not path.exists():
            private_files.replace(path, new + "\n")
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConstraintError(f"others can read {path}, which holds a key; make it yours alone: chmod 600 {path}")
        held = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ConstraintError(f"cannot use {path} for a key: {error}; name another file") from error
    if not _KEY.fullmatch(held):
        raise ConstraintError(f"{path} holds no key; a key has 32 to 200 letters, digits, - and _")
    return held
