"""Keras opens files that Keras 3 and Keras 2 saved, and does what the equations say."""

from types import ModuleType

import pytest

from grubridge.traces import Trace
from tests.backends.agreement import assert_agrees, make_probe
from tests.backends.keras_models import Models, Runs, arguments, arrays_of, gru
from tests.zoo import make_spec, member

PLAIN = member("reset_after")
BEFORE = member("reset_before")
BOTH = member("bidirectional")
STACK = member("three_layers_reset_before")
CHAIN = member("two_layers_bidirectional")
OLD = member("hard_sigmoid_keras_2")
OLD_BOTH = make_spec(
    "old_bidirectional", sizes=(4, 5), directions="both", reset_after=False, biases="input", seed=41
)
ALONE = (
    "reset_after",
    "reset_before",
    "no_bias",
    "hard_sigmoid_keras_3",
    "relu",
    "bidirectional",
    "backward_only",
)
DTYPES = ("float16", "bfloat16", "float64")


def _stacked_cells(models: Models) -> None:
    layers = models.keras.layers
    cells = [layers.GRUCell(**arguments(layer)) for layer in STACK.layers]
    rnn = layers.RNN(cells, return_sequences=True, name="stacked")
    model = models.sequential(STACK.input_size, rnn)
    rnn.set_weights([array for layer in STACK.layers for array in arrays_of(layer)])
    models.save("stacked_cells.keras", model, STACK, *(models.stored(rnn, ["stacked"], k) for k in range(3)))


def _nested(models: Models) -> None:
    keras = models.keras
    inner_gru = gru(keras.layers, PLAIN.layers[0], "inner_gru", return_sequences=False, stateful=False)
    inner = models.sequential(PLAIN.input_size, inner_gru)
    inner_gru.set_weights(arrays_of(PLAIN.layers[0]))
    given = keras.Input((None, PLAIN.input_size))
    model = keras.Model(given, keras.layers.Dense(2)(inner(given)))
    models.save("nested.keras", model, PLAIN, models.stored(inner_gru, [inner.name, "inner_gru"]))


def _masked(models: Models) -> None:
    """A functional model, in which Keras keeps the operations of a mask."""
    keras = models.keras
    inner = gru(keras.layers, PLAIN.layers[0], "inner")
    given = keras.Input((None, PLAIN.input_size))
    model = keras.Model(given, inner(keras.layers.Masking(-1.0)(given)))
    inner.set_weights(arrays_of(PLAIN.layers[0]))
    models.save("masked.keras", model, PLAIN, models.stored(inner, ["inner"]))


def _time_distributed(models: Models) -> None:
    keras = models.keras
    inner = gru(keras.layers, BEFORE.layers[0], "inner", return_sequences=False)
    given = keras.Input((2, 4, BEFORE.input_size))
    model = keras.Model(given, keras.layers.TimeDistributed(inner, name="each")(given))
    inner.set_weights(arrays_of(BEFORE.layers[0]))
    models.save("time_distributed.keras", model, BEFORE, models.stored(inner, ["each", "inner"]))


@pytest.fixture(scope="module")
def runs(keras: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    models = Models(keras, tmp_path_factory.mktemp("keras"))
    for name in (*ALONE, *DTYPES):
        models.add(f"{name}.keras", member(name))
    models.add("chain.keras", CHAIN)
    models.add("plain.h5", PLAIN)
    models.add("both.h5", BOTH)
    models.add("mixed.keras", PLAIN, dtype="mixed_float16")
    models.add("rnn.keras", BEFORE, kind="RNN")
    models.add("rnn_both.keras", BOTH, kind="RNN")
    models.add("unrolled_stateless.keras", PLAIN, unroll=False, stateful=False, return_state=False)
    models.add("zero_states.keras", BOTH, probe=make_probe(BOTH, states=False, lengths=None))
    models.add("last_step.keras", PLAIN, return_sequences=False, zero_output_for_mask=True)
    _stacked_cells(models)
    _nested(models)
    _masked(models)
    _time_distributed(models)
    odd = models.folder / "model_of_mine.bin"
    odd.write_bytes((models.folder / "plain.h5").read_bytes())
    spec, probe, _, where = models.cases["plain.h5"]
    models.cases["odd_name"] = spec, probe, odd, where
    return models.run()


NATIVE = [
    *(f"{name}.keras" for name in (*ALONE, *DTYPES)),
    *(
        "chain.keras",
        "plain.h5",
        "both.h5",
        "mixed.keras",
        "rnn.keras",
        "rnn_both.keras",
        "unrolled_stateless.keras",
    ),
    *(
        "zero_states.keras",
        "last_step.keras",
        "stacked_cells.keras",
        "nested.keras",
        "masked.keras",
        "time_distributed.keras",
    ),
    "odd_name",
]


@pytest.mark.parametrize("case", NATIVE)
def test_keras_3_agrees_with_the_equations(case: str, runs: Runs) -> None:
    trace, spec, probe = runs[case]

    assert isinstance(trace, Trace), trace
    assert (trace.native, trace.notes) == (True, ())
    assert_agrees(trace, spec, probe, "float16" if case == "mixed.keras" else None)
    assert trace.backend == "keras"
    assert trace.version.startswith("keras 3.")
    assert "(tensorflow 2." in trace.version


@pytest.fixture(scope="module")
def old_runs(tf_keras: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    models = Models(tf_keras, tmp_path_factory.mktemp("tf_keras"))
    for name, spec in (("plain", PLAIN), ("old", OLD), ("old_both", OLD_BOTH), ("chain", CHAIN)):
        models.add(f"{name}.h5", spec)
    models.add("old.keras", OLD)
    return models.run()


@pytest.mark.parametrize("case", ["plain.h5", "old.h5", "old_both.h5", "chain.h5", "old.keras"])
def test_keras_2_agrees_with_the_equations(case: str, old_runs: Runs) -> None:
    trace, spec, probe = old_runs[case]

    assert isinstance(trace, Trace), trace
    assert (trace.native, trace.notes) == (True, ())
    assert_agrees(trace, spec, probe)
    assert trace.version.startswith("tf_keras 2.")
