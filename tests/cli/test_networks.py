"""Network files: what they accept, and what their errors say."""

from __future__ import annotations

from pathlib import Path

import pytest

from chainrule.base.errors import FileError
from chainrule.cli.training.networks import named_layers, read_network_file
from chainrule.networks.network import Network
from tests.cli.cli_result import Run

examples = Path(__file__).parents[2] / "examples"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "net.toml"
    path.write_text(text)
    return path


def test_both_ways_of_writing(tmp_path: Path) -> None:
    layers, shape = read_network_file(
        write(
            tmp_path,
            """
            input_shape = [9, 9, 2]
            layers = [{ type = "Conv2D", filters = 4, kernel_size = [3, 2], padding = [[1, 1], [0, 0]] },
                      "ReLU", "Flatten", { type = "Dense", units = 3, name = "last" }]
            """,
        )
    )
    assert shape == (9, 9, 2)
    assert [type(layer).__name__ for layer in layers] == ["Conv2D", "ReLU", "Flatten", "Dense"]
    network = Network(layers, input_shape=shape)
    assert network.shapes["conv1"] == (9, 8, 4)
    assert network.layers[-1].name == "last"
    entries = (
        '[{ type = "Conv1D", filters = 2, kernel_size = 3, padding = [2, 0], dilation = 1 }, "L2Pool1D"]'
    )
    layers, _ = read_network_file(write(tmp_path, f"input_shape = [8, 2]\nlayers = {entries}"))
    assert Network(layers, input_shape=(8, 2)).output_shape == (4, 2)
    layers, shape = read_network_file(write(tmp_path, '[[layers]]\ntype = "Dense"\nunits = 2\n'))
    assert shape is None
    assert repr(layers) == "[Dense(2)]"


def test_a_layer_within_a_layer_and_how_many(tmp_path: Path) -> None:
    text = """
        layers = [{ type = "Bidirectional", layer = { type = "LSTM", units = 4, outputs = "all" } },
                  { type = "GRU", units = 2, layers = 2 }, { type = "Bidirectional", layer = "RNN" }]
        """
    with pytest.raises(FileError, match="layer 3, layer: RNN needs 'units'"):
        read_network_file(write(tmp_path, text))
    text = text.replace(', { type = "Bidirectional", layer = "RNN" }', "")
    layers, _ = read_network_file(write(tmp_path, text))
    assert Network(layers, input_shape=(5, 3)).output_shape == (2,)


def test_layers_within_layers(tmp_path: Path) -> None:
    text = """
        input_shape = [6, 6, 3]
        [[layers]]
        type = "Residual"
        shortcut = { type = "Conv2D", filters = 4, kernel_size = 1 }
        [[layers.layers]]
        type = "Conv2D"
        filters = 4
        kernel_size = 3
        padding = "same"
        [[layers.layers]]
        type = "Residual"
        layers = ["ReLU"]
        [[layers]]
        type = "Parallel"
        join = "concat"
        chains = [["Flatten", { type = "Dense", units = 3, name = "own" }], "GlobalAveragePool"]
        """
    layers, shape = read_network_file(write(tmp_path, text))
    network = Network(layers, input_shape=shape)
    assert network.output_shape == (7,)
    assert list(network.parameters) == [
        *("residual1.conv1.W", "residual1.conv1.b", "residual1.conv2.W", "residual1.conv2.b"),
        *("parallel1.own.W", "parallel1.own.b"),
    ]


malformed = {
    "not toml": ("layers = [", "not TOML"),
    "empty": ("", "holds no list of layers"),
    "no layer": ("layers = []", "holds no list of layers"),
    "text": ('layers = "Dense"', "holds no list of layers"),
    "unknown entry": ('layers = ["ReLU"]\nrate = 1', "'rate' is no entry"),
    "unknown layer": (
        'layers = ["ReLU", "Teleport"]',
        "layer 2: there is no layer 'Teleport'; the layers are Dense",
    ),
    "no type": ("layers = [{ units = 3 }]", "layer 1: write a table with a type"),
    "number": ("layers = [3]", "layer 1: write a table with a type"),
    "unknown argument": (
        'layers = [{ type = "Dense", units = 3, size = 1 }]',
        "layer 1: Dense takes no 'size'; its arguments are units",
    ),
    "missing argument": ('layers = ["Dense"]', "layer 1: Dense needs 'units'"),
    "wrong value": ('layers = [{ type = "Dense", units = -3 }]', "layer 1: "),
    "wrong type": ('layers = [{ type = "Dense", units = "ten" }]', "layer 1: "),
    "wrong initializer": ('layers = [{ type = "Dense", units = 3, initializer = "zen" }]', "layer 1: "),
    "layer within": (
        'layers = ["ReLU", { type = "Residual", layers = ["ReLU", "Teleport"] }]',
        "layer 2, layer 2: there is no layer 'Teleport'; the layers are Dense",
    ),
    "shortcut": (
        'layers = [{ type = "Residual", layers = ["ReLU"], shortcut = ["Dense"] }]',
        "layer 1, shortcut, layer 1: Dense needs 'units'",
    ),
    "branch": (
        'layers = [{ type = "Parallel", chains = ["ReLU", [{ type = "Dense", size = 3 }]] }]',
        "layer 1, branch 2, layer 1: Dense takes no 'size'",
    ),
    "nothing within": ('layers = ["Residual"]', "layer 1: Residual needs 'layers'"),
    "an empty branch": ('layers = [{ type = "Sequential", layers = [] }]', "layer 1: layers is empty"),
    "input shape": ('layers = ["ReLU"]\ninput_shape = [8, 0]', "input_shape is [8, 0]"),
    "input shape of text": ('layers = ["ReLU"]\ninput_shape = "8x8"', "input_shape is '8x8'"),
}


@pytest.mark.parametrize("case", malformed)
def test_malformed_file_is_refused(tmp_path: Path, case: str) -> None:
    text, reason = malformed[case]
    with pytest.raises(FileError) as caught:
        read_network_file(write(tmp_path, text))
    assert reason in str(caught.value)
    assert "net.toml" in str(caught.value)


def test_not_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="not a text file in UTF-8"):
        read_network_file(path)
    with pytest.raises(FileError, match="cannot be read"):
        read_network_file(tmp_path)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (1, 5, 1), (20, 64, 1)])
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_named_networks_fit_any_image(kind: str, shape: tuple[int, ...]) -> None:
    network = Network(named_layers(kind, shape, 7, classify=True), input_shape=shape)
    assert network.output_shape == (7,)


def test_the_example_file_trains(run: Run) -> None:
    pytest.importorskip("sklearn")
    argv = ("train", "digits", "--network", examples / "network.toml", "--epochs", 1, "--no-check", "--quiet")
    result = run(*argv)
    assert result.code == 0
    assert result.out.splitlines()[-1].startswith("test accuracy ")


def test_network_that_does_not_fit_the_data(run: Run, flowers: Path, tmp_path: Path) -> None:
    path = write(tmp_path, 'layers = [{ type = "Dense", units = 10 }, "Softmax"]')
    result = run("train", flowers, "--target", "species", "--network", path)
    assert result.code == 2
    assert "the data has 3 classes: end it in Dense with units = 3" in result.err
    path = write(tmp_path, 'input_shape = 4\nlayers = [{ type = "Dense", units = 3 }, "Softmax"]')
    result = run("train", flowers, "--target", "species", "--network", path)
    assert result.code == 2
    assert "input_shape is [4], but the data has [3]" in result.err


def test_network_that_no_memory_holds(
    run: Run, flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that cannot exist nor one that does not fit here is a traceback."""
    large = f'{{ type = "Dense", units = {2**31 - 1} }}'
    layers = f'{large}, {large}, {{ type = "Dense", units = 3 }}, "Softmax"'
    argv = ("train", flowers, "--target", "species")
    result = run(*argv, "--network", write(tmp_path, f"layers = [{layers}]"))
    assert result.code == 2
    assert "larger than any memory" in result.err
    assert result.err.count("\n") == 1

    def refuse(*_: object) -> None:
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr("chainrule.networks.network.Network.reinitialise", refuse)
    result = run(*argv)
    assert result.code == 2
    assert result.err.splitlines()[-1] == "chainrule: not enough memory: Unable to allocate 7 TiB"


def test_a_number_that_float32_does_not_hold_is_refused_before_there_is_a_run(
    run: Run, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        'layers = ["Flatten", {type = "Dense", units = 10}, {type = "LeakyReLU", slope = 1e300}, "Softmax"]\n'
        "input_shape = [8, 8, 1]\n",
    )
    options = ("--epochs", 1, "--no-check", "--quiet")
    refusal = run("train", "digits", "--network", path, *options)
    assert refusal.code == 2
    assert "a slope of 1e+300 becomes inf in float32" in refusal.err
    assert "--precision float64" in refusal.err
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.toml"]
    assert (
        "in float32" not in run("train", "digits", "--network", path, *options, "--precision", "float64").err
    )
    assert "in float32" not in run("check", path).err  # which computes in float64
