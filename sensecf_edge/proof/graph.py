"""The tree ensemble inside an ONNX graph, and what stands before it, read without the onnx package.

As much of protobuf as that takes: the one node's attributes, and the name of what it reads.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ..errors import CheckError
from ..judge.graph_audit import fields, part, varints

_GRAPH, _NODE, _INPUT, _OP_TYPE, _ATTRIBUTE, _OUTPUT = 7, 1, 1, 4, 5, 12
_NAME, _FLOATS, _INTS, _STRINGS = 1, (2, 7), (3, 8), (4, 9)
"""Numbers of the fields, each first of a single value, then of many."""
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
    except (ValueError, IndexError, StopIteration, struct.error) as error:
        raise NoTreesError("its trees cannot be read") from error
    return Ensemble(reads, attributes)


def with_output(graph: bytes, name: str) -> bytes:
    """The graph with one more output, a float tensor inside it: a second part of the same message adds to the first."""
    tensor = _field(2, _field(1, b"\x08\x01"))  # a tensor of floats, whatever its shape
    return graph + _field(_GRAPH, _field(_OUTPUT, _field(1, name.encode()) + tensor))


def _attribute(data: memoryview) -> tuple[str, list[Any]]:
    """Name and values; one that holds a single value has a list of one."""
    name, values = "", list[Any]()
    for number, value in fields(data):
        if number == _NAME:
            name = bytes(part(value)).decode()
        elif number in _FLOATS:
            values += struct.unpack(f"<{len(part(value)) // 4}f", part(value))
        elif number in _INTS:
            values += [value] if isinstance(value, int) else varints(value)
        elif number in _STRINGS:
            values.append(bytes(part(value)))
    return name, values


def _field(number: int, value: bytes) -> bytes:
    """A part of a message: its tag, its length, itself."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
