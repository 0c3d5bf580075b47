"""What users pass as data, lists, DataFrames, tensors, made into plain NumPy arrays; what cannot be meant is
refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, describe
from chainrule.base.types import Array

_PIECE = 2**22  # entries that are looked at together
_FEW = 2**20  # entries of which a look takes 0.5 to 0.9 of the time of a sum


class Prepared(np.ndarray[Any, np.dtype[Any]]):
    """Inputs or targets that a preparation has made: a network takes them as they are, and none is applied
    again. Rows and slices are prepared, too, and what such are joined to; `numpy.asarray` makes a plain array
    of it, which counts as raw, and so does a frame, a tensor or a file of it.
    """

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        made = super().__array_function__(func, types, args, kwargs)
        if func not in _JOINING or type(made) is not np.ndarray:  # of which NumPy makes plain arrays
            return made
        parts = args[0] if func in _OF_LISTS else args[-2:]
        if all(isinstance(part, Prepared) or np.ndim(part) == 0 for part in parts):
            return made.view(Prepared)
        return made


_OF_LISTS = (np.concatenate, np.vstack, np.hstack, np.stack)
_JOINING = (*_OF_LISTS, np.append, np.where)


def prepared(array: Array) -> Prepared:
    """`array` as one that has been prepared; the same memory."""
    return array.view(Prepared)


def is_sparse(value: Any) -> bool:
    """Whether a value is a sparse matrix or array of SciPy's kind."""
    return hasattr(value, "toarray") and hasattr(value, "nnz")


def plain_array(value: Any, argument: str) -> Array:
    """`value` as an ndarray, what is `Prepared` as such; a list of texts and others as objects.

    DataError for None, masked and sparse arrays and lists of unequal rows.
    """
    if value is None:
        raise DataError(f"{argument} is None: pass an array with one entry per sample")
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(
            f"{argument} is a masked array: write {argument}.filled(value), or drop the masked samples"
        )
    if is_sparse(value):
        raise DataError(f"{argument} is a sparse matrix: write {argument}.toarray()")
    try:
        array = value if isinstance(value, Prepared) else np.asarray(value)
        if isinstance(value, list) and value and all(isinstance(row, Prepared) for row in value):
            array = array.view(Prepared)
    except (ValueError, TypeError, RuntimeError) as error:  # PyTorch raises the last two
        if (way := _of_tensor(value)) is not None:
            raise DataError(f"{argument} is a tensor that is no array: write {argument}{way}") from None
        raise DataError(
            f"{argument} cannot be made an array: its rows have different lengths or it holds what "
            f"is no number ({str(error).splitlines()[0]})"
        ) from None
    if array.dtype.kind == "U" and isinstance(value, (list, tuple)):
        # NumPy makes "nan" of NaN and "1" of 1 beside a text.
        entries = np.array(value, dtype=object)
        if not all(isinstance(entry, str) for entry in entries.ravel()):
            return entries
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _of_tensor(value: Any) -> str | None:
    """What makes an array of a tensor of PyTorch, ".detach().numpy()"; None for anything else."""
    if not (hasattr(value, "detach") and hasattr(value, "cpu")):
        return None
    way = ".detach()" if getattr(value, "requires_grad", False) else ""
    way += "" if getattr(value, "device", "cpu") in ("cpu", None) or str(value.device) == "cpu" else ".cpu()"
    way += ".to_dense()" if getattr(value, "is_sparse", False) else ""
    return way + (".float()" if "bfloat16" in str(value.dtype) else "") + ".numpy()"


def one_column(y: Any) -> Any:
    """A frame of one column as that column."""
    shape: tuple[int, ...] = tuple(getattr(y, "shape", ()))
    if len(shape) == 2 and shape[1] == 1 and (hasattr(y, "columns") or hasattr(y, "column_names")):
        return np.asarray(y).reshape(-1)
    return y


def numbers(array: Array, argument: str) -> Array:
    """`array` if its entries are real numbers or bools, otherwise a DataError that shows one that is not."""
    kind = array.dtype.kind
    if kind in "fiub":
        return array
    if kind == "c":
        raise DataError(f"{argument} is complex ({array.dtype}): write {argument}.real")
    if kind == "O":
        for index in np.ndindex(array.shape):
            entry = array[index]
            if isinstance(entry, bool | int | float | np.number) and not isinstance(entry, complex):
                continue
            shown = f"; the first entry that is no number is {describe(entry)} at {_position(index)}"
            place = shown if index else ""
            raise DataError(f"{argument} must hold numbers, received dtype object{place}")
        raise DataError(f"{argument} has dtype object: write {argument}.astype('float32')")
    example = f", such as {array.flat[0]!s}" if array.size else ""
    raise DataError(f"{argument} must hold numbers, received dtype {array.dtype}{example}")


def all_finite(array: Array) -> bool:
    """Whether no entry is NaN or infinite."""
    if array.dtype.kind != "f":
        return True
    if array.size <= _FEW:
        return bool(np.isfinite(array).all())
    with np.errstate(all="ignore"):  # a finite sum has only finite terms; it needs no array of its own
        if np.isfinite(array.sum()):
            return True
        return all(bool(np.isfinite(piece).all()) for piece in _pieces(array))


def _pieces(array: Array) -> Iterator[Array]:
    """The rows in pieces that need little memory beside an array larger than it."""
    if array.ndim < 2 or array.size <= _PIECE:
        yield array
        return
    rows = max(_PIECE * len(array) // array.size, 1)
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def first_nonfinite(rows: Array) -> int:
    """The first row that holds NaN or infinity, where one does."""
    return int(np.argmin(np.isfinite(rows).reshape(len(rows), -1).all(axis=1)))


def finite(array: Array, argument: str) -> None:
    """DataError with the count and the first position of NaN and infinity."""
    if all_finite(array):
        return
    count = nan = begin = 0
    first: tuple[int, ...] = ()
    for piece in _pieces(array):
        bad = ~np.isfinite(piece)
        if not count and bad.any():
            place = [int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape)]
            first = (begin + place[0], *place[1:]) if place else ()
        count, nan = count + int(bad.sum()), nan + int(np.isnan(piece).sum())
        begin += len(piece) if piece.ndim else 0
    if not count:
        return
    what = " and ".join(
        text for number, text in ((nan, f"{nan:,} NaN"), (count - nan, f"{count - nan:,} infinite")) if number
    )
    raise DataError(
        f"{argument} has {what} among its {array.size:,} entries, the first at {_position(first)}: "
        "drop these samples or fill them in"
    )


def representable(array: Array, argument: str, dtype: Any, *, scaled: bool = False) -> None:
    """DataError where float64 numbers would become infinite in float32.  scaled: a preparation made them."""
    if (
        array.dtype.kind != "f"
        or array.dtype.itemsize <= 4
        or np.dtype(dtype) != np.float32
        or not array.size
    ):
        return
    largest = max(float(array.max()), -float(array.min()))
    if largest > float(np.finfo(np.float32).max):
        if scaled:
            row = int(np.unravel_index(int(abs(array).argmax()), array.shape)[0])
            raise DataError(
                f"sample {row} of {argument} is so far from the training data that float32 cannot hold it "
                "once it is scaled: look at its values, or leave it out"
            )
        raise DataError(
            f"{argument} holds {largest:g}, which float32 cannot: scale it, or write "
            f"Network(..., dtype='float64')"
        )


def _position(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]"
