"""How the gates of a fused GRU are read out of its hidden state by spare units (`tapped`: what that costs).

A kernel returns h' = z*h + (1 - z)*n and nothing else. A wider GRU shows the rest: units that compute the
same gates from the same x and h, and whose own state and remaining gates are constants, so that their h' is
a known function of one gate. With Z, N and R one such unit each for a unit of the model,

    Z   state 1, candidate constant n0             h' = z + (1 - z)*n0          z = (h' - n0) / (1 - n0)
    N   state 0, update gate constant z0 (off)     h' = (1 - z0)*n              n = h' / (1 - z0)
    R   state 0, update gate z0, argument          h' = (1 - z0)*f(a)           a = f^-1(h' / (1 - z0))
        a = offset + scale*r of the candidate                                   r = (a - offset) / scale

The recurrent weight `scale` of R's candidate is that of Z, whose state is 1 and whose r is the same, so that
it is multiplied by r whether the reset gate comes before the product or after it. A power of two makes
scale*r exact. For sigmoid and tanh n0 and the offset are 0, and z0 is 0 to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from grubridge.spec import Activation, Array

from .activations import evaluate
from .inverses import invert
from .slopes import evaluation_error, steepest

__all__ = ["TapPlan", "plan_taps"]

_FAR = 256.0
"""Far enough into the flat part of an activation; exact in every dtype, bfloat16 among them."""
_UNBOUNDED = 2.0**10  # a reset gate that gets this large for arguments up to 2^20 has no bound
_MOST_KEPT = 0.75  # of the state by an update gate that counts as off
_OFFSETS = np.array([0.0, *(sign * 2.0**k for k in range(-1, 5) for sign in (1, -1))])
_SCALES = 2.0 ** np.arange(-12.0, 5.0)
_MARGIN = 1 / 8  # a runtime's r may lie outside the function's range by rounding
_WORST_KERNEL = 10.0  # units of rounding, of a runtime's own sigmoid or tanh
_SMALLEST = 2.0**-13  # the smallest float16 over its unit of rounding


@dataclass(frozen=True)
class TapPlan:
    """The constants of the spare units; every one of them is exact in every dtype.

    Args:
        off_argument: of the update gate's activation in N and R.
        off: z0, its value there.
        rest_argument: of the candidate's activation in Z.
        rest: n0, its value there.
        offset: see above.
        scale: see above; a power of two.
        reset_range: the least and the largest r.
        candidate: the candidate's activation, which R inverts.
    """

    off_argument: float
    off: float
    rest_argument: float
    rest: float
    offset: float
    scale: float
    reset_range: tuple[float, float]
    candidate: Activation

    def update(self, returned: Array) -> Array:
        """Return z from the state that Z returned, float64."""
        return (returned.astype(np.float64) - self.rest) / (1 - self.rest)

    def new(self, returned: Array) -> Array:
        """Return n from the state that N returned, float64."""
        return returned.astype(np.float64) / (1 - self.off)

    def reset(self, returned: Array) -> Array:
        """Return r from the state that R returned, float64."""
        low, high = self.reset_range
        margin = _MARGIN * (high - low)
        ends = evaluate(self.candidate, self.offset + self.scale * np.array([low - margin, high + margin]))
        value = np.clip(returned.astype(np.float64) / (1 - self.off), ends.min(), ends.max())
        found: Array = (invert(self.candidate, value) - self.offset) / self.scale
        return found


@lru_cache
def plan_taps(gate: Activation, candidate: Activation, clip: float | None) -> TapPlan | None:
    """Return the constants that show the gates of a GRU with these activations; None when none do.

    None means that the update gate cannot be switched off, that nothing bounds the reset gate, or that the
    candidate's activation has no stretch on which its argument can be told from its value.
    """
    reach = _FAR if clip is None else min(clip, _FAR)
    off_argument, off = _nearest_zero(gate, reach)
    rest_argument, rest = _nearest_zero(candidate, reach)
    r = _range(gate, clip)
    if abs(off) > _MOST_KEPT or abs(rest) > _MOST_KEPT or r is None:
        return None
    stretch = _best_stretch(candidate, r, np.inf if clip is None else clip)
    if stretch is None:
        return None
    return TapPlan(off_argument, off, rest_argument, rest, *stretch, r, candidate)


def _nearest_zero(function: Activation, reach: float) -> tuple[float, float]:
    """Return the argument that brings `function`, clipped to `reach`, nearest to 0, and the value there."""
    arguments = [0.0, -_FAR, _FAR]
    if function.name == "affine" and function.alpha and function.beta is not None:
        root = -function.beta / function.alpha
        exponent = np.floor(np.log2(abs(root))) if root else 0.0
        arguments.append(float(np.round(root * 2.0 ** (6 - exponent)) * 2.0 ** (exponent - 6)))
    values = np.abs(evaluate(function, np.clip(arguments, -reach, reach)))
    best = arguments[int(np.argmin(values))]
    return best, float(evaluate(function, np.clip(np.array(best), -reach, reach)))


def _range(gate: Activation, clip: float | None) -> tuple[float, float] | None:
    reach = 2.0**20 if clip is None else clip
    values = evaluate(gate, reach * np.linspace(-1, 1, 129))
    if np.abs(values).max() > _UNBOUNDED:
        return None
    return float(values.min()), float(values.max())


def _best_stretch(
    candidate: Activation, reset_range: tuple[float, float], clip: float
) -> tuple[float, float] | None:
    """Return the offset, 0 if it can be, and the scale that tell r most exactly; None when none does."""
    r = np.linspace(*reset_range, 33)
    scale = _SCALES[:, None]
    offset = _OFFSETS[:, None, None]
    a = offset + scale * r  # [offset, scale, r]
    value = evaluate(candidate, a)
    steepness = steepest(candidate, a, np.zeros_like(a))
    rounding = evaluation_error(candidate, a, value, _WORST_KERNEL) + 3 * np.abs(value) + _SMALLEST
    rounding += np.where(offset == 0, 0, steepness * np.abs(a))
    with np.errstate(all="ignore"):
        error = rounding / (scale * steepness)
        told = np.abs(invert(candidate, value) - a) < 2.0**-20 * (1 + np.abs(a))
    fits = np.all(told & np.isfinite(error) & (np.abs(a) < clip), axis=2)
    worst = np.where(fits, error.max(axis=2), np.inf)  # [offset, scale]
    for offset_error, chosen in zip(worst, _OFFSETS, strict=True):
        if np.isfinite(offset_error).any():
            return float(chosen), float(_SCALES[int(np.argmin(offset_error))])
    return None
