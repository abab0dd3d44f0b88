"""The packages that grubridge needs and can use, as its metadata lists them, and what is installed of them.

Nothing is imported to find out.
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

__all__ = ["Package", "packages"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BOUND = re.compile(r"(>=|<)\s*([0-9.]+)")
_EXTRA = re.compile(r"""extra == ['"]([\w-]+)['"]""")
_PYTHON = re.compile(r"""python_version (>=|<) ['"]([0-9.]+)['"]""")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")
_NOT_FOR_USERS = ("all", "dev", "fuzz")
_COMPARED: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Package:
    """One package.

    Args:
        name: of the distribution, e.g. "ml_dtypes".
        version: the installed one; "" when it is not installed.
        wanted: the versions that grubridge works with, e.g. ">=2.4"; "" for any.
        extra: what brings it, pip install 'grubridge[extra]'; "" when grubridge cannot do without it.
    """

    name: str
    version: str
    wanted: str
    extra: str

    @property
    def fits(self) -> bool:
        """Whether the installed version is a wanted one."""
        return all(
            _COMPARED[sign](_release(self.version), _release(bound))
            for sign, bound in _BOUND.findall(self.wanted)
        )


def packages() -> tuple[Package, ...]:
    """Return every package of grubridge's metadata: first what it needs, then what its extras bring.

    Empty when grubridge itself is not installed: a checkout on the import path has no metadata.
    """
    try:
        lines = metadata.requires("grubridge") or []
    except metadata.PackageNotFoundError:
        return ()
    return tuple(_of(lines))


def _of(lines: list[str]) -> Iterator[Package]:
    for line in lines:
        requirement, _, condition = line.partition(";")
        extra = _EXTRA.search(condition)
        if (extra and extra[1] in _NOT_FOR_USERS) or not _for_this_python(condition):
            continue
        name = _NAME.match(requirement)
        assert name is not None, line  # noqa: S101 - a requirement starts with a name
        wanted = ",".join(sorted(map("".join, _BOUND.findall(requirement)), reverse=True))
        yield Package(name[0], _version(name[0]), wanted, extra[1] if extra else "")


def _for_this_python(condition: str) -> bool:
    return all(
        _COMPARED[sign](sys.version_info[:2], _release(bound)) for sign, bound in _PYTHON.findall(condition)
    )


def _version(name: str) -> str:
    found = next(iter(metadata.Distribution.discover(name=name)), None)
    return "" if found is None else found.version


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a release; what follows them, as in 2.4.0rc1 and 2.4.0+cu124, is left out."""
    numbers = _RELEASE.match(version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()
