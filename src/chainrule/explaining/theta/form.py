"""A document in the form of Dezeming: of every dense layer one Θ = [b, W] instead of W and b.

`theta_form(document)` is the document with the tensors "dense1.Θ" and "gradient:dense1.Θ", with formulas of
Θ and elements worked out of it, so that whoever reads a document, the page's engine too, computes with Θ.
Dense layers on vectors have a Θ, one without a bias is W itself; what the text has no form for
(convolutions, norms, recurrences, a dense layer over steps) keeps its letters.  Units count from 1, since 0
is the bias unit: a tensor says where its indices begin ("origin").  What was replaced stays under "apart",
and `plain_form` gives it back.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast

import numpy as np

from chainrule.explaining.facts.equations import equation_json, recursion
from chainrule.explaining.facts.tensors import decode, encode
from chainrule.explaining.facts.traced import packed
from chainrule.explaining.schema import (
    BoxRecord,
    CheckRecord,
    Document,
    LayerRecord,
    LossCard,
    NoCheck,
    PackedTrees,
    PenaltyFormula,
    PenaltyPart,
    Tensor,
    UpdateCard,
    without,
)
from chainrule.explaining.theta.cards import Sources, ThetaLayer, theta_card
from chainrule.explaining.theta.formulas import (
    DATA,
    THETA,
    TOTAL,
    in_general,
    in_theta,
    is_recursion,
    penalty_gradient,
    plain_equations,
    theta_equations,
    with_penalty,
)
from chainrule.explaining.theta.outline import all_layers
from chainrule.explaining.words import theta as theta_texts
from chainrule.formulas import Equation, Expression, Symbol
from chainrule.formulas.exchange import plain, unpack
from chainrule.formulas.printing.notation import Notation

_BIND = Symbol("W", THETA.role)  # Θ in the formulas of a penalty, which are bound by the name W
T = TypeVar("T")


def in_form_of(document: Document, notation: Notation) -> Document:
    """The document in the form that a notation is written in."""
    return theta_form(document) if notation.bias_column else plain_form(document)


def plain_form(document: Document) -> Document:
    """The document with W and b."""
    if "theta" not in document:
        return document
    apart, made = document["apart"], {name for layer in _layers(document) for name in _ids(layer)}
    tensors = {
        name: without(tensor, "origin") for name, tensor in document["tensors"].items() if name not in made
    }
    cards = [apart["cards"].get(card["layer"], card) for card in document["cards"]]
    parts: Document = {**without(document, "theta", "apart"), **apart["parts"]}
    return {**parts, "tensors": {**tensors, **apart["tensors"]}, "cards": cards}


def theta_form(document: Document) -> Document:
    """The document with Θ; as it is where no layer has one, and where it has this form already."""
    layers = [] if "theta" in document else theta_layers(document)
    if not layers:
        return document
    old = document["tensors"]
    tensors = _tensors(old, layers)
    names = {layer.name for layer in layers}
    penalty = document["penalty"]
    formulas = penalty["formulas"] if penalty else None
    gradient = None if formulas is None else _tree(formulas, "gradient")
    constants = {name: float(v) for name, v in (penalty["constants"] if penalty else {}).items()}
    sources = Sources(old, tensors, gradient, constants)
    by_name = {layer.name: layer for layer in layers}
    cards = [
        theta_card(card, by_name[card["layer"]], sources) if card["layer"] in names else card
        for card in document["cards"]
    ]
    changed: Document = {
        **document,
        "theta": [
            {"layer": layer.name, "bias": layer.bias, "penalised": layer.penalised} for layer in layers
        ],
        "tensors": tensors,
        "cards": cards,
        "graph": {
            **document["graph"],
            "layers": [_layer(layer, by_name) for layer in document["graph"]["layers"]],
        },
        "penalty": _penalty(document["penalty"], layers),
        "boxes": [_box(box, document["penalty"]) for box in document["boxes"]],
        "conventions": [theta_texts.convention(convention) for convention in document["conventions"]],
        "loss_card": _loss_card(document["loss_card"], tensors),
        "update": _update(document, layers),
        "check": _check(document["check"], layers, tensors),
        "flow": _renamed(document["flow"], layers),
        "findings": _renamed(document["findings"], layers),
        "apart": {
            "parts": {
                "graph": document["graph"],
                "penalty": document["penalty"],
                "boxes": document["boxes"],
                "conventions": document["conventions"],
                "loss_card": document["loss_card"],
                "update": document["update"],
                "check": document["check"],
                "flow": document["flow"],
                "findings": document["findings"],
            },
            "tensors": {name: tensor for name, tensor in old.items() if name not in tensors},
            "cards": {card["layer"]: card for card in document["cards"] if card["layer"] in names},
        },
    }
    changed["tensors"] = _numbered(changed)
    return changed


def _layers(document: Document) -> list[ThetaLayer]:
    """The layers of a document that have a Θ."""
    return [
        ThetaLayer(record["layer"], record["bias"], record["penalised"])
        for record in document.get("theta", ())
    ]


def _ids(layer: ThetaLayer) -> tuple[str, str]:
    return layer.id, f"gradient:{layer.id}"


# -- which layers --------------------------------------------------------------------------------------------


def theta_layers(document: Document) -> list[ThetaLayer]:
    """The layers of a document, in either form, that have a Θ."""
    if "theta" in document:
        return _layers(document)
    penalty = document["penalty"]
    found = list(_dense(document["graph"]["layers"], set(penalty["on"] if penalty else ())))
    held = (layer["parameters"].values() for layer in all_layers(document["graph"]["layers"]))
    uses = Counter(itertools.chain.from_iterable(held))  # one W of several layers has no Θ of each
    return [layer for layer in found if uses[f"{layer.name}.W"] == 1]


def _dense(layers: list[LayerRecord], on: set[str]) -> Iterator[ThetaLayer]:
    """The layers whose formulas are those of a dense one, on vectors."""
    for layer in layers:
        for branch in layer.get("branches", ()):
            yield from _dense(branch, on)
        for bias in (True, False):
            if len(layer["input_shape"]) == 1 and _is_dense(layer, bias):
                yield ThetaLayer(layer["name"], bias, f"{layer['name']}.W" in on)


def _is_dense(layer: LayerRecord, bias: bool) -> bool:
    parameters = ["W", "b"] if bias else ["W"]
    if layer["formulas"] is None or layer["kind"] != "leaf" or sorted(layer["parameters"]) != parameters:
        return False
    if sorted(layer["learned"]) != parameters:
        return False
    expected = _plain_trees(bias)
    if set(layer["formulas"]["roots"]) != set(expected):
        return False
    trees = unpack(layer["formulas"]["nodes"])
    return all(trees[root] == expected[name] for name, root in layer["formulas"]["roots"].items())


@cache
def _plain_trees(bias: bool) -> dict[str, Expression]:
    """The trees of a dense layer by the names of a document."""
    return {
        name if name in ("forward", "delta") else f"gradient:{name}": equation.right
        for name, equation in plain_equations(bias).items()
    }


def _tree(formulas: PackedTrees, root: str) -> Expression:
    number: int = formulas["roots"][root]
    return unpack(formulas["nodes"])[number]


# -- what computes -------------------------------------------------------------------------------------------


def _tensors(old: Mapping[str, Tensor], layers: list[ThetaLayer]) -> dict[str, Tensor]:
    """The tensors with Θ and its gradient for those of W and b."""
    gone = {f"{prefix}{layer.name}.{key}" for layer in layers for prefix in ("", "gradient:") for key in "Wb"}
    tensors = {name: tensor for name, tensor in old.items() if name not in gone}
    for layer in layers:
        for prefix in ("", "gradient:"):
            W, b = (old.get(f"{prefix}{layer.name}.{key}") for key in "Wb")
            if W is not None:
                tensors[prefix + layer.id] = W if b is None else _joined(b, W)
    return tensors


def _joined(b: Tensor, W: Tensor) -> Tensor:
    """The tensor [b, W]; without numbers where one of the two has none."""
    first, rest = decode(b), decode(W)
    if first is not None and rest is not None:
        return encode(np.column_stack([first, rest]))
    units, inputs = W["shape"]
    of_b, of_W = b["stats"], W["stats"]
    return {
        "shape": [units, inputs + 1],
        "dtype": "float32" if b["dtype"] == W["dtype"] == "float32" else "float64",
        "stats": {
            "min": plain(min(float(of_b["min"]), float(of_W["min"]))),
            "mean": plain((float(of_b["mean"]) + inputs * float(of_W["mean"])) / (1 + inputs)),
            "max": plain(max(float(of_b["max"]), float(of_W["max"]))),
            "norm": plain(math.hypot(float(of_b["norm"]), float(of_W["norm"]))),
        },
    }


def _layer(layer: LayerRecord, by_name: Mapping[str, ThetaLayer]) -> LayerRecord:
    record = layer.copy()
    if "branches" in layer:
        record["branches"] = [[_layer(inner, by_name) for inner in branch] for branch in layer["branches"]]
    theta_layer = by_name.get(layer["name"])
    if theta_layer is None:
        return record
    equations = theta_equations(theta_layer.bias)
    names = {"forward": "forward", "delta": "delta", "Θ": "gradient:Θ"}
    formulas = packed({names[name]: equation.right for name, equation in equations.items()})
    return {**record, "parameters": {"Θ": theta_layer.id}, "learned": ["Θ"], "formulas": formulas}


def _penalty(penalty: PenaltyPart | None, layers: list[ThetaLayer]) -> PenaltyPart | None:
    """The penalty with formulas of their own for matrices with a column 0, which it leaves out."""
    if penalty is None or penalty["formulas"] is None:
        return penalty
    renamed = {f"{layer.name}.W": layer.id for layer in layers}
    value, gradient = (_tree(penalty["formulas"], root) for root in ("value", "gradient"))
    trees = {
        "value": in_theta(value, theta=_BIND),
        "gradient": penalty_gradient(gradient, bias=True, theta=_BIND),
    }
    biased = [layer.id for layer in layers if layer.bias and layer.penalised]
    return {
        **penalty,
        "on": [renamed.get(name, name) for name in penalty["on"]],
        "theta": {"on": biased, "formulas": packed(trees)},
    }


def _numbered(document: Document) -> dict[str, Tensor]:
    """The tensors, each with the first index of its axes where it is not 0 everywhere."""
    origins: dict[str, list[int]] = {}
    layers = list(all_layers(document["graph"]["layers"]))
    ids = {layer["given"][name] for layer in layers for name in layer["given"]}
    ids |= {"input"} if layers and layers[0]["class"] == "Embedding" else set()
    for name, tensor in document["tensors"].items():
        sampled = "." not in name.removeprefix("delta:") and name != "weights"
        if sampled and len(tensor["shape"]) == 2 and name not in ids and name != "delta:input":
            origins[name] = [1, 0]
    if "input" in origins:
        origins["delta:input"] = [1, 0]
    for layer in layers:
        if layer["kind"] == "recurrent" or on_vectors(layer):
            for name in layer["parameters"].values():
                for key in (name, f"gradient:{name}"):
                    if key in document["tensors"]:
                        origins[key] = [1] * len(document["tensors"][key]["shape"])
    for theta_layer in _layers(document):
        for name in _ids(theta_layer):
            if theta_layer.bias and name in origins:
                origins[name] = [1, 0]
    return {
        name: {**tensor, "origin": origins[name]} if name in origins else tensor
        for name, tensor in document["tensors"].items()
    }


def on_vectors(layer: LayerRecord) -> bool:
    """Whether a layer takes a vector and gives one."""
    return len(layer["input_shape"]) <= 1 and len(layer["shape"]) <= 1


# -- what is named -------------------------------------------------------------------------------------------


def _names(layers: list[ThetaLayer]) -> dict[str, str]:
    """The arrays of the program by what they are of Θ."""
    names = {}
    for layer in layers:
        names[f"{layer.name}.W"] = f"{layer.id}[:, 1:]" if layer.bias else layer.id
        names[f"{layer.name}.b"] = f"{layer.id}[:, 0]"
    return names


def _renamed(value: T, layers: list[ThetaLayer]) -> T:
    """JSON with those names in all its texts."""
    names = _names(layers)
    listed = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.])(?:{listed})(?!\w)")

    def walk(part: Any) -> Any:
        if isinstance(part, str):
            return pattern.sub(lambda match: names[match[0]], part)
        if isinstance(part, Mapping):
            return {key: walk(inner) for key, inner in part.items()}
        return [walk(inner) for inner in part] if isinstance(part, list) else part

    return cast(T, walk(value))


def _place(name: str, index: list[int], layers: list[ThetaLayer]) -> list[int] | None:
    """An entry of W or b as one of Θ; None where the name is of neither."""
    for layer in layers:
        if name == f"{layer.name}.W":
            return [index[0], index[1] + layer.first]
        if name == f"{layer.name}.b":
            return [index[0], 0]
    return None


def _check(
    old: CheckRecord | NoCheck | None, layers: list[ThetaLayer], tensors: Mapping[str, Tensor]
) -> CheckRecord | NoCheck | None:
    """The rows of the gradient check with entries counted as they are printed."""
    check = _renamed(old, layers)
    if old is None or check is None or "rows" not in old or "rows" not in check:
        return check
    for before, row in zip(old["rows"], check["rows"], strict=True):
        worst = before["worst"]
        if worst is None or not worst["index"]:
            continue
        index = _place(before["name"], worst["index"], layers)
        if index is not None:
            biased = next(layer.bias for layer in layers if before["name"].startswith(f"{layer.name}."))
            index = [index[0] + 1, index[1] + int(not biased)]
        elif before["name"] == "input" and len(tensors["input"]["shape"]) == 2:
            index = [worst["index"][0], worst["index"][1] + 1]
        row["worst"] = {**worst, "index": index or worst["index"]}
    return check


def _update(document: Document, layers: list[ThetaLayer]) -> UpdateCard:
    """The update with its worked entry in Θ, and the penalty's formulas."""
    made = _renamed(document["update"], layers)
    worked = document["update"]["worked"]
    if worked is not None and (index := _place(worked["name"], worked["index"], layers)) is not None:
        (layer,) = (layer for layer in layers if worked["name"].startswith(f"{layer.name}."))
        made["worked"] = {**worked, "name": layer.id, "index": index}
    if "penalty" in made and document["penalty"] is not None:
        parts = _penalty_parts(made["penalty"]["parts"], document["penalty"]["on"], layers)
        made["penalty"] = {**made["penalty"], "parts": list(parts)}
    return made


def _penalty_parts(
    parts: Sequence[PenaltyFormula], on: Sequence[str], layers: list[ThetaLayer]
) -> Iterator[PenaltyFormula]:
    """The penalty's formulas of Θ; those of W too where other layers have one."""
    penalised = [layer for layer in layers if layer.penalised]
    if penalised:
        bias = any(layer.bias for layer in penalised)
        for part in parts:
            trees = unpack(part["nodes"])
            left, right = trees[part["left"]], trees[part["right"]]
            assert isinstance(left, Symbol)
            if part["part"] == "value":
                equation = Equation(left, in_theta(right, bias))
            else:
                left = Symbol(left.name, f"{left.role} by Θ")
                equation = Equation(left, penalty_gradient(right, bias, THETA))
            yield {**part, **equation_json(equation)}
    if len(penalised) < len(on):
        yield from parts


# -- what is looked up ---------------------------------------------------------------------------------------


def _box(box: BoxRecord, penalty: PenaltyPart | None) -> BoxRecord:
    """The closing box of dense layers: δ at the output, δ handed down, D, ∂J/∂Θ; another box as it is."""
    trees = [(unpack(equation["nodes"]), equation) for equation in box["equations"]]
    if not any(is_recursion(nodes[equation["right"]]) for nodes, equation in trees):
        return box
    total = Equation(TOTAL, DATA)
    if penalty is not None and penalty["formulas"] is not None:
        total = with_penalty(_tree(penalty["formulas"], "gradient"), bias=True)
    made = (in_general(recursion()), theta_equations(bias=True)["Θ"], total)
    output = box["equations"][0]  # that of the loss comes first
    return {
        **box,
        "equations": [output, *(equation_json(equation) for equation in made if equation is not None)],
    }


def _loss_card(card: LossCard, tensors: Mapping[str, Tensor]) -> LossCard:
    """The outputs of the loss counted from 1."""
    if not card["outputs"] or len(tensors["y"]["shape"]) != 2:
        return card
    return {**card, "outputs": {**card["outputs"], "rows": [k + 1 for k in card["outputs"]["rows"]]}}
