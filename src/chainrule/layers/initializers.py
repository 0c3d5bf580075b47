"""Initial weights: where training starts, by name or as an object.

An initializer is called with a shape, the number of inputs and outputs of a unit and a random generator, and
returns float64.  Layers leave the choice open by default, and the activation that follows says what suits it:
He the rectifiers and the smooth gates, ScaledNormal SELU, Glorot the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from chainrule.base.attributes import Attributes, absent
from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number
from chainrule.base.types import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

Weights: TypeAlias = "NDArray[np.float64]"


@teach("nothing in the parentheses")
@dataclass(frozen=True)
class Initializer(Attributes):
    """Base: a small frozen value; subclasses define __call__, and are dataclasses where they have fields."""

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        raise NotImplementedError

    def deviation(self, fan_in: int, fan_out: int) -> float | None:
        """The standard deviation of what it draws; None where it is not known."""
        return None

    def config(self) -> dict[str, Any] | None:
        """{"initializer": name, **fields}: JSON, accepted by `initializer_from`.  None: not writable."""
        return {"initializer": type(self).__name__, **asdict(self)}

    def _as_json(self, name: str) -> None:
        """A NumPy number as Python's, which JSON takes."""
        if isinstance(value := getattr(self, name), np.generic):
            object.__setattr__(self, name, value.item())


# What an argument takes: an initializer, its name or `config()`, a function like it; None leaves it open.
InitializerLike: TypeAlias = Initializer | str | Mapping[str, Any] | Callable[..., Any] | None


class Given(Initializer):
    """Fixed numbers: what the layers of a network bring with them into another one."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        return np.array(self.values, dtype=np.float64)


class He(Initializer):
    """N(0, 2 / n_in): keeps the variance of z through ReLU layers (He et al. 2015)."""

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        return rng.standard_normal(shape) * self.deviation(fan_in, fan_out)

    def deviation(self, fan_in: int, fan_out: int) -> float:
        return math.sqrt(2 / fan_in)


class Glorot(Initializer):
    """Uniform within ±sqrt(6 / (n_in + n_out)), between x and δ (Glorot & Bengio 2010; "Xavier")."""

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        limit = math.sqrt(6 / (fan_in + fan_out))
        return rng.uniform(-limit, limit, shape)

    def deviation(self, fan_in: int, fan_out: int) -> float:
        return math.sqrt(2 / (fan_in + fan_out))


@teach()
@dataclass(frozen=True)
class Normal(Initializer):
    """N(0, std²); std 1 is the start of Nielsen's network.py."""

    std: float = 1.0

    def __post_init__(self) -> None:
        check_number("Normal std", self.std, include_low=True)
        self._as_json("std")

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        return rng.standard_normal(shape) * self.std

    def deviation(self, fan_in: int, fan_out: int) -> float:
        return self.std


class ScaledNormal(Initializer):
    """N(0, 1 / n_in): the start of Nielsen's network2.py."""

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        return rng.standard_normal(shape) / math.sqrt(fan_in)

    def deviation(self, fan_in: int, fan_out: int) -> float:
        return math.sqrt(1 / fan_in)


@teach()
@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform within ±limit; 0.12 is the start of Ng's exercise 4."""

    limit: float = 0.05

    def __post_init__(self) -> None:
        check_number("Uniform limit", self.limit, include_low=True)
        self._as_json("limit")

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        return rng.uniform(-self.limit, self.limit, shape)

    def deviation(self, fan_in: int, fan_out: int) -> float:
        return self.limit / math.sqrt(3)


@teach()
@dataclass(frozen=True)
class Constant(Initializer):
    """The same value everywhere.  Weights that all start equal stay equal: use it for biases."""

    value: float = 0.0

    def __post_init__(self) -> None:
        check_number("Constant value", self.value, -math.inf)
        self._as_json("value")

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        return np.full(shape, self.value, dtype=np.float64)


class Zeros(Initializer):
    """0 everywhere, the start of every bias."""

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        return np.zeros(shape)


class Ones(Initializer):
    """1 everywhere."""

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        return np.ones(shape)


class Orthogonal(Initializer):
    """Rows (or columns, where they are fewer) of length 1 at right angles: a square W keeps the length of x,
    and of δ (Saxe et al. 2013).  A kernel (K, k1, k2, C) is the matrix (K, k1·k2·C).
    """

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        rows = shape[0] if shape else 1
        drawn = rng.standard_normal((rows, math.prod(shape) // rows))
        tall = drawn if len(drawn) >= drawn.shape[1] else drawn.T
        q, r = np.linalg.qr(tall)
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # without the signs not every rotation is as likely
        return (q if tall is drawn else q.T).reshape(shape)


class PerGate(Initializer):
    """What lies one above the other in a parameter starts part by part, as so many parameters."""

    def __init__(self, starts: tuple[Initializer, ...]) -> None:
        self.starts = starts

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        part = (shape[0] // len(self.starts), *shape[1:])
        return np.concatenate([start(part, fan_in, fan_out, rng) for start in self.starts])


_classes: tuple[type[Initializer], ...] = (
    He,
    Glorot,
    Orthogonal,
    Normal,
    ScaledNormal,
    Uniform,
    Constant,
    Zeros,
    Ones,
)
initializers: dict[str, type[Initializer]] = {cls.__name__.lower(): cls for cls in _classes}
_aliases = {
    "xavier": "glorot",
    "nielsen": "normal",
    "scaled_normal": "scalednormal",
    "scaled-normal": "scalednormal",
}


def initializer_from(value: Any, argument: str = "initializer") -> Initializer:
    """An initializer from an object, a name ("he", "glorot", "xavier", "zeros"...) or a `config()` dict.

    Raises ValueError that lists the names.
    """
    if isinstance(value, Initializer):
        return value
    name, options = value, {}
    if isinstance(value, Mapping):
        options = dict(value)
        name = options.pop("initializer", None)
    if isinstance(name, str):
        key = name.lower()
        cls = initializers.get(_aliases.get(key, key))
        if cls is not None and set(options) <= set(cls.__dataclass_fields__):
            return cls(**options)
    if not isinstance(value, type) and callable(value):
        return _Function(value)
    names = ", ".join(repr(name) for name in (*initializers, "xavier"))
    raise ArgumentError(
        f"{argument} must be an initializer such as He() or one of {names}, received {describe(value)}"
    )


def given_initializer(value: Any, argument: str = "initializer") -> Initializer | None:
    """As `initializer_from`; None where the choice is left open."""
    return None if value is None else initializer_from(value, argument)


@dataclass(frozen=True)
class _Function(Initializer):
    """A user's own function (shape, fan_in, fan_out, rng) -> array; a file does not keep it."""

    function: Any

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> Weights:
        weights = np.asarray(self.function(shape, fan_in, fan_out, rng), dtype=np.float64)
        if weights.shape != shape:
            raise ArgumentError(f"the initializer must return the shape {shape}, it returned {weights.shape}")
        return weights

    def config(self) -> None:
        return None


def __getattr__(name: str) -> Any:
    raise absent(__name__, name, (key for key in globals() if key[:1].isupper()))
