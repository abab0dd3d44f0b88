"""`grubridge.__all__` is what the package offers, though each name is imported only when it is used."""

import pytest

import grubridge


def test_all_is_sorted_and_complete() -> None:
    homes = set(grubridge._HOMES) - {"__version__"}

    assert list(grubridge.__all__) == sorted(homes)


@pytest.mark.parametrize("name", grubridge.__all__)
def test_name_is_there_and_documented(name: str) -> None:
    offered = getattr(grubridge, name)

    assert offered.__name__ == name
    assert offered.__doc__


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="module 'grubridge' has no attribute 'to_onnx'"):
        _ = grubridge.to_onnx
