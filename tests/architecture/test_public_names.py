"""`grubridge.__all__` is what the package really offers."""

import types

import grubridge


def test_all_is_sorted_and_complete() -> None:
    offered = [
        name
        for name in dir(grubridge)
        if not name.startswith("_") and not isinstance(getattr(grubridge, name), types.ModuleType)
    ]

    assert list(grubridge.__all__) == sorted(offered)


def test_every_public_name_is_documented() -> None:
    undocumented = [name for name in grubridge.__all__ if not getattr(grubridge, name).__doc__]

    assert undocumented == []
