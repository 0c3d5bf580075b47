"""The texts that a report cites: the name by which it does, author, title, link.

Their words are in sources.toml.  The software whose conventions are named (PyTorch, Keras, ...) is no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.base.languages import Catalogue, Say
from chainrule.formulas import notation_from

_TEXTS = Catalogue("chainrule.explaining.references", "sources")


@dataclass(frozen=True)
class Source:
    """A text.  name: as it is cited.  key: of its words.  notation: the one that is its own, "" for none;
    letters: of whom it has them.
    """

    name: str
    key: str
    link: str = ""
    notation: str = ""
    letters: str = ""

    @property
    def heading(self) -> str:
        """The name, and whose letters the text has."""
        return f"{self.name} ({self.letters})" if self.letters else self.name

    @property
    def entry(self) -> Say:
        """The text in a list of references."""
        link = f" {self.link}" if self.link else ""
        author, title, about = (_TEXTS[f"{self.key}.{part}"] for part in ("author", "title", "about"))
        return _TEXTS.say("entry", name=self.name, link=link, author=author, title=title, about=about)


# The five whose mathematics this is, in the order of their errata.
TUTORIALS = (
    Source("Tutorial", "tutorial", notation="tutorial"),
    Source("Ning Yu", "ning_yu", notation="ufldl", letters="UFLDL"),
    Source("Dezeming", "dezeming", "https://dezeming.top", notation="ng", letters="Ng"),
    Source("Wang", "wang", "https://blog.wj2015.com"),
    Source("Matrix notes", "matrix_notes", notation="matrix"),
)
SOURCES = (
    *TUTORIALS,
    Source("Nielsen", "nielsen", "http://neuralnetworksanddeeplearning.com/chap2.html", notation="nielsen"),
    Source("CS231n", "cs231n", "https://cs231n.github.io"),
    Source("deeplearning.ai", "deeplearning_ai", "https://www.deeplearning.ai"),
    Source("Ioffe, Szegedy 2015", "batch_normalization", "https://arxiv.org/abs/1502.03167"),
    Source("Srivastava 2014", "dropout", "https://jmlr.org/papers/v15/srivastava14a.html"),
    Source("Szegedy 2016", "label_smoothing", "https://arxiv.org/abs/1512.00567"),
)
OF_NOTATION = {source.notation: source for source in SOURCES if source.notation}


def cited(texts: Iterable[str]) -> tuple[Source, ...]:
    """The sources that are named in texts."""
    text = "\n".join(texts)
    return tuple(source for source in SOURCES if re.search(rf"(?<!\w){re.escape(source.name)}(?!\w)", text))


def with_present_names(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document in which the tutorials are S0 to S4, as they were before they had names."""

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        return {
            key: _named(inner) if key in ("reference", "source") and isinstance(inner, str) else walk(inner)
            for key, inner in value.items()
        }

    meta = document["meta"]
    slips = [{**slip, "reference": _named(slip["seed"])} for slip in document["slips"]]
    meta = {**meta, "notation": notation_from(meta["notation"]).name, "errata": False}
    return {**walk(dict(document)), "meta": meta, "slips": slips}


def _named(reference: str) -> str:
    return re.sub(r"\bS([0-4])\b", lambda match: TUTORIALS[int(match[1])].name, reference)
