"""History: columns, table, CSV and pictures."""

from __future__ import annotations

import math
import pickle
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chainrule.base.errors import FileError, MissingExtraError
from chainrule.training.curves import epoch_ticks, nice_ticks, tick_label
from chainrule.training.history import COLUMNS, History, OutputRow, Row

SVG = "{http://www.w3.org/2000/svg}"


def example(epochs: int = 4, *, validation: bool = True, classes: bool = True) -> History:
    """Falling losses; the validation loss is lowest in the last epoch but one."""
    history = History()
    for epoch in range(1, epochs + 1):
        accuracy = 1 - 0.5**epoch if classes else None
        extra = (0.7**epoch + 0.3 * (epoch == epochs), accuracy) if validation else (None, None)
        history.append(Row(epoch, 0.6**epoch, accuracy, *extra, rate=0.1 / epoch, seconds=0.25))
    return history


def test_columns_are_lists_one_entry_per_epoch() -> None:
    history = example()
    assert history.epoch == [1, 2, 3, 4]
    assert history.loss == [0.6**e for e in (1, 2, 3, 4)]
    assert history.seconds == [0.25] * 4
    assert all(getattr(history, name) == history.column(name) for name in COLUMNS)
    assert (len(history), [row.epoch for row in history]) == (4, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="no column 'val_loss': write one of epoch, loss"):
        history.column("val_loss")


def test_last_and_best() -> None:
    history = example()
    assert history.last.epoch == 4
    assert history.best.epoch == 3
    assert history.best_by("loss").epoch == 4
    assert history.best_by("accuracy").epoch == 4
    assert example(validation=False).best.epoch == 4
    assert History([Row(1, 0.5), Row(2, 0.25), Row(3, 0.25)]).best.epoch == 2  # the first of equals
    with pytest.raises(ValueError, match="no value in column 'accuracy'"):
        example(classes=False).best_by("accuracy")
    with pytest.raises(IndexError, match="holds no epoch"):
        _ = History().last


@pytest.mark.parametrize("options", [{}, {"validation": False}, {"classes": False}, {"epochs": 0}])
def test_csv_round_trip_is_exact(tmp_path: Path, options: dict[str, int]) -> None:
    history = example(**options)  # type: ignore[arg-type]
    history.to_csv(tmp_path / "history.csv")
    assert History.from_csv(tmp_path / "history.csv") == history
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


@pytest.mark.parametrize("name", ["kind", "kind, of all", 'the "kind"', "two\nlines", "a.b", "a.loss"])
def test_csv_keeps_the_names_of_outputs(tmp_path: Path, name: str) -> None:
    outputs = {name: OutputRow(0.5, 0.25), "price": OutputRow(1.5)}
    history = History([Row(1, 0.5, rate=0.1, seconds=1.0, outputs=outputs)])
    history.to_csv(tmp_path / "history.csv")
    assert History.from_csv(tmp_path / "history.csv") == history
    assert [*History.from_csv(tmp_path / "history.csv").outputs] == [name, "price"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a history: its first line must be epoch,loss"),
        ("epoch,loss\n1,2\n", "is not a history"),
        (
            ",".join(COLUMNS) + "\n1,0.5,,,,0.1,1.0\n2,half,,,,0.1,1.0\n",
            "line 3 is not an epoch of a history",
        ),
        (",".join(COLUMNS) + "\n1,,,,,0.1,1.0\n", "line 2 is not"),
        (",".join(COLUMNS) + "\n1,0.5\n", "line 2 is not"),
        (",".join(COLUMNS) + '\n"1,0.5\n', "line 2 is not"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=words):
        History.from_csv(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.csv: no such file"):
        History.from_csv(tmp_path / "none.csv")


def test_repr_is_a_short_aligned_table() -> None:
    lines = repr(example()).splitlines()
    assert "validation loss" in lines[0]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[-1] == "best validation loss 0.3430 in epoch 3"
    assert "validation" not in repr(example(validation=False))
    assert "accuracy" not in repr(example(classes=False))
    long = example(200)
    long.stopped = "enough"
    lines = repr(long).splitlines()
    assert len(lines) == 14
    assert lines[5].strip() == "…"
    assert lines[-1].endswith("; stopped: enough")
    assert repr(History()) == "History: no epoch finished"
    assert '<td style="text-align:right">100.00 %</td>' in long._repr_html_()
    assert "no epoch finished" in History()._repr_html_()


@pytest.mark.parametrize("history", [example(), example(1), example(30, classes=False), History()])
def test_svg_is_well_formed_and_holds_every_curve(history: History, tmp_path: Path) -> None:
    history.save_svg(tmp_path / "curves.svg")
    root = ElementTree.parse(tmp_path / "curves.svg").getroot()
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    lines, dots = list(root.iter(f"{SVG}polyline")), list(root.iter(f"{SVG}circle"))
    panels = 0 if not history.rows else 1 if history.accuracy[0] is None else 2
    assert texts.count("epoch") == texts.count("training") == texts.count("validation") == panels
    assert len(lines) + len(dots) == 2 * panels
    for line in lines:
        points = [tuple(map(float, point.split(","))) for point in line.get("points", "").split()]
        assert len(points) == len(history)
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        assert points[0][1] != points[-1][1]


def test_svg_leaves_out_what_is_not_finite() -> None:
    history = History([Row(1, 2.0), Row(2, math.inf), Row(3, math.nan), Row(4, 1.0)])
    line = next(ElementTree.fromstring(history.to_svg()).iter(f"{SVG}polyline"))
    assert len(line.get("points", "").split()) == 2


@pytest.mark.parametrize(
    ("low", "high", "options", "expected"),
    [
        (0.0, 1.0, {}, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.13, 2.31, {}, [0, 0.5, 1, 1.5, 2, 2.5]),
        (1.0, 4.0, {"whole": True}, [1, 2, 3, 4]),
        (0.5, 1.5, {"whole": True}, [0, 1, 2]),
        (1.0, 1000.0, {"whole": True}, [0, 200, 400, 600, 800, 1000]),
        (-3e-7, 2e-7, {}, [-3e-7, -2e-7, -1e-7, 0, 1e-7, 2e-7]),
    ],
)
def test_ticks_are_round_numbers_around_the_values(
    low: float, high: float, options: dict[str, bool], expected: list[float]
) -> None:
    assert nice_ticks(low, high, **options) == pytest.approx(expected, abs=1e-20)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.0, 1.0, -5.0, 1e-30, 1e30, 0.1 + 0.2])
def test_ticks_of_a_single_value_enclose_it(value: float) -> None:
    ticks = nice_ticks(value, value)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] < ticks[-1]
    assert ticks[0] <= value <= ticks[-1]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (1, 1, [1]),
        (1, 2, [1, 2]),
        (1, 7, [1, 2, 3, 4, 5, 6, 7]),
        (1, 15, [5, 10, 15]),
        (1, 17, [5, 10, 17]),
        (1, 18, [5, 10, 15, 18]),
        (1, 60, [10, 20, 30, 40, 50, 60]),
        (1, 997, [200, 400, 600, 800, 997]),
    ],
)
def test_the_last_epoch_has_a_tick(first: int, last: int, expected: list[int]) -> None:
    assert epoch_ticks(first, last) == expected
    history = History([Row(epoch, 1.0 / epoch) for epoch in range(first, last + 1)])
    for tick in expected:
        assert f">{tick}</text>" in history.to_svg()
    pytest.importorskip("matplotlib")
    assert history.plot().axes[0].get_xticks().tolist() == expected


def test_tick_labels_have_the_decimals_of_their_distance() -> None:
    assert tick_label(0.5, 0.5) == "0.5"
    assert tick_label(0.25, 0.05) == "0.25"
    assert tick_label(1200.0, 200.0) == "1200"
    assert tick_label(3e-7, 1e-7) == "3e-07"
    assert tick_label(0.985, 0.005, percent=True) == "98.5 %"


def test_plot_writes_a_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figure = example().plot(tmp_path / "curves.png")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["training", "validation"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_notebooks_show_the_figure() -> None:
    pytest.importorskip("matplotlib")
    figure = pickle.loads(pickle.dumps(example().plot()))  # still a figure like any other
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_plot_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        MissingExtraError, match=r"history\.plot\(\) needs matplotlib: pip install 'chainrule\[plot\]'"
    ):
        example().plot()
