"""Fixtures of all tests: Ctrl-C that arrives, a browser, started once, and pages of it."""

from __future__ import annotations

import math
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import NAMES, Browser, find
from tests.browser.page import Page
from tests.engine.harness import LEVELS
from tests.pairwise import CHOICE

_NO_BROWSER = f"no browser: run tests/browser/install.sh, or set CHROMIUM to the path of {NAMES[1]}"


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt here and in every process that a test starts.

    A shell starts what ends in `&` with SIGINT ignored: Python then installs no handler, nor do its children.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for all tests; without it the test is skipped, and the summary says so."""
    executable = find()
    if executable is None:
        pytest.skip(_NO_BROWSER)
    with Browser(executable) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page, 1000 x 800."""
    opened = browser.page()
    yield opened
    opened.close()


# What `make test-fast` leaves out: the browser, other processes, whole reports, sweeps of seconds, and what
# is done again for the vector instructions that this machine has better ones than.
_SLOW = (
    "benchmarks/", "browser/", "cli/", "examples/", "explaining/", "native/", "oracles/",
    "estimators/test_checks.py", "estimators/test_surroundings.py", "estimators/test_their_tests.py",
    "checking/test_check_gradients.py::test_data_full_of_kinks",
    "checking/test_check_gradients.py::test_ufldls_rule",
    "checking/test_check_layer.py::test_every_built_in_layer_passes", "checking/test_far_from_zero.py",
    "engine/test_long_sums.py", "engine/test_masks.py::test_masks_reach_the_same_layers",
    "engine/test_networks.py::test_random_networks", "engine/test_processes.py",
    "engine/test_random_builds.py", "engine/test_structure.py", "engine/test_windows.py",
    "formulas/test_elements.py::test_every_layer",
    "layers/test_formulas.py::test_finite_difference_of_every_entry",
    "test_argument_values.py", "test_files.py", "test_hidden_overflow.py", "test_model_files.py",
    "test_model_lengths.py", "test_per_sample.py", "test_reference.py",
)  # fmt: skip


# Of a test of more than so many cases one of so many is taken.
TURNS = ((256, 24), (64, 8), (16, 6), (8, 2))


def _by_turns(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of tests of many cases, and of those marked `turns`, a part: other parts with --draw 1 to 23, all with
    --whole. The suite has ten minutes. Cases are dealt by their names, so that no value of a parameter is
    left out because it stands at every second place.
    """
    if CHOICE["whole"]:
        return
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.path.parent != Path(__file__).parent:  # those beside this file ask for names and words: 22 s
            groups.setdefault(item.nodeid.partition("[")[0], []).append(item)
    gone = set[int]()
    for name, group in groups.items():
        told = group[0].get_closest_marker("turns")
        turns = next((turns for many, turns in TURNS if len(group) > many), 1)
        turns = math.lcm(turns, told.args[0] if told else 1)
        turn = (zlib.crc32(name.encode()) + CHOICE["draw"]) % turns
        dealt = sorted(group, key=lambda item: zlib.crc32(item.nodeid.encode()))
        gone |= {id(item) for number, item in enumerate(dealt) if number % turns != turn}
    if gone:
        config.hook.pytest_deselected(items=[item for item in items if id(item) in gone])
        items[:] = [item for item in items if id(item) not in gone]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Cases by turns; and mark what is slow, so that `-m "not slow"` answers soon."""
    _by_turns(config, items)
    here = Path(__file__).parent
    for item in items:
        test = f"{item.path.relative_to(here).as_posix()}::{item.name}"
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if (
            test.startswith(_SLOW)
            or "browser" in getattr(item, "fixturenames", ())
            or parameters.get("level", LEVELS[-1]) != LEVELS[-1]
        ):
            item.add_marker(pytest.mark.slow)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--draw", type=int, default=0, help="which random cases the tests of sweeps take; default: 0"
    )
    parser.addoption(
        "--whole", action="store_true", help="every case of the grids and lists of which some are taken"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before the files of tests are read: they ask for their cases then."""
    CHOICE.update(draw=config.getoption("--draw"), whole=config.getoption("--whole"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all tests that were skipped for want of a browser: -rs would print one for each."""
    skipped = terminalreporter.stats.get("skipped", [])
    number = sum(_NO_BROWSER in str(report.longrepr) for report in skipped)
    if number:
        terminalreporter.write_line(f"SKIPPED [{number}] {_NO_BROWSER}", yellow=True)
