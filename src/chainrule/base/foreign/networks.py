"""What networks and their methods take elsewhere, and what stands for it here."""

from __future__ import annotations

from chainrule.base.foreign.words import SAME, Advice, besides, by_name, by_value

_ACCURACY = ("accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy", "binary_accuracy")
METRICS = by_value(
    "no metric but the loss and the accuracy: others can be computed from network.predict(X)",
    {
        "nothing: the accuracy is always measured where there are classes": (
            *_ACCURACY,
            *((name,) for name in _ACCURACY),
        ),
        SAME: (None, ()),
    },
)
_FINITE = "nothing: what is not finite is refused"
_NO_TRAINING = (
    "no choice: only backpropagate and fit compute as in training, with dropout and the batch's statistics"
)
_DATA = by_name(
    {
        "nothing: X is gone through in parts": ("batch_size", "steps"),
        "nothing: it is silent": ("verbose",),
        "threads: chainrule.set_threads(2)": ("n_jobs",),
        "nothing: X is in memory; chainrule.set_threads(2) is how many threads compute": (
            *("workers", "num_workers", "use_multiprocessing", "max_queue_size"),
        ),
        by_value("allow_nonfinite=True", {_FINITE: (True,)}): (
            *("check_finite", "force_all_finite", "ensure_all_finite"),
        ),
        by_value("allow_nonfinite=True", {_FINITE: (False,)}): ("allow_nan",),
        by_value("nothing: a prediction is never a training pass", {_NO_TRAINING: (True,)}): (
            *("training", "train"),
        ),
        by_value("nothing: a prediction is never a training pass", {_NO_TRAINING: (False,)}): (
            *("deterministic",),
        ),
    }
)
_WEIGHTED = {
    **_DATA,
    **by_name(
        {
            "sample_weight=w": ("sample_weights", "weights", "weight"),
        }
    ),
}
_LOSS = {**_WEIGHTED, **by_name({"loss='cross_entropy'": ("criterion", "loss_fn", "loss_function")})}
_FILE = by_name({"path='net.npz'": ("file", "f", "filename", "filepath", "fname", "file_path")})


_PRECISION = "precision='bfloat16', the only type that products are rounded to"
_PRECISION_WORDS = ("dtype_policy", "mixed_precision", "amp", "use_amp", "autocast", "bf16")
_APART = "nothing: a copy shares nothing with its network"
_SHARED = "no copy that shares: its parameters are its own"

NETWORKS: dict[str, dict[str, Advice]] = {
    "Network": by_name(
        {
            "input_shape=784": ("input_dim", "input_size", "inputs", "in_features", "batch_input_shape"),
            "seed=0": ("random_state", "rng", "random_seed", "rngs"),
            "it in chainrule.fit(network, X, y, epochs=…, batch_size=…, loss=…, optimizer=…, penalty=…)": (
                *("loss", "optimizer", "epochs", "batch_size", "penalty"),
            ),
            "chainrule.fit(network, X, y, optimizer=SGD(0.1)), whose 0.1 it is": ("learning_rate", "lr"),
            METRICS: ("metrics",),
            "the layers, [Dense(100), ReLU(), Dense(10), Softmax()]": ("hidden_layer_sizes", "activation"),
            _PRECISION: _PRECISION_WORDS,
            besides("no device: everything is computed on the CPU", "cpu", None): ("device",),
        }
    ),
    "Graph": by_name(
        {
            "the names of nodes in outputs=['kind', 'price']": ("output", "heads", "output_names"),
            "nodes={'a': Dense(8), 'b': (ReLU(), 'a')}": ("layers", "graph", "edges", "modules"),
            "their shapes by name in inputs={'image': (28, 28, 1), 'age': 4}": (
                *("input_shapes", "input", "input_names"),
            ),
            "input_shape=784": ("input_dim", "input_size", "in_features"),
            "seed=0": ("random_state", "rng", "random_seed", "rngs"),
            "it in chainrule.fit(network, X, y, epochs=…, batch_size=…, loss=…, optimizer=…, penalty=…)": (
                *("loss", "losses", "optimizer", "epochs", "batch_size", "penalty"),
            ),
            METRICS: ("metrics",),
            _PRECISION: _PRECISION_WORDS,
            besides("no device: everything is computed on the CPU", "cpu", None): ("device",),
        }
    ),
    "Network.save": _FILE,
    "load": {
        **_FILE,
        **by_name(
            {
                "layers=[MyLayer], the classes of your own layers": ("custom_objects", "classes"),
                besides("no place to load to: everything is computed on the CPU", "cpu", None): (
                    *("map_location", "device"),
                ),
                "nothing: no code from a file is run": ("weights_only", "safe_mode", "pickle_module"),
                "nothing: the file holds no optimizer": ("compile",),
            }
        ),
    },
    "Network.copy": by_name(
        {
            by_value(_APART, {_SHARED: (False,)}): ("deep",),
            by_value(_APART, {_SHARED: (True,)}): ("share",),
            _APART: ("memo",),
            _PRECISION: _PRECISION_WORDS,
            besides("no device: everything is computed on the CPU", "cpu", None): ("device",),
        }
    ),
    "Network.summary": by_name(
        {
            "nothing: every layer is listed, those within others too": (
                *("depth", "expand_nested", "layer_range", "verbose"),
            ),
            "nothing: the network knows the shape of its input": ("input_shape", "input_size", "input_data"),
            "nothing: a table is as wide as it must be": ("line_length", "positions", "col_width"),
            "print(network.summary()), which returns the text": ("print_fn",),
        }
    ),
    "Network.from_theta": by_name(
        {
            "values=[Theta1, Theta2], or them without a name": ("thetas", "theta", "weights", "parameters"),
            "hidden=Sigmoid(), and output=Sigmoid()": ("activation", "activations"),
            "nothing: the first matrix says how many inputs there are": ("input_shape",),
        }
    ),
    "Network.to_onnx": by_name(
        {
            "nothing: the number of samples, the first axis, is free in every model": (
                *("dynamic_axes", "dynamic_shapes", "batch_size", "dynamic"),
            ),
            "nothing: an input is called X, those of a Graph as it does, Graph(nodes, inputs={'x': 3})": (
                *("input_names", "input_name"),
            ),
            "nothing: the output is called a, several of a Graph as it does, outputs=['kind', 'price']": (
                *("output_names", "output_name"),
            ),
            "opset=17": ("opset_version", "target_opset", "opset_imports"),
            "nothing: the network knows the shape of its input": (
                *("args", "input_sample", "example_inputs", "dummy_input", "sample_input", "input_shape"),
                *("input_signature", "initial_types", "kwargs"),
            ),
            "path='net.onnx'": ("f", "file", "filename", "filepath", "file_path", "output_path", "save_path"),
            "nothing: the model holds the parameters, and predicts": (
                *("export_params", "do_constant_folding", "keep_initializers_as_inputs", "training"),
                *("dynamo", "external_data", "optimize", "verbose"),
            ),
        }
    ),
    "Network.predict": _DATA,
    "Network.classify": _DATA,
    "Network.accuracy": _WEIGHTED,
    "Network.loss": _LOSS,
    "Network.backpropagate": _LOSS,
}
