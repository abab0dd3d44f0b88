"""The opsets that can be written, and the IR version that a file of each declares."""

from __future__ import annotations

__all__ = ["OLDEST", "ir_version", "newest", "writable"]

OLDEST = 7

_OLDEST_IR = 4  # before it, every initializer had to be a graph input as well

_IR_VERSIONS = {7: 3, 8: 3, 9: 4, 10: 5, 11: 6}
_IR_VERSIONS |= dict.fromkeys((12, 13, 14), 7) | dict.fromkeys((15, 16, 17, 18), 8)
_IR_VERSIONS |= dict.fromkeys((19, 20), 9) | dict.fromkeys((21, 22), 10) | {23: 11, 24: 12}
"""Opset -> IR version (docs/Versioning.md of onnx), up to the newest opset of the oldest onnx that grubridge
accepts: every installed onnx knows these, so only for newer ones is the whole package imported and asked."""


def writable(opset: int) -> bool:
    """Whether a model of this opset can be written."""
    return opset in _IR_VERSIONS or OLDEST <= opset <= newest()


def newest() -> int:
    """Return the newest opset of the installed onnx."""
    from onnx.defs import onnx_opset_version

    return onnx_opset_version()


def ir_version(opset: int) -> int:
    """Return the IR version of a model of this opset, which must be `writable`."""
    if opset in _IR_VERSIONS:
        return max(_OLDEST_IR, _IR_VERSIONS[opset])
    from onnx.helper import find_min_ir_version_for, make_opsetid

    return find_min_ir_version_for([make_opsetid("", opset)])
