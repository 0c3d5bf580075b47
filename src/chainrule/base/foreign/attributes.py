"""Methods and attributes that networks and layers have elsewhere, and what stands for them here."""

from __future__ import annotations

from chainrule.base.foreign.words import by_name

FREEZE = "chainrule.fit(network, X, y, freeze=['dense1']), the names of layers that are not to change"
_FIT = "chainrule.fit(network, X, y)"
_CPU = "nothing: everything is computed on the CPU"
_PARAMETERS = "network.parameters, a dict by name: network.parameters['dense1.W']"
_ARRAYS = "network.parameters['dense1.W'], an array, and network.parameters['dense1.b'] where there is a bias"
_STEP = "network.backpropagate(X, y), whose activations, deltas and gradients are by name"
_LAYERS = "network.layers, a tuple"
_WHOLE = "Network([..., Dense(10)], input_shape=784), with all layers at once"
_HISTORY = "the history that chainrule.fit(network, X, y) returns, and network.history holds"

# Of a network.
METHODS = by_name(
    {
        _FIT: (
            "fit",
            "train_on_batch",
            "partial_fit",
            "fit_transform",
            "fit_predict",
            "fit_generator",
            "fine_tune",
            "learn",
        ),
        f"{_FIT}; every other pass is a prediction": ("train", "training"),
        "network.predict(X), which drops nothing and takes the running statistics": ("eval", "eval_mode"),
        "chainrule.fit(network, X, y, loss='cross_entropy', optimizer='adam'), which takes all of it": (
            *("compile", "optimizer", "lr", "learning_rate", "criterion", "solver", "loss_fn"),
        ),
        "network.predict(X)": (
            *("predict_proba", "forward", "predict_on_batch", "apply", "call", "infer", "transform"),
            *("get_preds", "__call__", "decision_function", "forward_pass"),
        ),
        "numpy.log(network.predict(X))": ("predict_log_proba",),
        "network.classify(X)": ("predict_classes", "predict_label", "predict_labels", "predict_class"),
        "network.loss(X, y) or network.accuracy(X, y)": ("evaluate", "test_on_batch", "validate", "test"),
        "network.accuracy(X, y)": ("score", "acc", "accuracy_score"),
        _STEP: (
            "backward",
            "zero_grad",
            "grad",
            "gradients",
            "gradient",
            "get_gradients",
            "backprop",
            "step",
        ),
        "network.activations(X), by layer": (
            *("get_activations", "hidden", "register_forward_hook", "feature_extractor"),
        ),
        _PARAMETERS: (
            *(
                "state_dict",
                "weights",
                "get_weights",
                "coefs_",
                "intercepts_",
                "named_parameters",
                "variables",
            ),
            *(
                "trainable_weights",
                "trainable_variables",
                "non_trainable_weights",
                "params",
                "get_parameters",
            ),
            *("trainable_parameters", "buffers", "coef_", "intercept_"),
        ),
        _ARRAYS: ("W", "b", "weight", "bias", "kernel"),
        "network.set_parameters({'dense1.W': W, 'dense1.b': b}), some or all of them by name": (
            *("load_state_dict", "set_weights", "set_params", "load_parameters"),
        ),
        "network.count_parameters()": (
            "count_params",
            "num_parameters",
            "n_params",
            "num_params",
            "n_parameters",
        ),
        _WHOLE: ("add", "append", "pop", "insert", "extend", "add_module", "build", "built"),
        FREEZE: (
            *(
                "trainable",
                "freeze",
                "unfreeze",
                "freeze_to",
                "requires_grad_",
                "requires_grad",
                "freeze_layers",
                "frozen",
            ),
        ),
        _LAYERS: (
            "modules",
            "children",
            "named_modules",
            "named_children",
            "get_layer",
            "layer",
            "n_layers_",
        ),
        "network.input_shape": (
            "input",
            "inputs",
            "input_dim",
            "n_features_in_",
            "in_features",
            "input_size",
        ),
        "network.output_shape": ("output", "outputs", "output_dim", "n_outputs_", "out_features"),
        "network.classes": ("classes_", "vocab", "labels"),
        f"{_HISTORY}: history.loss": (
            "loss_curve_",
            "best_loss_",
            "n_iter_",
            "history_",
            "losses",
            "recorder",
        ),
        "context.stop(), in a callback of fit": ("stop_training",),
        f"{_CPU}; network.copy(dtype='float64') is of another dtype": (
            *("to", "cuda", "cpu", "device", "to_device", "gpu"),
        ),
        "network.copy(dtype='float64')": ("double", "astype", "type"),
        "network.copy(dtype='float32')": ("float",),
        "network.copy(precision='bfloat16'), whose products are of bfloat16 beside dtype='float32'": (
            *("half", "float16"),
        ),
        "network.copy(precision='bfloat16'), whose products are of bfloat16": ("bfloat16", "dtype_policy"),
        "network.copy()": ("clone", "deepcopy", "get_copy"),
        "network.to_onnx('net.onnx'), or network.save('net.npz') for chainrule itself": ("export", "onnx"),
        "network.save('net.npz')": (
            "save_weights",
            "save_model",
            "dump",
            "to_file",
            "save_pretrained",
        ),
        "chainrule.load('net.npz')": (
            "load",
            "load_weights",
            "load_model",
            "from_file",
            "from_pretrained",
            "restore",
        ),
        "network.summary()": ("plot", "show", "describe", "info", "print_summary", "plot_model"),
        "print(network), whose repr names every layer with its options": (
            "to_json",
            "get_config",
            "get_params",
        ),
        "network.reinitialise(seed=0)": (
            *(
                "reset",
                "reset_parameters",
                "init",
                "init_weights",
                "initialize",
                "reset_states",
                "reinitialize",
            ),
        ),
        "no search of a rate: a chainrule.fit(network.copy(), X, y, optimizer=chainrule.SGD(0.1)) shows it": (
            *("lr_find", "fit_one_cycle"),
        ),
        "nothing: chainrule.fit(network, X, y) compiles it": ("jit", "compiled", "script"),
        "chainrule.check_gradients(network, X, y)": ("gradcheck", "check_gradients", "gradient_check"),
        "chainrule.explain(network, X[:2], y[:2])": ("explain", "derivation", "derive"),
    }
)

# Of a network, where it is set and can only be read.
SET = by_name(
    {
        "Network([...], input_shape=784) anew, with other layers": ("layers", "input_shape", "output_shape"),
        "network.set_parameters({'dense1.W': W, 'dense1.b': b}), some or all of them by name": (
            *("parameters", "weights", "coefs_", "W", "b", "theta"),
        ),
        "chainrule.fit(network, X, y, loss='cross_entropy')": ("loss",),
        "chainrule.fit(network, X, y, penalty=chainrule.L2(1e-4))": ("penalty", "alpha", "weight_decay"),
        "chainrule.fit(network, X, y, batch_size=32, epochs=5)": ("batch_size", "epochs"),
    }
)

# Of an estimator.
ESTIMATOR = by_name(
    {
        "model.history_, what fit returned": ("history", "history_dict"),
        "model.network_.summary()": ("summary", "get_config", "describe"),
        "model.network_.save('net.npz')": (
            *("save", "save_model", "save_params", "save_weights", "dump"),
        ),
        "model.score(X, y)": ("evaluate", "accuracy", "test", "score_"),
        "model.predict(X)": (
            *("predict_classes", "predict_label", "predict_labels", "forward", "predict_on_batch"),
        ),
        "model.network_.parameters, a dict by name": (
            *("coefs_", "intercepts_", "coef_", "intercept_", "weights", "weights_", "get_weights"),
            *("state_dict",),
        ),
        "model.network_": ("module_", "model_", "module", "model", "net_", "network"),
        "model.network_.layers": ("layers_", "n_layers_"),
        "model.history_.loss": ("losses_", "train_loss_", "loss_curve_", "loss_", "best_loss_"),
        "len(model.history_)": ("n_iter_", "n_epochs_", "epochs_"),
        "model.network_.to_onnx('net.onnx')": ("to_onnx", "export"),
        "chainrule.explain(model.network_, ...)": ("explain", "explain_"),
        "no steps by hand here: NetworkClassifier and NetworkRegressor have partial_fit": (
            *("partial_fit", "train_on_batch"),
        ),
        "nothing: fit takes what the constructor was given": ("compile", "initialize", "build", "train"),
        "sklearn.inspection.permutation_importance(model, X, y)": ("feature_importances_",),
    }
)

# Of a layer.
LAYER_ATTRIBUTES = by_name(
    {
        FREEZE: ("trainable", "requires_grad", "requires_grad_", "freeze", "frozen"),
        f"{_ARRAYS}: parameters are the network's, by the layer's name": (
            *(
                "weight",
                "weights",
                "W",
                "b",
                "kernel",
                "get_weights",
                "bias_",
                "variables",
                "params",
                "gamma",
                "beta",
            ),
            *("state_dict", "weight_ih_l0", "embeddings", "trainable_weights", "coefs_"),
        ),
        "network.set_parameters({'dense1.W': W, 'dense1.b': b})": ("set_weights", "load_state_dict"),
        "network.backpropagate(X, y).activations, by layer": ("input", "outputs_", "activations", "z", "a"),
        "network.backpropagate(X, y).gradients, by parameter": ("grad", "gradient", "dW", "db"),
        "network.shapes, by layer": (
            "in_features",
            "out_features",
            "input_shape",
            "in_channels",
            "input_dim",
        ),
        "the activation as a layer of its own, behind it: network.layers": ("activation", "nonlinearity"),
        "chainrule.fit(network, X, y, penalty=chainrule.L2(1e-4))": ("kernel_regularizer", "weight_decay"),
        "network.count_parameters(), of all layers": ("count_params",),
        "nothing: a network calls it, network.predict(X)": (
            "call",
            "apply",
            "register_forward_hook",
            "build",
        ),
        "nothing: chainrule.fit(network, X, y) trains, network.predict(X) does not": (
            "train",
            "eval",
            "training",
        ),
        "nothing: everything is computed on the CPU": ("to", "cuda", "cpu", "device"),
    }
)

# Of a report.
REPORT = by_name(
    {
        "report.html('report.html'), which gives the text, too": (
            *("save", "write", "to_html", "save_html", "export", "render", "to_file", "show", "open"),
        ),
        "report.markdown('report.md')": ("to_markdown", "md", "to_md"),
        "report.latex('report.tex')": ("to_latex", "tex", "to_tex", "pdf", "to_pdf"),
        "report.document, which json.dumps takes": ("json", "to_json", "to_dict", "as_dict", "data"),
        "report.print(), or print(report)": ("text", "to_text", "summary", "display"),
    }
)

# Of a history.
HISTORY = by_name(
    {
        "history.loss, history.validation_loss and the other columns, lists": (
            "history",
            "columns",
            "metrics",
        ),
        "history.validation_loss": ("val_loss", "valid_loss", "test_loss"),
        "history.validation_accuracy": ("val_accuracy", "val_acc", "valid_acc"),
        "history.accuracy": ("acc", "train_accuracy", "train_acc", "categorical_accuracy"),
        "history.loss": ("train_loss", "losses", "loss_curve_", "training_loss"),
        "history.rate": ("lr", "learning_rate", "rates", "lrs"),
        "history.epoch": ("epochs", "params"),
        "network.loss(X, y), history is what was": ("evaluate",),
    }
)

# Of a parameter, behind its layer's name: what it may be called here.
PARAMETERS = by_name(
    {
        ("W", "gamma", "E", "alpha"): ("weight", "weights", "kernel", "w", "coef", "scale", "embeddings"),
        ("b", "beta"): ("bias", "biases", "B"),
        ("mean",): ("running_mean", "moving_mean"),
        ("variance",): ("running_var", "moving_variance", "var"),
        ("U",): ("recurrent_kernel", "weight_hh_l0"),
        ("V",): ("weight_hr_l0",),
    }
)
