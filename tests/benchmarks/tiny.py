"""Workloads in the form of the real ones, that take no time."""

from __future__ import annotations

from chainrule.bench.workloads import Workload

DENSE = Workload(
    "dense", "a dense network", (6,), 4, 3, (("dense", 5), ("relu",), ("dense", 3), ("softmax",))
)
CONV = Workload(
    "conv",
    "a convolutional network",
    (6, 6, 1),
    5,
    2,
    (("conv", 2, 3, 0), ("relu",), ("pool", 2), ("flatten",), ("dense", 3), ("softmax",)),
)
DEPTHWISE = Workload(
    "depthwise",
    "depthwise and strided convolutions",
    (7, 6, 2),
    5,
    2,
    (
        *(("conv", 3, 3, 1, 2), ("relu",), ("depthwise", 3, 1, 2), ("relu",), ("conv", 4, 1, 0), ("relu",)),
        *(("average",), ("dense", 3), ("softmax",)),
    ),
)
BATCHNORM = Workload(
    "batchnorm",
    "batch normalisation",
    (6, 6, 1),
    5,
    2,
    (("conv", 2, 3, 0), ("batchnorm",), ("relu",), ("flatten",), ("dense", 3), ("softmax",)),
)
RECURRENT = Workload("lstm", "an LSTM", (4, 3), 5, 2, (("lstm", 6), ("dense", 3), ("softmax",)))
TRANSFORMER = Workload(
    "transformer",
    "a Transformer encoder block",
    (5, 6),
    5,
    2,
    (
        ("residual", ("layernorm",), ("attention", 2)),
        ("residual", ("layernorm",), ("dense", 12), ("gelu",), ("dense", 6)),
        *(("average",), ("dense", 3), ("softmax",)),
    ),
)
DILATED = Workload(
    "dilated",
    "dilated convolutions over time",
    (7, 2),
    5,
    2,
    (
        *(("conv1d", 3, 3, 0, 2), ("residual", ("conv1d", 3, 3, 2, 1, 2), ("relu",)), ("largest",)),
        *(("dense", 3), ("softmax",)),
    ),
)
GATED = Workload("gru", "a GRU of two layers", (4, 3), 5, 2, (("gru", 6, 2), ("dense", 3), ("softmax",)))
U_SHAPED = Workload(
    "u",
    "a U",
    (4, 4, 2),
    5,
    2,
    (
        ("concat", (), (("pool", 2), ("conv", 2, 3, 1), ("tanh",), ("upsample", 2))),
        *(("convtranspose", 2, 2, 2), ("relu",), ("average",), ("dense", 3), ("softmax",)),
    ),
)
NORMS = Workload("norms", "norms of the samples' gradients", (6, 6, 1), 5, 2, CONV.layers, "norms")
PREDICTION = Workload("predict-dense-16", "a dense network, 16", (6,), 16, 2, DENSE.layers, "predict")
