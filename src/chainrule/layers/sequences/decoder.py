r"""TransformerDecoder: the block of a decoder, which reads its own sequence and one that an encoder made.

N is a layer norm, S attention of a sequence to itself, C to the encoder's, F two dense layers, an f between:
    a = N(x + S(x))          b = N(a + C(a, memory))          z = N(b + F(b))
or, with the norms in front,
    a = x + S(N(x))          b = a + C(N(a), memory)          z = b + F(N(b))
Source: Vaswani et al., Attention Is All You Need, 2017, 3.1; norms in front: Xiong et al., 2020.
"""

from __future__ import annotations

import copy
from typing import Any

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice, check_flag
from chainrule.layers.activations.rectifiers import ReLU
from chainrule.layers.activations.smooth import GELU
from chainrule.layers.base import InnerNode, Layer, Shape
from chainrule.layers.checks import whole
from chainrule.layers.dense import Dense
from chainrule.layers.dropout import Dropout
from chainrule.layers.norms.last_axes import LayerNorm
from chainrule.layers.sequences.attention import BUCKETS, ROTARY_NAMES, MultiHeadAttention
from chainrule.layers.sequences.embedding import sequence
from chainrule.layers.wiring import Add

ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "gelu": GELU}


class TransformerDecoder(Layer):
    """A node of a `Graph`, `"decoder": (TransformerDecoder(4, 128), "target", "memory")`: (T, F), (S, F') ->
    (T, F). The Graph takes its layers in its place, under PyTorch's names: "decoder.self_attn",
    "decoder.multihead_attn", "decoder.linear1", "decoder.linear2", "decoder.norm1" to "decoder.norm3".

    heads: of both attentions. hidden: units between the two dense layers. activation: "relu" or "gelu".
    causal: a step of the target sees itself and those before it only, as in training with the whole target.
    norm_first: norms in front of what is added, in place of behind the sum.
    relative_positions, buckets, max_distance: of the attention of the target to itself, as there; the one to
        the memory has none.
    dropout: the rate of the dropouts on what the attentions and the dense layers put out, and between these;
        there is none on the weights A, where PyTorch has one more.
    """

    kind = "decoder"
    family = "decoder"

    @teach("the heads and the hidden units, TransformerDecoder(4, 128): it finds out the features")
    def __init__(
        self,
        heads: int,
        hidden: int,
        *,
        activation: str = "relu",
        causal: bool = True,
        norm_first: bool = False,
        dropout: float = 0.0,
        relative_positions: str | None = None,
        buckets: int = BUCKETS,
        max_distance: int | None = None,
        name: str | None = None,
    ) -> None:
        self.heads = whole(heads, "TransformerDecoder heads")
        self.hidden = whole(hidden, "TransformerDecoder hidden")
        self.activation = check_choice("TransformerDecoder activation", activation, ACTIVATIONS)
        self.causal = check_flag("TransformerDecoder causal", causal)
        self.norm_first = check_flag("TransformerDecoder norm_first", norm_first)
        if isinstance(relative_positions, str) and relative_positions.lower() in ROTARY_NAMES:
            raise ArgumentError(
                f"TransformerDecoder relative_positions={relative_positions!r}: it turns no queries and keys "
                "by their places; write 'alibi', 't5' or 'learned', or its layers one by one with "
                f"MultiHeadAttention({self.heads}, causal={self.causal}, rotary=True)"
            )
        try:
            self.dropout = Dropout(dropout).rate
            self._own = MultiHeadAttention(
                self.heads,
                causal=self.causal,
                relative_positions=relative_positions,
                buckets=buckets,
                max_distance=max_distance,
                name="self_attn",
            )
        except (ArgumentError, ShapeError) as error:  # in the name that was written
            said = str(error).replace("MultiHeadAttention", "TransformerDecoder")
            raise type(error)(said.replace("Dropout rate", "TransformerDecoder dropout")) from None
        self.relative_positions, self.buckets, self.max_distance = relative_positions, buckets, max_distance
        self.name = name
        # By features: what stands in its place is the same wherever it stands, and so are the parameters.
        self._inner: dict[int, list[InnerNode]] = {}

    @property
    def most_sources(self) -> int:
        return 2

    def output_shape(self, input_shape: Shape) -> Shape:
        raise ShapeError(
            f"{self!r} reads two sequences: write it as a node of a Graph, 'decoder': ({self!r}, 'target', "
            "'memory')"
        )

    def inner_nodes(self, shapes: tuple[Shape, ...]) -> list[InnerNode]:
        if len(shapes) != 2:
            self.output_shape(shapes[0])
        (_, features), _ = (sequence(shape, "TransformerDecoder") for shape in shapes)
        return self._inner.setdefault(features, self._nodes(features))

    def _nodes(self, features: int) -> list[InnerNode]:
        target, memory = 0, 1
        feeding: list[Layer] = [
            Dense(self.hidden, name="linear1"),
            ACTIVATIONS[self.activation](name="activation"),
            *self._dropped("dropout"),
            Dense(features, name="linear2"),
            *self._dropped("dropout3"),
        ]
        steps: list[tuple[str, list[Layer], tuple[int, ...]]] = [
            ("self_attn", [copy.copy(self._own)], ()),
            ("multihead_attn", [MultiHeadAttention(self.heads, name="multihead_attn")], (memory,)),
            ("feedforward", feeding, ()),
        ]
        nodes: list[Any] = []
        x: str | int = target
        for number, (name, layers, others) in enumerate(steps, 1):
            norm, added = LayerNorm(name=f"norm{number}"), f"add{number}"
            own = layers if name == "feedforward" else [*layers, *self._dropped(f"dropout{number}")]
            before, last = x, number == len(steps)
            if self.norm_first:
                x = "" if last else added
                nodes += [(f"norm{number}", [norm], (before,)), (name, own, (f"norm{number}", *others))]
                nodes.append((x, Add(), (before, name)))
            else:
                x = "" if last else f"norm{number}"
                nodes += [(name, own, (before, *others)), (added, Add(), (before, name))]
                nodes.append((x, [norm], (added,)))
        return nodes

    def _dropped(self, name: str) -> list[Layer]:
        return [Dropout(self.dropout, name=name)] if self.dropout else []
