"""Advice that depends on the value which was given: a flag that is off and a default of ours are left out."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.foreign import WORDS
from chainrule.base.foreign.words import ByValue, by_value
from tests.test_foreign import target

X = np.random.default_rng(0).normal(size=(3, 4, 5, 2))
# Of flags and defaults: what is there anyway is answered by "leave it out", the other value is not.
OURS = [
    ("AveragePool2D", "count_include_pad", False, True),
    ("AveragePool2D", "divisor_override", None, 3),
    ("AveragePool2D", "return_indices", False, True),
    ("L2Pool2D", "norm_type", 2.0, 3),
    ("GlobalAveragePool", "output_size", (1, 1), 7),
    ("GlobalMaxPool", "keepdims", False, True),
    ("Softmax", "dim", -1, 1),
    ("Softmax", "axis", -1, 1),
    ("LayerNorm", "axis", -1, (-2, -1)),
    ("BatchNorm", "axis", -1, 1),
    ("Flatten", "start_dim", 1, 2),
    ("Flatten", "end_dim", -1, 1),
    ("HardTanh", "min_val", -1.0, 0.0),
    ("HardTanh", "max_val", 1.0, 6.0),
    ("ReLU", "negative_slope", 0.0, 0.1),
    ("ReLU", "max_value", None, 6),
    ("ConvTranspose2D", "padding_mode", "zeros", "reflect"),
    ("UpSample2D", "align_corners", False, True),
    ("UpSample1D", "interpolation", "nearest", "linear"),
    ("InstanceNorm", "affine", True, False),
    ("BatchNorm", "center", True, False),
    ("Conv2D", "data_format", "channels_last", "channels_first"),
    ("Conv2D", "kernel_regularizer", None, "l2"),
    ("Conv2D", "transposed", False, True),
    ("Dense", "activation", "linear", "relu"),
    ("Conv2D", "activation", "linear", "softsign"),
    ("Dense", "device", "cpu", "cuda"),
    ("Dense", "dtype", "float32", "float64"),
    ("Dense", "dtype", np.float32, np.float64),
    ("Dense", "dtype", np.dtype("float32"), np.dtype("float16")),
    ("Dense", "trainable", True, False),
    ("BatchNorm", "affine", True, False),
    ("BatchNorm", "track_running_stats", True, False),
    ("LayerNorm", "elementwise_affine", np.True_, np.False_),
    ("LayerNorm", "bias", True, False),
    ("RMSNorm", "bias", False, True),
    ("LayerNorm", "track_running_stats", False, True),
    ("LayerNorm", "rms_scaling", False, True),
    ("LSTM", "batch_first", True, False),
    ("LSTM", "time_major", False, True),
    ("LSTM", "num_layers", 1, 2),
    ("LSTM", "dropout", 0.0, 0.5),
    ("LSTM", "return_sequences", False, True),
    ("LSTM", "go_backwards", False, True),
    ("LSTM", "unit_forget_bias", True, False),
    ("LSTM", "proj_size", 0, 32),
    ("LSTM", "use_peepholes", False, True),
    ("GRU", "proj_size", 0, 32),
    ("GRU", "linear_before_reset", True, False),
    ("Bidirectional", "merge_mode", "concat", "ave"),
    ("MultiHeadAttention", "is_causal", False, True),
    ("MultiHeadAttention", "need_weights", False, True),
    ("MultiHeadAttention", "batch_first", True, False),
    ("Embedding", "sparse", False, True),
    ("Embedding", "mask_zero", False, True),
    ("Embedding", "padding_idx", None, 0),
    ("SGD", "weight_decay", 0.0, 1e-4),
    ("Adam", "amsgrad", False, True),
    ("RMSProp", "centered", False, True),
    ("CategoricalHinge", "reduction", "mean", "other"),
    ("OneCycle", "three_phase", False, True),
    ("KLDivergence", "log_target", False, True),
    ("CrossEntropy", "axis", -1, 1),
    ("CrossEntropy", "weight", None, [1.0, 2.0]),
    ("CategoricalHinge", "margin", 1.0, 0.5),
    ("CategoricalHinge", "p", 1, 2),
    ("Poisson", "full", False, True),
    ("Poisson", "from_logits", False, True),
    ("StepDecay", "staircase", True, False),
    ("ExponentialDecay", "staircase", False, True),
    ("EarlyStopping", "baseline", None, 0.5),
    ("Checkpoint", "save_best_only", False, True),
    ("He", "mode", "fan_in", "fan_out"),
    ("Normal", "mean", 0.0, 1.0),
    ("fit", "metrics", ["accuracy"], ["f1"]),
    ("fit", "metrics", "acc", ["accuracy", "f1"]),
    ("fit", "validation_freq", 1, 2),
    ("fit", "validation_steps", None, 10),
    ("fit", "validation_split", 0.0, 0.2),
    ("fit", "validation_data", None, 0),
    ("fit", "label_smoothing", 0.0, 0.1),
    ("SGD", "differentiable", False, True),
    ("Orthogonal", "gain", 1.0, 2.0),
    ("fit", "warm_start", True, False),
    ("Parallel", "axis", -1, 1),
    ("Network.copy", "deep", True, False),
    ("Network.copy", "share", False, True),
    ("load", "map_location", "cpu", "cuda"),
    ("Network.predict", "training", False, True),
    ("Network.predict", "deterministic", True, False),
    ("Network.predict", "check_finite", True, False),
]


@pytest.mark.parametrize(("owner", "word", "ours", "other"), OURS)
def test_what_is_there_is_left_out_and_what_is_not_is_said(
    owner: str, word: str, ours: Any, other: Any
) -> None:
    first = [cr.Network([cr.Dense(1)], input_shape=1)] if "." in owner else []
    said = []
    for value in (ours, other):
        with pytest.raises(TypeError) as caught:
            target(owner)(*first, **{word: value})
        said.append(str(caught.value).split("; ", 1)[1])
    assert re.match(r"write (nothing|.*as it is without it)", said[0]), said
    assert not re.match(r"write (nothing|.*as it is without it)", said[1]), said


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cr.AveragePool2D(2, count_include_pad=True), "write count_padding=True$"),
        (lambda: cr.LSTM(2, return_sequences=True), "write outputs='all'"),
        (lambda: cr.MultiHeadAttention(2, is_causal=True), "write causal=True$"),
        (lambda: cr.EarlyStopping(restore_best_weights=False), "write restore_best=False$"),
        (lambda: cr.Checkpoint("n.npz", save_top_k=-1), "write best_only=False$"),
        (lambda: cr.Dense(2, kernel_initializer="glorot_uniform"), "write initializer='glorot'$"),
        (lambda: cr.Dense(2, kernel_initializer="he_uniform"), "there is no uniform form"),
        (lambda: cr.Dense(2, activation="gelu"), r"behind this one: GELU\(\)$"),
        (lambda: cr.Dense(2, kernel_regularizer="l2"), "λ/2 · ΣW² over the weights of all layers"),
        (lambda: cr.Dense(2, kernel_constraint=1), "which holds for all layers"),
        (lambda: cr.BinaryCrossEntropy(class_weight=[1, 2]), "where the network has one output"),
        (lambda: cr.BinaryCrossEntropy(weight=[1, 2]), r"write output_weight=\[1.0, 5.0\]"),
        (lambda: cr.CrossEntropy(weight=[1, 2]), r"write class_weight=\[1.0, 5.0\]"),
        (lambda: cr.CrossEntropy(ignore_class=0), "write ignore_index=-100"),
        (lambda: cr.ReLU(max_value=6), r"write ReLU6\(\)"),
        (lambda: cr.SquaredError(reduction="mean"), "write mean_outputs=True"),
        (lambda: cr.SquaredError(reduction="sum"), r"network.loss\(X, y, reduction=\'sum\'\)"),
        (lambda: cr.SquaredError(reduction="none"), r"network.loss\(X, y, reduction=\'none\'\)"),
        (lambda: cr.fit(verbose=0), "write progress=False$"),
        (lambda: cr.fit(verbose=2), "write progress=True$"),
        (lambda: cr.fit(silent=True), "write progress=False$"),
        (lambda: cr.fit(quiet=False), "write progress=True$"),
        (lambda: cr.fit(workers=4), "write nothing: X is in memory"),
        (lambda: cr.fit(num_workers=4), "write nothing: X is in memory"),
        (lambda: cr.fit(n_jobs=4), "write threads=2$"),
        (lambda: cr.fit(alpha=1e-3), "λ = alpha / batch_size"),
    ],
)
def test_the_value_decides_what_is_written(call: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call()


def test_a_default_that_is_said_to_be_ours_is_ours() -> None:
    a = {
        name: cr.Network([layer], input_shape=X.shape[1:], dtype="float64").predict(X)
        for name, layer in {
            "pool": cr.AveragePool2D(2, padding=1),
            "uncounted": cr.AveragePool2D(2, padding=1, count_padding=False),
            "counted": cr.AveragePool2D(2, padding=1, count_padding=True),
            "softmax": cr.Softmax(),
            "flat": cr.Flatten(),
        }.items()
    }
    # PyTorch's count_include_pad=False: a corner's window holds one pixel of the image, True: one of four.
    assert np.array_equal(a["pool"], a["uncounted"])
    assert np.allclose(a["pool"][:, 0, 0], X[:, 0, 0])
    assert np.allclose(a["counted"][:, 0, 0], X[:, 0, 0] / 4)
    assert np.allclose(a["softmax"].sum(axis=-1), 1)
    assert np.array_equal(a["flat"], X.reshape(len(X), -1))  # start_dim=1, end_dim=-1
    lstm = cr.Network([cr.LSTM(3)], input_shape=(4, 2))
    assert np.array_equal(lstm.parameters["lstm1.b"].reshape(4, 3)[1], np.ones(3))  # unit_forget_bias=True
    # scikit-learn's step with alpha: alpha W / (size of the batch).
    network = cr.Network([cr.Dense(2)], input_shape=3, dtype="float64")
    x, y = X[0, :, :3, 0], np.zeros((4, 2))
    W = network.parameters["dense1.W"]
    plain = network.backpropagate(x, y, training_size=100).gradients["dense1.W"]
    penalised = network.backpropagate(x, y, penalty=cr.L2(0.3 / 4), training_size=100).gradients["dense1.W"]
    assert np.allclose(penalised - plain, 0.3 * W / len(x))


def test_a_value_that_holds_itself_is_in_no_case() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="there is no output size but 1"):
        cr.GlobalAveragePool(output_size=endless)


def test_a_table_asks_for_the_value_that_is_like_the_given_one() -> None:
    advice = by_value("other", {"one": (1, "a"), "pair": ((1, 2),), "none": (None,)})
    given = (1, 1.0, True, np.int64(1), "a", [1, 2], (1, 2), None, np.ones(2), np.nan, [1], {}, object())
    said = ["one"] * 5 + ["pair"] * 2 + ["none"] + ["other"] * 5
    assert [advice.of(value) for value in given] == said
    for words in WORDS.values():
        for word, entry in words.items():
            if isinstance(entry, ByValue):
                values = [value for _, ones in entry.cases for value in ones]
                assert len(set(values)) == len(values), word


def test_names_of_functions_elsewhere_lead_to_the_function_and_the_class() -> None:
    for name, said in (
        ("zeros", r"write numpy.zeros\(shape\) for an array; chainrule.Zeros\(\) is an initializer"),
        ("poisson", r"poisson\(size=...\) for an array; chainrule.Poisson\(\) is a loss"),
        ("relu", "write chainrule.ReLU, a layer$"),
        ("softsign", "write chainrule.Softsign, a layer$"),
        ("hinge", "write chainrule.Hinge, a loss$"),
        ("he", "write chainrule.He, an initializer$"),
        ("RELU", "write chainrule.ReLU$"),
        ("nothing_like_it", "has no attribute 'nothing_like_it'$"),
    ):
        with pytest.raises(AttributeError, match=said):
            getattr(cr, name)
