"""A loss, a penalty and weights stand side by side only at the doors; behind them are Batch and Objective."""

from __future__ import annotations

import ast

from tools import house

# What users call, and the door that checks what they gave.
DOORS = {
    "check_gradients", "diagnose", "explain", "fit", "fit_full_batch", "flow_of",
    "Network.backpropagate", "Network.loss", "Network.problem",
}  # fmt: skip


def test_only_doors_take_loss_penalty_and_weights() -> None:
    found = set()
    for path in house.modules().values():
        tree = house.tree(path)
        methods = {
            id(node): f"{owner.name}.{node.name}"
            for owner in ast.walk(tree)
            if isinstance(owner, ast.ClassDef)
            for node in owner.body
            if isinstance(node, ast.FunctionDef)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                arguments = node.args
                names = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
                if {"loss", "penalty"} <= names and names & {"weights", "sample_weight"}:
                    found.add(methods.get(id(node), node.name))
    assert found == DOORS
