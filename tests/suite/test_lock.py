"""The lock in every state: absent, right, out of date in each way, of no use, not to be written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import numpy as np
import onnx
import pytest

from grubridge.errors import ManifestError
from grubridge.suite import lock as locks
from grubridge.suite.lock import rounded
from tests.suite.repository import Repository

PAIR = 'name = "kws"\na = "a.pt"\nb = "b.onnx"'


@pytest.fixture
def locked(repository: Repository) -> Repository:
    """Return a repository with a pair that was checked and locked."""
    repository.model("a.pt", "b.onnx")
    repository.manifest(PAIR)
    assert repository.check().outcome == "passed"
    assert repository.ran()
    return repository


def _changed_headroom(repository: Repository, headroom: float) -> None:
    path = repository.folder / "grubridge.lock.json"
    document = json.loads(repository.lock())
    document["pairs"]["kws"]["headroom"] = headroom
    path.write_text(json.dumps(document), encoding="utf-8")


def test_what_it_says(locked: Repository) -> None:
    document = json.loads(locked.lock())
    kws = document["pairs"]["kws"]

    assert document["version"] == 1
    assert kws["settings"] == {"artifacts": ["a.pt", "b.onnx"]}
    assert list(kws["files"]) == ["a.pt", "b.onnx"]
    assert all(len(digest) == 64 for digest in kws["files"].values())
    assert kws["versions"] == {
        "grubridge": "0.1.0",
        "onnxruntime": "stand-in 1.0",
        "pytorch": "stand-in 1.0",
    }
    assert kws["status"] == "equivalent"
    assert 0 < kws["headroom"] < 1
    assert kws["headroom"] == float(f"{kws['headroom']:.3g}")
    assert kws["cause"] is None
    assert str(locked.folder.parent) not in locked.lock()


def test_a_pair_that_has_not_changed_is_not_run(locked: Repository) -> None:
    before = locked.lock()
    (result,) = locked.check().results

    assert (result.status, result.locked, result.report) == ("equivalent", True, None)
    assert result.headroom == json.loads(before)["pairs"]["kws"]["headroom"]
    assert result.line == 3
    assert locked.ran() == []
    assert locked.lock() == before
    (again,) = locked.check(use_lock=False).results
    assert not again.locked
    assert locked.ran()
    assert locked.lock() == before  # the same, to the last byte


def test_it_is_not_written_when_nothing_has_changed(locked: Repository) -> None:
    path = locked.folder / "grubridge.lock.json"
    os.utime(path, (1, 1))
    locked.check(use_lock=False)

    assert path.stat().st_mtime == 1


def _another_file(repository: Repository) -> None:
    repository.model("b.onnx", seed=1)
    repository.model("a.pt", seed=1)


def _another_setting(repository: Repository) -> None:
    repository.manifest(f"{PAIR}\ninputs = {{ seed = 1 }}")


def _another_default(repository: Repository) -> None:
    repository.manifest(PAIR, top="[defaults]\ndevice = 'cpu'")


def _another_name(repository: Repository) -> None:
    repository.manifest(PAIR.replace("kws", "new"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_another_file, "a.pt, b.onnx changed"),
        (_another_setting, "its settings have changed"),
        (_another_default, "its settings have changed"),
        (_another_name, "it is not in the lock"),
    ],
)
def test_a_pair_that_has_changed_is_run_and_locked_anew(
    locked: Repository, change: Callable[[Repository], None], told: str
) -> None:
    before = locked.lock()
    change(locked)
    (refused,) = locked.check(locked=True).results
    assert refused.status == "trouble"
    assert refused.trouble == (
        f"{locked.folder}/grubridge.lock.json is out of date: {told}. "
        "Run grubridge check without --locked, and commit the lock"
    )
    assert (locked.ran(), locked.lock()) == ([], before)
    (result,) = locked.check().results

    assert (result.status, result.locked) == ("equivalent", False)
    assert locked.ran()
    assert locked.lock() != before
    assert list(json.loads(locked.lock())["pairs"]) == [result.name]
    assert locked.check(locked=True).results[0].locked


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("stand_in_pytorch", "it was stand-in 1.0 and is stand-in 1.1 now"),
        ("", "it was 0.1.0 and is 0.2.0 now"),
    ],
)
def test_another_version_is_a_change(
    locked: Repository, monkeypatch: pytest.MonkeyPatch, module: str, told: str
) -> None:
    if module:
        monkeypatch.setattr(f"{module}.version", lambda: "stand-in 1.1")
    else:
        monkeypatch.setattr(locks, "__version__", "0.2.0")
    (refused,) = locked.check(locked=True).results

    assert f"is out of date: {told}. Run" in str(refused.trouble)
    assert not locked.check().results[0].locked


def test_a_runtime_that_has_gone_is_a_change(locked: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "available", lambda name: name != "pytorch")
    (refused,) = locked.check(locked=True).results

    assert "it was stand-in 1.0 and is not installed now" in str(refused.trouble)


def test_a_new_runtime_matters_to_a_file_alone(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.model("a.pt", "b.onnx")
    repository.manifest('name = "alone"\nartifacts = ["a.pt"]\nbackends = ["pytorch"]', PAIR)
    monkeypatch.setattr(locks, "available", lambda name: name in {"pytorch", "onnxruntime"})
    repository.check()
    assert {result.locked for result in repository.check(locked=True).results} == {True}
    monkeypatch.setattr(locks, "available", lambda _: True)
    monkeypatch.setattr("grubridge.backends.keras.backend.version", lambda: "keras 9")
    by_name = {result.name: result for result in repository.check(locked=True).results}

    assert by_name["kws"].locked
    assert "it was not installed and is keras 9 now" in str(by_name["alone"].trouble)


def test_a_missing_file_is_a_change(locked: Repository) -> None:
    (locked.folder / "b.onnx").unlink()
    (refused,) = locked.check(locked=True).results
    (result,) = locked.check().results

    assert "is out of date: " in str(refused.trouble)
    assert result.trouble == f"{locked.folder}/b.onnx: there is no such file"
    assert "kws" in locked.lock()  # what was known of it stays


def test_external_data_is_among_the_files(locked: Repository) -> None:
    path = locked.folder / "b.onnx"
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="b.bin", size_threshold=0)
    locked.check()
    assert sorted(json.loads(locked.lock())["pairs"]["kws"]["files"]) == ["a.pt", "b.bin", "b.onnx"]
    data = bytearray((locked.folder / "b.bin").read_bytes())
    data[0] ^= 1
    (locked.folder / "b.bin").write_bytes(data)

    assert "b.bin changed" in str(locked.check(locked=True).results[0].trouble)


def test_inputs_and_layouts_are_among_the_files(repository: Repository) -> None:
    repository.model("a.pt", "b.onnx")
    np.save(repository.folder / "x.npy", np.random.default_rng(0).standard_normal((2, 5, 5)))
    repository.manifest(f'{PAIR}\ninputs = "x.npy"')
    assert repository.check().outcome == "passed"
    assert sorted(json.loads(repository.lock())["pairs"]["kws"]["files"]) == ["a.pt", "b.onnx", "x.npy"]
    np.save(repository.folder / "x.npy", np.zeros((2, 5, 5)))

    assert "x.npy changed" in str(repository.check(locked=True).results[0].trouble)


def test_failures_are_kept_and_checked_again(repository: Repository) -> None:
    repository.model("a.pt")
    repository.model("b.onnx", mistake="gates rotated")
    repository.manifest(PAIR)
    assert repository.check().outcome == "different"
    kws = json.loads(repository.lock())["pairs"]["kws"]
    assert (kws["status"], kws["cause"][:12]) == ("different", "gate order: ")
    repository.ran()
    (again,) = repository.check().results
    assert (again.status, again.locked) == ("different", False)
    assert again.report is not None
    assert repository.ran()
    repository.manifest(f'{PAIR}\nxfail = "so"')  # what is expected is no setting of the run
    (result,) = repository.check(locked=True).results

    assert (result.status, result.locked, result.reason) == ("xfailed", True, "so")
    assert result.cause == kws["cause"]
    assert repository.ran() == []


def test_a_pair_that_unexpectedly_passes_is_no_pass_in_the_lock_either(locked: Repository) -> None:
    locked.manifest(f'{PAIR}\nxfail = "so"')
    (result,) = locked.check(locked=True).results

    assert (result.status, result.locked) == ("xpassed", False)


@pytest.mark.parametrize("before", [1.0, 0.3, 0.04, 0.0])
def test_what_has_become_much_worse_is_warned_of(locked: Repository, before: float) -> None:
    now = json.loads(locked.lock())["pairs"]["kws"]["headroom"]
    assert 4 * 0.04 < now < 4 * 0.3
    _changed_headroom(locked, before)
    (result,) = locked.check(use_lock=False, locked=True).results

    warning = f"it comes to {now:.2g} of the bound, and came to {before:.2g} when it was locked"
    assert result.status == "equivalent"
    assert result.warnings == ((warning,) if 4 * before < now else ())


def test_pairs_that_are_not_selected_stay_in_the_lock(locked: Repository) -> None:
    other = 'name = "other"\nb = "a.pt"\na = "b.onnx"'
    locked.manifest(PAIR, other)
    locked.check(select="other")

    assert sorted(json.loads(locked.lock())["pairs"]) == ["kws", "other"]
    locked.manifest(other)  # what has left the manifest leaves the lock
    locked.check()
    assert sorted(json.loads(locked.lock())["pairs"]) == ["other"]


@pytest.mark.parametrize("options", [{"device": "cpu"}, {"backends": ["pytorch"]}, {"weights_only": True}])
def test_what_is_not_as_the_manifest_says_has_no_part_in_it(
    locked: Repository, options: dict[str, str]
) -> None:
    before = locked.lock()
    (result,) = locked.check(**options).results

    assert not result.locked
    assert locked.lock() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<<<<<<< ours\n",
        "{}",
        '{"version": 2, "pairs": {}}',
        '{"version": 1, "pairs": {"kws": {"status": "equivalent"}}}',
        '{"version": 1, "pairs": []}',
    ],
)
def test_a_file_that_is_no_lock(locked: Repository, text: str) -> None:
    (locked.folder / "grubridge.lock.json").write_text(text, encoding="utf-8")

    with pytest.raises(
        ManifestError,
        match=r"grubridge\.lock\.json: this is no lock of grubridge \(.*\); delete it, and check ",
    ):
        locked.check()


def test_a_lock_that_cannot_be_written_is_a_warning(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.model("a.pt", "b.onnx")
    repository.manifest(PAIR)
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root
    report = repository.check()

    assert report.outcome == "passed"
    (warning,) = report.warnings
    assert warning.startswith("the lock was not written: ")
    assert not (repository.folder / "grubridge.lock.json").exists()


def test_no_lock_of_nothing(repository: Repository) -> None:
    repository.manifest()
    repository.check()

    assert not (repository.folder / "grubridge.lock.json").exists()


def test_digits() -> None:
    assert rounded(0.123456) == 0.123
    assert rounded(1234.5) == 1230.0
    assert [rounded(odd) for odd in (None, float("inf"), float("nan"))] == [None] * 3
