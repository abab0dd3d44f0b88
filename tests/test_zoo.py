"""The zoo keeps what it promises: every number of a spec occurs once."""

import numpy as np
import pytest

from grubridge.spec import GRUSpec
from tests.zoo import ZOO


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_every_number_occurs_once(spec: GRUSpec) -> None:
    numbers = np.concatenate([array.astype(np.float64).ravel() for _, array in spec.arrays()])

    assert len(np.unique(numbers)) == len(numbers)
    assert spec.input_size != spec.layers[0].hidden_size
    assert all(layer.hidden_size % 3 for layer in spec.layers)


def test_names_are_unique() -> None:
    assert len({spec.name for spec in ZOO}) == len(ZOO)
