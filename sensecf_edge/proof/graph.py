"""The tree ensemble inside an ONNX graph, and what stands before it, read without the onnx package.

As much of protobuf as that takes: the one node's attributes, and the name of what it reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckError
from ..judge.graph_audit import fields, part, varint

_GRAPH, _NODE, _INPUT, _OP_TYPE, _ATTRIBUTE, _OUTPUT = 7, 1, 1, 4, 5, 12
_NAME, _STRINGS = 1, 9
_A_FLOAT, _AN_INT = 7 << 3 | 5, 8 << 3
"""Tags of one of many numbers in an attribute, which ONNX does not pack."""
_VARINT, _BYTES, _FIXED = 0, 2, {1: 8, 5: 4}
TREES = b"TreeEnsemble"


class NoTreesError(CheckError):
    """Why the classifier cannot be given to a method that works on trees."""


@dataclass(frozen=True)
class Ensemble:
    """The only tree ensemble of a graph: the name of the columns it reads, and its attributes by name."""

    reads: str
    attributes: dict[str, list[Any]]


def ensemble(graph: bytes) -> Ensemble:
    """Raises NoTreesError where the graph holds no single tree ensemble of the classic form."""
    try:
        nodes = [part(node) for number, whole in fields(memoryview(graph)) if number == _GRAPH
                 for at, node in fields(part(whole)) if at == _NODE]  # fmt: skip
        kinds = [next((bytes(part(value)) for number, value in fields(node) if number == _OP_TYPE), b"") for node in nodes]
        found = [(kind, node) for kind, node in zip(kinds, nodes, strict=True) if kind.startswith(TREES)]
        if len(found) != 1 or found[0][0] == TREES:
            raise NoTreesError("it holds no single tree ensemble")
        node = found[0][1]
        attributes = dict(_attribute(part(value)) for number, value in fields(node) if number == _ATTRIBUTE)
        reads = next(bytes(part(value)).decode() for number, value in fields(node) if number == _INPUT)
    except (ValueError, IndexError, StopIteration) as error:
        raise NoTreesError("its trees cannot be read") from error
    return Ensemble(reads, attributes)


def with_output(graph: bytes, name: str) -> bytes:
    """The graph with one more output, a float tensor inside it: a second part of the same message adds to the first."""
    tensor = _field(2, _field(1, b"\x08\x01"))  # a tensor of floats, whatever its shape
    return graph + _field(_GRAPH, _field(_OUTPUT, _field(1, name.encode()) + tensor))


def _attribute(data: memoryview) -> tuple[str, list[Any]]:
    """Name and values; empty for one that holds a single value. A forest's lists are long and of one kind: runs of numbers are read at
    once."""
    name, values, at, raw = "", list[Any](), 0, np.frombuffer(data, dtype=np.uint8)
    while at < len(data):
        tag, behind = varint(data, at)
        if tag == _A_FLOAT:
            floats, at = _floats(raw, at)
            values += floats
        elif tag == _AN_INT:
            ints, at = _ints(raw, at)
            values += ints
        else:
            size, start = varint(data, behind) if tag & 7 == _BYTES else (_FIXED.get(tag & 7, 0), behind)
            at = start + size if tag & 7 != _VARINT else varint(data, behind)[1]
            if tag >> 3 == _NAME:
                name = bytes(data[start:at]).decode()
            elif tag >> 3 == _STRINGS:
                values.append(bytes(data[start:at]))
            elif tag & 7 == _BYTES and tag >> 3 in (_A_FLOAT >> 3, _AN_INT >> 3):
                raise ValueError("packed numbers")
    return name, values


def _floats(raw: NDArray[np.uint8], at: int) -> tuple[list[float], int]:
    """The run of floats, each behind its tag, that begins here, and the place behind it."""
    count = (len(raw) - at) // 5
    rows = raw[at : at + 5 * count].reshape(count, 5)
    other = np.flatnonzero(rows[:, 0] != _A_FLOAT)
    run = int(other[0]) if len(other) else count
    if not run:
        raise ValueError("a number is cut off")
    return rows[:run, 1:].copy().view("<f4").ravel().tolist(), at + 5 * run


def _ints(raw: NDArray[np.uint8], at: int) -> tuple[list[int], int]:
    """The same of whole numbers."""
    part_, ends = raw[at:], np.flatnonzero(raw[at:] < 128)
    starts = np.append(0, ends[:-1] + 1)
    tags, pairs = starts[::2], min(len(starts[::2]), len(starts[1::2]))
    other = np.flatnonzero((part_[tags[:pairs]] != _AN_INT) | (ends[::2][:pairs] != tags[:pairs]))
    run = int(other[0]) if len(other) else pairs
    first, last = starts[1::2][:run], ends[1::2][:run]
    if not run or (last - first).max() > 9:
        raise ValueError("a number is cut off, or none is so long")
    values = np.zeros(run, dtype=np.uint64)
    for k in range(int((last - first).max()) + 1):
        there = first + k <= last
        values[there] |= (part_[first[there] + k] & 127).astype(np.uint64) << np.uint64(7 * k)
    return values.astype(np.int64).tolist(), at + int(last[-1]) + 1


def _field(number: int, value: bytes) -> bytes:
    """A part of a message: its tag, its length, itself."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
