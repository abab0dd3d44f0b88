"""A suite of pairs, made by hand: one of every status, and names that attack whatever reads the report."""

from __future__ import annotations

from dataclasses import replace

from grubridge.checker.findings import Cause, Side
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.suite.result import PairResult, SuiteReport, worst_first
from tests.report.a_check import ONE, OTHER, a_report, comparisons

__all__ = ["HOSTILE", "a_difference", "a_suite", "every_status", "hostile_suite"]

HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\u202egnitset\u202c",
    "]]>",
    "a|b",
    "`` ```code``` ~~~",
    "<script>alert(1)</script>&amp;",
    "::error::boom",
    "two\nlines\r\n::add-mask::e",
    "nul\x00\x08\x7f\x85\ufffe\udce8",
    "100%25, a:b, c=d",
    "@everyone #1 https://a.b www.a.b *x* _y_ ![i](j)",
    "\u00e9\u4e2d\U0001f600",
    "",
)


def a_difference() -> CheckReport:
    return replace(
        a_report(),
        verdict=Verdict.DIFFERENT,
        by_the_bound=Verdict.DIFFERENT,
        comparisons=(
            *comparisons("read", ONE, Side("a.keras", None)),
            *comparisons("end-to-end", ONE, OTHER, 2.5e6),
        ),
        diagnosis=(Cause("gate order", "the update and reset gates are exchanged", mend="write anew"),),
    )


def every_status() -> tuple[PairResult, ...]:
    files = ("a.keras", "b.pt")
    return (
        PairResult("good", files, "equivalent", a_report(), headroom=0.75, seconds=1.5, line=3),
        PairResult(
            "kept", files, "equivalent", locked=True, headroom=0.5, warnings=("12 times worse than locked",)
        ),
        PairResult(
            "swapped",
            files,
            "different",
            a_difference(),
            headroom=2.5e6,
            cause="gate order: the update and reset gates are exchanged",
            seconds=2.25,
        ),
        PairResult("half", files, "different", headroom=30.0, cause="precision: float16"),
        PairResult(
            "pointer", files, "trouble", trouble="b.pt: a Git LFS pointer (130 bytes)\nrun git lfs pull"
        ),
        PairResult("unknown", files, "inconclusive", cause="not run: a.keras needs keras"),
        PairResult("old", files, "xfailed", headroom=3e4, reason="saved by Keras 1, ticket 12"),
        PairResult("mended", files, "xpassed", headroom=0.25, reason="saved by Keras 1, ticket 13"),
    )


def a_suite(*results: PairResult, deselected: int = 0, warnings: tuple[str, ...] = ()) -> SuiteReport:
    return SuiteReport(
        "ci/grubridge.toml",
        worst_first(results),
        {"python": "3.12.0", "grubridge": "0.1.0"},
        deselected,
        warnings,
    )


def hostile_suite() -> SuiteReport:
    """Every hostile name at every place that has one."""
    return a_suite(
        *(
            replace(
                result,
                name=f"{name} {index}",
                artifacts=(name, name),
                trouble=result.trouble and f"{name}: {name}\n{name}",
                reason=result.reason and name,
                cause=result.cause and f"{name}: {name}",
                warnings=(name, f"{'x ' * 30}{name}"),
                report=None,
            )
            for name in HOSTILE
            for index, result in enumerate(every_status())
        ),
        warnings=HOSTILE,
    )
