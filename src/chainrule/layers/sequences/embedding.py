r"""Embedding: a vector for every id of a vocabulary, a row of E; and the vectors that tell positions apart.

With e(x) the one-hot column of an id, which picks its row:
    z_t = Eᵀ e(x_t)        ∂J/∂E = Σ_t e(x_t) δ_tᵀ
A row's gradient is the sum of the δ wherever its id stands; an id has no derivative.
"""

from __future__ import annotations

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.formulas import broadcast_samples, correlate, one_hot, sinusoids, sum_samples, zeros_like
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.checks import whole
from chainrule.layers.initializers import InitializerLike, Normal, given_initializer

LARGEST_VOCABULARY = 2**24  # ids are kept in the network's floats, and float32 is exact up to here


class Embedding(Layer):
    """Ids to vectors: whole numbers (T,) from 0 to vocabulary - 1 -> (T, features), E (vocabulary, features).

    It reads the input of the network: X of ids, as integers or whole floats, is checked there. padding: the
    id that stands where a sequence has ended; it becomes zeros, its row of E is not learned, and layers
    behind that read sequences pass over it. Starts as N(0, 1).
    """

    kind = "embedding"
    passage = "table"
    family = "embedding"
    differentiable_input = False

    @teach("Embedding(vocabulary=1000, features=64)")
    def __init__(
        self,
        vocabulary: int,
        features: int,
        *,
        padding: int | None = None,
        initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        self.vocabulary = whole(vocabulary, "Embedding vocabulary", maximum=LARGEST_VOCABULARY)
        self.features = whole(features, "Embedding features")
        if padding is not None:
            padding = whole(padding, "Embedding padding", 0)
            if padding >= self.vocabulary:
                raise ShapeError(
                    f"Embedding padding must be an id, from 0 to {self.vocabulary - 1}, received {padding}"
                )
        self.padding = padding
        self.initializer = given_initializer(initializer)
        self.name = name

    def forward(self, x: Value, E: Value) -> Value:
        return E.T @ one_hot(x, E, skip=self.padding)

    def delta(self, x: Value) -> Value:
        return zeros_like(x)

    def gradients(self, d: Value, x: Value, E: Value) -> Values:
        return {"E": correlate(one_hot(x, E, skip=self.padding), d)}

    def mask(self, x: Value) -> Value:
        """(T, m): 0 where the id is the padding."""
        return None if self.padding is None or x.ndim != 2 else (x != self.padding).astype(x.dtype)

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        shape = (self.vocabulary, self.features)
        return {"E": Parameter(shape, self.vocabulary, self.features, self.initializer or Normal(1.0))}

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.features)


class PositionalEncoding(Layer):
    """Adds a fixed wave to every feature, so that steps can be told apart: (T, F) -> (T, F), no parameters.

    Feature 2k gets sin(t / 10000^(2k/F)), feature 2k + 1 the cosine of the same angle (Vaswani et al.,
    Attention Is All You Need, 2017, 3.5).
    """

    kind = "positions"
    output = "output"

    @teach("PositionalEncoding(): it finds out the steps and the features")
    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def forward(self, x: Value) -> Value:
        return x + sinusoids(x)

    def delta(self, d: Value) -> Value:
        return d

    def output_shape(self, input_shape: Shape) -> Shape:
        return sequence(input_shape, "PositionalEncoding")


class LearnedPositions(Layer):
    """Adds a learned vector to every step: (T, F) -> (T, F), z_t = x_t + P_t; P starts as N(0, 0.02²).

    Source: Gehring et al., Convolutional Sequence to Sequence Learning, 2017; the start is that of GPT-2.
    """

    kind = "positions"

    @teach("LearnedPositions(): it finds out the steps and the features")
    def __init__(self, *, initializer: InitializerLike = None, name: str | None = None) -> None:
        self.initializer = given_initializer(initializer)
        self.name = name

    def forward(self, x: Value, P: Value) -> Value:
        return x + broadcast_samples(P)

    def delta(self, d: Value) -> Value:
        return d

    def gradients(self, d: Value) -> Values:
        return {"P": sum_samples(d)}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        start = self.initializer or Normal(0.02)
        return {"P": Parameter(input_shape, input_shape[0], input_shape[1], start, penalised=False)}

    def output_shape(self, input_shape: Shape) -> Shape:
        return sequence(input_shape, "LearnedPositions")


def sequence(input_shape: Shape, layer: str) -> Shape:
    """`input_shape` if it is (steps, features)."""
    if len(input_shape) == 2:
        return input_shape
    advice = "put Embedding(vocabulary, features) before it for ids" if len(input_shape) == 1 else ""
    advice = advice or "one sample is (steps, features), such as (100, 64)"
    raise ShapeError(
        f"{layer} needs a sequence (steps, features) per sample, received {input_shape}; {advice}"
    )
