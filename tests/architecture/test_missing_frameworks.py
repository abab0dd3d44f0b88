"""A missing framework skips its tests by name, and fails them where GRUBRIDGE_REQUIRE names it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
NEEDS_TORCH = """
import sys
sys.modules["torch"] = None  # makes `import torch` fail as if it were not installed
def test_that_needs_torch(torch): ...
"""


@pytest.mark.parametrize(
    ("required", "exit_code", "said"),
    [
        ("", 0, "SKIPPED [1] test_torch.py:4: torch is not installed"),
        ("keras", 0, "SKIPPED [1] test_torch.py:4: torch is not installed"),
        ("keras,torch", 1, "torch is not installed, and GRUBRIDGE_REQUIRE asks for torch"),
        ("pytorch", 4, "GRUBRIDGE_REQUIRE names ['pytorch']; expected some of torch, tensorflow, keras"),
    ],
)
def test_missing_framework(required: str, exit_code: int, said: str, tmp_path: Path) -> None:
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_torch.py").write_text(NEEDS_TORCH, encoding="utf-8")
    environment = {**os.environ, "GRUBRIDGE_REQUIRE": required}
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "--rootdir", "."]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == exit_code
    assert said in done.stdout + done.stderr
