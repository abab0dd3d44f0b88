"""HDF5 in a process with limits: what crashes, hangs, lies or eats memory there is no more than an error."""

import gc
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from grubridge.errors import CorruptFileError, GRUBridgeError, UnsafeFileError
from grubridge.files import hdf5_guard, hdf5_reader
from grubridge.files.forked import ForkedChild
from grubridge.files.hdf5 import Hdf5File
from grubridge.files.limits import limits
from grubridge.files.zips import read_zip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

VALUES = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
HEAP_OBJECT = 16  # where the first object of a global heap starts, behind the heap's header
SIZE_OF_OBJECT = 8  # and its size, behind its number and its count of references


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = VALUES
        file.create_dataset("packed", data=VALUES, compression="gzip", chunks=(7, 30))
        file.attrs["said"] = "some text"
    return tmp_path / "a.h5"


def _replaced(monkeypatch: pytest.MonkeyPatch, method: str, does: Callable[..., object]) -> None:
    """Let the child's reader do something else; it is forked off this process, so it has that, too."""
    monkeypatch.setattr(hdf5_reader._Reader, method, does)


def _child(file: Hdf5File) -> int:
    child = file._guard._child
    assert isinstance(child, ForkedChild)
    return child.process


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _dies(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_crash_is_a_damaged_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(monkeypatch, "members", _dies)

    with Hdf5File(path) as file, pytest.raises(CorruptFileError) as caught:
        file.members("gr\x1bu")

    assert str(caught.value) == (
        f"{path}: HDF5 itself failed on gr\\x1bu: it crashed (SIGSEGV); the file is damaged or hostile: "
        "copy or download it again"
    )


def test_a_byte_that_lets_h5py_crash(path: Path, tmp_path: Path) -> None:
    """The type of a text of any length: neither a sequence nor text."""
    kind = b"\x19\x01\x01\x00\x10\x00\x00\x00"
    content = path.read_bytes()
    assert content.count(kind) == 1
    (tmp_path / "b.h5").write_bytes(content.replace(kind, b"\x19\x0f" + kind[2:]))
    naive = f"import h5py; h5py.File({str(tmp_path / 'b.h5')!r}).attrs['said']"
    crashed = subprocess.run([sys.executable, "-c", naive], check=False, capture_output=True)
    assert crashed.returncode == -signal.SIGSEGV

    with Hdf5File(tmp_path / "b.h5") as file, pytest.raises(CorruptFileError, match="should be text"):
        file.text("", "said")


def test_a_circle_inside_hdf5_is_ended(path: Path, tmp_path: Path) -> None:
    content = bytearray(path.read_bytes())
    size = content.index(b"GCOL") + HEAP_OBJECT + SIZE_OF_OBJECT
    content[size : size + 8] = (int.from_bytes(content[size : size + 8], "little") + 256).to_bytes(
        8, "little"
    )
    (tmp_path / "b.h5").write_bytes(content)
    started = time.monotonic()

    with limits(timeout=0.5), Hdf5File(tmp_path / "b.h5") as file:
        child = _child(file)
        with pytest.raises(CorruptFileError) as caught:
            file.text("", "said")

    assert str(caught.value) == (
        f"{tmp_path / 'b.h5'}: HDF5 itself failed on the attribute said of '/': it gave no answer within "
        "0.5 s; the file is damaged or hostile: copy or download it again; --timeout SECONDS gives it longer"
    )
    assert time.monotonic() - started < 5
    assert not _alive(child)


def test_memory_has_a_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(monkeypatch, "has", lambda *_: len(bytearray(1 << 30)) > 0)

    with Hdf5File(path) as file:
        with pytest.raises(UnsafeFileError) as caught:
            file.has("a")
        assert str(caught.value) == (
            f"{path}: a takes more memory to read than HDF5 is allowed; the file is damaged or hostile. "
            "--max-memory SIZE allows more"
        )
        assert file.members("") == ([], ["a", "packed"])  # it lives on
    with limits(max_memory=8 << 30), Hdf5File(path) as file:
        assert file.has("a")


def test_a_long_text_is_refused_by_the_limit_alone(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["said"] = "x" * (60 << 20)

    with limits(max_memory=32 << 20), Hdf5File(tmp_path / "a.h5") as opened, pytest.raises(GRUBridgeError):
        opened.text("", "said")
    with limits(max_memory=8 << 30), Hdf5File(tmp_path / "a.h5") as opened:
        assert opened.text("", "said") == "x" * (60 << 20)


def _can(_: object, path: str) -> bool:
    """Whether the child could do harm."""
    harm: Callable[[], Any] = {
        "read": lambda: open("/etc/hostname", "rb"),  # noqa: PTH123, SIM115
        "write": lambda: open("/tmp/there", "wb"),  # noqa: PTH123, SIM115, S108
        "standard": lambda: os.fstat(1).st_mode == os.stat("/dev/null").st_mode,  # noqa: PTH116
        "core": lambda: resource.getrlimit(resource.RLIMIT_CORE)[0],
    }[path]
    try:
        return bool(harm())
    except OSError:
        return False


def test_nothing_can_be_opened_in_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(monkeypatch, "has", _can)

    with Hdf5File(path) as file:
        assert [file.has(harm) for harm in ("read", "write", "core")] == [False] * 3
        assert file.has("standard")  # what HDF5 prints while it crashes goes nowhere


@pytest.mark.parametrize(
    ("method", "answer", "ask"),
    [
        ("members", [["a"]], lambda file: file.members("")),
        ("members", [["a"], [1]], lambda file: file.members("")),
        ("members", None, lambda file: file.members("")),
        ("walk", [["", [None]]], lambda file: list(file.walk())),
        ("walk", [3], lambda file: list(file.walk())),
        ("walk", 3, lambda file: list(file.walk())),
        ("texts", [b"x".hex(), 3], lambda file: file.text("", "said")),
        ("texts", "abc", lambda file: file.text("", "said")),
        ("array", [], lambda file: file.array("a")),
        ("array", {"shape": [-40, -30], "type": "<f4", "offset": 0}, lambda file: file.array("a")),
        ("array", {"shape": [40.0], "type": "<f4", "offset": 0}, lambda file: file.array("a")),
        ("array", {"shape": 3, "type": "<f4", "offset": 0}, lambda file: file.array("a")),
        ("array", {"shape": [40], "type": "O", "offset": 0}, lambda file: file.array("a")),
        ("array", {"shape": [40], "type": ["<f4"], "offset": 0}, lambda file: file.array("a")),
        ("array", {"shape": [40], "type": "<f4", "offset": -4}, lambda file: file.array("a")),
        ("array", {"shape": [1] * 70, "type": "<f4", "offset": 0}, lambda file: file.array("a")),
    ],
)
def test_what_it_says_is_not_believed(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    answer: object,
    ask: Callable[[Hdf5File], object],
) -> None:
    _replaced(monkeypatch, method, lambda *_: answer)

    with Hdf5File(path) as file, pytest.raises(CorruptFileError, match="HDF5 gave no sensible answer on"):
        ask(file)


def test_an_array_that_is_not_in_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"shape": [1 << 40], "type": "<f4", "offset": 1 << 50}
    _replaced(monkeypatch, "array", lambda *_: told)

    with (
        Hdf5File(path) as file,
        pytest.raises(CorruptFileError, match="should be 4398046511104 bytes at offset"),
    ):
        file.array("a").load()
    _replaced(monkeypatch, "array", lambda *_: {**told, "offset": None})
    with Hdf5File(path) as file, pytest.raises(UnsafeFileError, match="a would take 4,194,304 MiB of memory"):
        file.array("a").load()


def test_nothing_is_left(path: Path) -> None:
    def left() -> tuple[int, int]:
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    before = left()
    for _ in range(20):
        with Hdf5File(path) as file:
            file.array("packed").load()
    del file

    assert left() == before


def test_it_ends_with_the_object(path: Path) -> None:
    file = Hdf5File(path)
    child = _child(file)
    assert _alive(child)

    del file
    gc.collect()

    assert not _alive(child)


def test_it_ends_with_the_parent(path: Path) -> None:
    program = f"""
        import time
        from pathlib import Path
        from grubridge.files.hdf5 import Hdf5File
        file = Hdf5File(Path({str(path)!r}))
        print(file._guard._child.process, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert _alive(child)
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 10
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not _alive(child)


def test_signals_are_the_parents_to_hear(path: Path) -> None:
    with Hdf5File(path) as file:
        os.kill(_child(file), signal.SIGINT)

        assert file.has("a")


def test_threads_read_side_by_side(path: Path) -> None:
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(5):
                with Hdf5File(path) as file:
                    assert np.array_equal(file.array("packed").load(), VALUES)
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures


def test_a_fork_of_the_user_reads_and_leaves_its_parents_process_alone(path: Path) -> None:
    with Hdf5File(path) as file:
        fork = os.fork()
        if not fork:
            code = 1
            try:
                file.__exit__()
                with Hdf5File(path) as own:
                    code = int(not np.array_equal(own.array("packed").load(), VALUES))
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == 0
        assert file.has("a")


def test_no_warning_of_a_fork_among_threads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.12 and later warn; with another module's name on it, the warning stays."""
    import warnings

    real = os.fork

    def warns() -> int:
        child = real()
        if child:
            warnings.warn("This process is multi-threaded, use of fork()", DeprecationWarning, stacklevel=2)
        return child

    monkeypatch.setattr(os, "fork", warns)
    with Hdf5File(path) as file:
        assert file.has("a")
    with pytest.warns(DeprecationWarning, match="multi-threaded"):
        child = _forks()
    os.waitpid(child, 0)


def _forks() -> int:
    child = os.fork()
    if not child:
        os._exit(0)
    return child


@pytest.mark.parametrize("container", ["", "stored", "deflated"])
def test_without_a_fork_a_process_is_started(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str
) -> None:
    monkeypatch.setattr(hdf5_guard, "CAN_FORK", False)
    entry = None
    if container:
        how = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}[container]
        with zipfile.ZipFile(tmp_path / "a.zip", "w", how) as archive:
            archive.write(path, "a.h5")
        path = tmp_path / "a.zip"
        entry = read_zip(path)["a.h5"]

    with Hdf5File(path, entry) as file:
        assert file.text("", "said") == "some text"
        for name in ("a", "packed"):
            assert np.array_equal(file.array(name).load(), VALUES)


@pytest.mark.parametrize("forks", [True, False])
def test_what_is_no_hdf5_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, forks: bool
) -> None:
    monkeypatch.setattr(hdf5_guard, "CAN_FORK", forks)
    (tmp_path / "no.h5").write_bytes(b"something else")

    with pytest.raises(CorruptFileError, match=r"no\.h5: the root group cannot be read"):
        Hdf5File(tmp_path / "no.h5")

    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_files_are_let_go_where_nothing_lists_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.iterdir

    def missing(folder: Path) -> object:
        if str(folder) == "/dev/fd":
            raise FileNotFoundError
        return real(folder)

    with (path.parent / "open").open("wb") as held:
        monkeypatch.setattr(Path, "iterdir", missing)
        _replaced(monkeypatch, "has", lambda _, number: Path(f"/proc/self/fd/{number}").exists())
        with Hdf5File(path) as file:
            assert not file.has(str(held.fileno()))
            assert file.has("1")


def test_a_process_that_the_system_refuses(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuses)
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(GRUBridgeError, match=r"and the system refuses that one: .*temporarily unavailable"):
        Hdf5File(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
