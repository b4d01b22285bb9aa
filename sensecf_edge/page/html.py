"""Elements of HTML as text: whatever is put into one is escaped, unless it is an element itself."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ..report.wording import plain


class Html(str):
    """Markup. Everything else is text, which `el` escapes; templates that know `__html__` leave it as it is."""

    __slots__ = ()

    def __html__(self) -> Html:
        return self


def text(value: object) -> Html:
    """Escaped, for content and attributes alike, without control characters; markup stays as it is."""
    return value if isinstance(value, Html) else Html(escape(plain(str(value)), quote=True))


def joined(parts: Iterable[object]) -> Html:
    """One behind the other; None is nothing."""
    return Html("".join(text(part) for part in parts if part is not None))


def el(name: str, *children: object, cls: str = "", **attributes: object) -> Html:
    """An element. `cls` is its class; underscores in names of attributes stand for hyphens, None leaves one out."""
    given = {"class": cls or None, **attributes}
    said = "".join(f' {key.replace("_", "-")}="{text(value)}"' for key, value in given.items() if value is not None)
    return Html(f"<{name}{said}>{joined(children)}</{name}>")
