"""Which kernels run: ISA levels, threads, and what `chainrule info` shows."""

from __future__ import annotations

import os
import platform
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from chainrule import _native
from chainrule.base.errors import ArgumentError, BuildError, SettingError, describe
from chainrule.base.keywords import depth_of_caller

# Of what Python calls and passes; native/bindings/module.cpp has the same number, and both rise with every
# change. A build left over from older sources would take arguments for others and compute nonsense.
INTERFACE = 32


def check_build(native: Any) -> None:
    """BuildError if the compiled engine was built from other sources than these."""
    built = getattr(native, "INTERFACE", 0)
    if built != INTERFACE:
        raise BuildError(
            f"the compiled engine {native.__file__} has the interface {built}, these Python sources need "
            f"{INTERFACE}: build it again, with pip install . (while developing: "
            "pip install --no-build-isolation -e '.[test]'), and start Python anew"
        )


check_build(_native)

ISA_VARIABLE = "CHAINRULE_ISA"

# Chosen once, at import: the highest level this processor has, or a lower one that the environment asks for.
level: str = os.environ.get(ISA_VARIABLE, "") or _native.supported_levels()[-1]


def usable_level(asked: str | None = None) -> str:
    """`asked`, or the level chosen at import; SettingError, when it is first used, if it cannot run here."""
    if not isinstance(asked, str | None):
        raise SettingError(f"the ISA level must be a name, received {describe(asked)}")
    name = asked or level
    choices = _native.supported_levels()
    if name in choices:
        return name
    if asked:
        raise SettingError(
            f"the ISA level {describe(asked)} cannot run here; choose one of {', '.join(choices)}"
        )
    raise SettingError(
        f"{ISA_VARIABLE}={name} cannot run here; choose one of {', '.join(choices)} or unset the variable"
    )


def threads() -> int:
    """Threads the engine uses: unless set, the least of OMP_NUM_THREADS, affinity mask and cgroup quota.

    Within `fit(threads=n)`, in its callbacks and what they call, n.
    """
    return _native.threads()


def set_threads(count: int) -> None:
    """Use `count` threads (1 to 256) from now on, in every call that is not given a number of its own.

    Results do not depend on it: same seed, same bits.
    """
    _native.set_threads(_thread_count(count))


def threads_of_call(count: int | None) -> AbstractContextManager[Any]:
    """Within the block, in this Python thread alone: `count` threads; None leaves what there is.

    What the process has is not touched, so calls that overlap cannot undo each other.
    """
    return nullcontext() if count is None else _native.ThreadsOfCall(_thread_count(count))


def _thread_count(count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= 256:
        raise ArgumentError(f"threads must be a whole number from 1 to 256, received {describe(count)}")
    return int(count)


def bfloat16_by(of_level: str | None = None) -> str:
    """What multiplies pairs of bfloat16: the instruction, or "shifts and masks" where there is none."""
    return str(_native.bfloat16_by(usable_level(of_level)))


_said = False  # that bfloat16 is slow here


def say_bfloat16(of_level: str | None = None) -> None:
    """Warn once that this processor, or level, has no instruction for products of bfloat16."""
    global _said
    name = usable_level(of_level)
    if bfloat16_by(name) == "vdpbf16ps" or _said:
        return
    _said = True
    warnings.warn(
        f"precision='bfloat16': {name} here has no instruction for it (AVX512_BF16), so the same rounding is "
        "done by others, which takes longer than float32; this is said once",
        stacklevel=depth_of_caller(),
    )


def lanes(dtype: Any, of_level: str | None = None) -> int:
    """Samples per block: the lanes of one vector register, e.g. 16 for float32 on AVX-512."""
    single, twice = _native.lanes(usable_level(of_level))
    return single if str(dtype) == "float32" else twice


def info() -> dict[str, Any]:
    """What runs here, as `chainrule info` prints it."""
    import numpy

    from chainrule.version import __version__

    single, twice = _native.lanes(usable_level())
    return {
        "chainrule": __version__,
        "ISA level": level,
        "ISA levels here": ", ".join(_native.supported_levels()),
        "lanes float32": single,
        "lanes float64": twice,
        "bfloat16 by": bfloat16_by(),
        "threads": threads(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "NumPy": numpy.__version__,
        "Python": platform.python_version(),
        "machine": platform.machine(),
    }


def register_with_threadpoolctl() -> bool:
    """Make the pool visible to threadpoolctl (threadpool_limits, threadpool_info), if that is installed."""
    try:
        import threadpoolctl
    except ImportError:
        return False

    class ChainruleController(threadpoolctl.LibController):  # type: ignore[misc]
        user_api = "chainrule"
        internal_api = "chainrule"
        filename_prefixes = ("_native",)
        check_symbols = ("chainrule_get_num_threads",)

        def get_num_threads(self) -> int:
            return int(self.dynlib.chainrule_get_num_threads())

        def set_num_threads(self, num_threads: int) -> None:
            self.dynlib.chainrule_set_num_threads(num_threads)

        def get_version(self) -> str:
            from chainrule.version import __version__

            return __version__

    if not any(c.internal_api == "chainrule" for c in threadpoolctl._ALL_CONTROLLERS):
        threadpoolctl.register(ChainruleController)
    return True
