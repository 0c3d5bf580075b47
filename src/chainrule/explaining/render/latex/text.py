"""Text as LaTeX: escaped, with the mathematics in it set as mathematics, in one language or in two.

English text leaves here as ASCII, so that pdflatex takes it with any input encoding; what has no LaTeX is
named by its code point.  Chinese stays as it is: its documents load ctex.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from chainrule.base.languages import COLON, Say, mark

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi", "π": "pi",
    "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega",
    "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi",
    "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_COMMANDS = {
    "∂": "partial", "∇": "nabla", "∑": "sum", "∏": "prod", "⊙": "odot", "•": "bullet", "·": "cdot",
    "×": "times", "∘": "circ", "→": "to", "←": "leftarrow", "↔": "leftrightarrow", "⇒": "Rightarrow",
    "↑": "uparrow", "↓": "downarrow", "≈": "approx", "≠": "neq", "≤": "le", "≥": "ge", "±": "pm",
    "∈": "in", "∉": "notin", "∞": "infty", "√": "surd", "⊤": "top", "⋯": "cdots", "…": "ldots",
    "⟨": "langle", "⟩": "rangle", "◇": "diamond", "≡": "equiv", "∝": "propto", "∀": "forall", "∼": "sim",
    "≪": "ll", "≫": "gg", "✓": "surd", "✗": "times", "♢": "diamond", "⊗": "otimes", "⊕": "oplus",
    "∗": "ast", "●": "bullet", "○": "circ",
}  # fmt: skip
MATH: dict[str, str] = {
    **{letter: rf"\{name} " for letter, name in (*_GREEK.items(), *_COMMANDS.items())},
    "−": "-", "‖": r"\|", "°": r"^{\circ}", "½": r"\tfrac{1}{2}", "𝟏": r"\mathbf{1}", "∥": r"\|",
}  # fmt: skip
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ˡᴸⁿⁱᵐᵀᵏᵗ", (*string.digits, "+", "-", "(", ")", *"lLnimTkt"), strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ᵢⱼₖₘₙ", (*string.digits, "+", "-", *"ijkmn"), strict=True))
_PRIMES = {"′": "'", "″": "''"}
_HAT = "\N{COMBINING CIRCUMFLEX ACCENT}"
_PLAIN = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_",
    "%": r"\%", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}", "`": r"\textasciigrave{}", "'": "'",
    "—": "---", "–": "--", "“": "``", "”": "''", "‘": "`", "’": "'", "§": r"\S{}",
    "⟦": "⟦", "⟧": "⟧",  # a place of a worksheet
    "\N{NO-BREAK SPACE}": "~", "\u200b": "", "\t": " ", "\n": " ", "\r": "",
}  # fmt: skip
CIRCLED = {chr(0x2460 + i): f"({i + 1})" for i in range(20)}
_FUNCTIONS = ("diag", "log", "exp", "tanh", "max", "min", "sin", "cos", "sign", "sum", "arg", "rot")
_CODE = re.compile(r"`([^`]+)`")
_TOKEN = re.compile(r"[^\s\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]+")
_SINGLE = re.compile(r"[b-zB-HJ-Z]'*$")
_INDEXED = re.compile(r"[A-Za-z]_([A-Za-z0-9]{1,3}|\{[A-Za-z0-9,;+-]*\})$")
_AROUND = re.compile(r"([(\[“\"'‘]*)(.*?)([.,;:!?”\"’'…]*)$", re.DOTALL)
_PIECE = re.compile(r"_\{[A-Za-z0-9,;+-]*\}|_[A-Za-z0-9]+|[A-Za-z]+|.", re.DOTALL)


def is_math(character: str) -> bool:
    """Whether the character belongs to mathematics and not to prose."""
    return character in MATH or character in _RAISED or character in _LOWERED or character in _PRIMES


def math(raw: str) -> str:
    """Text as the content of a formula: δ³_kj as \\delta^{3}_{kj}."""
    written, before = "", ""
    taken: set[str] = set()  # the scripts that the letter before has already: a second one is an error in TeX
    for piece in _PIECE.findall(raw):
        kind, body = _script(piece)
        tail = re.search(r"\{([^{}]*)\}$", written) if kind and kind == before else None
        if tail is not None:
            written = f"{written[: tail.start()]}{{{tail[1]}{body}}}"
        elif kind:
            written = written.rstrip() + ("{}" if kind in taken else "") + f"{kind}{{{body}}}"
            taken.add(kind)
        elif piece == _HAT:
            base = written.rstrip()
            written = rf"{base[:-1]}\hat{{{base[-1:]}}}"
        else:
            taken = {"^"} if piece in _PRIMES else set()
            written += _atom(piece)
        before = kind
    return written.rstrip() or "{}"


def _script(piece: str) -> tuple[str, str]:
    """("^" or "_", what stands there), or ("", "")."""
    if piece in _RAISED:
        return "^", _RAISED[piece]
    if piece in _LOWERED:
        return "_", _LOWERED[piece]
    if piece == "°":
        return "^", r"\circ"
    if len(piece) > 1 and piece[0] == "_":
        return "_", piece[1:].strip("{}")
    return "", ""


def _atom(piece: str) -> str:
    if piece in _PRIMES:
        return _PRIMES[piece]
    if piece in MATH:
        return MATH[piece]
    if piece in _FUNCTIONS:
        return rf"\operatorname{{{piece}}}"
    if piece.isascii() and piece.isalnum():
        return piece if len(piece) <= 2 else rf"\mathrm{{{piece}}}"
    if piece in '\\^~"`':
        return rf"\text{{{_PLAIN[piece]}}}"
    return {"<": "<", ">": ">", "|": "|"}.get(piece) or plain(piece, False)


def plain(raw: str, chinese: bool) -> str:
    """Text without mathematics, escaped, character by character."""
    return "".join(_character(character, chinese) for character in raw)


def _character(character: str, chinese: bool) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if " " <= character <= "~":
        return character
    if is_math(character):
        return f"${math(character)}$"
    if chinese:
        return character if character.isprintable() else ""
    if character in CIRCLED:
        return CIRCLED[character]
    return f"U+{ord(character):04X}" if character.isprintable() else ""


def code(raw: str, chinese: bool) -> str:
    """Source text on one line, its spaces kept; no ligatures are made of -- or <<."""
    escaped = plain(raw, chinese).replace("--", "-{}-").replace("  ", r"~\,~").replace(r"~\,~", "~~")
    return rf"\texttt{{{escaped}}}"


def text(raw: str, chinese: bool) -> str:
    """A sentence: `code` in backquotes as code, formulas in it as formulas."""
    pieces = _CODE.split(raw)
    return "".join((_quoted if at % 2 else _prose)(piece, chinese) for at, piece in enumerate(pieces))


def _quoted(raw: str, chinese: bool) -> str:
    return f"${math(raw)}$" if _mathematical(raw) else code(raw, chinese)


def _prose(raw: str, chinese: bool) -> str:
    written, end = "", 0
    for token in _TOKEN.finditer(raw):
        written += plain(raw[end : token.start()], chinese) + _token(token[0], chinese)
        end = token.end()
    return written + plain(raw[end:], chinese)


def _token(raw: str, chinese: bool) -> str:
    around = _AROUND.match(raw)
    assert around is not None  # it matches everything
    before, core, after = around.groups()
    while core.endswith((")", "]")) and not any(opening in core for opening in "(["):
        core, after = core[:-1], core[-1] + after
    if core and _mathematical(core):
        return plain(before, chinese) + f"${math(core)}$" + plain(after, chinese)
    return plain(raw, chinese)


def _mathematical(core: str) -> bool:
    """Whether a word is a formula: J, W_kj, ∂J/∂x; not e.g. `x_train` or 4→2-layer."""
    if _SINGLE.match(core) or _INDEXED.match(core):
        return True
    if not any(map(is_math, core)) or not all(
        is_math(character) or character == _HAT or character.isascii() for character in core
    ):
        return False
    words = re.findall(r"[A-Za-z]+", core)
    return all(len(word) <= 2 or word in _FUNCTIONS for word in words)


@dataclass(frozen=True)
class LatexVoice:
    """The language of a document: which of a text's languages are printed, and how."""

    language: str

    @property
    def colon(self) -> str:
        return mark(COLON, self.language)

    @property
    def chinese(self) -> bool:
        return "zh" in self.language

    def texts(self, say: Say) -> list[str]:
        """The text in each language of the document; once where they are the same."""
        if self.language == "en":
            return [text(say.en, False)]
        if self.language == "zh" or say.en == say.zh:
            return [text(say.zh, True)]
        return [text(say.en, True), text(say.zh, True)]

    def inline(self, say: Say | str) -> str:
        """On one line: a heading, a cell."""
        return text(say, self.chinese) if isinstance(say, str) else r"\enspace ".join(self.texts(say))
