"""Modules of PyTorch as graphs, with the real library: `python -m tests.graphs.torch_graphs`.

The suite has no PyTorch. Several inputs and outputs, crossing values, states, attention to another sequence:
`from_torch`, and PyTorch's own exporter and `from_onnx`, beside the module; then an epoch of training.
"""

# mypy: ignore-errors

from __future__ import annotations

import contextlib
import io
import sys
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import nn

import chainrule as cr

TOLERANCE = {"torch": 1e-9, "onnx": 2e-5}
OPSETS = (14, 17, 20)
FILLED = ("largest", "weighed", "filled with 3")
MASKS = ("sdpa", "added", "filled")
WRITTEN_OUT = ("NanoGPT", *(f"Mask {way}" for way in MASKS))  # which from_torch does not follow


class SE(nn.Module):
    def __init__(s, c=8):
        super().__init__()
        s.conv = nn.Conv2d(3, c, 3, padding=1)
        s.a = nn.Linear(c, 4)
        s.b = nn.Linear(4, c)
        s.head = nn.Linear(c, 3)

    def forward(s, x):
        x = F.relu(s.conv(x))
        g = torch.sigmoid(s.b(F.relu(s.a(x.mean((2, 3)))))).view(x.size(0), -1, 1, 1)
        return s.head((x * g).mean((2, 3)))


class SE2(SE):
    def __init__(s):
        super().__init__()
        s.pool = nn.AdaptiveAvgPool2d(1)
        s.f1 = nn.Conv2d(8, 4, 1)
        s.f2 = nn.Conv2d(4, 8, 1)

    def forward(s, x):
        x = F.relu(s.conv(x))
        g = torch.sigmoid(s.f2(F.relu(s.f1(s.pool(x)))))
        return s.head((x * g).mean((2, 3)))


class Two(nn.Module):
    def __init__(s):
        super().__init__()
        s.c = nn.Conv2d(1, 4, 3)
        s.l = nn.Linear(4 * 36, 8)
        s.m = nn.Linear(2, 8)
        s.o = nn.Linear(16, 3)
        s.p = nn.Linear(16, 1)

    def forward(s, image, age):
        y = torch.cat([F.relu(s.l(torch.flatten(F.relu(s.c(image)), 1))), torch.tanh(s.m(age))], 1)
        return s.o(y), s.p(y)


class Named(Two):
    def forward(s, image, age, mask=None):
        a, b = super().forward(image, age)
        return {"kind": torch.softmax(a, 1), "price": b}


class Siamese(nn.Module):
    def __init__(s):
        super().__init__()
        s.t = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 4))
        s.o = nn.Linear(4, 1)

    def forward(s, a, b):
        return torch.sigmoid(s.o((s.t(a) - s.t(b)) ** 2))


class Hidden(nn.Module):
    def __init__(s, cell="LSTM", n=1, bi=False):
        super().__init__()
        s.r = getattr(nn, cell)(5, 7, n, batch_first=True, bidirectional=bi)
        s.o = nn.Linear(7, 3)

    def forward(s, x):
        r = s.r(x)
        h = r[1][0] if isinstance(s.r, nn.LSTM) else r[1]
        return s.o(h[-1])


class Seq2Seq(nn.Module):
    def __init__(s, cell="LSTM"):
        super().__init__()
        s.e = getattr(nn, cell)(5, 7, 2, batch_first=True)
        s.d = getattr(nn, cell)(4, 7, 2, batch_first=True)
        s.o = nn.Linear(7, 3)

    def forward(s, x, y):
        _, h = s.e(x)
        out, _ = s.d(y, h)
        return s.o(out)


class Seq1(Seq2Seq):
    def __init__(s, cell="LSTM"):
        super().__init__()
        s.e = getattr(nn, cell)(5, 7, batch_first=True)
        s.d = getattr(nn, cell)(4, 7, batch_first=True)


class ViT(nn.Module):
    def __init__(s):

        super().__init__()
        s.p = nn.Conv2d(3, 8, 4, 4)
        s.pos = nn.Parameter(torch.randn(1, 16, 8))
        s.e = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True),
            2,
            norm=nn.LayerNorm(8),
            enable_nested_tensor=False,
        )
        s.o = nn.Linear(8, 3)

    def forward(s, x):
        x = s.p(x).flatten(2).transpose(1, 2) + s.pos
        return s.o(s.e(x).mean(1))


class Trans(nn.Module):
    def __init__(s):
        super().__init__()
        s.t = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
        s.o = nn.Linear(8, 5)
        s.register_buffer("m", nn.Transformer.generate_square_subsequent_mask(6))

    def forward(s, src, tgt):
        return s.o(s.t(src, tgt, tgt_mask=s.m))


class Causal(nn.Module):
    def __init__(s):
        super().__init__()
        s.E = nn.Embedding(11, 8)
        s.a = nn.MultiheadAttention(8, 2, batch_first=True)
        s.n = nn.LayerNorm(8)
        s.o = nn.Linear(8, 11)
        s.register_buffer("m", torch.triu(torch.ones(6, 6, dtype=torch.bool), 1))

    def forward(s, ids):
        x = s.E(ids)
        h = s.n(x)
        y, _ = s.a(h, h, h, attn_mask=s.m, need_weights=False)
        return s.o(x + y)


class Cross(nn.Module):
    def __init__(s):
        super().__init__()
        s.a = nn.MultiheadAttention(8, 2, batch_first=True, kdim=6, vdim=6)
        s.o = nn.Linear(8, 3)

    def forward(s, q, m):
        return s.o(s.a(q, m, m)[0])


class Crossing(nn.Module):
    def __init__(s):
        super().__init__()
        s.c = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(4))

    def forward(s, x):
        a = F.relu(s.c[0](x))
        b = F.relu(s.c[1](a))
        c = F.relu(s.c[2](a + b))
        d = s.c[3](b + c)
        return torch.cat([d + a, c], 1)


class Highway(nn.Module):
    def __init__(s):
        super().__init__()
        s.h = nn.Linear(6, 6)
        s.t = nn.Linear(6, 6)

    def forward(s, x):
        t = torch.sigmoid(s.t(x))
        return t * F.relu(s.h(x)) + (1 - t) * x


class Wide(nn.Module):
    def __init__(s):
        super().__init__()
        s.E = nn.Embedding(10, 4)
        s.l = nn.Linear(4 * 3 + 2, 6)
        s.o = nn.Linear(6, 1)

    def forward(s, ids, x):
        return s.o(F.relu(s.l(torch.cat([s.E(ids).flatten(1), x], 1)))).squeeze(-1)


class Decoder2(nn.Module):
    def __init__(s):
        super().__init__()
        s.d = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, activation="gelu", norm_first=True), 2
        )
        s.o = nn.Linear(8, 3)

    def forward(s, t, m):
        return s.o(s.d(t, m))


class RnnAll(nn.Module):
    def __init__(s):
        super().__init__()
        s.r = nn.GRU(5, 7, batch_first=True)
        s.o = nn.Linear(14, 3)

    def forward(s, x):
        o, _ = s.r(x)
        return s.o(torch.cat([o.mean(1), o[:, -1]], 1))


class NanoGPT(nn.Module):
    def __init__(s):
        super().__init__()
        s.E = nn.Embedding(11, 8)
        s.P = nn.Parameter(torch.randn(1, 6, 8))
        s.n = nn.LayerNorm(8)
        s.qkv = nn.Linear(8, 24, bias=False)
        s.o = nn.Linear(8, 8)
        s.h = nn.Linear(8, 11)

    def forward(s, ids):
        x = s.E(ids) + s.P
        q, k, v = s.qkv(s.n(x)).split(8, dim=2)
        B, T, C = x.shape
        q, k, v = (t.view(B, T, 2, 4).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).contiguous().view(B, T, C)
        return s.h(x + s.o(y))


class BothWays(nn.Module):
    """States of both directions that go on; two outputs whose names are one here."""

    def __init__(s, kind):
        super().__init__()
        s.one, s.two = (getattr(nn, kind)(4, 3, 2, batch_first=True, bidirectional=True) for _ in "ab")

    def forward(s, x, y):
        x = s.two(y, s.one(x)[1])[0]
        return {"a.b": x, "a_b": torch.tanh(x)}


def ids(*shape):
    return "ids", shape


class Padded(nn.Module):
    """Keys that are padding are told by a mask, or by ids."""

    def __init__(s, vocabulary=0):
        super().__init__()
        s.l = nn.Embedding(vocabulary, 8) if vocabulary else nn.Linear(6, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        s.e, s.f = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 3)
        s.a = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(s, x, mask=None):
        mask = (x == 2) if mask is None else mask
        y = s.e(s.l(x), src_key_padding_mask=mask)
        return s.f(s.a(y, y, y, key_padding_mask=mask)[0].mean(1))


class PaddedIds(Padded):
    def forward(s, x):
        return super().forward(x)


class Written(nn.Module):
    """Attention written out, with a mask of padding as others write it: 1 where a key is there."""

    def __init__(s, way):
        super().__init__()
        s.way, s.q, s.k, s.v, s.o = way, nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(s, x, mask):
        q, k, v = (part(x).view(x.size(0), 5, 2, 4).transpose(1, 2) for part in (s.q, s.k, s.v))
        there = mask[:, None, None, :]
        if s.way == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=there)
        else:
            a = q @ k.transpose(-2, -1) / 2
            if s.way == "added":
                a = a + (1.0 - there.to(a.dtype)) * torch.finfo(torch.float32).min
            else:
                a = a.masked_fill(there.to(a.dtype) == 0, float("-inf"))
            y = a.softmax(-1) @ v
        return s.o(y.transpose(1, 2).reshape(x.size(0), 5, 8))


class MaskedMean(nn.Module):
    """The mean of the vectors of ids that are no padding, as it is written without a layer for it."""

    def __init__(s, way, padding=None):
        super().__init__()
        s.way, s.e, s.l = way, nn.Embedding(9, 4, padding_idx=padding), nn.Linear(4, 2)

    def forward(s, x):
        there = x != 0
        if s.way == "filled":
            summed = s.e(x).masked_fill(~there.unsqueeze(-1), 0.0).sum(dim=1)
            return s.l(summed / there.sum(dim=1, keepdim=True).clamp(min=1).float())
        if s.way == "largest":
            return s.l(s.e(x).masked_fill((x == 0).unsqueeze(-1), -1e9).max(1).values)
        if s.way == "weighed":
            y = s.e(x)
            return s.l((y[..., :1].masked_fill((x == 0).unsqueeze(-1), -1e4).softmax(1) * y).sum(1))
        if s.way == "filled with 3":
            return s.l(s.e(x).masked_fill((x == 2).unsqueeze(-1), 3).mean(1))
        there = there.float() if s.way == "float" else there.to(s.l.weight.dtype).unsqueeze(-1)
        numbers = there[:, :, None] if s.way == "float" else there
        return s.l((s.e(x) * numbers).sum(1) / numbers.sum(1).clamp(min=1))


CASES = {
    "Mean float": (MaskedMean("float"), ids(5)),
    "Mean to": (MaskedMean("to", 0), ids(5)),
    "Mean filled": (MaskedMean("filled", 0), ids(5)),
    **{f"Mask {way}": (MaskedMean(way), ids(5)) for way in FILLED},
    **{f"Mask {way}": (Written(way), {"x": (5, 8), "mask": ("there", (5,))}) for way in MASKS},
    "Padded": (Padded(), {"x": (5, 6), "mask": ("flags", (5,))}),
    "PaddedIds": (PaddedIds(9), ids(5)),
    "SE": (SE(), (3, 8, 8)),
    "SE2": (SE2(), (3, 8, 8)),
    "Two": (Two(), {"image": (1, 8, 8), "age": (2,)}),
    "Named": (Named(), {"image": (1, 8, 8), "age": (2,)}),
    "Siamese": (Siamese(), {"a": (5,), "b": (5,)}),
    "h_n LSTM": (Hidden(), (6, 5)),
    "h_n GRU2": (Hidden("GRU", 2), (6, 5)),
    "h_n RNN": (Hidden("RNN"), (6, 5)),
    "Seq2Seq LSTM2": (Seq2Seq(), {"x": (6, 5), "y": (4, 4)}),
    "Seq GRU2": (Seq2Seq("GRU"), {"x": (6, 5), "y": (4, 4)}),
    "Seq1 LSTM": (Seq1(), {"x": (6, 5), "y": (4, 4)}),
    "Seq1 GRU": (Seq1("GRU"), {"x": (6, 5), "y": (4, 4)}),
    "Both GRU2": (BothWays("GRU"), {"x": (6, 4), "y": (5, 4)}),
    "Both LSTM2": (BothWays("LSTM"), {"x": (6, 4), "y": (5, 4)}),
    "ViT": (ViT(), (3, 16, 16)),
    "Transformer": (Trans(), {"src": (5, 8), "tgt": (6, 8)}),
    "Causal": (Causal(), ids(6)),
    "Cross": (Cross(), {"q": (5, 8), "m": (7, 6)}),
    "Crossing": (Crossing(), (4, 6, 6)),
    "Highway": (Highway(), (6,)),
    "Wide": (Wide(), {"ids": ids(3), "x": (2,)}),
    "Decoder2": (Decoder2(), {"t": (5, 8), "m": (7, 8)}),
    "RnnAll": (RnnAll(), (6, 5)),
    "NanoGPT": (NanoGPT(), ids(6)),
}


def samples(spec, dtype, count=3):
    if spec[:1] == ("ids",):
        return torch.randint(0, 9, (count, *spec[1]))
    if spec[:1] == ("there",):
        return torch.cat([torch.ones(count, 1), torch.rand(count, spec[1][0] - 1) < 0.6], 1).bool()
    if spec[:1] == ("flags",):
        return torch.cat([torch.zeros(count, 1), torch.rand(count, spec[1][0] - 1) < 0.4], 1).bool()
    return torch.randn(count, *spec, dtype=dtype)


def ours(x):
    return np.moveaxis(x.numpy(), 1, -1) if x.ndim == 4 else x.numpy()


def exported(module, X, opset):
    stream, names = io.BytesIO(), list(X)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(
            module, tuple(X.values()), stream, dynamo=False, opset_version=opset, input_names=names,
            dynamic_axes={name: {0: "n"} for name in names},
        )  # fmt: skip
    return onnx.load_from_string(stream.getvalue())


def difference(module, specs, way, opset=17):
    """The largest difference of an output; an epoch of training has to be possible."""
    dtype = torch.float64 if way == "torch" else torch.float32
    module = module.to(dtype).eval()
    X = {name: samples(spec, dtype) for name, spec in specs.items()}
    with torch.no_grad():
        theirs = module(*X.values())
    theirs = list(theirs.values()) if isinstance(theirs, dict) else theirs
    theirs = [ours(a) for a in (theirs if isinstance(theirs, tuple | list) else [theirs])]
    if way == "torch":
        shapes = {name: spec[1] if isinstance(spec[0], str) else spec for name, spec in specs.items()}
        network = cr.from_torch(module, shapes if len(shapes) > 1 else next(iter(shapes.values())))
        if isinstance(module, MaskedMean):  # nothing of a comparison is learned
            assert network.count_parameters() == sum(p.numel() for p in module.parameters())
    else:
        network = cr.from_onnx(exported(module, X, opset))
    values = [ours(x) for x in X.values()]
    given = dict(zip(network.input_parts, values, strict=True)) if len(values) > 1 else values[0]
    made = network.predict(given)
    made = made if isinstance(made, dict) else {"": made}
    pairs = zip(made.values(), theirs, strict=True)
    found = max(float(np.abs(a.reshape(b.shape) - b).max()) for a, b in pairs)
    loss = dict.fromkeys(made, "mse") if network.heads else "mse"
    zeros = {name: np.zeros_like(a) for name, a in made.items()}
    cr.fit(network, given, zeros if network.heads else zeros[""], loss=loss, epochs=1, progress=False)
    return found


def main() -> int:
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")
    wrong = 0
    for name, (module, spec) in CASES.items():
        specs = spec if isinstance(spec, dict) else {"x": spec}
        ways = [] if isinstance(module, MaskedMean) else [("onnx", opset) for opset in OPSETS]
        ways += [] if name in WRITTEN_OUT else [("torch", 0)]
        found = {f"{way} {opset or ''}": difference(module, specs, way, opset) for way, opset in ways}
        bad = [way for way, gap in found.items() if gap > TOLERANCE[way.split()[0]]]
        wrong += len(bad)
        print(f"{'WRONG' if bad else 'ok':6}{name:14}{'  '.join(f'{w} {g:.0e}' for w, g in found.items())}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
