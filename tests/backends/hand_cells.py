"""Cells as people write them in PyTorch, typed from their equations, each with its layout as a value.

A cell's `step` returns its own update gate, reset gate (None where it has none), candidate and h'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grubridge.layouts.description import CellLayout, TensorLayout
from grubridge.spec import CANDIDATE, RESET, UPDATE, Activation, Gate, hard_sigmoid

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CELLS", "HandCell", "draw", "run_cell"]

INPUT, H = 3, 4

W, U, B, C = "input_weight", "recurrent_weight", "input_bias", "recurrent_bias"
ALL = (RESET, UPDATE, CANDIDATE)


def _one(name: str, part: Any, *gates: Gate, **how: Any) -> TensorLayout:
    return TensorLayout(name, part if isinstance(part, tuple) else (part,), gates, **how)


@dataclass(frozen=True)
class HandCell:
    """A cell: its layout, the shape of each tensor, and its equations on torch tensors."""

    layout: CellLayout
    shapes: Mapping[str, tuple[int, ...]]
    step: Any


def _d2l(p: dict[str, Tensor], x: Tensor, h: Tensor) -> tuple[Any, ...]:
    z = (x @ p["W_xz"] + h @ p["W_hz"] + p["b_z"]).sigmoid()
    r = (x @ p["W_xr"] + h @ p["W_hr"] + p["b_r"]).sigmoid()
    n = (x @ p["W_xh"] + (r * h) @ p["W_hh"] + p["b_h"]).tanh()
    return z, r, n, z * h + (1 - z) * n


def _reset_only(p: dict[str, Tensor], x: Tensor, h: Tensor) -> tuple[Any, ...]:
    r = (x @ p["W_xr"] + h @ p["W_hr"] + p["b_r"]).sigmoid()
    n = (x @ p["W_xh"] + (r * h) @ p["W_hh"] + p["b_h"]).tanh()
    return None, r, n, n


def _update_only(p: dict[str, Tensor], x: Tensor, h: Tensor) -> tuple[Any, ...]:
    z = (x @ p["W_xz"] + h @ p["W_hz"] + p["b_z"]).sigmoid()
    n = (x @ p["W_xh"] + h @ p["W_hh"] + p["b_h"]).tanh()
    return z, None, n, z * h + (1 - z) * n


def _concat(p: dict[str, Tensor], x: Tensor, h: Tensor) -> tuple[Any, ...]:
    from torch import cat
    from torch.nn.functional import linear

    z = linear(cat([x, h], 1), p["update.weight"], p["update.bias"]).sigmoid()
    r = linear(cat([x, h], 1), p["reset.weight"], p["reset.bias"]).sigmoid()
    n = linear(cat([x, r * h], 1), p["new.weight"], p["new.bias"]).tanh()
    return z, r, n, (1 - z) * h + z * n


def _concat_state_first(p: dict[str, Tensor], x: Tensor, h: Tensor) -> tuple[Any, ...]:
    from torch import cat
    from torch.nn.functional import linear

    u, r = linear(cat([h, x], 1), p["gates.weight"], p["gates.bias"]).sigmoid().chunk(2, 1)
    n = linear(cat([r * h, x], 1), p["new.weight"]).tanh()
    return u, r, n, u * h + (1 - u) * n


def _split(p: dict[str, Tensor], x: Tensor, h: Tensor) -> tuple[Any, ...]:
    from torch.nn.functional import linear

    def of(name: str, value: Tensor) -> Tensor:
        return linear(value, p[f"{name}.weight"], p[f"{name}.bias"])

    r = (of("linear_reset_w1", x) + of("linear_reset_r1", h)).sigmoid()
    z = (of("linear_reset_w2", x) + of("linear_reset_r2", h)).sigmoid()
    n = (of("linear_gate_w3", x) + r * of("linear_gate_r3", h)).tanh()
    return z, r, n, (1 - z) * n + z * h


def _fused_after(p: dict[str, Tensor], x: Tensor, h: Tensor) -> tuple[Any, ...]:
    """All gates of [h, x] in one matrix and reset after: the halves of the candidate are multiplied apart."""
    rows, (b, c) = p["kernel"], p["bias"]
    hr, hz, hn = (h @ rows[:H] + c).chunk(3, 1)
    xr, xz, xn = (x @ rows[H:] + b).chunk(3, 1)
    r, z = (0.2 * (xr + hr) + 0.5).clamp(0, 1), (0.2 * (xz + hz) + 0.5).clamp(0, 1)
    n = (xn + r * hn) / (1 + (xn + r * hn).abs())
    return z, r, n, (1 - z) * h + z * n


def _two_biases_before(p: dict[str, Tensor], x: Tensor, h: Tensor) -> tuple[Any, ...]:
    """Fused weights apart for x and h, two biases in one flat vector, and reset before."""
    b, c = p["bias"].chunk(2)
    xr, xz, xn = (x @ p["weight_x"].T + b).chunk(3, 1)
    u_r, u_z, u_n = p["weight_h"].chunk(3)
    c_r, c_z, c_n = c.chunk(3)
    r, z = (xr + h @ u_r.T + c_r).sigmoid(), (xz + h @ u_z.T + c_z).sigmoid()
    n = (xn + (r * h) @ u_n.T + c_n).tanh()
    return z, r, n, z * h + (1 - z) * n


_D2L = (
    {f"W_x{k}": (INPUT, H) for k in "zrh"}
    | {f"W_h{k}": (H, H) for k in "zrh"}
    | {f"b_{k}": (H,) for k in "zrh"}
)


def _d2l_tensors(*letters: tuple[str, Gate]) -> tuple[TensorLayout, ...]:
    return tuple(
        tensor
        for letter, gate in letters
        for tensor in (
            _one(f"W_x{letter}", W, gate, rows="input"),
            _one(f"W_h{letter}", U, gate, rows="input"),
            _one(f"b_{letter}", B, gate),
        )
    )


_NAMED = (("update", UPDATE), ("reset", RESET), ("new", CANDIDATE))
_NUMBERED = (("linear_reset_{}1", RESET), ("linear_reset_{}2", UPDATE), ("linear_gate_{}3", CANDIDATE))
_WIDTH = {"w": INPUT, "r": H}

CELLS: dict[str, HandCell] = {
    "d2l": HandCell(
        CellLayout("d2l", "", "keeps", "before", _d2l_tensors(("z", UPDATE), ("r", RESET), ("h", CANDIDATE))),
        _D2L,
        _d2l,
    ),
    "reset only": HandCell(
        CellLayout("reset only", "", "absent", "before", _d2l_tensors(("r", RESET), ("h", CANDIDATE))),
        {name: shape for name, shape in _D2L.items() if "z" not in name},
        _reset_only,
    ),
    "update only": HandCell(
        CellLayout("update only", "", "keeps", "absent", _d2l_tensors(("z", UPDATE), ("h", CANDIDATE))),
        {name: shape for name, shape in _D2L.items() if "r" not in name},
        _update_only,
    ),
    "concat": HandCell(
        CellLayout(
            "concat",
            "",
            "takes",
            "before",
            tuple(_one(f"{name}.weight", (W, U), gate) for name, gate in _NAMED)
            + tuple(_one(f"{name}.bias", B, gate) for name, gate in _NAMED),
        ),
        {f"{name}.weight": (H, INPUT + H) for name, _ in _NAMED}
        | {f"{name}.bias": (H,) for name, _ in _NAMED},
        _concat,
    ),
    "concat, state first": HandCell(
        CellLayout(
            "concat, state first",
            "",
            "keeps",
            "before",
            (
                _one("gates.weight", (U, W), UPDATE, RESET),
                _one("gates.bias", B, UPDATE, RESET),
                _one("new.weight", (U, W), CANDIDATE),
                _one("new.bias", B, CANDIDATE, optional=True),
            ),
        ),
        {"gates.weight": (2 * H, H + INPUT), "gates.bias": (2 * H,), "new.weight": (H, H + INPUT)},
        _concat_state_first,
    ),
    "split": HandCell(
        CellLayout(
            "split",
            "",
            "keeps",
            "after",
            tuple(
                _one(f"{name.format(letter)}.{kind}", part, gate)
                for name, gate in _NUMBERED
                for letter, kind, part in (
                    ("w", "weight", W),
                    ("r", "weight", U),
                    ("w", "bias", B),
                    ("r", "bias", C),
                )
            ),
        ),
        {f"{name.format(letter)}.weight": (H, _WIDTH[letter]) for name, _ in _NUMBERED for letter in "wr"}
        | {f"{name.format(letter)}.bias": (H,) for name, _ in _NUMBERED for letter in "wr"},
        _split,
    ),
    "fused after": HandCell(
        CellLayout(
            "fused after",
            "",
            "takes",
            "after",
            (_one("kernel", (U, W), *ALL, rows="input"), _one("bias", (B, C), *ALL)),
            hard_sigmoid(0.2),
            Activation("softsign"),
        ),
        {"kernel": (H + INPUT, 3 * H), "bias": (2, 3 * H)},
        _fused_after,
    ),
    "two biases before": HandCell(
        CellLayout(
            "two biases before",
            "",
            "keeps",
            "before",
            (_one("weight_x", W, *ALL), _one("weight_h", U, *ALL), _one("bias", (B, C), *ALL, flat=True)),
        ),
        {"weight_x": (3 * H, INPUT), "weight_h": (3 * H, H), "bias": (6 * H,)},
        _two_biases_before,
    ),
}


def draw(cell: HandCell, dtype: str, seed: int = 0) -> dict[str, Tensor]:
    """Return random tensors of the cell."""
    import torch

    rng = np.random.default_rng(seed)
    return {
        name: torch.from_numpy(rng.normal(size=shape)).to(getattr(torch, dtype))
        for name, shape in cell.shapes.items()
    }


def run_cell(cell: HandCell, tensors: dict[str, Tensor], x: Tensor, h: Tensor) -> dict[str, Tensor]:
    """Return hidden, update (in the sense that keeps), reset and candidate of every step, [B, T, H] each."""
    import torch

    rows: dict[str, list[Tensor]] = {"hidden": [], "update": [], "reset": [], "candidate": []}
    for t in range(x.shape[1]):
        z, r, n, h = cell.step(tensors, x[:, t], h)
        if cell.layout.update == "takes":
            z = 1 - z
        rows["hidden"].append(h)
        rows["update"].append(torch.zeros_like(n) if z is None else z)
        rows["reset"].append(torch.ones_like(n) if r is None else r)
        rows["candidate"].append(n)
    return {name: torch.stack(steps, 1) for name, steps in rows.items()}
