"""PyTorch: state dicts in .pt and .safetensors files, run by nn.GRU, nn.GRUCell or as a layout describes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grubridge.errors import BackendError
from grubridge.files.text import quoted
from grubridge.layouts.document import from_json
from grubridge.spec import Array, Direction
from grubridge.traces import DirectionTrace, Place, Probe, Trace

from .base import Artifact, cuda_devices, initial_state, installed, precision
from .described import NOTE, kernel, own_tensors, run_described
from .operators import torch_operators
from .pytorch_gates import traced

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import GRU

__all__ = ["NAME", "devices", "run", "run_tensors", "version"]

NAME = "pytorch"

_Run = tuple[dict[Place, DirectionTrace], list[str]]
"""The traces and the notes."""

_GRU_KEY = re.compile(r"(weight|bias)_(ih|hh)_l\d+(_reverse)?")
_CELL_KEY = re.compile(r"(weight|bias)_(ih|hh)")


def version() -> str:
    """Return torch and its version."""
    return installed("torch")


def devices() -> tuple[str, ...]:
    """Return "cpu" and torch's CUDA devices."""
    import torch

    return ("cpu", *cuda_devices(torch.cuda.device_count()))


def run(artifact: Artifact, probe: Probe, device: str, *, allow_tf32: bool = False) -> Trace:
    """Load the state dict with torch's own loader and run its GRU; see `Backend.run`."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = allow_tf32
    torch.backends.cudnn.allow_tf32 = allow_tf32
    return run_tensors(artifact.address, _tensors(artifact), probe, device)


def run_tensors(address: Mapping[str, Any], tensors: dict[str, Tensor], probe: Probe, device: str) -> Trace:
    """Run a GRU that is in memory already.

    Args:
        address: its "cell", "input_size", "hidden_size", "num_layers", "bidirectional" and "bias"; or its
            "layout".
        tensors: its parameters by the names that nn.GRU, nn.GRUCell or the layout gives them.
        probe: the inputs.
        device: any of torch's. TF32 is allowed on it as torch's settings have it.
    """
    import torch

    inputs = _Inputs(probe, next(iter(tensors.values())).dtype, device)
    with torch.no_grad():  # in inference_mode parameters would be made that torch multiplies in another way
        places, notes = _runner(address)(address, tensors, inputs)
    dtype = str(inputs.dtype).removeprefix("torch.")
    backends = torch.backends
    setting = backends.cuda.matmul if "layout" in address else backends.cudnn  # of products, and of nn.GRU
    return Trace(
        NAME,
        version(),
        device,
        dtype,
        native=True,
        places=places,
        notes=tuple(dict.fromkeys(notes)),
        kernel=_kernel(address, inputs),
        precision=precision(dtype, device, allow_tf32=setting.allow_tf32),
    )


def _runner(address: Mapping[str, Any]) -> Callable[[Mapping[str, Any], dict[str, Tensor], _Inputs], _Run]:
    if "layout" in address:
        return _run_described
    return _run_cell if address["cell"] else _run_layers


def _kernel(address: Mapping[str, Any], inputs: _Inputs) -> str:
    """Return what computes, in a few words. torch leaves nn.GRU to cuDNN where `is_acceptable` says so."""
    import torch

    if "layout" in address:
        return kernel(from_json(address["layout"]), "torch")
    if address["cell"]:
        return "nn.GRUCell, stepped through time"
    empty = torch.empty(0, dtype=inputs.dtype, device=inputs.device)
    on_cudnn = torch.backends.cudnn.is_acceptable(empty)  # type: ignore[no-untyped-call]
    return "nn.GRU, cuDNN" if on_cudnn else "nn.GRU"


def _tensors(artifact: Artifact) -> dict[str, Tensor]:
    """Return the GRU's part of the file's state dict, prefix removed; torch refuses surplus keys."""
    import torch

    if artifact.format == "safetensors":
        from safetensors.torch import load_file

        found: Any = load_file(artifact.path)
    else:
        found = torch.load(artifact.path, map_location="cpu", weights_only=True, mmap=True)
    for key in artifact.address["keys"]:
        found = found[key]
    prefix = artifact.address["prefix"]
    below = {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}
    if "layout" in artifact.address:
        return own_tensors(from_json(artifact.address["layout"]), below)
    pattern = _CELL_KEY if artifact.address["cell"] else _GRU_KEY
    own = {key: value for key, value in below.items() if pattern.fullmatch(key)}
    if not own:
        raise BackendError(f"its state dict has no GRU under the prefix {quoted(prefix)}")
    return own


@dataclass(frozen=True)
class _Inputs:
    """The probe as tensors of the model's dtype, on the device."""

    probe: Probe
    dtype: Any
    device: str

    def tensor(self, values: Array) -> Tensor:
        import torch

        return torch.from_numpy(values).to(self.device, self.dtype)

    def state(self, place: Place, hidden_size: int) -> Tensor:
        return self.tensor(initial_state(self.probe, place, hidden_size))


def _run_layers(address: Mapping[str, Any], tensors: dict[str, Tensor], inputs: _Inputs) -> _Run:
    """Run the whole nn.GRU, and its layers one by one to see the hidden states between them."""
    import torch

    hidden_size, layers = address["hidden_size"], address["num_layers"]
    ways: tuple[Direction, ...] = ("forward", "backward") if address["bidirectional"] else ("forward",)
    x = inputs.tensor(inputs.probe.x)
    starts = [torch.stack([inputs.state((k, way), hidden_size) for way in ways]) for k in range(layers)]
    whole = _gru(address, tensors, address["input_size"], layers, inputs)
    whole_output, whole_final = _call(whole, x, torch.cat(starts), inputs.probe)

    places: dict[Place, DirectionTrace] = {}
    notes: list[str] = []
    finals: list[Tensor] = []
    for k, start in enumerate(starts):
        end = re.compile(rf"_l{k}(?=_reverse$|$)")
        own = {end.sub("_l0", key): value for key, value in tensors.items() if end.search(key)}
        layer = _gru(address, own, x.shape[2], 1, inputs)
        output, final = _call(layer, x, start, inputs.probe)
        for way, hidden, h0 in zip(ways, output.chunk(len(ways), -1), start, strict=True):
            suffix = "_l0_reverse" if way == "backward" else "_l0"
            places[k, way], told = traced(layer, suffix, (x, h0, hidden), way, inputs.probe)
            notes += told
        finals.append(final)
        x = output
    pairs = ((whole_output, x), (whole_final, torch.cat(finals)))
    largest = max(float((one - other).abs().max()) for one, other in pairs)
    if inputs.probe.lengths is not None:
        notes.append("steps past a sequence's end are zero (pack_padded_sequence)")
    if largest:
        notes.append(f"the stack run whole and its layers run one by one differ by up to {largest:.3g}")
    return places, notes


def _gru(
    address: Mapping[str, Any], tensors: dict[str, Tensor], input_size: int, layers: int, inputs: _Inputs
) -> GRU:
    import torch

    gru = torch.nn.GRU(
        input_size,
        address["hidden_size"],
        layers,
        bias=address["bias"],
        batch_first=True,
        bidirectional=address["bidirectional"],
        dtype=inputs.dtype,
    )
    gru.load_state_dict(tensors, strict=True)
    return gru.to(inputs.device).eval()


def _call(gru: GRU, x: Tensor, start: Tensor, probe: Probe) -> tuple[Tensor, Tensor]:
    """Return every step of the top layer, [B, T, D*H], and the final states, [L*D, B, H]."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    if probe.lengths is None:
        output, final = gru(x, start)
        return output, final
    lengths = torch.from_numpy(probe.lengths.astype("int64"))
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    output, final = gru(packed, start)
    padded, _ = pad_packed_sequence(output, batch_first=True, total_length=probe.steps)
    return padded, final


def _run_cell(address: Mapping[str, Any], tensors: dict[str, Tensor], inputs: _Inputs) -> _Run:
    """Step an nn.GRUCell through time; it knows no lengths, and steps past an end have no meaning."""
    import torch

    sizes = address["input_size"], address["hidden_size"]
    cell = torch.nn.GRUCell(*sizes, bias=address["bias"], dtype=inputs.dtype)
    cell.load_state_dict(tensors, strict=True)
    cell = cell.to(inputs.device).eval()
    x, start = inputs.tensor(inputs.probe.x), inputs.state((0, "forward"), sizes[1])
    state, states = start, []
    for t in range(inputs.probe.steps):
        state = cell(x[:, t], state)
        states.append(state)
    trace, notes = traced(cell, "", (x, start, torch.stack(states, 1)), "forward", inputs.probe)
    return {(0, "forward"): trace}, ["nn.GRUCell, stepped through time", *notes]


def _run_described(address: Mapping[str, Any], tensors: dict[str, Tensor], inputs: _Inputs) -> _Run:
    there = {name: tensor.to(inputs.device) for name, tensor in tensors.items()}
    run = torch_operators(next(iter(there.values())))
    return run_described(from_json(address["layout"]), there, inputs.probe, run), [NOTE]
