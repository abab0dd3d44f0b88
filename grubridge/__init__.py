"""grubridge: move GRUs between Keras, PyTorch and ONNX, and prove that they stayed the same function.

The public names are imported when they are first used, so that `import grubridge` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grubridge.conversion import Conversion, convert, convert_all, read, write
    from grubridge.spec import GRUSpec
    from grubridge.version import __version__ as __version__

__all__ = ["Conversion", "GRUSpec", "convert", "convert_all", "read", "write"]

_HOMES = {
    "Conversion": "conversion",
    "GRUSpec": "spec",
    "__version__": "version",
    "convert": "conversion",
    "convert_all": "conversion",
    "read": "conversion",
    "write": "conversion",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
