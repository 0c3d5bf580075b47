"""What every estimator is: rows checked as scikit-learn checks them, a network that is trained by `fit`, and
predictions of it.

An estimator is an adapter: parameters, loss, optimizer and the steps are the library's own, and `network_`
can be explained, checked, saved like any other network.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.base.keywords import advice_on
from chainrule.base.types import Array
from chainrule.estimators.targets import Labels

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
        return validate_data(self, X, accept_sparse=FORMATS, dtype=(np.float64, np.float32), reset=reset)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class Answering:
    """Unknown parameters by set_params, which searches call, are answered as the constructor answers them."""

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name; the ValueError for one that there is not says what to write."""
        try:
            return super().set_params(**params)  # type: ignore[misc]
        except ValueError as error:
            known = self.get_params(deep=False)  # type: ignore[attr-defined]
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
