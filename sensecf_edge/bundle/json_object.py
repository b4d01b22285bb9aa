"""One JSON object of manifest.json, looked at strictly: every look says where it looked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BundleError

MANIFEST = "manifest.json"
REBUILD = "fetch the bundle again, or build it again with `sensecf-edge fit`"

_NEEDED: Any = object()


class JsonObject:
    """One JSON object of the manifest; every look says where it looked. Absent and null are the same where not needed."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self.data, self.where = data, where

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = _NEEDED) -> Any:
        """A value of this kind; the default where it is absent or null. Raises BundleError."""
        value = self.data.get(key)
        if value is None:
            if default is _NEEDED:
                raise BundleError(f"{MANIFEST}: {self.where}{key} is missing; {REBUILD}")
            return default
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.wrong(key)
        return value

    def wrong(self, key: str) -> BundleError:
        """The error that says that a value cannot be."""
        return BundleError(f"{MANIFEST}: {self.where}{key} cannot be {self.data[key]!r:.60}; {REBUILD}")

    def text(self, key: str, default: Any = _NEEDED) -> str:
        """A text."""
        return str(self.take(key, str, default))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of different texts."""
        value = self.take(key, list)
        if not value or not all(isinstance(v, str) for v in value) or len(set(value)) != len(value):
            raise self.wrong(key)
        return tuple(value)

    def whole(self, key: str, default: Any = None) -> int | None:
        """A whole number."""
        value = self.take(key, int, default)
        return None if value is None else int(value)

    def part(self, key: str) -> JsonObject:
        """An object inside this one."""
        return JsonObject(self.take(key, dict), f"{self.where}{key}.")
