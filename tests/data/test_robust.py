"""The preparation of tables for networks with embeddings: quartiles, soft clipping, signs and ids."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data.preparation.robust import center_and_factor, clipped


def table(rows: int = 40) -> dict[str, Any]:
    r = np.random.default_rng(0)
    number = r.normal(size=rows)
    number[3] = np.nan
    return {
        "many": np.array([f"l{i % 12:02}" for i in range(rows)], dtype=object),
        "number": number,
        "two": np.array(["b", "a"] * (rows // 2), dtype=object),
        "three": np.array([None if i == 5 else "xyz"[i % 3] for i in range(rows)], dtype=object),
        "rare": np.array([1.0] * (rows - 1) + [5.0]),
        "when": np.datetime64("2024-01-01") + r.integers(0, 400, rows).astype("timedelta64[D]"),
    }


def test_numbers_levels_ids_in_this_order() -> None:
    X = table()
    preparation = cr.Preparation.learn(X, robust=True)
    columns: Any = preparation.inputs
    assert preparation.outputs == (
        "number", "rare", "when", "number missing", "two=a", "three=x", "three=y", "three=z",
        "when sin of year", "when cos of year", "when sin of week", "when cos of week", "many id",
    )  # fmt: skip
    assert columns.sorts == ("number",) * 3 + ("level",) * 9 + ("id",)
    assert columns.vocabularies == (13,)
    made = np.asarray(preparation(X))
    there = X["number"][~np.isnan(X["number"])]
    low, middle, high = np.quantile(there, [0.25, 0.5, 0.75])
    scaled = (np.where(np.isnan(X["number"]), middle, X["number"]) - middle) / (high - low)
    np.testing.assert_allclose(made[:, 0], scaled / np.sqrt(1 + (scaled / 3) ** 2), rtol=1e-12)
    assert made[3, 0] == 0
    assert made[:, 3].sum() == made[3, 3] == 1
    # The quartiles of `rare` are one value: half of the range takes their place.
    np.testing.assert_allclose(made[-1, 1], clipped(np.array(2.0)))
    assert (made[:-1, 1] == 0).all()
    assert (np.abs(made[:, :8]) < 3).all()
    np.testing.assert_array_equal(made[:, -1], 1 + np.arange(40) % 12)
    assert (made[5, 5:8] == clipped((0 - np.array([p[0] for p in columns.ways[3].scales])) * np.array(
        [p[1] for p in columns.ways[3].scales]))).all()  # fmt: skip


def test_what_is_new_or_missing_counts_as_none_and_far_is_clipped() -> None:
    X = table()
    preparation = cr.Preparation.learn(X, robust=True)
    new = {name: values[:2].copy() for name, values in X.items()}
    new["many"][0], new["two"][0], new["number"][0] = "never", "c", 1e300
    with pytest.warns(UserWarning, match="did not") as told:
        made = np.asarray(preparation(new))
    assert {str(warning.message).split("'")[1] for warning in told} == {"many", "two"}
    assert made[0, -1] == 0
    assert made[0, 0] == pytest.approx(3)
    assert np.isfinite(made).all()
    kept = cr.Preparation.from_json(json.loads(json.dumps(preparation.to_json())), "file")
    with pytest.warns(UserWarning, match="did not"):
        np.testing.assert_array_equal(kept(new), made)
    assert str(kept) == str(preparation)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2, 3, 4, 5], (3, 0.5)), ([0, 0, 0, 0, 8], (0, 0.25)), ([7, 7], (7, 0))],
)
def test_center_and_factor(values: list[float], expected: tuple[float, float]) -> None:
    assert center_and_factor(np.array(values, float)) == expected


def test_numbers_beyond_the_range_are_refused() -> None:
    for values in ([1e308, -1e308] * 2, [0.0, 5e-324] * 3):
        with pytest.raises(cr.DataError, match="column 'a'"):
            cr.Preparation.learn({"a": np.array(values)}, kinds={"a": "number"}, robust=True)


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "signs", "name": "a", "levels": ["x", "y"], "scales": [[0, 1], [0, 1]]},
        {"kind": "signs", "name": "a", "levels": ["x", "y", "z"], "scales": [[0, 1]]},
        {"kind": "robust", "name": "a", "median": "0", "factor": 1.0},
        {"kind": "ids", "name": "a", "levels": "xyz"},
        {"kind": "date", "name": "a", "elapsed": {"kind": "ids"}, "cycles": []},
    ],
)
def test_damaged_files_are_refused(damage: dict[str, Any]) -> None:
    stored = cr.Preparation.learn(table(), robust=True).to_json()
    stored["inputs"]["columns"][0] = damage
    with pytest.raises(cr.FileError):
        cr.Preparation.from_json(stored, "file")
