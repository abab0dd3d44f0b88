"""The shipped cells as equations on named float64 arrays: one step each, typed from their papers and docs.

Keras's and TensorFlow's are run by themselves elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from grubridge.spec import Array

__all__ = ["CELLS", "draw", "states"]

INPUT, HIDDEN = 3, 4

_Tensors = Mapping[str, Array]
_Step = Callable[[_Tensors, Array, Array], Array]


def _s(value: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-value)))


def _d2l(p: _Tensors, x: Array, h: Array) -> Array:
    z = _s(x @ p["W_xz"] + h @ p["W_hz"] + p["b_z"])
    r = _s(x @ p["W_xr"] + h @ p["W_hr"] + p["b_r"])
    n = np.tanh(x @ p["W_xh"] + (r * h) @ p["W_hh"] + p["b_h"])
    return np.asarray(z * h + (1 - z) * n)


def _d2l_reset_only(p: _Tensors, x: Array, h: Array) -> Array:
    r = _s(x @ p["W_xr"] + h @ p["W_hr"] + p["b_r"])
    return np.asarray(np.tanh(x @ p["W_xh"] + (r * h) @ p["W_hh"] + p["b_h"]))


def _d2l_update_only(p: _Tensors, x: Array, h: Array) -> Array:
    z = _s(x @ p["W_xz"] + h @ p["W_hz"] + p["b_z"])
    n = np.tanh(x @ p["W_xh"] + h @ p["W_hh"] + p["b_h"])
    return np.asarray(z * h + (1 - z) * n)


def _concat(p: _Tensors, join: Callable[[Array, Array], Array], x: Array, h: Array) -> Array:
    z = _s(join(x, h) @ p["update_gate.weight"].T + p["update_gate.bias"])
    r = _s(join(x, h) @ p["reset_gate.weight"].T + p["reset_gate.bias"])
    n = np.tanh(join(x, r * h) @ p["candidate.weight"].T + p["candidate.bias"])
    return np.asarray((1 - z) * h + z * n)


def _split(p: _Tensors, x: Array, h: Array) -> Array:
    def linear(name: str, value: Array) -> Array:
        return np.asarray(value @ p[f"{name}.weight"].T + p[f"{name}.bias"])

    r = _s(linear("linear_reset_w1", x) + linear("linear_reset_r1", h))
    z = _s(linear("linear_reset_w2", x) + linear("linear_reset_r2", h))
    n = np.tanh(linear("linear_gate_w3", x) + r * linear("linear_gate_r3", h))
    return np.asarray((1 - z) * n + z * h)


def _fused(of_x: Array, of_h: Array, h: Array) -> Array:
    """r, z and n from what the input and the state give for each."""
    (r_x, z_x, n_x), (r_h, z_h, n_h) = (np.split(one, 3, axis=1) for one in (of_x, of_h))
    r, z = _s(r_x + r_h), _s(z_x + z_h)
    n = np.tanh(n_x + r * n_h)
    return np.asarray(n + z * (h - n))


def _x2h_h2h(p: _Tensors, x: Array, h: Array) -> Array:
    return _fused(x @ p["x2h.weight"].T + p["x2h.bias"], h @ p["h2h.weight"].T + p["h2h.bias"], h)


def _pytorch(p: _Tensors, x: Array, h: Array) -> Array:
    of_x = x @ p["weight_ih_l0"].T + p["bias_ih_l0"]
    return _fused(of_x, h @ p["weight_hh_l0"].T + p["bias_hh_l0"], h)


def _one_bias_and_n(p: _Tensors, names: tuple[str, str, str, str], x: Array, h: Array) -> Array:
    weight, recurrent, bias, candidate = (p[name] for name in names)
    inside = np.concatenate([np.zeros(2 * HIDDEN), candidate])
    return _fused(x @ weight.T + bias, h @ recurrent.T + inside, h)


def _haiku(p: _Tensors, x: Array, h: Array) -> Array:
    (x_z, x_r, x_a) = np.split(x @ p["w_i"] + p["b"], 3, axis=1)
    (w_z, w_r, w_a) = np.split(p["w_h"], 3, axis=1)
    z, r = _s(x_z + h @ w_z), _s(x_r + h @ w_r)
    a = np.tanh(x_a + (r * h) @ w_a)
    return np.asarray((1 - z) * h + z * a)


def _flax(p: _Tensors, x: Array, h: Array) -> Array:
    r = _s(x @ p["ir.kernel"] + p["ir.bias"] + h @ p["hr.kernel"])
    z = _s(x @ p["iz.kernel"] + p["iz.bias"] + h @ p["hz.kernel"])
    n = np.tanh(x @ p["in.kernel"] + p["in.bias"] + r * (h @ p["hn.kernel"] + p["hn.bias"]))
    return np.asarray((1 - z) * n + z * h)


_W, _U, _B = (INPUT, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN,)
_D2L = {f"{part}{gate}": shape for gate in "zrh" for part, shape in (("W_x", _W), ("W_h", _U), ("b_", _B))}
_CONCAT = {
    f"{gate}.{part}": shape
    for gate in ("update_gate", "reset_gate", "candidate")
    for part, shape in (("weight", (HIDDEN, INPUT + HIDDEN)), ("bias", _B))
}
_SPLIT = {
    f"linear_{gate}_{side}{number}.{part}": shape
    for number, gate in ((1, "reset"), (2, "reset"), (3, "gate"))
    for side, size in (("w", INPUT), ("r", HIDDEN))
    for part, shape in (("weight", (HIDDEN, size)), ("bias", _B))
}
_3 = 3 * HIDDEN


def _four(weight: str, recurrent: str, bias: str, other: str, last: int = _3) -> dict[str, tuple[int, ...]]:
    return {weight: (_3, INPUT), recurrent: (_3, HIDDEN), bias: (_3,), other: (last,)}


_FLAX = {
    **{f"i{gate}.{part}": shape for gate in "rzn" for part, shape in (("kernel", _W), ("bias", _B))},
    **{f"h{gate}.kernel": _U for gate in "rzn"},
    "hn.bias": _B,
}
_MLX, _EQUINOX = ("Wx", "Wh", "b", "bhn"), ("weight_ih", "weight_hh", "bias", "bias_n")

CELLS: dict[str, tuple[Mapping[str, tuple[int, ...]], _Step]] = {
    "concat-hx": (_CONCAT, lambda p, x, h: _concat(p, lambda x, h: np.concatenate([h, x], 1), x, h)),
    "concat-xh": (_CONCAT, lambda p, x, h: _concat(p, lambda x, h: np.concatenate([x, h], 1), x, h)),
    "d2l": (_D2L, _d2l),
    "d2l-reset-only": ({name: shape for name, shape in _D2L.items() if name[-1] != "z"}, _d2l_reset_only),
    "d2l-update-only": ({name: shape for name, shape in _D2L.items() if name[-1] != "r"}, _d2l_update_only),
    "equinox": (_four(*_EQUINOX, last=HIDDEN), lambda p, x, h: _one_bias_and_n(p, _EQUINOX, x, h)),
    "flax-linen": (_FLAX, _flax),
    "haiku": ({"w_i": (INPUT, _3), "w_h": (HIDDEN, _3), "b": (_3,)}, _haiku),
    "mlx": (_four(*_MLX, last=HIDDEN), lambda p, x, h: _one_bias_and_n(p, _MLX, x, h)),
    "pytorch": (_four("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), _pytorch),
    "split-linear": (_SPLIT, _split),
    "x2h-h2h": (_four("x2h.weight", "h2h.weight", "x2h.bias", "h2h.bias"), _x2h_h2h),
}
"""Name of the layout -> the shape of each tensor, and h' of x [B, I] and h [B, H]."""


def draw(name: str, seed: int = 0, prefix: str = "") -> dict[str, Array]:
    """Return random tensors of a cell, float64, all numbers distinct."""
    rng = np.random.default_rng(seed)
    return {prefix + tensor: rng.uniform(-0.9, 0.9, shape) for tensor, shape in CELLS[name][0].items()}


def states(name: str, tensors: _Tensors, x: Array, start: Array) -> Array:
    """Return h' of every step, [B, T, H], of x [B, T, I] from `start` [B, H]."""
    _, step = CELLS[name]
    h, told = start, []
    for t in range(x.shape[1]):
        h = step(tensors, x[:, t], h)
        told.append(h)
    return np.stack(told, axis=1)
