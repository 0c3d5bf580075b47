"""A run folder from somebody else: nothing is asked of the network, and what is wrong in it is one line."""

from __future__ import annotations

import copy
import json
import os
import random
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainrule.base.errors import ChainruleError
from chainrule.cli.folder import open_run, read_description
from chainrule.cli.runs.stored import optimizer_of, penalty_of, problem_of
from tests.cli.cli_result import Run
from tests.pairwise import CHOICE

COMMANDS = (
    ("explain", "run", "--samples", 2, "--language", "en"),
    ("doctor", "run", "--samples", 8),
)
BIG = 10**30
WRONG: list[Any] = [
    *(
        "",
        "text",
        "\x1b[31m\ud800",
        "x" * 10_000,
        "\0",
        "//host/data.csv",
        "\\\\host\\data.csv",
        "/etc/passwd",
    ),
    *("../../other.csv", "http://127.0.0.1:9/", -1, 0, 1.5, 1e308, -1e-320, float("nan"), float("inf"), BIG),
    *(2**63, True, None, [], {}, [[[]]], {"a": 1}, [1, 2]),
]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every attempt to reach another machine, which fails as well."""
    asked: list[str] = []

    def refuse(*arguments: object, **_: object) -> None:
        asked.append(str(arguments[:2]))
        raise AssertionError(f"the network was asked for {arguments[:2]}")

    for place in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, place, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return asked


@pytest.fixture
def folder(run: Run, flowers: Path) -> Path:
    argv = (
        "train",
        flowers.name,
        "--target",
        "species",
        "--epochs",
        1,
        "--quiet",
        "--no-check",
        "--no-report",
    )
    assert run(*argv, "--out", "run").code == 0
    return Path("run")


def described(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return content


def write(folder: Path, content: object) -> None:
    (folder / "run.json").write_text(json.dumps(content))


def tell_mnist(folder: Path, **arguments: object) -> None:
    content = described(folder)
    content["arguments"] |= {"source": "mnist", "no_download": False, **arguments}
    write(folder, content)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_no_address_of_a_received_run_is_fetched(
    run: Run,
    folder: Path,
    no_network: list[str],
    command: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    for told in ({"url": "http://127.0.0.1:9"}, {"url": None}, {"data": "elsewhere", "url": "http://x/"}):
        tell_mnist(folder, **told)
        result = run(*command)
        assert result.code == 2
        assert "add --download to have it fetched, or name other samples with --data FILE" in result.err
        assert result.err.count("\n") == 1
    assert no_network == []
    assert not Path("cache").exists()
    assert not Path("elsewhere").exists()
    assert run(*command, "--data", "flowers.csv").code in (0, 1)  # the advice is right


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_download_asks_the_address_of_mnist_alone(
    run: Run, folder: Path, command: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    asked: list[str] = []

    def refuse(address: str, **_: object) -> None:
        asked.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    tell_mnist(folder, data="../elsewhere", url="http://attacker/")
    result = run(*command, "--download")
    assert result.code == 2
    assert asked == ["https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz"]
    assert "no network here" in result.err
    assert not Path("../elsewhere").exists()


def test_no_file_and_no_other_command_asks_the_network(run: Run, folder: Path, no_network: list[str]) -> None:
    Path("net.toml").write_text('layers = ["http://127.0.0.1:9/"]\ninput_shape = 4')
    tell_mnist(folder, url="http://127.0.0.1:9")
    assert run("predict", "run", "flowers.csv").code == 0
    assert run("check", "run", "--samples", 2).code == 0
    for argv in (
        ("predict", "http://127.0.0.1:9/run", "flowers.csv"),
        ("predict", "run", "http://127.0.0.1:9/flowers.csv"),
        ("explain", "run", "--data", "http://127.0.0.1:9/flowers.csv"),
        ("check", "net.toml"),
        ("train", "http://127.0.0.1:9/data.csv", "--target", "y"),
        ("train", "mnist", "--data", "nowhere", "--no-download"),
    ):
        assert run(*argv).code == 2
    assert no_network == []


def test_the_file_that_a_run_names_is_told(run: Run, folder: Path) -> None:
    for command in COMMANDS:
        result = run(*command)
        assert result.code in (0, 1)
        assert result.err == "reading flowers.csv, which the run names as its data\n"


@pytest.mark.parametrize("name", ["//host/share/x.csv", "\\\\host\\share\\x.csv"])
def test_data_on_another_machine_is_refused(run: Run, folder: Path, name: str) -> None:
    content = described(folder)
    content["arguments"]["source"] = name
    write(folder, content)
    result = run("explain", "run")
    assert result.code == 2
    assert "names data on another machine" in result.err


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every node of plain JSON, by the keys and indices that lead there."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield from places(entry, (*path, key))


def changed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(content)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def test_a_wrong_value_anywhere_in_run_json_is_refused_or_of_no_matter(
    folder: Path, no_network: list[str]
) -> None:
    """What explain, doctor, predict and check read of a run: an error of ours, or what they go on with.

    A place is given every third value, the next place the next ones; with --whole, all.
    """
    good = described(folder)
    network, _ = open_run(folder)
    tried = refused = 0
    for number, path in enumerate(places(good)):
        for value in WRONG if CHOICE["whole"] else WRONG[number % 3 :: 3]:
            write(folder, changed(good, path, value))
            tried += 1
            try:
                if path[0] in ("model", "format", "preparation"):
                    open_run(folder)
                content = read_description(folder / "run.json")
                assert content is not None
                if path[0] in ("arguments", "settings"):
                    penalty_of(content, folder)
                    optimizer_of(content, folder)
                    problem_of(content, folder, network)
            except ChainruleError as error:
                refused += 1
                said = str(error)
                assert len(said) <= 2000
                assert said.replace("\n", "").isprintable()
    assert tried > 300
    assert refused > 100
    assert no_network == []


def test_a_sample_of_wrong_values_through_the_commands(run: Run, folder: Path, no_network: list[str]) -> None:
    good = described(folder)
    draw = random.Random(0)
    every = [path for path in places(good) if path[0] in ("arguments", "settings", "model", "format")]
    commands = (*COMMANDS, ("predict", "run", "flowers.csv"), ("check", "run", "--samples", 2))
    for number, path in enumerate(draw.sample(every, 12)):
        write(folder, changed(good, path, draw.choice(WRONG)))
        result = run(*commands[number % 4])
        lines = result.err.splitlines()
        assert result.code in (0, 1, 2)
        assert all(
            line.startswith(("chainrule: ", "reading ", "90 of", "30 of")) or " of 90" in line
            for line in lines
        )
        assert "\x1b" not in result.err + result.out
        assert len(result.err) < 5000
    assert no_network == []


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"format": ' + "9" * 5000 + "}", '{"format": 1}', "[]", "null", '"\ud800"', "\x00", "{"],
)
def test_run_json_that_is_no_description(run: Run, folder: Path, text: str) -> None:
    (folder / "run.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    for command in (*COMMANDS, ("predict", "run", "flowers.csv"), ("check", "run")):
        result = run(*command)
        assert result.code == 2
        assert result.err.startswith("chainrule: run")
        assert result.err.count("\n") == 1


def test_the_example_of_a_seed_that_is_no_whole_number(run: Run, folder: Path) -> None:
    content = described(folder)
    content["arguments"]["seed"] = 1.5
    write(folder, content)
    for command in COMMANDS:
        assert run(*command).err == (
            "chainrule: run/run.json: 'seed' in 'arguments' is 1.5, "
            "but must be a whole number of at least 0\n"
        )


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("name", ["history.csv", "run.json"])
def test_a_pipe_or_a_device_in_a_received_folder_is_not_read(run: Run, folder: Path, name: str) -> None:
    path = folder / name
    path.unlink()
    os.mkfifo(path)
    for _ in range(2):
        result = run("doctor", folder)
        assert (result.code, result.out) == (2, "")
        assert f"chainrule: {path}: cannot be read, it is no file\n" in result.err
        path.unlink()
        path.symlink_to("/dev/zero")


@pytest.mark.skipif(os.name == "nt", reason="devices of POSIX")
def test_a_device_as_the_data_of_a_run_is_no_file(run: Run, folder: Path) -> None:
    told = described(folder)
    told["arguments"]["source"] = "/dev/zero"
    write(folder, told)
    result = run("doctor", folder)
    assert result.code == 2
    assert "/dev/zero is no file on this machine" in result.err
