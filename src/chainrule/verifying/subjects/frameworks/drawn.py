"""Random numbers of PyTorch as their own type draws them: float64 draws others than float32 does."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

DRAWING = frozenset(
    [
        *("rand", "rand_like", "randn", "randn_like", "bernoulli", "bernoulli_", "normal", "multinomial"),
        *("uniform_", "normal_", "exponential_", "log_normal_", "cauchy_", "geometric_", "poisson"),
    ]
)
DROPPING = frozenset(["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"])


def drawing_as(own: Any) -> contextlib.AbstractContextManager[Any]:
    """Within it what is drawn for float64 is drawn for the type `own`, a dtype of PyTorch, and widened."""
    torch = sys.modules["torch"]
    wide = torch.float64

    def narrow(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.detach().to(own) if value.dtype == wide else value
        return own if value is wide else value

    def drawn(function: Any, args: Any, kwargs: Any) -> Any:
        made = function(*map(narrow, args), **{key: narrow(value) for key, value in kwargs.items()})
        asked = [value for value in (*args, *kwargs.values()) if value is wide or _is_wide(value, wide)]
        if args and _is_wide(args[0], wide) and function.__name__.endswith("_"):
            return args[0].copy_(made)
        return made.to(wide) if asked and made.is_floating_point() else made

    class Drawing(torch.overrides.TorchFunctionMode):  # type: ignore[misc,name-defined]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name, kwargs = getattr(function, "__name__", ""), kwargs or {}
            if name in DRAWING:
                return drawn(function, args, kwargs)
            if name in DROPPING and args and _is_wide(args[0], wide) and name != "alpha_dropout":
                kept = {key: value for key, value in kwargs.items() if key != "inplace"}
                mask = function(torch.ones_like(args[0], dtype=own), *args[1:3], **kept)
                return args[0] * mask.to(wide)
            return function(*args, **kwargs)

    return Drawing()


def _is_wide(value: Any, wide: Any) -> bool:
    return getattr(value, "dtype", None) is wide
