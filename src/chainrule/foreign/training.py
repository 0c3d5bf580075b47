"""What losses, optimizers, schedules, callbacks and `fit` take elsewhere, and what stands for it here."""

from __future__ import annotations

from chainrule.foreign.words import by_name

_COMPUTED = by_name(
    {
        "nothing: how it is computed does not change what": (
            *("foreach", "fused", "capturable", "differentiable", "jit_compile"),
        )
    }
)
_OPTIMIZER = {
    **_COMPUTED,
    **by_name(
        {
            "clip_sample_norm=1.0": ("l2_norm_clip", "max_grad_norm_per_sample"),
            "clip_norm=1.0": ("max_norm", "global_clipnorm", "max_grad_norm"),
            "no clipping of single arrays: clip_norm=1.0 is of the norm over all parameters": ("clipnorm",),
            "no clipping of single entries: clip_norm=1.0 is of the norm over all parameters": ("clipvalue",),
            "nothing: fit gives it the network's parameters": ("params", "parameters", "model_parameters"),
            "no maximisation": ("maximize",),
            "no average of the parameters": ("use_ema", "ema_momentum", "ema_overwrite_frequency"),
            "no step over several batches: batch_size in fit": ("gradient_accumulation_steps",),
            "no scaling of the loss": ("loss_scale_factor",),
        }
    ),
}


def _rate(usual: str) -> dict[str, str]:
    """The learning rate, with the default of the class."""
    return by_name(
        {
            f"rate={usual}": ("lr", "learning_rate", "eta", "learning_rate_init"),
            f"rate=ExponentialDecay({usual}), or another schedule": ("decay", "lr_decay", "power_t"),
        }
    )


_L2_PENALTY = {"weight_decay": "penalty=L2(1e-4) in fit, which leaves biases free"}
_EPSILON = {"eps": "epsilon=1e-8"}
_MOMENTS = {
    **_EPSILON,
    **_rate("0.001"),
    **by_name(
        {
            "beta1=0.9, beta2=0.999": ("betas", "beta_1", "beta_2", "b1", "b2"),
            "no AMSGrad": ("amsgrad",),
            "rate=0.001": ("alpha",),
            "no Nesterov momentum in Adam": ("nesterov",),
        }
    ),
}
_REDUCED = by_name(
    {
        "mean_outputs=True to divide by the number of outputs; samples are always averaged": (
            *("reduction", "size_average", "reduce"),
        )
    }
)
_SUMMED = by_name(
    {
        "no other reduction: outputs are summed, samples averaged": ("reduction", "size_average", "reduce"),
    }
)
_CLASSES = by_name(
    {
        "class_weight={0: 1.0, 1: 5.0} in fit": ("weight", "pos_weight", "class_weight", "class_weights"),
        "no label that does not count: give such samples sample_weight=0 in fit": (
            *("ignore_index", "ignore_class"),
        ),
        "nothing: end the network in its Softmax or Sigmoid, and the loss is computed from z": (
            "from_logits",
        ),
        "label_smoothing=0.1": ("smoothing",),
        "nothing: classes are along the last axis": ("axis", "dim"),
    }
)
_MARGIN = by_name(
    {
        "nothing: the margin is 1": ("margin",),
        "squared=True for p=2, as it is for p=1": ("p",),
        "class_weight={0: 1.0, 1: 5.0} in fit": ("weight",),
    }
)
_SCHEDULE = by_name(
    {
        "rate=0.1": ("lr", "learning_rate", "initial_learning_rate", "init_value", "base_lr", "eta_max"),
        "nothing: a schedule is the rate of an optimizer": ("optimizer",),
        "nothing: resume=history in fit goes on where it ended": ("last_epoch",),
    }
)
_STEPS = "no count in steps: schedules count epochs"
_MODE = by_name(
    {
        "nothing: a loss is better where it is smaller, an accuracy where it is larger": ("mode",),
        "nothing: it is silent": ("verbose",),
    }
)
_FIT = by_name(
    {
        "optimizer=SGD(0.1)": ("lr", "rate", "eta", "learning_rate", "learning_rate_init"),
        "optimizer=SGD(0.1, momentum=0.9)": ("momentum",),
        "optimizer=SGD(0.1, momentum=0.9, nesterov=True)": ("nesterov", "nesterovs_momentum"),
        "optimizer=SGD(CosineDecay(0.1))": ("schedule", "scheduler", "lr_scheduler"),
        "optimizer=SGD(0.1, clip_norm=1.0)": ("clip_norm", "max_grad_norm", "gradient_clip_val"),
        "optimizer=SGD(0.1, clip_sample_norm=1.0)": ("clip_sample_norm", "clip_per_sample", "l2_norm_clip"),
        "optimizer='adam'": ("optim", "solver", "optimiser"),
        "penalty=L2(1e-4); scikit-learn's alpha is L2(alpha, per_sample=True)": ("alpha",),
        "penalty=L2(1e-4), λ/2 · ΣW²": (
            *("l2", "lam", "lmbda", "regularization", "weight_decay", "kernel_regularizer"),
        ),
        "constraint=MaxNorm(3.0)": ("max_norm", "maxnorm", "kernel_constraint", "weight_constraint"),
        "loss='cross_entropy'": ("criterion", "loss_fn", "loss_function", "objective", "cost"),
        "epochs=10": (
            *("n_epochs", "num_epochs", "max_epochs", "nb_epoch", "n_iter", "max_iter", "iterations"),
        ),
        "batch_size=32": ("batch", "batchsize", "minibatch_size", "mini_batch_size"),
        "validation=(X_val, y_val)": (
            *("validation_data", "val_data", "evaluation_data", "eval_set", "X_val"),
        ),
        "validation=0.1": ("validation_split", "validation_fraction", "val_split", "test_size"),
        "progress=False, True or 'tqdm'": ("verbose", "progress_bar", "disp", "silent", "quiet"),
        "seed=0": ("random_state", "random_seed", "rng"),
        "sample_weight=w": ("sample_weights", "weights", "weight"),
        "class_weight='balanced' or {label: weight}": ("class_weights", "pos_weight", "scale_pos_weight"),
        "loss=CrossEntropy(label_smoothing=0.1)": ("label_smoothing", "smoothing"),
        "early_stopping=5": ("patience", "n_iter_no_change", "early_stopping_rounds", "early_stopping_n"),
        "early_stopping=EarlyStopping(5, min_delta=1e-4)": ("tol",),
        "callbacks=[function]": ("callback",),
        "threads=2": ("n_jobs", "num_threads", "n_threads", "workers", "nthread"),
        "nothing: the accuracy is always measured where there are classes": ("metrics",),
        "no clipping of single arrays: optimizer=SGD(0.1, clip_norm=1.0) takes them together": ("clipnorm",),
        "no part of an epoch: every epoch takes all samples": ("steps_per_epoch", "validation_steps"),
        "nothing: validation runs after every epoch": ("validation_freq", "validation_batch_size"),
        "nothing: fit always continues from the current weights; resume=history goes on with the optimizer's "
        "moments too": ("warm_start", "initial_epoch"),
    }
)
_FULL_BATCH = by_name(
    {
        "iterations=100": ("epochs", "max_iter", "maxiter", "n_iter", "MaxIter", "max_epochs"),
        "method='L-BFGS-B' or 'CG'": ("optimizer", "solver", "algorithm", "optim"),
        "tolerance=1e-5": ("tol", "gtol", "tolerance_grad"),
        "no limit of how J falls: tolerance=1e-5 is of the gradient": ("ftol", "tolerance_change"),
        "penalty=L2(1e-4); scikit-learn's alpha is L2(alpha, per_sample=True)": ("alpha",),
        "penalty=L2(1e-4), λ/2 · ΣW²": ("lam", "lmbda", "l2", "weight_decay"),
        "loss='cross_entropy'": ("criterion", "loss_fn", "cost", "fun"),
        "nothing: every step uses all samples; chainrule.fit takes mini-batches": (
            *("batch_size", "shuffle", "seed", "random_state"),
        ),
        "nothing: the line search finds the step's length": (
            *("rate", "lr", "learning_rate", "eta", "line_search_fn"),
        ),
        "nothing here: chainrule.fit has it": ("validation", "callbacks", "early_stopping", "constraint"),
        "progress=False, True or 'tqdm'": ("verbose", "disp", "progress_bar"),
        "no choice of how many steps are remembered": ("history_size", "maxcor"),
    }
)
_DATA = by_name(
    {
        "nothing: X is gone through in parts": ("batch_size", "steps"),
        "nothing: it is silent": ("verbose",),
        "threads: chainrule.set_threads(2)": ("workers", "n_jobs"),
        "allow_nonfinite=True": ("check_finite", "force_all_finite", "ensure_all_finite", "allow_nan"),
        "nothing: a prediction is never a training pass": ("training", "train", "deterministic"),
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
_NO_GAIN = by_name(
    {
        "no gain: it scales by the sizes alone": ("gain", "scale"),
        "no choice: it is by the inputs of a unit, and by both in Glorot": ("mode", "distribution"),
        "nothing: the seed is that of Network": ("seed", "generator", "rng"),
        "nothing: a layer's initializer is chosen by the activation behind it": ("nonlinearity",),
        "no slope: it is for ReLU": ("a", "negative_slope"),
    }
)
_SEEDED = dict.fromkeys(("seed", "generator", "rng"), "nothing: the seed is that of Network")

_FILE = by_name({"path='net.npz'": ("file", "f", "filename", "filepath", "fname", "file_path")})

TRAINING: dict[str, dict[str, str]] = {
    "SGD": {
        **_OPTIMIZER,
        **_rate("0.1"),
        **_L2_PENALTY,
        **by_name({"no dampening": ("dampening",), "rate=0.1": ("alpha",), "momentum=0.9": ("mu", "beta")}),
    },
    "Adam": {
        **_OPTIMIZER,
        **_MOMENTS,
        "weight_decay": "AdamW(weight_decay=0.01), or penalty=L2(1e-4) in fit",
        "decoupled_weight_decay": "AdamW(weight_decay=0.01)",
    },
    "AdamW": {**_OPTIMIZER, **_MOMENTS},
    "RMSProp": {
        **_OPTIMIZER,
        **_rate("0.001"),
        **_L2_PENALTY,
        **_EPSILON,
        **by_name(
            {
                "rho=0.99, the share of the squares that is kept": ("alpha", "decay_rate", "beta", "beta2"),
                "no form with the mean taken off": ("centered",),
            }
        ),
    },
    "BinaryCrossEntropy": {**_CLASSES, **_SUMMED},
    "CrossEntropy": {**_CLASSES, **_SUMMED},
    "SquaredError": {**_REDUCED, "squared": "no root of it: SquaredError is ½ e²"},
    "MeanAbsoluteError": _REDUCED,
    "Huber": {
        **_REDUCED,
        "beta": "delta=1.0; PyTorch's SmoothL1Loss(beta) is Huber(delta=beta) divided by beta",
    },
    "Poisson": {
        **_SUMMED,
        **by_name(
            {
                "log_input=True": ("from_logits",),
                "no log y!, which holds no a": ("full",),
                "no ε: 0 log 0 is 0": ("eps",),
            }
        ),
    },
    "Hinge": {**_SUMMED, **_MARGIN},
    "CategoricalHinge": {**_SUMMED, **_MARGIN},
    "StepDecay": {
        **_SCHEDULE,
        **by_name(
            {
                "every_epochs=10": ("step_size", "period", "drop_every"),
                "factor=0.1": ("gamma", "decay_rate", "drop"),
                _STEPS: ("decay_steps", "step_size_up"),
                "nothing: it falls in stairs": ("staircase",),
                "no list of epochs": ("milestones", "boundaries"),
            }
        ),
    },
    "CosineDecay": {
        **_SCHEDULE,
        **by_name(
            {
                "epochs=10; the rate moves with every step": ("T_max", "num_epochs", "max_epochs"),
                "floor=0.001": ("eta_min", "min_lr", "end_value"),
                "floor=0.001, a rate: alpha · rate": ("alpha",),
                "warmup_epochs=1": ("warmup",),
                _STEPS: ("decay_steps", "warmup_steps", "num_warmup_steps", "num_training_steps"),
                "no rate to warm up to but `rate`": ("warmup_target",),
                "no restart": ("T_0", "T_mult", "first_decay_steps"),
            }
        ),
    },
    "ExponentialDecay": {
        **_SCHEDULE,
        **by_name(
            {
                "factor_per_epoch=0.95": ("gamma", "decay_rate", "factor"),
                _STEPS: ("decay_steps", "transition_steps"),
                "StepDecay(0.1, factor=0.5, every_epochs=10)": ("staircase",),
            }
        ),
    },
    "EarlyStopping": {
        **_MODE,
        **by_name(
            {
                "patience=5": ("n_iter_no_change", "rounds", "early_stopping_rounds"),
                "min_delta=1e-4": ("tol", "threshold", "delta"),
                "restore_best=True": ("restore_best_weights",),
                "no value to reach": ("baseline", "stopping_threshold"),
                "no epoch that does not count": ("start_from_epoch", "warmup"),
            }
        ),
    },
    "Checkpoint": {
        **_MODE,
        **by_name(
            {
                "path='net.npz'": ("filepath", "filename", "dirpath", "file"),
                "best_only=True": ("save_best_only",),
                "every=1, in epochs": ("save_freq", "period", "every_n_epochs", "save_every"),
                "no file of parameters alone": ("save_weights_only",),
                "no value to be better than": ("initial_value_threshold",),
                "best_only=True, which keeps one file": ("save_top_k",),
            }
        ),
    },
    "L2": by_name(
        {
            "lam=1e-4, for λ/2 · ΣW²": ("alpha", "weight_decay", "lmbda", "lambda_", "strength"),
            "lam=1e-4, for λ/2 · ΣW²: twice Keras's l2": ("l2",),
            "no l1 here: L1(1e-5), or ElasticNet(1e-5, 1e-4)": ("l1",),
        }
    ),
    "L1": by_name(
        {
            "lam=1e-5": ("alpha", "l1", "lmbda", "lambda_", "strength"),
            "no l2 here: L2(1e-4), or ElasticNet(1e-5, 1e-4)": ("l2",),
        }
    ),
    "ElasticNet": by_name(
        {"l1=1e-5, l2=1e-4: alpha · l1_ratio and alpha · (1 - l1_ratio)": ("alpha", "l1_ratio", "lam")}
    ),
    "MaxNorm": by_name(
        {
            "MaxNorm(3.0)": ("max_value", "c", "max_norm", "value", "norm"),
            "nothing: a unit's incoming weights are a row of a dense W or a filter": ("axis", "axes", "dim"),
        }
    ),
    "Normal": {
        **_SEEDED,
        **by_name({"std=0.05": ("stddev", "sigma", "scale"), "no mean but 0": ("mean", "loc", "mu")}),
    },
    "Uniform": {
        **_SEEDED,
        **by_name(
            {"limit=0.05, from -limit to limit": ("minval", "maxval", "a", "b", "low", "high", "scale")}
        ),
    },
    "Constant": by_name({"value=0.1": ("val", "fill_value", "c")}),
    **dict.fromkeys(("Glorot", "He", "ScaledNormal", "Orthogonal"), _NO_GAIN),
    **dict.fromkeys(("Zeros", "Ones"), _SEEDED),
    "Network": by_name(
        {
            "input_shape=784": ("input_dim", "input_size", "inputs", "in_features", "batch_input_shape"),
            "seed=0": ("random_state", "rng", "random_seed", "rngs"),
            "it in chainrule.fit(network, X, y, epochs=…, batch_size=…, loss=…, optimizer=…, penalty=…)": (
                *("loss", "optimizer", "epochs", "batch_size", "penalty"),
            ),
            "chainrule.fit(network, X, y, optimizer=SGD(0.1)), whose 0.1 it is": ("learning_rate", "lr"),
            "nothing: fit measures the accuracy wherever there are classes": ("metrics",),
            "the layers, [Dense(100), ReLU(), Dense(10), Softmax()]": ("hidden_layer_sizes", "activation"),
            "no device: everything is computed on the CPU": ("device",),
        }
    ),
    "Network.save": _FILE,
    "load": {
        **_FILE,
        **by_name(
            {
                "layers=[MyLayer], the classes of your own layers": ("custom_objects", "classes"),
                "no place to load to: everything is computed on the CPU": ("map_location", "device"),
                "nothing: no code from a file is run": ("weights_only", "safe_mode", "pickle_module"),
                "nothing: the file holds no optimizer": ("compile",),
            }
        ),
    },
    "Network.copy": by_name(
        {
            "nothing: a copy shares nothing with its network": ("deep", "memo", "share"),
            "no device: everything is computed on the CPU": ("device",),
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
    "Network.predict": _DATA,
    "Network.classify": _DATA,
    "Network.accuracy": _WEIGHTED,
    "Network.loss": _LOSS,
    "Network.backpropagate": _LOSS,
    "fit": _FIT,
    "fit_full_batch": _FULL_BATCH,
    "check_gradients": by_name(
        {
            "nothing: the steps are chosen by the size of the numbers": ("eps", "epsilon", "h", "step"),
            "tolerance=1e-6, of the relative error": ("rtol", "atol", "tol"),
            "nothing: report.raise_if_wrong() raises": ("raise_exception",),
            "entries='all' or 20": ("samples", "n_checks", "num_checks"),
        }
    ),
}
