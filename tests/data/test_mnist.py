"""MNIST: found under its usual names, fetched from a local server, refused when it is not MNIST."""

from __future__ import annotations

import gzip
import hashlib
import struct
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from chainrule.base.errors import FileError
from chainrule.data import load_mnist
from chainrule.data.sets.mnist import mnist_checksums

rng = np.random.default_rng(0)
arrays = {
    "train-images-idx3-ubyte": rng.integers(0, 256, (6, 28, 28), dtype=np.uint8),
    "train-labels-idx1-ubyte": np.arange(6, dtype=np.uint8),
    "t10k-images-idx3-ubyte": rng.integers(0, 256, (3, 28, 28), dtype=np.uint8),
    "t10k-labels-idx1-ubyte": np.array([9, 0, 5], np.uint8),
}


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(
    folder: Path, name: str, array: np.ndarray, *, dotted: bool = False, compressed: bool = False
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = name.replace("-idx", ".idx") if dotted else name
    data = idx_bytes(array)
    (folder / (name + ".gz" if compressed else name)).write_bytes(gzip.compress(data) if compressed else data)


@pytest.mark.parametrize("folder", ["", "raw", "MNIST/raw"])
@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_usual_names(tmp_path: Path, folder: str, dotted: bool, compressed: bool) -> None:
    for name, array in arrays.items():
        write(tmp_path / folder, name, array, dotted=dotted, compressed=compressed)
    X_train, y_train, X_test, y_test = load_mnist(tmp_path)
    np.testing.assert_array_equal(X_train[..., 0], arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(X_test[..., 0], arrays["t10k-images-idx3-ubyte"])
    assert X_train.dtype == np.uint8
    assert y_train.dtype == y_test.dtype == np.int64
    np.testing.assert_array_equal(y_train, arrays["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(y_test, [9, 0, 5])


def test_missing_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, "train-images-idx3-ubyte", arrays["train-images-idx3-ubyte"])
    with pytest.raises(FileError) as caught:
        load_mnist(tmp_path)
    message = str(caught.value)
    assert "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte" in message
    assert "train-images" not in message


wrong_pairs = {
    "labels are images": (
        "train-labels-idx1-ubyte",
        arrays["train-images-idx3-ubyte"],
        "not a list of digits",
    ),
    "images are labels": (
        "train-images-idx3-ubyte",
        arrays["train-labels-idx1-ubyte"],
        "samples x rows x columns",
    ),
    "one label too many": (
        "train-labels-idx1-ubyte",
        np.arange(7, dtype=np.uint8),
        "6 training images but 7",
    ),
    "a label above 9": ("t10k-labels-idx1-ubyte", np.array([1, 10, 2], np.uint8), "not a list of digits"),
    "other images": (
        "t10k-images-idx3-ubyte",
        np.zeros((3, 27, 28), np.uint8),
        "training images are 28x28 pixels, the test images 27x28",
    ),
}


@pytest.mark.parametrize("case", wrong_pairs)
def test_files_that_do_not_belong_together(tmp_path: Path, case: str) -> None:
    name, array, reason = wrong_pairs[case]
    for other, content in arrays.items():
        write(tmp_path, other, array if other == name else content)
    with pytest.raises(FileError, match=reason):
        load_mnist(tmp_path)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a server with four tiny files, and their checksums."""
    folder = tmp_path / "served"
    for name, array in arrays.items():
        write(folder, name, array, compressed=True)
    checksums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in mnist_checksums}
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", checksums
        http.shutdown()
        thread.join()


def test_download_once(tmp_path: Path, server: tuple[str, dict[str, str]]) -> None:
    url, checksums = server
    said: list[str] = []
    target = tmp_path / "new" / "folder"
    first = load_mnist(target, download=True, url=url, checksums=checksums, report=said.append)
    assert len(said) == 4
    assert sorted(path.name for path in target.iterdir()) == sorted(mnist_checksums)
    again = load_mnist(
        target, download=True, url="http://127.0.0.1:9", checksums=checksums, report=said.append
    )
    assert len(said) == 4
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_download_with_another_checksum_is_not_kept(
    tmp_path: Path, server: tuple[str, dict[str, str]]
) -> None:
    url, _ = server
    with pytest.raises(FileError, match="SHA-256"):
        load_mnist(tmp_path / "new", download=True, url=url)
    assert not list(tmp_path.glob("new/*"))


def test_download_of_a_missing_file(tmp_path: Path, server: tuple[str, dict[str, str]]) -> None:
    url, checksums = server
    with pytest.raises(FileError, match=r"cannot be downloaded.*put the four MNIST files"):
        load_mnist(tmp_path, download=True, url=f"{url}/nowhere", checksums=checksums)


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="Where there is no network"):
        load_mnist(tmp_path, download=True, url="http://127.0.0.1:9", timeout=0.5)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="http:// or https://"):
        load_mnist(tmp_path, download=True, url=f"file://{tmp_path}")
