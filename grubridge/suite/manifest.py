"""The manifest of a suite, as plain values: which files are to be one function, and how that is checked.

Six lines are enough, in `grubridge.toml` or under `[tool.grubridge]` in `pyproject.toml`:

    version = 1

    [[pair]]
    artifacts = ["model.keras", "model.onnx"]
    [[pair]]
    artifacts = ["model.keras", "model.pt"]

`schema.json` beside this module says the same to editors, as far as a schema can. Keys at the top:

- version: 1.
- allow_outside: whether paths may leave the manifest's folder, by "..", a link or as absolute ones.
- defaults: a table of inputs, backends, device, allow_tf32, tolerance and timeout, for the pairs that do not
  say them. A pair's own value takes the place of the whole default.
- pair: an array of tables with the keys of `Pair`; `a` and `b` may stand for two `artifacts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from grubridge.checker.findings import Tolerance
from grubridge.checker.probe import BATCH, STEPS

__all__ = ["Inputs", "Manifest", "Pair"]

_NOT_OF_THE_RUN = ("name", "timeout", "xfail", "folder", "line")


@dataclass(frozen=True)
class Inputs:
    """The inputs of a pair: random ones, or a file's.

    Args:
        file: an .npy file of x [B, T, I], or an .npz file of x, initial_state, lengths; None for random ones.
        seed: of random inputs.
        batch: their sequences.
        steps: their steps.
        lengths: valid steps of each random sequence; None for unequal ones.
    """

    file: str | None = None
    seed: int = 0
    batch: int = BATCH
    steps: int = STEPS
    lengths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Pair:
    """Files that are to be one function. All but the artifacts may be left out.

    Args:
        name: what reports call the pair, and -k selects it by; unique. Left out: the artifacts' names.
        artifacts: the files, from the manifest's folder; the first is what the others are held against. One
            alone runs through every installed runtime.
        stack: the GRU to check, in every file that has one of that name.
        map: the first file's GRU -> the others' GRU; only these are checked.
        inputs: a table of seed, batch, steps and lengths, or the path of a file of inputs.
        backends: only these runtimes; the files' own if left out.
        device: "auto", "cpu", "cuda" or "cuda:N".
        allow_tf32: whether a GPU may round float32 factors of matrix products to TF32.
        layout: how the files' tensors lie: a shipped layout's name, or the path of a .toml file.
        activation: of Keras weights without a model: the candidate's activation.
        recurrent_activation: likewise, the gates'.
        reset_after: likewise, where there is no bias.
        skip_unsafe: read the GRUs of Keras models that hold code, which is not run.
        example: the path of an .npz file of a recorded run of your own code.
        tolerance: a table of atol and rtol, which then decide, and not the rounding bound.
        timeout: the seconds that each run may take; None for what `limits` says.
        xfail: why the files are expected to be different. If they turn out not to be, the suite fails.
        folder: that of the manifest.
        line: of the manifest on which the pair begins, counted from 1; None when it is not known.
    """

    name: str
    artifacts: tuple[str, ...]
    stack: str | None = None
    map: Mapping[str, str] = field(default_factory=dict)
    inputs: Inputs = Inputs()
    backends: tuple[str, ...] | None = None
    device: str = "auto"
    allow_tf32: bool = False
    layout: str | None = None
    activation: str | None = None
    recurrent_activation: str | None = None
    reset_after: bool | None = None
    skip_unsafe: bool = False
    example: str | None = None
    tolerance: Tolerance | None = None
    timeout: float | None = None
    xfail: str | None = None
    folder: Path = Path()
    line: int | None = None

    def path(self, named: str) -> Path:
        """Return the path of a file that the manifest names."""
        return self.folder / named

    def settings(self) -> dict[str, Any]:
        """Return everything that decides the result beside the files' contents, as JSON values.

        What is as usual is left out.
        """
        usual = asdict(Pair(self.name, ()))
        return {
            key: value
            for key, value in asdict(self).items()
            if key not in _NOT_OF_THE_RUN and value != usual[key]
        }

    def files(self) -> tuple[str, ...]:
        """Return the files that the manifest names for the pair."""
        layout = self.layout if self.layout is not None and is_path(self.layout) else None
        named = (*self.artifacts, self.inputs.file, self.example, layout)
        return tuple(dict.fromkeys(name for name in named if name is not None))


@dataclass(frozen=True)
class Manifest:
    """A manifest.

    Args:
        path: the file.
        pairs: in its order; names are unique.
    """

    path: Path
    pairs: tuple[Pair, ...]

    def overridden(self, backends: tuple[str, ...] | None, device: str | None) -> Manifest:
        """Return the same pairs with these runtimes and this device; None leaves what the manifest says."""
        given: dict[str, Any] = {"backends": backends, "device": device}
        given = {key: value for key, value in given.items() if value is not None}
        return replace(self, pairs=tuple(replace(pair, **given) for pair in self.pairs))


def is_path(layout: str) -> bool:
    """Whether the name of a layout is the path of a file, rather than of a shipped one."""
    return layout.lower().endswith(".toml")
