"""How each primitive looks: one small function from a node to boxes, named in the primitive's own entry.

This module is loaded when a formula is first printed: to compute, nobody needs it.

Positions and features are pushed down to the letters, so that a window of X reads X_{i+m,j+n} and a sum over
features reads Σ_k a_k d_k.  Windows and kernels are laid out in window_layouts.
"""

from __future__ import annotations

import math
from dataclasses import replace

from chainrule.formulas.expression import Operation, Over, walk
from chainrule.formulas.printing.boxes import (
    BIG,
    HADAMARD,
    LETTER,
    POWER,
    PRODUCT,
    SLASH,
    SUM,
    Box,
    Cases,
    Fence,
    Hat,
    Numeral,
    Root,
    Row,
    Scripts,
    Sign,
    Tagged,
    Under,
    Word,
    bare,
    fenced,
    is_open,
    listed,
    phrase,
    row,
    tight,
)
from chainrule.formulas.printing.kinds import axes, is_image, is_scalar, is_thin
from chainrule.formulas.printing.numerals import number
from chainrule.formulas.printing.places import NOWHERE, At, Composing, layout, window_at

# -- arithmetic ----------------------------------------------------------------------------------------------


@layout
def add(c: Composing, node: Operation, at: At) -> Box:
    left, right = (c.box(operand, at) for operand in node.operands)
    return row(left, Sign("+"), Fence(right) if _starts_with_minus(right) else right, binds=SUM)


def _starts_with_minus(box: Box) -> bool:
    box = bare(box)
    return box == Sign("−") or (isinstance(box, Row) and _starts_with_minus(box.parts[0]))


@layout
def subtract(c: Composing, node: Operation, at: At) -> Box:
    left, right = (c.box(operand, at) for operand in node.operands)
    return row(left, Sign("−"), fenced(right, SLASH), binds=SUM)


@layout
def negative(c: Composing, node: Operation, at: At) -> Box:
    return tight(Sign("−"), fenced(c.box(node.operands[0], at), SLASH), binds=SUM)


def _factors(left: Box, right: Box, sign: Sign | None, binds: int) -> Box:
    """A product; a Σ may stand open as the last factor, not as the first."""

    def factor(box: Box) -> Box:
        if binds == HADAMARD and box.binding == PRODUCT:  # (W^T δ) ⊙ f': the tutorials leave these out
            return Fence(box)
        return fenced(box, binds)

    first = Fence(left) if is_open(left) else factor(left)
    last = right if right.binding == BIG else factor(right)
    if sign is None and _starts_with_numeral(last):
        sign = Sign("·")
    return row(first, *((sign,) if sign else ()), last, binds=binds)


def _starts_with_numeral(box: Box) -> bool:
    match bare(box):
        case Numeral(text):
            return text != "𝟏"
        case Row(parts):
            return _starts_with_numeral(parts[0])
        case Scripts(base):
            return _starts_with_numeral(base)
        case _:
            return False


@layout
def multiply(c: Composing, node: Operation, at: At) -> Box:
    left, right = (c.box(operand, at) for operand in node.operands)
    if at.feature is None and not any(map(is_scalar, node.operands)):
        return _factors(left, right, Sign(c.notation.hadamard), HADAMARD)
    return _factors(left, right, None, PRODUCT)


@layout
def matmul(c: Composing, node: Operation, at: At) -> Box:
    a, x = node.operands
    if at.feature is not None:
        return Scripts(Fence(matmul(c, node, replace(at, feature=None))), sub=at.feature)
    return _factors(c.box(a), c.box(x, at), None, PRODUCT)


@layout
def divide(c: Composing, node: Operation, at: At) -> Box:
    top, bottom = (c.box(operand, at) for operand in node.operands)
    return c.fraction(top, bottom)


@layout
def power(c: Composing, node: Operation, at: At) -> Box:
    if node.options["exponent"] == 0.5:
        return root(c, node, at)
    base = c.box(node.operands[0], at)
    return Scripts(fenced(base, LETTER + 1), sup=number(node.options["exponent"]), binds=POWER)


@layout
def raised(c: Composing, node: Operation, at: At) -> Box:
    base, exponent = (c.box(operand, at) for operand in node.operands)
    return Scripts(fenced(base, LETTER + 1), sup=exponent, binds=POWER)


@layout
def root(c: Composing, node: Operation, at: At) -> Box:
    return Root(c.box(node.operands[0], at))


# -- functions -----------------------------------------------------------------------------------------------


def call(name: Box, *arguments: Box) -> Box:
    return tight(name, Fence(listed(*arguments, spaced=True)))


@layout
def function(c: Composing, node: Operation, at: At, word: str) -> Box:
    """f(operand); further operands are shapes or conditions and stay silent."""
    return call(Word(word), c.box(node.operands[0], at))


@layout
def inverse_function(c: Composing, node: Operation, at: At, word: str) -> Box:
    return call(Scripts(Word(word), sup=phrase("−1")), c.box(node.operands[0], at))


@layout
def turned(c: Composing, node: Operation, at: At) -> Box:
    """turn(operand), or back."""
    turn = Word("turn")
    back = Scripts(turn, sup=phrase("−1")) if node.options.get("back") else turn
    return call(back, c.box(node.operands[0], at))


@layout
def permuted(c: Composing, node: Operation, at: At) -> Box:
    """perm_{2,0,1}(operand)."""
    order = listed(*(Numeral(str(axis)) for axis in node.options["order"]))
    return call(Scripts(Word("perm"), sub=order), c.box(node.operands[0], at))


@layout
def likelihood(c: Composing, node: Operation, at: At, word: str) -> Box:
    """word(y | a)."""
    a, labels = (c.box(operand, at) for operand in node.operands)
    head, _, name = word.rpartition(" ")
    made = call(Word(name), row(labels, Sign("|"), a))
    return row(Word(head), made) if head else made


@layout
def along(c: Composing, node: Operation, at: At) -> Box:
    """A(operand), and Aᵀ(operand) on the way back."""
    name = Scripts(Word("A"), sup=phrase("T")) if node.options.get("back") else Word("A")
    return call(name, c.box(node.operands[0], at))


@layout
def merged(c: Composing, node: Operation, at: At) -> Box:
    """vec_3(operand)."""
    return call(Scripts(Word("vec"), sub=Numeral(str(node.options["axes"]))), c.box(node.operands[0], at))


@layout
def near(c: Composing, node: Operation, at: At) -> Box:
    """near_{−2…2}(operand)."""
    reach = phrase(f"−{node.options['before']}…{node.options['after']}")
    return call(Scripts(Word("near"), sub=reach), c.box(node.operands[0], at))


@layout
def beside(c: Composing, node: Operation, at: At) -> Box:
    """(a ; b): one above the other."""
    upper, lower = (c.box(operand, at) for operand in node.operands)
    above = node.operands[0]
    if isinstance(above, Operation) and above.rule.name == "beside" and isinstance(upper, Fence):
        upper = upper.body
    return Fence(row(upper, Sign(";"), lower))


@layout
def interleave(c: Composing, node: Operation, at: At) -> Box:
    """(a, b): in turn."""
    return Fence(listed(*(c.box(operand, at) for operand in node.operands)))


@layout
def first_features(c: Composing, node: Operation, at: At) -> Box:
    """[δ]_a: the features of δ that belong to a."""
    whole, like = (c.box(operand, at) for operand in node.operands)
    return Scripts(Fence(whole, "[", "]"), sub=like)


@layout
def other_features(c: Composing, node: Operation, at: At) -> Box:
    """[δ]_{>a}: those behind them."""
    whole, like = (c.box(operand, at) for operand in node.operands)
    return Scripts(Fence(whole, "[", "]"), sub=tight(Sign(">"), like))


@layout
def gate(c: Composing, node: Operation, at: At) -> Box:
    """z_i"""
    return Scripts(fenced(c.box(node.operands[0], at), LETTER), sub=Word(node.options["gate"]))


@layout
def gate_place(c: Composing, node: Operation, at: At) -> Box:
    """[x]_i: x at gate i, zeros elsewhere."""
    return Scripts(Fence(c.box(node.operands[0], at), "[", "]"), sub=Word(node.options["gate"]))


def _numbers(node: Operation) -> Box:
    """Which features, counted from 1 as everywhere in print: 3:7, or 3."""
    first, last = node.options["start"] + 1, node.options["stop"]
    return Word(f"{first}" if first == last else f"{first}:{last}")


@layout
def features_between(c: Composing, node: Operation, at: At) -> Box:
    """x_{3:7}"""
    return Scripts(fenced(c.box(node.operands[0], at), LETTER), sub=_numbers(node))


@layout
def features_placed(c: Composing, node: Operation, at: At) -> Box:
    """[δ]_{3:7}: δ at these features, zeros elsewhere."""
    return Scripts(Fence(c.box(node.operands[0], at), "[", "]"), sub=_numbers(node))


@layout
def sum_steps(c: Composing, node: Operation, at: At) -> Box:
    """Σ_t x"""
    return sigma(Word("t"), c.box(node.operands[0], at))


@layout
def first_operand(c: Composing, node: Operation, at: At) -> Box:
    return c.box(node.operands[0], at)


@layout
def fit(c: Composing, node: Operation, at: At) -> Box:
    """Silent where nothing was broadcast."""
    x, like = node.operands
    return call(Word("sum"), c.box(x, at)) if is_thin(like) else c.box(x, at)


@layout
def exponential(c: Composing, node: Operation, at: At) -> Box:
    exponent = c.box(node.operands[0], at)
    return call(Word("exp"), exponent) if c.linear else Scripts(Word("e"), sup=exponent, binds=POWER)


@layout
def exponential_minus_one(c: Composing, node: Operation, at: At) -> Box:
    return row(exponential(c, node, at), Sign("−"), Numeral("1"), binds=SUM)


@layout
def log_one_plus(c: Composing, node: Operation, at: At) -> Box:
    return call(Word("log"), row(Numeral("1"), Sign("+"), fenced(c.box(node.operands[0], at), BIG)))


@layout
def product_with_log(c: Composing, node: Operation, at: At) -> Box:
    weight, x = (c.box(operand, at) for operand in node.operands)
    sign = None if at.feature is not None or is_scalar(node) else Sign(c.notation.hadamard)
    return _factors(weight, call(Word("log"), x), sign, HADAMARD if sign else PRODUCT)


@layout
def bars(c: Composing, node: Operation, at: At) -> Box:
    return Fence(c.box(node.operands[0], at), "|", "|")


@layout
def floor(c: Composing, node: Operation, at: At) -> Box:
    return Fence(c.box(node.operands[0], at), "⌊", "⌋")


@layout
def maximum(c: Composing, node: Operation, at: At) -> Box:
    return call(Word("max"), *(c.box(operand, at) for operand in node.operands))


@layout
def minimum(c: Composing, node: Operation, at: At) -> Box:
    return call(Word("min"), *(c.box(operand, at) for operand in node.operands))


@layout
def ones(c: Composing, node: Operation, at: At) -> Box:
    return Numeral("1")


@layout
def not_later(c: Composing, node: Operation, at: At) -> Box:
    return Fence(row(at.feature or Word("k"), Sign("≤"), Word("i")), "[", "]")


@layout
def seen_by(c: Composing, node: Operation, at: At) -> Box:
    """[i sees k]"""
    return Fence(row(Word("i"), Sign("→"), at.feature or Word("k")), "[", "]")


def _distance(at: At) -> tuple[Box, Box, Box]:
    return at.feature or Word("k"), Sign("−"), Word("i")


@layout
def sloped(c: Composing, node: Operation, at: At) -> Box:
    """slope |k − i|: m counts samples."""
    return _factors(Word("slope"), Fence(row(*_distance(at)), "|", "|"), None, PRODUCT)


@layout
def by_distance(c: Composing, node: Operation, at: At) -> Box:
    """P_{k−i}, P_{ρ(k−i)} by bucket, P_{ρ(i,k)} of pixels."""
    return Scripts(fenced(c.box(node.operands[0]), LETTER), sub=_number_of(node, at))


def _number_of(node: Operation, at: At) -> Box:
    """Which number a query and a key have."""
    if node.options["grid"] is not None:
        return call(Word("ρ"), row(Word("i"), Sign(","), at.feature or Word("k")))
    distance = row(*_distance(at))
    return call(Word("ρ"), distance) if node.options["logarithmic"] else distance


@layout
def sum_distances(c: Composing, node: Operation, at: At) -> Box:
    """sum_{k−i}(operand): over the pairs that have a number together."""
    return call(Scripts(Word("sum"), sub=_number_of(node, At())), c.box(node.operands[0], at))


@layout
def step_products(c: Composing, node: Operation, at: At) -> Box:
    a, b = (c.box(operand) for operand in node.operands)
    product = _factors(a, transposed(c, b), None, PRODUCT)
    return product if at.feature is None else Scripts(Fence(product), sub=at.feature)


@layout
def inside(c: Composing, node: Operation, at: At) -> Box:
    pixel_ = listed(*(at.position or window_at(node).position or ()))
    shown = Fence(pixel_) if axes(node) > 1 else pixel_
    return Fence(row(shown, Sign("∈"), c.box(node.operands[0])), "[", "]")


@layout
def zeros(c: Composing, node: Operation, at: At) -> Box:
    return Numeral("0")


def _comparison(c: Composing, node: Operation, at: At) -> Box:
    left, right = (c.box(operand, at) for operand in node.operands)
    return row(left, Sign(">"), right)


@layout
def greater(c: Composing, node: Operation, at: At) -> Box:
    return Fence(_comparison(c, node, at), "[", "]")


@layout
def cases(c: Composing, node: Operation, at: At) -> Box:
    condition, yes, no = node.operands
    plain = isinstance(condition, Operation) and condition.rule.name == "greater"
    shown = (
        _comparison(c, condition, at) if isinstance(condition, Operation) and plain else c.box(condition, at)
    )
    return Cases(((c.box(yes, at), shown), (c.box(no, at), None)))


# -- matrices and sums ---------------------------------------------------------------------------------------


@layout
def transpose(c: Composing, node: Operation, at: At) -> Box:
    return transposed(c, c.box(node.operands[0], at))


def transposed(c: Composing, box: Box) -> Box:
    """box^T; in a line of text a letter with superscripts is fenced first."""
    return Scripts(fenced(box, LETTER + 1 if c.linear else LETTER), sup=Sign("⊤"), binds=LETTER)


@layout
def hat(c: Composing, node: Operation, at: At) -> Box:
    """b-hat; the same at every position, so only the feature is pushed down."""
    box = c.box(node.operands[0], At(feature=at.feature))
    if isinstance(box, Tagged):
        return Tagged(_hatted(bare(box)), box.reference)
    return _hatted(box)


def _hatted(box: Box) -> Box:
    return replace(box, base=Hat(box.base)) if isinstance(box, Scripts) else Hat(box)


@layout
def without_bias(c: Composing, node: Operation, at: At) -> Box:
    """Θ_{j≥1}, column 0 left out; an entry of it is that of Θ."""
    box = c.box(node.operands[0], At(feature=at.feature))
    letter = bare(box)
    if at.feature is not None or not isinstance(letter, Scripts):
        return box
    shown = replace(letter, sub=phrase("j≥1"))
    return Tagged(shown, box.reference) if isinstance(box, Tagged) else shown


@layout
def with_zero_bias(c: Composing, node: Operation, at: At) -> Box:
    """What holds behind column 0, which is 0."""
    column = Word("j")
    return Cases(
        (
            (c.box(node.operands[0], at), row(column, Sign("≥"), Numeral("1"))),
            (Numeral("0"), row(column, Sign("="), Numeral("0"))),
        )
    )


@layout
def times_ones(c: Composing, node: Operation, at: At) -> Box:
    x = c.box(node.operands[0], at)
    x = x if x.binding == BIG else fenced(x, PRODUCT)  # (Σ δ) 1 = Σ (δ 1): no parentheses needed
    return row(x, Numeral("𝟏"), binds=PRODUCT)


def sigma(below: Box, body: Box, operator: str = "∑") -> Box:
    name: Box = Sign(operator) if operator == "∑" else Word(operator)
    return row(Under(name, below), body if body.binding == BIG else fenced(body, HADAMARD), binds=BIG)


@layout
def sum_positions(c: Composing, node: Operation, at: At) -> Box:
    x = node.operands[0]
    if not is_image(x):
        return c.box(x, at)
    here = window_at(x).position
    return sigma(listed(*(here or ())), c.box(x, replace(at, position=here)))


@layout
def max_positions(c: Composing, node: Operation, at: At) -> Box:
    x = node.operands[0]
    here = window_at(x).position
    return sigma(listed(*(here or ())), c.box(x, replace(at, position=here)), operator="max")


@layout
def first_position(c: Composing, node: Operation, at: At) -> Box:
    x = node.operands[0]
    here = window_at(x).position
    below = sigma(listed(*(here or ())), c.box(x, At(here)), operator="arg max")
    return Scripts(Numeral("𝟏"), sub=below, binds=LETTER)


@layout
def correlate(c: Composing, node: Operation, at: At) -> Box:
    here = window_at(node)
    a, b = (c.box(operand, here if is_image(operand) else NOWHERE) for operand in node.operands)
    product = _factors(a, transposed(c, b), None, PRODUCT)
    return sigma(listed(*(here.position or ())), product) if is_image(node.operands[0]) else product


def _feature(c: Composing, node: Operation, at: At) -> tuple[Box, Box]:
    """(index letter, the operand at this feature): k, or j inside of a sum over k."""
    letter = Word("j" if at.feature == Word("k") else "k")
    return letter, c.box(node.operands[0], replace(at, feature=letter))


@layout
def sum_features(c: Composing, node: Operation, at: At) -> Box:
    return sigma(*_feature(c, node, at))


@layout
def mean_features(c: Composing, node: Operation, at: At) -> Box:
    return _factors(c.fraction(Numeral("1"), Word("H")), sigma(*_feature(c, node, at)), None, PRODUCT)


@layout
def mean_samples(c: Composing, node: Operation, at: At) -> Box:
    """(1/N) x 1: over samples and, silently, positions."""
    return _factors(c.fraction(Numeral("1"), Word("N")), times_ones(c, node, at), None, PRODUCT)


@layout
def mean_groups(c: Composing, node: Operation, at: At) -> Box:
    """mean_g: over the positions and channels of a group."""
    return call(Scripts(Word("mean"), sub=Word("g")), c.box(node.operands[0], at))


@layout
def max_features(c: Composing, node: Operation, at: At) -> Box:
    return sigma(*_feature(c, node, at), operator="max")


@layout
def largest_feature(c: Composing, node: Operation, at: At) -> Box:
    return Scripts(Numeral("𝟏"), sub=sigma(*_feature(c, node, at), operator="arg max"), binds=LETTER)


@layout
def sum_outputs(c: Composing, node: Operation, at: At) -> Box:
    return sum_features(c, node, NOWHERE)


@layout
def sum_entries(c: Composing, node: Operation, at: At) -> Box:
    if any(isinstance(part, Operation) and part.rule.name == "without_bias" for _, part in walk(node)):
        return sigma(phrase("i,j≥1"), c.box(node.operands[0], At(feature=phrase("i,j"))))
    entry = phrase("j,k")
    return sigma(entry, c.box(node.operands[0], At(feature=entry)))


@layout
def per_feature(c: Composing, node: Operation, at: At) -> Box:
    """w-hat, or w_k: a number of its own for every feature."""
    letter = Word(node.options["letter"])
    return _hatted(letter) if at.feature is None else Scripts(letter, sub=at.feature)


@layout
def count(c: Composing, node: Operation, at: At, word: str) -> Box:
    base, _, sub = word.partition("_")
    return Scripts(Word(base), phrase(sub)) if sub else Word(base)


# -- reductions over index ranges ----------------------------------------------------------------------------


@layout
def sum_over(c: Composing, node: Over, at: At) -> Box:
    return sigma(c.indices(node), c.box(node.body, at))


@layout
def mean_over(c: Composing, node: Over, at: At) -> Box:
    letters = [Scripts(Word("k"), sub=Numeral(axis)) for axis in "123"[: len(node.ranges)]]
    k = row(*letters, binds=PRODUCT) if len(node.ranges) > 1 else Word("k")
    count = Numeral(str(math.prod(node.ranges))) if c.notation.sizes else k
    share = c.fraction(Numeral("1"), count)
    return _factors(share, sigma(c.indices(node), c.box(node.body, at)), None, PRODUCT)


@layout
def max_over(c: Composing, node: Over, at: At) -> Box:
    return sigma(c.indices(node), c.box(node.body, at), operator="max")


@layout
def argmax_over(c: Composing, node: Over, at: At) -> Box:
    return sigma(c.indices(node), c.box(node.body, at), operator="arg max")


@layout
def stack_over(c: Composing, node: Over, at: At) -> Box:
    return Scripts(Fence(c.box(node.body), "[", "]"), sub=c.indices(node), binds=LETTER)
