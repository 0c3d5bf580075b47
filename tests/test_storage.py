"""Model files: what comes back, and that nothing damaged, foreign or dangerous is taken for a network."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from chainrule.base.errors import ArgumentError, FileError
from chainrule.data import Preparation, Standardizer
from chainrule.layers import (
    Activation,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool2D,
    Parameter,
    ReLU,
    Softmax,
)
from chainrule.networks.forms import storage
from chainrule.networks.network import Network, load

FORMATS = ["npz", "safetensors"]


def network(**options) -> Network:
    layers = [
        Conv2D(4, (3, 2), stride=(2, 1), padding=((1, 0), (1, 1)), initializer="he", name="first"),
        LeakyReLU(0.2),
        MaxPool2D(2, stride=1),
        Flatten(),
        Dense(3, bias=False),
        Softmax(),
    ]
    return Network(layers, input_shape=(8, 7, 2), seed=3, **options)


def same(a: Network, b: Network) -> bool:
    return (
        repr(a) == repr(b)
        and [layer.name for layer in a.layers] == [layer.name for layer in b.layers]
        and list(a.parameters) == list(b.parameters)
        and all(np.array_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)
    )


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_comes_back(tmp_path: Path, suffix: str, dtype: str) -> None:
    net = network(dtype=dtype, name="größe")
    net.classes = ["Katze", "犬", "eel"]
    path = tmp_path / f"net.{suffix}"
    net.save(path)
    back = load(str(path))
    assert same(net, back)
    assert back.dtype == net.dtype
    assert back.classes.tolist() == ["Katze", "犬", "eel"]
    assert [layer.config() for layer in back.layers] == [layer.config() for layer in net.layers]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # nothing temporary stays


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("classes", [None, [0, 1, 2], [10, 5], [False, True]])
def test_classes_keep_their_kind(tmp_path: Path, suffix: str, classes) -> None:
    net = network()
    net.classes = classes
    net.save(tmp_path / f"net.{suffix}")
    back = load(tmp_path / f"net.{suffix}").classes
    if classes is None:
        assert back is None
    else:
        assert back.tolist() == classes
        assert back.dtype == net.classes.dtype


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_network_without_parameters(tmp_path: Path, suffix: str) -> None:
    Network([Flatten(), ReLU()], input_shape=(2, 2, 1)).save(tmp_path / f"net.{suffix}")
    assert repr(load(tmp_path / f"net.{suffix}")).startswith("Network([Flatten(), ReLU()]")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_preparation_of_the_inputs_is_kept(tmp_path: Path, suffix: str) -> None:
    """By save and load, again and again, and by copy; a network that says nothing of it has none."""
    path, net = tmp_path / f"net.{suffix}", Network([Dense(1)], input_shape=2)
    net.save(path)
    assert load(path).preparation is None
    scale = Standardizer(np.array([1 / 3, 1e-300]), np.array([0.1, 1e300]))
    net.preparation = Preparation(
        ("höhe", "age"), "price", scale, Standardizer.learn(np.arange(6.0)[:, None])
    )
    net.save(path)
    load(path).save(path)
    for kept in (load(path).copy(dtype="float64"), pickle.loads(pickle.dumps(load(path)))):
        assert kept.preparation.to_json() == net.preparation.to_json()
    with pytest.raises(ArgumentError, match=r"preparation is {'mean': 0}: write Preparation\.learn\(X\)"):
        net.preparation = {"mean": 0}
    net.preparation = Preparation(inputs=Standardizer(np.array([np.nan, 0.0]), np.ones(2)))
    with pytest.raises(FileError, match="preparation must be plain JSON"):
        net.save(path)
    assert load(path).preparation.feature_names == ("höhe", "age")


def test_safetensors_of_other_programs_can_read_it(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    net = network()
    net.save(tmp_path / "net.safetensors")
    arrays = load_file(tmp_path / "net.safetensors")
    assert set(arrays) == set(net.parameters)
    assert np.array_equal(arrays["first.W"], net.parameters["first.W"])


class Scale(Layer):
    """A layer of one's own: x ⊙ g."""

    def __init__(self, start: float = 2.0, *, name: str | None = None) -> None:
        self.start = start
        self.name = name

    def parameters(self, input_shape):
        return {"g": Parameter(input_shape)}

    def forward(self, x, g):
        return x * g[..., None]

    def delta(self, d, g):
        return d * g[..., None]

    def gradients(self, d, x):
        return {"g": (d * x).sum(axis=-1)}


@pytest.mark.parametrize("suffix", FORMATS)
def test_layers_of_ones_own_are_passed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net.{suffix}"
    net = Network([Scale(3.0), Dense(2)], input_shape=4)
    net.save(path)
    assert same(net, load(path, layers=[Scale]))
    with pytest.raises(FileError, match=r"unknown class 'Scale'; pass load\(\.\.\., layers=\[Scale\]\)"):
        load(path)
    with pytest.raises(TypeError, match=r"layers=\[MyLayer\]"):
        load(path, layers=[Scale()])


def test_a_class_with_a_built_in_name_is_not_taken_for_it(tmp_path: Path) -> None:
    formulas = {"f": lambda self, z: z, "df": lambda self, z: 0 * z}
    mine = type("ReLU", (Activation,), formulas)
    Network([mine()], input_shape=2).save(tmp_path / "net.npz")
    with pytest.raises(FileError, match="unknown class 'ReLU'"):
        load(tmp_path / "net.npz")
    assert type(load(tmp_path / "net.npz", layers=[mine]).layers[0]) is mine


# -- writing
def test_what_cannot_be_written(tmp_path: Path) -> None:
    class Odd(Scale):
        pass

    net = network()
    with pytest.raises(FileError, match=r"ends in \.safetensors or \.npz"):
        net.save(tmp_path / "net.pt")
    with pytest.raises(FileError, match="cannot be written"):
        net.save(tmp_path / "nowhere" / "net.npz")
    with pytest.raises(FileError, match=r"config\(\) of odd1 \(Odd\) must be plain JSON"):
        Network([Odd(start=object())], input_shape=2).save(tmp_path / "net.npz")
    net.parameters["first.b"][1] = np.nan
    with pytest.raises(FileError, match=r"first\.b holds NaN or infinity"):
        net.save(tmp_path / "net.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 300 + ".npz", "a\0b.npz", "a\0b.safetensors"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match=r"cannot be written \(File name too long\)|holds no NUL character"):
        network().save(tmp_path / name)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileError, match=r"cannot be read|no such file"):
        load(tmp_path / name)
    longest = tmp_path / ("a" * 251 + ".npz")
    network().save(longest)
    assert list(tmp_path.iterdir()) == [longest]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, suffix: str, monkeypatch) -> None:
    path = tmp_path / f"net.{suffix}"
    network().save(path)
    before = path.read_bytes()

    def fails(stream, arrays, description):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(storage._writers, f".{suffix}", fails)
    with pytest.raises(FileError, match="No space left on device"):
        network(name="other").save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    network(name="a").save(path)
    network(name="b").save(path)
    assert load(path).name == "b"


# -- reading
@pytest.mark.parametrize("suffix", FORMATS)
def test_truncation_is_noticed_everywhere(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net.{suffix}"
    network().save(path)
    raw = path.read_bytes()
    for length in [*range(0, 64, 7), *np.linspace(64, len(raw) - 1, 40).astype(int)]:
        path.write_bytes(raw[:length])
        with pytest.raises(FileError, match=str(path.name)):
            load(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_flipped_bit_is_noticed_or_harmless(tmp_path: Path, suffix: str) -> None:
    """Wherever a bit flips: FileError, or the same network with the same numbers."""
    path = tmp_path / f"net.{suffix}"
    net = network()
    net.save(path)
    raw = bytearray(path.read_bytes())
    noticed = 0
    positions = np.random.default_rng(0).integers(0, len(raw), 150)
    for position in positions:
        damaged = raw.copy()
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            back = load(path)
        except FileError:
            noticed += 1
        else:
            assert same(net, back)
            assert [layer.config() for layer in back.layers] == [layer.config() for layer in net.layers]
    assert noticed > len(positions) // 2


def test_files_that_are_no_network(tmp_path: Path) -> None:
    def refused(name: str, content: bytes | None, words: str) -> None:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(FileError, match=words):
            load(path)

    refused("missing.npz", None, "no such file")
    refused("net.onnx", b"", r"ends in \.safetensors or \.npz")
    (tmp_path / "folder.npz").mkdir()
    refused("folder.npz", None, "is a directory")
    refused("empty.npz", b"", r"is no \.npz file")
    refused("empty.safetensors", b"", r"damaged or no \.safetensors file")
    refused("text.npz", b"hello", r"is no \.npz file")
    refused("pickle.npz", pickle.dumps({"a": 1}), r"is no \.npz file")
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    refused("array.npz", stream.getvalue(), r"is no \.npz file")
    stream = io.BytesIO()
    np.savez(stream, X=np.ones(3))
    refused("data.npz", stream.getvalue(), "holds arrays but no chainrule network")
    stream = io.BytesIO()
    np.savez(stream, X=np.array([{}], dtype=object))
    refused("objects.npz", stream.getvalue(), "X holds Python objects")


def test_safetensors_of_other_programs_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FileError, match="holds arrays but no chainrule network"):
        load(tmp_path / "other.safetensors")


def rewritten(tmp_path: Path, suffix: str, change) -> Path:
    """A file whose description and arrays went through change(description, arrays)."""
    net = network()
    arrays = {name: array.copy() for name, array in net.parameters.items()}
    description = storage.describe(net, arrays)
    description = change(description, arrays) or description
    path = tmp_path / f"changed.{suffix}"
    with open(path, "wb") as stream:
        storage._writers[f".{suffix}"](stream, arrays, json.dumps(description))
    return path


def drop(arrays):
    del arrays["first.W"]


def tampered(arrays):
    arrays["first.W"][0, 0, 0, 0] += 1


def with_nan(description, arrays):
    arrays["first.b"][0] = np.nan
    description["arrays"]["first.b"]["sha256"] = storage.sha256(arrays["first.b"])


def larger(description, arrays):
    arrays["first.b"] = np.zeros(5, "float32")
    description["arrays"]["first.b"] = {"shape": [5], "sha256": storage.sha256(arrays["first.b"])}


def one_too_many(description, arrays):
    arrays["more.W"] = np.zeros(5, "float32")
    description["arrays"]["more.W"] = {"shape": [5], "sha256": storage.sha256(arrays["more.W"])}


def nested(depth):
    """Lists in lists, deeper than Python's stack."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


def residuals(depth):
    """A layer in as many Residuals."""
    record = {"class": "Dense", "built_in": True, "config": {"units": 3}, "name": "x"}
    for _ in range(depth):
        record = {
            "class": "Residual", "built_in": True, "config": {"layers": [{"layer": record}]}, "name": "r",
        }  # fmt: skip
    return record


def without(description, arrays):
    del arrays["first.W"]
    del description["arrays"]["first.W"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, a: drop(a), r"the array 'first\.W' is missing"),
        (
            lambda d, a: a.update(extra=np.ones(2)),
            "holds the array 'extra', which its description does not name",
        ),
        (one_too_many, r"the network has no parameter 'more\.W'"),
        (without, r"the parameter 'first\.W' is missing"),
        (lambda d, a: tampered(a), r"'first\.W' is damaged: its SHA-256"),
        (with_nan, r"'first\.b' holds NaN or infinity"),
        (larger, r"first\.b has the shape \(4,\), received \(5,\)"),
        (
            lambda d, a: a.update({"first.b": np.zeros(4)}),
            r"'first\.b' is float64 \(4,\), its description says float32 \(4,\)",
        ),
        (lambda d, a: {**d, "format": "other"}, "is not a chainrule network"),
        (lambda d, a: [1, 2], "is not a chainrule network"),
        (
            lambda d, a: {**d, "version": 2},
            "format version 2, this chainrule reads 1; a newer chainrule reads it",
        ),
        (lambda d, a: {**d, "version": "x"}, "format version 'x', this chainrule reads 1$"),
        (lambda d, a: {**d, "dtype": "float16"}, "its description says float16"),
        (lambda d, a: {**d, "input_shape": None}, "its description is damaged .'input_shape' is None"),
        (lambda d, a: {**d, "input_shape": [8, 7, 3]}, r"first\.W has the shape \(4, 3, 2, 3\)"),
        (lambda d, a: {**d, "layers": "x"}, "its description is damaged"),
        (lambda d, a: {**d, "layers": [1]}, "a layer is 1"),
        (lambda d, a: {**d, "layers": []}, "layers is empty"),
        (
            lambda d, a: d["layers"][0].update({"class": "Evil"}),
            "unknown class 'Evil'; a newer chainrule may know it",
        ),
        (lambda d, a: d["layers"][0].update({"class": "os.system"}), "unknown class"),
        (lambda d, a: d["layers"][0]["config"].update(filters=-1), "Conv2D cannot be made from"),
        (lambda d, a: d["layers"][0]["config"].update(code=1), "Conv2D cannot be made from"),
        (lambda d, a: d["layers"][0].update(name="a..b"), "the name of a layer"),
        (lambda d, a: {**d, "classes": ["a", "a"]}, "classes must be different"),
        (lambda d, a: {**d, "arrays": None}, "its description is damaged"),
        (lambda d, a: {**d, "name": {"a": 1}}, "its description is damaged .'name' is"),
        (lambda d, a: {**d, "layers": [residuals(65)]}, "nested more than 64 deep"),
        (lambda d, a: {**d, "layers": [residuals(150)]}, "nested (more than 64|too) deep"),
        (
            lambda d, a: d["layers"][0]["config"].update(filters=nested(450)),
            "nested too deep|Conv2D cannot be made from",
        ),
    ],
)
def test_descriptions_that_lie(tmp_path: Path, suffix: str, change, words: str) -> None:
    with pytest.raises(FileError, match=words) as caught:
        load(rewritten(tmp_path, suffix, change))
    assert "\n" not in str(caught.value)


def test_an_entry_that_unpacks_to_more_than_it_says_is_not_unpacked(tmp_path: Path) -> None:
    """The header promises 4 numbers; the entry holds more, packed 100 MB."""
    path = rewritten(tmp_path, "npz", lambda d, a: None)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for size, method, words in (
        (100_000_000, zipfile.ZIP_DEFLATED, "is compressed, .* it is not unpacked"),
        (4, zipfile.ZIP_STORED, r"first\.b has another length than its header says"),
    ):
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in entries.items():
                archive.writestr(name, content + bytes(size if name == "first.b.npy" else 0))
        assert path.stat().st_size < 1_000_000
        with pytest.raises(FileError, match=words):
            load(path)


def test_a_description_that_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    with open(path, "wb") as stream:
        storage.write_npz(stream, {}, "{'format'")
    with pytest.raises(FileError, match="its description is damaged"):
        load(path)
    np.savez(path, chainrule=np.ones(3))
    with pytest.raises(FileError, match="holds arrays but no chainrule network"):
        load(path)
