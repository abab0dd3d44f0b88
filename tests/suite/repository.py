"""A repository of models and a manifest, and what ran of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grubridge.conversion import write
from grubridge.spec import GRUSpec
from grubridge.suite.result import SuiteReport
from grubridge.suite.run import check
from tests.mistakes import MISTAKES
from tests.zoo import make_spec

__all__ = ["Repository"]


@dataclass(frozen=True)
class Repository:
    """A folder with models and a manifest.

    Args:
        folder: where.
        log: notes of what ran.
    """

    folder: Path
    log: Path

    def model(self, *names: str, mistake: str | None = None, seed: int = 0, dtype: str = "float32") -> None:
        """Write a random GRU to files."""
        spec: GRUSpec = make_spec("gru", directions="both", seed=seed)
        if mistake is not None:
            spec = MISTAKES[mistake](spec)
        for name in names:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            write(spec.astype(dtype), self.folder / name, force=True)

    def manifest(self, *pairs: str, top: str = "") -> Path:
        """Write a manifest of pairs, each a table without its heading."""
        path = self.folder / "grubridge.toml"
        path.write_text(f"version = 1\n{top}\n" + "".join(f"[[pair]]\n{pair}\n" for pair in pairs), "utf-8")
        return path

    def check(self, **options: Any) -> SuiteReport:
        """Check in this process, unless `jobs` says otherwise."""
        return check(self.folder / "grubridge.toml", **{"jobs": 1, **options})

    def ran(self) -> list[tuple[int, str]]:
        """Return what ran since the last call: the processes, and the files."""
        if not self.log.exists():
            return []
        lines = [line.split(" ", 1) for line in self.log.read_text(encoding="utf-8").splitlines()]
        self.log.unlink()
        return [(int(process), name) for process, name in lines]

    def lock(self) -> str:
        """Return the text of the lock."""
        return (self.folder / "grubridge.lock.json").read_text(encoding="utf-8")
