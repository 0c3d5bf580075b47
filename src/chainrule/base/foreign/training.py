"""What optimizers, schedules, callbacks and `fit` take elsewhere, and what stands for it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.base.foreign.losses import LOSSES, SCALED
from chainrule.base.foreign.networks import METRICS, NETWORKS
from chainrule.base.foreign.words import SAME, Advice, besides, by_name, by_value

_COMPUTED = by_name(
    {
        "nothing: how it is computed does not change what": (
            *("foreach", "fused", "capturable", "jit_compile"),
        ),
        besides("no gradient through a step", False): ("differentiable",),
    }
)
_OPTIMIZER = {
    **_COMPUTED,
    **by_name(
        {
            "clip_sample_norm=1.0": ("l2_norm_clip", "max_grad_norm_per_sample"),
            besides("clip_norm=1.0", None): ("max_norm", "global_clipnorm", "max_grad_norm"),
            besides("no clipping of single arrays: clip_norm=1.0 is of the norm over all parameters", None): (
                *("clipnorm",),
            ),
            besides(
                "no clipping of single entries: clip_norm=1.0 is of the norm over all parameters", None
            ): ("clipvalue",),
            "nothing: fit gives it the network's parameters": ("params", "parameters", "model_parameters"),
            besides("no maximisation", False): ("maximize",),
            besides("callbacks=ExponentialAverage(0.99) in fit", False): ("use_ema",),
            "callbacks=ExponentialAverage(0.99) in fit": ("ema_momentum", "ema_overwrite_frequency"),
            besides("accumulate=4 in fit", None, 1): ("gradient_accumulation_steps",),
            besides("no scaling of the loss", None, 1): ("loss_scale_factor",),
        }
    ),
}


def _rate(usual: str) -> dict[str, Advice]:
    """The learning rate, with the default of the class."""
    return by_name(
        {
            f"rate={usual}": ("lr", "learning_rate", "eta", "learning_rate_init"),
            besides(f"rate=ExponentialDecay({usual}), or another schedule", 0, None): (
                *("decay", "lr_decay", "power_t"),
            ),
        }
    )


_L2_PENALTY = {"weight_decay": besides("penalty=L2(1e-4) in fit, which leaves biases free", 0, None)}
_EPSILON = {"eps": "epsilon=1e-8"}
_MOMENTS = {
    **_EPSILON,
    **_rate("0.001"),
    **by_name(
        {
            "beta1=0.9, beta2=0.999": ("betas", "beta_1", "beta_2", "b1", "b2"),
            besides("no AMSGrad", False): ("amsgrad",),
            "rate=0.001": ("alpha",),
            besides("no Nesterov momentum in Adam", False): ("nesterov",),
        }
    ),
}
_DECOUPLED = {
    "decoupled_weight_decay": besides("weight_decay=0.01, which is decoupled always", True),
}
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
        by_value("no report of its own: fit(progress=True) shows every epoch", {SAME: (0, None)}): (
            *("verbose",),
        ),
    }
)
_PROGRESS = "progress=False, True or 'tqdm'"
_SHOWN = by_value(_PROGRESS, {"progress=False": (0,), "progress=True": (1, 2)})
_HIDDEN = by_value(_PROGRESS, {"progress=False": (1,), "progress=True": (0,)})
_CONTINUES = (
    "nothing: fit always continues from the current weights; resume=history goes on with the optimizer's "
    "moments too"
)
_LAYERS = "it in Network([Dense(100), ReLU(), Dense(10), Softmax()], input_shape=784)"
_DTYPE = "dtype='float64' in Network"
_WORKERS = "nothing: X is in memory; threads=2 is how many threads compute"
_FIT = by_name(
    {
        "optimizer=SGD(0.1)": ("lr", "rate", "eta", "learning_rate", "learning_rate_init"),
        "optimizer=SGD(0.1, momentum=0.9)": ("momentum",),
        by_value(
            "optimizer=SGD(0.1, momentum=0.9, nesterov=True)", {"optimizer=SGD(0.1, momentum=0.9)": (False,)}
        ): ("nesterov", "nesterovs_momentum"),
        "optimizer=SGD(CosineDecay(0.1))": ("schedule", "scheduler", "lr_scheduler"),
        "optimizer=SGD(0.1, clip_norm=1.0)": ("clip_norm", "max_grad_norm", "gradient_clip_val"),
        "optimizer=SGD(0.1, clip_sample_norm=1.0)": ("clip_sample_norm", "clip_per_sample", "l2_norm_clip"),
        "optimizer='adam'": ("optim", "solver", "optimiser"),
        "penalty=L2(1e-4), λ/2 · ΣW²; for scikit-learn's alpha λ = alpha / batch_size": ("alpha",),
        besides("penalty=L2(1e-4), λ/2 · ΣW²", None, 0): (
            *("l2", "lam", "lmbda", "regularization", "weight_decay"),
        ),
        besides("penalty=L2(1e-4), λ/2 · ΣW²: λ is twice Keras's l2", None): ("kernel_regularizer",),
        "constraint=MaxNorm(3.0) for weights, optimizer=SGD(0.1, clip_norm=3.0) for gradients": ("max_norm",),
        besides("constraint=MaxNorm(3.0)", None): ("maxnorm", "kernel_constraint", "weight_constraint"),
        "loss=Losses({'kind': CrossEntropy()}, weights={'kind': 0.5}) of a Graph with several outputs": (
            *("loss_weights", "loss_weight", "losses"),
        ),
        "loss='cross_entropy'": ("criterion", "loss_fn", "loss_function", "objective", "cost"),
        "epochs=10": (
            *("n_epochs", "num_epochs", "max_epochs", "nb_epoch", "n_iter", "max_iter", "iterations"),
        ),
        "batch_size=32": ("batch", "batchsize", "minibatch_size", "mini_batch_size"),
        besides("validation=(X_val, y_val)", None): (
            *("validation_data", "val_data", "evaluation_data", "eval_set", "X_val"),
        ),
        besides("validation=0.1", 0): ("validation_split", "validation_fraction", "val_split", "test_size"),
        _SHOWN: ("verbose", "progress_bar", "disp"),
        _HIDDEN: ("silent", "quiet"),
        "seed=0": ("random_state", "random_seed", "rng"),
        "sample_weight=w": ("sample_weights", "weights", "weight"),
        besides("class_weight='balanced' or {label: weight}", None): ("class_weights",),
        besides(f"class_weight={{0: 1.0, 1: 5.0}} where the network has one output, {SCALED}", None, 1): (
            *("pos_weight", "scale_pos_weight"),
        ),
        besides(
            "loss=CrossEntropy(label_smoothing=0.1) behind a Softmax, BinaryCrossEntropy behind a Sigmoid", 0
        ): ("label_smoothing", "smoothing"),
        "early_stopping=5": ("patience", "n_iter_no_change", "early_stopping_rounds", "early_stopping_n"),
        "early_stopping=EarlyStopping(5, min_delta=1e-4)": ("tol",),
        besides("callbacks=[function]", None): ("callback", "cbs", "logger", "on_epoch_end", "log_every"),
        besides("no device: everything is computed on the CPU", "cpu", None): (
            "device",
            "gpus",
            "accelerator",
        ),
        _LAYERS: ("hidden_layer_sizes", "activation", "layers", "input_shape", "units", "dropout"),
        _DTYPE: ("dtype",),
        "precision='bfloat16' in Network": ("precision", "mixed_precision", "amp", "half", "use_amp"),
        "seed=0 here, and in Network([...], seed=0) for the parameters": ("generator", "key", "torch_seed"),
        "no folds: fit once for each, after network.reinitialise(0)": ("cv", "n_splits", "folds", "kfold"),
        besides("optimizer=SGD(0.1, clip_norm=1.0)", None): (
            "grad_clip",
            "gradient_clip",
            "clip",
            "clip_grad",
        ),
        besides("accumulate=4", None, 1): (
            *(
                "accumulate_grad_batches",
                "gradient_accumulation_steps",
                "accumulation_steps",
                "accumulate_steps",
            ),
        ),
        besides("early_stopping=5, which gives the best epoch's parameters back", False): (
            *("save_best", "save_best_only", "restore_best_weights", "restore_best", "load_best"),
        ),
        "callbacks=[Checkpoint('net.npz')]": ("checkpoint_path", "save_path", "filepath"),
        "checkpoint='runs/a', which holds all of the training": (
            *("checkpoint_dir", "ckpt_path", "resume_from", "resume_from_checkpoint", "backup_dir"),
        ),
        "validation=(X_val, y_val), both in one": ("x_val", "y_val", "X_valid", "y_valid", "val_loader"),
        "X=X, an array, and batch_size=32": (
            "inputs",
            "data",
            "train_loader",
            "dataset",
            "dataloader",
            "train_data",
        ),
        "y=y": ("targets", "labels", "target", "train_labels", "output"),
        "network=network": ("model", "net", "estimator", "module"),
        "epochs=10, each of all samples": (
            "steps",
            "num_iterations",
            "max_steps",
            "num_steps",
            "total_steps",
        ),
        "threads=2": ("n_jobs", "num_threads", "n_threads", "nthread"),
        _WORKERS: ("workers", "num_workers", "use_multiprocessing", "max_queue_size"),
        METRICS: ("metrics",),
        besides(
            "no clipping of single arrays: optimizer=SGD(0.1, clip_norm=1.0) takes them together", None
        ): ("clipnorm",),
        besides("no part of the validation data: it is gone through whole", None): ("validation_steps",),
        "freeze=['conv*'], layers or parameters by name": ("frozen", "freeze_layers", "trainable", "fixed"),
        "rate_factors={'conv*': 0.1}": (
            *("lr_mult", "lr_multipliers", "learning_rates", "rates", "layer_rates", "param_groups"),
        ),
        by_value(
            "no other rhythm: validation runs after every epoch",
            {"nothing: validation runs after every epoch": (1,)},
        ): ("validation_freq",),
        "nothing: X is gone through in parts": ("validation_batch_size",),
        by_value(
            _CONTINUES,
            {"no fresh start: fit continues from the current weights, so make the Network anew": (False,)},
        ): ("warm_start",),
        _CONTINUES: ("initial_epoch",),
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
        "nothing here: SciPy keeps what the method remembers to itself. Called again, with the rest of the "
        "iterations, it begins from the network's parameters; chainrule.fit keeps checkpoints": (
            *("checkpoint", "resume"),
        ),
        _SHOWN: ("verbose", "disp", "progress_bar"),
        "no choice of how many steps are remembered": ("history_size", "maxcor"),
    }
)
_NO_CHOICE = "no choice: it is by the inputs of a unit, and by both in Glorot"
_NO_GAIN = by_name(
    {
        besides("no gain: it scales by the sizes alone", 1): ("gain",),
        "no gain: it scales by the sizes alone": ("scale",),
        _NO_CHOICE: ("mode", "distribution"),
        "nothing: the seed is that of Network": ("seed", "generator", "rng"),
        "nothing: a layer's initializer is chosen by the activation behind it": ("nonlinearity",),
        besides("no slope: it is for ReLU", 0): ("a", "negative_slope"),
    }
)
_NORMAL = {
    **_NO_GAIN,
    "mode": besides(_NO_CHOICE, "fan_in"),
    "distribution": besides("no distribution but the normal one", "normal", "untruncated_normal"),
}
_SEEDED: dict[str, Advice] = dict.fromkeys(
    ("seed", "generator", "rng"), "nothing: the seed is that of Network"
)

_HIDDEN_LAYERS = "hidden_layers=(100, 50), or layers=[Dense(100), ReLU(), Dense(50), ReLU()]"
_ESTIMATOR = by_name(
    {
        "epochs=100": (
            *("max_iter", "n_epochs", "num_epochs", "max_epochs", "nb_epoch", "n_iter", "iterations"),
        ),
        _HIDDEN_LAYERS: ("hidden_layer_sizes", "hidden_units", "hidden_sizes", "units"),
        "learning_rate=0.01, a number or a schedule": (
            *("learning_rate_init", "lr", "rate", "eta", "eta0", "lr_scheduler", "scheduler", "schedule"),
        ),
        "solver=SGD(0.1, momentum=0.9)": ("momentum",),
        by_value(
            "solver=SGD(0.1, momentum=0.9, nesterov=True)", {"solver=SGD(0.1, momentum=0.9)": (False,)}
        ): ("nesterov", "nesterovs_momentum"),
        "solver=Adam(0.001, beta1=0.9, beta2=0.999)": ("beta_1", "beta_2", "betas", "beta1", "beta2"),
        "solver=Adam(0.001, epsilon=1e-8)": ("epsilon", "eps"),
        "learning_rate=ExponentialDecay(0.1, 0.9), or another schedule": ("power_t",),
        "solver='adam', or SGD(0.1, momentum=0.9)": ("optimizer", "optim", "optimiser"),
        "penalty=L2(1e-4), λ/2 · ΣW²; for scikit-learn's alpha λ = alpha / batch_size": ("alpha",),
        besides("penalty=L2(1e-4), λ/2 · ΣW²", None, 0): (
            *("l2", "lam", "lmbda", "regularization", "weight_decay", "kernel_regularizer"),
        ),
        "loss='cross_entropy'": ("criterion", "loss_fn", "loss_function"),
        "early_stopping=10": ("n_iter_no_change", "patience", "early_stopping_rounds"),
        "early_stopping=EarlyStopping(10, min_delta=1e-4)": ("tol",),
        "validation_fraction=0.1": ("validation_split", "val_split", "test_size", "validation_size"),
        "no validation data here: fit(X, y, X_val=..., y_val=...) takes them": (
            *("validation", "validation_data", "eval_set", "X_val", "y_val"),
        ),
        "random_state=0": ("seed", "random_seed", "rng"),
        "threads=2": ("n_jobs", "num_threads", "n_threads", "nthread"),
        by_value("verbose=True", {"verbose=False": (0,)}): ("progress", "progress_bar", "disp"),
        "no limit of evaluations: epochs=100 is of iterations": ("max_fun",),
        "batch_size=32": ("batch", "batchsize", "minibatch_size", "mini_batch_size"),
        "callbacks=[function]": ("callback", "cbs"),
        besides("no device: everything is computed on the CPU", "cpu", None): ("device",),
        "nothing: the network has the type of X, X.astype('float32')": ("dtype",),
        "layers=[Dense(50), ReLU()]": ("network", "module", "model"),
        "class_weight='balanced' or {label: weight}": ("class_weights",),
        "normalization='batch'": ("batch_norm", "batchnorm", "normalisation", "norm"),
        "dropout=0.2": ("dropout_rate", "drop_rate"),
        "validation_fraction=0.1, or None, of skorch's train_split": ("train_split",),
        "learning_rate=0.01, or solver=SGD(0.1, momentum=0.9)": ("optimizer__lr", "optimizer__momentum"),
        "shuffle=True": ("iterator_train__shuffle",),
        "no metric here: history_ has loss and accuracy, score and cross_validate any other": ("metrics",),
        "nothing: inputs and outputs are counted in fit": (
            *("input_dim", "n_features", "num_classes", "n_classes", "n_outputs"),
        ),
        "no column of levels here: TabularClassifier and TabularRegressor take a table as it is": (
            *("cat_features", "categorical_features"),
        ),
    }
)
_TABULAR = by_name(
    {
        "epochs=256": ("max_iter", "n_epochs", "num_epochs", "max_epochs", "iterations"),
        "random_state=0": ("seed", "random_seed", "rng"),
        "threads=2": ("n_jobs", "num_threads", "n_threads", "nthread"),
        "validation_fraction=0.2": ("validation_split", "val_split", "test_size", "val_fraction"),
        "kinds={'zip': 'levels'}": ("categorical_features", "cat_features", "cat_col_names", "cat_indicator"),
        "no other network: chainrule.estimators.NetworkClassifier and NetworkRegressor have any": (
            *("layers", "hidden_layers", "hidden_layer_sizes", "activation", "hidden_sizes"),
        ),
        "no other figures than those that were published: these have no rate, no batch and no penalty": (
            *(
                "learning_rate",
                "learning_rate_init",
                "lr",
                "batch_size",
                "solver",
                "penalty",
                "alpha",
                "loss",
                "optimizer",
                "weight_decay",
                "dropout",
                "momentum",
                "criterion",
            ),
        ),
        "no ensemble here: VotingClassifier and BaggingClassifier of scikit-learn take several": (
            *("n_ens", "n_estimators", "n_cv"),
        ),
        "nothing: the best epoch on the rows held out is kept": (
            *("early_stopping", "n_iter_no_change", "tol", "patience", "use_early_stopping"),
            *("early_stopping_rounds",),
        ),
        "no validation data here: fit(X, y, X_val=..., y_val=...) takes them": (
            *("validation", "validation_data", "eval_set", "X_val", "y_val"),
        ),
        besides("no device: everything is computed on the CPU", "cpu", None): ("device",),
    }
)

_NO_VALIDATION = (
    "no validation data here: early_stopping=True holds some rows out; NetworkClassifier takes them"
)
_MULTILAYER = by_name(
    {
        "max_iter=200": (
            *("epochs", "n_epochs", "num_epochs", "max_epochs", "nb_epoch", "n_iter", "iterations"),
        ),
        "hidden_layer_sizes=(100, 50)": (
            *("hidden_layers", "hidden_units", "hidden_sizes", "units", "n_hidden", "n_units"),
        ),
        "learning_rate_init=0.001": ("lr", "rate", "eta", "eta0"),
        "learning_rate='adaptive', or 'invscaling', of solver='sgd'": (
            *("schedule", "scheduler", "lr_scheduler"),
        ),
        "alpha=1e-4": ("l2", "lam", "lmbda", "weight_decay", "penalty", "regularization", "reg_lambda"),
        "solver='adam'": ("optimizer", "optim", "optimiser"),
        "n_iter_no_change=10": ("patience", "early_stopping_rounds"),
        "beta_1=0.9": ("beta1",),
        "beta_2=0.999": ("beta2",),
        "beta_1=0.9, beta_2=0.999": ("betas",),
        "epsilon=1e-8": ("eps",),
        "nesterovs_momentum=True": ("nesterov",),
        "random_state=0": ("seed", "random_seed", "rng"),
        "batch_size=200": ("batch", "batchsize", "minibatch_size", "mini_batch_size"),
        "validation_fraction=0.1, early_stopping=True": (
            *("validation_split", "val_split", "test_size", "val_fraction"),
        ),
        _NO_VALIDATION: ("validation", "validation_data", "eval_set", "X_val", "y_val"),
        "no other layers, as in scikit-learn: NetworkClassifier([Dense(50), ReLU()]) has any": (
            *("layers", "module", "model", "network"),
        ),
        "no dropout, as in scikit-learn: NetworkClassifier(dropout=0.2) has it": ("dropout", "dropout_rate"),
        "no class_weight, as in scikit-learn: NetworkClassifier(class_weight='balanced') has it": (
            *("class_weight", "class_weights"),
        ),
        "no callbacks, as in scikit-learn: NetworkClassifier(callbacks=[function]) has them": (
            *("callback", "callbacks"),
        ),
        "no n_jobs: a search has it, GridSearchCV(..., n_jobs=2)": ("n_jobs",),
        besides("no device: everything is computed on the CPU", "cpu", None): ("device",),
        "nothing: the network has the type of X, X.astype('float32')": ("dtype",),
    }
)
_CRITERION = ("criterion", "loss_fn", "loss_function", "objective")
_OTHER_LOSS = "no other loss, as in scikit-learn: NetworkClassifier(loss='hinge') has others"


def _fit_of(name: str, places: Mapping[str, str], *, validation: bool = True) -> dict[str, Advice]:
    """Words of an estimator's fit: most are arguments of its constructor. places: argument -> its value."""
    words = {
        "epochs": ("epochs", "n_epochs", "num_epochs", "max_epochs", "nb_epoch"),
        "max_iter": ("max_iter", "epochs", "n_epochs", "num_epochs", "max_epochs", "nb_epoch"),
        "batch_size": ("batch_size", "batch"),
        "verbose": ("verbose", "progress"),
        "callbacks": ("callbacks", "callback"),
        "class_weight": ("class_weight", "class_weights"),
        "validation_fraction": ("validation_split", "validation_fraction", "val_split"),
        "early_stopping": ("early_stopping", "early_stopping_rounds", "patience"),
        "learning_rate": ("learning_rate", "lr"),
        "learning_rate_init": ("learning_rate", "lr"),
        "shuffle": ("shuffle",),
        "random_state": ("random_state", "seed"),
        "kinds": ("cat_features", "categorical_feature", "categorical_features", "cat_col_names"),
    }
    said: dict[Any, tuple[str, ...]] = {
        f"no such argument of fit: it is of the constructor, {name}({place}={value})": words[place]
        for place, value in places.items()
    }
    said["sample_weight=w"] = ("sample_weights", "weights", "weight")
    data = ("validation_data", "validation", "val_data", "eval_set", "validation_set")
    if validation:
        said["X_val=X_val, y_val=y_val"] = data
    else:
        said[_NO_VALIDATION] = (*data, "X_val", "y_val")
    return by_name(said)


_PLACES = {"random_state": "0", "verbose": "True"}
_NETWORK_FIT = {
    **_PLACES,
    "epochs": "100",
    "batch_size": "32",
    "callbacks": "[function]",
    "validation_fraction": "0.1",
    "early_stopping": "10",
    "learning_rate": "0.01",
    "shuffle": "True",
}
_MULTILAYER_FIT = {
    **_PLACES,
    "max_iter": "200",
    "batch_size": "200",
    "validation_fraction": "0.1",
    "early_stopping": "True",
    "learning_rate_init": "0.001",
    "shuffle": "True",
}
_TABULAR_FIT = {**_PLACES, "epochs": "256", "validation_fraction": "0.2", "kinds": "{'zip': 'levels'}"}
_WEIGHT = {"class_weight": "'balanced'"}
_ESTIMATOR_FITS: dict[str, dict[str, Advice]] = {
    "NetworkClassifier.fit": _fit_of("NetworkClassifier", _NETWORK_FIT | _WEIGHT),
    "NetworkRegressor.fit": _fit_of("NetworkRegressor", _NETWORK_FIT),
    "MLPClassifier.fit": _fit_of("MLPClassifier", _MULTILAYER_FIT, validation=False),
    "MLPRegressor.fit": _fit_of("MLPRegressor", _MULTILAYER_FIT, validation=False),
    "TabularClassifier.fit": _fit_of("TabularClassifier", _TABULAR_FIT | _WEIGHT),
    "TabularRegressor.fit": _fit_of("TabularRegressor", _TABULAR_FIT),
}

_INCOMING = "the norm is of a unit's incoming weights, a row of a dense W or a filter"

TRAINING: dict[str, dict[str, Advice]] = {
    "SGD": {
        **_OPTIMIZER,
        **_rate("0.1"),
        **_L2_PENALTY,
        **by_name(
            {
                "rate=0.1": ("alpha",),
                "momentum=0.9": ("mu", "beta"),
            }
        ),
    },
    "Adam": {
        **_OPTIMIZER,
        **_MOMENTS,
        "weight_decay": besides("AdamW(weight_decay=0.01), or penalty=L2(1e-4) in fit", 0, None),
        "decoupled_weight_decay": besides("AdamW(weight_decay=0.01)", False),
    },
    "AdamW": {**_OPTIMIZER, **_MOMENTS},
    **{name: {**_OPTIMIZER, **_MOMENTS, **_DECOUPLED} for name in ("RAdam", "LAMB")},
    "NAdam": {**_OPTIMIZER, **_MOMENTS, **_DECOUPLED, "schedule_decay": "momentum_decay=0.004"},
    "Lion": {
        **_OPTIMIZER,
        **_rate("0.0001"),
        **by_name({"beta1=0.9, beta2=0.99": ("betas", "beta_1", "beta_2", "b1", "b2")}),
    },
    "Adagrad": {
        **_OPTIMIZER,
        **_rate("0.01"),
        **_L2_PENALTY,
        "eps": "epsilon=1e-10",
        "initial_accumulator_value": "start=0.1",
    },
    "Adadelta": {**_OPTIMIZER, **_rate("1.0"), **_L2_PENALTY, "eps": "epsilon=1e-6"},
    "RMSProp": {
        **_OPTIMIZER,
        **_rate("0.001"),
        **_L2_PENALTY,
        **_EPSILON,
        **by_name(
            {
                "rho=0.99, the share of the squares that is kept": ("alpha", "decay_rate", "beta", "beta2"),
                besides("no form with the mean taken off", False): ("centered",),
            }
        ),
    },
    **LOSSES,
    "StepDecay": {
        **_SCHEDULE,
        **by_name(
            {
                "every_epochs=10": ("step_size", "period", "drop_every"),
                "factor=0.1": ("gamma", "decay_rate", "drop"),
                _STEPS: ("decay_steps", "step_size_up"),
                by_value(
                    "nothing: it falls in stairs", {"ExponentialDecay(0.1), which falls evenly": (False,)}
                ): ("staircase",),
                "no list of epochs": ("milestones", "boundaries"),
            }
        ),
    },
    "CosineLog": by_name({"rate=0.04": ("lr", "learning_rate"), "periods=4": ("cycles", "n_cycles")}),
    "FlatCosine": by_name({"rate=0.04": ("lr", "learning_rate"), "flat=0.5": ("pct_start", "flat_pct")}),
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
                besides("StepDecay(0.1, factor=0.5, every_epochs=10)", False): ("staircase",),
            }
        ),
    },
    "OneCycle": {
        **_SCHEDULE,
        **by_name(
            {
                "rate=0.1, the highest": ("max_lr", "lr_max"),
                "epochs=10; the rate moves with every step": ("num_epochs",),
                _STEPS: ("total_steps", "steps_per_epoch"),
                "up=0.3": ("pct_start",),
                "start_factor=25.0": ("div_factor", "div"),
                "end_factor=10000.0": ("final_div_factor", "div_final"),
                by_value("linear=True, or False", {"linear=False": ("cos",), "linear=True": ("linear",)}): (
                    *("anneal_strategy",),
                ),
                besides("no cycle of the momentum", False): ("cycle_momentum",),
                "no cycle of the momentum": ("base_momentum", "max_momentum"),
                besides("no third phase", False): ("three_phase",),
            }
        ),
    },
    "Warmup": {
        **_SCHEDULE,
        **by_name(
            {
                "steps=500": ("warmup_steps", "num_warmup_steps", "total_iters"),
                "epochs=1": ("warmup_epochs",),
                "rate=0.1, or a schedule": ("after", "schedule", "after_scheduler"),
                "nothing: it begins at rate / steps": ("start_factor", "init_value", "warmup_start_value"),
            }
        ),
    },
    "AverageWeights": by_name(
        {
            "start_epoch=5": ("swa_start", "swa_epoch_start", "start"),
            "optimizer=SGD(0.05) in fit: the rate is the optimizer's": ("swa_lr", "swa_lrs"),
        }
    ),
    "ExponentialAverage": by_name(
        {
            "decay=0.999": ("momentum", "beta", "alpha", "ema_decay"),
            "every_steps=1": ("update_every", "steps", "update_freq"),
        }
    ),
    "JSONLines": by_name({"path='log.jsonl'": ("filename", "file", "log_dir")}),
    "TensorBoard": by_name(
        {
            "path='runs/a'": ("log_dir", "logdir", "save_dir"),
            "every_steps=100": ("update_freq", "write_steps_per_second"),
        }
    ),
    "split": by_name(
        {
            "fraction=0.2": ("test_size", "test_fraction", "validation_size", "p"),
            "fraction=0.2, the share held out": ("train_size",),
            "seed=0": ("random_state", "random_seed", "rng", "generator"),
            besides("nothing: it is drawn; X[:900] and X[900:] are parts in order", True): ("shuffle",),
        }
    ),
    "load_mnist": by_name({"directory='mnist'": ("root", "path", "data_dir", "cache_dir")}),
    "EarlyStopping": {
        **_MODE,
        **by_name(
            {
                "patience=5": ("n_iter_no_change", "rounds", "early_stopping_rounds"),
                "min_delta=1e-4": ("tol", "threshold", "delta"),
                by_value("restore_best=True", {"restore_best=False": (False,)}): ("restore_best_weights",),
                besides("no value to reach", None): ("baseline", "stopping_threshold"),
                besides("no epoch that does not count", 0): ("start_from_epoch", "warmup"),
            }
        ),
    },
    "Checkpoint": {
        **_MODE,
        **by_name(
            {
                "path='net.npz'": ("filepath", "filename", "dirpath", "file"),
                by_value("best_only=True", {"best_only=False, as it is without it": (False,)}): (
                    *("save_best_only",),
                ),
                by_value("every=1, in epochs", {"nothing: it is after every epoch": ("epoch",)}): (
                    *("save_freq", "period", "every_n_epochs", "save_every"),
                ),
                besides("no file of parameters alone", False): ("save_weights_only",),
                besides("no value to be better than", None): ("initial_value_threshold",),
                by_value(
                    "no number of files: best_only=True keeps the best",
                    {"best_only=True": (1,), "best_only=False": (-1,)},
                ): ("save_top_k",),
            }
        ),
    },
    "L2": by_name(
        {
            "lam=1e-4, for λ/2 · ΣW²": ("alpha", "weight_decay", "lmbda", "lambda_", "strength", "C"),
            "lam=1e-4, for λ/2 · ΣW²: twice Keras's l2": ("l2", "l"),
            "no l1 here: L1(1e-5), or ElasticNet(1e-5, 1e-4)": ("l1",),
        }
    ),
    "L1": by_name(
        {
            "lam=1e-5": ("alpha", "l1", "l", "lmbda", "lambda_", "strength"),
            "no l2 here: L2(1e-4), or ElasticNet(1e-5, 1e-4)": ("l2",),
        }
    ),
    "ReduceOnPlateau": {
        **_MODE,
        **by_name(
            {
                "min_delta=1e-4": ("threshold", "epsilon", "tol"),
                by_value("no relative threshold: min_delta=1e-4 is a difference", {SAME: ("abs",)}): (
                    *("threshold_mode",),
                ),
                "min_rate=1e-5": ("min_lr", "min_learning_rate"),
                "nothing: the rate is the optimizer's, SGD(0.1)": (
                    "optimizer",
                    "rate",
                    "lr",
                    "learning_rate",
                ),
                "factor=0.1": ("gamma", "decay"),
                "patience=10": ("wait", "step_size"),
                besides("no least change of a rate", 0, 1e-8): ("eps",),
            }
        ),
    },
    "ElasticNet": by_name(
        {"l1=1e-5, l2=1e-4: alpha · l1_ratio and alpha · (1 - l1_ratio)": ("alpha", "l1_ratio", "lam")}
    ),
    "MaxNorm": by_name(
        {
            "MaxNorm(3.0)": ("max_value", "c", "max_norm", "value", "norm"),
            by_value(f"no other axes: {_INCOMING}", {f"nothing: {_INCOMING}": (0, (0, 1), (0, 1, 2))}): (
                "axis",
                "axes",
                "dim",
            ),
        }
    ),
    "Normal": {
        **_SEEDED,
        **by_name(
            {"std=0.05": ("stddev", "sigma", "scale"), besides("no mean but 0", 0): ("mean", "loc", "mu")}
        ),
    },
    "Uniform": {
        **_SEEDED,
        **by_name(
            {
                by_value(
                    "limit=0.05, from -limit to limit", {"no other range: it is from -limit to limit": (0,)}
                ): ("minval", "a", "low"),
                "limit=0.05, from -limit to limit": ("maxval", "b", "high", "scale"),
            }
        ),
    },
    "Constant": by_name({"value=0.1": ("val", "fill_value", "c")}),
    "Glorot": {
        **_NO_GAIN,
        "mode": besides(_NO_CHOICE, "fan_avg"),
        "distribution": besides(_NO_CHOICE, "uniform"),
    },
    "He": _NORMAL,
    "ScaledNormal": _NORMAL,
    "Orthogonal": {
        **_NO_GAIN,
        "gain": besides("no gain: rows, or columns where they are fewer, have length 1", 1),
        "scale": besides("no gain: rows, or columns where they are fewer, have length 1", 1),
        **dict.fromkeys(
            ("mode", "distribution"), "no choice: rows or columns have length 1, at right angles"
        ),
    },
    **dict.fromkeys(("Zeros", "Ones"), _SEEDED),
    **NETWORKS,
    "fit": _FIT,
    "fit_full_batch": _FULL_BATCH,
    "NetworkClassifier": _ESTIMATOR,
    "NetworkRegressor": {name: said for name, said in _ESTIMATOR.items() if name != "class_weights"},
    "TabularClassifier": {
        **_TABULAR,
        "class_weights": "class_weight='balanced' or {label: weight}",
    },
    "TabularRegressor": _TABULAR,
    "MLPClassifier": {**_MULTILAYER, **dict.fromkeys(("loss", *_CRITERION), _OTHER_LOSS)},
    "MLPRegressor": {**_MULTILAYER, **dict.fromkeys(_CRITERION, "loss='squared_error'")},
    **_ESTIMATOR_FITS,
    "check_gradients": by_name(
        {
            "nothing: the steps are chosen by the size of the numbers": ("eps", "epsilon", "h", "step"),
            "tolerance=1e-6, of the relative error": ("rtol", "atol", "tol"),
            by_value(
                "nothing: report.raise_if_wrong() raises", {"nothing: the report raises nothing": (False,)}
            ): ("raise_exception",),
            "entries='all' or 20": ("samples", "n_checks", "num_checks"),
        }
    ),
}
