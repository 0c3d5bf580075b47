"""Arguments by the names of PyTorch, Keras, Flax and scikit-learn: what stands for them here, class by class.

In: the name of a class and an argument.  Out: what to write here, or that there is none.
Knows: nothing.

Every text completes an error. "no ..." says that there is none of it here; any other completes "write ...".
Where the value decides what is right (a flag that is off, a default of ours) the advice is a ByValue.
An advice that names an argument names one that the class has: tests/test_foreign.py follows all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.base.foreign.layers import LAYERS
from chainrule.base.foreign.training import TRAINING
from chainrule.base.foreign.words import Advice

WORDS: dict[str, dict[str, Advice]] = {**LAYERS, **TRAINING}
# All of them: words with a meaning elsewhere, whose spelling is no slip of the pen.
KNOWN = frozenset(word for words in WORDS.values() for word in words)


def advice_for(names: Iterable[str]) -> dict[str, Advice]:
    """What to write by foreign word, of a class by the names of its bases, nearest first."""
    return next((WORDS[name] for name in names if name in WORDS), {})


def answer(advice: str) -> str:
    """What completes the error; "" where there is no advice."""
    if not advice:
        return ""
    return f"; there is {advice}" if advice.startswith("no ") else f"; write {advice}"
