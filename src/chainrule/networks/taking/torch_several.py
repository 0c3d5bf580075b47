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

Arrays = dict[str, Array]
# Nodes by name, and the parameters that they have there.
Taken = tuple[dict[str, Any], Arrays]


def graph_of(torch: Any, module: Any, inputs: Mapping[str, Any], dtype: str) -> Network:
    """The graph that computes what the module makes of these inputs, in the order of its forward.

    Nothing is hidden that the call of the module would hide by a mask: a decoder is not causal.
    """
    nn = torch.nn
    readers: dict[Any, Callable[..., Taken]] = {
        nn.MultiheadAttention: _attention,
        nn.TransformerDecoderLayer: _decoder_layer,
        nn.TransformerDecoder: _decoder,
    }
    if type(module) not in readers:
        known = ", ".join(f"nn.{cls.__name__}" for cls in readers)
        raise ArgumentError(f"from_torch takes several inputs of {known}, received {type(module).__name__}")
    nodes, numbers = readers[type(module)](module, tuple(inputs))
    graph = Graph(nodes, inputs=inputs, dtype=dtype)
    graph.set_parameters(numbers)
    return graph


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().numpy())


def projections(name: str, m: Any) -> Arrays:
    """W and b of an nn.MultiheadAttention; a bias of the keys cancels in softmax and is left out."""
    if m.bias_k is not None or m.add_zero_attn or not m.batch_first:
        raise ArgumentError(
            f"{name}: attention is taken with batch_first=True, without bias_k and add_zero_attn"
        )
    parts = (m.q_proj_weight, m.k_proj_weight, m.v_proj_weight)
    if m.in_proj_weight is not None:
        parts = m.in_proj_weight.chunk(3)
    held = {f"W_{key}": _array(part) for key, part in zip("qkv", parts, strict=True)}
    held["W_o"] = _array(m.out_proj.weight)
    if m.in_proj_bias is not None:
        b_q, _, b_v = np.split(_array(m.in_proj_bias), 3)
        held |= {"b_q": b_q, "b_v": b_v, "b_o": _array(m.out_proj.bias)}
    return held


def _attention(m: Any, sources: tuple[str, ...]) -> Taken:
    """query, key, value; of two inputs the second is both."""
    layer = MultiHeadAttention(m.num_heads, bias=m.in_proj_bias is not None)
    held = projections("MultiheadAttention", m)
    return {"attention": (layer, *sources)}, {f"attention.{name}": array for name, array in held.items()}


def _decoder_layer(m: Any, sources: tuple[str, ...]) -> Taken:
    return {"decoder": (_block("decoder", m), *sources)}, dict(_block_numbers("decoder", m))


def _decoder(m: Any, sources: tuple[str, ...]) -> Taken:
    """One block behind the other, all of which read the same memory, and a norm where there is one."""
    target, memory = sources
    nodes: dict[str, Any] = {}
    numbers: Arrays = {}
    for number, block in enumerate(m.layers):
        name = f"layers{number}"
        nodes[name] = (_block(name, block), target, memory)
        numbers |= dict(_block_numbers(name, block))
        target = name
    if m.norm is not None:
        nodes["norm"] = LayerNorm(epsilon=m.norm.eps)
        numbers |= {"norm.gamma": _array(m.norm.weight), "norm.beta": _array(m.norm.bias)}
    return nodes, numbers


def _block(name: str, m: Any) -> TransformerDecoder:
    called = getattr(m.activation, "__name__", type(m.activation).__name__.lower())
    norms = [m.norm1.eps, m.norm2.eps, m.norm3.eps]
    if called not in ("relu", "gelu") or m.linear1.bias is None or norms != [LayerNorm().epsilon] * 3:
        raise ArgumentError(
            f"{name}: a decoder layer is taken with the activation relu or gelu, biases, and "
            f"layer_norm_eps={LayerNorm().epsilon}"
        )
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
        yield f"{name}.{part}.W", _array(linear.weight)
        yield f"{name}.{part}.b", _array(linear.bias)
    for number in (1, 2, 3):
        norm = getattr(m, f"norm{number}")
        yield f"{name}.norm{number}.gamma", _array(norm.weight)
        yield f"{name}.norm{number}.beta", _array(norm.bias)
