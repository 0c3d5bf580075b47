"""Preparation: how the inputs of a model were made, which belongs to the model and to its file.

In: frames and arrays as users have them.  Out: numbers as a network takes them, and plain JSON that says how.
Knows: the files beside it, and tables, whose dates and numbers are those of texts in frames.
"""

from chainrule.data.preparation.preparation import Preparation
from chainrule.data.preparation.scales import Numbers, Pixels, Standardizer

__all__ = ["Numbers", "Pixels", "Preparation", "Standardizer"]
