"""Convolutions and poolings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.formulas.primitives.grid import KEPT
from chainrule.networks.taking.torch.reading import Reading, along, array_of, axes_of, sizes_of
from chainrule.networks.taking.values import Places, Value


def _frame(name: str, m: Any) -> list[tuple[int, int]]:
    """The padding of every axis."""
    if m.padding == "valid":
        return [(0, 0)] * len(m.kernel_size)
    if m.padding == "same":
        totals = [d * (k - 1) for d, k in zip(m.dilation, m.kernel_size, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(p, p) for p in sizes_of(m.padding, axes_of(m))]


def _conv(r: Reading, name: str, m: Any, x: Value) -> Value:
    b = None if m.bias is None else array_of(m.bias)
    options: dict[str, Any] = {"stride": m.stride, "dilation": m.dilation, "groups": m.groups}
    frame, mode = _frame(name, m), getattr(m, "padding_mode", "zeros")
    if mode != "zeros" and any(map(any, frame)):
        x = r.building.pad(f"{name}_pad", x, frame, mode)
        frame = [(0, 0)] * len(frame)
    if m.transposed:
        options["output_padding"] = m.output_padding
        return r.building.transposed_convolution(name, x, array_of(m.weight), b, pads=frame, **options)
    return r.building.convolution(name, x, array_of(m.weight), b, pads=frame, **options)


def _pooled(kind: str) -> Callable[..., Value]:
    """F.max_pool2d and its kin, along as many axes as the input has; a module gives its own options."""

    def read(
        r: Reading, name: str, x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, *,
        axes: int | None = None, dilation: Any = 1, norm_type: float = 2, count_include_pad: bool = True,
        ceil_mode: bool = False, return_indices: bool = False, divisor_override: int | None = None,
    ) -> Any:  # fmt: skip
        axes = len(x.theirs) - 1 if axes is None else axes
        if kind == "l2" and (norm_type % 2 or norm_type < 2):
            raise ArgumentError(
                f"{name}: a pooling by the norm {norm_type} has no layer in chainrule: PyTorch leaves out "
                "the absolute value, which makes a norm of even numbers alone"
            )
        kernel = sizes_of(kernel_size, axes)
        step = kernel if stride is None else sizes_of(stride, axes)
        pads = [(p, p) for p in sizes_of(padding, axes)]
        counts = kind == "average" and bool(count_include_pad)
        made = r.building.pool(
            name, x, kind, kernel, step, pads, dilation=sizes_of(dilation, axes), norm=float(norm_type),
            ceil_mode=bool(ceil_mode), count_padding=counts, divisor=divisor_override,
        )  # fmt: skip
        return (made, Places(x)) if return_indices else made

    return read


def _unpooled(
    r: Reading, name: str, x: Value, indices: Places, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None, *, axes: int | None = None,
) -> Value:  # fmt: skip
    """F.max_unpool2d and its kin; the size is that of what the pool read."""
    axes = len(x.theirs) - 1 if axes is None else axes
    kernel = sizes_of(kernel_size, axes)
    pads = [(p, p) for p in sizes_of(padding, axes)]
    step = kernel if stride is None else sizes_of(stride, axes)
    made = r.building.unpool(name, x, indices, kernel, step, pads)
    told = zip(x.theirs[1:], step, kernel, pads, strict=True)
    size = [(n - 1) * s + k - sum(p) for n, s, k, p in told]
    if output_size is not None:
        size = [int(n) for n in [*output_size][-axes:]]
    if [*made.theirs[1:]] != size:
        raise ArgumentError(
            f"{name}: unpools to {tuple(size)} what was {made.theirs[1:]}; give it output_size, the size of "
            "what the pool read"
        )
    return made


def _unpool(r: Reading, name: str, m: Any, x: Value, indices: Any, output_size: Any = None) -> Value:
    return _unpooled(
        r, name, x, indices, m.kernel_size, m.stride, m.padding, output_size, axes=axes_of(m)
    )


# Of the modules of pooling, beside kernel_size and stride; not every one has all.
POOL_OPTIONS = (
    *("padding", "dilation", "norm_type", "count_include_pad"),
    *("ceil_mode", "return_indices", "divisor_override"),
)


def _pool(kind: str) -> Callable[..., Value]:
    pooled = _pooled(kind)

    def read(r: Reading, name: str, m: Any, x: Value) -> Value:
        options = {option: getattr(m, option) for option in POOL_OPTIONS if hasattr(m, option)}
        return pooled(r, name, x, m.kernel_size, m.stride, axes=axes_of(m), **options)

    return read


def _adaptively(kind: str) -> Callable[..., Value]:
    def read(
        r: Reading, name: str, x: Value, output_size: Any, return_indices: bool = False
    ) -> Value:
        if return_indices:
            raise ArgumentError(
                f"{name}: where the maxima of an adaptive pool are has no reader in chainrule: write "
                "return_indices=False, or a MaxPool with a window"
            )
        x = r.building.read(name, x, True)
        *positions, _ = x.ours
        told = sizes_of(output_size, len(positions))
        sizes = [KEPT if new is None else int(new) for new in told]
        if set(sizes) == {1}:
            return r.building.global_pool(name, x, kind, keep=True)
        return r.building.adaptive(name, x, kind, sizes)

    return read


def _adaptive(kind: str) -> Callable[..., Value]:
    pooled = _adaptively(kind)
    return lambda r, name, m, x: pooled(r, name, x, m.output_size, getattr(m, "return_indices", False))


MODULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(along("Conv", "ConvTranspose"), _conv),
    **dict.fromkeys(along("MaxPool"), _pool("max")),
    **dict.fromkeys(along("MaxUnpool"), _unpool),
    **dict.fromkeys(along("AvgPool"), _pool("average")),
    **dict.fromkeys(along("LPPool"), _pool("l2")),
    **dict.fromkeys(along("AdaptiveAvgPool"), _adaptive("average")),
    **dict.fromkeys(along("AdaptiveMaxPool"), _adaptive("max")),
}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys((*along("max_pool"), "boolean_dispatch"), _pooled("max")),
    **dict.fromkeys(
        (f"{name}_with_indices" for name in along("max_pool")), partial(_pooled("max"), return_indices=True)
    ),
    **dict.fromkeys(along("max_unpool"), _unpooled),
    **dict.fromkeys(along("avg_pool"), _pooled("average")),
    **dict.fromkeys(along("adaptive_avg_pool"), _adaptively("average")),
    **dict.fromkeys(along("adaptive_max_pool"), _adaptively("max")),
    **dict.fromkeys(
        (f"{name}_with_indices" for name in along("adaptive_max_pool")),
        partial(_adaptively("max"), return_indices=True),
    ),
}
