"""Which layout a checkpoint's GRU has, found from one recorded run of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from grubridge.checker.algebra.proof import prove
from grubridge.checker.recording import Recording, read_recording
from grubridge.errors import IdentificationError, StackSelectionError, UnknownFormatError
from grubridge.files.opening import shown
from grubridge.files.staging import check_target, staged
from grubridge.files.tensors import StoredTensor, TensorFile
from grubridge.files.text import listed, printable
from grubridge.formats.registry import FORMATS, adapter, detect
from grubridge.layouts.description import CellLayout
from grubridge.layouts.finding import find
from grubridge.layouts.toml import load, shipped, to_toml

from .assembly import without_prefix
from .measure import measure, read
from .reasons import reasons
from .remarks import differences, remarks, what_would_tell
from .result import Fit, Identification
from .search import Found, search

__all__ = ["identify"]

_Candidate = tuple[bool, str, CellLayout]
"""Whether a layout is a shipped one, the prefix of its tensors, and the layout."""

_MEASURED = 16
"""Layouts that are held against the whole run, of those that fit the steps looked at."""


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
        IdentificationError: when no layout explains the run; it says which comes nearest and the likely reason.
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
    best: tuple[Mapping[str, StoredTensor], Found, list[Fit]] | None = None
    for keys, tensors in file.groups.items():
        chosen = _behind(tensors, stack)
        if not chosen:
            continue
        measured = list(_measured(keys, chosen, _shipped(chosen), recording))
        found = search(chosen, recording, known=any(fit.measure.fits for fit in measured))
        measured += _measured(keys, chosen, _found(found), recording)
        fits = sorted((fit for fit in measured if fit.measure.fits), key=_rank)
        if fits:
            return _identification(path, file, recording, chosen, found, fits, out, force=force)
        if best is None or (measured and not best[2]):
            best = chosen, found, measured
    if best is None:
        names = [name for tensors in file.groups.values() for name in tensors]
        begin = f" whose name begins with {printable(stack)!r}" if stack is not None else ""
        raise StackSelectionError(f"{shown(path)}: it holds no tensor{begin}; it holds {listed(names) or 'none'}")
    raise IdentificationError(_nothing(path, recording, *best))


def _tensors(path: Path) -> TensorFile:
    found = detect(path)
    if "layout" not in found.HINTS:
        named = ", ".join(name for name in FORMATS if "layout" in adapter(name).HINTS)
        raise UnknownFormatError(
            f"{shown(path)}: this is a file of the format {found.NAME}, which says itself how its GRUs are stored; "
            f"a layout is looked for in files of named tensors: {named}"
        )
    return found.tensors(path)


def _behind(tensors: Mapping[str, StoredTensor], stack: str | None) -> Mapping[str, StoredTensor]:
    if stack is None:
        return tensors
    prefixes = tuple(stack.rstrip("./") + separator for separator in "./")
    return {name: one for name, one in tensors.items() if name.startswith(prefixes)}


def _shipped(tensors: Mapping[str, StoredTensor]) -> list[_Candidate]:
    return [(True, stack.prefix, stack.layout) for name in shipped() for stack in find(load(name), tensors)]


def _found(found: Found) -> list[_Candidate]:
    return [(False, *without_prefix(layout)) for _, layout in found.near[:_MEASURED]]


def _measured(
    keys: tuple[str, ...],
    tensors: Mapping[str, StoredTensor],
    candidates: Iterable[_Candidate],
    recording: Recording,
) -> Iterator[Fit]:
    """Yield what layouts make of the whole run."""
    for is_shipped, prefix, layout in candidates:
        spec = read(layout, prefix, tensors)
        held = None if spec is None else measure(spec, recording)
        if held is not None:
            stacks = (stack for stack in find(layout, tensors) if stack.prefix == prefix)
            claimed = {name for stack in stacks for name in stack.claimed()}
            left = tuple(name for name in tensors if name not in claimed)
            yield Fit(layout, is_shipped, prefix, keys, held, left)


def _rank(fit: Fit) -> tuple[float, int, bool]:
    """Order: the checker's measure, then what uses more of the tensors, then what can be asked for by name."""
    return round(fit.measure.headroom, 1), len(fit.left_over), not fit.shipped


def _identification(
    path: Path,
    file: TensorFile,
    recording: Recording,
    tensors: Mapping[str, StoredTensor],
    found: Found,
    fits: list[Fit],
    out: Path | str | None,
    *,
    force: bool,
) -> Identification:
    first = replace(fits[0], remarks=remarks(fits[0].layout, fits[0].prefix, tensors))
    others: list[Fit] = []
    apart: list[str] = []
    for fit in fits[1:]:
        differs = differences(first.layout, fit.layout)
        if not differs and fit.prefix == first.prefix:
            continue
        same = _same(first, fit, tensors)
        if any(other.differs == differs for other in others):
            continue
        others.append(replace(fit, same=same, differs=differs))
        if not same:
            apart.append(what_would_tell(first.layout, fit.layout, recording))
    identification = Identification(
        str(path),
        file.format,
        recording.label,
        "the last state" if recording.hidden is None else "every step",
        (first, *others),
        found.tried,
        tuple(sorted(found.cut)),
        tuple(dict.fromkeys(apart)),
        None if out is None else str(out),
    )
    if out is not None:
        _write(identification, Path(out), force=force)
    return identification


def _same(one: Fit, other: Fit, tensors: Mapping[str, StoredTensor]) -> bool:
    """Whether two layouts make the same function of the tensors, proved by its numbers."""
    specs = [read(fit.layout, fit.prefix, tensors) for fit in (one, other)]
    if specs[0] is None or specs[1] is None or one.layout.output_activation != other.layout.output_activation:
        return False
    return prove(specs[0], specs[1]).equal


def _write(found: Identification, out: Path, *, force: bool) -> None:
    first = found.fits[0]
    said = [
        f"Found from {printable(Path(found.example).name)}, {found.outputs}, for the tensors of "
        f"{printable(Path(found.path).name)}{f' behind {printable(first.prefix)}' if first.prefix else ''}.",
        f"Largest error {first.measure.max_abs:.2g}: {first.measure.headroom:.2g} of what rounding may do.",
    ]
    ties = sum(not fit.same for fit in found.fits)
    if ties:
        said.append(f"{ties} other layouts fit the run as well; see grubridge identify.")
    with staged(out, force=force) as target:
        text = "".join(f"# {line}\n" for line in said) + to_toml(first.layout)
        target.write_bytes(text.encode())


def _nothing(
    path: Path,
    recording: Recording,
    tensors: Mapping[str, StoredTensor],
    found: Found,
    measured: list[Fit],
) -> str:
    nearest = min(measured, key=lambda fit: fit.measure.headroom, default=None)
    parts = [f"{shown(path)}: no layout explains {recording.label}"]
    if found.tried:
        parts.append(f"{found.tried:,} cells were tried")
    if nearest is not None and nearest.measure.judged:
        parts.append(
            f"the nearest is off by {nearest.measure.max_abs:.2g}, {nearest.measure.headroom:.2g} times what rounding "
            "may do"
        )
    parts += sorted(found.cut)
    parts += [f"likely: {reason}" for reason in reasons(tensors, recording, nearest)]
    return "; ".join(parts)
