"""ECDSA over NIST P-256 with SHA-256: signatures verified in plain Python, in some ten milliseconds. Pure.

Only verified: everything here is public, so time tells nothing. Signing, which must not tell by time, is `signing`'s.
FIPS 186-5; SEC 1 for points; RFC 5480 for keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""What stands in every SubjectPublicKeyInfo of this curve before the point."""

_Jacobian = tuple[int, int, int]
_NOWHERE: _Jacobian = (1, 1, 0)


@dataclass(frozen=True)
class PublicKey:
    """A point of the curve. Make one with `parse`."""

    x: int
    y: int

    @classmethod
    def parse(cls, pem: str) -> PublicKey:
        """The key of a PEM file (-----BEGIN PUBLIC KEY-----); text before it is passed over. Raises ValueError in words."""
        found = re.findall(r"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----", pem)
        if len(found) != 1:
            raise ValueError("is no public key in PEM (or several); make one with openssl ec -pubout")
        try:
            der = base64.b64decode("".join(found[0].split()), validate=True)
        except binascii.Error:
            raise ValueError("is damaged: its base64 cannot be read") from None
        if der[: len(_HEAD)] != _HEAD or len(der) != len(_HEAD) + 65 or der[len(_HEAD)] != 4:
            raise ValueError("is a key of another kind; make one on the curve prime256v1 (NIST P-256)")
        x, y = (int.from_bytes(der[-64:][part], "big") for part in (slice(32), slice(32, 64)))
        if max(x, y) >= _P or (y * y - x * x * x + 3 * x - _B) % _P:
            raise ValueError("is no point of its curve; make another key")
        return cls(x, y)

    @property
    def pem(self) -> str:
        """As openssl writes it, which `hint` is the hash of."""
        der = _HEAD + b"\x04" + self.x.to_bytes(32, "big") + self.y.to_bytes(32, "big")
        text = base64.b64encode(der).decode()
        lines = [text[k : k + 64] for k in range(0, len(text), 64)]
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])

    @property
    def hint(self) -> str:
        """What names the key in a signature."""
        return hashlib.sha256(self.pem.encode()).hexdigest()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether it is this key's signature (DER) of this message. False for anything odd; never raises."""
        read = _numbers(signature)
        if read is None:
            return False
        r, s = read
        if not (0 < r < _N and 0 < s < _N):
            return False
        z, w = int.from_bytes(hashlib.sha256(message).digest(), "big"), pow(s, -1, _N)
        x, _, depth = _sum(_times(z * w % _N, (_GX, _GY, 1)), _times(r * w % _N, (self.x, self.y, 1)))
        return depth != 0 and x * pow(depth, -2, _P) % _P % _N == r


def _numbers(der: bytes) -> tuple[int, int] | None:
    """The two numbers of a signature, in the one way that DER writes them; None for any other."""
    if len(der) < 8 or der[0] != 0x30 or der[1] != len(der) - 2 or der[1] > 127:
        return None
    out, at = [], 2
    for _ in range(2):
        if at + 2 > len(der) or der[at] != 2:
            return None
        body = der[at + 2 : at + 2 + der[at + 1]]
        if len(body) != der[at + 1] or not body or body[0] > 127 or (len(body) > 1 and not body[0] and body[1] < 128):
            return None
        out.append(int.from_bytes(body, "big"))
        at += 2 + len(body)
    return (out[0], out[1]) if at == len(der) else None


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    if not y or not z:
        return _NOWHERE
    yy = y * y % _P
    s, zz = 4 * x * yy % _P, z * z % _P
    m = 3 * (x - zz) * (x + zz) % _P
    x3 = (m * m - 2 * s) % _P
    return x3, (m * (s - x3) - 8 * yy * yy) % _P, 2 * y * z % _P


def _sum(first: _Jacobian, second: _Jacobian) -> _Jacobian:
    x1, y1, z1 = first
    x2, y2, z2 = second
    if not z1:
        return second
    if not z2:
        return first
    a, b = z1 * z1 % _P, z2 * z2 % _P
    u1, u2, s1, s2 = x1 * b % _P, x2 * a % _P, y1 * z2 * b % _P, y2 * z1 * a % _P
    h, r = (u2 - u1) % _P, (s2 - s1) % _P
    if not h:
        return _double(first) if not r else _NOWHERE
    hh = h * h % _P
    hhh, v = h * hh % _P, u1 * hh % _P
    x3 = (r * r - hhh - 2 * v) % _P
    return x3, (r * (v - x3) - s1 * hhh) % _P, h * z1 * z2 % _P


def _times(factor: int, point: _Jacobian) -> _Jacobian:
    out = _NOWHERE
    for bit in bin(factor)[2:]:
        out = _double(out)
        if bit == "1":
            out = _sum(out, point)
    return out
