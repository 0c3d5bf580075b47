"""The arguments of `fit`: names and values that other libraries use are answered with what to write here."""

from __future__ import annotations

from chainrule.keywords import by_name

# What to write instead, by the names of Keras, PyTorch, scikit-learn, XGBoost and Nielsen's code.
_INSTEAD: dict[str, tuple[str, ...]] = {
    "optimizer=SGD(0.1)": ("lr", "rate", "eta", "learning_rate", "learning_rate_init"),
    "optimizer=SGD(0.1, momentum=0.9)": ("momentum", "nesterov", "nesterovs_momentum"),
    "optimizer=SGD(CosineDecay(0.1))": ("schedule", "scheduler", "lr_scheduler"),
    "optimizer=SGD(0.1, clip_norm=1.0)": ("clip_norm", "clipnorm", "max_grad_norm", "gradient_clip_val"),
    "optimizer=SGD(0.1, clip_sample_norm=1.0)": ("clip_sample_norm", "clip_per_sample", "l2_norm_clip"),
    "optimizer='adam'": ("optim", "solver", "optimiser"),
    "penalty=L2(1e-4)": (
        "alpha",
        "l2",
        "lam",
        "lmbda",
        "regularization",
        "weight_decay",
        "kernel_regularizer",
    ),
    "constraint=MaxNorm(3.0)": ("max_norm", "maxnorm", "kernel_constraint", "weight_constraint"),
    "loss='cross_entropy'": ("criterion", "loss_fn", "loss_function", "objective", "cost"),
    "epochs=10": ("n_epochs", "num_epochs", "max_epochs", "nb_epoch", "n_iter", "max_iter", "iterations"),
    "batch_size=32": ("batch", "batchsize", "minibatch_size", "mini_batch_size"),
    "validation=(X_val, y_val)": ("validation_data", "val_data", "evaluation_data", "eval_set", "X_val"),
    "validation=0.1": ("validation_split", "validation_fraction", "val_split", "test_size"),
    "progress=False, True or 'tqdm'": ("verbose", "progress_bar", "disp", "silent", "quiet"),
    "seed=0": ("random_state", "random_seed", "rng"),
    "sample_weight=w": ("sample_weights", "weights", "weight"),
    "class_weight='balanced' or {label: weight}": ("class_weights", "pos_weight", "scale_pos_weight"),
    "loss=CrossEntropy(label_smoothing=0.1)": ("label_smoothing", "smoothing"),
    "early_stopping=5": ("patience", "n_iter_no_change", "early_stopping_rounds", "early_stopping_n"),
    "callbacks=[function]": ("callback",),
    "threads=2": ("n_jobs", "num_threads", "n_threads", "workers", "nthread"),
}
FIT_KEYWORDS = by_name(_INSTEAD)
FIT_KEYWORDS["metrics"] = "nothing: the accuracy is always measured where there are classes"
FIT_KEYWORDS["tol"] = "early_stopping=EarlyStopping(5, min_delta=1e-4)"
FIT_KEYWORDS["warm_start"] = (
    "nothing: fit always continues from the current weights; resume=history goes on with the optimizer's "
    "moments too"
)
FIT_KEYWORDS["initial_epoch"] = FIT_KEYWORDS["warm_start"]
