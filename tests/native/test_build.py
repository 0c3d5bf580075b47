"""How the kernels are built: what must hold of the sources and of the extension, whatever the kernels
compute.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import shutil
import subprocess
from enum import EnumType
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chainrule import _native
from chainrule.base.errors import BuildError
from chainrule.engine import isa

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "native"
CMAKE = (ROOT / "CMakeLists.txt").read_text()
KERNEL_SOURCES = sorted(path for room in ("kernels", "isa") for path in (NATIVE / room).rglob("*.*"))
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)
# The only headers that define no template or inline function: a function shared between the levels could be
# linked from the one this processor cannot run.
PLAIN_HEADERS = {"stddef.h", "stdint.h"}


@pytest.mark.parametrize("source", KERNEL_SOURCES, ids=lambda path: path.name)
def test_kernels_include_no_library(source: Path) -> None:
    for bracket, name in INCLUDE.findall(source.read_text()):
        if bracket == "<":
            assert name in PLAIN_HEADERS, f"{source.name} includes <{name}>"
        else:
            assert (source.parent / name).resolve() in KERNEL_SOURCES, f"{source.name} includes {name}"


@pytest.mark.parametrize("source", KERNEL_SOURCES, ids=lambda path: path.name)
def test_kernels_allocate_nothing_and_start_no_thread(source: Path) -> None:
    code = re.sub(r"//.*", "", source.read_text())
    for word in ("std::", "malloc", "new ", "free(", "pthread", "throw", "printf", "static_assert(false"):
        assert word not in code, f"{source.name} uses {word}"
    assert not re.search(
        r"\bstatic\s+(?!void|size_t|int|double|T\b|inline|constexpr|_)\w+\s+\w+\s*[=;]", code
    ), source.name


def test_every_level_is_a_namespace_and_a_unit_of_its_own() -> None:
    units = {path.stem: path.read_text() for path in (NATIVE / "isa").glob("*.cpp")}
    for stem, text in units.items():
        assert f"#define CHAINRULE_LEVEL {stem}\n" in text
        assert f'#define CHAINRULE_NAME "{stem.replace("_", "-")}"\n' in text
    assert {level.replace("-", "_") for level in _native.built_levels()} <= set(units)
    assert set(_native.supported_levels()) <= set(_native.built_levels())
    listed = set(re.findall(r"x86_64_v\d(?:_bfloat16)?|arm64", re.sub(r"MATCHES.*", "", CMAKE)))
    assert listed == set(units)


@pytest.mark.parametrize(
    "flag",
    [
        "-ffast-math",
        "-Ofast",
        "-funsafe-math",
        "-fassociative-math",
        "-freciprocal-math",
        "-ffinite-math-only",
        "-march=native",
        "-flto",
        "INTERPROCEDURAL_OPTIMIZATION",
    ],
)
def test_strict_maths_and_no_mixing_of_levels(flag: str) -> None:
    """NaN must stay NaN, sums keep their order, and the linker must not inline across levels."""
    assert flag not in CMAKE
    for path in NATIVE.rglob("*.*"):
        text = path.read_text()
        assert flag not in text, path
        assert "fast-math" not in text, path
        assert not re.search(r"#pragma\s+(GCC|clang)\s+optimize|__attribute__\s*\(\(\s*optimize", text), path


def test_threadpoolctl_finds_the_pool() -> None:
    library = ctypes.CDLL(_native.__file__)
    assert library.chainrule_get_num_threads() == _native.threads()
    assert library.chainrule_set_num_threads


def test_the_extension_exports_nothing_of_the_kernels() -> None:
    """Its entry, the two names for threadpoolctl, and weak symbols of the C++ library and nanobind.

    Type infos of enums as well, which no compiler hides: nanobind knows the kinds by them.
    """
    nm = shutil.which("nm")
    if nm is None:  # binutils come with every compiler, but the tests also run where there is none
        pytest.skip("nm is not installed")
    listed = subprocess.run(
        [nm, "-D", "--defined-only", _native.__file__], capture_output=True, text=True, check=True
    )
    symbols = {line.split()[-1]: line.split()[-2] for line in listed.stdout.splitlines()}
    strong = {name for name, kind in symbols.items() if kind not in "WVuw"}
    assert strong == {"PyInit__native", "chainrule_get_num_threads", "chainrule_set_num_threads"}
    own = [name for name in symbols if "chainrule" in name and name not in strong]
    assert not [name for name in own if not re.fullmatch(r"_ZT[IS]N9chainrule\d+[A-Z]\w+E", name)]
    assert len(own) == 2 * sum(isinstance(kind, EnumType) for kind in vars(_native).values())


def signatures(native: Any) -> str:
    """Every name of the extension with its arguments' names, a line each; how types print is nanobind's."""
    lines = []
    for owner in (native, native.Program, native.PlanFloat32, native.PlanFloat64):
        for name, value in sorted(vars(owner).items()):
            overloads = getattr(value, "__nb_signature__", ())
            if not name.startswith("__") or overloads:
                arguments = [re.findall(r"(\w+): ", overload[0]) for overload in overloads]
                lines.append(f"{owner.__name__} {name} {arguments}")
    return "\n".join(lines)


def test_the_interface_has_the_number_that_both_sides_state() -> None:
    assert _native.INTERFACE == isa.INTERFACE
    isa.check_build(_native)


def test_signatures_that_change_raise_the_number() -> None:
    """Raise INTERFACE in engine/isa.py and native/bindings/module.cpp, then write the new digest here."""
    digest = hashlib.sha256(signatures(_native).encode()).hexdigest()
    assert (isa.INTERFACE, digest[:16]) == (32, "a1493e0698e4627e")


@pytest.mark.parametrize("left_over", [{}, {"INTERFACE": isa.INTERFACE + 1}])
def test_a_build_of_other_sources_is_refused(left_over: dict[str, int]) -> None:
    built = left_over.get("INTERFACE", 0)
    message = f"compiled engine old.so has the interface {built}, .* need {isa.INTERFACE}: build it again"
    with pytest.raises(BuildError, match=message):
        isa.check_build(SimpleNamespace(__file__="old.so", **left_over))
