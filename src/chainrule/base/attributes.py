"""Attributes that there are: on objects of chainrule's own others are refused when set, in modules answered.

A class of the user's keeps whatever it sets: what it means by it is its own affair.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from chainrule.base.shown import clipped


class Attributes:
    """Base of what refuses unknown public attributes."""

    _settable: ClassVar[set[str]] = set()  # of one class: those that have been looked up

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._settable = set()

    @classmethod
    def _elsewhere(cls) -> Mapping[str, str]:
        """What to write, by foreign name."""
        return {}

    def __setattr__(self, name: str, value: Any) -> None:
        # 0.1 µs an attribute: the names of a class are looked up once.
        if name not in self._settable:
            cls = type(self)
            if not _takes(cls, name):
                raise AttributeError(_refusal(cls, name), name=name, obj=self)
            cls._settable.add(name)
        object.__setattr__(self, name, value)


def _takes(cls: type[Any], name: str) -> bool:
    """Whether an instance may be given it: what the constructors take, what the class has or annotates."""
    if name.startswith("_") or cls.__module__.partition(".")[0] != "chainrule":
        return True
    held = inspect.getattr_static(cls, name, None)
    if isinstance(held, property):
        return held.fset is not None
    if name in _options(cls):
        return True
    if callable(held):  # a method that is replaced, but one that elsewhere is no method: network.loss = "mse"
        return name not in cls._elsewhere()
    return held is not None or any(name in inspect.get_annotations(base) for base in cls.__mro__)


def _options(cls: type[Any]) -> list[str]:
    """What the constructors of the class and its bases take."""
    made = [base.__dict__["__init__"] for base in cls.__mro__[:-1] if "__init__" in base.__dict__]
    names = [name for function in made for name in inspect.signature(function).parameters]
    return list(dict.fromkeys(name for name in names if name not in ("self", "args", "kwargs")))


def _refusal(cls: type[Any], name: str) -> str:
    from chainrule.base.foreign import answer

    kind = "a network" if cls.__name__ == "Network" else f"{cls.__name__}()"
    options = ", ".join(_options(cls)) or "none"
    said = answer(cls._elsewhere().get(name, ""))
    said = said or f"; its options are {options}, and a class of your own may keep others"
    return f"{kind} has no attribute {clipped(repr(name))} that could be set{said}"


def absent(module: str, name: str, names: Iterable[str]) -> AttributeError:
    """The error where a module of chainrule, chainrule.layers, has no such name among its `names`."""
    said = f"module {module!r} has no attribute {clipped(repr(name))}"
    if not name.startswith("__"):  # the import itself asks for __path__
        from chainrule.base.foreign import answer
        from chainrule.base.foreign.names import NAMES

        same = next((held for held in names if held.lower() == name.lower()), "")
        said += answer(NAMES.get(name, f"{module}.{same}" if same else ""))
    return AttributeError(said, name=name)
