"""cr.explain at the face: every kind of network, the document as JSON, and what is refused."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.languages import Say
from chainrule.explaining.blocks.kinds import Card, Formula
from chainrule.explaining.outline.sections import outline
from chainrule.formulas import sum_entries
from chainrule.formulas.printing import render_text
from chainrule.losses.penalties import Penalty


def dense(**options: Any) -> tuple[cr.Network, Any, Any]:
    layers = [cr.Dense(4), cr.Sigmoid(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=5, seed=1, **options)
    return network, np.random.default_rng(0).standard_normal((4, 5)), np.array([0, 2, 1, 0])


class Cube(cr.Layer):
    """Written with NumPy alone: it takes no symbols."""

    def forward(self, x: Any) -> Any:
        return np.power(np.asarray(x), 3)

    def delta(self, d: Any, x: Any) -> Any:
        return d * 3 * np.square(np.asarray(x))


class Square(cr.Layer):
    """Written with primitives."""

    output = "activation"

    def forward(self, x: Any) -> Any:
        return x * x

    def delta(self, d: Any, x: Any) -> Any:
        return 2 * d * x


def cards(report: cr.Report, section: str) -> list[Card]:
    found = next(one for one in report.outline().sections if one.id == section)
    return [block for block in found.blocks if isinstance(block, Card)]


def test_the_numbers_are_the_networks() -> None:
    network, X, y = dense()
    report = cr.explain(network, X, y, penalty=cr.L2(0.1), sample=2)
    step = network.copy(dtype="float64").backpropagate(X, y, penalty=cr.L2(0.1))
    assert report.ok
    assert report.document["loss"]["J"] == pytest.approx(step.loss, rel=1e-12)
    assert report.document["loss"]["penalty"] == pytest.approx(step.loss - step.data_loss, rel=1e-12)
    assert report.document["update"]["J_before"] == pytest.approx(step.loss, rel=1e-12)
    assert report.document["update"]["J_after"] < step.loss
    assert [card.step for card in cards(report, "forward")] == ["F1", "F2", "F3", "F4"]
    assert [card.step for card in cards(report, "backward")] == ["B3", "B2", "B1"]


def test_the_step_lowers_j_by_what_it_says() -> None:
    network, X, y = dense()
    report = cr.explain(network, X, y, learning_rate=0.05)
    step = network.copy(dtype="float64").backpropagate(X, y)
    moved = network.copy(dtype="float64")
    for name, gradient in step.gradients.items():
        moved.parameters[name] = moved.parameters[name] - 0.05 * gradient
    assert report.document["update"]["J_after"] == pytest.approx(moved.loss(X, y), rel=1e-12)


def test_worst_is_the_sample_with_the_largest_loss() -> None:
    network, X, y = dense()
    losses = [network.loss(X[[i]], y[[i]]) for i in range(4)]
    assert cr.explain(network, X, y).document["meta"]["sample"] == int(np.argmax(losses))
    assert cr.explain(network, X, y, sample=-1).document["meta"]["sample"] == 3


@pytest.mark.parametrize("labels", ["strings", "one-hot"])
def test_labels_of_every_kind(labels: str) -> None:
    network, X, y = dense()
    if labels == "strings":
        network.classes = ["ant", "bee", "cat"]
        given: Any = np.array(["ant", "cat", "bee", "ant"])
    else:
        given = np.eye(3)[y]
    plain = cr.explain(network, X, given)
    assert plain.ok
    expected = network.copy(dtype="float64").loss(X, given)
    assert plain.document["loss"]["J"] == pytest.approx(expected, rel=1e-12)


def test_a_layer_that_takes_no_symbols_is_shown_without_formulas() -> None:
    network = cr.Network([cr.Dense(4), Cube(), cr.Dense(2)], input_shape=3, seed=0)
    rng = np.random.default_rng(0)
    report = cr.explain(network, rng.standard_normal((3, 3)), rng.standard_normal((3, 2)))
    assert report.ok
    cube = next(card for card in report.document["cards"] if card["class"] == "Cube")
    assert cube["forward"] == cube["backward"] == []
    assert "no formula to print" in str(cards(report, "forward")[1].blocks)


def test_a_layer_of_ones_own_is_derived() -> None:
    network = cr.Network([cr.Dense(4), Square(), cr.Dense(2)], input_shape=3, seed=0)
    rng = np.random.default_rng(0)
    report = cr.explain(network, rng.standard_normal((3, 3)), rng.standard_normal((3, 2)))
    square = next(card for card in report.document["cards"] if card["class"] == "Square")
    assert [one["part"] for one in square["forward"] + square["backward"]] == ["forward", "delta"]
    assert square["forward"][0]["worked"]


def test_batches_of_one_and_weights() -> None:
    network, X, y = dense()
    assert cr.explain(network, X[:1], y[:1]).ok
    penalty = cr.L2(0.1, per_sample=True)
    report = cr.explain(network, X, y, sample_weight=[1.0, 0.0, 2.0, 1.0], penalty=penalty)
    assert report.ok
    assert report.document["loss"]["weights"] is not None


def test_an_element_that_is_asked_for() -> None:
    network, X, y = dense()
    report = cr.explain(network, X, y, element={"dense1": 3}, sample=1)
    card = next(card for card in report.document["cards"] if card["layer"] == "dense1")
    assert [one["index"] for one in card["forward"][0]["worked"]] == [[3, 1]]


def test_long_networks_are_folded() -> None:
    layers = [layer for _ in range(30) for layer in (cr.Dense(6), cr.Tanh())]
    network = cr.Network(layers, input_shape=6, seed=0)
    rng = np.random.default_rng(0)
    report = cr.explain(network, rng.standard_normal((2, 6)), rng.standard_normal((2, 6)), check=False)
    assert len(report.document["cards"]) == 60
    assert sum("repeats" in card for card in report.document["cards"]) == 58
    chain = report.outline().sections[1].blocks[0]
    assert [node.times for node in chain.nodes] == [30, 30]  # type: ignore[attr-defined]


def test_the_document_is_json_and_gives_the_same_report(tmp_path: Path) -> None:
    network, X, y = dense()
    report = cr.explain(network, X, y)
    report.json(tmp_path / "report.json")
    again = cr.Report.from_json(tmp_path / "report.json")
    assert again.document == json.loads(json.dumps(report.document))
    assert again.html() == report.html()


def test_the_same_call_gives_the_same_document() -> None:
    network, X, y = dense()
    assert cr.explain(network, X, y).json() == cr.explain(network, X, y).json()


@pytest.mark.parametrize("notation", ["tutorial", "ufldl", "ng", "matrix", "nielsen"])
@pytest.mark.parametrize("language", ["en", "zh", "en+zh"])
def test_notations_and_languages(notation: str, language: str) -> None:
    network, X, y = dense()
    document = cr.explain(network, X, y, notation=notation, language=language, check=False).document
    for linear in (False, True):
        made = outline(document, linear=linear)
        assert (made.notation, made.language) == (notation, language)
        forward = next(section for section in made.sections if section.id == "forward").blocks[0]
        assert isinstance(forward, Card)
        printed = [render_text.render(b.box) for b in forward.blocks if isinstance(b, Formula)]
        assert any(LETTERS[notation] in line for line in printed), printed


LETTERS = {"tutorial": "x¹", "ufldl": "W¹", "ng": "a⁽¹⁾", "matrix": "A⁰", "nielsen": "w²"}  # of dense1


def test_every_text_has_both_languages() -> None:
    network, X, y = dense()
    missing: list[Say] = []

    def look(value: Any) -> None:
        if isinstance(value, Say):
            missing.extend([value] if bool(value.en.strip()) != bool(value.zh.strip()) else [])
        elif isinstance(value, tuple):
            for one in value:
                look(one)
        elif hasattr(value, "__dataclass_fields__") and not hasattr(value, "binding"):
            for one in vars(value).values():
                look(one)

    look(cr.explain(network, X, y, penalty=cr.L2(0.1)).outline().sections)
    assert not missing


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sample": 10**400}, IndexError, "0 to 3, received an integer of about 401 digits"),
        ({"sample": 4}, IndexError, "sample must be a row of X, 0 to 3, received 4"),
        ({"sample": "best"}, ValueError, "sample must be 'worst' or the number"),
        ({"language": "de"}, ValueError, "language must be 'en', 'zh' or 'en\\+zh'"),
        ({"notation": "mine"}, ValueError, "notation must be one of 'tutorial'"),
        ({"check": "all"}, ValueError, "check must be 'sampled', 'full' or False"),
        ({"budget": "much"}, ValueError, "budget must be a size such as '2MB'"),
        ({"learning_rate": 0}, ValueError, "learning_rate"),
        ({"element": {"dense7": 0}}, cr.ShapeError, "dense7.*there are input, dense1"),
        ({"element": {"dense1": 4}}, IndexError, "entry of an array of shape \\(4,\\)"),
        ({"element": 3}, TypeError, "element must be 'auto'"),
        ({"element": {"dense1": 1.5}}, IndexError, "whole numbers from 0, received 1.5"),
        ({"element": {"dense1": "a"}}, IndexError, "element\\['dense1'\\] must be an entry"),
        ({"element": {"dense1": None}}, IndexError, "whole numbers from 0, received None"),
        ({"element": {"dense1": True}}, IndexError, "whole numbers from 0, received True"),
        ({"language": ["en"]}, ValueError, "language must be 'en'"),
        ({"check": []}, ValueError, "check must be 'sampled'"),
        ({"history": 3}, TypeError, "history must be what fit returned"),
        ({"loss": cr.BinaryCrossEntropy()}, cr.PairError, "Softmax"),
        ({"penalty": 0.1}, TypeError, "penalty must be L2"),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], words: str) -> None:
    network, X, y = dense()
    with pytest.raises(error, match=words):
        cr.explain(network, X, y, **options)


def test_other_things_that_are_refused(tmp_path: Path) -> None:
    network, X, y = dense()
    with pytest.raises(TypeError, match="explain takes the network first"):
        cr.explain(X, y, network)
    with pytest.raises(cr.DataError, match=r"at most 64 samples, received 65: write explain\(net, X\[:8\]"):
        cr.explain(network, np.zeros((65, 5)), np.zeros(65, int))
    (tmp_path / "other.json").write_text('{"schema": 7}')
    with pytest.raises(cr.FileError, match="schema 1; this one has 7"):
        cr.Report.from_json(tmp_path / "other.json")
    (tmp_path / "no.json").write_text("{")
    with pytest.raises(cr.FileError, match="is no report"):
        cr.Report.from_json(tmp_path / "no.json")


def test_a_wrong_formula_is_not_called_right() -> None:
    class Wrong(cr.Tanh):
        def df(self, z: Any) -> Any:
            return 1 - super().f(z)

    network = cr.Network([cr.Dense(3), Wrong(), cr.Dense(2)], input_shape=3, seed=0)
    rng = np.random.default_rng(0)
    report = cr.explain(network, rng.standard_normal((3, 3)), rng.standard_normal((3, 2)))
    assert not report.ok
    assert "CHECK FAILED" in repr(report)


def test_the_first_layer_shows_what_goes_in_and_its_derivative() -> None:
    network = cr.Network([cr.Conv2D(2, 3), cr.Flatten(), cr.Dense(2)], input_shape=(4, 4, 1), seed=0)
    rng = np.random.default_rng(0)
    report = cr.explain(network, rng.standard_normal((2, 4, 4, 1)), rng.standard_normal((2, 2)), check=False)
    pictures = {
        card["layer"]: [(one["on"], one["quantity"]) for one in card["pictures"]]
        for card in report.document["cards"]
    }
    assert pictures["conv1"][:2] == [("forward", "input"), ("backward", "delta:input")]
    assert not [one for layer in ("flatten1", "dense1") for one in pictures[layer] if "input" in one[1]]
    embedded = cr.Network([cr.Embedding(5, 3), cr.GlobalAveragePool(), cr.Dense(2)], input_shape=4, seed=0)
    report = cr.explain(embedded, rng.integers(0, 5, (2, 4)), rng.standard_normal((2, 2)), check=False)
    assert "input" not in [one["quantity"] for one in report.document["cards"][0]["pictures"]]


@pytest.mark.parametrize(
    ("layers", "scale", "rate"),
    [
        ([cr.Dense(3), cr.Softmax()], 1e4, 0.1),  # −y/a is infinite where a has become 0
        ([cr.Dense(3), cr.ReLU(), cr.Dense(3)], 1.0, 1e300),  # J after the step is infinite
        ([cr.Dense(3), cr.Softmax()], 1e160, 0.1),  # squares of gradients are
        ([cr.Dense(3), cr.Softmax()], 0.0, 0.1),
    ],
)
def test_infinite_numbers_reach_every_form(layers: Any, scale: float, rate: float, tmp_path: Path) -> None:
    network = cr.Network(layers, input_shape=4, seed=0, dtype="float64")
    X = scale * np.random.default_rng(0).standard_normal((4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = cr.explain(network, X, np.eye(3)[[0, 1, 2, 0]], learning_rate=rate)
    report.json(tmp_path / "report.json")
    again = cr.Report.from_json(tmp_path / "report.json")
    assert again.html() == report.html()
    assert str(again) == str(report)
    assert again.latex() == report.latex()


def test_what_overflows_is_refused_by_its_name() -> None:
    network = cr.Network([cr.Dense(3), cr.Dense(2)], input_shape=4, seed=0, dtype="float64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(cr.NonFiniteError, match=r"J is infinite or NaN.*diagnose\(net, X, y\)"):
            cr.explain(network, np.full((2, 4), 1e200), np.ones((2, 2)))


@pytest.mark.parametrize("penalty", [cr.L1(0.1), cr.L2(0.1, per_sample=True)])
@pytest.mark.parametrize("layer", [cr.Tanh, cr.Flatten, cr.LayerNorm])
def test_a_network_without_weights(layer: Any, penalty: Any) -> None:
    network = cr.Network([layer()], input_shape=3)
    X = np.random.default_rng(0).standard_normal((4, 3))
    report = cr.explain(network, X, X[::-1], penalty=penalty)
    assert report.ok
    assert report.html()
    assert report.latex()
    assert str(report)


def test_labels_that_are_objects() -> None:
    network, X, _ = dense()
    y = np.array(["猫", "<b>", "a|b", "猫"], object)
    report = cr.explain(network, X, y, sample=1, check=False)
    assert report.document["meta"]["label"] == "<b>"


def test_a_document_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    network, X, y = dense()
    document = cr.explain(network, X, y, check=False).document
    path = tmp_path / "report.json"

    def refused(text: str) -> None:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(cr.FileError, match=r"report\.json: is no report"):
            cr.Report.from_json(path)

    whole = json.dumps(document)
    refused(whole[: len(whole) // 2])
    refused(whole.replace('"J": ', '"J": NaN, "was": ', 1))
    refused("[" * 100_000)
    for part in document:
        refused(json.dumps({name: value for name, value in document.items() if name != part}))
        if part not in ("penalty", "schema"):
            refused(json.dumps({**document, part: 5}))
    with pytest.raises(cr.FileError, match=r"none\.json: no such file"):
        cr.Report.from_json(tmp_path / "none.json")


@pytest.mark.parametrize("form", ["html", "markdown", "latex", "json", "worksheet"])
def test_a_file_is_written_as_a_whole_or_not_at_all(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, X, y = dense()
    write = getattr(cr.explain(network, X, y, check=False), form)
    with pytest.raises(cr.FileError, match=r"there is no folder .*none: make it first"):
        write(tmp_path / "none" / "report.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(cr.FileError, match=r"folder\.html: cannot be written \(this is a folder"):
        write(tmp_path / "folder.html")
    path = tmp_path / "report.html"
    path.write_text("what was there", encoding="utf-8")

    def interrupted(descriptor: int) -> None:  # behind the writing, before the file takes its place
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert path.read_text(encoding="utf-8") == "what was there"
    assert {one.name for one in tmp_path.iterdir()} <= {"folder.html", "report.html", "report_files"}


def test_what_cannot_be_checked_is_not_called_wrong() -> None:
    """Behind the margin of a hinge J is 0, and so is every derivative."""
    network = cr.Network([cr.Dense(1)], input_shape=1, seed=0, dtype="float64")
    network.parameters["dense1.W"][...] = 5.0
    report = cr.explain(network, np.array([[1.0], [-1.0]]), np.array([1.0, -1.0]), loss=cr.Hinge())
    assert report.document["loss"]["J"] == 0
    assert report.ok
    assert "every derivative compared is 0" in report.document["check"]["reason"]
    assert "WRONG" not in str(report)
    assert report.html()


def test_a_loss_that_takes_no_symbols_is_refused_by_its_name() -> None:
    class Cosh(cr.Loss):
        def value(self, a: Any, y: Any) -> Any:
            return np.sum(np.cosh(np.asarray(a) - y), axis=0)

        def gradient(self, a: Any, y: Any) -> Any:
            return np.sinh(np.asarray(a) - y)

    network = cr.Network([cr.Dense(2)], input_shape=3, seed=0)
    with pytest.raises(TypeError, match="loss: explain prints its formulas, and those of Cosh"):
        cr.explain(network, np.ones((2, 3)), np.ones((2, 2)), loss=Cosh())


def test_the_check_takes_fewer_samples_of_a_large_network_and_says_so() -> None:
    X = np.random.default_rng(0).standard_normal((3, 40, 40, 1))
    layers = [cr.Conv2D(8, 3), cr.ReLU(), cr.GlobalAveragePool(), cr.Dense(2), cr.Softmax()]
    large = cr.explain(cr.Network(layers, input_shape=(40, 40, 1), seed=0), X, [0, 1, 0])
    assert large.document["check"]["samples"] == 3
    layers[0] = cr.Conv2D(24, 3)
    large = cr.explain(cr.Network(layers, input_shape=(40, 40, 1), seed=0), X, [0, 1, 0])
    assert large.document["check"]["samples"] == 2
    assert large.ok
    assert "Every gradient of the batch's first 2 samples beside" in " ".join(str(large).split())


@pytest.mark.parametrize("check", [False, "sampled"])
def test_a_gradient_that_cancels_is_no_disagreement_of_the_kernels(check: bool | str) -> None:
    """A bias below a batch normalisation has no gradient; what rounding leaves of it has no relative size."""
    network = cr.Network([cr.Dense(3), cr.BatchNorm(), cr.Dense(2)], input_shape=4)
    X = np.random.default_rng(0).standard_normal((6, 4))
    report = cr.explain(network, X, np.zeros((6, 2)), check=check)
    assert report.ok
    assert ("check passed" if check else "check not made") in repr(report)
    report.document["kernels"]["layers"]["dense1"] = "0.5"
    assert not report.ok
    assert "KERNELS AND FORMULAS DIFFER" in repr(report)
    assert "FAILED" not in repr(report)


def test_a_remark_on_what_is_right_is_printed_in_both_languages() -> None:
    network, X, y = dense()
    report = cr.explain(network, X, y)
    document = copy.deepcopy(report.document)
    assert "rows" in document["check"]
    document["check"]["rows"][0]["reason"] = "rounding hides 4 of the derivatives tried"
    changed = "".join(str(cr.Report(document)).split())  # wherever lines break
    assert "ok(roundinghides4ofthederivativestried)" in changed
    assert "通过（试过的导数中有4个被舍入掩盖）" in changed


@pytest.mark.parametrize("document", [{"schema": 1}, {"schema": 1, "meta": []}, {"schema": 1, "meta": {}}])
def test_a_document_without_its_parts_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a report's document has '"):
        cr.Report(document)


def test_samples_without_weight_are_not_those_that_are_checked() -> None:
    rng = np.random.default_rng(0)
    network = cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3)
    weights = np.repeat([0.0, 1.0], 10)
    X, y = rng.standard_normal((20, 3)), rng.integers(2, size=20)
    report = cr.explain(network, X, y, sample_weight=weights)
    assert report.document["check"]["ok"]


def test_a_penalty_of_ones_own_may_call_its_arguments_otherwise() -> None:
    class Quartic(Penalty):
        def value(self, W: Any, m: Any) -> Any:
            return sum_entries(W * W * W * W) / m

        def gradient(self, W: Any, m: Any) -> Any:
            return 4 * W * W * W / m

    network, X, y = dense()
    assert cr.explain(network, X, y, penalty=Quartic(), check=False).ok
