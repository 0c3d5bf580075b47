"""Trees as JSON and back."""

from __future__ import annotations

import json
import math

import pytest

from chainrule.formulas import Number, Symbol, trace
from chainrule.formulas.exchange import pack, unpack
from chainrule.losses import CrossEntropy
from chainrule.losses.penalties import ElasticNet
from tests.cases import LAYER_CASES, LayerCase


def there_and_back(trees: list[object]) -> list[object]:
    nodes, roots = pack(trees)
    built = unpack(json.loads(json.dumps(nodes, allow_nan=False)))
    return [built[root] for root in roots]


@pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.id)
def test_every_layer(case: LayerCase) -> None:
    equations = trace(case.make()).equations.values()
    trees = [tree for equation in equations for tree in (equation.left, equation.right)]
    assert there_and_back(trees) == trees


@pytest.mark.parametrize("target", [CrossEntropy(), ElasticNet(0.1, 0.2)])
def test_losses_and_penalties(target: object) -> None:
    trees = [equation.right for equation in trace(target).equations.values()]
    assert there_and_back(trees) == trees


def test_equal_nodes_once_and_children_first() -> None:
    x = Symbol("x")
    nodes, roots = pack([x * x + x, x])
    assert [next(iter(node)) for node in nodes] == ["symbol", "apply", "apply"]
    assert roots == [2, 0]


def test_numbers_that_json_lacks() -> None:
    assert there_and_back([Number(-math.inf)]) == [Number(-math.inf)]


@pytest.mark.parametrize(
    "node",
    [
        {"apply": "explode", "to": []},
        {"apply": "exp", "to": [0]},
        {"apply": "exp", "to": [-1]},
        {"over": "sum_over", "indices": ["m"], "ranges": [3]},
        {"something": 1},
        {"symbol": "x"},
    ],
)
def test_what_is_no_node(node: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="node 0 is no node of a formula"):
        unpack([node])
