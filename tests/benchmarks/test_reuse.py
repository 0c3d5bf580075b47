"""What the recursion saves: all ways give the gradient, and its multiplications are those that are made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.bench import reuse
from chainrule.cli import main


class Counted(np.ndarray):
    """An array that counts the products of two numbers which it takes part in."""

    count = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(one) for one in inputs]
        made = getattr(ufunc, method)(*plain, **options)
        if ufunc is np.matmul:
            Counted.count += plain[0].size * plain[1].shape[-1]
        elif ufunc is np.multiply:
            Counted.count += made.size
        return np.asarray(made).view(Counted)


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("way", reuse.WAYS)
def test_multiplications_are_those_that_are_made(way: str, layers: int) -> None:
    chain = reuse.chain_of(*reuse.problem(layers))
    counted: dict[str, Any] = {
        name: tuple(one.view(Counted) for one in getattr(chain, name))
        for name in ("weights", "inputs", "slopes")
    }
    Counted.count = 0
    reuse.WAYS[way](replace(chain, by_output=chain.by_output.view(Counted), **counted))
    assert Counted.count == reuse.multiplications(way, layers)


def test_all_ways_give_the_gradient() -> None:
    rows = reuse.measure(3, 0.0)
    assert [row.way for row in rows] == list(reuse.WAYS)
    assert all(row.largest_difference < 1e-14 for row in rows)
    anew, front = rows[1], rows[2]
    assert 1 < anew.times_multiplications < front.times_multiplications


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(reuse, "DEPTHS", (1, 2))
    monkeypatch.setattr(reuse, "UNITS", 3)
    figures = tmp_path / "figures.json"
    assert main(["bench", "reuse", "--quick", "--json", str(figures)]) == 0
    assert "layer anew" in capsys.readouterr().out
    assert len(json.loads(figures.read_text())["rows"]) == 6
    assert main(["bench", "reuse", "--profile"]) == 2
