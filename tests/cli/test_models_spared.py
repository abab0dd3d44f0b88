"""No report replaces a model file, whether or not it is known which models a run reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import grubridge


@pytest.mark.parametrize("option", ["-o{}", "--format=json={}", "--html={}"])
@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("m.onnx", "m.onnx"),
        ("m.H5", "m.H5"),
        ("m.index", "m.index"),
        ("m.data-00000-of-00001", "m.data-00000-of-00001"),
        ("m.keras", "link.xml"),
    ],
)
def test_no_report_replaces_a_model_though_the_manifest_cannot_be_read(
    model: str, target: str, option: str, tmp_path: Path
) -> None:
    (tmp_path / "grubridge.toml").write_text("no TOML", encoding="utf-8")
    (tmp_path / "m.index").write_bytes(b"an index")
    (tmp_path / model).write_bytes(b"a model")
    if target != model:
        (tmp_path / target).symlink_to(model)
    ended = grubridge("check", option.format(target), cwd=tmp_path)

    assert ended.code == 2
    assert f"{target} is there and is called as models are" in " ".join(ended.stderr.split())
    assert (tmp_path / model).read_bytes() == b"a model"
