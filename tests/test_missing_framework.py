"""A file whose framework is not installed cannot be verified: exit code 2, and what to install."""

from pathlib import Path

import pytest

import grubridge
from grubridge.backends import registry
from grubridge.errors import MissingDependencyError
from tests.zoo import member


def test_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "model.pt", tmp_path / "model.onnx"
    grubridge.write(member("reset_after"), source)
    conversion = grubridge.convert(source, target)
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "onnxruntime" else object())

    with pytest.raises(MissingDependencyError, match=r"pip install 'grubridge\[onnxruntime\]'") as missing:
        grubridge.verify(source, target)
    with pytest.raises(MissingDependencyError, match="the backend onnxruntime needs onnxruntime"):
        grubridge.verify_conversion(conversion)

    assert missing.value.extra == "onnxruntime"
