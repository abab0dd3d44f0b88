"""Cells run by their descriptions, held against the same cells typed from their equations."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.backends.described import run_described
from grubridge.backends.operators import Operators, tensorflow_operators, torch_operators
from grubridge.checker.judge import Observation, judge
from grubridge.errors import CannotRunError, ProbeError
from grubridge.layouts.description import CellLayout, TensorLayout
from grubridge.layouts.reading import read_direction
from grubridge.reference import cell as reference_cell
from grubridge.reference.activations import evaluate
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.reference.rounding import QUANTITIES
from grubridge.spec import GATE_NAMES, Activation, Direction, GRULayer
from grubridge.spec.activation import PARAMETERS
from grubridge.traces import Probe
from tests.backends.hand_cells import CELLS, HandCell, draw, run_cell

TOLERANCES = {"float64": 1e-14, "float32": 1e-6, "float16": 4e-3, "bfloat16": 4e-2}
LENGTHS = (6, 2, 4)
WAYS: tuple[tuple[Direction, str], ...] = (("forward", ""), ("backward", "_back"))


def _probe(seed: int = 0, *, lengths: bool = False) -> Probe:
    rng = np.random.default_rng(100 + seed)
    x, h = rng.integers(-48, 48, (3, 6, 3)) / 32, rng.integers(-48, 48, (3, 4)) / 32
    return Probe(x, {(0, "forward"): h}, np.array(LENGTHS) if lengths else None)


def _expected(cell: HandCell, tensors: dict[str, Any], probe: Probe) -> dict[str, Any]:
    import torch

    dtype = next(iter(tensors.values())).dtype
    x, h = (torch.from_numpy(a).to(dtype) for a in (probe.x, probe.initial_state[0, "forward"]))
    return {name: made.double().numpy() for name, made in run_cell(cell, tensors, x, h).items()}


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", CELLS)
def test_torch_computes_what_the_equations_say(name: str, dtype: str) -> None:
    cell, probe = CELLS[name], _probe()
    tensors = draw(cell, dtype)

    made = run_described(cell.layout, tensors, probe, torch_operators(next(iter(tensors.values()))))

    seen = made[0, "forward"]
    assert seen.gate_source == "observed"
    for quantity, expected in _expected(cell, tensors, probe).items():
        np.testing.assert_allclose(
            seen.arrays()[quantity], expected, rtol=0, atol=4 * TOLERANCES[dtype], err_msg=quantity
        )


@pytest.mark.usefixtures("torch", "keras")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CELLS)
def test_tensorflow_computes_what_the_equations_say(name: str, dtype: str) -> None:
    import tensorflow as tf

    cell, probe = CELLS[name], _probe()
    tensors = draw(cell, dtype)
    there = {key: tf.constant(tensor.numpy()) for key, tensor in tensors.items()}

    made = run_described(cell.layout, there, probe, tensorflow_operators(next(iter(there.values()))))

    arrays = made[0, "forward"].arrays()
    for quantity, expected in _expected(cell, tensors, probe).items():
        np.testing.assert_allclose(
            arrays[quantity], expected, rtol=0, atol=4 * TOLERANCES[dtype], err_msg=quantity
        )


def _operators(framework: str) -> Operators:
    if framework == "torch":
        import torch

        return torch_operators(torch.zeros(1, dtype=torch.float64))
    import tensorflow as tf

    return tensorflow_operators(tf.zeros(1, tf.float64))


@pytest.mark.usefixtures("torch", "keras")
@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize("function", PARAMETERS)
def test_every_activation_is_the_one_that_is_meant(function: str, framework: str) -> None:
    given = {"alpha": 0.3, "beta": 0.4}
    activation = Activation(function, **{name: given[name] for name in PARAMETERS[function]})
    a, run = np.linspace(-30, 30, 4001)[None], _operators(framework)

    made = run.array(run.activate(activation, run.tensor(a)))

    np.testing.assert_allclose(made, evaluate(activation, a), rtol=1e-15, atol=1e-14)


@pytest.mark.usefixtures("torch")
def test_a_sequence_ends_where_its_length_says() -> None:
    cell = CELLS["concat"]
    tensors = draw(cell, "float64")
    run = torch_operators(next(iter(tensors.values())))

    whole = run_described(cell.layout, tensors, _probe(), run)[0, "forward"].arrays()
    cut = run_described(cell.layout, tensors, _probe(lengths=True), run)[0, "forward"].arrays()

    for quantity in ("hidden", *GATE_NAMES):
        for row, length in enumerate(LENGTHS):
            np.testing.assert_array_equal(cut[quantity][row, :length], whole[quantity][row, :length])
            assert not cut[quantity][row, length:].any()


def _stack(layers: int) -> tuple[CellLayout, dict[str, Any]]:
    """The concatenating cell in both directions of several layers, each with tensors of its own."""
    layout = CELLS["concat"].layout
    tensors = tuple(replace(one, name=f"l{{layer}}{{direction}}.{one.name}") for one in layout.tensors)
    numbers: dict[str, Any] = {}
    for layer in range(layers):
        for seed, way in enumerate(("", "_back")):
            width = 3 if layer == 0 else 8
            shapes = {
                name: (4, width + 4) if name.endswith("weight") else (4,) for name in CELLS["concat"].shapes
            }
            made = draw(replace(CELLS["concat"], shapes=shapes), "float64", 7 * layer + seed)
            numbers |= {f"l{layer}{way}.{name}": tensor for name, tensor in made.items()}
    return replace(layout, tensors=tensors, directions={"forward": "", "backward": "_back"}), numbers


def test_layers_and_directions(torch: ModuleType) -> None:
    layout, tensors = _stack(2)
    x = np.random.default_rng(1).normal(size=(3, 6, 3))
    lengths = np.array(LENGTHS)

    made = run_described(layout, tensors, Probe(x, {}, lengths), torch_operators(tensors["l0.new.bias"]))

    assert list(made) == [(0, "forward"), (0, "backward"), (1, "forward"), (1, "backward")]
    for row, length in enumerate(LENGTHS):
        below = torch.from_numpy(x[row : row + 1, :length])
        for layer in range(2):
            halves = []
            for way, end in WAYS:
                own = {name: tensors[f"l{layer}{end}.{name}"] for name in CELLS["concat"].shapes}
                read = below if way == "forward" else below.flip(1)
                ran = run_cell(CELLS["concat"], own, read, torch.zeros(1, 4, dtype=torch.float64))
                ordered = {name: a if way == "forward" else a.flip(1) for name, a in ran.items()}
                arrays = made[layer, way].arrays()
                for quantity, expected in ordered.items():
                    np.testing.assert_allclose(
                        arrays[quantity][row, :length], expected[0].numpy(), rtol=0, atol=1e-14
                    )
                halves.append(ordered["hidden"])
            below = torch.cat(halves, -1)


def test_a_learned_state_comes_from_the_file(torch: ModuleType) -> None:
    cell = CELLS["d2l"]
    h0 = TensorLayout("h0", ("initial_state",))
    layout = replace(cell.layout, tensors=(*cell.layout.tensors, h0))
    tensors = draw(cell, "float64")
    learned = torch.linspace(-1, 1, 4, dtype=torch.float64)
    probe = replace(_probe(), initial_state={})

    made = run_described(layout, {**tensors, "h0": learned}, probe, torch_operators(learned))

    expected = run_cell(cell, tensors, torch.from_numpy(probe.x), learned.expand(3, 4))
    np.testing.assert_array_equal(made[0, "forward"].initial_state, learned.expand(3, 4))
    np.testing.assert_allclose(made[0, "forward"].hidden, expected["hidden"], rtol=0, atol=1e-14)


@pytest.mark.usefixtures("torch")
def test_layers_may_be_counted_from_one() -> None:
    layout, tensors = _stack(2)
    renamed = {f"l{int(name[1]) + 1}{name[2:]}": tensor for name, tensor in tensors.items()}
    probe, run = (
        Probe(np.random.default_rng(1).normal(size=(3, 6, 3))),
        torch_operators(tensors["l0.new.bias"]),
    )

    made, expected = (run_described(layout, stored, probe, run) for stored in (renamed, tensors))

    assert list(made) == list(expected)
    for place, trace in expected.items():
        np.testing.assert_array_equal(made[place].hidden, trace.hidden)


@pytest.mark.usefixtures("torch")
def test_the_output_transform_is_no_part_of_the_states() -> None:
    cell, probe = CELLS["concat"], _probe()
    tensors = draw(cell, "float64")
    run = torch_operators(next(iter(tensors.values())))
    transformed = replace(cell.layout, output_activation=Activation("tanh"))

    plain, made = (run_described(layout, tensors, probe, run) for layout in (cell.layout, transformed))

    np.testing.assert_array_equal(made[0, "forward"].hidden, plain[0, "forward"].hidden)


@pytest.mark.usefixtures("torch")
def test_gates_are_left_out_when_nobody_wants_them() -> None:
    cell = CELLS["d2l"]
    tensors = draw(cell, "float32")
    probe = replace(_probe(), gates=False)

    made = run_described(cell.layout, tensors, probe, torch_operators(tensors["W_xz"]))

    assert made[0, "forward"].gates is None


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["W_hz"], "the layout d2l needs W_hz, which the file has not"),
        (list(CELLS["d2l"].shapes), "the file has no tensors of the layout d2l"),
    ],
)
def test_missing_tensors_are_named(missing: list[str], message: str) -> None:
    cell = CELLS["d2l"]
    tensors = draw(cell, "float32")
    run = torch_operators(tensors["W_xz"])

    with pytest.raises(CannotRunError) as refused:
        run_described(cell.layout, {k: v for k, v in tensors.items() if k not in missing}, _probe(), run)

    assert refused.value.reason == message


@pytest.mark.usefixtures("torch")
def test_an_initial_state_of_another_size_is_refused() -> None:
    cell = CELLS["d2l"]
    tensors = draw(cell, "float32")
    probe = replace(_probe(), initial_state={(0, "forward"): np.zeros((3, 5))})

    with pytest.raises(ProbeError, match=r"layer 0 forward must be \[3, 4\]; received \[3, 5\]"):
        run_described(cell.layout, tensors, probe, torch_operators(tensors["W_xz"]))


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", CELLS)
def test_what_is_read_and_what_is_run_agree(name: str, dtype: str) -> None:
    """Two readings of one description, within the bound of every step, on a few dozen random cells."""
    cell = CELLS[name]
    how = arithmetic_of("pytorch", dtype)
    for seed in range(6):
        probe, tensors = _probe(seed, lengths=seed % 2 == 0), draw(cell, dtype, seed)
        direction, reset_after = read_direction(cell.layout, {k: _array(v) for k, v in tensors.items()})
        seen = run_described(cell.layout, tensors, probe, torch_operators(next(iter(tensors.values()))))
        made = seen[0, "forward"]
        received = {quantity: made.arrays()[quantity] for quantity in QUANTITIES}
        observation = Observation(
            made.x, made.initial_state, received, probe.lengths, "forward", 1e30, observed=False
        )
        judgement = judge(reference_cell(GRULayer(direction, None, reset_after), direction), observation, how)

        for quantity, finding in judgement.findings.items():
            assert finding.judged
            assert finding.headroom <= 1, (quantity, seed, finding)


def _array(tensor: Any) -> Any:
    import ml_dtypes
    import torch

    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    "wrong",
    [
        {"update": "keeps"},
        {"reset": "after"},
        {"gate_activation": Activation("hard_sigmoid", 0.2, 0.5)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_reader_that_takes_a_description_otherwise_is_caught(wrong: dict[str, Any]) -> None:
    cell, probe = CELLS["concat"], _probe()
    tensors = draw(cell, "float32")
    direction, reset_after = read_direction(
        replace(cell.layout, **wrong), {k: v.numpy() for k, v in tensors.items()}
    )
    made = run_described(cell.layout, tensors, probe, torch_operators(tensors["new.bias"]))[0, "forward"]
    seen = Observation(
        made.x, made.initial_state, {"hidden": made.hidden}, None, "forward", 1e30, observed=False
    )

    layer = GRULayer(direction, None, reset_after)
    judgement = judge(reference_cell(layer, direction), seen, arithmetic_of("pytorch", "float32"))

    assert judgement.findings["hidden"].headroom > 100
