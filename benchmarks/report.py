"""The measurements as Markdown: ratios and targets, times, kernels against the peak, and the conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# Time relative to the best configuration of PyTorch, and of JAX: at most this.
TARGETS: dict[str, tuple[float | None, float | None]] = {
    "mlp-10": (0.20, 0.80),
    "mlp-128": (0.45, 0.75),
    "mlp-big-128": (0.70, 1.00),
    "lenet-10": (0.40, 0.25),
    "lenet-128": (0.50, 0.20),
    "vgg-64": (0.65, 0.25),
    "depthwise": (0.70, None),
    "batchnorm": (0.70, None),
    "lstm": (0.70, None),
    "transformer": (0.70, None),
    "cifar": (0.50, None),
    "encoder": (0.50, None),
}
# Norms of the samples' own gradients: time relative to chainrule's plain training step.
NORMS_TARGET = 1.30
# Predictions, by the number of samples: time relative to PyTorch's.
PREDICTION_TARGETS = {1: 1.0, 16: 0.7, 1000: 0.5}
# Share of the multiply-add peak: at least this. The last, done by Winograd, is counted as direct arithmetic.
KERNEL_TARGETS = {"dense 128": 0.85, "conv 20→40": 0.85, "conv 64→64": 1.50}
QUIET = 0.1  # cores that other processes may use before the report warns
SAME_LOSS = 1e-3  # relative difference below which two peers are taken to have trained the same network


def best(times: dict[str, Any], peer: str) -> tuple[str, float] | None:
    """The peer's fastest configuration and its median."""
    of_peer = {name: value["median"] for name, value in times.items() if name.split()[0] == peer}
    return min(of_peer.items(), key=lambda item: item[1]) if of_peer else None


def ratio(result: dict[str, Any], peer: str) -> tuple[str, float] | None:
    """chainrule's time over that of the peer's best configuration."""
    times, rival = result["times"], best(result["times"], peer)
    if rival is None or "chainrule" not in times:
        return None
    return rival[0], times["chainrule"]["median"] / rival[1]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def verdict(value: float, target: float, most: bool) -> str:
    return "reached" if (value <= target if most else value >= target) else "**not reached**"


def duration(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def ratio_table(results: dict[str, Any]) -> str:
    rows = []
    for name, result in of_task(results, "train").items():
        cells = [result["title"]]
        for peer, target in zip(("torch", "jax"), TARGETS.get(name, (None, None)), strict=True):
            found = ratio(result, peer)
            if found is None:
                compared = peer in result.get("peers", (peer,))
                cells += ["not measured" if compared else "PyTorch only", "", ""]
                continue
            rival, value = found
            goal = f"≤ {target:.2f} {verdict(value, target, most=True)}" if target else ""
            cells += [f"**{value:.2f}**", rival.partition(" ")[2], goal]
        rows.append(cells)
    head = ["training step", "× PyTorch", "its best", "target", "× JAX", "its best", "target"]
    return table(head, rows)


def of_task(results: dict[str, Any], task: str) -> dict[str, Any]:
    return {name: one for name, one in results["workloads"].items() if one.get("task", "train") == task}


def norms_table(results: dict[str, Any]) -> str:
    """Norms of the samples' own gradients, beside our plain step and PyTorch's vmap(grad)."""
    rows = []
    for result in of_task(results, "norms").values():
        value, found = over_plain_step(result), ratio(result, "torch")
        goal = f"≤ {NORMS_TARGET:.2f} {verdict(value, NORMS_TARGET, most=True)}" if value else ""
        cells = [f"**{value:.2f}**" if value else "not measured", goal]
        rival = found[0].partition(" ")[2] if found else ""
        rows.append([result["title"], *cells, f"{found[1]:.3f}" if found else "not measured", rival])
    return table(["", "× our plain step", "target", "× PyTorch", "its best"], rows)


def prediction_table(results: dict[str, Any]) -> str:
    """Calls of `predict` beside PyTorch's, a row per network."""
    rows: dict[str, list[str]] = {}
    for result in of_task(results, "predict").values():
        network, _, samples = result["title"].rpartition(", ")
        found, target = ratio(result, "torch"), PREDICTION_TARGETS[int(samples)]
        own = result["times"].get("chainrule")
        cells = rows.setdefault(network, [network])
        if found is None or own is None:
            cells += ["not measured", "", ""]
            continue
        goal = f"≤ {target:.1f} {verdict(found[1], target, most=True)}"
        cells += [duration(own["median"]), f"**{found[1]:.2f}**", goal]
    head = [part for n in PREDICTION_TARGETS for part in (f"{n} samples", "× PyTorch", "target")]
    return table(["predict", *head], (row for row in rows.values() if len(row) == len(head) + 1))


def over_plain_step(result: dict[str, Any]) -> float | None:
    times = result["times"]
    if "chainrule" not in times or "chainrule plain step" not in times:
        return None
    return float(times["chainrule"]["median"] / times["chainrule plain step"]["median"])


def time_table(results: dict[str, Any]) -> str:
    workloads = results["workloads"].values()
    peers = dict.fromkeys(name for w in workloads for name in (*w["times"], *w["errors"]))

    def cell(workload: dict[str, Any], peer: str) -> str:
        if peer in workload["times"]:
            return duration(workload["times"][peer]["median"])
        return "failed" if peer in workload["errors"] else "–"

    ordered = sorted(
        peers, key=lambda peer: ("chainrule torch jax sklearn numpy".find(peer.split()[0]), peer)
    )
    return table(["", *results["workloads"]], [[p, *(cell(w, p) for w in workloads)] for p in ordered])


def kernel_table(results: dict[str, Any]) -> str:
    highest, rows = max(results["peak_gflops"]), []
    for one in results["kernels"]:
        share = one["gflops"] / highest
        target = next((t for start, t in KERNEL_TARGETS.items() if one["kernel"].startswith(start)), None)
        goal = f"≥ {100 * target:.0f} % {verdict(share, target, most=False)}" if target else ""
        cells = [duration(one["seconds"]), f"{one['gflops']:.0f}", f"{100 * share:.0f} %", goal]
        rows.append([f"{one['kernel']}, {one['direction']}", *cells])
    return table(["kernel", "time", "GFLOP/s", "of peak", "target"], rows)


def loss_table(results: dict[str, Any]) -> str:
    """How far the peers' losses are from chainrule's: the largest relative difference of each."""
    rows = []
    for name, result in results["workloads"].items():
        losses = result["losses"]
        if "chainrule" not in losses:
            continue
        first, after = losses["chainrule"]
        cells = [name, f"{first:.6f}", f"{after:.6f}"]
        for peer in ("torch", "jax", "sklearn", "numpy"):
            others = [value for key, value in losses.items() if key.split()[0] == peer]
            off = max(
                (abs(a / b - 1) for other in others for a, b in zip(other, (first, after), strict=True)),
                default=None,
            )
            note = "" if off is None or off < SAME_LOSS else " **differs**"
            cells.append("–" if off is None else f"{off:.0e}{note}")
        rows.append(cells)
    return table(
        [
            "first batch's loss, or mean norm",
            "at the start",
            "after one pass",
            "torch",
            "jax",
            "sklearn",
            "numpy",
        ],
        rows,
    )


def profile_table(profile: Sequence[dict[str, Any]], highest: float) -> str:
    """µs per step; in brackets the share of the peak, as direct arithmetic."""
    rows = []
    for part in profile:
        cells = []
        for seconds in part["seconds"]:
            cell = f"{seconds * 1e6:.1f}" if seconds else ""
            if part["operations"] and seconds:
                cell += f" ({100e-9 * part['operations'] / seconds / highest:.0f} %)"
            cells.append(cell)
        rows.append([part["name"], *cells, *[""] * (3 - len(cells))])
    return table(["", "forward µs", "gradients µs", "δ µs"], rows)


def missed(name: str, result: dict[str, Any]) -> bool:
    """Whether a target of this workload was measured and not reached."""
    if result.get("task") == "norms":
        return (over_plain_step(result) or 0.0) > NORMS_TARGET
    found = (ratio(result, peer) for peer in ("torch", "jax"))
    targets = TARGETS.get(name, (None, None))
    return any(f is not None and t is not None and f[1] > t for f, t in zip(found, targets, strict=True))


def conditions(results: dict[str, Any]) -> str:
    machine, about = results["machine"], results["conditions"]
    peaks, loads = results["peak_gflops"], results["workloads"].values()
    lines = []
    if machine:
        caches = ", ".join(f"{name} {size}" for name, size in machine["caches"].items())
        lines += [
            f"Processor: {machine['processor']}, {machine['cores']} cores, {caches}, {machine['ISA level']}",
            f"System: {machine['system']}, Python {machine['Python']}",
        ]
    if peaks:
        lines.append(
            f"Multiply-add peak, measured in this run {len(peaks)} times: "
            f"{min(peaks):.0f} to {max(peaks):.0f} GFLOP/s (float32); the highest is what is compared with"
        )
    lines += [
        "Versions: " + ", ".join(f"{name} {version}" for name, version in results["versions"].items()),
        f"Everybody: {results['threads']} threads, float32, gradient descent on softmax and cross-entropy, "
        "the same weights at the start, the same batches from memory, a new one each step",
        f"Median of {about['rounds']} rounds (fewer for what is far slower than its peer's fastest); "
        "in a round each configuration is measured once, for at least "
        f"{about['least_seconds']:g} s; {about['minutes']:.1f} minutes in all",
    ]
    if about.get("processor"):
        lines.append("Times are the processor's, of one thread: what others did lengthens them less")
    foreign = [w["foreign_load"] for w in loads if w["foreign_load"] is not None]
    if foreign:
        lines.append(
            f"While measuring, other processes used at most {max(foreign):.2f} cores, "
            f"waiting workers at most {max(w['waiting_load'] for w in loads):.2f}"
        )
    if foreign and max(foreign) > QUIET:
        lines.append("**The machine was not quiet: these times say little.**")
    return "\n".join(f"- {line}" for line in lines)


def failures(results: dict[str, Any]) -> str:
    lines = [
        f"- {name}, {peer}: {reason}"
        for name, workload in results["workloads"].items()
        for peer, reason in workload["errors"].items()
    ]
    return "\n".join(lines) or "None."


def markdown(results: dict[str, Any]) -> str:
    """The whole report."""
    if "seed" in results:
        from benchmarks import sweep

        return sweep.markdown(results)
    sections = [("Time per step", time_table(results))]
    if of_task(results, "train"):
        sections.insert(
            0, ("Training steps: chainrule's time as a multiple of the others'", ratio_table(results))
        )
    if of_task(results, "norms"):
        sections.insert(-1, ("Norms of the samples' own gradients", norms_table(results)))
    if of_task(results, "predict"):
        sections.insert(-1, ("Predictions", prediction_table(results)))
    if results["kernels"] and results["peak_gflops"]:
        sections.append(("Kernels", kernel_table(results)))
    sections += [
        ("The same training?", loss_table(results)),
        ("Conditions", conditions(results)),
        ("What failed", failures(results)),
    ]
    for name, result in results["workloads"].items():
        if missed(name, result) and "profile" in result and results["peak_gflops"]:
            shown = profile_table(result["profile"], max(results["peak_gflops"]))
            sections.append((f"Where the time goes: {name}, a target not reached", shown))
    title = f"# Benchmark of {results['date']}"
    return "\n\n".join([title, *(f"## {head}\n\n{body}" for head, body in sections)]) + "\n"


def stem(results: dict[str, Any]) -> str:
    """Name of the files without their ending: date and processor."""
    processor = results["machine"].get("processor", "unknown")
    of_sweep = f"-sweep-{results['seed']}" if "seed" in results else ""
    return f"{results['date']}-{re.sub(r'[^a-z0-9]+', '-', processor.lower()).strip('-')}{of_sweep}"


def save(results: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write FOLDER/<date>-<processor>.json and .md."""
    import json

    folder.mkdir(parents=True, exist_ok=True)
    data, text = (folder / f"{stem(results)}.{ending}" for ending in ("json", "md"))
    data.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text.write_text(markdown(results), encoding="utf-8")
    return data, text
