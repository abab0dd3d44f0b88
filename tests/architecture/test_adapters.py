"""An adapter is replaceable: no format's module imports another format's, no runtime's another runtime's.

The first word of a module's name says whose it is; a module without such a word is shared by all of its room.
"""

import grimp
import pytest

FAMILIES = {
    "keras": "Keras",
    "onnx": "ONNX",
    "onnxruntime": "ONNX",
    "pytorch": "PyTorch",
    "torch": "PyTorch",
    "safetensors": "safetensors",
    "tensorflow": "TensorFlow",
}


def _family(module: str) -> str | None:
    return FAMILIES.get(module.split(".")[2].partition("_")[0])


@pytest.mark.parametrize("room", ["backends", "formats", "live"])
def test_families_do_not_meet(room: str) -> None:
    graph = grimp.build_graph("grubridge", cache_dir=None)
    modules = graph.find_descendants(f"grubridge.{room}")
    meetings = {
        f"{module} imports {imported}"
        for module in modules
        for imported in graph.find_modules_directly_imported_by(module) & modules
        if _family(imported) not in {None, _family(module)}
    }

    assert {_family(module) for module in modules} >= {"Keras", "PyTorch"}
    assert meetings == set()
