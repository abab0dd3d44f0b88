"""The cells of a file of named tensors by a layout, as the stacks that an adapter lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from grubridge.errors import InvalidSpecError
from grubridge.files.tensors import StoredTensor, TensorFile, left_alone, stack_name
from grubridge.files.text import listed, natural_order, printable, quoted
from grubridge.layouts.description import CellLayout
from grubridge.layouts.finding import FoundStack, find
from grubridge.layouts.toml import from_json, load, shipped, to_json
from grubridge.spec import GATE_NAMES, GRUSpec, Layout, Source, StackIO

from .base import Contents, StackEntry

__all__ = ["described", "fits", "fitting", "own_tensors", "record_layout"]


def described(file: TensorFile, name: str) -> Contents:
    """List the cells in `file` that have the tensors of a layout, in natural order of their prefixes.

    Args:
        file: the file.
        name: the layout: a shipped one's name, or the path of a .toml file.

    Raises:
        FileFormatError: when the .toml file cannot be opened.
        LayoutError: when there is no such layout.
    """
    layout = load(name)
    found = [(keys, stack) for keys, tensors in file.groups.items() for stack in find(layout, tensors)]
    whole = [(keys, stack) for keys, stack in found if not stack.missing()]
    several = len({keys for keys, _ in whole}) > 1
    claimed: dict[tuple[str, ...], list[str]] = {}
    for keys, stack in whole:
        claimed.setdefault(keys, []).extend(stack.claimed())
    notes = {keys: left_alone(file.groups[keys], names) for keys, names in claimed.items()}
    entries: dict[str, StackEntry] = {}
    for keys, stack in whole:
        unique = stack_name(keys if several else (), stack.prefix)
        while unique in entries:
            unique += "_1"
        entries[unique] = _entry(file, keys, stack, unique, notes[keys])
    partial = [stack for _, stack in found if stack.missing()]
    stacks = sorted(entries.values(), key=lambda entry: natural_order(entry.name))
    advice = "" if stacks else " ".join(filter(None, (_absence(layout, partial), fitting(file))))
    return Contents(tuple(stacks), tuple(map(_lacking, partial)), file.framework, advice)


def own_tensors(entry: StackEntry, names: Collection[str]) -> dict[str, str]:
    """Return the tensors of a stack of `described`, {what the layout calls it: what the file calls it}.

    Args:
        entry: the stack.
        names: of all tensors in the file.
    """
    prefix = entry.address["prefix"]
    found = next(one for one in find(from_json(entry.address["layout"]), names) if one.prefix == prefix)
    return {name.removeprefix(prefix): name for name in found.claimed()}


def fits(file: TensorFile) -> dict[str, int]:
    """Return the shipped layouts that tensors of `file` fit in name and shape, and how many each names."""
    named: dict[str, int] = {}
    for name in shipped():
        layout = load(name)
        named[name] = sum(
            len(stack.names)
            for tensors in file.groups.values()
            for stack in find(layout, tensors)
            if _fits(stack, tensors)
        )
    return {name: count for name, count in named.items() if count}


def fitting(file: TensorFile) -> str:
    """Return which shipped layouts the tensors of `file` fit, and how to say so; "" when there is none.

    Of those that fit, the ones that name most of its tensors: a cell with all gates has the tensors of a cell
    with one gate less.
    """
    named = fits(file)
    best = [name for name, count in named.items() if count == max(named.values())]
    if not best:
        return ""
    if len(best) == 1:
        return f"its tensors fit the layout {best[0]}: pass --layout {best[0]}"
    return f"its tensors fit the layouts {', '.join(best)}: pass your cell's, as --layout {best[0]}"


def _fits(stack: FoundStack, tensors: Mapping[str, StoredTensor]) -> bool:
    try:
        stack.check(tensors)
    except InvalidSpecError:
        return False
    return True


def record_layout(layout: CellLayout) -> Layout:
    """Return how the tensors of a layout lie, for the records of a conversion."""
    stacked = max((tensor.gates for tensor in layout.tensors), key=len)
    order = tuple(dict.fromkeys((*stacked, *GATE_NAMES))) if len(stacked) > 1 else GATE_NAMES
    rows = next(tensor.rows for tensor in layout.tensors if tensor.is_weight)
    return Layout(order, rows, layout.update == "takes")


def _entry(
    file: TensorFile, keys: tuple[str, ...], stack: FoundStack, name: str, notes: tuple[str, ...]
) -> StackEntry:
    layout, tensors = stack.layout, file.groups[keys]
    source = Source(str(file.path), file.format, name, file.framework, notes)
    wiring = StackIO(time_major=layout.time_major, output_activation=layout.output_activation)
    address = {"layout": to_json(layout), "keys": list(keys), "prefix": stack.prefix}

    def read() -> GRUSpec:
        return GRUSpec(stack.read(tensors), name, wiring, source)

    return StackEntry(name, address, record_layout(layout), read)


def _lacking(stack: FoundStack) -> str:
    name = stack.prefix.strip("./")
    where = f" {quoted(name)}" if name else ""
    return f"a cell{where} of the layout {printable(stack.layout.name)} that lacks {listed(stack.missing())}"


def _absence(layout: CellLayout, partial: list[FoundStack]) -> str:
    if partial:
        return ""  # what they lack is told of them
    wanted = [tensor.name for tensor in layout.tensors if not tensor.optional]
    return f"no tensor has a name of the layout {printable(layout.name)}, which are {listed(wanted)};"
