"""Model files that are old, damaged anywhere, or written while they are read."""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ChainruleError, FileError
from chainrule.data import Preparation, Standardizer
from chainrule.data.arrays import prepared
from chainrule.layers import Dense, LeakyReLU, Softmax
from chainrule.networks.forms import storage
from tests.damage import mutants
from tests.stored_networks import EXPECTED, FORMATS, STORED, facts, refusal, sample


# -- the files of before
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", EXPECTED)
def test_files_of_the_first_version_are_read_for_ever(name: str, suffix: str) -> None:
    kept = EXPECTED[name]
    network = cr.load(STORED / f"{name}.{suffix}")
    assert repr(network) == kept["repr"]
    assert (network.dtype, network.name) == (kept["dtype"], kept["name"])
    assert (None if network.classes is None else network.classes.tolist()) == kept["classes"]
    assert (None if network.preparation is None else network.preparation.to_json()) == kept["preparation"]
    # What was stored are prepared inputs and outputs as the network computes them: before, nothing else was.
    outputs = np.array(kept["predictions"])
    targets = None if network.preparation is None else network.preparation.targets
    got = network.predict(prepared(np.array(kept["X"], kept["dtype"])))
    expected = outputs if targets is None else targets.undo(outputs)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_without_safetensors_its_files_are_read_and_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    network = cr.load(STORED / "images.safetensors")
    with pytest.raises(cr.MissingExtraError, match=r"writing a \.safetensors file .* needs safetensors"):
        network.save("net.safetensors")


# -- damage
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", ["images", "table", "nested"])
def test_a_damaged_file_is_refused_or_the_same_network(name: str, suffix: str, tmp_path: Path) -> None:
    """Nothing else: no other slope, scale, label or order."""
    network, X = sample(name)
    path = tmp_path / f"net.{suffix}"
    network.save(path)
    expected, refused = facts(cr.load(path), X), 0
    for damaged in mutants(path.read_bytes(), 140, seed=1):
        path.write_bytes(damaged)
        if refusal(path) is not None:
            refused += 1
        else:
            assert facts(cr.load(path), X) == expected
    assert refused == 140 if suffix == "safetensors" else refused > 100  # a zip archive says much of it twice


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every entry of a JSON document, and to the document."""
    yield way
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, entry in entries:
        yield from places(entry, (*way, key))


def replaced(document: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return value
    if isinstance(document, dict):
        return {
            key: replaced(entry, way[1:], value) if key == way[0] else entry
            for key, entry in document.items()
        }
    return [
        replaced(entry, way[1:], value) if number == way[0] else entry
        for number, entry in enumerate(document)
    ]


def written(path: Path, network: cr.Network, description: Any) -> Path:
    """A file with this description and the network's arrays."""
    text = description if isinstance(description, str) else json.dumps(description)
    with path.open("wb") as stream:
        storage._writers[path.suffix](stream, dict(network.parameters), text)
    return path


def sealed(network: cr.Network) -> dict[str, Any]:
    arrays = dict(network.parameters)
    return json.loads(storage.sealed_text(storage.describe(network, arrays)))


@pytest.mark.parametrize("name", EXPECTED)
def test_no_entry_of_a_description_can_be_another(name: str, tmp_path: Path) -> None:
    """One after the other is replaced in a file that is otherwise healthy; the order of the arrays, too."""
    network, _ = sample(name)
    description = sealed(network)
    assert cr.load(written(tmp_path / "net.npz", network, description))
    choices = [(way, value) for way in places(description) for value in (1.25, "other", None, [1], {})]
    chosen = random.Random(2).sample(choices, min(60, len(choices)))
    changed = [replaced(description, way, value) for way, value in chosen]
    if len(description["arrays"]) > 1:
        changed.append({**description, "arrays": dict(reversed(description["arrays"].items()))})
    for other in changed:
        if json.dumps(other) != json.dumps(description):
            written(tmp_path / "net.npz", network, other)
            with pytest.raises(FileError):
                cr.load(tmp_path / "net.npz")


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_the_hash_of_a_description_is_of(suffix: str, tmp_path: Path) -> None:
    """Values, not the text: spaces and escapes may differ. A file without it is old, with no newer entry."""
    network = cr.Network([Dense(2), LeakyReLU(0.1), Dense(2), Softmax()], input_shape=3)
    network.classes = ["ä", "\ud800"]
    path = tmp_path / f"net.{suffix}"
    network.save(path)
    assert cr.load(path).classes.tolist() == ["ä", "\ud800"]
    description = sealed(network)
    assert cr.load(written(path, network, json.dumps(description, indent=3))).classes[0] == "ä"
    slope = replaced(description, ("layers", 1, "config", "slope"), 0.2)
    assert slope != description
    with pytest.raises(FileError, match="description is damaged: its SHA-256 is not the stated one"):
        cr.load(written(path, network, slope))
    renamed = {("sha257" if key == "sha256" else key): value for key, value in slope.items()}
    with pytest.raises(FileError, match=r"description is damaged .it has an entry 'sha257'"):
        cr.load(written(path, network, renamed))
    twice = json.dumps(storage.describe(network, dict(network.parameters)))[:-1] + ', "classes": ["b", "a"]}'
    with pytest.raises(FileError, match=r"description is damaged .'classes' stands in it twice"):
        cr.load(written(path, network, twice))


def test_a_name_that_is_no_text_is_not_written(tmp_path: Path) -> None:
    network = cr.Network([Dense(2)], input_shape=3)
    network.name = 5
    with pytest.raises(FileError, match=r"network\.name is 5, and a name is a text"):
        network.save(tmp_path / "net.npz")


VALUES = [None, True, -1, 1.5, 10**30, 10**400, 1e300, "", "x", [], [[1]], {}, {"layer": {}}, ["a", 1]]


@pytest.mark.parametrize("name", EXPECTED)
def test_values_of_other_types_are_refused_as_a_file(name: str, tmp_path: Path) -> None:
    """In an old description, which nothing seals: a sample of all entries with all these values."""
    network, _ = sample(name)
    description = json.loads(json.dumps(storage.describe(network, dict(network.parameters))))
    rng, refused = random.Random(0), 0
    choices = [(way, value) for way in places(description) for value in VALUES]
    for way, value in rng.sample(choices, 100):
        written(tmp_path / "net.npz", network, replaced(description, way, value))
        said = refusal(tmp_path / "net.npz")
        assert "\n" not in (said or "")
        refused += said is not None
    assert refused > 50


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "description is damaged"),
        ('{"a":' * 100_000, "description is damaged"),
        ('{"format": ' + "9" * 5000 + "}", "an integer of 5,000 digits"),
        ('{"format": NaN}', "NaN is no JSON"),
        ('{"format": -Infinity}', "-Infinity is no JSON"),
        ('{"format": 1e999}', "1e999 is no finite number"),
        ('{"format": 1, "format": 1}', "'format' stands in it twice"),
    ],
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_json_that_is_none(suffix: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=words):
        cr.load(written(tmp_path / f"net.{suffix}", cr.Network([Dense(2)], input_shape=3), text))


@pytest.mark.parametrize(
    "value", [pytest.param(10**400, id="10**400"), 10**30, True, "1.5", None, [1.0], 0, -1.0, {}]
)
@pytest.mark.parametrize("part", ["mean", "scale"])
def test_a_scale_of_what_is_no_number(part: str, value: Any, tmp_path: Path) -> None:
    network = cr.Network([Dense(1)], input_shape=2)
    network.preparation = Preparation(inputs=Standardizer(np.ones(2), np.ones(2)))
    description = storage.describe(network, dict(network.parameters))
    changed = replaced(description, ("preparation", "inputs", part), [1.0, value])
    written(tmp_path / "net.npz", network, changed)
    if (
        isinstance(value, (int, float))
        and abs(value) < 1e300
        and value is not True
        and (part, value)
        not in [
            ("scale", 0),
            ("scale", -1.0),
        ]
    ):
        kept = cr.load(tmp_path / "net.npz").preparation.inputs
        assert getattr(kept, part).tolist() == [1.0, float(value)]
        return
    with pytest.raises(FileError, match="inputs: the stored standardization is damaged"):
        cr.load(tmp_path / "net.npz")


# -- while others write
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_is_saved_meanwhile_is_read_whole(suffix: str, tmp_path: Path) -> None:
    """Two networks take turns under one name; what is loaded is one of the two."""
    path = tmp_path / f"net.{suffix}"
    networks = [
        cr.Network([Dense(30), LeakyReLU(slope), Dense(3)], input_shape=20, seed=seed, name=str(seed))
        for seed, slope in ((1, 0.1), (2, 0.3))
    ]
    X = np.ones((2, 20), "float32")
    expected = [facts(network, X) for network in networks]
    networks[0].save(path)
    done = threading.Event()

    def save() -> None:
        while not done.is_set():
            for network in networks:
                network.save(path)

    savers = [threading.Thread(target=save) for _ in range(2)]
    for saver in savers:
        saver.start()
    try:
        found = [expected.index(facts(cr.load(path), X)) for _ in range(60)]
    finally:
        done.set()
        for saver in savers:
            saver.join()
    assert set(found) == {0, 1}
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_opened_once(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"net.{suffix}"
    sample("nested")[0].save(path)
    opened, really = [], os.open

    def counted(name: Any, *arguments: Any) -> int:
        opened.append(str(name))
        return really(name, *arguments)

    monkeypatch.setattr(os, "open", counted)
    cr.load(path)
    assert opened == [str(path)]


def test_only_errors_of_this_program_come_out(tmp_path: Path) -> None:
    """Files of random bytes behind every beginning that a reader knows."""
    rng = random.Random(3)
    starts = [
        b"",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"\x10\0\0\0\0\0\0\0{",
        b"\x02\0\0\0\0\0\0\0{}",
        b"\x93NUMPY\x01\0",
    ]
    for _ in range(60):
        for suffix in FORMATS:
            path = tmp_path / f"net.{suffix}"
            path.write_bytes(rng.choice(starts) + rng.randbytes(rng.randrange(200)))
            with pytest.raises(ChainruleError):
                cr.load(path)
