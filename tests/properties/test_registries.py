"""The registries, asked in any order: a file is what it holds, whatever its name; names mean one thing."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

import grubridge
from grubridge.backends.registry import BACKENDS, find, native_backend
from grubridge.errors import BackendError, LayoutError, UnknownFormatError
from grubridge.formats.registry import FORMATS, SUFFIXES, adapter, detect, for_target
from grubridge.layouts.toml import load, shipped, to_toml
from tests.zoo import member

ENDINGS = {
    ".keras": "keras",
    ".h5": "keras",
    ".pt": "pytorch",
    ".safetensors": "safetensors",
    ".onnx": "onnx",
}
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


class _Registries(RuleBasedStateMachine):
    """Files, and the format that each was written in."""

    files = Bundle("files")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="grubridge-property-"))
        self.written: dict[Path, str] = {}
        self.known = dict(FORMATS), dict(SUFFIXES), dict(BACKENDS), shipped()
        self.layouts = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(target=files, ending=st.sampled_from(sorted(ENDINGS)))
    def write(self, ending: str) -> Path:
        path = self.folder / f"{len(self.written)}{ending}"
        grubridge.write(member("reset_after"), path)
        self.written[path] = ENDINGS[ending]
        return path

    @rule(target=files, path=files, ending=st.sampled_from([*SUFFIXES, "", ".bin", ".txt"]))
    def copy_under_another_name(self, path: Path, ending: str) -> Path:
        copied = self.folder / f"{len(self.written)}{ending}"
        shutil.copy(path, copied)
        self.written[copied] = self.written[path]
        return copied

    @rule(path=files)
    def content_decides(self, path: Path) -> None:
        assert self.written[path] == detect(path).NAME
        assert detect(path) is adapter(self.written[path])
        assert native_backend(detect(path).NAME) in BACKENDS

    @rule(path=files, name=st.sampled_from(sorted(FORMATS)))
    def the_wrong_format_is_refused(self, path: Path, name: str) -> None:
        if name == self.written[path]:
            assert grubridge.read(path, from_format=name).dtype == "float32"
            return
        with pytest.raises(UnknownFormatError, match=rf"--from says {name}, but the file is "):
            grubridge.read(path, from_format=name)

    @rule(name=NAMES)
    def unknown_names_are_refused(self, name: str) -> None:
        if name not in FORMATS:
            with pytest.raises(UnknownFormatError, match=r"^unknown format"):
                adapter(name)
        if name not in BACKENDS:
            with pytest.raises(BackendError, match=r"^unknown backend"):
                find(name)
        if name not in shipped() and not name.endswith(".toml"):
            with pytest.raises(LayoutError):
                load(name)
        suffix = Path(f"x.{name}").suffix.lower()
        if suffix not in SUFFIXES:
            with pytest.raises(UnknownFormatError, match="Known endings: "):
                for_target(Path(f"x.{name}"))

    @rule(name=st.sampled_from(sorted(shipped())))
    def a_layout_is_what_its_file_says(self, name: str) -> None:
        self.layouts += 1
        path = self.folder / f"layout-{self.layouts}.toml"
        path.write_text(to_toml(load(name)), encoding="utf-8")
        assert load(path) == load(name)

    @invariant()
    def nothing_is_registered_by_asking(self) -> None:
        if hasattr(self, "known"):
            assert (dict(FORMATS), dict(SUFFIXES), dict(BACKENDS), shipped()) == self.known


TestRegistries = _Registries.TestCase
TestRegistries.settings = settings(max_examples=25, stateful_step_count=15, deadline=None, derandomize=True)
