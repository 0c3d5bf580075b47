"""What every estimator is: rows checked as scikit-learn checks them, a network that is trained by `fit`, and
predictions of it.

An estimator is an adapter: parameters, loss, optimizer and the steps are the library's own, and `network_`
can be explained, checked, saved like any other network.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.base.errors import DataError, MissingExtraError, describe
from chainrule.base.keywords import advice_on
from chainrule.base.types import Array
from chainrule.data.frames import Frame, column_of, frame_of
from chainrule.estimators.targets import Labels

# In scikit-learn's errors on cells that are no finite numbers.
_NO_NUMBERS = ("convert", "promoted", "float()", "cast", "sequence", "infinity")
FORMATS = ("csr", "csc")  # of sparse rows, as scikit-learn's own networks take them


class Estimator(BaseEstimator):
    """Base of the estimators; a subclass says how rows become outputs."""

    @abstractmethod
    def _outputs(self, X: Any) -> Array:
        """What the network says of rows X, which have not been checked: (N, outputs)."""

    def _rows(self, X: Any, *, reset: bool = False) -> Any:
        """Rows (N, features), finite float32 or float64, or sparse; names and number of the features as those
        of the fit, which `reset` remembers. Raises ValueError and TypeError in scikit-learn's words.
        """
        return self._validated(X, reset=reset)

    def _validated(self, X: Any, *y: Any, **options: Any) -> Any:
        """What scikit-learn's `validate_data` returns; its errors end in what to write."""
        try:
            return validate_data(
                self, X, *y, accept_sparse=FORMATS, dtype=(np.float64, np.float32), **options
            )
        except (ValueError, TypeError) as error:
            whole = "TabularRegressor" if isinstance(self, RegressorMixin) else "TabularClassifier"
            said = _advice_on_rows(X, str(error), whole) or (_advice_on_labels(*y) if y else None)
            if said is None:
                raise
            text = f"{error}\n{said}"
            raise (TypeError(text) if isinstance(error, TypeError) else ValueError(text)) from error

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _advice_on_rows(X: Any, error: str, whole: str) -> str | None:
    """Which column of a table is no numbers, or lacks some, and what to do about it; None where the error is
    another. whole: the estimator that takes a table as it is.
    """
    lacking = "NaN" in error
    if sparse.issparse(X) or not (lacking or any(word in error for word in _NO_NUMBERS)):
        return None
    try:
        frame = frame_of(X, "X")
        if frame is None:
            cells = np.asarray(X) if isinstance(X, np.ndarray) else np.asarray(X, dtype=object)
            if cells.ndim != 2 or not cells.size:
                return None
            frame = Frame(tuple(column_of(str(place), part, "X") for place, part in enumerate(cells.T)))
    except (DataError, MissingExtraError) as odd:
        return f"{odd}" if isinstance(odd, DataError) else None
    except (ValueError, TypeError):
        return None
    take = f"or take chainrule.estimators.{whole}, which takes a table as it is"
    for column in frame.columns:
        of = f"the column '{column.name}' of X"
        if lacking and column.missing.any():
            count, row = int(column.missing.sum()), int(column.missing.argmax())
            fill = "fill them, make_pipeline(SimpleImputer(), ...)"
            return f"{of} has {count:,} missing values, the first in row {row}: {fill}, {take}"
        if not lacking and column.kind == "date":
            return f"{of} holds dates: write the days since one of them, {take}"
        texts = column.values[~column.missing] if not lacking and column.kind == "text" else ()
        text = next((text for text in texts if not _reads_as_number(text)), None)
        if text is not None:
            encode = "encode it, with OneHotEncoder() in a ColumnTransformer"
            return f"{of} holds texts, such as {describe(text)}: {encode}, {take}"
    return None


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _advice_on_labels(y: Any) -> str | None:
    """What to write for lists of several labels each."""
    if not isinstance(y, (list, tuple)) or not y or not isinstance(y[0], (list, tuple, set)):
        return None
    if len({len(labels) for labels in y}) == 1:
        return None
    return "y holds lists of labels: write MultiLabelBinarizer().fit_transform(y), of sklearn.preprocessing"


def _replaced(head: str, held: Any, options: Mapping[str, Any]) -> Any:
    """An object with other options; ValueError, with those there are, for one it has not."""
    known = [field.name for field in fields(held) if field.init]
    for option in options:
        if option not in known:
            raise ValueError(f"Invalid parameter {head}__{option}: {held!r} has {', '.join(known)}")
    return replace(held, **options)


class Answering:
    """Unknown parameters by set_params, which searches call, are answered as the constructor answers them,
    and so are attributes by the names of other libraries.
    """

    def __getattr__(self, name: str) -> Any:
        cls = type(self)
        if hasattr(cls, name):  # a method that is there for other options alone: why not, in one sentence
            try:
                return object.__getattribute__(self, name)
            except AttributeError as error:
                why = error.__cause__
                said = f"{error}" if why is None else f"{error}: {why}"
                raise AttributeError(said, name=name, obj=self) from why
        said = f"{cls.__name__!r} object has no attribute {name!r}"
        if not name.startswith("_"):
            from chainrule.base.foreign import answer
            from chainrule.base.foreign.attributes import ESTIMATOR

            unfitted = name.endswith("_") and "network_" not in self.__dict__
            said += answer("model.fit(X, y) first" if unfitted else ESTIMATOR.get(name, ""))
        raise AttributeError(said, name=name, obj=self)

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name, `solver__rate` those of an object such as SGD(0.1); the ValueError for one
        that there is not says what to write.
        """
        parts: dict[str, dict[str, Any]] = {}
        for name in [*params]:
            head, of, option = name.partition("__")
            held = params.get(head, self.__dict__.get(head)) if of else None
            if held is None or isinstance(held, BaseEstimator):
                continue
            if not is_dataclass(held) or isinstance(held, type):
                raise ValueError(
                    f"Invalid parameter {name!r}: {head}={held!r} has none of its own; write {head}= itself"
                )
            parts.setdefault(head, {})[option] = params.pop(name)
        try:
            super().set_params(**params)  # type: ignore[misc]
            for head, options in parts.items():
                setattr(self, head, _replaced(head, getattr(self, head), options))
            return self
        except ValueError as error:
            known = self.get_params(deep=False)
            unknown = next((name for name in params if name.partition("__")[0] not in known), None)
            said = "" if unknown is None else advice_on(type(self), unknown, params[unknown], known)
            if not said:
                raise
            raise ValueError(f"{str(error).removesuffix('.')}{said}") from None


class Classifier(ClassifierMixin, Estimator):
    """Labels from outputs."""

    _labels: Labels

    def predict(self, X: Any) -> Any:
        """The label of every row (N,), of several labels rows of 0 and 1."""
        check_is_fitted(self)
        labels = self._decode(self._outputs(X))
        return sparse.csr_matrix(labels) if self._labels.sparse else labels

    def _decode(self, outputs: Array) -> Any:
        """Labels from outputs of the network."""
        return self._labels.decode(outputs)

    def predict_proba(self, X: Any) -> Array:
        """The probability of every class, (N, classes) in the order of `classes_`."""
        check_is_fitted(self)
        return self._labels.probabilities(self._outputs(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Their logarithms."""
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(probabilities, out=probabilities))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class Regressor(RegressorMixin, Estimator):
    """Numbers from outputs."""

    def predict(self, X: Any) -> Array:
        """(N,), of several targets (N, targets)."""
        check_is_fitted(self)
        return self._decode(self._outputs(X))

    def _decode(self, outputs: Array) -> Array:
        """Numbers from outputs of the network."""
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
