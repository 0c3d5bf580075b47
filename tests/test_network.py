"""Network: structure and its errors, parameters, starts, passes through an executor, display."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from chainrule import network as network_module
from chainrule.errors import ChainruleError, DataError, PairError, ShapeError
from chainrule.initializers import Constant, Glorot, He, Normal
from chainrule.layers import (
    GELU,
    AveragePool2D,
    Conv2D,
    Dense,
    Flatten,
    Identity,
    Layer,
    MaxPool2D,
    Parameter,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from chainrule.network import Network
from chainrule.penalties import L2
from chainrule.reference import ReferenceExecutor
from chainrule.step import Step


def lenet(**options) -> Network:
    layers = [
        Conv2D(4, 3),
        ReLU(),
        MaxPool2D(2),
        Conv2D(6, 2),
        ReLU(),
        Flatten(),
        Dense(10),
        Tanh(),
        Dense(3),
        Softmax(),
    ]
    return Network(layers, input_shape=(10, 8, 2), **options)


@pytest.fixture
def by_formulas():
    """Networks made in the test compute by the formulas."""
    before = list(network_module._default)
    network_module.set_executor(ReferenceExecutor())
    yield
    network_module._default[:] = before


# -- structure
def test_names_shapes_and_counts() -> None:
    net = lenet()
    names = [
        "conv1",
        "relu1",
        "maxpool1",
        "conv2",
        "relu2",
        "flatten1",
        "dense1",
        "tanh1",
        "dense2",
        "softmax1",
    ]
    assert [layer.name for layer in net.layers] == names
    assert net.shapes["input"] == net.input_shape == (10, 8, 2)
    assert net.shapes["conv1"] == (8, 6, 4)
    assert net.shapes["maxpool1"] == (4, 3, 4)
    assert net.shapes["flatten1"] == (36,)
    assert net.output_shape == (3,)
    assert list(net.parameters) == [
        f"{layer}.{own}" for layer in ("conv1", "conv2", "dense1", "dense2") for own in "Wb"
    ]
    assert net.parameters["conv1.W"].shape == (4, 3, 3, 2)
    assert net.count_parameters() == 4 * 19 + 6 * 17 + 10 * 37 + 3 * 11


def test_given_names_are_kept_and_avoided() -> None:
    net = Network([Dense(2, name="dense2"), Dense(2), Dense(2), Dense(2, name="head")], input_shape=2)
    assert [layer.name for layer in net.layers] == ["dense2", "dense1", "dense3", "head"]


def test_an_integer_is_a_vector_shape() -> None:
    assert Network([Dense(1)], input_shape=np.int64(7)).input_shape == (7,)
    assert Network([Dense(1)], input_shape=[7]).input_shape == (7,)


def test_one_layer_object_in_two_places_shares_nothing() -> None:
    shared, activation = Dense(3), ReLU()
    net = Network([shared, activation, shared, activation], input_shape=3)
    other = Network([shared], input_shape=5)
    assert [layer.name for layer in net.layers] == ["dense1", "relu1", "dense2", "relu2"]
    assert shared.name is None
    assert not np.array_equal(net.parameters["dense1.W"], net.parameters["dense2.W"])
    assert other.parameters["dense1.W"].shape == (3, 5)


@pytest.mark.parametrize(
    ("layers", "error", "words"),
    [
        ([], ShapeError, "layers is empty"),
        ([ReLU], TypeError, r"layers\[0\] is the class ReLU: write ReLU\(\.\.\.\), with parentheses"),
        ([Dense(2), [ReLU()]], TypeError, r"layers\[1\] is a list: write one flat list"),
        (
            [Dense(2), "relu"],
            TypeError,
            r"layers\[1\] must be a layer such as Dense\(10\) or ReLU\(\), received 'relu'",
        ),
        (Dense(2), TypeError, r"layers must be a list"),
        ("dense", TypeError, r"layers must be a list"),
        (None, TypeError, r"layers must be a list"),
        ([Dense(2, name="a"), Dense(2, name="a")], ShapeError, "two layers are named 'a'"),
        ([Dense(2, name="a.b")], ShapeError, "the name of a layer must be a letter"),
        ([Dense(2, name="input")], ShapeError, "not 'input'"),
        ([Conv2D(2, 3)], ShapeError, r"layer 1 of 1, conv1 = Conv2D\(2, 3\): Conv2D needs an image"),
    ],
)
def test_wrong_layers(layers, error, words) -> None:
    with pytest.raises(error, match=words):
        Network(layers, input_shape=4)


def test_a_shape_error_names_the_layer_the_way_and_the_cure() -> None:
    with pytest.raises(ShapeError) as caught:
        Network([Conv2D(4, 3), ReLU(), Dense(10)], input_shape=(8, 8, 1))
    message = str(caught.value)
    assert "layer 3 of 3, dense1 = Dense(10)" in message
    assert "put Flatten() before it" in message
    assert "conv1 (6, 6, 4) → relu1 (6, 6, 4)" in message


@pytest.mark.parametrize("shape", [0, -1, (), (2, 0), "8", None, 2.5, (2.0, 3), True])
def test_wrong_input_shape(shape) -> None:
    with pytest.raises(ShapeError, match="input_shape must be the shape of one sample"):
        Network([Flatten()], input_shape=shape)


@pytest.mark.parametrize("dtype", ["float16", int, "double64", object()])
def test_wrong_dtype(dtype) -> None:
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
        Network([Dense(1)], input_shape=1, dtype=dtype)


class BadShape(Layer):
    def output_shape(self, input_shape):
        return [3]


class BadParameter(Layer):
    def parameters(self, input_shape):
        return {"x": Parameter((2,))}


class Unpacking(Layer):
    def output_shape(self, input_shape):
        height, _ = input_shape
        return (height,)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (BadShape(), r"badshape1 .*output_shape must return a tuple of positive integers, it returned \[3\]"),
        (BadParameter(), "names other than x, z, a, d"),
        (Unpacking(), r"unpacking1 .*not enough values to unpack"),
    ],
)
def test_layers_of_ones_own_are_checked(layer, words) -> None:
    with pytest.raises(ShapeError, match=words):
        Network([layer], input_shape=2)


# -- where it starts
def test_the_start_depends_on_the_seed_alone() -> None:
    a, b, c = lenet(seed=5), lenet(seed=5, dtype="float64"), lenet(seed=6)
    for name, array in a.parameters.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, b.parameters[name].astype(np.float32))
        if name.endswith("W"):
            assert not np.array_equal(array, c.parameters[name])


def test_every_parameter_has_its_own_stream() -> None:
    a = Network([Dense(4), ReLU(), Dense(3)], input_shape=2)
    b = Network([Dense(400), ReLU(), Dense(3)], input_shape=2)
    narrow = Network([Dense(4), ReLU(), Dense(3), Tanh(), Dense(9)], input_shape=2)
    assert np.array_equal(a.parameters["dense2.W"], narrow.parameters["dense2.W"])
    assert b.parameters["dense2.W"].shape == (3, 400)


def test_the_start_is_pinned() -> None:
    """A seed is a promise: these numbers must not change between versions."""
    net = Network([Dense(2), Sigmoid()], input_shape=2, dtype="float64", seed=0)
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, spawn_key=(0,))))
    assert np.array_equal(net.parameters["dense1.W"], stream.uniform(-np.sqrt(1.5), np.sqrt(1.5), (2, 2)))
    assert net.parameters["dense1.b"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("between", "std"),
    [
        ([ReLU()], np.sqrt(2 / 400)),
        ([MaxPool2D(2), ReLU()], np.sqrt(2 / 400)),
        ([GELU()], np.sqrt(2 / 400)),
        ([AveragePool2D(2), Flatten(), Softplus()], np.sqrt(2 / 400)),
        ([Tanh()], np.sqrt(2 / (400 + 2500))),
        ([Conv2D(2, 1), ReLU()], np.sqrt(2 / (400 + 2500))),
        ([Flatten(), Softmax()], np.sqrt(2 / (400 + 2500))),
        ([], np.sqrt(2 / (400 + 2500))),
    ],
)
def test_the_start_suits_the_activation_that_follows(between, std) -> None:
    net = Network([Conv2D(100, 5), *between], input_shape=(8, 8, 16), dtype="float64")
    weights = net.parameters["conv1.W"]
    assert weights.std() == pytest.approx(std, rel=0.02)  # 40 000 numbers: relative error of std 0.0035
    assert abs(weights.mean()) < 4 * std / np.sqrt(weights.size)


def test_a_given_initializer_wins() -> None:
    net = Network(
        [Dense(50, initializer=Normal(3.0), bias_initializer=Constant(0.5)), ReLU()], input_shape=400
    )
    assert net.parameters["dense1.W"].std() == pytest.approx(3, rel=0.05)
    assert (net.parameters["dense1.b"] == 0.5).all()
    assert isinstance(net.parameter_specs["dense1.W"].initializer, Normal)
    assert {He(), Glorot()}.isdisjoint({net.parameter_specs["dense1.W"].initializer})


def test_reinitialise() -> None:
    net, fresh = lenet(seed=1), lenet(seed=2)
    assert net.reinitialise(2) is net
    assert all(np.array_equal(net.parameters[name], fresh.parameters[name]) for name in net.parameters)
    net.parameters["dense1.b"] = np.ones(10)
    net.reinitialise()
    assert net.seed == 2
    assert (net.parameters["dense1.b"] == 0).all()
    with pytest.raises(ValueError, match="seed must be an integer of at least 0, received -1"):
        net.reinitialise(-1)


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


def test_loss_must_be_an_object() -> None:
    net = Network([Dense(2), Softmax()], input_shape=2)
    for wrong in ("cross_entropy", CrossEntropy):
        with pytest.raises(TypeError, match=r"loss must be a loss object such as CrossEntropy\(\)"):
            net.loss(np.ones((1, 2)), [0], loss=wrong)


def test_a_network_may_have_its_own_executor() -> None:
    class Zeros:
        def predict(self, network, X):
            return np.zeros((len(X), *network.output_shape), network.dtype)

    net = Network([Dense(2)], input_shape=2)
    net.set_executor(Zeros())
    assert (net.predict(np.ones((3, 2))) == 0).all()
    assert isinstance(net.copy().executor(), Zeros)
    net.set_executor(None)
    assert net.executor() is network_module.executor()


# -- display
def test_summary_is_an_aligned_table() -> None:
    lines = lenet(name="small").summary().splitlines()
    assert lines[0] == "small"
    assert lines[1].split() == ["layer", "formulas", "output", "shape", "parameters"]
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


def test_every_error_is_one_of_ours() -> None:
    for error in (ShapeError, DataError, PairError):
        assert issubclass(error, ChainruleError)
        assert issubclass(error, ValueError)


def test_squared_error_is_the_default_for_numbers() -> None:
    net = Network([Dense(2)], input_shape=2, dtype="float64")
    X, y = np.ones((2, 2)), np.zeros((2, 2))
    assert net.loss(X, y) == net.loss(X, y, loss=SquaredError())
