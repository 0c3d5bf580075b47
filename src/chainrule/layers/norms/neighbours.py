r"""Local response normalisation: every channel by the squares of those beside it.

    z = x ⊙ r^{-β}        r = k + α/n Σ_j x²_j        over the n channels j from c - before to c + after
    ∂J/∂x = δ ⊙ r^{-β} - 2 αβ/n x ⊙ Σ_j t_j        t = δ ⊙ x/r ⊙ r^{-β}        j from c - after to c + before
"""

from __future__ import annotations

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number, entries
from chainrule.formulas import named, sum_near
from chainrule.layers.base import Layer, Shape, Value
from chainrule.layers.checks import whole


class LocalResponseNorm(Layer):
    """Every channel divided by (k + α/n Σ x²)^β of the n channels around it (Krizhevsky et al. 2012, 3.3).

    size: n, half of which, rounded down, stand before the channel, as in PyTorch; or how many stand before
    and after it, (before, after). Beyond the first and the last channel are zeros, which n counts.
    """

    kind = "localnorm"
    family = "local response norm"
    passage = "norm"
    size: int | tuple[int, int]

    @teach("how many channels beside each other: LocalResponseNorm(5)")
    def __init__(
        self,
        size: int | tuple[int, int] = 5,
        *,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        name: str | None = None,
    ) -> None:
        given = entries(size)
        if given is None:
            self.size = whole(size, "LocalResponseNorm size")
        elif len(given) == 2:
            before, after = (whole(n, f"LocalResponseNorm size[{at}]", 0) for at, n in enumerate(given))
            self.size = (before, after)
        else:
            raise ArgumentError(
                "LocalResponseNorm size must be a number of channels, 5, or how many are before and after, "
                f"(2, 2), received {describe(size)}"
            )
        check_number("LocalResponseNorm alpha", alpha, include_low=True)
        check_number("LocalResponseNorm beta", beta, include_low=True)
        check_number("LocalResponseNorm k", k)
        self.alpha, self.beta, self.k, self.name = float(alpha), float(beta), float(k), name

    @property
    def sides(self) -> tuple[int, int]:
        """How many channels stand before and after each."""
        return (self.size // 2, (self.size - 1) // 2) if isinstance(self.size, int) else self.size

    @property
    def share(self) -> float:
        """α/n"""
        return self.alpha / (sum(self.sides) + 1)

    def root(self, x: Value) -> Value:
        before, after = self.sides
        return named("r", self.k + self.share * sum_near(x**2, before=before, after=after))

    def forward(self, x: Value) -> Value:
        return x * self.root(x) ** -self.beta

    def delta(self, d: Value, x: Value) -> Value:
        (before, after), r = self.sides, self.root(x)
        t = named("t", d * (x / r) * r**-self.beta)  # r**(-β-1) leaves float32's range from x = 1e13 on
        near = sum_near(t, before=after, after=before)
        return d * r**-self.beta - (2 * self.share * self.beta) * (x * near)

    def taps(self, input_shape: Shape) -> tuple[tuple[tuple[int, float], ...], ...]:
        """Of every channel those whose squares it adds up, each once."""
        (before, after), channels = self.sides, input_shape[-1]
        return tuple(
            tuple((j, 1.0) for j in range(max(c - before, 0), min(c + after, channels - 1) + 1))
            for c in range(channels)
        )
