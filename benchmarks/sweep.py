"""Random networks, so that what was never tuned is seen: what `--sweep` trains beside PyTorch.

Seven kinds in turn, each with sizes drawn from the seed: the first N of a seed are always the same networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import median, quantiles
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.report import duration, ratio, table
from chainrule.bench import operations_by_layer
from chainrule.bench.workloads import Description, Workload, built
from chainrule.networks.architecture import architecture

Sizes = np.random.Generator
Drawn = tuple[tuple[int, ...], tuple[Description, ...]]  # the shape of a sample, and layers without a head
MOST = 3e9  # multiplications and additions of a step: about 0.1 s of one core
IN_MEMORY = 2_000  # samples at most; small steps are measured many at a time
CONFIGURATIONS = ("chainrule", "torch eager", "torch channels_last")
WORST, LARGEST = 10, 4  # networks that are named, passes of each
ACTIVATIONS = ("relu", "sigmoid", "tanh", "gelu")


def between(rng: Sizes, low: int, high: int) -> int:
    """A whole number, each doubling as likely as another."""
    return round(math.exp(rng.uniform(math.log(low), math.log(high))))


def pick(rng: Sizes, *options: Any) -> Any:
    return options[rng.integers(len(options))]


def mlp(rng: Sizes) -> Drawn:
    activation = pick(rng, *ACTIVATIONS)
    widths = [between(rng, 3, 1500) for _ in range(rng.integers(1, 5))]
    return (between(rng, 2, 1000),), tuple(
        part for width in widths for part in (("dense", width), (activation,))
    )


def image(rng: Sizes, low: int, high: int) -> tuple[int, int, int]:
    size = between(rng, low, high)
    return size, size, pick(rng, 1, 2, 3, 3, 4)


def stages(rng: Sizes) -> Drawn:
    """Convolutions with other kernels, strides and channels, some with norms, some with pools."""
    shape, layers, normed = image(rng, 10, 48), [], bool(rng.integers(2))
    size = shape[0]
    for _ in range(rng.integers(1, 5)):
        kernel, stride = pick(rng, 1, 2, 3, 3, 4, 5, 7), pick(rng, 1, 1, 2)
        layers += [
            ("conv", between(rng, 4, 128), kernel, kernel // 2, stride),
            *[("batchnorm",)] * normed,
            ("relu",),
        ]
        size = (size + 2 * (kernel // 2) - kernel) // stride + 1
        if size >= 6 and rng.integers(2):
            layers.append(pick(rng, ("pool", 2), ("pool", 3, 2)))
            size = (size - layers[-1][1]) // 2 + 1
    return shape, (
        *layers,
        pick(rng, ("flatten",), ("average",)),
        ("dense", between(rng, 16, 256)),
        ("relu",),
    )


def dilated(rng: Sizes) -> Drawn:
    """Convolutions over time whose taps lie 1, 2, 4, ... apart, with ways around them (a TCN)."""
    filters, kernel = between(rng, 8, 96), pick(rng, 3, 3, 5)
    blocks = [
        ("residual", ("conv1d", filters, kernel, kernel // 2 * 2**number, 1, 2**number), ("relu",))
        for number in range(rng.integers(2, 6))
    ]
    return (between(rng, 40, 400), between(rng, 1, 32)), (
        ("conv1d", filters, 1),
        *blocks,
        pick(rng, ("average",), ("largest",)),
    )


def recurrence(rng: Sizes) -> Drawn:
    return (between(rng, 5, 100), between(rng, 1, 100)), (
        (pick(rng, "lstm", "gru"), between(rng, 8, 200), pick(rng, 1, 2, 2)),
    )


def block(heads: int, width: int, inner: int) -> tuple[Description, ...]:
    attention = ("residual", ("layernorm",), ("attention", heads))
    return attention, ("residual", ("layernorm",), ("dense", inner), ("gelu",), ("dense", width))


def encoder(rng: Sizes) -> Drawn:
    """Encoder blocks, on tokens as they are or on patches of a series."""
    heads = pick(rng, 1, 2, 3, 4, 8)
    width = heads * between(rng, 8, 48)
    blocks = block(heads, width, between(rng, width, 4 * width)) * pick(rng, 1, 2)
    if rng.integers(2):
        return (between(rng, 8, 200), width), (*blocks, ("average",))
    patch = between(rng, 2, 16)
    return (patch * between(rng, 6, 60), pick(rng, 1, 3)), (
        ("conv1d", width, patch, 0, patch),
        *blocks,
        ("average",),
    )


def u_shaped(rng: Sizes) -> Drawn:
    """Down, up again, and the image from before beside it, once or twice."""
    filters = between(rng, 8, 32)
    layers: tuple[Description, ...] = ()
    for depth in range(pick(rng, 1, 2), 0, -1):
        wide = filters * 2**depth
        up = pick(rng, (("upsample", 2), ("conv", wide // 2, 3, 1)), (("convtranspose", wide // 2, 2, 2),))
        down = (("pool", 2), ("conv", wide, 3, 1), ("relu",), *layers, *up, ("relu",))
        layers = (("concat", (), down), ("conv", wide // 2, 3, 1), ("relu",))
    size = 4 * between(rng, 3, 12)
    return (size, size, pick(rng, 1, 3)), (("conv", filters, 3, 1), ("relu",), *layers, ("average",))


def patches(rng: Sizes) -> Drawn:
    """Patches of an image, then convolutions over patches and over channels in turn (a ConvMixer)."""
    patch, width, kernel = between(rng, 2, 8), between(rng, 16, 192), pick(rng, 3, 5, 7)
    mixing = (
        ("residual", ("depthwise", kernel, kernel // 2, 1), ("gelu",)),
        ("conv", width, 1, 0),
        ("gelu",),
    )
    size = patch * between(rng, 4, 10)
    return (size, size, 3), (
        ("conv", width, patch, 0, patch),
        ("gelu",),
        *mixing * pick(rng, 1, 2, 3),
        ("average",),
    )


KINDS: tuple[Callable[[Sizes], Drawn], ...] = (mlp, stages, dilated, recurrence, encoder, u_shaped, patches)


def networks(count: int, seed: int) -> Iterator[Workload]:
    """`count` workloads, a kind after the other; what takes too long is drawn again."""
    rng, number = np.random.default_rng(seed), 0
    while number < count:
        kind = KINDS[number % len(KINDS)]
        shape, layers = kind(rng)
        head = (("dense", int(rng.integers(2, 20))), ("softmax",))
        batch = between(rng, 1, 256)
        steps = max(1, min(64, IN_MEMORY // batch))
        title = f"{'×'.join(map(str, shape))}, batch {batch}: {words(layers)}"
        drawn = Workload(f"{number + 1}-{kind.__name__}", title, shape, batch, steps, (*layers, *head))
        net = architecture(built(drawn.layers), shape)
        work = 3 * batch * sum(one for _, one in operations_by_layer(net.layers, shape, net.shapes))
        if work > MOST:
            continue
        number += 1
        yield drawn


def words(layers: Any) -> str:
    """Layers as they are described, in one line."""

    def one(kind: str, *sizes: Any) -> str:
        if kind == "concat":
            return f"concat[{' | '.join(words(chain) or 'x' for chain in sizes)}]"
        return f"residual[{words(sizes)}]" if kind == "residual" else " ".join(map(str, (kind, *sizes)))

    return ", ".join(one(*layer) for layer in layers)


# -- what was found


def ratios(results: dict[str, Any]) -> dict[str, float]:
    """Our time as a multiple of PyTorch's fastest, of every network that both trained; the highest first."""
    found = {name: ratio(result, "torch") for name, result in results["workloads"].items()}
    known = {name: value for name, pair in found.items() if pair for value in pair[1:]}
    return dict(sorted(known.items(), key=lambda item: -item[1]))


def where(result: dict[str, Any], highest: float) -> str:
    """The passes that take the most of a step, and of products their share of the peak."""
    passes = ("forward", "gradients", "δ")
    cells = [
        (seconds, f"{part['name']} {title}" if len(part["seconds"]) > 1 else part["name"], part["operations"])
        for part in result["profile"]
        for title, seconds in zip(passes, part["seconds"], strict=False)
    ]
    whole, told = sum(cell[0] for cell in cells), []
    for seconds, name, operations in sorted(cells, reverse=True)[:LARGEST]:
        of_peak = (
            f" ({1e-7 * operations / seconds / highest:.0f} % of peak)" if operations and seconds else ""
        )
        told.append(f"{name} {100 * seconds / whole:.0f} %{of_peak}")
    return ", ".join(told)


def markdown(results: dict[str, Any]) -> str:
    """The whole report of a sweep."""
    sections = (
        ("Our time of a training step as a multiple of PyTorch's", summary(results)),
        ("The same training?", report.loss_table(results)),
        ("Conditions", report.conditions(results)),
        ("What failed", report.failures(results)),
    )
    title = (
        f"# Sweep of {len(results['workloads'])} random networks (seed {results['seed']}), {results['date']}"
    )
    return "\n\n".join([title, *(f"## {head}\n\n{body}" for head, body in sections)]) + "\n"


def summary(results: dict[str, Any]) -> str:
    """The distribution of the ratios, by kind as well, and the worst networks with their profiles."""
    found = ratios(results)
    if not found:
        return "No network was trained by both."
    kinds: dict[str, list[float]] = {"all": list(found.values())}
    for name, value in found.items():
        kinds.setdefault(name.partition("-")[2], []).append(value)
    rows = []
    for kind, values in kinds.items():
        tenth = quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else values[0]
        over = sum(value > 1 for value in values)
        numbers = (f"{value:.2f}" for value in (min(values), median(values), tenth, max(values)))
        rows.append([kind, str(len(values)), *numbers, str(over)])
    spread = table(["× PyTorch's faster", "networks", "least", "median", "90 %", "most", "above 1"], rows)
    highest, rows = max(results["peak_gflops"], default=0.0), []
    for name in list(found)[:WORST]:
        result, rival = results["workloads"][name], ratio(results["workloads"][name], "torch")
        profile = where(result, highest) if result.get("profile") and highest else ""
        own, faster = duration(result["times"]["chainrule"]["median"]), rival[0] if rival else ""
        rows.append([name, result["title"], own, f"**{found[name]:.2f}**", faster, profile])
    worst = table(["worst", "network", "a step", "× PyTorch", "its faster", "where the time goes"], rows)
    return f"{spread}\n\n{worst}"
