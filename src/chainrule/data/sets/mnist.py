"""MNIST from its four IDX files: found in a directory, or downloaded there with a checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.files.disk import first_line, write_whole
from chainrule.base.keywords import teach
from chainrule.base.types import Array
from chainrule.data.readers.idx import load_idx, sizes

mnist_url = "https://ossci-datasets.s3.amazonaws.com/mnist/"
# SHA-256 of the four compressed files as their authors distributed them.
mnist_checksums: dict[str, str] = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
largest_download = 16 * 2**20  # the largest of the four has 9.9 MB
subdirectories = ("", "raw", "MNIST/raw", "mnist")  # torchvision unpacks into MNIST/raw


@teach("load_mnist('mnist', download=True)", directory="the folder of its four files")
def load_mnist(
    directory: str | Path,
    *,
    download: bool = False,
    url: str = mnist_url,
    checksums: Mapping[str, str] = mnist_checksums,
    timeout: float = 10.0,
    report: Callable[[str], None] | None = None,
) -> tuple[Array, Array, Array, Array]:
    """X_train (N, 28, 28, 1) uint8, y_train (N,) int64, X_test, y_test, from four IDX files.

    The files may be compressed or not, may be called `train-images-idx3-ubyte` or
    `train-images.idx3-ubyte`, and may lie in the directory itself or in `raw`, `MNIST/raw` or `mnist`
    below it. Where some are missing, `download=True` fetches them from `url` into the directory; a file
    whose SHA-256 is not the one in `checksums` is not kept. Raises FileError naming the files that were
    looked for, or the reason why a download failed.
    """
    directory = Path(directory)
    paths = find_mnist(directory)
    missing = [name for name, path in paths.items() if path is None]
    if missing and not download:
        looked_for = ", ".join(name.removesuffix(".gz") for name in missing)
        raise FileError(
            f"{directory}: MNIST is not complete here; missing (compressed as .gz or not): {looked_for}. "
            "Put the files there, or have them downloaded: leave out --no-download, or pass download=True"
        )
    for name in missing:
        paths[name] = download_file(name, directory, url, checksums[name], timeout, report)
    train_images, train_labels, test_images, test_labels = (load_idx(path) for path in paths.values() if path)
    check_pair(train_images, train_labels, directory, "training")
    check_pair(test_images, test_labels, directory, "test")
    if train_images.shape[1:] != test_images.shape[1:]:
        of_training, of_test = sizes(train_images.shape[1:]), sizes(test_images.shape[1:])
        raise FileError(
            f"{directory}: the training images are {of_training} pixels, the test images {of_test}: the "
            "files do not belong together"
        )
    return (
        train_images[..., np.newaxis],
        train_labels.astype(np.int64),
        test_images[..., np.newaxis],
        test_labels.astype(np.int64),
    )


def find_mnist(directory: Path) -> dict[str, Path | None]:
    """The four files by their canonical names; None where there is no file under any of the usual names."""
    paths: dict[str, Path | None] = {}
    for name in mnist_checksums:
        plain = name.removesuffix(".gz")
        dotted = plain.replace("-idx", ".idx")
        names = (plain, dotted, name, f"{dotted}.gz")
        candidates = (directory / folder / variant for folder in subdirectories for variant in names)
        paths[name] = next((path for path in candidates if path.is_file()), None)
    return paths


def check_pair(images: Array, labels: Array, directory: Path, part: str) -> None:
    """Raise FileError unless images and labels belong together."""
    if images.dtype != np.uint8 or images.ndim != 3:
        raise FileError(
            f"{directory}: the {part} images are {sizes(images.shape)} values of {images.dtype}; "
            "MNIST's are samples x rows x columns of uint8"
        )
    if labels.dtype != np.uint8 or labels.ndim != 1 or labels.max() > 9:
        raise FileError(f"{directory}: the {part} labels are not a list of digits 0 to 9")
    if len(images) != len(labels):
        raise FileError(f"{directory}: {len(images)} {part} images but {len(labels)} {part} labels")


def download_file(
    name: str,
    directory: Path,
    url: str,
    checksum: str,
    timeout: float,
    report: Callable[[str], None] | None,
) -> Path:
    """Fetch `url`/`name` into `directory`; the file appears there only when its SHA-256 is `checksum`."""
    import http.client
    import urllib.request

    address = f"{url.rstrip('/')}/{name}"
    if not address.startswith(("https://", "http://")):
        raise FileError(f"{url}: downloads come from an http:// or https:// address")
    if report is not None:
        report(f"downloading {address} to {directory}")
    try:
        with urllib.request.urlopen(address, timeout=timeout) as answer:
            data: bytes = answer.read(largest_download + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise FileError(
            f"{address} cannot be downloaded ({reason}). Where there is no network, put the four MNIST files "
            f"({', '.join(mnist_checksums)}) into {directory} yourself"
        ) from None
    received = hashlib.sha256(data).hexdigest()
    if received != checksum:
        raise FileError(
            f"{address}: the downloaded file has SHA-256 {received[:16]}..., not {checksum[:16]}... "
            "as MNIST's; it was not kept"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{directory}: cannot be made ({error.strerror or first_line(error)})") from None
    write_whole(directory / name, lambda stream: stream.write(data))
    return directory / name
