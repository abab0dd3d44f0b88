"""W x + U h as two sums or as one: a large W x is carried, and rounded, through every term that follows."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from grubridge.reference.arithmetic import Products, arithmetic_of
from grubridge.reference.rounded import Evaluation, exactly
from grubridge.spec import Array


def _case(seed: int) -> tuple[Array, Array, Array, Array, Array]:
    """Few inputs with large weights, many units: x, h, W, U, b in float32."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((400, 2))
    h = np.tanh(rng.standard_normal((400, 180)))
    w, u = rng.standard_normal((180, 2)) * 20, rng.standard_normal((180, 180)) / 13
    return tuple(a.astype(np.float32) for a in (x, h, w, u, rng.standard_normal(180)))  # type: ignore[return-value]


def _share(made: Array, case: tuple[Array, ...], products: Products, *, in_order: bool = False) -> float:
    """The largest error over its bound."""
    x, h, w, u, b = (a.astype(np.float64) for a in case)
    run = Evaluation(arithmetic_of("a runtime", "float32", products=products), 8.0, in_order)
    exact = run.products((exactly(x), w, b), (exactly(h), u, np.zeros_like(b)))
    np.testing.assert_allclose(exact.value, x @ w.T + h @ u.T + b, rtol=0, atol=1e-12)
    return float((np.abs(made - exact.value) / run.reach(exact)).max())


@pytest.mark.parametrize("seed", range(3))
def test_a_product_with_x_and_h_side_by_side_needs_its_own_bound(torch: ModuleType, seed: int) -> None:
    x, h, w, u, b = case = _case(seed)
    joint = torch.from_numpy(np.hstack([x, h])) @ torch.from_numpy(np.hstack([w, u])).T + torch.from_numpy(b)
    apart = torch.from_numpy(x) @ torch.from_numpy(w).T + torch.from_numpy(b)
    apart = apart + torch.from_numpy(h) @ torch.from_numpy(u).T

    assert _share(joint.numpy(), case, "apart") > 1.5
    assert 0.1 < _share(joint.numpy(), case, "xh") <= 1
    assert 0.1 < _share(apart.numpy(), case, "apart") <= 1
    for made in (joint, apart):
        assert _share(made.numpy(), case, "unknown") <= 1


@pytest.mark.parametrize("products", ["xh", "hx"])
def test_terms_that_are_summed_one_by_one_are_bounded_in_their_order(products: Products) -> None:
    x, h, w, u, b = case = _case(3)
    factors = np.hstack([x, h] if products == "xh" else [h, x])
    weights = np.hstack([w, u] if products == "xh" else [u, w])
    total = np.broadcast_to(b, (400, 180)).copy()
    for k in range(factors.shape[1]):
        total += factors[:, k, None] * weights[:, k]

    assert 0.1 < _share(total, case, products, in_order=True) <= 1
