"""Estimators: networks as scikit-learn's estimators, with its conventions and the library's own training.

In: tables of rows and targets, as scikit-learn takes them.  Out: fitted estimators, whose `network_` is the
network.
Knows: everything up to training.

scikit-learn is an extra (`pip install 'chainrule[estimators]'`); nothing of it is loaded before a class is
asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from chainrule.base.errors import MissingExtraError

if TYPE_CHECKING:
    from chainrule.estimators.multilayer import MLPClassifier as MLPClassifier
    from chainrule.estimators.multilayer import MLPRegressor as MLPRegressor
    from chainrule.estimators.networks import NetworkClassifier as NetworkClassifier
    from chainrule.estimators.networks import NetworkRegressor as NetworkRegressor
    from chainrule.estimators.tabular import TabularClassifier as TabularClassifier
    from chainrule.estimators.tabular import TabularRegressor as TabularRegressor

# Every public class and the module it is loaded from.
HOMES = {
    "MLPClassifier": "chainrule.estimators.multilayer",
    "MLPRegressor": "chainrule.estimators.multilayer",
    "NetworkClassifier": "chainrule.estimators.networks",
    "NetworkRegressor": "chainrule.estimators.networks",
    "TabularClassifier": "chainrule.estimators.tabular",
    "TabularRegressor": "chainrule.estimators.tabular",
}
__all__ = [*HOMES]

if find_spec("sklearn") is None:
    raise MissingExtraError("scikit-learn", "estimators", __name__)


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        from chainrule.base.attributes import absent

        raise absent(__name__, name, HOMES)
    value = globals()[name] = getattr(import_module(HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
