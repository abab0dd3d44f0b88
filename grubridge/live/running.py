"""A GRU inside a model in memory, found and ready to be run by the framework that the model belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from grubridge.errors import DeviceError, InvalidSpecError, StackSelectionError
from grubridge.files.text import nearest, printable, quoted
from grubridge.spec import GRUSpec, Layout
from grubridge.traces import Probe, Trace

__all__ = ["LiveGRU", "check_device", "choose", "find_gru", "gru_names"]

_T = TypeVar("_T")

_FRAMEWORKS = {"keras": "keras_run", "onnx": "onnx_run", "tf_keras": "keras_run", "torch": "pytorch_run"}
"""Package of a model's class -> the module beside this one that runs such models."""


@dataclass(frozen=True)
class LiveGRU:
    """A GRU of a model in memory.

    Args:
        name: what the model calls it.
        spec: what it computes.
        backend: the name of the runtime that it belongs to.
        run: run it in this process, on a probe and a device ("auto" is where it is). The model keeps its
            weights, mode, device and hooks, and no random number is drawn from the user's generators.
        layout: how its tensors lie in the model.
        address: what a file would say of it beyond its arrays: of a hand-written cell its layout.
    """

    name: str
    spec: GRUSpec
    backend: str
    run: Callable[[Probe, str], Trace]
    layout: Layout
    address: Mapping[str, Any] = field(default_factory=dict)


def find_gru(model: object, stack: str | None = None, layout: str | None = None) -> LiveGRU:
    """Return the GRU of a model in memory, which a framework made and so has imported.

    Args:
        model: torch.nn.GRU, nn.GRUCell or a module with them in it; a Keras GRU, GRUCell, RNN of them,
            Bidirectional or a model with them in it; an ONNX ModelProto, its external data loaded.
        stack: which GRU; None when there is one.
        layout: of a hand-written cell in a torch module: a shipped layout's name, or a .toml file.

    Raises:
        InvalidSpecError: when `model` is nothing of this kind, or has a layout and is no torch module.
        StackSelectionError: when there is no GRU, or several and none was chosen.
    """
    home = _home(model, layout)
    found: LiveGRU = home.find_gru(model, stack, *_given(layout))
    return found


def gru_names(model: object, layout: str | None = None) -> list[str]:
    """Return what the GRUs of a model in memory are called, chains of layers by one name; none where none is.

    Arguments and InvalidSpecError are those of `find_gru`.
    """
    names: list[str] = _home(model, layout).gru_names(model, *_given(layout))
    return names


def _given(layout: str | None) -> list[str]:
    return [] if layout is None else [layout]


def _home(model: object, layout: str | None) -> ModuleType:
    """Return the module that runs such models."""
    packages = [cls.__module__.partition(".")[0] for cls in type(model).__mro__]
    home = next((_FRAMEWORKS[package] for package in packages if package in _FRAMEWORKS), None)
    if home is None:
        raise InvalidSpecError(
            "expected the path of a model file, a torch module, a Keras layer or model, or an ONNX "
            f"ModelProto; received a {type(model).__name__} of {packages[0]}"
        )
    if layout is not None and home != "pytorch_run":
        raise InvalidSpecError(
            "a layout names the tensors of a cell in a torch module; received a "
            f"{type(model).__name__}, which says itself what it computes"
        )
    return import_module(f"{__package__}.{home}")


def choose(stacks: Mapping[str, _T], members: Mapping[str, _T], stack: str | None, where: str) -> _T:
    """Return the stack of that name, or the only one.

    Args:
        stacks: every GRU by its name, chains of layers as one.
        members: the layers of chains, which can be chosen by name as well.
        stack: the name that was asked for, or None.
        where: what holds them, for messages.

    Raises:
        StackSelectionError: when there is none, or several and no name.
    """
    known = {**stacks, **members}
    if stack is None and len(stacks) == 1:
        return next(iter(stacks.values()))
    if stack is not None and stack in known:
        return known[stack]
    listed = ", ".join(map(printable, known))
    if not known:
        problem = "it holds no GRU that grubridge knows"
    elif stack is None:
        problem = f"it holds {len(stacks)} GRUs: {listed}; choose one with stack=NAME"
    else:
        problem = f"no GRU is called {quoted(stack)}.{nearest(stack, known)} It holds: {listed}"
    raise StackSelectionError(f"{where}: {problem}", list(known))


def check_device(wanted: str, own: str) -> None:
    """Refuse to run a model elsewhere than where it is; "cuda" is any of the CUDA devices.

    Raises:
        DeviceError: when another device is wanted.
    """
    if wanted not in ("auto", own, own.partition(":")[0]):
        reason = f"the model in memory is on {own} and runs there"
        raise DeviceError(
            f"{reason}; received device {quoted(wanted)}: move the model, or leave it out", reason
        )
