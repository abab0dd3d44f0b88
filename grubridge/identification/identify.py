"""Which layout a checkpoint's GRU has, found from one recorded run of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from grubridge.checker.algebra.proof import prove
from grubridge.checker.recording import Recording, read_recording
from grubridge.errors import IdentificationError, StackSelectionError, UnknownFormatError
from grubridge.files.changes import watched
from grubridge.files.opening import shown
from grubridge.files.staging import check_target, staged
from grubridge.files.tensors import StoredTensor, TensorFile
from grubridge.files.text import listed, printable, quoted
from grubridge.formats.base import TensorAdapter
from grubridge.formats.registry import FORMATS, adapter, detect
from grubridge.layouts.description import CellLayout
from grubridge.layouts.finding import FoundStack, find
from grubridge.layouts.toml import load, shipped, to_toml

from .assembly import without_prefix
from .measure import measure, read
from .reasons import reasons
from .remarks import differences, remarks, what_would_tell
from .result import Fit, Identification
from .search import Found, search

__all__ = ["identify"]

_MEASURED = 16
"""Layouts that are held against the whole run, of those that fit the steps looked at."""

_Candidate = tuple[bool, str, CellLayout]
"""Whether a layout is a shipped one, the prefix of its tensors, and the layout."""


@watched()
def identify(
    path: Path | str,
    example: Path | str,
    *,
    stack: str | None = None,
    out: Path | str | None = None,
    force: bool = False,
) -> Identification:
    """Find the layout of a checkpoint's GRU from one recorded run.

    Args:
        path: a PyTorch, safetensors, Keras HDF5 or TensorFlow checkpoint.
        example: an .npz file with x [B, T, I] and hidden [B, T, D*H], or last [B, D*H], and if wanted
            initial_state [L*D, B, H] and lengths [B].
        stack: look only at tensors whose names begin with it and a dot or a slash.
        out: the .toml file to write; None writes none.
        force: replace it if it exists.

    Raises:
        IdentificationError: when no layout explains the run; the message says what comes nearest.
        FileFormatError: when a file cannot be read.
        ProbeError: when the arrays of the run do not fit each other.
        StackSelectionError: when no tensor is called so.
        TargetError: when `out` cannot be written.
    """
    path = Path(path)
    if out is not None:
        check_target(Path(out), force=force)
    recording = read_recording(Path(example))
    file = _tensors(path)
    looked_at: list[_Group] = []
    for keys, tensors in file.groups.items():
        group = _Group(keys, _behind(tensors, stack), recording)
        if not group.tensors:
            continue
        group.look()
        if group.fits:
            found = _identification(file, group, None if out is None else str(out))
            if out is not None:
                _write(found, Path(out), force=force)
            return found
        looked_at.append(group)
    if not looked_at:
        names = [name for tensors in file.groups.values() for name in tensors]
        wanted = f" whose name begins with {quoted(stack)}" if stack is not None else ""
        raise StackSelectionError(
            f"{shown(path)}: it holds no tensor{wanted}; it holds {listed(names) or 'none'}"
        )
    raise IdentificationError(_nothing(path, max(looked_at, key=lambda group: len(group.measured))))


@dataclass
class _Group:
    """Tensors under the same keys of a file, held against the run.

    Args:
        keys: that lead to them.
        tensors: by name.
        recording: the run.
        measured: every layout that was held against the whole run.
        found: what was searched.
    """

    keys: tuple[str, ...]
    tensors: Mapping[str, StoredTensor]
    recording: Recording
    measured: list[Fit] = field(default_factory=list)
    found: Found = field(default_factory=lambda: Found(0.0))

    @property
    def fits(self) -> list[Fit]:
        """Those that explain the run, the best first."""
        return sorted((fit for fit in self.measured if fit.measure.fits), key=_rank)

    def look(self) -> None:
        """Try the shipped layouts, then all others."""
        known = [(True, stack.prefix, stack.layout) for name in shipped() for stack in self._find(load(name))]
        self.measured += self._measured(known)
        self.found = search(self.tensors, self.recording, known=bool(self.fits))
        near = [(False, *without_prefix(layout)) for _, layout in self.found.near[:_MEASURED]]
        self.measured += self._measured(near)

    def same(self, one: Fit, other: Fit) -> bool:
        """Whether two layouts make the same function of the tensors, proved by its numbers."""
        left, right = (read(fit.layout, fit.prefix, self.tensors) for fit in (one, other))
        if left is None or right is None or left.io.output_activation != right.io.output_activation:
            return False
        return prove(left, right).equal

    def _find(self, layout: CellLayout) -> tuple[FoundStack, ...]:
        return find(layout, self.tensors)

    def _measured(self, candidates: Iterable[_Candidate]) -> Iterator[Fit]:
        for is_shipped, prefix, layout in candidates:
            spec = read(layout, prefix, self.tensors)
            held = None if spec is None else measure(spec, self.recording)
            if held is not None:
                stacks = (stack for stack in self._find(layout) if stack.prefix == prefix)
                claimed = {name for stack in stacks for name in stack.claimed()}
                left = tuple(name for name in self.tensors if name not in claimed)
                yield Fit(layout, is_shipped, prefix, self.keys, held, left)


def _tensors(path: Path) -> TensorFile:
    found = detect(path)
    if not isinstance(found, TensorAdapter):
        named = ", ".join(name for name in FORMATS if isinstance(adapter(name), TensorAdapter))
        raise UnknownFormatError(
            f"{shown(path)}: this is a file of the format {found.NAME}, which says itself how its GRUs are "
            f"stored; a layout is looked for in files of named tensors: {named}"
        )
    return found.tensors(path)


def _behind(tensors: Mapping[str, StoredTensor], stack: str | None) -> Mapping[str, StoredTensor]:
    if stack is None:
        return tensors
    prefixes = tuple(stack.rstrip("./") + separator for separator in "./")
    return {name: one for name, one in tensors.items() if name.startswith(prefixes)}


def _rank(fit: Fit) -> tuple[float, int, bool]:
    """Order: the checker's measure, what uses most of the tensors, what has a name; then the search's own."""
    return round(fit.measure.headroom, 1), len(fit.left_over), not fit.shipped


def _identification(file: TensorFile, group: _Group, out: str | None) -> Identification:
    first, *rest = group.fits
    others: list[Fit] = []
    apart: list[str] = []
    for fit in rest:
        differs = differences(first.layout, fit.layout)
        if (not differs and fit.prefix == first.prefix) or any(other.differs == differs for other in others):
            continue
        same = group.same(first, fit)
        others.append(replace(fit, same=same, differs=differs))
        if not same:
            apart.append(what_would_tell(first.layout, fit.layout, group.recording))
    return Identification(
        str(file.path),
        file.format,
        group.recording.label,
        "the last state" if group.recording.hidden is None else "every step",
        (replace(first, remarks=remarks(first.layout, first.prefix, group.tensors)), *others),
        group.found.tried,
        tuple(sorted(group.found.cut)),
        tuple(dict.fromkeys(apart)),
        out,
    )


def _write(found: Identification, out: Path, *, force: bool) -> None:
    first = found.fits[0]
    behind = f"behind {quoted(first.prefix)} in " if first.prefix else "of "
    path, example = (printable(Path(name).name) for name in (found.path, found.example))
    said = [
        f"Found from {example}, {found.outputs}, for the tensors {behind}{path}.",
        f"Largest error {first.measure.max_abs:.2g}: {first.measure.headroom:.2g} of what rounding may do.",
    ]
    ties = sum(not fit.same for fit in found.fits)
    if ties:
        said.append(f"{ties} other layouts fit the run as well: see grubridge identify.")
    text = "".join(f"# {line}\n" for line in said) + to_toml(first.layout)
    with staged(out, force=force) as target:
        target.write_bytes(text.encode())


def _nothing(path: Path, group: _Group) -> str:
    nearest = min((fit.measure for fit in group.measured), key=lambda one: one.headroom, default=None)
    parts = [f"{shown(path)}: no layout explains {group.recording.label}"]
    if group.found.tried:
        parts.append(f"{group.found.tried:,} cells were tried")
    if nearest is not None and nearest.judged:
        error, times = f"{nearest.max_abs:.2g}", f"{nearest.headroom:.2g}"
        parts.append(f"the nearest is off by {error}, {times} times what rounding may do")
    parts += sorted(group.found.cut)
    parts += [f"likely: {reason}" for reason in reasons(group.tensors, group.recording, nearest)]
    return "; ".join(parts)
