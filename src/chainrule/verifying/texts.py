"""What a verdict says, in English and Chinese: texts.toml, by what was found."""

from __future__ import annotations

from chainrule.base.languages import Catalogue

TEXTS = Catalogue("chainrule.verifying", "texts")
