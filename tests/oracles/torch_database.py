"""PyTorch's own database of modules, taken: `python -m tests.oracles.torch_database [module ...]`.

Every case of torch.testing's module_db that is no loss, in float64 and eval mode, whose samples are an axis,
the first of what the module takes (with batch_first=False the second, of first states always). Arguments that
are tensors are inputs, a tuple of them several, and masks (T, T) are `arguments`.
A case agrees where the network of `from_torch` computes what the module does; a refusal is no agreement.
Needs expecttest beside PyTorch.
"""

# mypy: ignore-errors

from __future__ import annotations

import inspect
import sys
import warnings
from collections import Counter, defaultdict

import numpy as np
import torch
from torch import nn
from torch.testing._internal.common_modules import module_db

import chainrule as cr
from chainrule.base.errors import ChainruleError

TOLERANCE = 1e-7
SEQUENCES = (nn.RNNBase, nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoder)
SEQUENCES += (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.TransformerDecoder)


def cases():
    """(name, how it is made, the module, its arguments that are told) of the database."""
    for info in module_db:
        name = info.module_cls.__name__
        if name.endswith("Loss") or name.startswith("Embedding"):
            continue
        torch.manual_seed(0)
        for case in info.module_inputs_func(info, "cpu", torch.float64, False, False):
            made, given = case.constructor_input, case.forward_input
            module = info.module_cls(*made.args, **made.kwargs).double().eval()
            told = dict(zip(inspect.signature(module.forward).parameters, given.args, strict=False))
            yield name, made, module, {k: v for k, v in (told | given.kwargs).items() if v is not None}


def verdict(module, told):
    """ "agrees", "differs", "no samples", or "refused: why"."""
    with torch.no_grad():
        want = module(**told)
    while isinstance(want, tuple):
        want = want[0]
    masks = {name: mask for name, mask in told.items() if name.endswith("mask") and "padding" not in name}
    tensors = {}
    for name, value in told.items():
        several = value if isinstance(value, tuple) else (value,)
        for number, one in enumerate(() if name in masks else several):
            tensors[f"{name}{number}" if len(several) > 1 else name] = one
    if not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        return "refused: arguments that are no tensors"
    axes = [value.ndim for value in tensors.values()]
    batch_first = next((m.batch_first for m in module.modules() if hasattr(m, "batch_first")), True)
    least = 3 if isinstance(module, SEQUENCES) else 2
    if not want.numel() or not axes[0]:
        return "no samples"
    if axes[0] < least + _axes(module):  # a single one
        want, tensors = want[None], {name: value[None] for name, value in tensors.items()}
    else:  # steps stand in front of samples, but in masks; in front of first states layers
        turned = {k for k, v in tensors.items() if v.ndim > 2 and (k.startswith("hx") or not batch_first)}
        want = want if batch_first else want.swapaxes(0, 1)
        tensors = {k: v.swapaxes(0, 1) if k in turned else v for k, v in tensors.items()}
    shapes = {name: tuple(value.shape[1:]) for name, value in tensors.items()}
    shapes = shapes if len(shapes) > 1 else next(iter(shapes.values()))
    try:
        network = cr.from_torch(module, shapes, arguments=masks or None, dtype="float64")
        for turn in (True, False):  # channels behind, or as they are
            X = [np.asarray(x) for x in tensors.values()]
            X = [np.moveaxis(x, 1, -1) if turn and x.ndim > 2 else x for x in X]
            takes = [shape for shape, _ in network.input_parts.values()] or [network.input_shape]
            if [x.shape[1:] for x in X] != takes:
                continue
            made = network.predict(tuple(X) if len(X) > 1 else X[0])
            made = next(iter(made.values())) if isinstance(made, dict) else made
            for one in (made, np.moveaxis(made, -1, 1)):
                if one.size == want.numel():
                    near = np.allclose(one.reshape(want.shape), want, TOLERANCE, TOLERANCE)
                    if near:
                        return "agrees"
    except ChainruleError as error:
        return f"refused: {error}"
    return "differs"


def _axes(module):
    """Of positions: Conv2d has 2."""
    last = type(module).__name__[-2:]
    return int(last[0]) if last in ("1d", "2d", "3d") and "BatchNorm" not in type(module).__name__ else 0


def main(chosen):
    warnings.simplefilter("ignore")
    torch.backends.mha.set_fastpath_enabled(False)  # it puts zeros where steps are padding, training does not
    counts, total = defaultdict(Counter), Counter()
    for name, made, module, told in cases():
        if chosen and name not in chosen:
            continue
        said = verdict(module, told)
        counts[name][said.split(":")[0]] += 1
        if said != "agrees":
            print(f"{name}: {said[:160]} | {str(made.args)[:60]} {made.kwargs} {list(told)}")
    for name, row in counts.items():
        total += row
        print(f"{name:28}", dict(row))
    print(dict(total))


if __name__ == "__main__":
    main(sys.argv[1:])
