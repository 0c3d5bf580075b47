"""Figures of a test: per class precision and recall, per column errors; lines, and entries of run.json."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.shown import quoted, shortened
from chainrule.base.tables import text_table
from chainrule.base.types import Array

most_classes = 20  # of a table; of more those with the least F1 are shown
longest_label = 24  # characters


def class_rows(actual: Array, predicted: Array, classes: Array) -> list[dict[str, Any]]:
    """Per class its label, precision, recall, F1 and the samples it has; what is divided by 0 is None."""
    rows = []
    for label in classes.tolist():
        is_label, said = actual == label, predicted == label
        right, samples, times = int((is_label & said).sum()), int(is_label.sum()), int(said.sum())
        rows.append(
            {
                "class": label,
                "precision": right / times if times else None,
                "recall": right / samples if samples else None,
                "f1": 2 * right / (samples + times) if samples + times else None,
                "samples": samples,
            }
        )
    return rows


def class_table(rows: list[dict[str, Any]]) -> str:
    """The rows as a table, at most `most_classes` of them, then the worst."""
    shown = rows
    if len(rows) > most_classes:
        judged = sorted(rows, key=lambda row: (row["f1"] is None, row["f1"] or 0.0))
        shown = judged[:most_classes]
    lines = [["class", "precision", "recall", "F1", "samples"]]
    for row in shown:
        shares = ["-" if row[name] is None else f"{row[name]:.3f}" for name in ("precision", "recall", "f1")]
        lines.append([shortened(quoted(row["class"]), longest_label), *shares, str(row["samples"])])
    table = text_table(lines, right=(1, 2, 3, 4))
    left_out = len(rows) - len(shown)
    return f"{table}\nthe worst {len(shown)} of {len(rows)} classes" if left_out else table


def errors_of(predicted: Array, actual: Array, names: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Root mean square error, mean absolute error and R2 of numbers (N, K): of all together as entries, and
    where there are several columns of each, as entries and as the lines of a table.

    R2 of all is 1 - Σ(predicted - actual)² / Σ(actual - its column's mean)², 0 where nothing varies.
    """
    figures: dict[str, Any] = _errors(predicted, actual)
    if actual.shape[1] == 1:
        return figures, []
    columns = [
        {"column": name, **_errors(predicted[:, [index]], actual[:, [index]])}
        for index, name in enumerate(names)
    ]
    lines = [["column", "RMSE", "MAE", "R2"]]
    for column in columns[:most_classes]:
        errors = (f"{column[name]:.4g}" for name in ("test_rmse", "test_mae"))
        lines.append([column["column"], *errors, f"{column['test_r2']:.3f}"])
    return figures | {"columns": columns}, [text_table(lines, right=(1, 2, 3))]


def _errors(predicted: Array, actual: Array) -> dict[str, Any]:
    squares = float(np.sum((predicted - actual) ** 2))
    spread = float(np.sum((actual - actual.mean(axis=0)) ** 2))
    return {
        "test_rmse": float(np.sqrt(np.mean((predicted - actual) ** 2))),
        "test_mae": float(np.mean(np.abs(predicted - actual))),
        "test_r2": 1.0 - squares / spread if spread > 0 else 0.0,
    }
