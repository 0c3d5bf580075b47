"""What compares two trees: who takes turns, what is slower, and which tree is meant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import guard

import chainrule


class Clock:
    """A worker whose steps take `seconds`, a little longer each time."""

    def __init__(self, name: str, seconds: float, asked: list[str]) -> None:
        self.name, self.seconds, self.asked = name, seconds, asked

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        assert do == "measure"
        assert details["processor"]
        self.asked.append(self.name)
        return {"seconds": self.seconds * (1 + 0.1 * len(self.asked))}


def test_they_take_turns_and_the_least_counts() -> None:
    asked: list[str] = []
    before, after = Clock("before", 1.0, asked), Clock("after", 2.0, asked)
    assert guard.compared(before, after, 3, 0.01) == pytest.approx((1.1, 2.4))  # type: ignore[arg-type]
    assert asked == ["before", "after", "after", "before", "before", "after"]


def test_rows_are_steps_and_predictions_of_different_names() -> None:
    rows = list(guard.workloads(7, 0, []))
    assert len({row.name for row in rows}) == len(rows)
    assert sum(row.task == "predict" for row in rows) == len(guard.SMALL) + 7
    assert [row.name for row in guard.workloads(7, 0, ["tiny-lstm"])] == ["tiny-lstm"]


@pytest.mark.parametrize("worse", [1e9, 0.0])
def test_two_trees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, worse: float
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "chainrule").symlink_to(Path(chainrule.__file__).parent, target_is_directory=True)
    monkeypatch.setattr(guard, "WORSE", worse)
    command = [str(tmp_path), "--workloads", "2-3-2, tanh", "--rounds", "1", "--least", "0.001"]
    monkeypatch.setattr(sys, "argv", ["guard", *command])
    with pytest.raises(SystemExit) as ended:
        guard.main()
    told = capsys.readouterr()
    if ended.value.code == 2 and "instead of" in told.err:
        pytest.skip("chainrule is installed in place, which goes before any other tree")
    assert ended.value.code == (worse == 0.0)
    assert "2-3-2, tanh" in told.out
    assert "1 rows, median" in told.out


def test_another_tree_has_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["guard", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        guard.main()
