"""GRUs inside whole models: nested, chained, shared, masked, wrapped, and told apart from what is no GRU."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.errors import FileFormatError
from grubridge.formats.base import Contents, ReadHints
from grubridge.formats.keras import adapter
from tests.keras_grus import expected_output, largest_difference, probe_x, randomise

pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 file via `model.save", "ignore:.*legacy")


@pytest.fixture(params=["keras", "tf_keras"])
def framework(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.getfixturevalue(request.param)
    return module


def _saved(model: Any, path: Path) -> Contents:
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)
    return adapter.contents(path, ReadHints())


def _saved_as_both(model: Any, folder: Path) -> list[Contents]:
    return [_saved(model, folder / file) for file in ("model.keras", "model.h5")]


def _names(contents: Contents) -> list[str]:
    return [entry.name for entry in contents.stacks]


def _gru(framework: ModuleType, units: int, **settings: Any) -> Any:
    return framework.layers.GRU(units, return_sequences=True, **settings)


def test_neighbours_that_feed_only_each_other_are_one_stack(framework: ModuleType, tmp_path: Path) -> None:
    layers = framework.layers
    model = randomise(
        framework.Sequential(
            [
                framework.Input((7, 3)),
                _gru(framework, 4, name="first"),
                layers.Dropout(0.5),
                layers.SpatialDropout1D(0.5),
                layers.Bidirectional(_gru(framework, 5), name="second"),
                layers.GaussianNoise(0.1),
                layers.GRU(6, name="third"),
            ]
        )
    )

    for contents in _saved_as_both(model, tmp_path):
        (entry,) = contents.stacks
        assert entry.name == "first:third"
        assert [member.name for member in entry.members] == ["first", "second", "third"]
        assert len(entry.address["layers"]) == 3
        assert largest_difference(model, entry.read()) < 1e-6
        assert [member.read().layers[0].hidden_size for member in entry.members] == [4, 5, 6]


@pytest.mark.parametrize("between", ["Dense", "LayerNormalization"])
def test_a_layer_that_changes_its_input_ends_a_chain(
    framework: ModuleType, tmp_path: Path, between: str
) -> None:
    other = getattr(framework.layers, between)
    changing = other(4) if between == "Dense" else other()
    model = framework.Sequential(
        [framework.Input((7, 3)), _gru(framework, 4, name="a"), changing, _gru(framework, 4, name="b")]
    )

    for contents in _saved_as_both(model, tmp_path):
        assert _names(contents) == ["a", "b"]


def _read_twice(framework: ModuleType) -> Any:
    given = framework.Input((7, 3))
    below = _gru(framework, 4, name="a")(given)
    above = _gru(framework, 4, name="b")(below)
    return framework.Model(given, framework.layers.Add()([below, above]))


def _returned_too(framework: ModuleType) -> Any:
    given = framework.Input((7, 3))
    below = _gru(framework, 4, name="a")(given)
    return framework.Model(given, [below, _gru(framework, 4, name="b")(below)])


def _called_twice(framework: ModuleType) -> Any:
    given = framework.Input((7, 3))
    shared = _gru(framework, 3, name="a")
    return framework.Model(given, _gru(framework, 4, name="b")(shared(shared(given))))


def _state_from_below(framework: ModuleType) -> Any:
    given = framework.Input((7, 3))
    below, state = _gru(framework, 4, name="a", return_state=True)(given)
    return framework.Model(given, _gru(framework, 4, name="b")(below, initial_state=state))


def _summed(framework: ModuleType) -> Any:
    first = framework.layers.Bidirectional(_gru(framework, 4), merge_mode="sum", name="a")
    return framework.Sequential([framework.Input((7, 3)), first, _gru(framework, 4, name="b")])


def _backwards(framework: ModuleType) -> Any:
    first = _gru(framework, 4, go_backwards=True, name="a")
    return framework.Sequential([framework.Input((7, 3)), first, _gru(framework, 4, name="b")])


def _repeated(framework: ModuleType) -> Any:
    layers = framework.layers
    between = [layers.GRU(4, name="a"), layers.RepeatVector(7), _gru(framework, 4, name="b")]
    return framework.Sequential([framework.Input((7, 3)), *between])


@pytest.mark.parametrize(
    "make",
    [_read_twice, _returned_too, _called_twice, _state_from_below, _summed, _backwards, _repeated],
)
def test_layers_that_do_not_feed_only_each_other_are_apart(
    framework: ModuleType, tmp_path: Path, make: Callable[[ModuleType], Any]
) -> None:
    for contents in _saved_as_both(make(framework), tmp_path):
        assert _names(contents) == ["a", "b"]


def test_a_functional_chain_is_one_stack(framework: ModuleType, tmp_path: Path) -> None:
    given = framework.Input((7, 3))
    below = framework.layers.Dropout(0.5)(_gru(framework, 4, name="a")(given))
    model = randomise(framework.Model(given, _gru(framework, 5, name="b")(below)))

    for contents in _saved_as_both(model, tmp_path):
        (entry,) = contents.stacks
        assert entry.name == "a:b"
        assert largest_difference(model, entry.read()) < 1e-6


def test_layers_of_models_in_models_are_found(framework: ModuleType, tmp_path: Path) -> None:
    one, two, three, top = (
        _gru(framework, 4 + index, name=name) for index, name in enumerate(("one", "two", "one", "top"))
    )
    dense = framework.layers.Dense(4)
    inner = framework.Sequential([framework.Input((7, 7)), one, dense, two], name="inner")
    given = framework.Input((7, 5))
    wrapped = framework.Model(given, three(given), name="wrapped")
    outer = framework.Input((7, 3))
    model = randomise(framework.Model(outer, wrapped(inner(top(outer)))))

    named = {"top": top, "inner/one": one, "inner/two": two, "wrapped/one": three}
    positions = {"functional/gru": three, "gru": top, "sequential/gru": one, "sequential/gru_1": two}
    for file, expected in (("m.keras", named), ("m.h5", named), ("m.weights.h5", positions)):
        contents = _saved(model, tmp_path / file)
        assert _names(contents) == list(expected)
        for entry in contents.stacks:
            assert largest_difference(expected[entry.name], entry.read()) < 1e-6


def test_classes_are_counted_in_the_order_of_the_model(framework: ModuleType, tmp_path: Path) -> None:
    layers = framework.layers
    made: list[Any] = []
    for index in range(12):
        made += [_gru(framework, index + 1, name=f"layer_{11 - index}"), layers.Dense(2)]
    model = randomise(framework.Sequential([framework.Input((7, 3)), *made]))

    by_name = _saved(model, tmp_path / "model.keras")
    by_position = _saved(model, tmp_path / "model.weights.h5")

    assert _names(by_name) == [f"layer_{11 - index}" for index in range(12)]
    assert _names(by_position) == ["gru", *(f"gru_{index}" for index in range(1, 12))]
    sizes = [[entry.read().layers[0].hidden_size for entry in made.stacks] for made in (by_name, by_position)]
    assert sizes == [list(range(1, 13))] * 2


def test_attributes_lead_to_the_layers_of_a_subclassed_model(keras: ModuleType, tmp_path: Path) -> None:
    class Own(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = _gru(keras, 4)
            self.decoder = keras.layers.Bidirectional(_gru(keras, 5))

        def call(self, x: Any) -> Any:
            return self.decoder(self.encoder(x))

    model = Own()
    model(probe_x())
    randomise(model)

    for file in ("model.keras", "model.weights.h5"):
        contents = _saved(model, tmp_path / file)
        assert _names(contents) == ["decoder", "encoder"]
        decoder, encoder = (entry.read() for entry in contents.stacks)
        between = expected_output(encoder, probe_x())
        assert np.abs(np.asarray(model(probe_x())) - expected_output(decoder, between)).max() < 1e-6


def test_an_attribute_may_have_the_name_of_a_position(keras: ModuleType, tmp_path: Path) -> None:
    class Own(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gru_1 = _gru(keras, 4)
            self.rnn = _gru(keras, 5)

        def call(self, x: Any) -> Any:
            return self.rnn(self.gru_1(x))

    model = Own()
    model(probe_x())

    contents = _saved(model, tmp_path / "model.weights.h5")

    sizes = {entry.name: entry.read().layers[0].hidden_size for entry in contents.stacks}
    assert sizes == {"gru_1": 4, "layers/gru_1": 5}


def test_a_time_distributed_gru_is_a_stack(framework: ModuleType, tmp_path: Path) -> None:
    layers = framework.layers
    inner = layers.GRU(5, name="inside")
    model = randomise(
        framework.Sequential([framework.Input((4, 7, 3)), layers.TimeDistributed(inner, name="each")])
    )

    made = np.asarray(model(np.stack([probe_x()] * 4, axis=1)))[:, 0]
    for contents in _saved_as_both(model, tmp_path):
        (entry,) = contents.stacks
        assert entry.name == "each/inside"
        assert np.abs(made - expected_output(entry.read(), probe_x())).max() < 1e-6


@pytest.mark.parametrize("source", ["Masking", "Embedding", "nested", "none"])
def test_a_mask_from_above_is_noted(framework: ModuleType, tmp_path: Path, source: str) -> None:
    layers = framework.layers
    if source == "Embedding":
        first = [framework.Input((7,), dtype="int32"), layers.Embedding(9, 3, mask_zero=True)]
    elif source == "nested":
        first = [framework.Input((7, 3)), framework.Sequential([framework.Input((7, 3)), layers.Masking()])]
    else:
        first = [framework.Input((7, 3)), *([layers.Masking()] if source == "Masking" else [])]
    model = framework.Sequential([*first, layers.Dropout(0.5), layers.GRU(4, stateful=False)])

    for contents in _saved_as_both(model, tmp_path):
        (entry,) = contents.stacks
        assert entry.read().io.masking == (source != "none")


def test_what_is_no_gru_is_named(framework: ModuleType, tmp_path: Path) -> None:
    layers = framework.layers
    model = framework.Sequential(
        [
            framework.Input((7, 3)),
            layers.LSTM(4, return_sequences=True, name="long"),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both"),
            layers.RNN(layers.LSTMCell(4), return_sequences=True, name="cells"),
            layers.SimpleRNN(4, return_sequences=True, name="simple"),
            layers.RNN([layers.GRUCell(4), layers.LSTMCell(4)], return_sequences=True, name="mixed"),
        ]
    )
    named = ("LSTM 'long'", "Bidirectional of LSTM 'both'", "RNN of LSTMCell 'cells'", "SimpleRNN 'simple'",
             "RNN of StackedRNNCells 'mixed'")  # fmt: skip

    for contents in _saved_as_both(model, tmp_path):
        assert contents.stacks == ()
        assert contents.others == named
    assert _saved(model, tmp_path / "model.weights.h5").others == (
        "LSTM 'bidirectional'",
        "LSTM 'lstm'",
        "LSTM 'rnn'",
        "LSTM 'rnn_1'",
        "recurrent layer of another kind 'simple_rnn'",
    )


def test_a_model_that_says_its_activations_takes_no_hints(keras: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((7, 3)), keras.layers.GRU(4)]).save(path)

    with pytest.raises(FileFormatError) as caught:
        adapter.contents(path, ReadHints("tanh", reset_after=True))

    assert str(caught.value) == (
        f"{path}: the file says itself what --activation and --reset-after would say; leave it out"
    )
