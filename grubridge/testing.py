"""`assert_equivalent`, for tests: of model files, and of models in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grubridge.backends.pool import Serve
from grubridge.checker.findings import Tolerance
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.formats.base import ReadHints
from grubridge.report.check.mismatch import mismatch
from grubridge.verification import verify

__all__ = ["assert_equivalent"]


def assert_equivalent(  # noqa: PLR0913 - those settings of a check that tests have
    a: object,
    b: object,
    *more: object,
    stack: str | None = None,
    mapping: Mapping[str, str] | None = None,
    inputs: object = None,
    layout: str | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    backends: Sequence[str] | None = None,
    device: str = "auto",
    serve: Serve | None = None,
) -> CheckReport:
    """Assert that GRUs are one function: that each is within the rounding bound of the first one's equations.

    Args:
        a: a model: the path of a file, which runs in its own framework in a process of its own; or an object
            in memory, which its framework runs in this process and which stays as it is: torch.nn.GRU,
            nn.GRUCell or a module with one in it, a Keras GRU, GRUCell, RNN, Bidirectional or a model with
            one in it, an ONNX ModelProto.
        b: another, of any of these kinds.
        more: others, which are to be the same function too.
        stack: the GRU to check, in every model that has one of that name; an only GRU may have another.
        mapping: the first model's GRU -> the others' GRU; only these are checked.
        inputs: x [B, T, I]; a mapping with x and, if wanted, lengths [B] and initial_state [L*D, B, H]; or
            the path of an .npy or .npz file of these. None for random ones, the same in every run.
        layout: of a hand-written cell, in files of tensors and in torch modules: a shipped layout's name, or
            the path of a .toml file. The cell is computed as that says; its own code is not called.
        atol: a tolerance of your own on hidden states; with `rtol`, it then decides, and not the bound.
        rtol: likewise, relative to `a`.
        backends: only these runtimes; None for the models' own.
        device: "auto", "cpu", "cuda" or "cuda:N".
        serve: processes of runtimes that several checks share, as for `verify`; pytest's fixture brings them.

    Returns:
        The report of the check.

    Raises:
        AssertionError: when they are different, or it could not be told: what differs, where and why.
        GRUBridgeError: when a model cannot be read, paired or run as was asked, as `verify` says.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    own = None if atol is None and rtol is None else Tolerance(atol or 0.0, rtol or 0.0)
    report = verify(
        a,
        b,
        *more,
        stack=stack,
        mapping=mapping,
        inputs=inputs,
        backends=backends,
        device=device,
        tolerance=own,
        serve=serve,
        hints=ReadHints(layout=layout),
    )
    if report.verdict is not Verdict.EQUIVALENT:
        raise AssertionError(mismatch(report))
    return report
