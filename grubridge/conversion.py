"""A stack from one file into another: read, checked against what the target can hold, written, read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from grubridge.artifacts import OpenArtifact, open_artifact
from grubridge.errors import TargetError, UnsupportedFeatureError
from grubridge.files.changes import Watch, watched
from grubridge.files.digest import LARGEST_HASHED
from grubridge.files.opening import shown
from grubridge.files.stack_files import files_for
from grubridge.files.staging import check_target, staged, staged_together
from grubridge.files.text import printable
from grubridge.files.written import WrittenArrays, noted
from grubridge.formats.base import FormatAdapter, Provenance, ReadHints, StackEntry, WriteOptions, Written
from grubridge.formats.readback import differences
from grubridge.formats.registry import adapter, for_target
from grubridge.spec import (
    GATE_NAMES,
    GRUSpec,
    Layout,
    TensorRecord,
    saturated,
    unsupported,
    with_cast,
    with_held_gates,
)
from grubridge.version import __version__

__all__ = ["Conversion", "convert", "convert_all", "read", "write"]

_FOREIGN = {"layout": "--to-layout is for pytorch and safetensors"}
"""Why a target does not take an option; ONNX alone takes all others."""

_CANONICAL = Layout(GATE_NAMES, "output")
"""How a spec made in memory lies: each gate by itself, [H, I]."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Args:
        source: the file that was read.
        target: the file that was written.
        source_format: e.g. "keras".
        target_format: e.g. "onnx".
        stack: the stack's name in the source.
        source_sha256: of the source file; None when it is too large to hash in the time of a conversion.
        records: what was done to each tensor of the target.
        notes: assumptions that were made, and what to know before the target is used.
        target_layout: the layout of the target's tensors, where it is not the framework's own.
    """

    source: Path
    target: Path
    source_format: str
    target_format: str
    stack: str
    source_sha256: str | None
    records: tuple[TensorRecord, ...]
    notes: tuple[str, ...]
    target_layout: str | None = None

    @property
    def exact(self) -> bool:
        """Whether every tensor is bit for bit what the source holds."""
        return all(record.exact for record in self.records)


def read(
    path: Path | str,
    stack: str | None = None,
    *,
    from_format: str | None = None,
    hints: ReadHints | None = None,
) -> GRUSpec:
    """Read one stack of a model file; no framework is imported.

    Args:
        path: the file: Keras, PyTorch, safetensors or ONNX.
        stack: the stack's name; None when the file holds one.
        from_format: the format's name; None lets the content decide.
        hints: what the file does not say itself: a cell's layout, what Keras weights leave out.

    Raises:
        FileFormatError: when the file cannot be read.
        LayoutError: when the layout's description is wrong.
        StackSelectionError: when it holds no GRU, or several and none was chosen.
        InvalidSpecError: when the arrays form no GRU.
    """
    artifact = open_artifact(path, from_format, hints)
    return artifact.read(artifact.select(stack))


def write(
    spec: GRUSpec,
    path: Path | str,
    *,
    to_format: str | None = None,
    force: bool = False,
    options: WriteOptions | None = None,
) -> Written:
    """Write a spec to a file, atomically, and read it back to prove that it holds the same bits.

    Args:
        spec: the stack to write.
        path: the new file; its ending names the format unless `to_format` does.
        to_format: the format's name.
        force: replace the file if it exists.
        options: how the target is to be written.

    Raises:
        UnsupportedFeatureError: when the format cannot hold the spec; nothing is written.
        TargetError: when the file cannot be written.
    """
    target = adapter(to_format) if to_format else for_target(Path(path))
    provenance = Provenance({"grubridge.version": __version__})
    how = _How(target, partial(staged, force=force), options or WriteOptions())
    written, _ = _write(spec, Path(path), how, provenance, _CANONICAL)
    return written


def convert(  # noqa: PLR0913 - the options of one command
    source: Path | str,
    target: Path | str,
    *,
    stack: str | None = None,
    from_format: str | None = None,
    to_format: str | None = None,
    dtype: str | None = None,
    force: bool = False,
    hints: ReadHints | None = None,
    options: WriteOptions | None = None,
    saturate: bool = False,
) -> Conversion:
    """Convert one stack of `source` into the new file `target`.

    Args:
        source: the file to read.
        target: the file to write; its ending names the format unless `to_format` does.
        stack: the stack's name; None when the file holds one.
        from_format: the source's format; None lets its content decide.
        to_format: the target's format.
        dtype: cast the weights to it; None keeps them as stored.
        force: replace the target if it exists.
        hints: what the file does not say itself: a cell's layout, what Keras weights leave out.
        options: how the target is to be written.
        saturate: let a bias hold each gate that the source lacks, for a target that knows full GRUs only.

    Raises:
        GRUBridgeError: one of its kinds; nothing is written then.
    """
    path = Path(target)
    target_format = adapter(to_format) if to_format else for_target(path)
    check_target(path, force=force)
    with watched() as watch:
        artifact = open_artifact(source, from_format, hints)
        watch.check_target(path)
        how = _How(target_format, partial(staged, force=force), options or WriteOptions(), dtype, saturate)
        return _convert(artifact, artifact.select(stack), path, how, _digest(artifact.path, watch))


def convert_all(  # noqa: PLR0913 - the options of one command
    source: Path | str,
    folder: Path | str,
    *,
    to_format: str,
    from_format: str | None = None,
    dtype: str | None = None,
    force: bool = False,
    hints: ReadHints | None = None,
    options: WriteOptions | None = None,
    saturate: bool = False,
) -> tuple[Conversion, ...]:
    """Convert every stack of `source`, each into a file of its own in `folder`; all of them or none.

    The files are called after the stacks. Arguments and errors are those of `convert`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TargetError(f"{shown(folder)}: --all writes one file per GRU into a folder; create it first")
    target_format = adapter(to_format)
    with watched() as watch:
        artifact = open_artifact(source, from_format, hints)
        entries = artifact.contents.stacks or (artifact.select(),)
        targets = files_for([entry.name for entry in entries], folder, target_format.SUFFIXES[0])
        for path in targets:
            watch.check_target(path)
        digest = _digest(artifact.path, watch)
        with staged_together(targets, force=force) as staging:

            def place(target: Path) -> AbstractContextManager[Path]:
                return nullcontext(staging / target.name)

            how = _How(target_format, place, options or WriteOptions(), dtype, saturate)
            return tuple(
                _convert(artifact, entry, path, how, digest)
                for entry, path in zip(entries, targets, strict=True)
            )


@dataclass(frozen=True)
class _How:
    """How a target is to be written."""

    format: FormatAdapter
    place: Callable[[Path], AbstractContextManager[Path]]
    """Of a target: where it is written first."""
    options: WriteOptions
    dtype: str | None = None
    saturate: bool = False


def _digest(path: Path, watch: Watch) -> str | None:
    return watch.sha256(path) if path.stat().st_size <= LARGEST_HASHED else None


def _convert(
    artifact: OpenArtifact, entry: StackEntry, target: Path, how: _How, digest: str | None
) -> Conversion:
    stored = artifact.load(entry)
    spec = stored if how.dtype is None else stored.astype(how.dtype)
    whole, held = saturated(spec) if how.saturate else (spec, ())
    provenance = {
        "grubridge.version": __version__,
        "grubridge.source_file": printable(artifact.path.name),
        "grubridge.source_format": artifact.format.NAME,
        "grubridge.source_stack": printable(entry.name),
    }
    if digest:
        provenance["grubridge.source_sha256"] = digest
    written, arrays = _write(whole, target, how, Provenance(provenance), entry.layout)
    artifact.warn_of_non_finite(entry, stored, arrays)
    records = written.records if spec is stored else with_cast(written.records, stored, spec)
    if held:
        records = with_held_gates(records, spec)
    transformed = _transformed(spec, how.options)
    notes = (*(spec.source.notes if spec.source else ()), *held, *transformed, *written.notes)
    formats = artifact.format.NAME, how.format.NAME
    return Conversion(artifact.path, target, *formats, entry.name, digest, records, notes, how.options.layout)


def _write(
    spec: GRUSpec, path: Path, how: _How, provenance: Provenance, source: Layout
) -> tuple[Written, WrittenArrays]:
    target, options = how.format, how.options
    reasons = _reasons_against(spec, target, options)
    if reasons:
        raise UnsupportedFeatureError(
            f"{shown(path)}: {target.NAME} cannot hold this GRU:\n"
            + "\n".join(f"- {why}" for why in reasons),
            reasons,
        )
    with how.place(path) as staging, noted() as arrays:
        with _refused_at(staging, path):
            written = target.write(spec, staging, options, provenance, source)
        with watched():  # what is read back is no source
            back = target.contents(staging, ReadHints(layout=options.layout)).stacks
            one = len(back) == 1
            wrong = differences(written.stored, back[0].read(), arrays) if one else ("the number of stacks",)
        if wrong:
            raise AssertionError(f"{shown(path)}: reading it back gave something else: {', '.join(wrong)}")
    return written, arrays


def _reasons_against(spec: GRUSpec, target: FormatAdapter, options: WriteOptions) -> tuple[str, ...]:
    """Return every reason why `target`, or the layout that its tensors are to have, cannot hold `spec`."""
    foreign = [name for name in options.given() if name not in target.OPTIONS]
    told = (_FOREIGN.get(name, f"--{name.replace('_', '-')} is for ONNX") for name in foreign)
    if options.layout is None or "layout" in foreign:
        return (*told, *unsupported(spec, target.CAPABILITIES, target.NAME))
    from grubridge.layouts import toml, writing

    return (*told, *writing.reasons_against(spec, toml.load(options.layout)))


def _transformed(spec: GRUSpec, options: WriteOptions) -> tuple[str, ...]:
    """Return what to know of a source that returns a function of its states; a layout has its own note."""
    output = spec.io.output_activation
    if output is None or options.layout is not None:
        return ()
    return (
        f"the source returns {output} of its states, the target the states: apply {output} in your own code",
    )


@contextmanager
def _refused_at(staging: Path, final: Path) -> Iterator[None]:
    """Let a refusal name the target that the user named, not the place where it is prepared."""
    try:
        yield
    except UnsupportedFeatureError as error:
        message = str(error).replace(shown(staging), shown(final))
        raise UnsupportedFeatureError(message, error.features) from None
