"""A bundle is signed: the only door to `cryptography` (extra `sign`). Whoever only verifies needs none of it."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ..errors import BundleError
from .bundle import Bundle
from .manifest import SIGNATURE
from .p256 import PublicKey
from .signature import bundled, signed_text, statement


def sign(bundle: Bundle, key: Path, password: str | None = None) -> Path:
    """Write model.sig into the bundle's folder, in the place of one that is there. Returns its path.

    `key` is a private key in PEM on the curve P-256. Raises BundleError where it is none, or where the folder holds files
    that the manifest does not list: whoever verifies the whole folder would find them unsigned.
    """
    others = [name for name in bundle.unlisted if name != SIGNATURE]
    if others:
        told = ", ".join(others[:3])
        raise BundleError(f"{bundle.folder} holds files that its manifest does not list ({told}); take them out, then sign")
    secret = _secret(key, password)
    public = PublicKey.parse(secret.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
    payload = statement(bundle.folder.resolve().name, bundle.hashes)
    signature = secret.sign(signed_text(payload), ec.ECDSA(hashes.SHA256()))
    path = bundle.folder / SIGNATURE
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(bundled(payload, signature, public), encoding="ascii")
        part.replace(path)
    except OSError as error:
        raise BundleError(f"cannot write {path}: {error.strerror}") from error
    return path


def _secret(path: Path, password: str | None) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password.encode() if password else None)
    except OSError as error:
        raise BundleError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = "it needs its password (--password-file)" if isinstance(error, TypeError) and not password else "is it a private key in PEM?"
        raise BundleError(f"the key {path} cannot be used: {why}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise BundleError(f"the key {path} is of another kind; make one with openssl ecparam -name prime256v1 -genkey -noout")
    return key
