"""The card of a dense layer in the form z = Θ a, made of that with W and b: parts, elements, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.languages import say_json
from chainrule.explaining.blocks.worked import element_json
from chainrule.explaining.facts import pictures
from chainrule.explaining.facts.equations import equation_json
from chainrule.explaining.facts.pictures import EDGE
from chainrule.explaining.facts.shares import PENALTY
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
from chainrule.explaining.words.catalogues import ELEMENTS, THETA_FORM
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


def theta_card(card: CardRecord, layer: ThetaLayer, sources: Sources) -> CardRecord:
    """The card with Θ for W and b."""
    if "repeats" in card:
        return card
    gone = {f"{prefix}{name}" for prefix in ("", "d", "data d") for name in "Wb"}
    tensors = {name: id for name, id in card["tensors"].items() if name not in gone}
    tensors |= {"Θ": layer.id, TOTAL.name: f"gradient:{layer.id}", DATA.name: f"data gradient:{layer.id}"}
    pictures_ = (_picture(picture, layer, sources) for picture in card["pictures"])
    return {
        **card,
        "tensors": tensors,
        "forward": [_forward(part, layer, sources) for part in card["forward"]],
        "backward": list(_backward(card["backward"], layer, sources)),
        "pictures": [picture for picture in pictures_ if picture is not None],
    }


def _forward(part: PartRecord, layer: ThetaLayer, sources: Sources) -> PartRecord:
    worked: list[WorkedElement] = []
    for entry in part["worked"]:
        row, sample = entry["index"]
        element = at_sample(element_in_theta(entry["element"], layer.first), sample)
        worked.append({**entry, "element": _with_bias(element, row, sample, layer, sources)})
    equation = theta_equations(layer.bias)["forward"]
    return {**_renewed(part, layer, equation), "worked": worked}


def _with_bias(
    element: ElementRecord, row: int, sample: int, layer: ThetaLayer, sources: Sources
) -> ElementRecord:
    """A shortened sum of inputs with Θ_{i,0} a_0 in front, if that was among the terms left out."""
    b = decode(sources.before[f"{layer.name}.b"]) if layer.bias else None
    if b is None or not element.get("count") or _is_bias(element["of"][0]):
        return element
    value = float(b[row])
    terms = [bias_term(value, row, sample), *element["of"]]
    return {**element, "of": terms, "count": element["count"] - 1, "rest": float(element["rest"]) - value}


def _is_bias(term: ElementRecord) -> bool:
    return term["kind"] == "product" and any(part.get("name") == ONES for part in term["of"])


def _renewed(part: PartRecord, layer: ThetaLayer, equation: Equation) -> PartRecord:
    """A part with another equation, and the shape of Θ for those of W and b."""
    shapes = {name: shape for name, shape in part["shapes"].items() if name not in ("W", "b")}
    if "W" in part["shapes"]:
        units, inputs = part["shapes"]["W"]
        shapes["Θ"] = [units, inputs + layer.first]
    return {
        **part,
        **equation_json(equation),
        "why": theta_texts.said(part["why"], layer.bias),
        "shapes": shapes,
    }


def _backward(parts: list[PartRecord], layer: ThetaLayer, sources: Sources) -> Iterator[PartRecord]:
    """δ, D, and ∂J/∂Θ."""
    by_name = {part["part"]: part for part in parts}
    for part in parts:
        if part["part"] == "delta":
            yield _delta(part, layer)
        elif part["part"] == "W":
            data = _data(part, by_name.get("b"), layer)
            yield data
            yield _total(data, layer, sources)


def _delta(part: PartRecord, layer: ThetaLayer) -> PartRecord:
    trees = unpack(part["nodes"])
    left = trees[part["left"]]
    assert isinstance(left, Symbol)
    renewed = _renewed(part, layer, Equation(left, in_theta(trees[part["right"]], layer.bias)))
    if "general" in part:
        general = unpack(part["general"]["nodes"])[part["general"]["right"]]
        nodes, (root,) = pack([in_theta(general, layer.bias)])
        renewed["general"] = {"nodes": nodes, "right": root}
    renewed["worked"] = [
        {**entry, "element": element_in_theta(entry["element"], layer.first)} for entry in part["worked"]
    ]
    return renewed


def _data(W: PartRecord, b: PartRecord | None, layer: ThetaLayer) -> PartRecord:
    """D: the elements worked out of ∂J/∂W, and that of ∂J/∂b in column 0."""
    worked: list[WorkedElement] = [
        {
            **entry,
            "index": [entry["index"][0], entry["index"][1] + layer.first],
            "why": theta_texts.said(entry["why"], layer.bias),
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
                "why": say_json(ELEMENTS["of_bias"]),
            }
        )
    units, inputs = W["shapes"]["="]
    quantity = f"{'data ' if layer.penalised else ''}gradient:{layer.id}"
    equation = theta_equations(layer.bias)["Θ"]
    return {
        **W,
        **equation_json(equation),
        "part": "theta",
        "reference": "Tutorial FC ①② · Ning Yu · Dezeming 2.2.8, 3.1.2 · Matrix notes §6",
        "why": say_json(THETA_FORM["data.biased" if layer.bias else "data.unbiased"]),
        "shapes": {**W["shapes"], "=": [units, inputs + layer.first]},
        "quantity": quantity,
        "worked": worked,
    }


def _total(data: PartRecord, layer: ThetaLayer, sources: Sources) -> PartRecord:
    """∂J/∂Θ = D, and what the penalty adds to all columns but column 0."""
    equation = Equation(TOTAL, DATA)
    if layer.penalised and sources.penalty is not None:
        equation = with_penalty(sources.penalty, layer.bias)
    packed, said = equation_json(equation), THETA_FORM["no_penalty"]
    if layer.penalised:
        said = THETA_FORM["total.biased" if layer.bias else "total.unbiased"]
    return {
        "part": f"theta{PENALTY}",
        "reference": "Dezeming 3.1.3",
        "why": say_json(said),
        "nodes": packed["nodes"],
        "left": packed["left"],
        "right": packed["right"],
        "shapes": {},
        "ranges": {},
        "quantity": f"gradient:{layer.id}",
        "worked": list(_penalised(data, equation, layer, sources)),
    }


def _penalised(
    data: PartRecord, equation: Equation, layer: ThetaLayer, sources: Sources
) -> Iterator[WorkedElement]:
    """The elements of D once more, with the penalty's share; none where Θ is not in the document."""
    theta, gradient = (decode(sources.tensors[name]) for name in (layer.id, f"gradient:{layer.id}"))
    if not layer.penalised or theta is None or gradient is None:
        return
    bindings: dict[str, Any] = {"Θ": theta, **sources.constants, DATA.name: np.zeros_like(gradient)}
    bindings[DATA.name] = gradient - np.asarray(evaluate(equation.right, bindings))
    reader = Reader(bindings)
    for entry in data["worked"]:
        element = reader.element(equation.right, entry["index"])
        value = float(gradient[tuple(entry["index"])])
        why = entry["why"] if entry["index"][1] < layer.first else say_json(ELEMENTS["largest_of_all"])
        yield {**entry, "element": element_json(element), "value": value, "why": why}


# -- pictures ------------------------------------------------------------------------------------------------


def _picture(picture: PictureRecord, layer: ThetaLayer, sources: Sources) -> PictureRecord | None:
    """The picture of W or of its gradient as one of Θ; others as they are."""
    if picture["kind"] == "curve" or "marks" in picture:
        return picture
    kind, _, name = picture["quantity"].rpartition(":")
    if name != f"{layer.name}.W":
        return picture
    prefix = f"{kind}:" if kind else ""
    quantity = prefix + layer.id
    array = decode(sources.tensors[quantity])
    if array is not None:
        (made,) = pictures.of_parameter(array, quantity, picture["on"])
        return pictures.resolved(made, sources.tensors, {quantity: array})
    if not layer.bias:
        renamed = picture.copy()
        renamed["quantity"] = quantity
        return renamed
    b = decode(sources.before[f"{prefix}{layer.name}.b"])
    if b is None or picture["kind"] == "bars" or "values" not in picture:
        return None
    return _beside(picture, b, quantity, sources.tensors[quantity]["shape"])


def _beside(
    picture: MapsPicture | MatrixPicture, b: Any, quantity: str, shape: list[int]
) -> MapsPicture | MatrixPicture:
    """A picture that has its own numbers, with those of column 0 in front."""
    rows = picture["rows"] if picture["kind"] == "matrix" else range(shape[0])
    (values,) = picture["values"]
    column = pictures.rounded(b[list(rows)])
    lines = [[v, *line] for v, line in zip(column, values, strict=True)]
    if picture["kind"] != "matrix":
        return {**picture, "quantity": quantity, "values": [lines]}
    columns = [0, *(place + 1 for place in picture["columns"])]
    if len(columns) < shape[1]:  # as many in front of the gap as everywhere
        columns = [*columns[:EDGE], columns[-1]]
        lines = [[*line[:EDGE], line[-1]] for line in lines]
    return {**picture, "quantity": quantity, "columns": columns, "values": [lines]}
