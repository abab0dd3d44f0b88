"""Runs the command line on file after file, each in a process with limits, and says what it did.

    python -m tests.hostile.run JOBS     # a JSON file, see `Job`; prints a JSON list of `Outcome`

The processes are forks of this one, which has imported everything: hundreds of files take seconds.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import grubridge.files
import grubridge.formats

__all__ = ["Job", "Outcome"]

_SECONDS, _ADDRESSES, _RESIDENT = 20.0, 4 << 30, 1500 << 20
_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect")
_CODE = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2]))
_SYSTEM = ("/dev/", "/proc/", "/sys/", "/usr/", "/etc/ld", "/etc/localtime")
_IMPORTED = (
    "cli.commands", "encodings.cp437", "grubridge.conversion", "grubridge.inspection", "h5py",
    "h5py._hl.filters", "grubridge.report.conversion", "grubridge.report.inspection", "onnx",
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+\.\d+(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class Job:
    """One run of the command line.

    Args:
        arguments: of the command; {out} stands for an empty folder.
        home: the folder that may be read.
        canary: the file that a payload would make.
        secret: bytes of a file outside the folder, as text.
    """

    arguments: list[str]
    home: str
    canary: str
    secret: str


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    Args:
        code: its exit code; minus the number of the signal that ended it.
        hung: whether it had to be ended.
        stdout: what it printed.
        stderr: likewise.
        left: the files in {out}.
        broken: what it must never do, in words; empty for a run as it should be.
    """

    code: int
    hung: bool
    stdout: str
    stderr: str
    left: list[str]
    broken: list[str]


def run(job: Job) -> Outcome:
    """Run one job in a fork of this process."""
    work = Path(tempfile.mkdtemp(prefix="grubridge-hostile-"))
    out = work / "out"
    out.mkdir()
    before = _tree(Path(job.home).parent)
    child = os.fork()
    if not child:
        _in_the_child(job, work)
    code, resident, hung = _ended(child)
    printed = [(work / name).read_bytes() for name in ("stdout", "stderr")]
    left = sorted(path for path in out.rglob("*") if path.is_file())
    broken = [*(work / "events").read_text(encoding="utf-8", errors="replace").splitlines()]
    if Path(job.canary).exists():
        broken.append("it ran what the file holds")
        Path(job.canary).unlink()
    if _leaks(b"".join(printed), [path.read_bytes() for path in left], job.secret.encode()):
        broken.append("it read outside the folder")
    if _tree(Path(job.home).parent) != before:
        broken.append("it wrote into the folder of the file, or outside")
    if hung:
        broken.append("it hung")
    elif code < 0:
        broken.append(f"signal {-code} ended it")
    if resident > _RESIDENT:
        broken.append(f"it took {resident >> 20} MiB")
    if re.search(rb"Traceback|defect|MemoryError|Unable to allocate", b"".join(printed)):
        broken.append("an internal error")
    shutil.rmtree(work)
    stdout, stderr = (text[:100_000].decode("utf-8", "replace") for text in printed)
    return Outcome(code, hung, stdout, stderr, [str(path.relative_to(out)) for path in left], broken)


def _in_the_child(job: Job, work: Path) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    opened = {name: os.open(work / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND) for name in _PRINTED}
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(opened["stdout"], 1)
    os.dup2(opened["stderr"], 2)
    os.chdir(work)
    os.environ.update(HOME=str(work), TMPDIR=str(work))
    tempfile.tempdir = None
    _watch(opened["events"], (str(work), job.home, *_CODE, *_SYSTEM))
    sys.argv = ["grubridge", *(argument.replace("{out}", str(work / "out")) for argument in job.arguments)]
    from cli.main import main

    try:
        main()
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    finally:
        os._exit(99)


_PRINTED = ("stdout", "stderr", "events")


def _watch(events: int, allowed: tuple[str, ...]) -> None:
    """Note what is executed, and what is opened elsewhere."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_FORBIDDEN):
            os.write(events, f"{event} {arguments[:2]!r}\n".encode("utf-8", "replace")[:300])
        elif event == "open" and isinstance(arguments[0], (str, bytes)):
            path = os.path.realpath(os.fsdecode(arguments[0])) if arguments[0] else ""
            if "/" in os.fsdecode(arguments[0]) and not path.startswith(allowed):
                os.write(events, f"opened {path!r}\n".encode("utf-8", "replace")[:300])

    sys.addaudithook(hook)


def _ended(child: int) -> tuple[int, int, bool]:
    """Wait for the child; return its exit code, its memory, and whether it had to be ended."""
    deadline, hung = time.monotonic() + _SECONDS, False
    while True:
        pid, status, used = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), used.ru_maxrss << 10, hung
        if time.monotonic() > deadline and not hung:
            hung = True
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.002)


def _tree(folder: Path) -> set[tuple[str, int, int]]:
    found = set()
    for path in folder.rglob("*"):
        status = path.lstat()
        found.add((str(path), status.st_size if not path.is_dir() else 0, status.st_mtime_ns))
    return found


def _leaks(printed: bytes, files: list[bytes], secret: bytes) -> bool:
    """Whether bytes of the secret are in a file or in what was printed, as they are, in hex or as numbers."""
    pieces = [secret[at : at + 16] for at in range(0, len(secret) - 16, 4)]
    if any(piece in content for piece in pieces for content in (printed, *files)):
        return True
    if any(piece.hex().encode() in printed.lower() for piece in pieces):
        return True
    import numpy as np

    numbers = np.frombuffer(secret[: len(secret) // 4 * 4], "<f4")
    shown = {f"{float(found):.3e}" for found in _NUMBER.findall(printed)[:10_000]}
    return len(shown & {f"{number:.3e}" for number in numbers.astype(float)}) > 1


def main(path: Path) -> None:
    """Run all jobs of a file."""
    for package in (grubridge.files, grubridge.formats):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    for name in _IMPORTED:
        import_module(name)
    platform.processor()  # NumPy asks for it once, and it runs uname
    jobs = [Job(**job) for job in json.loads(path.read_text(encoding="utf-8"))]
    print(json.dumps([asdict(run(job)) for job in jobs]))  # noqa: T201 - the result


if __name__ == "__main__":
    main(Path(sys.argv[1]))
