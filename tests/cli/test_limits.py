"""--max-memory and --timeout on the command line: what they are told, and how far they reach."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli.options import _bytes
from grubridge import write
from tests.cli.command import grubridge
from tests.zoo import make_spec

COMMANDS = {
    "inspect": ("{0}",),
    "convert": ("{0}", "{1}"),
    "verify": ("{0}", "{0}"),
    "trace": ("{0}", "--backend", "reference"),
    "explain": ("{0}", "--inputs", "1,2"),
    "identify": ("{0}", "--example", "{2}"),
}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("512MiB", 512 << 20),
        ("4GB", 4 * 10**9),
        ("4g", 4 * 10**9),
        (" 1.5 GiB ", 3 << 29),
        ("2k", 2000),
        ("2KiB", 2048),
        ("1TiB", 1 << 40),
        ("100B", 100),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert _bytes(text) == size


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """A Keras file on which HDF5 turns in a circle: the size of the first object in its heap is too large."""
    path = tmp_path / "hanging.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file["gru"] = np.zeros(3)
        file["gru"].attrs["dtype"] = "float64"
    content = bytearray(path.read_bytes())
    content[content.index(b"GCOL") + 25] += 1
    path.write_bytes(content)
    return path


def _arguments(command: str, source: Path) -> list[str]:
    example = source.with_name("example.npz")
    np.savez(example, x=np.ones((1, 3, 2)), hidden=np.zeros((1, 3, 4)))
    return [one.format(source, source.with_name("new.onnx"), example) for one in COMMANDS[command]]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_ends_in_time(command: str, hanging: Path) -> None:
    arguments = _arguments(command, hanging)
    started = time.monotonic()

    ended = grubridge(command, *arguments, "--timeout", "0.4")

    assert ended.code == 2
    assert f"{hanging}: HDF5 itself failed on " in ended.stderr
    assert "it gave no answer within 0.4 s; the file is damaged or hostile" in ended.stderr
    assert time.monotonic() - started < 8


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_no_more_memory(command: str, tmp_path: Path) -> None:
    path = tmp_path / "small.keras"
    write(make_spec("default"), path)
    arguments = _arguments(command, path)

    ended = grubridge(command, *arguments, "--max-memory", "20kB")

    assert ended.code == 2
    assert "that --max-memory 20000B allows for it; --max-memory " in ended.stderr


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--max-memory", "much", "expected a size such as 512MiB or 4GB; received 'much'"),
        ("--max-memory", "-1GB", "expected a size such as 512MiB or 4GB; received '-1GB'"),
        ("--max-memory", "0", "expected a size such as 512MiB or 4GB; received '0'"),
        ("--timeout", "0", "expected a number of seconds above 0; received 0"),
        ("--timeout", "nan", "expected a number of seconds above 0; received nan"),
    ],
)
def test_what_is_no_limit(option: str, value: str, said: str) -> None:
    ended = grubridge("inspect", "x.keras", option, value)

    assert ended.code == 2
    assert f"Invalid value for '{option}': {said}" in " ".join(ended.stderr.split())


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_check_gives_them_to_every_pair(hanging: Path, tmp_path: Path, jobs: int) -> None:
    """Pairs are checked by other processes where there are several at once."""
    write(make_spec("default"), tmp_path / "good.pt")
    pairs = "".join(f'[[pair]]\na = "good.pt"\nb = "{hanging.name}"\nname = "{name}"\n' for name in "ab")
    (tmp_path / "grubridge.toml").write_text(f"version = 1\n{pairs}", encoding="utf-8")
    started = time.monotonic()

    ended = grubridge("check", "--timeout", "0.4", "--jobs", jobs, cwd=tmp_path)

    assert ended.code == 2
    assert ended.stdout.count("it gave no answer within 0.4 s") == 2
    assert time.monotonic() - started < 10
