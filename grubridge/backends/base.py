"""What every runtime offers, and what passes between a runtime and the rest.

A backend is a module with the names of `Backend`. It imports its framework inside its functions, opens the
model file with the framework's own loader, and knows no other backend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal, Protocol

import numpy as np

from grubridge.errors import DeviceError, ProbeError
from grubridge.files.text import quoted
from grubridge.spec import Array
from grubridge.traces import Place, Probe, Trace

__all__ = [
    "Artifact",
    "Backend",
    "choose_device",
    "cuda_devices",
    "initial_state",
    "installed",
    "layer_output",
    "precision",
]

_NUMBERED = re.compile(r"cuda:\d+")


@dataclass(frozen=True)
class Artifact:
    """One stack of a model file, as a runtime finds it. All values are JSON's.

    Args:
        path: the file.
        format: the name of its format.
        address: where the stack is in the file (`StackEntry.address` of the formats).
    """

    path: str
    format: str
    address: Mapping[str, Any]

    @property
    def products(self) -> Literal["apart", "xh", "hx"]:
        """How a run multiplies x and h: in one product where a cell that is run as described does so."""
        if "layout" not in self.address:
            return "apart"
        from grubridge.layouts.toml import from_json

        weights = [one.holds for one in from_json(self.address["layout"]).tensors if one.is_weight]
        joint = next((holds for holds in weights if len(holds) > 1), None)
        if joint is None:
            return "apart"
        return "xh" if joint[0] == "input_weight" else "hx"

    @property
    def blend(self) -> Literal["keeps", "takes"] | None:
        """What the update gate of a cell does that is run as described; None for a runtime's own GRU."""
        if "layout" not in self.address:
            return None
        from grubridge.layouts.toml import from_json

        return "takes" if from_json(self.address["layout"]).update == "takes" else "keeps"


class Backend(Protocol):
    """The names a backend's module has."""

    NAME: str
    """What the user calls it."""

    def version(self) -> str:
        """Return the framework's name and version, e.g. "torch 2.13.0", without importing it."""

    def devices(self) -> tuple[str, ...]:
        """Return the devices that the framework offers here: "cpu", then "cuda:0" and so on.

        A framework that does not tell how many CUDA devices there are offers "cuda".
        """

    def run(self, artifact: Artifact, probe: Probe, device: str, *, allow_tf32: bool = False) -> Trace:
        """Run the stack on `device`, of `choose_device`.

        Steps past a sequence's end are zero in what a layer passes on. Float32 factors of matrix products
        are rounded to TF32 only if `allow_tf32`.

        Raises:
            CannotRunError: when the framework has no way to run this model.
            ProbeError: when an initial state is not of the model's size.
            Exception: whatever the framework raises; `launch` makes it a BackendError.
        """


def choose_device(wanted: str, offered: Sequence[str]) -> str:
    """Return the device to use: "auto" is CUDA where it is offered, "cuda" is the first of its devices.

    Raises:
        DeviceError: when the wanted device is not offered.
    """
    cuda = [device for device in offered if device.startswith("cuda")]
    if wanted == "auto":
        return next(iter(cuda), "cpu")
    if wanted == "cuda" and cuda:
        return cuda[0]
    if wanted in offered or ("cuda" in offered and _NUMBERED.fullmatch(wanted)):
        return wanted
    message = f"it has no device {quoted(wanted)} here; it offers {', '.join(offered)}"
    raise DeviceError(message, message)


def cuda_devices(count: int) -> tuple[str, ...]:
    """Return the names of this many CUDA devices."""
    return tuple(f"cuda:{index}" for index in range(count))


def precision(dtype: str, device: str, *, allow_tf32: bool) -> str:
    """Return the precision of a run in words; TF32 is a matter of float32 on CUDA alone."""
    return "float32, TF32 allowed" if allow_tf32 and dtype == "float32" and device != "cpu" else dtype


def installed(package: str, *variants: str) -> str:
    """Return a package's name and version, e.g. "torch 2.13.0", without importing it.

    Args:
        package: its name.
        variants: other distributions that bring it, e.g. a build for CUDA.
    """
    found = (d for name in (package, *variants) for d in metadata.Distribution.discover(name=name))
    distribution = next(found, None)
    return package if distribution is None else f"{package} {distribution.version}"


def initial_state(probe: Probe, place: Place, hidden_size: int) -> Array:
    """Return h_0 of a place, [B, H]; zeros where the probe has none.

    Raises:
        ProbeError: when the probe's state is of another size.
    """
    shape = (probe.batch, hidden_size)
    state = probe.initial_state.get(place, np.zeros(shape))
    if state.shape != shape:
        raise ProbeError(
            f"the initial state of layer {place[0]} {place[1]} must be {list(shape)}; "
            f"received {list(state.shape)}"
        )
    return state


def layer_output(directions: Sequence[Array], valid: Array) -> Array:
    """Return what a layer passes on, [B, T, D*H]: its directions side by side, zero past the ends."""
    joined = np.concatenate(directions, axis=-1)
    return np.where(valid[:, :, None], joined, np.zeros((), joined.dtype))
