"""Every error grubridge raises on purpose.

    GRUBridgeError
    |- FileFormatError            the file cannot be used as a GRU model
    |  |- UnknownFormatError      no format recognises it
    |  |- CorruptFileError        it is damaged: truncated, inconsistent, not what its name says
    |  `- UnsafeFileError         it would run code, leave its folder or exhaust memory
    |- StackSelectionError        no GRU in it, or several and none chosen; .candidates names them
    |- InvalidSpecError           (also ValueError) arrays and settings that form no GRU
    |- DescriptionError           (also ValueError) what a person wrote in a file is wrong; .key says where
    |  |- LayoutError             the description of a cell
    |  `- ManifestError           the list of the pairs to check
    |- UnsupportedFeatureError    the target cannot hold it; .features lists every reason
    |- IdentificationError        no layout explains a recorded run; the message says what comes nearest
    |- TargetError                the output cannot be written: it exists, or its folder forbids it
    |- ProbeError                 (also ValueError) the inputs of a check do not fit the model
    |- MissingDependencyError     (also ImportError) .extra: pip install 'grubridge[...]'
    `- BackendError               a framework failed; its own words are in the message
       `- CannotRunError          a framework has no way to run this model; .reason in a few words
          `- DeviceError          it does not offer the device that was asked for

A mismatch between two models is a verdict, not an error.
"""

from collections.abc import Sequence

__all__ = [
    "BackendError",
    "CannotRunError",
    "CorruptFileError",
    "DescriptionError",
    "DeviceError",
    "FileFormatError",
    "GRUBridgeError",
    "IdentificationError",
    "InvalidSpecError",
    "LayoutError",
    "ManifestError",
    "MissingDependencyError",
    "ProbeError",
    "StackSelectionError",
    "TargetError",
    "UnknownFormatError",
    "UnsafeFileError",
    "UnsupportedFeatureError",
]


class GRUBridgeError(Exception):
    """Base of every error that grubridge raises on purpose."""


class FileFormatError(GRUBridgeError):
    """The file cannot be used as a GRU model."""


class UnknownFormatError(FileFormatError):
    """No format recognises the file, or a format's name is not known."""


class CorruptFileError(FileFormatError):
    """The file is damaged: truncated, inconsistent, or not what its name says."""


class UnsafeFileError(FileFormatError):
    """Reading the file as it asks would run code, leave its folder or exhaust memory."""


class StackSelectionError(GRUBridgeError):
    """The file holds no GRU, or several of which none was chosen."""

    def __init__(self, message: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class InvalidSpecError(GRUBridgeError, ValueError):
    """Arrays and settings that do not form a GRU."""


class DescriptionError(GRUBridgeError, ValueError):
    """A description that a person wrote is wrong; `key` leads to the place in it.

    The outermost key comes first; a number counts the members of a list from 0.
    """

    def __init__(self, message: str, key: Sequence[str | int] = ()) -> None:
        super().__init__(message)
        self.key = tuple(key)


class LayoutError(DescriptionError):
    """A description of a cell is wrong."""


class ManifestError(DescriptionError):
    """A list of the pairs to check is wrong."""


class UnsupportedFeatureError(GRUBridgeError):
    """A format cannot hold something that a GRU needs; `features` lists every reason."""

    def __init__(self, message: str, features: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.features = tuple(features)


class IdentificationError(GRUBridgeError):
    """No layout explains a recorded run."""


class TargetError(GRUBridgeError):
    """The output cannot be written."""


class ProbeError(GRUBridgeError, ValueError):
    """The inputs of a check do not fit the model."""


class MissingDependencyError(GRUBridgeError, ImportError):
    """A framework that the work needs is not installed; `extra` names the extra that brings it."""

    def __init__(self, message: str, extra: str) -> None:
        super().__init__(message)
        self.extra = extra


class BackendError(GRUBridgeError):
    """A framework failed while it loaded or ran a model; its own words are in the message."""


class CannotRunError(BackendError):
    """A framework has no way to run a model that is itself in order; `reason` says which, in a few words."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DeviceError(CannotRunError):
    """A framework does not offer the device that was asked for."""
