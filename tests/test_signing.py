"""Signed bundles: what verifies, what does not and why it says so; and that OpenSSF's own program agrees."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import STRESSED, Ran
from hypothesis import given, settings
from hypothesis import strategies as st

from sensecf_edge.bundle import signature
from sensecf_edge.bundle.bundle import Bundle
from sensecf_edge.bundle.p256 import PublicKey
from sensecf_edge.bundle.signature import SIGNATURE, Key, check, trusted
from sensecf_edge.errors import BundleError

pytest.importorskip("cryptography", reason="the extra sign is not installed")
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sensecf_edge.bundle import signing

PUBLIC = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
PRIVATE = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)


def make_keys(folder: Path, name: str = "maker", secret: Any = None, password: bytes | None = None) -> tuple[Path, Path]:
    """A private and a public key in PEM."""
    secret = secret or ec.generate_private_key(ec.SECP256R1())
    sealed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private, public = folder / f"{name}.key", folder / f"{name}.pem"
    private.write_bytes(secret.private_bytes(*PRIVATE, sealed))
    public.write_bytes(secret.public_key().public_bytes(*PUBLIC))
    return private, public


@pytest.fixture
def signed(toy_copy: Path, tmp_path: Path) -> Path:
    """A bundle signed by `maker`, whose keys lie in tmp_path."""
    signing.sign(Bundle.open(toy_copy), make_keys(tmp_path)[0])
    return toy_copy


def holds(folder: Path, *keys: Path, today: date | None = None) -> Key:
    bundle = Bundle.open(folder)
    return check(bundle.name, folder, bundle.hashes, tuple(map(Key.load, keys)), today)


def test_a_folder_of_keys_holds_each_key_once_and_nothing_that_is_waited_for(signed: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    shutil.copy(tmp_path / "maker.pem", keys)
    assert trusted(keys)[0].name == "maker.pem"
    (keys / "other.pub").write_text("Valid-Until: 2027-12-31\n" + (tmp_path / "maker.pem").read_text())
    with pytest.raises(BundleError, match=r"maker\.pem and other\.pub in .* are one key"):
        trusted(keys)
    (keys / "other.pub").unlink()
    os.mkfifo(keys / "pipe.pem")
    with pytest.raises(BundleError, match=r"pipe\.pem is no plain file"):
        trusted(keys)
    (keys / "pipe.pem").unlink()
    (keys / "zero.pem").symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=r"zero\.pem is no plain file"):
        trusted(keys)
    with pytest.raises(BundleError, match="it is too large"):
        Key.load(Path("/dev/zero"))


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 2**255), st.integers(0, 70), st.integers(0, 255))
def test_signatures_are_verified_as_cryptography_makes_them_and_nothing_else_is(message: bytes, secret: int, at: int, value: int) -> None:
    private = ec.derive_private_key(secret, ec.SECP256R1())
    key = PublicKey.parse(private.public_key().public_bytes(*PUBLIC).decode())
    made = private.sign(message, ec.ECDSA(hashes.SHA256()))
    assert key.verifies(made, message) and not key.verifies(made, message + b"x")
    other = bytearray(made)
    other[at % len(made)] = value
    assert key.verifies(bytes(other), message) == (bytes(other) == made)
    assert not key.verifies(made[:-1], message) and not key.verifies(made + b"\0", message) and not key.verifies(b"", message)


def test_keys_of_another_kind_or_off_the_curve_are_refused() -> None:
    for other in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        with pytest.raises(ValueError, match="another kind"):
            PublicKey.parse(other.public_key().public_bytes(*PUBLIC).decode())
    good = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*PUBLIC).decode()
    assert PublicKey.parse("a word before it\n" + good).pem == good
    with pytest.raises(ValueError, match="no point"):
        PublicKey.parse(PublicKey(PublicKey.parse(good).x, 5).pem)
    for text in ("", good + good, good.replace("MF", "M?")):
        with pytest.raises(ValueError):
            PublicKey.parse(text)


def test_a_signed_bundle_verifies_until_anything_in_it_changes(signed: Path, tmp_path: Path) -> None:
    assert holds(signed, tmp_path / "maker.pem").name == "maker.pem" and Bundle.open(signed).unlisted == []
    (signed / "manifest.json").write_text(json.dumps(json.loads((signed / "manifest.json").read_text()), indent=3))
    with pytest.raises(BundleError, match=r"another folder, or of an older state: manifest\.json"):
        holds(signed, tmp_path / "maker.pem")


def test_who_did_not_sign_and_whose_time_is_over_is_refused(signed: Path, tmp_path: Path) -> None:
    _, stranger = make_keys(tmp_path, "stranger")
    with pytest.raises(BundleError, match=r"none of the keys given has signed it \(stranger.pem\)"):
        holds(signed, stranger)
    dated = tmp_path / "maker.pem"
    dated.write_text("Valid-Until: 2027-06-30\n" + dated.read_text())
    assert holds(signed, stranger, dated, today=date(2027, 6, 30)).name == "maker.pem"
    for day, told in ((date(2027, 7, 1), "was valid until 2027-06-30"), (date(1970, 1, 1), "clock was never set")):
        with pytest.raises(BundleError, match=told):
            holds(signed, dated, today=day)
    pem = dated.read_text().partition("\n")[2]
    for wrong in ("Valid-Until: soon\n", "Valid-Until: 2027-06-30\nValid-Until: 2027-06-30\n", "valid-until 2027-06-30\n"):
        dated.write_text(wrong + pem)
        with pytest.raises(BundleError, match="no single day"):
            Key.load(dated)


def resigned(folder: Path, key: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The bundle's own statement, changed, and signed in earnest."""
    bundle = json.loads((folder / SIGNATURE).read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    payload, secret = json.dumps(statement).encode(), serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(secret, ec.EllipticCurvePrivateKey)
    public = PublicKey.parse(secret.public_key().public_bytes(*PUBLIC).decode())
    made = secret.sign(signature.signed_text(payload), ec.ECDSA(hashes.SHA256()))
    (folder / SIGNATURE).write_text(signature.bundled(payload, made, public))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]), "names a file twice"),
        (lambda s: s["predicate"]["resources"].pop(), "not the one it was made for"),
        (lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"), "no list of a model's files"),
        (lambda s: s["predicate"]["serialization"].update(method="shards"), "other hashes"),
        (lambda s: s["predicate"]["resources"][0].update(algorithm="md5"), "no sha256"),
        (lambda s: s.update(subject=[]), "not enough values|not in the format"),
        (lambda s: s.pop("predicate"), "not in the format"),
    ],
)
def test_statements_that_are_signed_and_yet_wrong_are_refused(
    change: Callable[[dict[str, Any]], object], told: str, signed: Path, tmp_path: Path
) -> None:
    resigned(signed, tmp_path / "maker.key", change)
    with pytest.raises(BundleError, match=told):
        holds(signed, tmp_path / "maker.pem")


def test_signatures_that_are_none_are_refused_in_words(signed: Path, tmp_path: Path) -> None:
    whole = json.loads((signed / SIGNATURE).read_text())
    twice = json.loads(json.dumps(whole))
    twice["dsseEnvelope"]["signatures"] *= 2
    deep = "[" * 100_000
    for text, told in [
        (json.dumps(twice), "none or several signatures"), ("{", "no JSON"), ("[]", "not in the format"), ("7", "not in the format"),
        (deep, "not in the format|no JSON"), (json.dumps({**whole, "mediaType": "x"}), "not known here"),
        ("x" * 1_000_001, "holds over"), ('{"mediaType": 1, "mediaType": 2}', "stands twice"),
    ]:  # fmt: skip
        (signed / SIGNATURE).write_text(text)
        with pytest.raises(BundleError, match=told):
            holds(signed, tmp_path / "maker.pem")
    (signed / SIGNATURE).unlink()
    with pytest.raises(BundleError, match="is not signed"):
        holds(signed, tmp_path / "maker.pem")
    for put, told in [(os.mkfifo, "is not a plain file"), (lambda path: path.symlink_to(path.name), "is missing"),
                      (lambda path: path.symlink_to("/dev/zero"), "leads out of")]:  # fmt: skip
        put(signed / SIGNATURE)
        with pytest.raises(BundleError, match=told):  # and nobody waits for a writer
            holds(signed, tmp_path / "maker.pem")
        (signed / SIGNATURE).unlink()


def test_only_signed_models_are_opened_where_that_is_asked_for(signed: Path, tmp_path: Path, command: Callable[..., Ran]) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "record.json").write_text(json.dumps(STRESSED))
    asked = ("explain", tmp_path / "record.json", "--model", signed, "--require-signed", tmp_path / "keys")
    ran = command(*asked)
    assert ran.code != 0 and "holds no public key" in ran.err
    make_keys(tmp_path / "keys", "other")
    assert "none of the keys" in command(*asked).err
    shutil.copy(tmp_path / "maker.pem", tmp_path / "keys")
    assert command(*asked).code == 0
    (tmp_path / "keys" / "maker.pem").unlink()  # revoked
    assert command(*asked).code != 0
    ran = command("batch", "-", "-o", "-", "--model", "heart", "--require-signed", tmp_path / "maker.pem")
    assert "heart is not signed" in ran.err and not ran.out


def test_the_commands_sign_and_verify(toy_copy: Path, tmp_path: Path, command: Callable[..., Ran]) -> None:
    private, public = make_keys(tmp_path, password=b"a word")
    (tmp_path / "word").write_text("a word\n")
    assert "password" in command("models", "sign", toy_copy, "--key", private).err
    assert command("models", "sign", toy_copy, "--key", private, "--password-file", tmp_path / "word").code == 0
    ran = command("models", "verify", toy_copy, "--key", public)
    assert ran.code == 0 and "signed with maker.pem" in ran.out
    (toy_copy / "notes.txt").write_text("")
    assert "does not list (notes.txt)" in command("models", "sign", toy_copy, "--key", private).err
    (toy_copy / "notes.txt").unlink()
    ran = command("models", "verify", toy_copy, "--key", make_keys(tmp_path, "other")[1])
    assert ran.code == 1 and ran.out.startswith("FAIL")
    assert [key.name for key in trusted(tmp_path)] == ["maker.pem", "other.pem"]
    ed, _ = make_keys(tmp_path, "ed", ed25519.Ed25519PrivateKey.generate())
    assert "another kind" in command("models", "sign", toy_copy, "--key", ed).err


def test_openssf_model_signing_verifies_what_is_signed_here_and_the_other_way_round(toy_copy: Path, tmp_path: Path) -> None:
    program = shutil.which("model_signing")
    if program is None:
        pytest.skip("model_signing is not installed (pip install model-signing, in an environment of its own)")
    private, public = make_keys(tmp_path)
    signing.sign(Bundle.open(toy_copy), private)
    at = ("--signature", toy_copy / SIGNATURE)
    ran = subprocess.run([program, "verify", "key", toy_copy, *at, "--public_key", public], capture_output=True, text=True)
    assert ran.returncode == 0, ran
    (toy_copy / SIGNATURE).unlink()
    ran = subprocess.run([program, "sign", "key", toy_copy, *at, "--private_key", private], capture_output=True, text=True)
    assert ran.returncode == 0, ran
    assert holds(toy_copy, public).name == "maker.pem"
