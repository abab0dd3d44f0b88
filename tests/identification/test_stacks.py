"""Stacks of several layers and directions, run by torch, their tensors under names that no layout has."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.identification.identify import identify
from grubridge.spec import CANDIDATE, RESET, UPDATE

from .cells import write

_NAMES = {"weight_ih": "into", "weight_hh": "round", "bias_ih": "shift", "bias_hh": "drift"}


@pytest.mark.parametrize("outputs", ["hidden", "last"])
@pytest.mark.parametrize(
    "arguments",
    [{"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}],
    ids=["two layers", "both ways", "two layers both ways"],
)
def test_a_stack_is_found_from_its_top_outputs(
    torch: ModuleType, tmp_path: Path, arguments: dict[str, Any], outputs: str
) -> None:
    torch.manual_seed(1)
    module = torch.nn.GRU(4, 6, batch_first=True, **arguments)
    x = torch.randn(3, 6, 4)
    with torch.no_grad():
        hidden, state = module(x)
    ways = 2 if module.bidirectional else 1
    last = np.concatenate(list(state.numpy()[-ways:]), axis=-1)
    tensors = {
        re.sub(r"(\w+)_l(\d)(.*)", lambda m: f"rnn.{_NAMES[m[1]]}{m[2]}{m[3]}", name): array.numpy()
        for name, array in module.state_dict().items()
    }
    recorded = {"x": x.numpy(), outputs: hidden.numpy() if outputs == "hidden" else last}

    found = identify(*write(tmp_path, tensors, **recorded))

    first = found.fits[0]
    layered, both = module.num_layers > 1, "{direction}" if module.bidirectional else ""
    weight = next(one for one in first.layout.tensors if one.holds == ("input_weight",))
    assert weight.name == f"into{'{layer}' if layered else '0'}{both}"
    assert weight.gates == (RESET, UPDATE, CANDIDATE)
    assert (first.layout.update, first.layout.reset, first.prefix) == ("keeps", "after", "rnn.")
    assert first.left_over == ()
