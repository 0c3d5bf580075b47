"""The encoding of a text: UTF-8, a mark at its beginning, UTF-16 by its NUL bytes, else charset-normalizer.

Its answers were tried on tables of names in eleven encodings: right for Chinese, Japanese and Korean, wrong
among those of one byte a letter (Tromsø as Tromsř, Gdańsk as Gdañsk).  Of these only cp1252 is taken, where
nothing speaks against it; the rest is a question.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from chainrule.base.errors import FileError, MissingExtraError
from chainrule.base.shown import quoted

SAMPLE = 2**17  # bytes that charset-normalizer sees: 20 ms
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
# What charset-normalizer calls by a part's name, by the whole's.
WHOLE = {
    **dict.fromkeys(("gb2312", "gbk", "hz", "gb18030"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift_jis_2004", "shift_jisx0213", "cp932"), "cp932"),
    **dict.fromkeys(("euc_jp", "euc_jis_2004", "euc_jisx0213"), "euc_jp"),
    **dict.fromkeys(("euc_kr", "cp949", "johab"), "cp949"),
    **dict.fromkeys(("big5", "big5hkscs", "cp950"), "big5hkscs"),
}
OFTEN = ("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "gb18030", "cp932", "mac_roman")
# In cp1252 a sign within a word: as Gdañsk, of Łódź comes £ód.
SIGN_IN_WORD = re.compile("[A-Za-zÀ-ÖØ-öø-ÿ][\x80-\x9f¡-©«-´¶-¹»-¿×÷]|[\x80-\x9f¡-©«¬®¯²-´¶-¹»-¿×÷][A-Za-zÀ-ÖØ-öø-ÿ]")


def text_of(path: Path, data: bytes, encoding: str | None) -> tuple[str, str, str | None]:
    """The text with \\n at the end of its lines, the encoding's name, and a remark where it was guessed.

    Raises FileError that names --encoding where the bytes do not tell.
    """
    text, name, remark = _decoded(path, data, encoding)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise FileError(f"{path}, line {line}: not a text file, it holds a NUL byte")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, name, remark


def _decoded(path: Path, data: bytes, encoding: str | None) -> tuple[str, str, str | None]:
    for mark, codec, name in MARKS:
        if data.startswith(mark) and (encoding is None or codec == "utf-8-sig"):
            try:
                return data.decode(codec), name, None
            except UnicodeDecodeError as error:
                raise FileError(f"{path}: not a text file in {name}, which its first bytes say"
                                f" ({error.reason})") from None
    if encoding is not None:
        return _told(path, data, encoding), encoding, None
    try:
        return data.decode("utf-8"), "UTF-8", None
    except UnicodeDecodeError as error:
        failure = error
    wide = _wide(data)
    if wide:
        return data.decode(wide), wide.upper(), "UTF-16 without a mark: --encoding says otherwise"
    return _guessed(path, data, failure)


def _told(path: Path, data: bytes, encoding: str) -> str:
    try:
        if not codecs.lookup(encoding)._is_text_encoding:
            raise LookupError
        return data.decode(encoding)
    except (LookupError, ValueError) as error:
        if not isinstance(error, UnicodeDecodeError):
            raise FileError(
                f"the encoding {encoding!r} is not known: write one such as utf-8, cp1252, gb18030 or cp932"
            ) from None
        line = data.count(b"\n", 0, error.start) + 1
        raise FileError(
            f"{path}, line {line}: not a text file in {encoding} (byte 0x{data[error.start]:02x})"
        ) from None


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: half of the bytes of plain letters are 0."""
    sample = data[: 2**16 // 2 * 2]
    if len(data) % 2 or len(data) < 8:
        return None
    for codec, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[0::2])):
        if zeros.count(0) > 0.4 * len(zeros):
            try:
                data.decode(codec)
            except UnicodeDecodeError:
                continue
            return codec
    return None


def _guessed(path: Path, data: bytes, failure: UnicodeDecodeError) -> tuple[str, str, str | None]:
    try:
        import charset_normalizer
    except ImportError:
        raise MissingExtraError(
            "charset-normalizer",
            "tables",
            f"{path}: not a text file in UTF-8 (byte 0x{data[failure.start]:02x}); say which: "
            f"--encoding cp1252, or encoding='cp1252'; a guess",
        ) from None
    # The lines that are not ASCII are those that tell.
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    sample = b"\n".join(lines)[:SAMPLE]
    best = charset_normalizer.from_bytes(sample).best()
    guess = "" if best is None else WHOLE.get(best.encoding, best.encoding)
    if best is not None and guess in WHOLE.values() and best.chaos == 0 and _letters(sample, guess):
        text = _try(data, guess)
        if text is not None:
            return text, guess, f"the encoding is a guess, {guess}: --encoding says otherwise"
    western = _try(data, "cp1252")
    same = western is not None and (guess == "cp1252" or _try(sample, guess) == _try(sample, "cp1252"))
    if western is not None and same and not SIGN_IN_WORD.search("\n".join(_words(western))):
        return western, "cp1252", "the encoding is a guess, cp1252: --encoding says otherwise"
    raise FileError(
        f"{path}, line {data.count(bytes([10]), 0, failure.start) + 1}: not a text file in UTF-8 "
        f"(byte 0x{data[failure.start]:02x}), and which encoding it is in cannot be told: "
        f"{_readings(lines[0], guess)}"
    )


def _letters(sample: bytes, codec: str) -> bool:
    """Whether what is not ASCII comes out as signs of the language, at least two side by side.

    Text of one byte a letter that happens to be a valid double byte has single signs within Latin words.
    """
    text = _try(sample, codec) or ""
    return not re.search("[A-Za-z][^\x00-\u2fff]|[^\x00-\u2fff][a-z]", text) and not re.search(
        "[\ue000-\uf8ff\ufffd]", text
    )


def _words(text: str) -> list[str]:
    return [line for line in text.split("\n") if not line.isascii()]


def _try(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec) if codec else None
    except (UnicodeDecodeError, LookupError):
        return None


def _readings(line: bytes, guess: str) -> str:
    """How a line reads in the encodings in question: whoever knows the words sees which is right."""
    start = max(0, next((i for i, byte in enumerate(line) if byte > 127), 0) - 20)
    shown = []
    for codec in dict.fromkeys((guess, *OFTEN)):
        text = _try(line, codec)
        if text is not None and text.isprintable():
            shown.append(f"--encoding {codec} reads '{quoted(text[start : start + 40], 60)}'")
    return "; ".join(shown[:4]) or "write --encoding NAME, or encoding=NAME"
