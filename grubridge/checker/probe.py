"""The inputs of a check: random ones that show every mistake, or the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from grubridge.errors import ProbeError
from grubridge.files.limits import allowed
from grubridge.files.opening import shown
from grubridge.files.text import listed
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Place, Probe

from .arrays import LARGEST, check_numbers, read_arrays, states_by_place

__all__ = [
    "BATCH",
    "STEPS",
    "designed_probe",
    "exact_in_all",
    "given_probe",
    "probe_from_arrays",
    "probe_from_file",
    "random_probe",
]

BATCH, STEPS = 4, 24
"""Of random inputs, unless the user asks for others."""

_TINIEST = 2.0**-9  # smaller inputs are made zero: what is left is exact in float16 and bfloat16 at once
_ROWS = 2048  # of a designed probe: single steps that have nothing to do with each other
_FEWEST_ROWS = 256
_ELEMENTS = 1 << 22  # of one array of a designed probe, which has fewer rows where a model is very wide
_LEARNED_STEPS = 8


def random_probe(
    specs: Sequence[GRUSpec], *, seed: int, batch: int, steps: int, lengths: Sequence[int] | None = None
) -> Probe:
    """Return random inputs for specs of one shape.

    The initial state is not zero, because a runtime that drops it, or reads a backward layer from the wrong
    end, would not show otherwise; sequences have unequal lengths for the same reason. A place where a spec
    has a learned initial state is given none.

    Args:
        specs: what will run; the inputs are exact in the dtypes of all of them.
        seed: of the random numbers.
        batch: B.
        steps: T.
        lengths: of each sequence; None for unequal ones, the longest `steps`.

    Raises:
        ProbeError: when there are not `batch` lengths from 1 to `steps`, or `seed` is negative, or one run
            would take too much memory.
    """
    if seed < 0:
        raise ProbeError(f"seed must be 0 or more; received {seed}")
    widest = max(max(layer.input_size, layer.hidden_size) for layer in specs[0].layers)
    most = allowed(LARGEST)
    if batch * steps * widest * np.dtype(np.float64).itemsize > most:
        raise ProbeError(
            f"{batch} sequences of {steps} steps, {widest} numbers each, would take more than "
            f"{most >> 20:,} MiB; ask for fewer sequences (batch) or shorter ones (steps), or allow it more "
            "(--max-memory SIZE)"
        )
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, steps, specs[0].input_size))
    states = {
        (index, name): rng.uniform(-1, 1, (batch, direction.hidden_size))
        for index, name, direction in specs[0].directions()
        if not _learned(specs, (index, name))
    }
    if lengths is None:
        shortest = (steps + 2) // 3
        chosen = rng.permutation(np.linspace(steps, shortest, batch).round().astype(np.int64))
    else:
        chosen = np.asarray(lengths, np.int64)
    return Probe(
        _rounded(x, specs),
        {place: _rounded(state, specs) for place, state in states.items()},
        None if (chosen == steps).all() and chosen.shape == (batch,) else chosen,
        f"random, seed {seed}",
    )


def designed_probe(specs: Sequence[GRUSpec], seed: int) -> Probe:
    """Return the inputs that show most of every single weight: 2048 independent rows of one step each.

    Inputs are normal, of a size at which the first layer's products with them are about one half: larger ones
    would show more of its input weights, and saturate what shows the recurrent ones. Every state is uniform
    on (-1, 1). Models with a learned initial state are given sequences of 8 steps instead,
    over which their states come to vary. Rows are fewer above a width of 2048: 2^22 numbers are one array.

    Args:
        specs: what will run, of one shape; the inputs are exact in the dtypes of all of them.
        seed: of the random numbers.
    """
    first = specs[0]
    widest = max(max(layer.input_size, layer.output_size) for layer in first.layers)
    rows = min(_ROWS, max(_FEWEST_ROWS, _ELEMENTS // widest))
    learned = any(_learned(specs, (index, name)) for index, name, _ in first.directions())
    steps = _LEARNED_STEPS if learned else 1
    batch = rows // steps
    rng = np.random.default_rng(seed)
    x = _input_scale(first) * rng.standard_normal((batch, steps, first.input_size))
    states = {
        (index, name): rng.uniform(-1, 1, (batch, direction.hidden_size))
        for index, name, direction in first.directions()
        if not _learned(specs, (index, name))
    }
    return Probe(
        _rounded(x, specs),
        {place: _rounded(state, specs) for place, state in states.items()},
        origin=f"designed, seed {seed}",
        gates=False,
    )


def _input_scale(spec: GRUSpec) -> float:
    """The power of two, 1/16 to 16, that brings the first layer's W x to about 1/2 for normal x."""
    lengths = [
        np.linalg.norm(weight.astype(np.float64), axis=1)
        for _, direction in spec.layers[0].directions()
        for _, weight in direction.input_weight.items()
    ]
    typical = float(np.median(np.concatenate(lengths)))
    if not np.isfinite(typical) or typical == 0:
        return 1.0
    return float(2.0 ** np.clip(-1 - np.round(np.log2(typical)), -4, 4))


def given_probe(inputs: object, specs: Sequence[GRUSpec]) -> Probe:
    """Return the user's own inputs.

    Args:
        inputs: a path, for `probe_from_file`; x [B, T, I], or a mapping of arrays, for `probe_from_arrays`.
        specs: what will run.

    Raises:
        ProbeError: when they are no arrays, or do not fit the model.
    """
    if isinstance(inputs, (str, Path)):
        return probe_from_file(Path(inputs), specs)
    named = inputs if isinstance(inputs, Mapping) else {"x": inputs}
    try:
        arrays = {str(name): np.asarray(array) for name, array in named.items()}
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor on a GPU, a ragged list, ...
        raise ProbeError(f"the inputs cannot be made NumPy arrays: {error}") from error
    return probe_from_arrays(arrays, specs, "given")


def probe_from_file(path: Path, specs: Sequence[GRUSpec]) -> Probe:
    """Read inputs from a file.

    Args:
        path: an .npy file of x [B, T, I], or an .npz file of x and, if wanted, lengths [B] and initial_state
            [L*D, B, H] (layer by layer, forward first; all hidden sizes alike).
        specs: what will run; numbers are rounded to the narrowest of their dtypes.

    Raises:
        ProbeError: when the file cannot be read, or its arrays do not fit the model.
    """
    found = read_arrays(path)
    arrays = {"x": found} if isinstance(found, np.ndarray) else found
    try:
        return probe_from_arrays(arrays, specs, path.name)
    except ProbeError as error:
        raise ProbeError(f"{shown(path)}: {error}") from error


def probe_from_arrays(arrays: Mapping[str, Array], specs: Sequence[GRUSpec], origin: str) -> Probe:
    """Return the user's own inputs.

    Args:
        arrays: x and, if wanted, lengths and initial_state, as `probe_from_file` finds them in a file.
        specs: what will run; numbers are rounded to the narrowest of their dtypes.
        origin: what the report calls them.

    Raises:
        ProbeError: when the arrays do not fit the model.
    """
    unknown = sorted(arrays.keys() - {"x", "lengths", "initial_state"})
    if "x" not in arrays or unknown:
        raise ProbeError(
            "it must hold x and may hold lengths and initial_state; it holds "
            + (listed(sorted(arrays)) or "nothing")
        )
    x = arrays["x"]
    check_numbers("x", x, ("batch", "time", specs[0].input_size))
    states: dict[Place, Array] = {}
    if "initial_state" in arrays:
        states = states_by_place(arrays["initial_state"], specs, len(x))
    lengths = arrays.get("lengths")
    return Probe(
        _rounded(x, specs, tiniest=0),
        {place: _rounded(state, specs, tiniest=0) for place, state in states.items()},
        lengths,
        origin,
    )


def _learned(specs: Sequence[GRUSpec], place: Place) -> bool:
    index, name = place
    directions = (getattr(spec.layers[index], name) for spec in specs)
    return any(direction.initial_state is not None for direction in directions)


def exact_in_all(probe: Probe, specs: Sequence[GRUSpec]) -> Probe:
    """Return `probe` with its numbers rounded to every dtype in turn."""
    states = {place: _rounded(state, specs, 0) for place, state in probe.initial_state.items()}
    return replace(probe, x=_rounded(probe.x, specs, 0), initial_state=states)


def _rounded(values: Array, specs: Sequence[GRUSpec], tiniest: float = _TINIEST) -> Array:
    """Round to every dtype in turn, so that each runtime receives the same numbers; float64."""
    rounded: Array = values.astype(np.float64)
    for spec in specs:
        with np.errstate(over="ignore"):
            narrow = rounded.astype(spec.dtype).astype(np.float64)
        if np.isinf(narrow).any() and np.isfinite(rounded).all():
            raise ProbeError(f"the inputs hold numbers larger than {spec.dtype.name} can hold")
        rounded = narrow
    rounded[np.abs(rounded) < tiniest] = 0
    return rounded
