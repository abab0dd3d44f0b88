"""A pickle read as data: nothing in it is imported, and only what the caller gave a meaning to is called.

The standard library's `pickletools` decodes the opcodes, and they are carried out here on plain values. An
unpickler that restricts `find_class` is not enough: its BUILD and SETITEM change any object they are given.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from grubridge.errors import CorruptFileError, UnsafeFileError

from .text import printable

__all__ = ["ForbiddenGlobalError", "Global", "Unused", "read_pickle"]

_MOST_OPCODES = 2_000_000  # 100 for each of 20,000 tensors
_MARK = object()
_KEY_TYPES = (str, int, float, type(None))
_PUSHED_AS_THEY_ARE = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING",
    "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip


class ForbiddenGlobalError(Exception):
    """The pickle asks for something that was given no meaning; the message names it."""


class Global:
    """A global of the pickle. All one can do with it is to call its meaning, if that is a function."""

    __slots__ = ("meaning",)

    def __init__(self, meaning: object) -> None:
        self.meaning = meaning


class Unused:
    """Something that is carried along and never looked at; whatever is done to it has no effect."""


def read_pickle(
    data: bytes,
    where: str,
    meanings: Mapping[tuple[object, object], object],
    persistent: Callable[[object], object],
) -> object:
    """Return what the pickle `data` holds.

    Args:
        data: the pickle.
        where: the file, as messages print it.
        meanings: what a global stands for, by module and name; a function is called with the pickle's own
            arguments, any other value is for `persistent` to look at.
        persistent: returns what a persistent id stands for; it raises ValueError when it is none.

    Raises:
        ForbiddenGlobalError: when it asks for a global without a meaning, or for code by other means.
        UnsafeFileError: when it is absurdly long.
        CorruptFileError: when it is damaged.
    """
    machine = _Machine(meanings, persistent)
    position = 0
    try:
        for count, (opcode, argument, at) in enumerate(pickletools.genops(data)):
            position = at or 0
            if count > _MOST_OPCODES:
                raise UnsafeFileError(f"{where}: its pickle has more than {_MOST_OPCODES:,} instructions")
            machine.carry_out(opcode.name, argument)
        return machine.pop()
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, DeprecationWarning) as error:
        # the warning, where it is an error, is Python's of odd escapes in text
        raise CorruptFileError(
            f"{where}: its pickle is damaged at byte {position} ({printable(error)}); "
            "copy or download it again"
        ) from None


class _Machine:
    """The pickle machine: a stack, and a memo of values that are used again."""

    def __init__(
        self, meanings: Mapping[tuple[object, object], object], persistent: Callable[[Any], Any]
    ) -> None:
        self._meanings = meanings
        self._persistent = persistent
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def carry_out(self, opcode: str, argument: object) -> None:
        if opcode in _PUSHED_AS_THEY_ARE:
            self.push(argument)
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        else:
            raise ForbiddenGlobalError(f"the instruction {opcode}")

    def push(self, value: object) -> None:
        self._stack.append(value)

    def pop(self) -> object:
        value = self._stack.pop()
        if value is _MARK:
            raise IndexError("a mark where a value should be")
        return value

    def pop_two(self) -> tuple[object, object]:
        second = self.pop()
        return self.pop(), second

    def pop_to_mark(self) -> list[object]:
        items = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def push_tuple(self, size: int) -> None:
        self.push(tuple([self.pop() for _ in range(size)][::-1]))

    def recall(self, index: int) -> None:
        if index not in self._memo:
            raise LookupError(f"nothing was kept as number {index}")
        self.push(self._memo[index])

    def memoize(self, index: int | None) -> None:
        value = self.pop()
        self._memo[len(self._memo) if index is None else index] = value
        self.push(value)

    def append(self, items: list[object]) -> None:
        target = self._target(list)
        if isinstance(target, list):
            target.extend(items)

    def set_items(self, items: list[object]) -> None:
        target = self._target(dict)
        if isinstance(target, dict):
            pairs = zip(items[::2], items[1::2], strict=True)
            # other keys need not be kept: nobody can ask for them
            target.update((key, value) for key, value in pairs if isinstance(key, _KEY_TYPES))

    def build(self) -> None:
        self.pop()  # the attributes of a dict or an unused object are never looked at
        self._target(dict)

    def _target(self, kind: type) -> object:
        target = self._stack[-1]
        if not isinstance(target, (kind, Unused)):
            raise TypeError(f"expected a {kind.__name__} to change; received {type(target).__name__}")
        return target

    def find(self, module: object, name: object) -> None:
        if (module, name) not in self._meanings:
            raise ForbiddenGlobalError(f"{module}.{name}")
        self.push(Global(self._meanings[module, name]))

    def call(self) -> None:
        function, arguments = self.pop_two()
        if not isinstance(function, Global) or not callable(function.meaning):
            raise TypeError(f"a call of {type(function).__name__}")
        if not isinstance(arguments, tuple):
            raise TypeError(f"a call with {type(arguments).__name__}")
        self.push(function.meaning(*arguments))

    def find_persistent(self) -> None:
        self.push(self._persistent(self.pop()))


_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.memoize),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), lambda machine, _: machine.call()),
    "MARK": lambda machine, _: machine.push(_MARK),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.pop_to_mark(),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(value=True),
    "NEWFALSE": lambda machine, _: machine.push(value=False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_SET": lambda machine, _: machine.push(Unused()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.push_tuple(1),
    "TUPLE2": lambda machine, _: machine.push_tuple(2),
    "TUPLE3": lambda machine, _: machine.push_tuple(3),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_to_mark()),
    "ADDITEMS": lambda machine, _: machine.append(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.set_items(list(machine.pop_two())),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "GLOBAL": lambda machine, names: machine.find(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.find(*machine.pop_two()),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.find_persistent(),
}
