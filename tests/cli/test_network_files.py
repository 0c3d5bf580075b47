"""Network files that hold anything: one line, whatever is wrong; what no memory holds is not begun."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.cli.cli_result import Run

HEAD = 'layers = [{type = "Dense", units = 3}, "Softmax"]\n'
ABSURD = {
    "lists 5000 deep": ("layers = " + "[" * 5000 + "]" * 5000, "nested too deep"),
    "layers 5000 deep": (
        "layers = [" + '{type = "Residual", layers = [' * 5000 + '"ReLU"' + "]}" * 5000 + "]",
        "nested too deep",
    ),
    "an integer of 5000 digits": (f"input_shape = {'9' * 5000}", "thousands of digits"),
    "an integer of 400 digits": (f"{HEAD}input_shape = {'9' * 400}", "every size below"),
    "a shape of 10^18": (f"{HEAD}input_shape = [1000000000, 1000000000]", "numbers per sample"),
    "a shape of 10^12": (
        'layers = ["GlobalAveragePool"]\ninput_shape = [1000000, 1000000, 1]',
        "numbers per sample",
    ),
    "a shape of 100,000 sizes": (f"{HEAD}input_shape = [{'2,' * 100_000}]", "Dense needs a vector"),
    "a layer of 10^15": (
        'layers = [{type = "Dense", units = 2000000000}, {type = "Dense", units = 500}]\ninput_shape = 4',
        "this machine has",
    ),
    "no UTF-8": (b"\xff\xfe", "not a text file in UTF-8"),
    "a key of 100,000 characters": (f'"{"k" * 100_000}" = 1', "is no entry of a network file"),
}  # fmt: skip


@pytest.mark.parametrize("case", ABSURD)
def test_an_absurd_file_is_refused(run: Run, tmp_path: Path, case: str) -> None:
    text, words = ABSURD[case]
    (tmp_path / "net.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    result = run("check", "net.toml")
    assert result.code == 2
    assert words in result.err
    assert result.err.startswith("chainrule: net.toml")
    assert result.err.count("\n") == 1
    assert len(result.err) < 2100


def test_wrong_values_in_every_place_of_a_file(run: Run, tmp_path: Path) -> None:
    """A seeded sample: one value of a good file replaced by a value of another kind or size."""
    good = [
        *('{"type": "Conv2D", "filters": 2, "kernel_size": 3, "padding": "same", "stride": 1}', '"ReLU"'),
        *('{"type": "MaxPool2D", "size": 2}', '"Flatten"', '{"type": "Dropout", "rate": 0.5}'),
        *('{"type": "LeakyReLU", "slope": 0.1}', '{"type": "Dense", "units": 3}', '"Softmax"'),
    ]
    layers = [json.loads(text) for text in good]
    wrong = [
        *(
            "true",
            '""',
            '"\\u001b[31m"',
            "[]",
            "{}",
            "[[1, 2], [3]]",
            "nan",
            "inf",
            "-inf",
            "1e308",
            "-1",
            "0",
        ),
        *("1.5", "1000000000", "1979-05-27", "9223372036854775807", "99999999999999999999999", '"same"'),
    ]
    places = [(at, key) for at, layer in enumerate(layers) if isinstance(layer, dict) for key in layer]
    draw = random.Random(0)
    cases = [(at, key, value) for at, key in [*places, (-1, "input_shape")] for value in wrong]
    for at, key, value in draw.sample(cases, 60):
        lines = [
            layer
            if isinstance(layer, str)
            else {
                name: value if (number, name) == (at, key) else json.dumps(own) for name, own in layer.items()
            }
            for number, layer in enumerate(layers)
        ]
        tables = [
            json.dumps(line)
            if isinstance(line, str)
            else "{" + ", ".join(f"{name} = {own}" for name, own in line.items()) + "}"
            for line in lines
        ]
        shape = value if at == -1 else "[6, 6, 1]"
        (tmp_path / "net.toml").write_text(f"layers = [{', '.join(tables)}]\ninput_shape = {shape}")
        result = run("check", "net.toml", "--samples", 2)
        assert result.code in (0, 1, 2), (at, key, value, result.err)
        assert result.code != 2 or result.err.count("\n") == 1
        assert "\x1b" not in result.err


@pytest.mark.parametrize(
    "argv", [("check", "."), ("check", "net.toml"), ("train", "digits", "--network", "net.toml")]
)
def test_a_folder_where_a_file_should_be(run: Run, tmp_path: Path, argv: tuple[str, ...]) -> None:
    (tmp_path / "net.toml").mkdir()
    result = run(*argv)
    assert result.code == 2
    assert result.err.count("\n") == 1
