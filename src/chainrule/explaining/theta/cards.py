"""The card of a dense layer in the form z = Θ a, made of that with W and b: parts, elements, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.languages import say_json
from chainrule.explaining.blocks.worked import element_json
from chainrule.explaining.facts import choose, pictures
from chainrule.explaining.facts.equations import equation_json
from chainrule.explaining.facts.penalised import PART
from chainrule.explaining.facts.pictures import EDGE
from chainrule.explaining.facts.tensors import decode
from chainrule.explaining.schema import (
    CardRecord,
    ElementRecord,
    MapsPicture,
    MatrixPicture,
    PartRecord,
    PictureRecord,
    Tensor,
    WorkedElement,
)
from chainrule.explaining.theta.formulas import (
    DATA,
    TOTAL,
    at_sample,
    bias_gradient,
    bias_term,
    element_in_theta,
    in_theta,
    theta_equations,
    with_penalty,
)
from chainrule.explaining.words import theta as theta_texts
from chainrule.formulas import Equation, Expression, Symbol, evaluate
from chainrule.formulas.elements.entry_rules import ONES
from chainrule.formulas.elements.reader import Reader
from chainrule.formulas.exchange import pack, unpack


@dataclass(frozen=True)
class ThetaLayer:
    """A dense layer that is written with Θ.  penalised: whether a penalty is on its weights."""

    name: str
    bias: bool
    penalised: bool

    @property
    def id(self) -> str:
        """The tensor of Θ."""
        return f"{self.name}.Θ"

    @property
    def first(self) -> int:
        """The column of Θ in which the weights begin."""
        return int(self.bias)


@dataclass(frozen=True)
class Sources:
    """What cards are made of: the tensors before and after, and the penalty's gradient with its constants."""

    before: Mapping[str, Tensor]
    tensors: Mapping[str, Tensor]
    penalty: Expression | None
    constants: Mapping[str, float]


def theta_card(card: CardRecord, own: ThetaLayer, sources: Sources) -> CardRecord:
    """The card with Θ for W and b."""
    if "repeats" in card:
        return card
    gone = {f"{prefix}{name}" for prefix in ("", "d", "data d") for name in "Wb"}
    tensors = {name: id for name, id in card["tensors"].items() if name not in gone}
    tensors |= {"Θ": own.id, TOTAL.name: f"gradient:{own.id}", DATA.name: f"data gradient:{own.id}"}
    pictures_ = (_picture(one, own, sources) for one in card["pictures"])
    return {
        **card,
        "tensors": tensors,
        "forward": [_forward(one, own, sources) for one in card["forward"]],
        "backward": list(_backward(card["backward"], own, sources)),
        "pictures": [picture for picture in pictures_ if picture is not None],
    }


def _forward(one: PartRecord, own: ThetaLayer, sources: Sources) -> PartRecord:
    worked: list[WorkedElement] = []
    for entry in one["worked"]:
        row, sample = entry["index"]
        element = at_sample(element_in_theta(entry["element"], own.first), sample)
        worked.append({**entry, "element": _with_bias(element, row, sample, own, sources)})
    equation = theta_equations(own.bias)["forward"]
    return {**_renewed(one, own, equation), "worked": worked}


def _with_bias(
    element: ElementRecord, row: int, sample: int, own: ThetaLayer, sources: Sources
) -> ElementRecord:
    """A shortened sum of inputs with Θ_{i,0} a_0 in front, if that was among the terms left out."""
    b = decode(sources.before[f"{own.name}.b"]) if own.bias else None
    if b is None or not element.get("count") or _is_bias(element["of"][0]):
        return element
    value = float(b[row])
    terms = [bias_term(value, row, sample), *element["of"]]
    return {**element, "of": terms, "count": element["count"] - 1, "rest": float(element["rest"]) - value}


def _is_bias(term: ElementRecord) -> bool:
    return term["kind"] == "product" and any(part.get("name") == ONES for part in term["of"])


def _renewed(one: PartRecord, own: ThetaLayer, equation: Equation) -> PartRecord:
    """A part with another equation, and the shape of Θ for those of W and b."""
    shapes = {name: shape for name, shape in one["shapes"].items() if name not in ("W", "b")}
    if "W" in one["shapes"]:
        units, inputs = one["shapes"]["W"]
        shapes["Θ"] = [units, inputs + own.first]
    return {
        **one,
        **equation_json(equation),
        "why": theta_texts.said(one["why"], own.bias),
        "shapes": shapes,
    }


def _backward(parts: list[PartRecord], own: ThetaLayer, sources: Sources) -> Iterator[PartRecord]:
    """δ, D, and ∂J/∂Θ."""
    by_name = {one["part"]: one for one in parts}
    for one in parts:
        if one["part"] == "delta":
            yield _delta(one, own)
        elif one["part"] == "W":
            data = _data(one, by_name.get("b"), own)
            yield data
            yield _total(data, own, sources)


def _delta(one: PartRecord, own: ThetaLayer) -> PartRecord:
    trees = unpack(one["nodes"])
    left = trees[one["left"]]
    assert isinstance(left, Symbol)
    found = _renewed(one, own, Equation(left, in_theta(trees[one["right"]], own.bias)))
    if "general" in one:
        general = unpack(one["general"]["nodes"])[one["general"]["right"]]
        nodes, (root,) = pack([in_theta(general, own.bias)])
        found["general"] = {"nodes": nodes, "right": root}
    found["worked"] = [
        {**entry, "element": element_in_theta(entry["element"], own.first)} for entry in one["worked"]
    ]
    return found


def _data(W: PartRecord, b: PartRecord | None, own: ThetaLayer) -> PartRecord:
    """D: the elements worked out of ∂J/∂W, and that of ∂J/∂b in column 0."""
    worked: list[WorkedElement] = [
        {
            **entry,
            "index": [entry["index"][0], entry["index"][1] + own.first],
            "why": theta_texts.said(entry["why"], own.bias),
        }
        for entry in W["worked"]
    ]
    for entry in () if b is None else b["worked"]:
        index = [entry["index"][0], 0]
        worked.append(
            {
                **entry,
                "index": index,
                "element": bias_gradient(entry["element"]),
                "why": say_json(theta_texts.OF_BIAS),
            }
        )
    units, inputs = W["shapes"]["="]
    quantity = f"{'data ' if own.penalised else ''}gradient:{own.id}"
    equation = theta_equations(own.bias)["Θ"]
    return {
        **W,
        **equation_json(equation),
        "part": "theta",
        "reference": "S0 FC ①② · S1 · S2 2.2.8, 3.1.2 · S4 §6",
        "why": say_json(theta_texts.DATA if own.bias else theta_texts.DATA_UNBIASED),
        "shapes": {**W["shapes"], "=": [units, inputs + own.first]},
        "quantity": quantity,
        "worked": worked,
    }


def _total(data: PartRecord, own: ThetaLayer, sources: Sources) -> PartRecord:
    """∂J/∂Θ = D, and what the penalty adds to all columns but column 0."""
    equation = Equation(TOTAL, DATA)
    if own.penalised and sources.penalty is not None:
        equation = with_penalty(sources.penalty, own.bias)
    packed, said = equation_json(equation), theta_texts.NO_PENALTY
    if own.penalised:
        said = theta_texts.TOTAL if own.bias else theta_texts.TOTAL_UNBIASED
    return {
        "part": f"theta{PART}",
        "reference": "S2 3.1.3",
        "why": say_json(said),
        "nodes": packed["nodes"],
        "left": packed["left"],
        "right": packed["right"],
        "shapes": {},
        "ranges": {},
        "quantity": f"gradient:{own.id}",
        "worked": list(_penalised(data, equation, own, sources)),
    }


def _penalised(
    data: PartRecord, equation: Equation, own: ThetaLayer, sources: Sources
) -> Iterator[WorkedElement]:
    """The elements of D once more, with the penalty's share; none where Θ is not in the document."""
    theta, gradient = (decode(sources.tensors[name]) for name in (own.id, f"gradient:{own.id}"))
    if not own.penalised or theta is None or gradient is None:
        return
    bindings: dict[str, Any] = {"Θ": theta, **sources.constants, DATA.name: np.zeros_like(gradient)}
    bindings[DATA.name] = gradient - np.asarray(evaluate(equation.right, bindings))
    reader = Reader(bindings)
    for entry in data["worked"]:
        element = reader.element(equation.right, entry["index"])
        value = float(gradient[tuple(entry["index"])])
        why = entry["why"] if entry["index"][1] < own.first else say_json(choose.LARGEST_ENTRY)
        yield {**entry, "element": element_json(element), "value": value, "why": why}


# -- pictures ------------------------------------------------------------------------------------------------


def _picture(one: PictureRecord, own: ThetaLayer, sources: Sources) -> PictureRecord | None:
    """The picture of W or of its gradient as one of Θ; others as they are."""
    if one["kind"] == "curve" or "marks" in one:
        return one
    kind, _, name = one["quantity"].rpartition(":")
    if name != f"{own.name}.W":
        return one
    prefix = f"{kind}:" if kind else ""
    quantity = prefix + own.id
    array = decode(sources.tensors[quantity])
    if array is not None:
        (made,) = pictures.of_parameter(array, quantity, one["on"])
        return pictures.resolved(made, sources.tensors, {quantity: array})
    if not own.bias:
        renamed = one.copy()
        renamed["quantity"] = quantity
        return renamed
    b = decode(sources.before[f"{prefix}{own.name}.b"])
    if b is None or one["kind"] == "bars" or "values" not in one:
        return None
    return _beside(one, b, quantity, sources.tensors[quantity]["shape"])


def _beside(
    one: MapsPicture | MatrixPicture, b: Any, quantity: str, shape: list[int]
) -> MapsPicture | MatrixPicture:
    """A picture that has its own numbers, with those of column 0 in front."""
    rows = one["rows"] if one["kind"] == "matrix" else range(shape[0])
    (values,) = one["values"]
    column = pictures.rounded(b[list(rows)])
    lines = [[v, *line] for v, line in zip(column, values, strict=True)]
    if one["kind"] != "matrix":
        return {**one, "quantity": quantity, "values": [lines]}
    columns = [0, *(place + 1 for place in one["columns"])]
    if len(columns) < shape[1]:  # as many in front of the gap as everywhere
        columns = [*columns[:EDGE], columns[-1]]
        lines = [[*line[:EDGE], line[-1]] for line in lines]
    return {**one, "quantity": quantity, "columns": columns, "values": [lines]}
