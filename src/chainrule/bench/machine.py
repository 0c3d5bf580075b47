"""The machine a measurement ran on, in words: a time without its machine says nothing."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def describe() -> dict[str, Any]:
    """Processor, cores, caches, ISA level, operating system and versions."""
    from chainrule.engine.isa import info

    about = info()
    return {
        "processor": processor(),
        "cores": about["processors"],
        "caches": caches(),
        "ISA level": about["ISA level"],
        "threads": about["threads"],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "chainrule": about["chainrule"],
        "NumPy": about["NumPy"],
        "Python": about["Python"],
    }


def processor() -> str:
    """The processor's name, or the architecture where the system does not tell."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    except OSError:
        if platform.system() == "Darwin":
            asked = subprocess.run(
                ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
                capture_output=True,
                text=True,
                check=False,
            )
            if asked.stdout.strip():
                return asked.stdout.strip()
    return platform.processor() or platform.machine()


def caches() -> dict[str, str]:
    """Sizes of the caches the first core sees: {"L1 data": "32K", "L2": "1024K"}; empty where unknown."""
    sizes = {}
    for index in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = ((index / part).read_text().strip() for part in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            sizes[f"L{level}" if kind == "Unified" else f"L{level} {kind.lower()}"] = size
    return sizes
