"""What the page itself says: labels of its parts, in every language."""

from __future__ import annotations

from chainrule.base.languages import Say, same

READINGS: dict[str, Say] = {
    "general": Say("formula", "公式"),
    "sized": Say("this layer", "本层"),
    "definition": Say("with", "其中"),
    "shape": Say("shapes", "形状"),
    "boxed": Say("result", "结论"),
}
ELEMENT = Say("one element", "一个元素")
TERM, FACTORS, PRODUCT = Say("term", "项"), Say("factors", "因子"), Say("product", "乘积")
TERMS = Say("the {} terms", "全部 {} 项")
REST = Say("{} more terms", "其余 {} 项")
SUM = Say("sum", "和")
NUMBERS = Say("numbers", "数值")
OF_WHOLE = Say("{} × {} in all", "共 {} × {}")
STATS = (Say("min", "最小"), Say("mean", "平均"), Say("max", "最大"), same("‖·‖"))
LEFT_OUT = Say("{} more, smaller", "另有 {} 个较小的未画出")
ROW, COLUMN = Say("row", "行"), Say("column", "列")
LARGEST = Say("largest at ({}, {}): {}", "最大值在 ({}, {})：{}")
SMALLEST = Say("smallest at ({}, {}): {}", "最小值在 ({}, {})：{}")
MAP = Say("map {} × {}, from {} to {}", "{} × {} 的图，从 {} 到 {}")
SHOW_TABLE = Say("table", "表格")
SHOW_CARD = Say("shown on demand: a repeat of the step before it", "按需展开：与上一步相同")
CONTENTS = Say("Contents", "目录")
STEPS = Say("Steps", "步骤")
SKIP = Say("Skip to the report", "跳到正文")
LANGUAGE = Say("Language", "语言")
BOTH = Say("both", "双语")
NOTATION = Say("notation", "记号")
SAME_LAYER = Say("the same layer, other direction", "同一层，另一方向")
LEVELS: dict[str, Say] = {
    "good": Say("in order", "正常"),
    "note": Say("note", "提示"),
    "warning": Say("warning", "警告"),
    "bad": Say("wrong", "错误"),
}
GLYPHS = {"good": "✓", "note": "i", "warning": "!", "bad": "✕"}
CURE = Say("What to do", "怎么办")
BEFORE, AFTER = Say("step before", "上一步"), Say("step after", "下一步")


BUDGET = Say("To stay within {} this page leaves out: {}. ", "为不超过 {}，本页省略：{}。")
TOO_LARGE = Say(
    "It has {} all the same: formulas, worked elements and tables are never left out.",
    "但仍有 {}：公式、算例与表格从不省略。",
)


def filled(say: Say, *values: object) -> Say:
    """The text with its {} filled; a Say fills each language with its own."""
    english, chinese = (
        [getattr(value, language) if isinstance(value, Say) else value for value in values]
        for language in ("en", "zh")
    )
    return Say(say.en.format(*english), say.zh.format(*chinese))


def bytes_(size: int) -> str:
    """A size in print: 2 MB, 300 kB."""
    return f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
