"""Network: parameters, passes through an executor, display."""

from __future__ import annotations

import copy
import functools
import pickle

import numpy as np
import pytest

from chainrule.base.errors import ChainruleError, DataError, PairError, ShapeError
from chainrule.checking import check_gradients
from chainrule.layers import (
    Dense,
    Identity,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
)
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from chainrule.losses.penalties import L2
from chainrule.networks.executor import executor, set_executor
from chainrule.networks.network import Network
from chainrule.networks.step import Step
from chainrule.reference import ReferenceExecutor
from tests.networks import lenet


@pytest.fixture
def by_formulas():
    """Networks made in the test compute by the formulas."""
    before = executor()
    set_executor(ReferenceExecutor())
    yield
    set_executor(before)


# -- parameters
def test_assignment_copies_and_converts() -> None:
    net = lenet()
    mine = np.arange(30).reshape(3, 10)
    net.parameters["dense2.W"] = mine
    mine[:] = 0
    assert net.parameters["dense2.W"].dtype == np.float32
    assert net.parameters["dense2.W"][2, 9] == 29
    net.parameters["dense2.W"][0, 0] = 7
    assert net.parameters["dense2.W"][0, 0] == 7


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        (
            "dense2.W",
            np.ones((10, 3)),
            ShapeError,
            r"dense2\.W has the shape \(3, 10\).*it looks transposed: write array\.T",
        ),
        ("dense2.W", np.ones(30), ShapeError, r"write array\.reshape\(3, 10\)"),
        ("dense2.W", np.ones((3, 9)), ShapeError, r"received \(3, 9\)"),
        ("dense2.b", [1, np.nan, 2], DataError, r"entry \(1,\) is nan, which is not finite"),
        ("dense2.b", [1, 2, 1e60], DataError, r"entry \(2,\) is 1e\+60, which does not fit into float32"),
        ("dense2.b", ["a", "b", "c"], DataError, "must hold real numbers"),
        ("dense2.b", [1j, 2, 3], DataError, "must hold real numbers"),
        ("dense2.w", np.ones((3, 10)), ShapeError, r"no parameter 'dense2\.w'; did you mean 'dense2\.W'"),
        ("other", 1, ShapeError, r"no parameter 'other'; there are conv1\.W"),
    ],
)
def test_wrong_assignment_changes_nothing(name, value, error, words) -> None:
    net = lenet()
    before = {key: array.copy() for key, array in net.parameters.items()}
    with pytest.raises(error, match=words):
        net.set_parameters({"conv1.b": np.ones(4), name: value})
    assert all(np.array_equal(net.parameters[key], before[key]) for key in before)


def test_names_cannot_be_removed_and_unknown_ones_explain_themselves() -> None:
    net = lenet()
    with pytest.raises(AttributeError):
        del net.parameters["conv1.W"]
    with pytest.raises(KeyError, match="did you mean"):
        net.parameters["conv1.w"]
    assert "conv1.W" in net.parameters
    assert net.parameters.get("nothing") is None
    assert len(net.parameters) == 8
    assert "conv1.W" in repr(net.parameters)


def test_copy_is_independent() -> None:
    net = lenet(seed=4)
    net.classes = ["a", "b", "c"]
    twin = net.copy()
    wide = net.copy(dtype="float64")
    net.parameters["dense1.b"][:] = 9
    net.classes[0] = "z"
    assert (twin.parameters["dense1.b"] == 0).all()
    assert twin.classes.tolist() == ["a", "b", "c"]
    assert wide.dtype == np.float64
    assert wide.parameters["dense2.W"].dtype == np.float64
    assert np.array_equal(wide.parameters["dense2.W"].astype(np.float32), net.parameters["dense2.W"])
    assert [layer.name for layer in twin.layers] == [layer.name for layer in net.layers]


def test_pickle_and_deepcopy_keep_the_numbers() -> None:
    net = lenet()
    net.set_executor(ReferenceExecutor())
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert np.array_equal(other.parameters["conv1.W"], net.parameters["conv1.W"])
        assert other._executor is None


def test_from_parameters_needs_all() -> None:
    with pytest.raises(ShapeError, match=r"the parameter 'dense1\.b' is missing"):
        Network.from_parameters([Dense(1)], {"dense1.W": [[1.0]]}, input_shape=1)


# -- passes
def data(n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 10, 8, 2)), rng.integers(0, 3, n)


@pytest.mark.usefixtures("by_formulas")
def test_predict_classify_loss_accuracy_agree() -> None:
    net = lenet(dtype="float64")
    X, y = data(600)  # more than one part of `predict` and of `loss`
    a = net.predict(X)
    assert a.shape == (600, 3)
    assert np.array_equal(net.classify(X), a.argmax(axis=1))
    assert net.accuracy(X, y) == np.mean(a.argmax(axis=1) == y)
    assert net.accuracy(X, np.eye(3)[y]) == net.accuracy(X, y)
    assert net.loss(X, y) == pytest.approx(-np.log(a[np.arange(600), y]).mean(), rel=1e-13)
    weights = np.random.default_rng(1).random(600)
    step = net.backpropagate(X, y, penalty=L2(0.1, per_sample=True), sample_weight=weights)
    whole = net.loss(X, y, penalty=L2(0.1, per_sample=True), sample_weight=weights)
    assert whole == pytest.approx(step.loss, rel=1e-13)
    right = np.average(a.argmax(axis=1) == y, weights=weights)
    assert net.accuracy(X, y, sample_weight=weights) == pytest.approx(right)


@pytest.mark.usefixtures("by_formulas")
def test_predictions_have_the_dtype_of_the_network() -> None:
    X, _ = data()
    assert lenet().predict(X).dtype == np.float32
    assert lenet(dtype="float64").predict(X.astype(np.float32)).dtype == np.float64


@pytest.mark.usefixtures("by_formulas")
def test_classes_name_the_outputs() -> None:
    net = lenet()
    X, y = data()
    names = np.array(["cat", "dog", "eel"])
    plain = net.classify(X)
    net.classes = names
    assert net.classify(X).tolist() == names[plain].tolist()
    assert net.accuracy(X, names[plain]) == 1
    assert net.backpropagate(X, names[y]).loss == pytest.approx(lenet().backpropagate(X, y).loss)
    net.classes = ["cat", "dog"]  # fewer labels than outputs: the others are never named
    assert set(net.classify(X)) <= {"cat", "dog"}


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        (["a", "b", "c", "d"], DataError),
        (["a", "a", "b"], DataError),
        ([[1, 2, 3]], ShapeError),
        ([0.5, 1, 2], DataError),
    ],
)
def test_wrong_classes(labels, error) -> None:
    net = lenet()
    with pytest.raises(error, match="classes"):
        net.classes = labels


@pytest.mark.usefixtures("by_formulas")
def test_one_sigmoid_output() -> None:
    net = Network([Dense(1), Sigmoid()], input_shape=2, dtype="float64")
    net.set_parameters({"dense1.W": [[1.0, 0.0]]})
    X = np.array([[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    assert net.classify(X).tolist() == [1, 0, 0]  # a = ½ is a tie: the first
    assert net.accuracy(X, [1, 0, 1]) == pytest.approx(2 / 3)
    net.classes = ["no", "yes"]
    assert net.classify(X).tolist() == ["yes", "no", "no"]
    assert net.accuracy(X, ["yes", "no", "no"]) == 1


@pytest.mark.usefixtures("by_formulas")
def test_a_network_of_one_number_has_no_classes() -> None:
    net = Network([Dense(1)], input_shape=2)
    with pytest.raises(DataError, match="use predict"):
        net.classify(np.ones((1, 2)))


@pytest.mark.parametrize(
    ("last", "loss"),
    [(Sigmoid(), CrossEntropy()), (Softmax(), BinaryCrossEntropy()), (Identity(), CrossEntropy())],
)
def test_wrong_pairs_are_refused(last, loss) -> None:
    net = Network([Dense(2), last], input_shape=2)
    with pytest.raises(PairError):
        net.backpropagate(np.ones((1, 2)), [0], loss=loss)
    with pytest.raises(PairError):
        net.loss(np.ones((1, 2)), [0], loss=loss)


def test_a_loss_is_an_object_or_a_name() -> None:
    net = Network([Dense(2), Softmax()], input_shape=2)
    X, y = np.ones((1, 2)), [0]
    assert net.loss(X, y, loss="cross_entropy") == net.loss(X, y, loss=CrossEntropy())
    assert net.backpropagate(X, y, loss="cross_entropy").loss == net.backpropagate(X, y).loss
    with pytest.raises(TypeError, match=r"object such as CrossEntropy\(\).*received the class CrossEntropy"):
        net.loss(X, y, loss=CrossEntropy)
    with pytest.raises(ValueError, match="loss 'focal' is unknown: write one of 'cross_entropy'"):
        net.backpropagate(X, y, loss="focal")
    with pytest.raises(ValueError, match="loss 'nll' is unknown: write 'negative_log_likelihood'"):
        net.backpropagate(X, y, loss="nll")


def test_a_network_may_have_its_own_executor() -> None:
    class Zeros:
        def predict(self, network, X):
            return np.zeros((len(X), *network.output_shape), network.dtype)

    net = Network([Dense(2)], input_shape=2)
    net.set_executor(Zeros())
    assert (net.predict(np.ones((3, 2))) == 0).all()
    assert isinstance(net.copy().executor(), Zeros)
    net.set_executor(None)
    assert net.executor() is executor()


# -- display
def test_summary_is_an_aligned_table() -> None:
    lines = lenet(name="small").summary().splitlines()
    assert lines[0] == "small"
    assert lines[1].split() == ["name", "layer", "output", "shape", "parameters"]
    assert lines[4].startswith("conv1     Conv2D(4, 3)")
    assert lines[4].endswith(" 76")
    assert lines[-1].split() == ["total", "float32", "581"]
    assert len({len(line) for line in lines if line.endswith(("76", "102", "370", "33", "581"))}) == 1


def test_repr_and_notebook() -> None:
    net = Network([Dense(3, bias=False), ReLU()], input_shape=2, name="a<b")
    assert (
        repr(net) == "Network([Dense(3, bias=False), ReLU()], input_shape=(2,), dtype='float32', name='a<b')"
    )
    bundle = net._repr_mimebundle_()
    assert bundle["text/plain"] == net.summary()
    assert "<td" in bundle["text/html"]
    assert "a&lt;b" in bundle["text/html"]


def test_formulas_of_every_layer_by_name() -> None:
    net = lenet()
    formulas = net.formulas()
    assert list(formulas) == [layer.name for layer in net.layers]
    assert repr(formulas["dense1"]).splitlines()[0] == "zˡ = Wˡ xˡ⁻¹ + b̂ˡ"
    lines = repr(formulas).splitlines()
    assert "dense1" in lines
    assert lines[lines.index("dense1") + 1] == "    zˡ = Wˡ xˡ⁻¹ + b̂ˡ"
    assert "<h4>dense1</h4><div><math" in formulas._repr_html_()


@pytest.mark.usefixtures("by_formulas")
def test_step_prints_norms_by_layer() -> None:
    net = lenet(dtype="float64")
    X, y = data()
    step = net.backpropagate(X, y, penalty=L2(0.01))
    assert isinstance(step, Step)
    lines = repr(step).splitlines()
    assert lines[0].startswith(f"Step: loss {step.loss:.6g} (data {step.data_loss:.6g} + penalty ")
    assert len(lines) == 3 + 11
    conv = next(line for line in lines if line.startswith("conv1 "))
    assert f"{np.linalg.norm(step.deltas['conv1']):.4g}" in conv
    assert f"W {np.linalg.norm(step.gradients['conv1.W']):.4g}" in conv
    assert lines[-1].rstrip().endswith("in the loss")
    assert "<table>" in step._repr_html_()
    assert np.array_equal(step.output, step.activations["softmax1"])


@pytest.mark.usefixtures("by_formulas")
def test_the_arrays_of_a_step_print_and_answer_wrong_names() -> None:
    net = Network([Dense(2, name="first"), Softmax()], input_shape=2)
    step = net.backpropagate(np.ones((1, 2)), [0])
    lines = repr(step.gradients).splitlines()
    assert lines[0].split() == ["name", "shape", "‖·‖"]
    assert lines[2].startswith("first.W  (2, 2) ")
    assert "<table>" in step.deltas._repr_html_()
    with pytest.raises(KeyError, match=r"no array 'frist.W'; did you mean 'first.W'\?"):
        step.gradients["frist.W"]
    with pytest.raises(TypeError):
        step.gradients["first.W"] = np.zeros((2, 2))
    assert "first.b" in dict(step.gradients)
    assert repr(net.summary()) == str(net.summary())


def test_every_error_is_one_of_ours() -> None:
    for error in (ShapeError, DataError, PairError):
        assert issubclass(error, ChainruleError)
        assert issubclass(error, ValueError)


def test_squared_error_is_the_default_for_numbers() -> None:
    net = Network([Dense(2)], input_shape=2, dtype="float64")
    X, y = np.ones((2, 2)), np.zeros((2, 2))
    assert net.loss(X, y) == net.loss(X, y, loss=SquaredError())


@pytest.mark.usefixtures("by_formulas")
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"penalty": 0.1}, TypeError, r"penalty must be L2\(1e-4\), .* received 0.1"),
        ({"training_size": 0}, ValueError, "training_size must be the number of samples .* received 0"),
        ({"training_size": -5}, ValueError, "at least 1, or None, received -5"),
        ({"training_size": "all"}, ValueError, "received 'all'"),
        ({"training_size": True}, ValueError, "received True"),
    ],
)
def test_wrong_penalties_and_training_sizes(options, error, words) -> None:
    net, (X, y) = lenet(), data()
    for call in (net.backpropagate, net.loss, functools.partial(check_gradients, net)):
        with pytest.raises(error, match=words):
            call(X, y, **{"penalty": L2(0.1, per_sample=True), **options})


def test_a_network_trained_by_hinge_classifies_by_the_sign() -> None:
    import chainrule as cr

    X = np.array([[-2.0], [-1.0], [1.0], [3.0]], dtype=np.float32)
    for labels in (np.array([-1, -1, 1, 1]), np.array(["cold", "cold", "warm", "warm"])):
        net = Network([Dense(1)], input_shape=1, seed=1)
        history = cr.fit(net, X, labels, loss="hinge", optimizer=cr.SGD(0.1), epochs=100, progress=False)
        assert net.classify(X).tolist() == labels.tolist()
        assert net.accuracy(X, labels) == history.accuracy[-1] == 1


def test_parameters_of_a_layer_and_of_what_is_in_a_block() -> None:
    block = Residual([Dense(3), Sequential([Dense(3)])])
    network = Network([Dense(3), block], input_shape=3, seed=0)
    assert list(network.layer_parameters("dense1")) == ["W", "b"]
    assert list(network.layer_parameters(network.layers[1]))[:2] == ["dense1.W", "dense1.b"]
    assert len(network.layer_parameters("residual1")) == 4
    assert network.layer_parameters("relu9") == {}
    assert network.layer_parameters("dense1")["W"] is network.parameters["dense1.W"]
