"""The texts in an ONNX model: protobuf hands out bytes where they are not UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grubridge.errors import CorruptFileError

if TYPE_CHECKING:
    from .messages import ModelProto

__all__ = ["check_texts"]


def check_texts(model: ModelProto) -> None:
    """Refuse a model in which a name, or another text, is no text.

    Raises:
        CorruptFileError: when one is not UTF-8.
    """
    left: list[Any] = [model]
    while left:
        message = left.pop()
        for field, value in message.ListFields():
            values = [value] if isinstance(value, (str, bytes)) or hasattr(value, "ListFields") else value
            if field.type == field.TYPE_MESSAGE:
                left.extend(values)
            elif field.type == field.TYPE_STRING and not all(isinstance(one, str) for one in values):
                raise CorruptFileError(
                    f"the {field.name} of a {message.DESCRIPTOR.name} in it is not UTF-8; the file is "
                    "damaged: copy or download it again"
                )
