"""A node's attributes, each by the type that it must have; None (or the default) where the node has none."""

from __future__ import annotations

from grubridge.errors import CorruptFileError
from grubridge.files.text import printable, quoted

from .messages import AttributeProto, NodeProto, TensorProto

__all__ = ["describe", "first_output", "integer", "integers", "real", "reals", "tensor", "text", "texts"]


def integer(node: NodeProto, name: str, default: int) -> int:
    """Return an INT attribute."""
    found = _find(node, name, AttributeProto.INT)
    return default if found is None else found.i


def integers(node: NodeProto, name: str) -> list[int] | None:
    """Return an INTS attribute."""
    found = _find(node, name, AttributeProto.INTS)
    return None if found is None else list(found.ints)


def real(node: NodeProto, name: str) -> float | None:
    """Return a FLOAT attribute."""
    found = _find(node, name, AttributeProto.FLOAT)
    return None if found is None else found.f


def reals(node: NodeProto, name: str) -> list[float] | None:
    """Return a FLOATS attribute."""
    found = _find(node, name, AttributeProto.FLOATS)
    return None if found is None else list(found.floats)


def text(node: NodeProto, name: str) -> str | None:
    """Return a STRING attribute."""
    found = _find(node, name, AttributeProto.STRING)
    return None if found is None else found.s.decode("utf-8", "replace")


def texts(node: NodeProto, name: str) -> list[str] | None:
    """Return a STRINGS attribute."""
    found = _find(node, name, AttributeProto.STRINGS)
    return None if found is None else [one.decode("utf-8", "replace") for one in found.strings]


def tensor(node: NodeProto, name: str) -> TensorProto | None:
    """Return a TENSOR attribute."""
    found = _find(node, name, AttributeProto.TENSOR)
    return None if found is None else found.t


def first_output(node: NodeProto) -> str:
    """Return the first output of `node` that has a name, or ''."""
    return next(filter(None, node.output), "")


def describe(node: NodeProto) -> str:
    """Return how messages call `node`: its name (or its first output's) and its operator."""
    return f"node {quoted(node.name or first_output(node))} ({printable(node.op_type)})"


def _find(node: NodeProto, name: str, kind: AttributeProto.AttributeType) -> AttributeProto | None:
    found: list[AttributeProto] = [one for one in node.attribute if one.name == name]
    if len(found) > 1:
        raise CorruptFileError(f"{describe(node)}: the attribute {name} is there twice")
    if found and found[0].type not in {
        kind,
        AttributeProto.UNDEFINED,
    }:  # version 1 of the format says no type
        expected = AttributeProto.AttributeType.Name(kind)
        raise CorruptFileError(f"{describe(node)}: the attribute {name} must be of type {expected}")
    return found[0] if found else None
