"""`NetworkClassifier` and `NetworkRegressor` compute what `Network` and `fit` compute, and what they add."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.estimators import (
    MLPClassifier,
    MLPRegressor,
    NetworkClassifier,
    NetworkRegressor,
    TabularClassifier,
    TabularRegressor,
)
from chainrule.estimators.hidden import ACTIVATIONS, hidden_layers

rng = np.random.default_rng(3)
X = rng.normal(size=(150, 6))
TWO = np.where(X[:, 0] > 0, "yes", "no")
THREE = np.argmax(X[:, :3], axis=1)
LABELS: dict[str, Any] = {
    "two": X[:, 0] > 0,
    "words": np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)],
    "three": THREE,
    "words of three": np.array(["b", "c", "a"], dtype=object)[THREE],
    "floats": np.array([-1.0, 2.0, 7.0])[THREE],
    "several labels": (X[:, :3] > 0).astype(int),
}
NUMBERS: dict[str, Any] = {"one": X[:, 0] * X[:, 1], "two": np.stack([X[:, 0], X[:, 1] * X[:, 2]], axis=1)}


class Cubic(cr.Loss):
    """A loss of one's own: Σ|a - y|³ / 3."""

    def value(self, a: Any, y: Any) -> Any:
        return cr.formulas.sum_outputs(abs(a - y) ** 3) / 3

    def gradient(self, a: Any, y: Any) -> Any:
        return (a - y) * abs(a - y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_it_is_the_network_of_the_library_bit_for_bit(dtype: str, dropout: float) -> None:
    rows = X.astype(dtype)
    options: dict[str, Any] = {"epochs": 3, "penalty": cr.L2(1e-3), "validation": 0.2}
    model = NetworkClassifier(
        hidden_layers=(8, 5), activation=["relu", "tanh"], dropout=dropout, penalty=cr.L2(1e-3), epochs=3,
        batch_size=16, validation_fraction=0.2, solver=cr.SGD(0.1, momentum=0.9), random_state=11,
    ).fit(rows, THREE)  # fmt: skip
    drop = [cr.Dropout(dropout)] if dropout else []
    layers = [cr.Dense(8), cr.ReLU(), *drop, cr.Dense(5), cr.Tanh(), *drop, cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=6, seed=11, dtype=dtype)
    optimizer = cr.SGD(0.1, momentum=0.9)
    history = cr.fit(
        network, rows, THREE, batch_size=16, optimizer=optimizer, seed=11, progress=False, **options
    )
    assert np.array_equal(model.network_.flat_parameters(), network.flat_parameters())
    assert model.loss_curve_ == history.loss
    assert model.validation_loss_curve_ == history.validation_loss
    assert model.predict_proba(rows).dtype == dtype


@pytest.mark.filterwarnings("ignore:precision='bfloat16':UserWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_precision_is_that_of_the_network(dtype: str) -> None:
    options: dict[str, Any] = {"hidden_layers": (8,), "epochs": 3, "batch_size": 16, "random_state": 1}
    model = NetworkClassifier(precision="bfloat16", **options).fit(X.astype(dtype), THREE)
    exact = NetworkClassifier(precision="float32", **options).fit(X.astype(dtype), THREE)
    layers = [cr.Dense(8), cr.ReLU(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=6, seed=1, precision="bfloat16")
    cr.fit(network, X, THREE, batch_size=16, optimizer="adam", seed=1, epochs=3, progress=False)
    assert np.array_equal(model.network_.flat_parameters(), network.flat_parameters())
    assert model.network_.dtype == exact.network_.dtype == np.float32
    assert not np.array_equal(exact.network_.flat_parameters(), network.flat_parameters())
    with pytest.raises(ValueError, match="precision must be"):
        NetworkRegressor(precision="float16").fit(X, X[:, 0])


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("loss", [None, "binary_cross_entropy", "hinge", "squared_error", Cubic()])
def test_labels_of_every_kind_come_back(labels: str, loss: Any) -> None:
    y = LABELS[labels]
    options: dict[str, Any] = {"loss": loss, "epochs": 60, "learning_rate": 0.02, "random_state": 0}
    model = NetworkClassifier(hidden_layers=16, **options).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == y.shape
    assert model.score(X, y) > 0.7
    if y.ndim == 1:
        assert set(predicted) <= set(y)
        assert np.array_equal(model.classes_, np.unique(y))
    if loss in (None, "binary_cross_entropy"):
        probabilities = model.predict_proba(X)
        assert not hasattr(model, "decision_function")
        if y.ndim == 1:
            assert probabilities.shape == (150, len(model.classes_))
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-9)
            assert np.array_equal(model.classes_[probabilities.argmax(axis=1)], predicted)
    else:
        assert not hasattr(model, "predict_proba")
        decisions = model.decision_function(X)
        assert decisions.shape == (X.shape[0],) if len(np.unique(y)) == 2 and y.ndim == 1 else (150, 3)
    if y.ndim == 1 and labels != "floats":
        assert np.array_equal(model.network_.classify(X), predicted)


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop", "adamw", "lbfgs", "cg"])
def test_numbers_of_every_solver(numbers: str, solver: str) -> None:
    y = NUMBERS[numbers]
    whole = solver in ("lbfgs", "cg")
    model = NetworkRegressor(
        solver=solver, epochs=40, random_state=1, batch_size="auto" if whole else 10,
        learning_rate=None if whole else 0.01, hidden_layers=(20,),
    ).fit(X, y)  # fmt: skip
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.5
    assert model.n_iter_ <= 40


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((6, 6, 1), [cr.Conv2D(4, 3), cr.ReLU(), cr.MaxPool2D(2)]),
        ((6, 6, 1), None),
        ((9, 4), [cr.Conv1D(3, 2), cr.ReLU()]),
        ((9, 4), [cr.LSTM(3)]),
        ((36,), [cr.Dense(5), cr.ReLU()]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_samples_are_taken_in_the_shape_that_they_have(
    shape: tuple[int, ...], layers: Any, dtype: str
) -> None:
    samples = (rng.random((40, *shape)) * 9).astype(dtype)
    rows, y = samples.reshape(40, -1), samples.reshape(40, -1)[:, 0] > 4
    model = NetworkClassifier(layers, epochs=2, random_state=0).fit(samples, y, X_val=samples, y_val=y)
    assert model.network_.input_shape == shape
    assert model.n_features_in_ == 36
    said = clone(model).set_params(input_shape=shape).fit(rows, y)
    for given in (samples, rows, [*samples], sparse.csr_matrix(rows)):
        assert np.array_equal(model.predict_proba(given), said.predict_proba(given))
    assert np.array_equal(model.predict_proba(rows)[:, 1:], model.network_.predict(samples * 1.0))
    assert model.partial_fit(samples, y).predict(samples).shape == (40,)
    if len(shape) == 3:
        assert np.array_equal(said.predict(samples[..., 0]), said.predict(rows))  # a channel that is not said
    if len(shape) > 1:
        turned = np.swapaxes(samples, 1, -1)
        with pytest.raises(ValueError, match=r"bring X to the shape \(N, "):
            model.predict(turned)
        with pytest.raises(ValueError, match=r"bring X to the shape \(N, "):
            clone(said).fit(turned, y)


def test_images_as_rows_are_convolved() -> None:
    images = np.random.default_rng(0).random((80, 6, 6, 1))
    y = images[:, :3].sum(axis=(1, 2, 3)) > images[:, 3:].sum(axis=(1, 2, 3))
    rows = images.reshape(80, -1)
    layers = [cr.Conv2D(4, 3), cr.ReLU(), cr.MaxPool2D(2), cr.Flatten()]
    model = NetworkClassifier(layers, input_shape=(6, 6, 1), epochs=60, learning_rate=0.02, random_state=0)
    model.fit(rows, y)
    assert model.network_.input_shape == (6, 6, 1)
    assert model.score(rows, y) > 0.85
    assert np.array_equal(model.predict_proba(rows)[:, 1:], model.network_.predict(images))
    thin = clone(model).fit(sparse.csr_matrix(rows), y)
    assert np.array_equal(thin.predict_proba(rows), model.predict_proba(rows))
    with pytest.raises(ValueError, match=r"input_shape=\(6, 5, 1\) has 30 numbers, and X has 36 features"):
        clone(model).set_params(input_shape=(6, 5, 1)).fit(rows, y)


@pytest.mark.parametrize(
    ("layers", "end"),
    [
        ([cr.Dense(4), cr.ReLU()], ["Dense", "ReLU", "Dense", "Softmax"]),
        ([cr.Dense(4), cr.ReLU(), cr.Dense(3)], ["Dense", "ReLU", "Dense", "Softmax"]),
        ([cr.Dense(4), cr.ReLU(), cr.Dense(3), cr.Softmax()], ["Dense", "ReLU", "Dense", "Softmax"]),
        ([], ["Dense", "Softmax"]),
        ([cr.Dense(3), cr.ReLU()], ["Dense", "ReLU", "Dense", "Softmax"]),
        ([cr.Dense(3), cr.Tanh(), cr.Dropout(0.1)], ["Dense", "Tanh", "Dropout", "Dense", "Softmax"]),
        ([cr.Dense(3), cr.BatchNorm()], ["Dense", "BatchNorm", "Dense", "Softmax"]),
        ([cr.Dense(3), cr.Identity()], ["Dense", "Identity", "Softmax"]),
        ([cr.Dense(3), cr.Sigmoid()], ["Dense", "Sigmoid"]),
        ([cr.Dense(3), cr.LogSoftmax()], ["Dense", "LogSoftmax"]),
    ],
)
def test_what_is_missing_at_the_end_is_added(layers: list[cr.Layer], end: list[str]) -> None:
    model = NetworkClassifier(layers, epochs=1).fit(X, THREE)
    assert [type(layer).__name__ for layer in model.network_.layers] == end
    assert len(layers) == len(model.layers)
    probabilities = model.predict_proba(X)
    assert probabilities.min() >= 0
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))


@pytest.mark.parametrize("end", [[cr.Dense(2)], [cr.Dense(2), cr.Softmax()], [cr.Dense(2), cr.LogSoftmax()]])
def test_two_classes_may_be_two_outputs(end: list[cr.Layer]) -> None:
    model = NetworkClassifier([cr.Dense(4), cr.ReLU(), *end], epochs=2, random_state=0).fit(X, TWO)
    assert model.network_.output_shape == (2,)
    assert np.allclose(model.predict_proba(X).sum(axis=1), 1)
    larger = model.partial_fit(X, TWO).predict_proba(X).argmax(axis=1)
    assert np.array_equal(model.predict(X), model.classes_[larger])
    with pytest.raises(ValueError, match=r"layers end in Softmax\(\) behind 4 outputs, and y asks for 2"):
        NetworkClassifier([cr.Dense(4), cr.Softmax()]).fit(X, TWO)


@pytest.mark.parametrize("loss", ["negative_log_likelihood", "kl_divergence"])
def test_losses_of_logarithms_have_probabilities(loss: str) -> None:
    for y in (TWO, THREE):
        model = NetworkClassifier(loss=loss, hidden_layers=4, epochs=2, random_state=0).fit(X, y)
        plain = NetworkClassifier(
            loss="cross_entropy", hidden_layers=4, epochs=2, random_state=0, solver=model.solver
        ).fit(X, y)
        assert np.allclose(model.predict_proba(X), plain.predict_proba(X), rtol=1e-9)
        assert not hasattr(model, "decision_function")


def test_a_loss_of_two_outputs_per_number_predicts_the_means() -> None:
    y = np.column_stack([X[:, 0], X[:, 1]])
    for targets, outputs in ((y, 4), (y[:, 0], 2)):
        model = NetworkRegressor(loss="gaussian_nll", hidden_layers=4, epochs=2, random_state=0)
        assert model.fit(X, targets).predict(X).shape == targets.shape
        assert np.array_equal(
            model.predict(X).reshape(150, -1), model.network_.predict(X)[:, : outputs // 2]
        )
    with pytest.raises(ValueError, match="loss='gaussian_nll' is of numbers: leave it out, or take Network"):
        NetworkClassifier(loss="gaussian_nll").fit(X, THREE)


def test_normalisation_dropout_and_an_activation_per_layer() -> None:
    made = hidden_layers([5, 4], ["gelu", cr.LeakyReLU(0.2)], [0.1, 0], [None, "layer"])
    kinds = [type(layer).__name__ for layer in made]
    assert kinds == ["Dense", "GELU", "Dropout", "Dense", "LayerNorm", "LeakyReLU"]
    for name in ACTIVATIONS:
        assert type(hidden_layers([3], name)[1]) is ACTIVATIONS[name]
    model = NetworkClassifier(hidden_layers=(16, 8), normalization="batch", dropout=0.2, epochs=5)
    assert model.fit(X, THREE).predict(X).shape == (150,)


@pytest.mark.parametrize(
    ("rows", "size"), [(5, 5), (40, 32), (150, 32), (640, 64), (641, 65), (1990, 199), (5000, 200)]
)
def test_a_batch_is_a_tenth_of_the_rows_within_bounds(rows: int, size: int) -> None:
    model = NetworkRegressor(hidden_layers=1, epochs=1)
    assert model.fit(np.ones((rows, 1)), np.zeros(rows)).batch_size_ == size
    assert model.history_.optimizer_state["steps"] == -(-rows // size)
    assert NetworkRegressor(batch_size=7, epochs=1).fit(X, X[:, 0]).batch_size_ == 7
    assert NetworkRegressor(solver="cg", epochs=1).fit(X, X[:, 0]).batch_size_ is None


def test_no_batch_by_rule_is_one_that_a_layer_refuses() -> None:
    cases: list[tuple[int, dict[str, Any], int]] = [(33, {}, 33), (65, {}, 33), (2001, {}, 201)]
    for rows, options, size in (*cases, (37, {"validation_fraction": 0.1}, 33)):
        plain = NetworkClassifier(hidden_layers=2, epochs=1, **options)
        y = np.arange(rows) % 2
        normal = clone(plain).set_params(normalization="batch")
        assert normal.fit(np.ones((rows, 1)), y).batch_size_ == size
        assert plain.fit(np.ones((rows, 1)), y).batch_size_ == (200 if rows > 2000 else 32)
    with pytest.raises(ValueError, match="batch of one sample"):
        normal.set_params(batch_size=35, validation_fraction=None).fit(np.ones((36, 1)), np.arange(36) % 2)


@pytest.mark.parametrize("cls", [NetworkRegressor, MLPRegressor, TabularRegressor])
def test_a_quantity_that_is_no_number_is_refused(cls: Any) -> None:
    days = np.datetime64("2024-01-01") + np.arange(150)
    for y in (days, days - days[0], days.astype(object), X[:, 0].astype(str), X[:, 0] + 1j):
        with pytest.raises((ValueError, TypeError)) as caught:  # objects and complex numbers in theirs, too
            cls().fit(X, y)
        assert any(said in str(caught.value) for said in ("y holds", "Complex data", "must be a string or"))


@pytest.mark.parametrize("monitor", ["validation_loss", "loss"])
def test_early_stopping_gives_the_best_epoch_back_and_changes_no_parameter(monitor: str) -> None:
    stopping = cr.EarlyStopping(2, monitor=monitor, min_delta=0.0 if monitor == "validation_loss" else 0.05)
    model = NetworkClassifier(epochs=200, early_stopping=stopping, learning_rate=0.05, random_state=0)
    model.fit(X, THREE)
    assert model.n_iter_ < 200
    assert stopping.best_epoch == 0
    assert (model.validation_loss_curve_ is None) == (monitor == "loss")
    given = clone(model).fit(X[:100], THREE[:100], X_val=X[100:], y_val=THREE[100:])
    final = given.network_.loss(X[100:], THREE[100:])
    assert monitor == "loss" or final == pytest.approx(min(given.validation_loss_curve_), rel=1e-9)


@pytest.mark.parametrize("weight", [{0: 3.0, 2: 0.5}, "balanced"])
def test_class_weights_are_sample_weights(weight: Any) -> None:
    options: dict[str, Any] = {"epochs": 4, "random_state": 2, "batch_size": 20}
    own = np.linspace(0.5, 1.5, 150)
    own[:7] = 0
    each = 50 / np.bincount(THREE, own) if weight == "balanced" else np.array([3.0, 1.0, 0.5])
    a = NetworkClassifier(class_weight=weight, **options).fit(X, THREE, own)
    b = NetworkClassifier(**options).fit(X, THREE, each[THREE] * own)
    np.testing.assert_allclose(a.network_.flat_parameters(), b.network_.flat_parameters(), rtol=1e-9)
    plain = NetworkClassifier(**options).fit(X, THREE)
    assert not np.allclose(a.network_.flat_parameters(), plain.network_.flat_parameters(), rtol=1e-3)


def test_partial_fit_goes_on_and_needs_the_classes_once() -> None:
    model = NetworkClassifier(random_state=0, learning_rate=0.01)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, THREE)
    model.partial_fit(X[:50], np.zeros(50, int), classes=[0, 1, 2])
    for _ in range(60):
        model.partial_fit(X, THREE)
    assert model.score(X, THREE) > 0.9
    assert model.history_.optimizer_state["steps"] == 2 + 60 * 5  # of 50 and of 150 rows, 32 each
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        model.partial_fit(X, THREE + 1)
    again = pickle.loads(pickle.dumps(model))
    for each in (model, again):
        each.partial_fit(X, THREE)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert not hasattr(NetworkClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(NetworkRegressor(solver="cg"), "partial_fit")
    assert not hasattr(NetworkClassifier(class_weight="balanced"), "partial_fit")
    with pytest.raises(AttributeError) as caught:
        NetworkClassifier(class_weight="balanced").partial_fit(X, THREE, classes=[0, 1, 2])
    assert "class_weight='balanced' needs all of y" in str(caught.value.__cause__)


def test_warm_start_goes_on_from_the_parameters() -> None:
    model = NetworkRegressor(warm_start=True, epochs=20, learning_rate=0.01, random_state=0)
    y = NUMBERS["one"]
    first = model.fit(X, y).loss_curve_
    assert model.fit(X, y).loss_curve_[0] < first[0] / 2
    model = NetworkClassifier(warm_start=True, epochs=2).fit(X, THREE)
    with pytest.raises(ValueError, match="classes not in"):
        model.fit(X, THREE + 1)


def test_the_same_random_state_gives_the_same_bits() -> None:
    def parameters(state: Any) -> Any:
        model = NetworkClassifier(epochs=2, dropout=0.2, validation_fraction=0.2, random_state=state)
        return model.fit(X, THREE).network_.flat_parameters()

    assert np.array_equal(parameters(4), parameters(4))
    state = np.random.RandomState
    assert np.array_equal(parameters(state(4)), parameters(state(4)))
    assert not np.array_equal(parameters(4), parameters(5))
    assert not np.array_equal(parameters(None), parameters(None))


def test_callbacks_see_the_fit() -> None:
    seen = []
    NetworkRegressor(epochs=3, callbacks=lambda context: seen.append(context.last.loss)).fit(X, X[:, 0])
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "newton"}, "^solver 'newton' is unknown"),
        ({"solver": cr.Adam}, r"^solver must be .*: write Adam\(\)"),
        ({"solver": "sgd", "learning_rate": "adaptive"}, "^learning_rate must be a number greater than 0"),
        ({"validation_fraction": 30}, "^validation_fraction must be a number greater than 0 and less than 1"),
        ({"early_stopping": 0}, "^early_stopping must be a whole number"),
        ({"activation": "linear"}, "activation must be a layer or one of 'identity'.*: write 'identity'$"),
        ({"activation": "Swish"}, ": write 'silu'$"),
        ({"activation": cr.ReLU}, r": write ReLU\(\)$"),
        ({"normalization": "BatchNorm"}, ": write 'batch'$"),
        ({"layers": cr.Network([cr.Dense(2)], input_shape=3)}, r": write layers=\[\*network.layers\]$"),
        ({"class_weight": "auto"}, "^class_weight must be None, 'balanced' or .* received 'auto'"),
        ({"class_weight": {7: 2.0}}, "^class_weight has the labels 7, of which y has none: write {"),
        (
            {"hidden_layers": (3, 2), "activation": ["relu"]},
            "activation has 1 entries, and the hidden layers are 2",
        ),
        ({"hidden_layers": (3, -2)}, r"hidden_layers must be > 0, got \[3, -2\]"),
        ({"hidden_layers": 2.5}, "hidden_layers must be whole numbers"),
        ({"normalization": "group"}, "normalization must be a layer or one of 'batch', 'layer', 'rms'"),
        ({"batch_size": "all"}, "batch_size must be a number or 'auto'"),
        ({"epochs": 0}, "epochs must be"),
        ({"loss": "mape"}, "loss 'mape' is unknown"),
        ({"solver": cr.SGD(0.1), "learning_rate": 0.1}, "learning_rate is of a solver by its name"),
        ({"solver": "lbfgs", "early_stopping": 3}, "early_stopping is of mini-batches"),
        ({"early_stopping": "yes"}, "early_stopping must be a number of epochs"),
        ({"layers": cr.Dense(3)}, "layers must be a list"),
        ({"layers": (100, 50)}, r"are numbers of units: write hidden_layers=\(100, 50\)"),
        (
            {"layers": [cr.Dense(4)], "hidden_layers": (3,)},
            r"layers and hidden_layers=\(3,\) both say .*, layers=None or hidden_layers=None",
        ),
        (
            {"layers": [cr.Dense(4)], "activation": "tanh"},
            "activation='tanh' is of hidden_layers, and layers",
        ),
        ({"layers": [cr.Dense(4)], "dropout": [0.1]}, r"dropout=\[0.1\] is of hidden_layers, and layers are"),
        ({"layers": [cr.Dense(4)], "normalization": "batch"}, "normalization='batch' is of hidden_layers"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_and_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        NetworkClassifier(**options).fit(X, THREE)
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        NetworkRegressor().fit(X, X[:, 0], X_val=X)


def test_scikit_learns_words_are_answered_by_the_constructor_and_by_searches() -> None:
    for cls in (NetworkClassifier, NetworkRegressor):
        with pytest.raises(TypeError, match=r"has no argument 'max_iter'; write epochs=100$"):
            cls(max_iter=300)
        steps = make_pipeline(StandardScaler(), cls())
        with pytest.raises(ValueError, match=r"Invalid parameter 'max_iter' .*\]; write epochs=100$"):
            GridSearchCV(steps, {f"{cls.__name__.lower()}__max_iter": [3]}, error_score="raise").fit(X, THREE)
        with pytest.raises(ValueError, match=r"Invalid parameter 'colour' .*\]\.$"):
            cls().set_params(colour=1)
        with pytest.raises(TypeError, match=r"'validation_data'; write X_val=X_val, y_val=y_val$"):
            cls().fit(X, THREE, validation_data=(X, THREE))
    for theirs in (MLPClassifier, MLPRegressor):
        with pytest.raises(ValueError, match=r"Invalid parameter 'max_iters' .*\]; write max_iter=\.\.\.$"):
            theirs().set_params(max_iters=3)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (["a", "b", "c"], "the column 'k' of X holds texts, such as 'a': encode it"),
        ([np.datetime64("2020-01-01")] * 3, "the column 'k' of X holds dates"),
        ([1.0, np.nan, 2.0], "the column 'k' of X has 1 missing values, the first in row 1: fill them"),
        ([1.0, np.inf, 2.0], "the column 'k' of X holds inf in row 1"),
        ([[1], [2], [3]], r"the column 'k' of X holds \[1\]"),
    ],
)
def test_a_column_of_no_numbers_is_named(column: list[Any], said: str) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"number": ["1.5", "2", "3"], "k": column})
    for model in (NetworkClassifier(), MLPClassifier(), MLPRegressor()):
        with pytest.raises((ValueError, TypeError), match=said):
            model.fit(frame, [0, 1, 1])
    with pytest.raises(ValueError, match=r"or take chainrule\.estimators\.TabularRegressor"):
        NetworkRegressor().fit([["a", 1], ["b", 2]], [0, 1])
    with pytest.raises(ValueError, match=r"write MultiLabelBinarizer\(\).fit_transform\(y\)"):
        NetworkClassifier().fit([[1], [2]], [["a"], ["a", "b"]])


def test_labels_kept_as_objects_are_what_they_are() -> None:
    kinds: list[list[Any]] = [[0, 1, 2] * 50, [True, False, True] * 50, [1.0, 2.0, 4.0] * 50]
    for labels in kinds:
        model = NetworkClassifier(hidden_layers=2, epochs=1).fit(X, np.array(labels, dtype=object))
        assert model.classes_.tolist() == sorted({*labels})
        assert {*model.predict(X).tolist()} <= {*labels}
    for labels, said in (
        ([None, *"abc" * 49, "a", "b"], "y has 1 missing labels, the first in row 0"),
        ([1, *"abc" * 49, "a", "b"], r"y holds both 1 and 'a': write y.astype\(str\)"),
        ([*zip("abc" * 50, "aba" * 50, strict=True)], r"sklearn.multioutput.MultiOutputClassifier\(...\)"),
    ):
        y = np.array(labels, dtype=object if len(labels[1]) == 1 else str)
        with pytest.raises(ValueError, match=said):
            NetworkClassifier(hidden_layers=2, epochs=1).fit(X, y)
    for classifier in (NetworkClassifier(), TabularClassifier(), MLPClassifier()):
        with pytest.raises(ValueError, match=r"Where they are classes write y.astype\(str\); for quantities"):
            classifier.fit(X, np.arange(150) / 4)
    with pytest.raises(ValueError, match=r"objects such as 0: write y.astype\(int\)"):  # as scikit-learn does
        MLPClassifier().fit(X, np.array(kinds[0], dtype=object))


def test_options_of_an_object_are_searched_by_their_names() -> None:
    model = NetworkClassifier(hidden_layers=2, epochs=1, solver=cr.SGD(0.1), penalty=cr.L2(1e-4))
    search = GridSearchCV(model, {"solver__momentum": [0.5], "penalty__lam": [1e-3]}, cv=2).fit(X, THREE)
    assert search.best_estimator_.solver == cr.SGD(0.1, momentum=0.5)
    assert (search.best_estimator_.penalty, model.penalty) == (cr.L2(1e-3), cr.L2(1e-4))
    assert clone(model).set_params(solver=cr.Adam(), solver__rate=0.5).solver == cr.Adam(0.5)
    with pytest.raises(ValueError, match=r"Invalid parameter solver__lr: SGD.* has rate, momentum"):
        model.set_params(solver__lr=0.1)
    with pytest.raises(ValueError, match="'solver__rate': solver='adam' has none of its own; write solver="):
        NetworkClassifier().set_params(solver__rate=0.1)


def test_one_sample_and_what_validation_needs_are_said() -> None:
    images = X[:, :4].reshape(-1, 2, 2, 1)
    model = NetworkClassifier([cr.Conv2D(2, 1)], epochs=1).fit(images, THREE)
    with pytest.raises(ValueError, match=r"X is one sample of shape \(2, 2, 1\): write X\[numpy.newaxis\]"):
        model.predict(images[0])
    assert model.predict(images[0][np.newaxis]).shape == (1,)
    with pytest.raises(ValueError, match=r"needs validation data: write validation_fraction=0\.1, or fit"):
        NetworkClassifier(callbacks=[cr.EarlyStopping(2)], epochs=1).fit(X, THREE)


def test_early_stopping_may_be_true_and_names_of_any_case() -> None:
    options: dict[str, Any] = {"hidden_layers": 3, "epochs": 4, "random_state": 0}
    ten = NetworkClassifier(
        early_stopping=10, activation="relu", solver="adam", loss="cross_entropy", **options
    )
    same = NetworkClassifier(
        early_stopping=True, activation="ReLU", solver="Adam", loss="Cross_Entropy", **options
    )
    assert np.array_equal(same.fit(X, THREE).predict_proba(X), ten.fit(X, THREE).predict_proba(X))
    assert same.history_.validation_loss == ten.history_.validation_loss


@pytest.mark.parametrize("end", [cr.Softmax(), cr.LogSoftmax()])
def test_one_hot_rows_of_a_network_that_ends_in_softmax_come_back(end: cr.Layer) -> None:
    one_hot = np.eye(3)[THREE]
    model = NetworkClassifier([cr.Dense(3), end], epochs=3, random_state=0).fit(X, one_hot)
    same = NetworkClassifier([cr.Dense(3), end], epochs=3, random_state=0).fit(X, THREE)
    assert np.array_equal(model.predict(X), np.eye(3)[same.predict(X)])
    assert np.allclose(model.predict_proba(X), same.predict_proba(X))


def test_a_dense_of_every_step_is_no_output() -> None:
    steps = X.reshape(-1, 3, 2)
    for model, y in ((NetworkClassifier([cr.Dense(3)]), THREE), (NetworkRegressor([cr.Dense(1)]), X[:, 0])):
        layers = model.set_params(epochs=1).fit(steps, y).network_.layers
        assert [type(layer).__name__ for layer in layers[:3]] == ["Dense", "Flatten", "Dense"]
    with pytest.raises(ValueError, match=r"of shape \(3, 3\), .*: write Flatten\(\), Dense\(3\) in"):
        NetworkClassifier([cr.Dense(3), cr.Softmax()]).fit(steps, THREE)
