"""scikit-learn's own tests of its multi-layer perceptrons hold on our classes: they are run from the
installed scikit-learn, with ours under the names that its module imports.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import sklearn.neural_network
from sklearn.neural_network import tests as theirs

from chainrule.estimators import MLPClassifier, MLPRegressor

FILE = Path(str(theirs.__file__)).with_name("test_mlp.py")


def module_with_ours() -> ModuleType:
    """Their file as a module of its own, to which `sklearn.neural_network` has given our classes."""
    spec = importlib.util.spec_from_file_location("test_mlp_of_scikit_learn", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sklearn.neural_network, "MLPClassifier", MLPClassifier)
        patched.setattr(sklearn.neural_network, "MLPRegressor", MLPRegressor)
        spec.loader.exec_module(module)
    return module


THEIRS = module_with_ours()
TESTS = {name: value for name, value in vars(THEIRS).items() if name.startswith("test_")}
globals().update(TESTS)
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def global_random_seed() -> int:
    """What scikit-learn's conftest gives."""
    return 42


def test_it_is_our_classes_that_they_test() -> None:
    assert THEIRS.MLPClassifier is MLPClassifier
    assert THEIRS.MLPRegressor is MLPRegressor
    assert len(TESTS) >= 37
