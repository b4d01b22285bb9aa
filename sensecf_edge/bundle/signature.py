"""Who a bundle is from: a signature beside its files, held against the public keys that somebody trusts.

The format is OpenSSF Model Signing 1.0 with a bare key, as `model_signing` writes it: a Sigstore bundle (JSON) around a DSSE
envelope around an in-toto statement that lists every file with its hash. Keys are on the curve P-256, the one that all
programs of that format have in common. Nothing is asked of a network; there is no log of signatures and no certificate.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import BundleError
from ..schema.parsing import LooseJsonError, strict
from .audit import beginning
from .manifest import SIGNATURE
from .p256 import PublicKey

LARGEST = 1_000_000
MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD, STATEMENT = "application/vnd.in-toto+json", "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
FIRST = date(2026, 1, 1)
"""No clock that is right shows an earlier day: this program is younger."""
UNTIL = re.compile(r"^Valid-Until: *(\S+) *$", re.MULTILINE)


@dataclass(frozen=True)
class Key:
    """A public key that somebody trusts, and the last day (UTC) of that; None: until it is taken away."""

    name: str
    key: PublicKey
    until: date | None

    @classmethod
    def load(cls, path: Path) -> Key:
        """From a PEM file, before which a line `Valid-Until: 2027-12-31` may stand. Raises BundleError."""
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST + 1)
            if len(data) > LARGEST:
                raise ValueError("is no public key in PEM: it is too large")
            text = data.decode("ascii")
            return cls(path.name, PublicKey.parse(text), _until(text))
        except OSError as error:
            raise BundleError(f"cannot read the key {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise BundleError(f"the key {path} is no text; give a public key in PEM") from error
        except ValueError as error:
            raise BundleError(f"the key {path} {error}") from error


def _until(text: str) -> date | None:
    found = UNTIL.findall(text)
    try:
        if len(found) != text.lower().count("valid-until"):
            raise ValueError
        (day,) = map(date.fromisoformat, found) if found else (None,)
        return day
    except ValueError:
        raise ValueError("has a line Valid-Until that is no single day; write Valid-Until: 2027-12-31") from None


def trusted(place: Path) -> tuple[Key, ...]:
    """The keys in a file or, names ending in .pem or .pub, in a folder. Raises BundleError where one cannot be read or none is there."""
    files = sorted(p for p in place.iterdir() if p.suffix in (".pem", ".pub")) if place.is_dir() else [place]
    if not files:
        raise BundleError(f"{place} holds no public key (*.pem, *.pub)")
    for odd in (p for p in files if place.is_dir() and p.exists() and not p.is_file()):  # a pipe would be waited for
        raise BundleError(f"{odd} is no plain file; keep keys alone in the folder")
    keys = tuple(map(Key.load, files))
    for k, key in enumerate(keys):
        for other in keys[:k]:
            if other.key == key.key:
                raise BundleError(
                    f"{other.name} and {key.name} in {place} are one key; keep one, or taking the other away would revoke nothing"
                )
    return keys


def check(name: str, folder: Path, hashes: Mapping[str, str], keys: tuple[Key, ...], today: date | None = None) -> Key:
    """The key that signed a bundle; `hashes` are the sha256 of each of its files, the manifest's among them, as they were read.

    Raises BundleError where there is no signature, where it is of another folder or of another key, or where one is not to be had.
    """
    path = folder / SIGNATURE
    if not os.path.lexists(path):
        raise BundleError(f"{name} is not signed: it holds no {SIGNATURE}; ask its maker, or sign it with `models sign`")
    data = beginning(folder, path, LARGEST + 1)
    try:
        if len(data) > LARGEST:
            raise ValueError(f"it holds over {LARGEST:,} bytes")
        payload, signature, hint = _envelope(_json(data))
        key = _signer(payload, signature, hint, keys)
        _still_valid(key, today or datetime.now(timezone.utc).date())
        signed = _resources(_json(payload))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        told = str(error) if type(error) in (ValueError, LooseJsonError) else "it is not in the format of OpenSSF Model Signing"
        raise BundleError(f"the signature of {name} does not hold: {told}") from error
    differ = sorted(file for file, digest in hashes.items() if signed.get(file) != digest)
    if differ:
        raise BundleError(f"the signature of {name} is of another folder, or of an older state: {differ[0]} is not as it was signed")
    return key


def _json(data: bytes) -> Any:
    try:
        return strict(data.decode("utf-8"))
    except LooseJsonError:
        raise
    except ValueError:
        raise ValueError("it is no JSON") from None


def _envelope(bundle: Any) -> tuple[bytes, bytes, str]:
    """What was signed, the signature, and what names the key."""
    envelope = bundle["dsseEnvelope"]
    if bundle["mediaType"] != MEDIA or envelope["payloadType"] != PAYLOAD:
        raise ValueError("it is of a format that is not known here")
    if len(envelope["signatures"]) != 1:
        raise ValueError("it holds none or several signatures, and one is wanted")
    try:
        payload, signature = (base64.b64decode(text, validate=True) for text in (envelope["payload"], envelope["signatures"][0]["sig"]))
    except binascii.Error:
        raise ValueError("its base64 cannot be read") from None
    return payload, signature, str(bundle["verificationMaterial"]["publicKey"].get("hint") or "")


def _signer(payload: bytes, signature: bytes, hint: str, keys: tuple[Key, ...]) -> Key:
    message = signed_text(payload)
    for key in keys:
        if key.key.verifies(signature, message) and hint in ("", key.key.hint):
            return key
    raise ValueError(f"none of the keys given has signed it ({', '.join(key.name for key in keys)})")


def _still_valid(key: Key, today: date) -> None:
    if key.until is None:
        return
    if today < FIRST:
        raise ValueError(f"{key.name} is valid until {key.until}, and this machine's clock was never set; set it (timedatectl)")
    if today > key.until:
        raise ValueError(f"{key.name} was valid until {key.until}; ask the maker for a signature with the present key")


def signed_text(payload: bytes) -> bytes:
    """What a DSSE signature is of."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def _resources(statement: Any) -> dict[str, str]:
    """File -> sha256, of a statement that agrees with itself."""
    if statement["_type"] != STATEMENT or statement["predicateType"] != PREDICATE:
        raise ValueError("what was signed is no list of a model's files")
    serialization, resources = statement["predicate"]["serialization"], statement["predicate"]["resources"]
    if serialization["method"] != "files" or serialization["hash_type"] != "sha256":
        raise ValueError("it was made with other hashes than sha256 of whole files; sign again with those")
    out: dict[str, str] = {}
    whole = hashlib.sha256()
    for resource in resources:
        if resource["name"] in out:
            raise ValueError("it names a file twice")
        if resource["algorithm"] != "sha256" or not re.fullmatch("[0-9a-f]{64}", resource["digest"]):
            raise ValueError("it holds a hash that is no sha256")
        out[resource["name"]] = resource["digest"]
        whole.update(bytes.fromhex(resource["digest"]))
    (subject,) = statement["subject"]
    if subject["digest"]["sha256"] != whole.hexdigest():
        raise ValueError("its list of files is not the one it was made for")
    return out


def statement(name: str, hashes: Mapping[str, str]) -> bytes:
    """What is to be signed: these files, in the order of their names."""
    files = sorted(hashes)
    whole = hashlib.sha256(b"".join(bytes.fromhex(hashes[file]) for file in files)).hexdigest()
    data = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": whole}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [SIGNATURE]},
            "resources": [{"name": file, "algorithm": "sha256", "digest": hashes[file]} for file in files],
        },
    }
    return json.dumps(data, separators=(",", ":")).encode()


def bundled(payload: bytes, signature: bytes, key: PublicKey) -> str:
    """The file's text."""
    sealed = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD,
              "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}]}  # fmt: skip
    data = {"mediaType": MEDIA, "verificationMaterial": {"publicKey": {"hint": key.hint}, "tlogEntries": []}, "dsseEnvelope": sealed}
    return json.dumps(data) + "\n"
