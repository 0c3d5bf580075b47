"""Models as PyTorch's exporter writes them: `python -m tests.exchange.torch_exports`.

The suite has no PyTorch. Every model at opsets 11 to 22 (beyond 20, the last of the exporter, converted by
onnx), with the number of samples left free: the network of each predicts what the module predicts, and its
loss falls in training.
"""

# mypy: ignore-errors

from __future__ import annotations

import contextlib
import io
import sys
import warnings

import numpy as np
import onnx
import onnx.version_converter
import torch
import torch.nn.functional as F
from torch import nn

import chainrule as cr

OPSETS = (11, 13, 16, 18, 20, 22)
LAST = 20  # of the exporter
TOLERANCE = 1e-5


class ConvNeXt(nn.Module):
    def __init__(s):
        super().__init__()
        s.stem, s.dw = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        s.n, s.a, s.b = nn.LayerNorm(8, eps=1e-6), nn.Linear(8, 32), nn.Linear(32, 8)
        s.scale, s.last, s.head = nn.Parameter(torch.rand(8)), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(s, x):
        x = s.stem(x)
        y = s.b(F.gelu(s.a(s.n(s.dw(x).permute(0, 2, 3, 1))))) * s.scale
        return s.head(s.last((x + y.permute(0, 3, 1, 2)).mean([2, 3])))


class Mixer(nn.Module):
    def __init__(s):
        super().__init__()
        s.patches, s.n1, s.n2 = nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6), nn.LayerNorm(6)
        s.t1, s.t2, s.c1, s.c2 = nn.Linear(16, 12), nn.Linear(12, 16), nn.Linear(6, 9), nn.Linear(9, 6)
        s.head = nn.Linear(6, 4)

    def forward(s, x):
        x = s.patches(x).flatten(2).transpose(1, 2)
        x = x + s.t2(F.gelu(s.t1(s.n1(x).transpose(1, 2)))).transpose(1, 2)
        return s.head((x + s.c2(F.silu(s.c1(s.n2(x))))).mean(1))


class Inverted(nn.Module):
    def __init__(s, i, o, stride):
        super().__init__()
        s.same = stride == 1 and i == o
        s.c = nn.Sequential(
            *(nn.Conv2d(i, 2 * i, 1, bias=False), nn.BatchNorm2d(2 * i), nn.Hardswish()),
            *(nn.Conv2d(2 * i, 2 * i, 3, stride, 1, groups=2 * i, bias=False), nn.BatchNorm2d(2 * i)),
            *(nn.ReLU6(), nn.Conv2d(2 * i, o, 1), nn.BatchNorm2d(o)),
        )

    def forward(s, x):
        return x + s.c(x) if s.same else s.c(x)


class Sequences(nn.Module):
    def __init__(s):
        super().__init__()
        s.e = nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True)
        s.g, s.head = nn.GRU(12, 4, batch_first=True), nn.Linear(4, 3)

    def forward(s, x):
        return s.head(s.g(s.e(x)[0])[0][:, -1])


class UNet(nn.Module):
    def __init__(s):
        super().__init__()
        s.a, s.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, 1)
        s.up, s.c = nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 1, 1)

    def forward(s, x):
        a = F.leaky_relu(s.a(x))
        return torch.sigmoid(s.c(torch.cat([a, s.up(F.elu(s.b(a)))], 1)))


class Attention(nn.Module):
    """Written out, causal, queries, keys and values packed; then PyTorch's own, in two encoder layers."""

    def __init__(s):
        super().__init__()
        s.qkv, s.o = nn.Linear(8, 24), nn.Linear(8, 8)
        layer = nn.TransformerEncoderLayer(8, 4, 16, batch_first=True, norm_first=True, activation="gelu")
        s.encoder, s.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 3)

    def forward(s, x):
        q, k, v = (y.view(*y.shape[:2], 2, 4).transpose(1, 2) for y in s.qkv(x).chunk(3, -1))
        later = torch.triu(torch.full((5, 5), float("-inf")), 1)
        y = (q @ k.transpose(-2, -1) / 2 + later).softmax(-1) @ v
        return s.head(s.encoder(x + s.o(y.transpose(1, 2).flatten(2))))


ACTIVATIONS = (
    *(nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Softsign()),
    *(nn.Tanhshrink(), nn.LogSigmoid(), nn.Hardsigmoid(), nn.SELU()),
)
MODELS = {
    "convnext": (ConvNeXt(), (3, 16, 16)),
    "mixer": (Mixer(), (3, 16, 16)),
    "attention": (Attention(), (5, 8)),
    "mobilenet": (
        nn.Sequential(
            *(nn.Conv2d(3, 8, 3, 2, 1), nn.Hardswish(), Inverted(8, 8, 1), Inverted(8, 12, 2)),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(12, 5)),
        ),
        (3, 16, 16),
    ),
    "activations": (
        nn.Sequential(*(p for f in ACTIVATIONS for p in (nn.Linear(6, 6), f)), nn.LogSoftmax(1)),
        (6,),
    ),
    "shrinks": (
        nn.Sequential(
            *(
                nn.Linear(6, 6),
                nn.Softshrink(),
                nn.Linear(6, 6),
                nn.Hardshrink(),
                nn.Linear(6, 6),
                nn.ReLU6(),
            ),
            *(nn.Linear(6, 6), nn.Hardtanh(-0.5, 2), nn.Linear(6, 2)),
        ),
        (6,),
    ),
    "norms": (
        nn.Sequential(
            *(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.InstanceNorm2d(8, affine=True)),
            *(
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(8, 4, 3),
                nn.PixelShuffle(2),
                nn.PReLU(1),
            ),
            *(nn.AvgPool2d(3, 2, 1, ceil_mode=True), nn.MaxPool2d(2, dilation=2)),
        ),
        (3, 12, 12),
    ),
    "sequences": (Sequences(), (7, 5)),
    "unet": (UNet(), (2, 8, 8)),
    "vgg": (
        nn.Sequential(
            *(nn.Conv2d(3, 6, 3, padding="same"), nn.BatchNorm2d(6), nn.ELU(), nn.MaxPool2d(2)),
            *(
                nn.Conv2d(6, 8, 3, padding=1),
                nn.ReLU(),
                nn.AdaptiveMaxPool2d(1),
                nn.Flatten(1),
                nn.Linear(8, 4),
            ),
            nn.Softmax(-1),
        ),
        (3, 12, 10),
    ),
    "convolutions of steps": (
        nn.Sequential(
            *(
                nn.Conv1d(4, 6, 3, dilation=2, padding=2),
                nn.BatchNorm1d(6),
                nn.LeakyReLU(0.2),
                nn.AvgPool1d(2),
            ),
            *(nn.ConvTranspose1d(6, 3, 4, 2, 1), nn.Tanh(), nn.Flatten(), nn.Linear(24, 2)),
        ),
        (4, 8),
    ),
}


def exported(module, x, opset):
    stream = io.BytesIO()
    options = {"input_names": ["x"], "dynamic_axes": {"x": {0: "N"}}, "dynamo": False}
    torch.onnx.export(module, x, stream, opset_version=min(opset, LAST), **options)
    model = onnx.load_from_string(stream.getvalue())
    return onnx.version_converter.convert_version(model, opset) if opset > LAST else model


def difference(module, shape, opset) -> float | None:
    """From what the module predicts; None where PyTorch cannot export it."""
    x = torch.randn(3, *shape)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            model = exported(module, x[:2], opset)
    except Exception:  # the exporter's own reasons
        return None
    network = cr.from_onnx(model, input_shape=shape)
    X, expected = x.numpy(), module(x).detach().numpy()
    X = X if network.input_shape == shape else np.moveaxis(X, 1, -1)
    a = network.predict(X)
    apart = np.abs((a if a.shape == expected.shape else np.moveaxis(a, -1, 1)) - expected).max()
    y = np.random.default_rng(0).normal(size=a.shape)
    options = {"loss": cr.SquaredError(), "epochs": 5, "optimizer": cr.Adam(1e-3), "progress": False}
    history = cr.fit(network, X, y, **options)
    assert history.loss[-1] < history.loss[0]
    return float(apart)


def main() -> int:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    wrong = 0
    for name, (module, shape) in MODELS.items():
        module.eval()
        for part in module.modules():
            if getattr(part, "running_mean", None) is not None:
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
        for opset in OPSETS:
            apart = difference(module, shape, opset)
            wrong += apart is not None and not apart < TOLERANCE
            said = "not exported" if apart is None else f"{apart:.1e}"
            print(f"{'ok' if apart is None or apart < TOLERANCE else 'WRONG':6}{name:24}{opset:3}  {said}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
