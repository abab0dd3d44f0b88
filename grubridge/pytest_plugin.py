"""A plugin of pytest: the fixture and the mark `grubridge`, and the pairs of a manifest as tests.

pytest imports this module at every start of its own, wherever grubridge is installed: all else is imported
when it is used.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from grubridge.backends.pool import Pool
    from grubridge.checker.result import CheckReport
    from grubridge.suite.manifest import Pair
    from grubridge.suite.result import PairResult
    from grubridge.tracing import TracedModel

__all__ = ["GRUBridge"]

_PATHS = ("example", "inputs", "out")
"""Settings that may be paths."""

_LONGEST = 1000

_manifest_key = pytest.StashKey[Path]()
_pool_key = pytest.StashKey["Pool"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("grubridge", "GRUs that are to be one function")
    group.addoption(
        "--grubridge",
        nargs="?",
        const="",
        metavar="MANIFEST.toml",
        help="Collect the pairs of a manifest as tests; grubridge.toml, or [tool.grubridge] of "
        "pyproject.toml, of the root directory if no file is named.",
    )
    group.addoption(
        "--grubridge-device",
        metavar="DEVICE",
        help="Where models run: auto, cpu, cuda or cuda:N; for the fixture, and instead of what the manifest "
        "says.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, and find the manifest."""
    config.addinivalue_line(
        "markers",
        "grubridge: holds GRUs against each other; pairs of a manifest and users of the fixture are.",
    )
    named = config.getoption("--grubridge")
    if named is not None:
        path = _manifest(config, named)
        config.stash[_manifest_key] = path
        if str(path) not in config.args:  # in a process of pytest-xdist it is there already
            config.args.append(str(path))


def _manifest(config: pytest.Config, named: str) -> Path:
    if named and not named.endswith(".toml"):
        raise pytest.UsageError(
            f"--grubridge: expected a manifest, a .toml file; received {named!r}. If it is a place to look "
            "for tests, write it before --grubridge"
        )
    if named:
        path = config.invocation_params.dir / named
        if not path.is_file():
            raise pytest.UsageError(f"--grubridge: there is no file {named}")
        return path
    from grubridge.errors import GRUBridgeError
    from grubridge.suite.reading import find_manifest

    try:
        return find_manifest(config.rootpath)
    except GRUBridgeError as error:
        raise pytest.UsageError(f"--grubridge: {config.rootpath}: {error}") from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the manifest, and no other file."""
    if file_path != parent.config.stash.get(_manifest_key, None):
        return None
    collector: pytest.Collector = _ManifestFile.from_parent(parent, path=file_path)
    return collector


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what uses the fixture, so that -m grubridge selects it."""
    if "grubridge" in getattr(item, "fixturenames", ()):
        item.add_marker("grubridge")


def _pool(config: pytest.Config) -> Pool:
    """Return the processes of the runtimes, each started when it is first needed; they end with pytest."""
    if _pool_key not in config.stash:
        from grubridge.backends.pool import Pool

        running = ExitStack()
        config.add_cleanup(running.close)
        config.stash[_pool_key] = running.enter_context(Pool())
    return config.stash[_pool_key]


class _PairError(Exception):
    """A pair is not what the manifest says; the message is for the user, without a traceback."""


class _ManifestFile(pytest.File):
    """A manifest, whose pairs are tests."""

    def collect(self) -> Iterable[pytest.Item]:
        """Yield a test for every pair."""
        from grubridge.errors import GRUBridgeError
        from grubridge.files.text import printable
        from grubridge.suite.reading import read_manifest

        try:
            manifest = read_manifest(self.path)
        except GRUBridgeError as error:
            raise self.CollectError(str(error)) from None
        if not manifest.pairs:
            raise self.CollectError(f"{self.path}: there is no [[pair]] in it, so nothing would be checked")
        for pair in manifest.overridden(None, self.config.getoption("--grubridge-device")).pairs:
            yield _PairItem.from_parent(self, name=printable(pair.name), pair=pair)


class _PairItem(pytest.Item):
    """A pair of the manifest as a test. It is checked in its setup: trouble is then an error, no failure."""

    def __init__(self, *, pair: Pair, **of_pytest: Any) -> None:  # noqa: ANN401 - pytest's own
        super().__init__(**of_pytest)
        self._pair = pair
        self._result: PairResult | None = None
        self.add_marker("grubridge")

    def setup(self) -> None:
        """Check the pair."""
        from grubridge.suite.pair import check_pair

        self._result = check_pair(self._pair, serve=_pool(self.config).serve)
        if self._result.headroom is not None:
            self.user_properties.append(("grubridge_headroom", self._result.headroom))
        if self._result.status == "trouble":
            raise _PairError(_words(self._result))

    def runtest(self) -> None:
        """Fail unless the pair is what the manifest says."""
        from grubridge.files.text import printable

        result = self._result
        assert result is not None  # noqa: S101 - of the setup
        for warning in result.warnings:
            warnings.warn(f"{self.name}: {printable(warning, _LONGEST)}", stacklevel=2)
        if result.status == "xfailed":
            pytest.xfail(printable(result.reason or "", _LONGEST))
        if result.status != "equivalent":
            raise _PairError(_words(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401
        """Return the report of the check, and no traceback."""
        if isinstance(excinfo.value, _PairError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the pair is in the manifest."""
        return self.path, None if self._pair.line is None else self._pair.line - 1, self.name


def _words(result: PairResult) -> str:
    from grubridge.files.text import inert_lines
    from grubridge.report.check.mismatch import mismatch
    from grubridge.report.suite.words import details

    if result.report is not None and result.status in {"different", "inconclusive"}:
        return mismatch(result.report)
    return inert_lines(result.trouble or "\n".join(details(result)))


class GRUBridge:
    """What the fixture `grubridge` is: `assert_equivalent`, `verify` and `trace` of the package.

    Relative paths start from pytest's root directory, models run on the device of --grubridge-device where a
    test names none, and all tests share one process of each runtime. Arguments, results and errors are those
    of the functions.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def assert_equivalent(self, *models: object, **settings: Any) -> CheckReport:  # noqa: ANN401
        """Assert that models are one function."""
        __tracebackhide__ = True
        from grubridge.testing import assert_equivalent

        return assert_equivalent(*map(self._rooted, models), **self._checking(settings))

    def verify(self, *models: object, **settings: Any) -> CheckReport:  # noqa: ANN401
        """Say whether models are one function."""
        from grubridge.verification import verify

        return verify(*map(self._rooted, models), **self._checking(settings))

    def trace(self, model: object, inputs: object = None, **settings: Any) -> TracedModel:  # noqa: ANN401
        """Run a model and return its gates and hidden states."""
        from grubridge.tracing import trace

        return trace(self._rooted(model), self._rooted(inputs), **self._given(settings))

    def _checking(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"serve": _pool(self._config).serve, **self._given(settings)}

    def _given(self, settings: dict[str, Any]) -> dict[str, Any]:
        rooted = {name: self._rooted(settings[name]) for name in _PATHS if name in settings}
        layout = settings.get("layout")
        if isinstance(layout, str) and layout.endswith(".toml"):
            rooted["layout"] = str(self._rooted(layout))
        device = self._config.getoption("--grubridge-device") or "auto"
        return {"device": device, **settings, **rooted}

    def _rooted(self, given: object) -> object:
        return self._config.rootpath / given if isinstance(given, (str, Path)) else given


@pytest.fixture(name="grubridge")
def _fixture(pytestconfig: pytest.Config) -> GRUBridge:
    """assert_equivalent, verify and trace of grubridge, from the root directory, on --grubridge-device."""
    return GRUBridge(pytestconfig)
