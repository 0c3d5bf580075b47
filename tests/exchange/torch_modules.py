"""Modules of PyTorch as networks, with the real library: `python -m tests.exchange.torch_modules`.

The suite has no PyTorch. Outputs in float64 beside those of the network made of the module.
"""

# mypy: ignore-errors

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import chainrule as cr

TOLERANCE = 1e-9


class Res(nn.Module):
    def __init__(s, c, o, stride=1):
        super().__init__()
        s.c1 = nn.Conv2d(c, o, 3, stride, 1, bias=False)
        s.b1 = nn.BatchNorm2d(o)
        s.c2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        s.b2 = nn.BatchNorm2d(o)
        s.sh = (
            nn.Sequential(nn.Conv2d(c, o, 1, stride, bias=False), nn.BatchNorm2d(o))
            if stride > 1 or c != o
            else nn.Identity()
        )

    def forward(s, x):
        return F.relu(s.b2(s.c2(F.relu(s.b1(s.c1(x))))) + s.sh(x))


class ResNet(nn.Module):
    def __init__(s):
        super().__init__()
        s.stem = nn.Conv2d(3, 8, 3, 1, 1)
        s.l = nn.Sequential(Res(8, 8), Res(8, 16, 2), Res(16, 16))
        s.pool = nn.AdaptiveAvgPool2d(1)
        s.fc = nn.Linear(16, 10)

    def forward(s, x):
        x = s.l(F.relu(s.stem(x)))
        return s.fc(torch.flatten(s.pool(x), 1))


class LeNet(nn.Module):
    def __init__(s):
        super().__init__()
        s.conv1 = nn.Conv2d(1, 6, 5)
        s.conv2 = nn.Conv2d(6, 16, 5)
        s.fc1 = nn.Linear(256, 120)
        s.fc2 = nn.Linear(120, 84)
        s.fc3 = nn.Linear(84, 10)

    def forward(s, x):
        x = F.max_pool2d(F.relu(s.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(s.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        x = F.dropout(x, 0.5, s.training)
        return F.softmax(s.fc3(F.relu(s.fc2(F.relu(s.fc1(x))))), dim=1)


class Dense(nn.Module):
    def __init__(s):
        super().__init__()
        s.a = nn.Conv2d(4, 4, 3, padding=1)
        s.b = nn.Conv2d(4, 5, 1)

    def forward(s, x):
        return torch.cat([x, s.a(x).relu(), torch.tanh(s.b(x))], 1)


class Rnn(nn.Module):
    def __init__(s, kind, **o):
        super().__init__()
        s.r = getattr(nn, kind)(5, 7, batch_first=True, **o)
        s.f = nn.Linear(o.get("proj_size", 7) * (2 if o.get("bidirectional") else 1), 3)

    def forward(s, x):
        o, _ = s.r(x)
        return s.f(o)


class RnnLast(Rnn):
    def forward(s, x):
        o, _ = s.r(x)
        return s.f(o[:, -1])


class RnnLast2(Rnn):
    def forward(s, x):
        o, _ = s.r(x)
        return s.f(o[:, -1, :])


class Text(nn.Module):
    def __init__(s):
        super().__init__()
        s.c = nn.Conv1d(6, 8, 3)
        s.l = nn.LSTM(8, 4, batch_first=True)

    def forward(s, x):
        x = s.c(x).relu()
        x = x.permute(0, 2, 1)
        return s.l(x)[0].mean(1)


CASES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "mlp": (nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Dropout(0.2), nn.Linear(5, 3), nn.Softmax(1)), (4,)),
    "linear": (nn.Linear(4, 5), (4,)),
    "cnn": (
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.BatchNorm1d(4 * 3 * 4),
            nn.LeakyReLU(0.2),
            nn.Linear(48, 3),
        ),
        (3, 6, 8),
    ),
    "seq1d": (
        nn.Sequential(
            nn.Conv1d(3, 4, 3, dilation=2, padding="same"),
            nn.GELU(),
            nn.AvgPool1d(2),
            nn.Flatten(),
            nn.Linear(4 * 4, 3),
        ),
        (3, 8),
    ),
    "options": (
        nn.Sequential(
            *(nn.Linear(4, 4), nn.GELU(approximate="tanh"), nn.Linear(4, 4), nn.ReLU6(), nn.Linear(4, 4)),
            *(nn.Hardtanh(-2.0, 0.5), nn.Linear(4, 4), nn.CELU(0.5), nn.Linear(4, 4), nn.Softplus(2.0, 10.0)),
            *(nn.Linear(4, 4), nn.Threshold(0.1, -1.0), nn.Linear(4, 4), nn.Hardshrink(0.1), nn.LogSigmoid()),
            *(nn.Linear(4, 4), nn.Softshrink(0.2), nn.Linear(4, 4), nn.Tanhshrink(), nn.Linear(4, 3)),
        ),
        (4,),
    ),
    "group": (
        nn.Sequential(
            nn.Conv2d(4, 8, 3, groups=2, stride=2),
            nn.GroupNorm(2, 8),
            nn.SiLU(),
            nn.ConvTranspose2d(8, 4, 3, stride=2, output_padding=1, groups=2),
            nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
            nn.PReLU(4),
        ),
        (4, 9, 7),
    ),
    "resnet": (ResNet(), (3, 8, 8)),
    "lenet": (LeNet(), (1, 28, 28)),
    "cat": (Dense(), (4, 5, 6)),
    "lstm": (Rnn("LSTM"), (6, 5)),
    "gru2": (Rnn("GRU", num_layers=2, bidirectional=True), (6, 5)),
    "rnn": (RnnLast("RNN", nonlinearity="relu"), (6, 5)),
    "lstm-last": (RnnLast("LSTM", num_layers=2), (6, 5)),
    "lstm-projected": (Rnn("LSTM", proj_size=2, num_layers=2, bidirectional=True), (6, 5)),
    "lstm-projected-last": (RnnLast("LSTM", proj_size=1, bias=False), (6, 5)),
    "gru-last": (RnnLast2("GRU"), (6, 5)),
    "text": (Text(), (6, 9)),
    "enc": (
        nn.Sequential(
            nn.Linear(5, 8),
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu"),
            nn.LayerNorm(8),
            nn.Linear(8, 2),
        ),
        (6, 5),
    ),
    "pools": (
        nn.Sequential(
            nn.AvgPool2d(3, 2, 1),
            nn.LPPool2d(2, 2, 1),
            nn.Hardswish(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(3, 2),
        ),
        (3, 9, 9),
    ),
}


class UNet(nn.Module):
    def __init__(s):
        super().__init__()
        s.a = nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect")
        s.b = nn.Conv2d(4, 8, 3, padding=(1, 2), padding_mode="circular", stride=(1, 2))
        s.c = nn.Conv2d(8, 4, 1)

    def forward(s, x):
        x = s.a(x).relu()
        y = F.interpolate(F.max_pool2d(x, 2), scale_factor=2)
        return s.c(F.pad(s.b(torch.tanh(y) + x), (1, -1, 0, 2)))


class Segmented(nn.Module):
    def __init__(s):
        super().__init__()
        s.c, s.p = nn.Conv2d(2, 4, 3, padding=1), nn.MaxPool2d(2, return_indices=True)
        s.d, s.u, s.e = nn.Conv2d(4, 4, 3, padding=1), nn.MaxUnpool2d(2), nn.Conv2d(4, 2, 1)

    def forward(s, x):
        x, places = s.p(torch.relu(s.c(x)))
        x = s.u(torch.tanh(s.d(x)), places, output_size=(6, 5))
        gate = torch.sigmoid(s.e(F.adaptive_avg_pool2d(x, 1)))
        return s.e(x) * gate - gate


class LastStates(nn.Module):
    def __init__(s, kind):
        super().__init__()
        s.r = getattr(nn, kind)(3, 4, 2, batch_first=True, bidirectional=True)

    def forward(s, x):
        every, states = s.r(x)
        h = states[0] if isinstance(s.r, nn.LSTM) else states
        return torch.cat([h[-2], h[-1], every.mean(1)], 1)


CASES |= {
    **{f"states-{kind}": (LastStates(kind), (5, 3)) for kind in ("LSTM", "GRU")},
    "lstm-no-bias": (Rnn("LSTM", bias=False, bidirectional=True), (6, 5)),
    "gru-no-bias": (RnnLast("GRU", bias=False), (6, 5)),
    "unet": (UNet(), (2, 4, 6)),
    "edges": (
        nn.Sequential(
            *(nn.ReflectionPad2d((1, 2, 0, 1)), nn.Conv2d(3, 8, 2), nn.PixelShuffle(2), nn.ZeroPad2d(1)),
            *(nn.CircularPad2d((1, 0, 2, 1)), nn.InstanceNorm2d(2), nn.Upsample(scale_factor=(2, 3))),
            *(nn.ReplicationPad2d(3), nn.GroupNorm(2, 2, affine=False), nn.Conv2d(2, 3, 3)),
            *(nn.BatchNorm2d(3, affine=False, momentum=None), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            *(nn.LayerNorm(3, elementwise_affine=False), nn.Linear(3, 2), nn.LayerNorm(2, bias=False)),
            nn.RMSNorm(2, elementwise_affine=False, eps=1e-5),
        ),
        (3, 5, 4),
    ),
    "no statistics": (
        nn.Sequential(
            *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(36, 5), nn.BatchNorm1d(5, affine=False, track_running_stats=False)),
        ),
        (3, 5, 5),
    ),
    "ceil": (
        nn.Sequential(
            *(nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(3, 5, 1)),
            nn.AvgPool2d(2, padding=1, ceil_mode=True, count_include_pad=False),
        ),
        (3, 10, 9),
    ),
    "bilinear": (
        nn.Sequential(nn.Conv2d(2, 3, 1), nn.Upsample(None, (3, 2), "bilinear"), nn.Conv2d(3, 1, 2)),
        (2, 3, 4),
    ),
    "volume": (
        nn.Sequential(
            *(nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2, ceil_mode=True)),
            *(nn.ReplicationPad3d(1), nn.ConvTranspose3d(4, 3, 2, 2, 1), nn.InstanceNorm3d(3, affine=True)),
            *(nn.AvgPool3d(2, 1), nn.Upsample(scale_factor=2, mode="trilinear"), nn.LPPool3d(2, 2)),
            *(nn.AdaptiveAvgPool3d((2, 1, 2)), nn.Flatten(), nn.Linear(12, 3)),
        ),
        (2, 5, 6, 7),
    ),
    "segmented": (Segmented(), (2, 6, 5)),
    "edges1d": (
        nn.Sequential(
            *(nn.ReflectionPad1d((2, 1)), nn.Conv1d(3, 4, 3), nn.CircularPad1d(1), nn.ConstantPad1d(1, 0.0)),
            *(nn.ReplicationPad1d(1), nn.Upsample(scale_factor=2, mode="linear"), nn.InstanceNorm1d(4)),
            nn.Conv1d(4, 2, 3),
        ),
        (3, 6),
    ),
}


class Parts(nn.Module):
    def __init__(s):
        super().__init__()
        s.a = nn.Conv2d(3, 8, 3, padding=1)
        s.b = nn.Linear(6, 4)

    def forward(s, x):
        x = 2 * s.a(x) - 0.5
        y = x[:, 1:7:2, :, -3:]
        z = F.adaptive_avg_pool2d(x, (4, 3)).sum(3)
        y = y.reshape(y.size(0), 3, -1, 6)
        return torch.cat(
            [s.b(y.permute(0, 2, 1, 3).mean(1) / 3).flatten(1), z.mean(1, keepdim=True).squeeze(1)], 1
        )


class Rows(nn.Module):
    def __init__(s):
        super().__init__()
        s.n = nn.LayerNorm((4, 6))
        s.m = nn.RMSNorm((2, 4, 6), eps=1e-3)

    def forward(s, x):
        y = torch.cat([s.n(x), F.softmax(s.m(x), 2)], 3)
        return torch.unsqueeze(y, 1).transpose(1, 3).squeeze(3)[..., 0]


class Indices(nn.Module):
    """Maxima, and where they are, by functions."""

    def __init__(s):
        super().__init__()
        s.c = nn.Conv2d(2, 3, 1)

    def forward(s, x):
        p, at = F.max_pool2d(s.c(x), 2, return_indices=True)
        return F.max_unpool2d(torch.tanh(p) + F.adaptive_max_pool2d(p, (1, 1)), at, 2)


def parts(seed):
    """Adaptive pools of any size, also more windows than pixels, between convolutions of one pixel."""
    r = np.random.default_rng(seed)
    axes, kind = seed % 3 + 1, ("Avg", "Max")[seed % 2]
    shape = [int(n) for n in r.integers(1, 9 if axes < 3 else 5, axes)]
    sizes = [None if s == 0 and axes > 1 else int(s) + (s == 0) for s in r.integers(0, 9, axes)]
    pool = getattr(nn, f"Adaptive{kind}Pool{axes}d")(sizes if axes > 1 else sizes[0])
    conv = getattr(nn, f"Conv{axes}d")
    return nn.Sequential(conv(2, 11, 1), pool, nn.Tanh(), conv(11, 10, 1)), (2, *shape)


CASES["indices"] = Indices(), (2, 6, 4)
CASES |= {f"parts {seed}": parts(seed) for seed in range(24)}
CASES |= {
    "adaptive": (
        nn.Sequential(
            *(
                nn.AdaptiveMaxPool2d((5, 4)),
                nn.Conv2d(2, 4, 2),
                nn.AdaptiveAvgPool2d((None, 2)),
                nn.Flatten(),
            ),
            nn.Linear(32, 2),
        ),
        (2, 11, 7),
    ),
    "resized": (
        nn.Sequential(
            *(nn.Upsample((7, 5), mode="bicubic"), nn.Conv2d(3, 4, 3)),
            *(
                nn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=True),
                nn.ConstantPad2d((1, 0, 2, 1), 1.5),
            ),
            *(nn.Upsample(scale_factor=0.7, mode="nearest"), nn.Upsample((3, 9), mode="nearest-exact")),
        ),
        (3, 5, 4),
    ),
    "dilated": (
        nn.Sequential(
            *(nn.MaxPool2d(2, 1, dilation=2), nn.Conv2d(4, 8, 1), nn.LPPool2d(4, 2), nn.ChannelShuffle(2)),
            *(nn.PixelUnshuffle(2), nn.GLU(1), nn.LogSoftmax(1)),
        ),
        (4, 10, 10),
    ),
    "divisor": (
        nn.Sequential(
            *(nn.AvgPool2d(3, 2, 1, divisor_override=2), nn.Conv2d(3, 2, 2)),
            nn.AvgPool2d((2, 3), 2, 1, ceil_mode=True, divisor_override=-5),
        ),
        (3, 9, 8),
    ),
    "divisor of volumes": (
        nn.Sequential(nn.Conv3d(2, 2, 1), nn.AvgPool3d(2, 1, ceil_mode=True, divisor_override=3)),
        (2, 3, 4, 5),
    ),
    "ceil counted": (nn.Sequential(nn.Conv2d(3, 3, 1), nn.AvgPool2d(3, 2, 1, ceil_mode=True)), (3, 6, 5)),
    "softmax over rows": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softmax(2)), (3, 5, 5)),
    "unflatten": (nn.Sequential(nn.Linear(5, 12), nn.Unflatten(1, (3, 2, 2)), nn.Conv2d(3, 2, 2)), (5,)),
    "rows": (Rows(), (2, 4, 6)),
    "parts": (Parts(), (3, 8, 7)),
}


class Modes(nn.Module):
    """Another function in training, which is no matter here."""

    def __init__(s):
        super().__init__()
        s.a = nn.Linear(5, 3)

    def forward(s, x):
        y = F.dropout(s.a(x), 0.5, s.training)
        return y if s.training else torch.tanh(y)


CASES["modes"] = (Modes(), (5,))


class Twice(nn.Module):
    """One module at two places, of a matrix, of gates and of channels."""

    def __init__(s):
        super().__init__()
        s.c, s.n = nn.Conv1d(4, 4, 3, padding=1), nn.BatchNorm1d(4)
        s.l, s.d = nn.LSTM(4, 4, batch_first=True), nn.Linear(4, 4)

    def forward(s, x):
        x = F.relu(s.n(s.c(F.relu(s.n(s.c(x)))))).transpose(1, 2)
        return s.d(torch.tanh(s.d(s.l(s.l(x)[0])[0])))[:, -1]


class Tied(nn.Module):
    """One matrix in two modules, each with a bias of its own."""

    def __init__(s):
        super().__init__()
        s.a, s.b, s.c = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5)
        s.b.weight = s.a.weight

    def forward(s, x):
        return s.c(torch.sigmoid(s.b(torch.tanh(s.a(x)))))


class Biased(Tied):
    def __init__(s):
        super().__init__()
        s.c.bias = s.a.bias


class Behind(nn.Module):
    """The second time behind a Flatten of channels, where its inputs lie otherwise here."""

    def __init__(s):
        super().__init__()
        s.d, s.c = nn.Linear(12, 12), nn.Conv2d(1, 3, 1)

    def forward(s, x):
        return s.d(torch.flatten(s.c(s.d(x).reshape(-1, 1, 2, 6)[:, :, :, :2]), 1))


CASES |= {"twice": (Twice(), (4, 6)), "tied": (Tied(), (5,))}


def of(forward: Any, *modules: Any) -> Any:
    """A module with this forward, of modules m0, m1, ..."""
    made = type("Made", (nn.Module,), {"forward": lambda s, x: forward(s, x)})()
    for number, module in enumerate(modules):
        made.add_module(f"m{number}", module)
    return made


L = nn.Linear
SLOPE = torch.tensor([0.3], dtype=torch.float64)
CASES |= {
    "abs": (of(lambda s, x: s.m0(torch.abs(x)), L(4, 3)), (4,)),
    "clamp": (of(lambda s, x: s.m0(x).clamp(0, 1), L(4, 3)), (4,)),
    "clamp min": (of(lambda s, x: s.m0(x).clamp(min=0), L(4, 3)), (4,)),
    "torch.clamp": (of(lambda s, x: torch.clamp(s.m0(x), -1, 1), L(4, 3)), (4,)),
    "hardtanh": (of(lambda s, x: F.hardtanh(s.m0(x), -2, 2), L(4, 3)), (4,)),
    "celu": (of(lambda s, x: F.celu(s.m0(x), 0.5), L(4, 3)), (4,)),
    "prelu": (of(lambda s, x: F.prelu(s.m0(x), SLOPE), L(4, 3)), (4,)),
    "threshold": (of(lambda s, x: F.threshold(s.m0(x), 0.1, 2.0), L(4, 3)), (4,)),
    "softmin": (of(lambda s, x: F.softmin(s.m0(x), 1), L(4, 3)), (4,)),
    "stack": (of(lambda s, x: torch.stack([s.m0(x), s.m1(x)], 1), L(4, 3), L(4, 3)), (4,)),
    "amax": (of(lambda s, x: s.m0(x).amax((2, 3)), nn.Conv2d(2, 3, 3)), (2, 6, 6)),
    "layer_norm F": (of(lambda s, x: F.layer_norm(s.m0(x), (3,)), L(4, 3)), (4,)),
    "linear F": (of(lambda s, x: F.linear(x, s.m0.weight, s.m0.bias), L(4, 3)), (4,)),
    "x[:, :, -1]": (of(lambda s, x: s.m0(x)[:, :, -1], nn.Conv1d(2, 3, 3)), (2, 6)),
    "chomp": (of(lambda s, x: s.m0(x)[:, :, :-2].contiguous(), nn.Conv1d(2, 3, 3, padding=2)), (2, 6)),
    "1-x": (of(lambda s, x: 1 - torch.sigmoid(s.m0(x)), L(4, 3)), (4,)),
    "lstm bi cat": (
        of(
            lambda s, x: (lambda h: s.m1(torch.cat((h[-2], h[-1]), 1)))(s.m0(x)[1][0]),
            nn.LSTM(3, 4, batch_first=True, bidirectional=True),
            L(8, 2),
        ),
        (5, 3),
    ),
    "lstm bi cat2": (
        of(
            lambda s, x: (lambda h: s.m1(torch.cat((h[-2, :, :], h[-1, :, :]), dim=1)))(s.m0(x)[1][0]),
            nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True),
            L(8, 2),
        ),
        (5, 3),
    ),
    "turned lstm": (
        of(lambda s, x: s.m0(x)[0].permute(0, 2, 1)[:, -1], nn.LSTM(3, 4, batch_first=True)),
        (5, 3),
    ),
    "pool cut": (
        of(lambda s, x: F.adaptive_avg_pool2d(s.m0(x), 1).view(-1, 2, 2), nn.Conv2d(2, 4, 3)),
        (2, 6, 6),
    ),
    "one limit": (of(lambda s, x: s.m0(x).clamp(min=-0.3).clamp(max=0.2) ** 2.0, L(4, 3)), (4,)),
    "h squeeze": (
        of(lambda s, x: s.m1(s.m0(x)[1][0].squeeze(0)), nn.LSTM(3, 4, batch_first=True), L(4, 2)),
        (5, 3),
    ),
    "c squeeze": (
        of(lambda s, x: s.m1(s.m0(x)[1][1].squeeze(0)), nn.LSTM(3, 4, batch_first=True), L(4, 2)),
        (5, 3),
    ),
    "h and c": (
        of(
            lambda s, x: (lambda o: s.m1(o[1][0][-1] + o[1][1][-1] + o[0][:, -1]))(s.m0(x)),
            nn.LSTM(3, 4, 2, batch_first=True),
            L(4, 2),
        ),
        (5, 3),
    ),
    "h0 zeros size": (
        of(
            lambda s, x: s.m0(x, torch.zeros(1, x.size(0), 4, dtype=torch.float64))[0],
            nn.GRU(3, 4, batch_first=True),
        ),
        (5, 3),
    ),
    "permute rnn": (of(lambda s, x: s.m0(x.permute(0, 2, 1))[0], nn.GRU(3, 4, batch_first=True)), (3, 5)),
    "repeat": (of(lambda s, x: s.m0(x).unsqueeze(1).repeat(1, 5, 1), L(4, 3)), (4,)),
    "expand": (of(lambda s, x: s.m0(x).unsqueeze(1).expand(-1, 5, -1), L(4, 3)), (4,)),
    "add inplace": (of(lambda s, x: (lambda y: s.m1(y.add_(x)))(s.m0(x)), L(4, 4), L(4, 2)), (4,)),
    "mul gate": (of(lambda s, x: s.m0(x).mul(torch.sigmoid(s.m1(x))), L(4, 3), L(4, 3)), (4,)),
    "pos emb": (
        of(lambda s, x: s.m0(x) + s.m1(torch.arange(6)), nn.Embedding(9, 4), nn.Embedding(6, 4)),
        ("ids", 6),
    ),
    "text cnn": (
        of(
            lambda s, x: (lambda e: torch.cat([F.relu(c(e)).max(dim=2)[0] for c in (s.m1, s.m2)], 1))(
                s.m0(x).permute(0, 2, 1)
            ),
            nn.Embedding(9, 4),
            nn.Conv1d(4, 5, 3),
            nn.Conv1d(4, 5, 2),
        ),
        ("ids", 6),
    ),
    "global max": (of(lambda s, x: torch.amax(s.m0(x), dim=(2, 3)), nn.Conv2d(2, 3, 3)), (2, 6, 6)),
    "x.T matmul": (of(lambda s, x: s.m0(x) @ s.m1.weight, L(4, 3), L(5, 3)), (4,)),
    "autoencoder": (of(lambda s, x: F.linear(s.m0(x).tanh(), s.m0.weight.t()), L(4, 3)), (4,)),
    "maximum": (of(lambda s, x: torch.maximum(s.m0(x), s.m1(x)), L(4, 3), L(4, 3)), (4,)),
    "min of two": (of(lambda s, x: torch.min(s.m0(x), s.m1(x)), L(4, 3), L(4, 3)), (4,)),
    "normalised": (
        of(lambda s, x: (lambda y: y / torch.sqrt((y**2).sum(1, keepdim=True) + 1e-6))(s.m0(x)), L(4, 3)),
        (4,),
    ),
    "power of a value": (of(lambda s, x: 2 ** s.m0(x), L(4, 3)), (4,)),
    "whole": (of(lambda s, x: torch.floor(s.m0(x) / 0.1) + s.m0(x).trunc(), L(4, 3)), (4,)),
    "logits+temp": (of(lambda s, x: F.log_softmax(s.m0(x) / 0.7, dim=-1), L(4, 3)), (4,)),
}

class Hiding(nn.Module):
    """A padding mask of numbers that are added to the scores."""

    def __init__(s):
        super().__init__()
        s.e, s.a = nn.Embedding(9, 8), nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(s, ids):
        x = s.e(ids)
        return s.a(x, x, x, key_padding_mask=(ids == 0).float() * -1e9)[0]


class Tokens(nn.Module):
    """A class token in front of the patches, as of a vision transformer, and sizes that are calculated."""

    def __init__(s, front=True):
        super().__init__()
        s.c, s.front = nn.Conv2d(3, 6, 4, 4), front
        s.token = nn.Parameter(torch.randn(1, 1 if front else 3, 6))
        s.norm, s.end = nn.RMSNorm(6), nn.Linear(6, 4)

    def forward(s, x):
        n, _, rows, columns = x.shape
        x = s.c(x).reshape(n, 6, (rows // 4) * (columns // 4)).permute(0, 2, 1)
        token = s.token.expand(n, -1, -1)
        return s.end(s.norm(torch.cat([token, x] if s.front else [x, token], dim=1))[:, 0])


class Grown(nn.Module):
    """A decoder that pads what it has grown to the size of what it joins, as U-nets do."""

    def __init__(s):
        super().__init__()
        s.down, s.up, s.end = nn.Conv2d(2, 3, 3, 2), nn.ConvTranspose2d(3, 2, 2, 2), nn.Conv2d(4, 2, 1)

    def forward(s, x):
        y = s.up(s.down(x))
        rows, columns = x.size()[2] - y.size()[2], x.size(3) - y.size(3)
        y = F.pad(y, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return torch.flatten(s.end(torch.cat([x, torch.cat([y], 1)], dim=1)), 1)


CASES |= {
    "class token": (Tokens(), (3, 8, 12)),
    "tokens behind": (Tokens(front=False), (3, 8, 12)),
    "sizes": (Grown(), (2, 9, 8)),
    "lower bound": (of(lambda s, x: s.m0(x).clamp(min=0.1), L(4, 3)), (4,)),
}
REFUSED = {
    "parametrized": (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 4, 2))), (3, 6)),
    "computed mask": (Hiding(), (5,)),
    "bias tied": (Biased(), (5,)),
    "otherwise": (Behind(), (12,)),
    "area": (nn.Upsample(scale_factor=2, mode="area"), (3, 5, 5)),
    "odd norm": (nn.LPPool2d(3, 2), (3, 6, 6)),
    "time first": (nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 4)), (5, 3)),
    "flat samples": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(0)), (3, 5, 5)),
}


class Several(nn.Module):
    """What is not told keeps its default, a number among them; what must be told is asked for by name."""

    def __init__(s):
        super().__init__()
        s.a, s.b = nn.Linear(3, 2), nn.Linear(4, 2)

    def forward(s, image, age, scale=2.0, mask=None):
        return s.a(image) * scale + s.b(age)


def several() -> bool:
    module = drawn(Several())
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    network = cr.from_torch(module, {"image": 3, "age": 4})
    found = np.abs(network.predict((x.numpy(), y.numpy())) - module(x, y).detach().numpy()).max()
    again = cr.from_torch(module, {"age": 4, "image": 3})  # by the arguments' names, in any order
    found += np.abs(again.predict((x.numpy(), y.numpy())) - network.predict((x.numpy(), y.numpy()))).max()
    for wrong in ({"age": 3, "other": 4}, {"image": 3, "age": 4, "mask": 2}):
        try:
            cr.from_torch(module, wrong)
            return False
        except cr.base.errors.ArgumentError as error:
            if "arguments of Several.forward are 'image', 'age', 'scale', 'mask'" not in str(error):
                return False
    try:
        cr.from_torch(module, [(3,), (4,)])
    except cr.base.errors.ArgumentError as error:
        return found < TOLERANCE and "write input_shape={'image': (3,), 'age': (4,)}" in str(error)
    return False


class Masked(nn.Module):
    """Constants in front of an input, between two, and behind them; one is a number."""

    def __init__(s):
        super().__init__()
        s.e = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        s.a = nn.Linear(4, 8)

    def forward(s, mask, x, scale, age, shift=None, twice=False):
        y = s.e(x, src_mask=mask) + (s.a(age) * scale)[:, None] + shift
        return y + y if twice else y


def masked() -> bool:
    """Masks (T, T) and other arguments that are the same for every sample."""
    later = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    window = (torch.arange(5)[:, None] - torch.arange(7)).abs() > 2
    apart = (torch.arange(5)[:, None] - torch.arange(5)).double()
    alibi = torch.stack([-slope * apart.abs() for slope in (2**-4, 2**-8)]) + later  # of two heads
    table = torch.randn(11, dtype=torch.float64)[torch.arange(5)[:, None] - torch.arange(7) + 6]
    padding = torch.rand(3, 5) < 0.4
    padding[:, 0] = False
    x, y = torch.randn(3, 5, 8, dtype=torch.float64), torch.randn(3, 7, 8, dtype=torch.float64)
    age, shift = torch.randn(3, 4, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    options: dict[str, Any] = {"dropout": 0.0, "batch_first": True}
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, **options), 2)
    decoder = nn.TransformerDecoderLayer(8, 2, 12, **options)
    of_masked = {"mask": later, "scale": 0.5, "shift": shift, "twice": True}
    cases = (
        (encoder, {"src": x}, {"mask": later}),
        (encoder, {"": x}, {"mask": later, "is_causal": True}),
        (decoder, {"tgt": x, "memory": y}, {"tgt_mask": later, "memory_mask": window}),
        (nn.Transformer(8, 2, 1, 1, 12, **options), {"src": y, "tgt": x}, {"memory_mask": window}),
        (
            nn.MultiheadAttention(8, 2, batch_first=True),
            {"query": x, "key": y, "value": y},
            {"attn_mask": window.expand(6, 5, 7)},
        ),
        (Masked(), {"x": x, "age": age}, of_masked),
        (encoder, {"src": x}, {"mask": alibi.repeat(3, 1, 1)}),
        (encoder, {"src": x}, {"mask": 0.3 * apart}),
        (encoder, {"src": x, "src_key_padding_mask": padding}, {"mask": 0.3 * apart + later}),
        (decoder, {"tgt": x, "memory": y}, {"memory_mask": table, "tgt_mask": table[:, :5]}),
        (decoder, {"tgt": x, "memory": y}, {"memory_mask": table.masked_fill(window, -torch.inf)}),
    )
    good = True
    for module, inputs, arguments in cases:
        drawn(module)
        shapes = {name: tuple(value.shape[1:]) for name, value in inputs.items()}
        network = cr.from_torch(module, shapes.get("", shapes), arguments=arguments)
        first = [inputs[""]] if "" in inputs else []
        # With gradients: without them PyTorch takes masks of numbers as True and False in eval mode.
        theirs = module(*first, **({} if first else inputs), **arguments)
        theirs = (theirs[0] if isinstance(theirs, tuple) else theirs).detach()
        X = tuple(value.numpy() for value in inputs.values())
        a = network.predict(X if len(X) > 1 else X[0])
        found = float(np.abs(a - theirs.numpy()).max())
        good &= found < TOLERANCE
        said = "ok" if found < TOLERANCE else "WRONG"
        print(f"{said:6}{type(module).__name__} {list(arguments)} {found:.1e}")
    for inputs, arguments, said in (
        ({"src": (5, 8)}, {"causal": True}, "has 'causal', and the forward of TransformerEncoder takes src"),
        ({"src": (5, 8)}, {"src": x}, "'src' is an input and one of arguments"),
        ({"src": (5, 8)}, {"mask": later[:4]}, "of arguments=, or (2, 5, 5), of every head, received (4, 5)"),
        ({"src": (5, 8)}, {"mask": torch.randn(5, 5)}, "has others for pairs of one distance"),
        ({"src": (5, 8)}, {"mask": torch.stack([later, later.T])}, "hides the same keys from all heads"),
    ):
        try:
            cr.from_torch(encoder, inputs, arguments=arguments)
        except cr.base.errors.ArgumentError as error:
            good &= said in str(error)
        else:
            good = False
    return good


def drawn(module: Any) -> Any:
    """In eval mode, with running statistics that are not those of the start."""
    module = module.double().eval()
    for part in module.modules():
        if getattr(part, "running_mean", None) is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module


def ours(network: cr.Network, x: Any) -> Any:
    X = x.numpy()
    return np.moveaxis(X, 1, -1) if X.shape[1:] != network.input_shape else X


def difference(module: Any, shape: tuple[int, ...]) -> float:
    module = drawn(module)
    network = cr.from_torch(module.train(), shape[1:] if shape[0] == "ids" else shape)
    assert all(part.training for part in module.modules())
    module.eval()
    ids = shape[0] == "ids"
    shape = shape[1:] if ids else shape
    x = torch.randint(0, 9, (3, *shape)) if ids else torch.randn(3, *shape, dtype=torch.float64)
    theirs = module(x.clone()).detach().numpy()
    assert network.shares or not isinstance(module, (Twice, Tied))
    a = network.predict(ours(network, x))
    if a.shape != theirs.shape:
        a = np.moveaxis(a, -1, 1)
    return float(np.abs(a - theirs).max())


def main() -> int:
    torch.manual_seed(0)
    wrong = 0
    for name, (module, shape) in CASES.items():
        found = difference(module, shape)
        wrong += found > TOLERANCE
        print(f"{'ok' if found <= TOLERANCE else 'WRONG':6}{name:12}{found:.1e}")
    wrong += not several()
    wrong += not masked()
    tied = cr.from_torch(CASES["autoencoder"][0], (4,))
    wrong += tied.count_parameters() != 4 * 3 + 3
    for name, (module, shape) in REFUSED.items():
        try:
            cr.from_torch(module, shape)
        except cr.base.errors.ArgumentError as error:
            print(f"{'ok':6}{name:20}{error}")
        else:
            wrong += 1
            print(f"WRONG {name}: was taken")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
