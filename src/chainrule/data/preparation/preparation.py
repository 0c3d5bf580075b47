"""Preparation: how the inputs of a model were made and how its outputs are read."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, FileError, ShapeError, describe
from chainrule.base.scalars import entries
from chainrule.base.types import Array
from chainrule.data.arrays import Prepared, finite, numbers, plain_array, prepared
from chainrule.data.preparation.scales import Numbers, Pixels, Scale, Standardizer

READING = ("delimiter", "decimal", "encoding", "header", "missing")  # what may be told of a file
_by_word = {"pixels": Pixels, "numbers": Numbers}


@dataclass(eq=False)
class Preparation:
    """How inputs were prepared for a model, and how its outputs are read; everything None: as they are.

    feature_names: of the columns, in order. inputs: what brings them to the network's scale, "pixels" (0 to
    255, divided by 255), "numbers" (as they are), a `Standardizer`, or what `learn` makes of a table's
    columns.
    targets: what scaled a regression's target: outputs of the network are brought back to its own unit.
    reading: what was told of the file they were read from ({"decimal": ","}), for the next one.
    parts: of a network with several inputs or outputs that of each, by name. A
    network carries it as `network.preparation`, its file too, and applies it to whatever it is given:
    `fit`, `predict`, `accuracy`, `loss`, the check and the report. What `preparation(X)` returns has been
    prepared, and is taken as it is.
    """

    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    inputs: Scale | None = None
    targets: Standardizer | None = None
    reading: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, Preparation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.feature_names
        listed = isinstance(names, (tuple, list)) and all(isinstance(name, str) for name in names)
        if names is not None and not listed:
            raise ArgumentError(
                f"feature_names is {describe(names)}: write a list of names, or of a table "
                "Preparation.learn(table)"
            )
        if isinstance(self.inputs, str):
            if self.inputs not in _by_word:
                raise ArgumentError(f"inputs is {self.inputs!r}: write {' or '.join(map(repr, _by_word))}")
            self.inputs = _by_word[self.inputs]()
        scale = hasattr(self.inputs, "to_json") and not isinstance(self.inputs, type)
        if not (self.inputs is None or scale):
            raise ArgumentError(
                f"inputs is {describe(self.inputs)}: write 'pixels', 'numbers' or Standardizer.learn(X)"
            )
        if not isinstance(self.targets, (Standardizer, NoneType)):
            raise ArgumentError(f"targets is {describe(self.targets)}: write Standardizer.learn(y)")
        if self.feature_names is not None:
            self.feature_names = _names(self.feature_names)

    @classmethod
    def learn(
        cls,
        X: Any,
        y: Any = None,
        *,
        target: str | None = None,
        kinds: Mapping[str, str] | None = None,
        levels: Mapping[str, Sequence[str]] | None = None,
        most_levels: int = 50,
        robust: bool = False,
    ) -> Preparation:
        """What becomes of every column of a table X, a data frame of any library or a file's `Frame`.

        Numbers are brought to one scale, missing ones filled by the median and told by a column of their
        own; texts and truth values are columns of 0 and 1 per level, texts that are all fractions or all
        different whole numbers are numbers; dates are days elapsed and the place in
        year, week and day; columns that never change, that count the rows or whose texts differ in most of
        them are left out. `print(preparation)` shows all of it.

        y: a quantity that is to be predicted, (N,) or (N, K): its scale is learned, too, and a network takes
        and predicts it in its own unit; leave it out for classes. target: the column of X that is to be
        predicted, which is no input; it may stay in later frames. kinds: {column: "number", "levels", "date"
        or "drop"}. levels: {column: its levels from the lowest to the highest}. most_levels: of a text; the
        rarer ones are one level together. robust: as networks with embeddings take them; numbers are centred
        at the median, divided by the distance of the quartiles and softly clipped; a text of up to eight
        levels is +1 and -1, or a column each, one of more an id for an `Embedding`; numbers come first, ids
        last.
        Give it the training part alone: `network = Network([...], input_shape=preparation.width,
        preparation=preparation)`. Raises DataError where nothing is left to learn from.
        """
        from chainrule.data.frames import frame_of, listed
        from chainrule.data.preparation.table import Columns

        frame = frame_of(X, "X")
        if frame is None:
            raise DataError(
                f"X is {describe(X)}: Preparation.learn takes a table with names, such as a data frame or "
                f"{{name: column}}"
            )
        if target is not None:
            target = str(target)  # pandas' names may be numbers
            if target not in frame.names:
                raise DataError(f"target is {target!r}, but the columns of X are {listed(frame.names)}")
            frame = frame.without([target])
            if not frame.columns:
                raise DataError(f"X has no column but the target {target!r}: there is nothing to learn from")
        columns = Columns.learn(frame, kinds, levels, most_levels, robust)
        return cls(columns.names, target, columns, None if y is None else _scale_of(y, len(frame)))

    def part(self, name: str) -> Preparation:
        """That of one of several inputs or outputs; as they are where it is not said."""
        return self.parts.get(name) or Preparation()

    @classmethod
    def of_ends(
        cls,
        given: Mapping[str, Any],
        inputs: Mapping[str, tuple[int, ...]],
        outputs: Mapping[str, tuple[int, ...]],
    ) -> Preparation:
        """What Graph(preparation={...}) takes: by the name of an input what `of` takes, by that of an output
        the `Standardizer` of its targets.  inputs, outputs: their shapes, of which one may be a single one.
        """
        parts: dict[str, Preparation] = {}
        for name, value in given.items():
            if name in inputs:
                if getattr(value, "targets", None) is not None:
                    raise ArgumentError(
                        f"preparation[{name!r}] scales targets, and {name!r} is an input: name the output, "
                        "preparation={'price': Standardizer.learn(y)}"
                    )
                if isinstance(value, str) and value not in _by_word:
                    words = " or ".join(map(repr, _by_word))
                    raise ArgumentError(f"preparation[{name!r}] is {value!r}: write {words}")
                part = cls.of(value, inputs[name], inputs[name])
            elif name in outputs:
                scale = value.targets if isinstance(value, Preparation) else value
                if not isinstance(scale, Standardizer):
                    raise ArgumentError(
                        f"preparation[{name!r}] is {describe(value)}, and {name!r} is an output: write "
                        "Standardizer.learn(y), the scale of its targets"
                    )
                part = cls.of(cls(targets=scale), (), outputs[name])
            else:
                known = ", ".join(map(repr, (*inputs, *outputs)))
                raise ArgumentError(f"preparation has {name!r}, and the inputs and outputs are {known}")
            parts[name] = part
        whole = parts.pop(next(iter(inputs)), cls()) if len(inputs) == 1 else cls()
        scaled = parts.pop(next(iter(outputs)), cls()) if len(outputs) == 1 else cls()
        return replace(whole, targets=scaled.targets, parts=parts)

    @classmethod
    def of(
        cls,
        given: Preparation | Standardizer | str,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
    ) -> Preparation:
        """What Network(preparation=...) takes: a preparation that fits its inputs and outputs, "pixels",
        "numbers" or a `Standardizer` of its inputs.
        """
        if isinstance(given, str):
            if given not in _by_word:
                raise ArgumentError(f"preparation is {given!r}: write {' or '.join(map(repr, _by_word))}")
            given = cls(inputs=given)  # type: ignore[arg-type]
        if isinstance(given, Standardizer):
            given = cls(inputs=given)
        if not isinstance(given, Preparation):
            raise ArgumentError(
                f"preparation is {describe(given)}: write Preparation.learn(X), Standardizer.learn(X), "
                "'pixels' or 'numbers'"
            )
        names = getattr(given.inputs, "outputs", None)
        if names is not None and input_shape != (len(names),):
            raise ShapeError(
                f"preparation makes {len(names)} numbers of a sample, but input_shape is {input_shape}: "
                "write input_shape=preparation.width"
            )
        widths = (math.prod(input_shape), *input_shape[-1:])
        if isinstance(given.inputs, Standardizer) and given.inputs.mean.size not in widths:
            raise ShapeError(
                f"preparation scales {given.inputs.mean.size} features of a sample, but input_shape is "
                f"{input_shape}: learn it of such samples, Standardizer.learn(X)"
            )
        sizes = (math.prod(output_shape), output_shape[-1])
        if given.targets is not None and given.targets.mean.size not in sizes:
            raise ShapeError(
                f"preparation.targets scales {given.targets.mean.size} numbers of a sample, but the network "
                f"has the output shape {output_shape}: learn it of such targets, Standardizer.learn(y)"
            )
        return given

    @property
    def width(self) -> int:
        """How many numbers a sample has once it is prepared; of a table."""
        names = self.outputs
        if names is None:
            raise DataError("only what has been learned from a table knows its width: Preparation.learn(X)")
        return len(names)

    @property
    def outputs(self) -> tuple[str, ...] | None:
        """The names of the network's inputs, where they have names: "age", "sex=male", "age missing"."""
        return getattr(self.inputs, "outputs", self.feature_names)

    @property
    def needed(self) -> tuple[str, ...] | None:
        """The columns that data must have, where they have names: all but those left out."""
        return getattr(self.inputs, "needed", self.feature_names)

    def __call__(self, X: Any, argument: str = "X") -> Any:
        """X as the network computes with it; what this preparation says nothing of comes back as it is."""
        if isinstance(X, list) and X and isinstance(X[0], Prepared):
            X = plain_array(X, argument)  # prepared, if all rows are
        if isinstance(X, Prepared):
            undivided = isinstance(self.inputs, Pixels) and X.dtype != np.uint8 and X.size and X.max() > 1
            if not undivided:  # as pixels are once uint8 has been converted, which would be divided
                return X
            X = np.asarray(X)
        from chainrule.data.frames import frame_of
        from chainrule.data.preparation.table import Columns, by_name

        if isinstance(self.inputs, Columns):
            return self.inputs(X, argument, () if self.target_name is None else (self.target_name,))
        frame = frame_of(X, argument)
        if frame is not None:
            if self.feature_names is not None and frame.named:
                frame = by_name(frame, self.feature_names, argument)
            X = matrix(frame, argument)
        elif self.feature_names is not None:
            self._check_width(np.shape(X), argument)
        return X if self.inputs is None else self.inputs(X, argument)

    def is_made(self, X: Array, dtype: Any) -> bool:
        """Whether X, (N, *input_shape), is taken as it is by a network of this dtype, and so are its outputs.

        False where that is not known without a closer look at X.
        """
        names = self.feature_names
        if self.targets is not None or (names is not None and X.shape[1:] != (len(names),)):
            return False
        if self.inputs is None:
            return bool(X.dtype == dtype)
        is_made = getattr(self.inputs, "is_made", None)
        return is_made is not None and is_made(X, dtype)

    def _check_width(self, shape: tuple[int, ...], argument: str) -> None:
        names = self.feature_names or ()
        if len(shape) == 2 and shape[1] != len(names):
            raise ShapeError(
                f"{argument} has {shape[1]} columns, the network was trained on {len(names)}: {_few(names)}"
            )

    def target(self, y: Any, argument: str = "y") -> Any:
        """y on the scale that the network was trained on."""
        if self.targets is None or isinstance(y, Prepared):
            return y
        values = plain_array(y, argument)
        if not values.ndim:
            return y  # which the door refuses
        size = self.targets.mean.size
        flat = values.reshape(len(values), -1)
        if flat.shape[1] != size:  # the last axis has a scale per entry, or one is of all numbers
            flat = values.reshape(-1, 1) if size == 1 else values
        return prepared(np.asarray(self.targets(flat, argument)).reshape(values.shape))

    def unscaled(self, outputs: Array) -> Array:
        """Outputs (N, ...) in the target's own unit, float64; without `targets` as they are."""
        if self.targets is None:
            return outputs
        whole = self.targets.mean.size == math.prod(outputs.shape[1:])
        flat = outputs.reshape(len(outputs), -1) if whole else outputs
        return self.targets.undo(flat).reshape(outputs.shape)

    def lines(self) -> list[tuple[str, str]]:
        """(what, how) for a summary."""
        said = [] if self.inputs is None else [("inputs", self.inputs.title)]
        if self.feature_names is not None and not hasattr(self.inputs, "outputs"):
            said.append(("features", _few(self.feature_names)))
        if self.targets is not None:
            name = self.target_name or "y"
            mean, scale = self.targets.mean, self.targets.scale
            form = f"({name} - {mean[0]:.6g}) / {scale[0]:.6g}" if mean.size == 1 else self.targets.title
            said.append(("target", f"{form}; predict gives its own unit"))
        for name, part in self.parts.items():
            said += [(f"{name} {what}", how) for what, how in part.lines()]
        return said

    def __str__(self) -> str:
        head = "\n".join(f"{what}: {how}" for what, how in self.lines()) or "inputs as they are"
        return f"{head}\n{self.inputs}" if hasattr(self.inputs, "outputs") else head

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it."""
        return {
            "feature_names": None if self.feature_names is None else list(self.feature_names),
            "target_name": self.target_name,
            "inputs": None if self.inputs is None else self.inputs.to_json(),
            "targets": None if self.targets is None else self.targets.to_json(),
            **({"reading": dict(self.reading)} if self.reading else {}),
            **({"parts": {n: part.to_json() for n, part in self.parts.items()}} if self.parts else {}),
        }

    @classmethod
    def from_json(cls, stored: Any, path: str | os.PathLike[str]) -> Preparation:
        """The preparation that `to_json` described. Raises FileError with `path` when it is damaged."""
        if not isinstance(stored, Mapping):
            raise FileError(f"{path}: does not say how the inputs were prepared")
        names, target_name = stored.get("feature_names"), stored.get("target_name")
        named = names if isinstance(names, list) else []
        damaged = named != (names or []) or not all(isinstance(name, str) for name in named)
        damaged = damaged or len(set(named)) < len(named)
        if damaged or not isinstance(target_name, (str, type(None))):
            raise FileError(f"{path}: the names of the features or of the target are damaged")
        scales: dict[str, Any] = {}
        for part in ("inputs", "targets"):
            try:
                scales[part] = None if stored.get(part) is None else _scale_from(stored[part])
            except (DataError, TypeError) as error:
                raise FileError(f"{path}: {part}: {error}") from None
        if not isinstance(scales["targets"], (Standardizer, type(None))):
            raise FileError(f"{path}: targets: the stored scale of the target is damaged")
        reading = stored.get("reading", {})
        if not isinstance(reading, Mapping) or not all(
            key in READING and isinstance(value, str) for key, value in reading.items()
        ):
            raise FileError(f"{path}: what was told of the file of its data is damaged")
        parts = stored.get("parts", {})
        if not isinstance(parts, Mapping):
            raise FileError(f"{path}: does not say how several inputs and outputs were prepared")
        of_ends = {name: cls.from_json(part, f"{path}: {name}") for name, part in parts.items()}
        return cls(tuple(named) or None, target_name, **scales, reading=dict(reading), parts=of_ends)


def _scale_of(y: Any, samples: int) -> Standardizer:
    """The scale of a quantity."""
    values = numbers(plain_array(y, "y"), "y")
    if values.ndim == 0 or len(values) != samples or not values.size:
        raise ShapeError(
            f"y must be a number, or a row of them, per sample of X, ({samples},), received {values.shape}"
        )
    finite(values, "y")
    return Standardizer.learn(values.reshape(len(values), -1))


def _scale_from(stored: Any) -> Scale:
    """What a file says of a scale; the first files had no kind, and were all standardized."""
    from chainrule.data.preparation.table import Columns

    kinds: dict[str, Any] = {"pixels": Pixels, "numbers": Numbers, "columns": Columns}
    kind = stored.get("kind", "standardized") if isinstance(stored, Mapping) else "standardized"
    if kind != "standardized" and kind not in kinds:
        raise DataError(f"the kind {kind!r} is unknown; a newer chainrule may know it")
    scale: Scale = kinds.get(kind, Standardizer).from_json(stored)
    return scale


def matrix(frame: Any, argument: str) -> Array:
    """(N, columns) of a frame's numbers and truth values, bool or int64 where all are such, else float64;
    DataError for what is neither.
    """
    for column in frame.columns:
        if column.kind not in ("number", "truth"):
            raise DataError(
                f"the column '{column.name}' of {argument} holds {column.kind}s, and a network takes "
                f"numbers: write preparation = cr.Preparation.learn({argument}), then Network([...], "
                "input_shape=preparation.width, preparation=preparation)"
            )
        if column.missing.any():
            row = int(column.missing.argmax())
            raise DataError(
                f"the column '{column.name}' of {argument} has {int(column.missing.sum()):,} missing values "
                f"(NaN), the first in row {row}: drop or fill them, or write "
                f"cr.Preparation.learn({argument}), which does"
            )
    # Whole numbers stay such: the door refuses those that the network would round.
    whole = all(column.whole or column.kind == "truth" for column in frame.columns)
    truth = all(column.kind == "truth" for column in frame.columns)
    dtype = np.bool_ if truth else np.int64 if whole else np.float64
    return np.stack([column.values.astype(dtype) for column in frame.columns], axis=1)


def _names(given: Any) -> tuple[str, ...]:
    """Names of columns; ArgumentError where they are none, or where two are the same."""
    names = entries(given)
    if names is None or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"feature_names is {describe(given)}: write a list of names, ['age', 'height']")
    if len(set(names)) < len(names):
        raise ArgumentError(f"feature_names must be different from each other, received {_few(names)}")
    return tuple(names)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f", … ({len(names)})" if len(names) > 8 else "")
