"""PyTorch's modules of several inputs as graphs: attention to another sequence, and the decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.layers import LayerNorm, MultiHeadAttention, TransformerDecoder
from chainrule.networks.graphs.graph import Graph
from chainrule.networks.network import Network
from chainrule.networks.taking.torch.reading import array_of

Arrays = dict[str, Array]
# Nodes by name, and the parameters that they have there.
Taken = tuple[dict[str, Any], Arrays]


def graph_of(torch: Any, module: Any, inputs: Mapping[str, Any], dtype: str) -> Network | None:
    """The graph that computes what the module makes of these inputs, in the order of its forward, with the
    layers and names of ours; None for a module that has no such layers.

    Nothing is hidden that the call of the module would hide by a mask: a decoder is not causal.
    """
    nn = torch.nn
    readers: dict[Any, Callable[..., Taken]] = {
        nn.MultiheadAttention: _attention,
        nn.TransformerDecoderLayer: _decoder_layer,
        nn.TransformerDecoder: _decoder,
    }
    values = 3 if type(module) is nn.MultiheadAttention else 2
    if type(module) not in readers or len(inputs) > values or any("mask" in name for name in inputs):
        return None
    try:
        nodes, numbers = readers[type(module)](module, tuple(inputs))
    except _UnlikeError:
        return None
    graph = Graph(nodes, inputs=inputs, dtype=dtype)
    graph.set_parameters(numbers)
    return graph


class _UnlikeError(Exception):
    """A block of other options than ours has."""


def projections(name: str, m: Any) -> Arrays:
    """W and b of an nn.MultiheadAttention; a bias of the keys cancels in softmax and is left out."""
    if m.bias_k is not None or m.add_zero_attn:
        raise ArgumentError(f"{name}: attention is taken without bias_k and add_zero_attn")
    parts = (m.q_proj_weight, m.k_proj_weight, m.v_proj_weight)
    if m.in_proj_weight is not None:
        parts = m.in_proj_weight.chunk(3)
    held = {f"W_{key}": array_of(part) for key, part in zip("qkv", parts, strict=True)}
    held["W_o"] = array_of(m.out_proj.weight)
    if m.in_proj_bias is not None:
        b_q, _, b_v = np.split(array_of(m.in_proj_bias), 3)
        held |= {"b_q": b_q, "b_v": b_v, "b_o": array_of(m.out_proj.bias)}
    return held


def _attention(m: Any, sources: tuple[str, ...]) -> Taken:
    """query, key, value; of two inputs the second is both."""
    layer = MultiHeadAttention(m.num_heads, bias=m.in_proj_bias is not None)
    held = projections("MultiheadAttention", m)
    return {"attention": (layer, *sources)}, {f"attention.{name}": array for name, array in held.items()}


def _decoder_layer(m: Any, sources: tuple[str, ...]) -> Taken:
    return {"decoder": (_block(m), *sources)}, dict(_block_numbers("decoder", m))


def _decoder(m: Any, sources: tuple[str, ...]) -> Taken:
    """One block behind the other, all of which read the same memory, and a norm where there is one."""
    target, memory = sources
    nodes: dict[str, Any] = {}
    numbers: Arrays = {}
    for number, block in enumerate(m.layers):
        name = f"layers{number}"
        nodes[name] = (_block(block), target, memory)
        numbers |= dict(_block_numbers(name, block))
        target = name
    if m.norm is not None:
        nodes["norm"] = LayerNorm(epsilon=m.norm.eps)
        numbers |= {"norm.gamma": array_of(m.norm.weight), "norm.beta": array_of(m.norm.bias)}
    return nodes, numbers


def _block(m: Any) -> TransformerDecoder:
    called = getattr(m.activation, "__name__", type(m.activation).__name__.lower())
    norms = [m.norm1.eps, m.norm2.eps, m.norm3.eps]
    if called not in ("relu", "gelu") or m.linear1.bias is None or norms != [LayerNorm().epsilon] * 3:
        raise _UnlikeError
    return TransformerDecoder(
        m.self_attn.num_heads,
        m.linear1.out_features,
        activation=called,
        causal=False,
        norm_first=m.norm_first,
        dropout=m.dropout.p,
    )


def _block_numbers(name: str, m: Any) -> Iterator[tuple[str, Array]]:
    for part in ("self_attn", "multihead_attn"):
        for key, array in projections(f"{name}.{part}", getattr(m, part)).items():
            yield f"{name}.{part}.{key}", array
    for part in ("linear1", "linear2"):
        linear = getattr(m, part)
        yield f"{name}.{part}.W", array_of(linear.weight)
        yield f"{name}.{part}.b", array_of(linear.bias)
    for number in (1, 2, 3):
        norm = getattr(m, f"norm{number}")
        yield f"{name}.norm{number}.gamma", array_of(norm.weight)
        yield f"{name}.norm{number}.beta", array_of(norm.bias)
