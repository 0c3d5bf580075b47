"""A small Transformer encoder: which module of the standard library does a sentence come from?

The sentences are the docstrings that come with every Python. Words become ids, 0 is the padding behind a
sentence; attention looks past it, and so does the mean over the words at the end.

python examples/transformer.py
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re

import numpy as np

import chainrule as cr

MODULES = ("argparse", "datetime", "decimal", "random", "socket", "statistics", "subprocess", "threading")
WORDS = 20  # of a sentence
PADDING, UNKNOWN = 0, 1


def sentences(module: str) -> list[list[str]]:
    """The words of every sentence in the docstrings of a module."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, owners)]
    parts = [re.findall("[a-z]+", part.lower()) for text in texts for part in re.split(r"\.\s|\n\n", text)]
    return [words for words in parts if len(words) >= 4]


def data() -> tuple[np.ndarray, np.ndarray, int]:
    """X (N, WORDS) of ids, the module of every sentence, and how many ids there are."""
    found = [(words, module) for module in MODULES for words in sentences(module)]
    every = [word for words, _ in found for word in words]
    names, counts = np.unique(every, return_counts=True)
    ids = {str(name): number + 2 for number, name in enumerate(names[counts > 1])}
    X = np.full((len(found), WORDS), PADDING)
    for row, (words, _) in zip(X, found, strict=True):
        known = [ids.get(word, UNKNOWN) for word in words[:WORDS]]
        row[: len(known)] = known
    return X, np.array([module for _, module in found]), len(ids) + 2


def encoder(features: int, heads: int) -> list[cr.Layer]:
    """One block: attention among the words, then a dense network on every word, each added to its input."""
    return [
        cr.Residual([cr.LayerNorm(), cr.MultiHeadAttention(heads)]),
        cr.Residual([cr.LayerNorm(), cr.Dense(2 * features), cr.GELU(), cr.Dense(features)]),
    ]


def main(epochs: int = 6) -> float:
    X, y, vocabulary = data()
    network = cr.Network(
        [
            cr.Embedding(vocabulary, 32, padding=PADDING),
            cr.PositionalEncoding(),
            *encoder(32, heads=4),
            *encoder(32, heads=4),
            cr.LayerNorm(),
            cr.GlobalAveragePool(),
            cr.Dense(len(MODULES)),
            cr.Softmax(),
        ],
        input_shape=WORDS,
        seed=0,
    )
    print(f"{len(X)} sentences, {vocabulary} ids, {network.count_parameters():,} parameters")
    history = cr.fit(
        network, X, y, optimizer=cr.Adam(0.002), batch_size=32, epochs=epochs, validation=0.2, progress=False
    )
    for row in history:
        print(f"epoch {row.epoch}: loss {row.loss:.3f}, of new sentences {row.validation_accuracy:.0%} right")
    share = np.unique(y, return_counts=True)[1].max() / len(y)
    print(f"the most frequent module alone: {share:.0%}")
    return float(history.validation_accuracy[-1] or 0)


if __name__ == "__main__":
    main()
