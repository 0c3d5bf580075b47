"""What the page itself says: labels of its parts, in every language."""

from __future__ import annotations

from chainrule.explaining.blocks import Say, same

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
SUM = Say("sum", "和")
NUMBERS = Say("numbers", "数值")
OF_WHOLE = Say("{} × {} in all", "共 {} × {}")
STATS = (Say("min", "最小"), Say("max", "最大"), Say("mean", "平均"), same("‖·‖"))
LEFT_OUT = Say("{} more, smaller", "另有 {} 个较小的未画出")
ROW, COLUMN = Say("row", "行"), Say("column", "列")
LARGEST = Say("largest at ({}, {}): {}", "最大值在 ({}, {})：{}")
SMALLEST = Say("smallest at ({}, {}): {}", "最小值在 ({}, {})：{}")
MAP = Say("map {} × {}, from {} to {}", "{} × {} 的图，从 {} 到 {}")
VALUE = Say("value", "值")
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


def filled(say: Say, *values: object) -> Say:
    """The text with its {} filled."""
    return Say(say.en.format(*values), say.zh.format(*values))
