"""The wrong neighbours of formulas: what each computes, and that every kind has a sentence."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
import chainrule.verifying
from chainrule.formulas.calling import call_formula
from chainrule.formulas.evaluation import evaluate
from chainrule.formulas.expression import Symbol, operation
from chainrule.formulas.neighbours import neighbours, with_rotated
from chainrule.formulas.tracing import trace
from chainrule.verifying.judging.findings import sentence
from chainrule.verifying.meanings.functions.known import functions
from chainrule.verifying.meanings.layer import layer_meaning
from chainrule.verifying.meanings.meaning import Edit, interned
from chainrule.verifying.mutants.subjects import KINDS, written
from chainrule.verifying.mutants.table import Mutated
from chainrule.verifying.probes import Probe
from chainrule.verifying.texts import TEXTS

RNG = np.random.default_rng(5)
OF_EACH = 20  # of a kind that names the same things
X, D = Symbol("x", "input"), Symbol("d", "gradient of output")


def made(tree, kind, **values):
    """What the neighbours of a kind compute."""
    wrong = [each.tree for each in neighbours(tree) if each.kind == kind]
    assert wrong, kind
    return [np.asarray(evaluate(each, values)) for each in wrong]


def test_the_same_mistake_once_more_is_found_alone() -> None:
    """As among all neighbours: the others are not made."""
    found = 0
    for wrong in list(neighbours(trace(cr.GRU(3, reset_after=False))["delta"], rare=False))[:30]:
        about = wrong.kind, wrong.node, wrong.part
        every = neighbours(wrong.tree, rare=False)
        same = [each.tree for each in every if (each.kind, each.node, each.part) == about]
        assert [each.tree for each in neighbours(wrong.tree, rare=False, again=about)] == same
        found += len(same)
    assert found


@pytest.mark.parametrize("name", ["sum_features", "mean_features"])
def test_over_another_axis_or_a_part(name: str) -> None:
    tree = operation(name, X)
    reduce = np.sum if name == "sum_features" else np.mean
    x = RNG.normal(size=(5, 5))
    assert np.allclose(made(tree, "keepdims", x=x)[0], reduce(x, axis=0)[:, None])
    assert np.allclose(made(tree, "across", x=x)[0], reduce(x, axis=1, keepdims=True))
    weights = RNG.normal(size=(3, 4, 2))
    assert np.allclose(made(tree, "across_steps", x=weights)[0], reduce(weights, axis=0, keepdims=True))
    share = 1 if name == "sum_features" else 1 / 5
    assert np.allclose(made(tree, "part_from", x=x)[2], x[3:].sum(axis=0) * share)
    assert np.allclose(made(tree, "part_to", x=x)[0], x[:1].sum(axis=0) * share)


def test_heads_that_are_not_moved() -> None:
    x = RNG.normal(size=(3, 4, 2))
    heads = x.reshape(3, 2, 2, 2).transpose(1, 0, 2, 3)
    assert np.allclose(made(operation("split_heads", X, heads=2), "unmoved", x=x)[0], x.reshape(2, 3, 2, 2))
    assert np.allclose(
        made(operation("join_heads", X, heads=2), "unmoved", x=heads)[0], heads.reshape(3, 4, 2)
    )


def test_rows_that_are_averaged() -> None:
    layer = cr.Embedding(4, 2)
    ids, E, d = np.array([[1, 3, 1]]), RNG.normal(size=(4, 2)), RNG.normal(size=(1, 2, 3))
    wrong = made(trace(layer)["E"], "averaged_rows", x=ids.astype(float), E=E, d=d)[0]
    rows = [np.zeros(2), (d[0, :, 0] + d[0, :, 2]) / 2, np.zeros(2), d[0, :, 1]]
    assert np.allclose(wrong, rows)


def test_masks_of_a_maximum() -> None:
    """Values near the largest; the places of the first channel; one entry of the window alone."""
    tree = trace(cr.MaxPool1D(3))["delta"]
    x = np.array([[0.0, 0.9, 1.0], [3.0, 1.0, 2.0]]).T[:, :, None]  # (T, C, m)
    d = np.array([[[2.0], [5.0]]])
    near = made(tree, "near", x=x, d=d)[0]  # less than ½ below
    assert np.array_equal(near[:, :, 0].T, [[0, 2, 2], [5, 0, 0]])
    assert np.array_equal(made(tree, "one_channel", x=x, d=d)[0][:, :, 0].T, [[0, 0, 2], [0, 0, 5]])
    first, _, last = (each[:, :, 0].T for each in made(tree, "one_offset", x=x, d=d))
    assert np.array_equal(first, [[0, 0, 0], [5, 0, 0]])
    assert np.array_equal(last, [[0, 0, 2], [0, 0, 0]])


def test_numbers_that_are_cut_off() -> None:
    tree = operation("minimum", operation("maximum", X, -2.0), 2.0)
    x = np.array([-5.0, -1, 1, 5])
    assert [list(each) for each in made(tree, "minimum zeroed", x=x)] == [[-2, -1, 1, 0]]
    assert [list(each) for each in made(tree, "maximum sign", x=x)] == [[-1, -1, 1, 2]]


def test_parts_in_the_place_of_others() -> None:
    parts = [operation("multiply", X, float(n)) for n in (1, 2, 3)]
    stack = operation("beside", operation("beside", *parts[:2]), parts[2])
    orders = {tuple(each[:, 0]) for each in made(stack, "gates", x=np.ones((1, 1)))}
    assert {(2, 1, 3), (3, 3, 1), (3, 1, 2)} <= orders
    assert (1, 2, 3) not in orders


def test_a_difference_without_its_first_term_keeps_the_sign_or_not() -> None:
    tree = operation("subtract", X, D)
    left = sorted(float(each) for each in made(tree, "subtract only", x=7.0, d=2.0))
    assert left == [-2, 2, 7]


def test_where_delta_goes_through_alone() -> None:
    """The statistics of the forward pass stay, the sums of the backward pass go over another axis."""
    tree = trace(cr.LayerNorm())["delta"]
    values = {"x": RNG.normal(size=(4, 3)), "d": RNG.normal(size=(4, 3)), "gamma": RNG.normal(size=4)}
    x, e = values["x"], values["d"] * values["gamma"][:, None]
    r = np.sqrt(x.var(axis=0) + cr.LayerNorm().epsilon)
    hat = (x - x.mean(axis=0)) / r
    wanted = (e - e.mean(axis=1, keepdims=True) - hat * (e * hat).mean(axis=1, keepdims=True)) / r
    assert any(np.allclose(each, wanted) for each in made(tree, "across", **values))


@pytest.mark.turns(2)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_sentence(kind: str) -> None:
    """In both languages, with all that it names."""
    mutated = Mutated(next(written(kind)))
    args = mutated.draw(np.random.default_rng(0))
    meaning, out = mutated.meaning, mutated.given.forward(*args)
    bound = meaning.bind(Probe(tuple(args), np.ones_like(out)))
    sentences, told = TEXTS.within("mistake"), Counter[tuple[str, ...]]()
    for argument in meaning.arguments:
        if argument.gradient:
            name = argument.gradient
            edits: list[Edit] = [*meaning.edits(name, bound), *meaning.shared(name, bound)]
            edits += [*meaning.others(name), *meaning.instead(name, bound)]
            edits += [made_by(0.5) for made_by in meaning.updated(name)]
            for edit in edits:
                told[edit.kind, *edit.values] += 1
                if told[edit.kind, *edit.values] > OF_EACH:  # an LSTM has nine thousand
                    continue
                sentence = sentences[edit.kind.replace(" ", "_")]
                values = {"part": edit.part, "node": edit.node, **edit.values}
                assert all(vars(sentence.format(**values)).values())


def test_kinds_that_meanings_write_themselves_have_one_too() -> None:
    """Edit(place, "kind", ...), also those that none of these examples has."""
    folder = Path(chainrule.verifying.__file__).parent / "meanings"
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    kinds = set(re.findall(r'Edit\(\s*[^,()]+(?:\([^()]*\))?,\s*"(\w+)"', text))
    assert len(kinds) > 15
    assert not [kind for kind in sorted(kinds) if kind not in TEXTS.within("mistake")]


@pytest.mark.parametrize("kind", ["stride", "multiply only", "symbol", "turned"])
def test_a_sentence_names_the_part(kind: str) -> None:
    said = sentence(Edit("delta", kind, {}, "THE NODE", "THE PART"))
    for language in (said.en, said.zh):
        assert "THE NODE" in language or "THE PART" in language
        assert "{" not in language


LAYERS = [cr.LayerNorm(), cr.BatchNorm(), cr.RMSNorm(), cr.MaxPool2D(2), cr.Softmax()]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_shared_parts_are_computed_once(layer) -> None:
    shape = (4, 4, 3, 2) if isinstance(layer, cr.MaxPool2D) else (5, 3)
    x = RNG.normal(size=shape)
    specs = layer.parameters(shape[:-1])
    args = [np.moveaxis(x, -1, 0), *(RNG.normal(size=spec.shape) for spec in specs.values() if spec.learned)]
    given = {"x": x, **dict(zip((n for n, s in specs.items() if s.learned), args[1:], strict=True))}
    out = np.moveaxis(call_formula(layer.forward, given), -1, 0)
    meaning = layer_meaning([layer], args, out, 1e-9)
    assert meaning is not None
    bound = meaning.bind(Probe(tuple(args), RNG.normal(size=out.shape)))
    with np.errstate(all="ignore"):
        for edit in list(meaning.edits("delta", bound))[::3]:
            try:
                alone = evaluate(edit.trees["delta"], with_rotated(bound.values))
            except ValueError:
                continue
            assert np.array_equal(
                meaning.gradient(bound, "delta", {edit.place: edit}), np.asarray(alone), equal_nan=True
            ), edit.kind


def test_equal_nodes_are_one_object() -> None:
    formulas = {name: trace(cr.LSTM(3))[name] for name in ("delta", "W")}
    assert interned(formulas) == formulas
    assert ("x", "c", "s") in [function.inputs for function in functions("rotary", {})]
