"""What people type first who come from elsewhere: the error names what to write, and the code in it runs."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.foreign.attributes import HISTORY, LAYER_ATTRIBUTES, METHODS, SET
from chainrule.base.foreign.names import NAMES

X = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
Y = np.arange(12) % 3


def network() -> cr.Network:
    return cr.Network([cr.Dense(5), cr.ReLU(), cr.Dense(3), cr.Softmax()], input_shape=4)


def names() -> dict[str, Any]:
    """What the advice takes for granted."""
    own = network()
    return {
        "chainrule": cr, "cr": cr, "network": own, "net": own, "layer": own.layers[0], "X": X, "y": Y,
        "numpy": np, "np": np, "W": np.ones((5, 4)), "b": np.ones(5), "layers": [cr.Dense(5), cr.ReLU(), cr.Dense(3), cr.Softmax()], "units": 2, "filters": 2,
        "heads": 2, "groups": 2, "channels": 2, "Theta1": np.ones((2, 4)), "Theta2": np.ones((1, 3)),
        "history": cr.fit(own, X, Y, epochs=1, progress=False), "value": 0.1, "shape": (2, 3),
        **{name: getattr(cr, name) for name in cr.__all__ if name[0].isupper()},
    }  # fmt: skip


# What the message must name -> what is typed.
# ruff: noqa: E501
TYPED: dict[str, str] = {
    "chainrule.Network([": "cr.nn|cr.nn.Linear(784, 10)|cr.nn.Module|cr.models|cr.models.Sequential()|cr.keras|cr.MLP"
    "|cr.Module|cr.Model",
    "chainrule.estimators.MLPClassifier()": "cr.MLPClassifier(hidden_layer_sizes=(100,))",
    "chainrule.estimators.NetworkClassifier([": "cr.NetworkClassifier|cr.NeuralNetClassifier|cr.KerasClassifier",
    "chainrule.estimators.TabularClassifier()": "cr.TabularClassifier(epochs=3)|cr.RealMLP_TD_Classifier()",
    "no search here: scikit-learn's takes": "cr.fit_many|cr.NetworkSearchCV|cr.GridSearchCV",
    "chainrule.Adam(1e-3)": "cr.optim|cr.optim.Adam|cr.optimizers|cr.optimizers.Adam(1e-3)|cr.optax|cr.Adamax",
    "network.save('net.npz')": "cr.save|cr.save(net, 'a.npz')|net.save_weights('a')|cr.save_model",
    "network.to_onnx('net.onnx')": "net.export('a.onnx')|cr.to_onnx(net, 'a.onnx')",
    "chainrule.load('net.npz')": "cr.load_model|cr.load_model('a.npz')|cr.load_weights|net.load_weights('a')|net.load('a')",
    "chainrule.fit(network, X, y": "cr.train|cr.train(net, X, y)|cr.compile|cr.Trainer|cr.Learner|cr.NeuralNet"
    "|net.fit(X, y)|net.train()|net.compile(optimizer='adam', loss='mse')|net.partial_fit(X, y)|net.optimizer"
    "|net.train_on_batch(X, y)|cr.DataLoader|cr.TensorDataset|net.loss = 'mse'|net.training = False|net.fit_predict(X)",
    "chainrule.Checkpoint('net.npz')": "cr.ModelCheckpoint|cr.callbacks|cr.callbacks.ModelCheckpoint",
    "chainrule.ReduceOnPlateau(": "cr.ReduceLROnPlateau|cr.callbacks.ReduceLROnPlateau|cr.LambdaLR",
    "everything is computed on the CPU": "net.to|net.to('cuda')|net.cuda()|net.cpu()|cr.cuda|cr.device('cpu')"
    "|cr.Dense(3, device='cuda')|cr.fit(net, X, y, device='cuda')",
    "network.parameters['dense1.W']": "net.parameters()|net.state_dict()|net.weights|net.get_weights()|net.W|net['dense1']"
    "|net.named_parameters()|net.coefs_|net.trainable_variables|layer.weight|layer.weight.data|layer.get_weights()"
    "|layer.kernel|net.dense1|net.dense1.W",
    "restore_best=True": "cr.EarlyStopping(restore_best_weights=True)",
    "lam=1e-4": "cr.L2(l=1e-4)|cr.L2(l2=1e-4)|cr.L2(alpha=1e-4)",
    "lam=1e-5": "cr.L1(l=1e-4)|cr.L1(l1=1e-4)",
    "Network([...], input_shape=784)": "cr.Network([cr.Dense(3)])|cr.Network(cr.Dense(3), cr.ReLU())"
    "|cr.Network([4, 5, 3])|cr.Sequential([cr.Dense(3)]).fit(X, y)|cr.Sequential([cr.Dense(3)]).compile()"
    "|cr.Sequential([cr.Dense(3)]).predict(X)|cr.Sequential([cr.Dense(3)]).train_on_batch(X)|net.layers = []"
    "|cr.Network([cr.Dense(3)], 4)",
    "such as X.shape[1:]": "cr.Network([cr.Dense(3)])",
    "write ReLU()": "cr.Activation('relu')",
    "write Softmax()": "cr.Activation('softmax')",
    "write LeakyReLU()": "cr.Activation('leaky_relu')",
    "this one: ReLU()": "cr.Dense(10, activation='relu')|cr.layers.Dense(10, activation='relu')"
    "|cr.Conv2D(32, (3, 3), activation='relu')",
    "chainrule.Dense(units)": "cr.Linear|cr.layers.Linear(784, 10)",
    "chainrule.layers.Conv2D": "cr.layers.Conv2d(1, 8, 3)",
    "write chainrule.Conv2D": "cr.Conv2d(1, 8, 3)",
    "chainrule.BatchNorm()": "cr.BatchNorm2d(64)|cr.layers.BatchNormalization()",
    "mean_outputs=True": "cr.losses.MSELoss|cr.losses.MSELoss()|cr.MSELoss()|cr.mse|cr.losses.mean_squared_error",
    "chainrule.CrossEntropy(), behind": "cr.losses.CategoricalCrossentropy()|cr.cross_entropy"
    "|cr.losses.categorical_crossentropy|cr.CrossEntropyLoss()",
    "chainrule.BinaryCrossEntropy(), behind": "cr.BCELoss()|cr.binary_cross_entropy|cr.losses.BCEWithLogitsLoss()",
    "NumPy's": "cr.functional|cr.functional.relu|cr.F|cr.backend|cr.tensor([1.0])|cr.Tensor|cr.Variable|cr.array",
    "y) takes labels": "cr.utils|cr.utils.to_categorical|cr.to_categorical(y)|cr.one_hot",
    "chainrule.data.load_mnist('mnist')": "cr.datasets|cr.datasets.mnist.load_data()|cr.load_mnist()|cr.MNIST",
    "chainrule.data.load_digits()": "cr.load_digits()|cr.datasets.load_digits",
    "chainrule.data.load_csv('table.csv')": "cr.load_csv('a')|cr.read_csv('a')|cr.data.read_csv('a')",
    "chainrule.data.split(X, y": "cr.train_test_split|cr.model_selection|cr.data.train_test_split|cr.data.random_split",
    "chainrule.data.Standardizer": "cr.preprocessing|cr.StandardScaler()|cr.data.StandardScaler()",
    "network.accuracy(X, y)": "cr.metrics|cr.metrics.accuracy_score|cr.accuracy_score(y, y)|net.score(X, y)"
    "|net.evaluate(X, y)|cr.evaluate|net.test_on_batch(X, y)",
    "chainrule.penalties.L2(1e-4)": "cr.regularizers|cr.regularizers.l2(1e-4)",
    "input_shape=784, seed=0)": "cr.manual_seed(0)|cr.set_seed(0)|cr.seed(0)",
    "numpy.random.default_rng(0)": "cr.random|cr.PRNGKey(0)|cr.random.normal",
    "dtype='float32'": "net.float()",
    "dtype='float64'": "cr.float32|net.double()|cr.Dense(3, dtype='float64')|net.dtype = 'float64'"
    "|cr.fit(net, X, y, dtype='float64')",
    "precision='bfloat16'": "cr.fit(net, X, y, amp=True)|net.bfloat16()|net.half()|net.precision = 'bfloat16'"
    "|cr.Network([cr.Dense(3)], input_shape=2, dtype='bfloat16')",
    "network.backpropagate(X, y)": "cr.grad|cr.value_and_grad|cr.GradientTape()|net.zero_grad()|net.backward()|net.grad"
    "|net.gradients|net.get_gradients()|layer.grad",
    "network.predict(X)": "net.predict_proba(X)|net.forward(X)|net(X)|net.eval()|net.apply|cr.predict|cr.no_grad()"
    "|net.predict_log_proba(X)|net.decision_function(X)|layer(X)|cr.Dense(3)(X)|net.transform(X)",
    "network.classify(X)": "net.predict_classes(X)",
    "network.set_parameters(": "net.load_state_dict({})|net.set_weights([])|layer.set_weights([])|net.weights = 1"
    "|net.parameters = {}",
    "network.count_parameters()": "net.count_params()|net.num_params|net.n_params",
    "network.activations(X)": "net.get_activations()|net.register_forward_hook(print)",
    "network.copy()": "net.clone()|net.deepcopy()|cr.clone_model",
    "network.summary()": "cr.summary(net)|cr.plot_model|net.plot()",
    "network.reinitialise(": "net.init(0, X)|net.reset()|net.reset_parameters()|cr.KFold(3)|cr.fit(net, X, y, cv=3)",
    "network.layers": "net.modules()|net.children()|net.get_layer('dense1')|net.layer('dense1')|net[0]|net.n_layers_",
    "freeze=['dense1']": "net.trainable|net.trainable = False|layer.trainable|layer.trainable = False|net.freeze()"
    "|layer.requires_grad = False|net.requires_grad_(False)|net.freeze_to(1)",
    "freeze=['": "cr.fit(net, X, y, trainable=['dense1'])",
    "network.input_shape": "net.input|net.input_dim|net.n_features_in_",
    "network.classes": "net.classes_",
    "history.loss": "net.loss_curve_|net.best_loss_|net.n_iter_|cr.fit(net, X, y, epochs=1).history"
    "|cr.fit(net, X, y, epochs=1)['loss']",
    "history.validation_loss": "cr.fit(net, X, y, epochs=1).val_loss|cr.fit(net, X, y, epochs=1)['val_loss']",
    "chainrule.check_gradients(network, X, y)": "cr.gradcheck|cr.numerical_gradient|cr.check_grad",
    "chainrule.fit_full_batch(": "cr.LBFGS",
    "chainrule.set_threads(2)": "cr.set_num_threads(2)",
    "chainrule.Layer": "cr.Lambda(print)|cr.Function|cr.Resizing(2)|cr.GaussianNoise(0.1)",
    "chainrule.Raise()": "cr.Power()|cr.Average()",
    "chainrule.from_torch": "cr.from_pytorch(net)",
    "set_keras_weights": "cr.from_keras(net)",
    "images of uint8 are divided": "cr.Rescaling(1 / 255)",
    "fraction=0.2": "cr.data.split(X, y, test_size=0.2)",
    "a loader that fit takes": "cr.RandomFlip()",
    "chainrule.UpSample2D(2)": "cr.Upsample(2)|cr.UpSampling2D()|cr.interpolate",
    "chainrule.Pad2D(1, mode='reflect')": "cr.ReflectionPad2d(1)",
    "chainrule.InstanceNorm(": "cr.InstanceNorm2d(3)",
    "chainrule.Flatten()": "cr.Unflatten",
    "chainrule.LogSoftmax": "cr.log_softmax|cr.nll_loss|cr.NLLLoss()|cr.KLDivLoss()",
    "along the last one": "cr.LogSoftmax(dim=1)|cr.GLU(dim=1)",
    "chainrule.OneCycle(0.1)": "cr.OneCycleLR|cr.OneCycleLR(opt, 0.1)",
    "chainrule.NAdam()": "cr.Nadam(1e-3)",
    "chainrule.rate_range_test(network, X, y)": "cr.LRFinder|cr.lr_find",
    "chainrule.CTC(mean_labels=True)": "cr.CTCLoss()|cr.ctc_loss",
    "chainrule.MultiMargin(": "cr.MultiMarginLoss()",
    "chainrule.Residual(": "cr.TransformerEncoderLayer(8, 2)",
    "its options are units": "layer.foo = 1",
    "a class of your own": "net.foo = 1|cr.EarlyStopping().foo = 1|cr.FocalLoss()",
    "only what the layer puts out": "cr.Dense(10, input_dim=784)|cr.LSTM(input_size=10, hidden_size=64)",
    "Dense(10): the layer finds out": "cr.Dense(784, 10)|cr.Dense(10, 'relu')",
    "rate=0.1": "cr.SGD(lr=0.1)|cr.SGD(net.parameters, lr=0.1)|cr.SGD(learning_rate=0.1)",
    "AdamW(weight_decay=0.01)": "cr.Adam(weight_decay=1e-4)",
    "penalty=L2(1e-4)": "cr.SGD(weight_decay=1e-4)|cr.CrossEntropy(weight_decay=1e-4)|cr.fit(net, X, y, alpha=0.1)"
    "|cr.MeanAbsoluteError(weight_decay=0.1)|cr.fit(net, X, y, weight_decay=0.1)",
    "network.loss(X, y": "cr.CrossEntropy()(X, y)|cr.SquaredError()(X, y)",
    "optimizer=SGD(0.1)": "cr.fit(net, X, y, lr=0.1)|cr.fit(net, X, y, learning_rate_init=0.1)|cr.CrossEntropy(lr=0.1)",
    "clip_norm=1.0": "cr.fit(net, X, y, grad_clip=1.0)|cr.SGD(0.1, max_norm=1.0)",
    "batch_size=32": "cr.fit(net, X, y, batch=16)|cr.fit(net, train_loader=X)",
    "progress=True": "cr.fit(net, X, y, verbose=1)|cr.tqdm",
    "validation=(X_val, y_val)": "cr.fit(net, X, y, validation_data=(X, y))|cr.fit(net, X, y, x_val=X)",
    "validation=0.1": "cr.fit(net, X, y, validation_split=0.1)",
    "the accuracy is always measured": "cr.fit(net, X, y, metrics=['accuracy'])",
    "shuffle must be True or False": "cr.fit(net, X, y, shuffle='batch')",
    "write 'cross_entropy'": "cr.fit(net, X, y, loss='categorical_crossentropy')"
    "|cr.fit(net, X, y, loss='sparse_categorical_crossentropy')|cr.fit(net, X, y, loss='crossentropy')",
    "write 'binary_cross_entropy'": "cr.fit(net, X, y, loss='bce')|cr.fit(net, X, y, loss='binary_crossentropy')",
    "write CrossEntropy()": "cr.fit(net, X, y, loss=cr.CrossEntropy)",
    "write Adam()": "cr.fit(net, X, y, optimizer=cr.Adam)",
    "write seed=0": "cr.fit(net, X, y, random_state=0)|cr.fit(net, X, y, generator=1)",
    "it in Network([Dense(100)": "cr.fit(net, X, y, hidden_layer_sizes=(9,))|cr.fit(net, X, y, activation='relu')",
    "write X=...": "cr.fit(net, x=X, y=y)|net.predict(x=X)",
    "write y=...": "cr.fit(net, X=X, Y=y)",
    "early_stopping=5": "cr.fit(net, X, y, patience=3)|cr.fit(net, X, y, save_best=True)",
    "callbacks=[Checkpoint('net.npz')]": "cr.fit(net, X, y, checkpoint='a.npz')",
    "fit(network, X, y)": "cr.fit(net, X)|cr.fit(X, y)|cr.fit(net, (X, y))|cr.fit(net, X, y, 10)",
    "validation_loss": "cr.EarlyStopping(monitor='val_loss')|cr.Checkpoint('w-{val_loss:.2f}.npz')",
    "validation_accuracy": "cr.ReduceOnPlateau(monitor='val_acc')|cr.Checkpoint('w-{val_acc:.2f}.npz')",
    "min_rate=1e-5": "cr.ReduceOnPlateau(min_lr=1e-5)",
    "'dense1.W'?": "net.parameters['dense1.weight']|net.parameters['dense1.kernel']",
    "'batchnorm1.gamma'?": "cr.Network([cr.BatchNorm()], input_shape=4).parameters['batchnorm1.weight']",
    "dense1.W, dense1.b": "net.parameters['dense1']",
}  # fmt: skip
ROWS = [(typed, named) for named, several in TYPED.items() for typed in several.split("|")]


def test_there_are_many() -> None:
    assert len({typed for typed, _ in ROWS}) > 250


@pytest.mark.parametrize(("typed", "named"), ROWS)
def test_what_is_typed_first_is_answered(typed: str, named: str) -> None:
    with pytest.raises((AttributeError, TypeError, ValueError, KeyError)) as caught:
        exec(typed, names())
    assert named in str(caught.value)


def code_in(advice: str) -> Iterator[str]:
    """Every expression in a text that begins with one of our names, as long as Python can read it."""
    start = 0
    for begin in re.finditer(r"(?:chainrule|network|numpy|history|print|Network)\b(?=[.(\[])", advice):
        if begin.start() < start:
            continue
        for end in range(len(advice), begin.end(), -1):
            try:
                tree = ast.parse(advice[begin.start() : end], mode="eval")
            except SyntaxError:
                continue
            if not isinstance(tree.body, ast.Tuple | ast.BoolOp | ast.Compare | ast.BinOp):
                start = end
                if not any(isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(tree)):
                    yield advice[begin.start() : end]
                break


@pytest.mark.parametrize("table", [NAMES, METHODS, LAYER_ATTRIBUTES, SET, HISTORY])
def test_the_code_in_every_advice_runs(
    table: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network().save("net.npz")
    Path("table.csv").write_text("a,b\n1,0\n2,1\n3,0\n")
    np.savez("data.npz", X=X, y=Y)
    for advice in dict.fromkeys(table.values()):
        for code in code_in(advice):
            if "load_mnist" in code:  # it downloads
                inspect.signature(cr.data.load_mnist).bind("mnist")
            elif "freeze=" in code and "freeze" not in cr.fit.__wrapped__.__kwdefaults__:  # type: ignore[attr-defined]
                continue
            else:
                eval(code, names())


def test_the_layers_that_an_advice_writes_are_a_network() -> None:
    for code in (
        c for advice in NAMES.values() for c in code_in(advice) if c.startswith("chainrule.Sequential")
    ):
        made = eval(code, names())
        assert cr.Network([made], input_shape=(5, 8)).predict(np.ones((2, 5, 8))).shape[0] == 2
