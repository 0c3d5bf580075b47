"""Right backwards: every style in every shape, in float64 and float32; not one may be called wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from tests.verifying.museum.numeric import worst
from tests.verifying.museum.right import norms, objectives, reports, sequences, simple, windows
from tests.verifying.museum.right.style import Right, Style, every, spread

from chainrule.base.errors import ChainruleError

STYLES: list[Style] = [
    *simple.STYLES, *windows.STYLES, *norms.STYLES, *sequences.STYLES, *objectives.STYLES,
    *reports.STYLES,
]  # fmt: skip


def cases() -> Iterator[Right]:
    return every(STYLES)


def some(count: int) -> Iterator[Right]:
    return spread(STYLES, count)


def report(families: Collection[str]) -> None:
    """Run all of them and print what is not called right."""
    table: Counter[tuple[str, str]] = Counter()
    for case in cases():
        if families and case.family not in families:
            continue
        try:
            verdict = case.verdict()
            outcome, said = verdict.verdict, str(verdict)
        except ChainruleError as error:
            outcome, said = "not accepted", str(error)
        except Exception as error:
            outcome, said = "crash", f"{type(error).__name__}: {error}"
        table[case.family, outcome] += 1
        if outcome != "right":
            print(f"{case.family}: {case.name}: {outcome}\n    " + said.replace("\n", "\n    ")[:700])
    for (family, outcome), count in sorted(table.items()):
        print(f"right ones: {family:14} {outcome:14} {count}")


def unproved(families: Collection[str] = ()) -> Iterator[tuple[str, float]]:
    """Those in float64 whose gradients differ from central differences: mistakes of ours, to be mended."""
    for case in every(STYLES):
        if "float64" in case.name and (not families or case.family in families):
            off = worst(case.subject, case.args)
            if not off < 1e-5:
                yield case.name, off


__all__ = ["STYLES", "cases", "report", "some", "unproved"]
