"""What is read out of the fused kernels: right within the bound that reading adds, and the kernel's own."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import grubridge
from grubridge.artifacts import open_artifact
from grubridge.backends.base import Artifact
from grubridge.backends.launch import Job, run_jobs
from grubridge.backends.onnxruntime.gates import tap_into
from grubridge.backends.onnxruntime.node import GRUNode, open_node
from grubridge.backends.onnxruntime.session import CPU
from grubridge.backends.registry import BACKENDS
from grubridge.backends.taps import observed, wider
from grubridge.checker.probe import random_probe
from grubridge.formats.registry import adapter
from grubridge.reference import cell
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.reference.rounding import QUANTITIES, deviations, one_step_bounds
from grubridge.reference.tapped import recomposed, with_tap_errors
from grubridge.reference.taps import plan_taps
from grubridge.spec import Activation, Array, Gates, GRUDirection, GRULayer, GRUSpec, unsupported
from grubridge.traces import Place, Probe, Trace, previous_state, valid_steps
from tests.backends.keras_models import Models, arguments
from tests.backends.onnx_models import address, gru_model
from tests.zoo import ZOO, make_spec, member

FRAMEWORKS = {"keras": "keras", "onnxruntime": "onnxruntime", "pytorch": "torch"}
REPLAYED = "the gates are replayed by ordinary operators, not read out of the kernel:"
NOT_RUN_BY_ONNXRUNTIME = {"float64", "bfloat16"}


def _run(backend: str, folder: Path) -> dict[str, tuple[Trace, GRUSpec, Probe]]:
    """Every spec of the zoo that the runtime's own format holds, run by one process."""
    target = adapter(BACKENDS[backend].formats[0])
    cases: dict[str, tuple[Job, GRUSpec, Probe]] = {}
    for number, spec in enumerate(ZOO):
        refused = backend == "onnxruntime" and spec.dtype.name in NOT_RUN_BY_ONNXRUNTIME
        if refused or unsupported(spec, target.CAPABILITIES, target.NAME):
            continue
        path = folder / f"{spec.name}{target.SUFFIXES[0]}"
        grubridge.write(spec, path)
        probe = random_probe([spec], seed=number, batch=4, steps=24)
        where = open_artifact(path).select().address
        cases[spec.name] = Job(backend, Artifact(str(path), target.NAME, where), probe), spec, probe
    outcomes = run_jobs([job for job, _, _ in cases.values()])
    made: dict[str, tuple[Trace, GRUSpec, Probe]] = {}
    for (name, (_, spec, probe)), outcome in zip(cases.items(), outcomes, strict=True):
        assert isinstance(outcome, Trace), (name, outcome)
        made[name] = outcome, spec, probe
    return made


@pytest.fixture(scope="module", params=FRAMEWORKS)
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Trace, GRUSpec, Probe]]:
    assert isinstance(request.getfixturevalue(FRAMEWORKS[request.param]), ModuleType)
    return _run(request.param, tmp_path_factory.mktemp(request.param))


def _rows(trace: Trace, place: Place, probe: Probe) -> tuple[Array, Array, dict[str, Array]]:
    """x [N, I], h_{t-1} [N, H] and what was returned, [N, H] each, of the valid steps; float64."""
    made = trace.places[place]
    assert made.gates is not None
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    previous = previous_state(place[1], made.hidden, made.initial_state, probe.lengths)
    received: dict[str, Array] = {"hidden": made.hidden}
    received.update(made.gates.items())
    x, before = (array[valid].astype(np.float64) for array in (made.x, previous))
    return x, before, {name: array[valid].astype(np.float64) for name, array in received.items()}


def test_gates_lie_within_the_bound_and_give_back_the_state(
    runs: Mapping[str, tuple[Trace, GRUSpec, Probe]],
) -> None:
    for name, (trace, spec, probe) in runs.items():
        how = arithmetic_of(trace.backend, trace.dtype)
        for index, way, direction in spec.directions():
            numbers = cell(spec.layers[index], direction)
            x, previous, received = _rows(trace, (index, way), probe)
            width = deviations(*previous.shape)
            bounds = with_tap_errors(
                one_step_bounds(numbers, x, previous, how, deviations=width), numbers, how
            )
            assert trace.places[index, way].gate_source == "observed", (name, trace.notes)
            for quantity in QUANTITIES:
                error = np.abs(received[quantity] - bounds[quantity].value)
                share = float((error / bounds[quantity].statistical).max())
                assert 0 < share <= 1, (name, index, way, quantity)
            again = recomposed(received, previous, bounds)  # type: ignore[arg-type]
            assert 0 < again.headroom <= 1, (name, index, way)
            swapped = {**received, "update": received["reset"]}
            wrong = recomposed(swapped, previous, bounds)  # type: ignore[arg-type]
            assert wrong.headroom > 3, (name, index, way)


def test_a_trace_says_what_computed_it(runs: Mapping[str, tuple[Trace, GRUSpec, Probe]]) -> None:
    kernels = {trace.backend: trace.kernel for trace, _, _ in runs.values()}
    precisions = {name: trace.precision for name, (trace, _, _) in runs.items()}

    assert set(kernels.values()) < {
        "keras GRU on tensorflow, called eagerly",
        "GRU node, CPUExecutionProvider",
        "nn.GRU",
    }
    assert precisions["float16"] == "float16"
    assert precisions["reset_after"] == "float32"


def test_onnx_runtime_s_own_reset_gate(onnxruntime: ModuleType, tmp_path: Path) -> None:
    """The sigmoid of its reset gate is not its operator Sigmoid, and falls below 0 far to the left.

    Only what is read out of the kernel knows that: here n = tanh(r), so that h' has the sign of r.
    """
    node = _cut(_reset_alone(), tmp_path)
    x = np.linspace(-24, 24, 961, dtype=np.float32)[:, None]
    nothing = np.zeros((961, 7), np.float32)

    gates = observed(tap_into(node, 0, CPU), x, nothing)

    (hidden,) = node.run(x[:, None], nothing[None], None, CPU)
    np.testing.assert_array_equal(np.sign(gates.reset), np.sign(hidden[:, 0]))
    assert (gates.reset[:, 0] != _operator(onnxruntime, x)[:, 0]).mean() > 0.1
    np.testing.assert_allclose(gates.reset, 1 / (1 + np.exp(-x)) * np.ones(7), rtol=0, atol=20 * 2.0**-24)


def _reset_alone() -> GRUSpec:
    """r = sigmoid(x), n = tanh(r), z = 1/2."""
    rows, square, bias = np.zeros((7, 1), np.float32), np.zeros((7, 7), np.float32), np.zeros(7, np.float32)
    direction = GRUDirection(
        Gates(rows, rows + 1, rows),
        Gates(square, square, square),
        Gates(bias, bias, bias),
        Gates(bias, bias, bias + 1),
    )
    return GRUSpec((GRULayer(direction, None, reset_after=True),), "reset")


def _cut(spec: GRUSpec, folder: Path) -> GRUNode:
    onnx.save(gru_model(spec), folder / "model.onnx")
    return open_node(onnx.load(folder / "model.onnx"), address("y0")["nodes"][0], folder)


def _operator(onnxruntime: ModuleType, a: Array) -> Array:
    """The operator Sigmoid."""
    shaped = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("a", "z")]
    graph = helper.make_graph([helper.make_node("Sigmoid", ["a"], ["z"])], "g", shaped[:1], shaped[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made: Array = session.run(None, {"a": a})[0]
    return made


@pytest.mark.usefixtures("onnxruntime")
def test_the_wider_kernel_repeats_the_run(tmp_path: Path) -> None:
    """Its first units are the model's own, so that what stands beside them saw the same numbers."""
    node = _cut(make_spec("repeated", sizes=(5, 32), seed=71), tmp_path)
    rng = np.random.default_rng(2)
    x, start = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 9, 5), (1, 4, 32)))
    (hidden,) = node.run(x, start, None, CPU)
    previous = previous_state("forward", hidden, start[0], None).reshape(-1, 32)
    tap = tap_into(node, 0, CPU)
    plan = plan_taps(Activation("sigmoid"), Activation("tanh"), None)
    assert plan is not None

    step = tap.kernel(wider(tap.direction, plan, slice(0, 32)))
    rows = np.concatenate([x.reshape(-1, 5), np.ones((36, 1), np.float32)], axis=1)
    again = step(rows, np.pad(previous, ((0, 0), (0, 96))))[:, :32]

    np.testing.assert_allclose(again, hidden.reshape(-1, 32), rtol=0, atol=4 * 2.0**-24)
    assert (again == hidden.reshape(-1, 32)).mean() > 0.9


def test_an_activation_that_no_state_shows(keras: ModuleType, tmp_path: Path) -> None:
    """gelu falls and rises: its gates are replayed by Keras's operators, and the trace says so."""
    models = Models(keras, tmp_path)
    spec = member("reset_after")
    layer = keras.layers.GRU(
        **{**arguments(spec.layers[0]), "activation": "gelu"}, return_sequences=True, name="gelu"
    )
    model = models.sequential(spec.input_size, layer)
    models.save("gelu.keras", model, spec, models.stored(layer, ["gelu"]))

    ((trace, _, _),) = models.run().values()

    assert isinstance(trace, Trace), trace
    made = trace.places[0, "forward"]
    assert made.gate_source == "replayed"
    assert made.gates is not None
    before = previous_state("forward", made.hidden, made.initial_state, np.array([6, 2, 4]))
    again = made.gates.update * before + (1 - made.gates.update) * made.gates.candidate
    np.testing.assert_allclose(again[0], made.hidden[0], rtol=0, atol=1e-6)
    assert trace.notes == (f"{REPLAYED} its activations are not among those that can be read from a state",)
