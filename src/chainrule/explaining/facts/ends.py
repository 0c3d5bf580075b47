"""The two ends of the derivation as JSON: the loss with the output residual, and what is done with the
gradients.

Loss: J of the batch, the loss of every sample, and δ^L; for a pair (sigmoid or softmax with its
cross-entropy) the Jacobian of the output activation and the cancellation to a − y.  Update: what the penalty
adds to every gradient, a step of gradient descent, J before and after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import reference
from chainrule.base.languages import Say
from chainrule.base.norms import norm
from chainrule.explaining.facts import choose
from chainrule.explaining.facts.equations import SAMPLE_WEIGHT
from chainrule.explaining.facts.parts import part, say_json, shapes_of
from chainrule.explaining.facts.penalised import constants
from chainrule.explaining.facts.pictures import rounded
from chainrule.formulas import Equation, Expression, Symbol, trace
from chainrule.formulas.elements.reader import Reader
from chainrule.formulas.exchange import pack, plain
from chainrule.layers import Activation, Layer, Softmax
from chainrule.losses.penalties import Penalty
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective

Array = NDArray[Any]
Json = dict[str, Any]
MOST_OUTPUTS = 12  # rows of the residual's table
MOST_SAMPLES = 16  # rows of the table of losses

PLACE_OF_M = Say(
    "1/m is here, once, and nowhere below: the gradients are sums over the samples (seed 004). Dividing at "
    "the end "
    "(seed 002, 3.1) gives the same gradient; doing both divides twice.",
    "1/m 只在这里出现一次，下面不再出现：梯度是对样本求和（种子 004）。在最后再除（种子 002 的 3.1）得到同"
    "样的梯度；两处都除就除了两次。",
)
CANCELS = Say(
    "The output activation and the loss are computed as one formula: what the loss divides by a, f′ "
    "multiplies "
    "again, and a − y is left. Nothing is divided by a or 1 − a.",
    "输出层的激活与损失合成一个公式：损失导数中除以 a 的部分被 f′ 乘回来，只剩 a − y。不会除以 a 或 1 − a。",
)
DIVIDES = Say(
    "The loss alone, by a: this is what ④ would start from.",
    "只看损失对 a 的导数：④ 就从这里开始。",
)
BY_OUTPUT = Say("The derivative of the loss by the output a. ", "损失对输出 a 的导数。")
THEN_SLOPE = Say(
    "Times f′ it is the δ of FC ④: that is the card of the output layer.",
    "再乘以 f′ 就是 FC ④ 的 δ：见输出层的卡片。",
)
THEN_JACOBIAN = Say(
    "The Jacobian of softmax follows in the card of the output layer.",
    "softmax 的雅可比矩阵见输出层的卡片。",
)
NO_ACTIVATION = Say(
    "No activation follows the last layer, so it is δ already.",
    "最后一层之后没有激活函数，所以它已经就是 δ。",
)
MEANING = Say(
    " δ says how far an output is from its ideal as J measures it: where it is 0, a small change leaves J "
    "as it is; J falls when the output moves against the sign of δ (seed 003).",
    "δ 表示输出离理想值有多远（以 J 衡量）：δ 为 0 时，微小的变化不改变 J；输出沿与 δ 符号相反的方向移动，J "
    "就下降（种子 003）。",
)
AVERAGED = Say("The loss of one sample.", "单个样本的损失。")


def loss_card(head: reference.Head, sample: int, *, weighted: bool) -> Json:
    """The card between forward and backward pass; weighted: whether samples have weights."""
    loss, last, pair, scale = head.loss, head.last, head.pair, head.share
    m = len(scale)
    bindings: dict[str, Any] = {"a": last.output, "z": last.x, "y": head.y, "m": float(m), "w": scale * m}
    reader = Reader(bindings)
    formulas = trace(loss)
    with np.errstate(all="ignore"):
        values = np.asarray(reader.value(formulas["value_from_z" if pair else "value"]))
        parts = [_value_part(formulas, reader, sample)]
        parts += [_gradient_part(formulas, reader, sample)] if pair else []
        said = CANCELS if pair else BY_OUTPUT + _then(last.layer)
        parts.append(_residual_part(formulas, reader, pair, weighted, sample, said))
    order = np.argsort(-values, kind="stable")[:MOST_SAMPLES]
    return {
        "class": type(loss).__name__,
        "title": repr(loss),
        "pair": type(last.layer).__name__ if pair else None,
        "output": last.name,
        "parts": parts,
        "losses": [{"sample": int(i), "loss": float(values[i])} for i in order],
        "samples": m,
        "mean": float(np.sum(scale * values)),
        "outputs": _outputs(head, sample),
        "jacobian": _jacobian(last, sample) if pair else None,
    }


def _value_part(formulas: Any, reader: Reader, sample: int) -> Json:
    equation = formulas.equations["value"]
    return _part("value", equation, reader, [((sample,), choose.IN_FOCUS)], AVERAGED)


def _gradient_part(formulas: Any, reader: Reader, sample: int) -> Json:
    value = np.asarray(reader.value(formulas["gradient"]))
    finite = np.where(np.isfinite(value), value, 0.0)  # where the output is saturated −y/a is infinite
    choices = [choose.largest(finite, sample)]
    return _part("gradient", formulas.equations["gradient"], reader, choices, DIVIDES)


def _then(last: Layer) -> Say:
    """What becomes of ∂J/∂a where activation and loss are two steps."""
    if isinstance(last, Softmax):
        return THEN_JACOBIAN
    return THEN_SLOPE if isinstance(last, Activation) else NO_ACTIVATION


def _residual_part(
    formulas: Any, reader: Reader, pair: bool, weighted: bool, sample: int, said: Say
) -> Json:
    """δ at the output with the 1/m that enters here."""
    m = Symbol("m", "batch size", "scalar")
    value: Expression = formulas["residual"] if pair else formulas["gradient"]
    if weighted:
        value = SAMPLE_WEIGHT * value
    left = Symbol("dz", "gradient of logits") if pair else Symbol("da", "gradient of prediction")
    equation = Equation(left, value / m)
    choices = [choose.largest(np.asarray(reader.value(equation.right)), sample)]
    found = _part("residual", equation, reader, choices, PLACE_OF_M)
    return found | {"said": say_json(said + MEANING)}


def _part(name: str, equation: Equation, reader: Reader, choices: Any, why: Say) -> Json:
    references = {
        "value": "S1 · S2 1.2 · S4 §2",
        "gradient": "S2 2.4.3 · S4 §4",
        "residual": "S0 FC ④ · S1 · S2 2.4.6 · S4 §4",
    }
    found = part(name, None, equation, reader, "", choices, why)
    return found | {"reference": references[name]}


def _outputs(head: reference.Head, sample: int) -> Json | None:
    """A row per output of the sample in focus: z, a, y, ∂/∂a, f', the product entry by entry, and the δ
    there is.
    """
    last, y, scale = head.last, head.y, head.share
    z, a = last.x, last.output
    if a.ndim != 2 or y.shape != a.shape:
        return None
    with np.errstate(all="ignore"):
        by_a = np.asarray(head.loss.gradient(a, y))[:, sample]
        through = head.residual[:, sample]
        softmax = head.pair and isinstance(last.layer, Softmax)
        literal = by_a * _diagonal(last)[:, sample] if softmax else None
    rows = list(range(len(a)))
    if len(rows) > MOST_OUTPUTS:
        rows = sorted(int(i) for i in np.argsort(-np.abs(through), kind="stable")[:MOST_OUTPUTS])
    table = {
        "rows": rows,
        "of": len(a),
        "a": rounded(a[rows, sample], 15),
        "y": rounded(y[rows, sample], 15),
        "by_a": rounded(by_a[rows], 15),
        "residual": rounded(through[rows], 15),
        "delta": rounded(through[rows] * scale[sample], 15),
    }
    if z.shape == a.shape:
        table["z"] = rounded(z[rows, sample], 15)
    if literal is not None:
        table["literal"] = rounded(literal[rows] * scale[sample], 15)
    return table


def _diagonal(last: reference.Pass) -> Array:
    """∂a_k/∂z_k of softmax, what an elementwise reading of FC ④ would use."""
    return np.asarray(last.output * (1 - last.output))


def _jacobian(last: reference.Pass, sample: int) -> Json | None:
    """∂a_k/∂z_j of the sample in focus, from the layer's own δ formula; None where it is large or per
    position.
    """
    size = last.output.shape[0]
    if last.output.ndim != 2 or size > 8 or last.x.shape != last.output.shape:
        return None
    a, x = last.output[:, [sample]], last.x[:, [sample]]
    rows = []
    for k in range(size):
        unit = np.zeros((size, 1))
        unit[k] = 1.0
        rows.append(reference.layer_backward(last.layer, unit, x, a, {})[0][:, 0])
    return {"values": rounded(np.array(rows), 15), "diagonal": not isinstance(last.layer, Softmax)}


def update_card(
    network: Network, batch: Batch, objective: Objective, derived: reference.Derivation, eta: float
) -> Json:
    """What every parameter's gradient is made of, the step θ − η ∇, and J before and after it."""
    specs, penalty = network.parameter_specs, objective.penalty
    values = {name: array.astype(np.float64) for name, array in network.parameters.items()}
    of_penalty = objective.penalty_gradients(values, specs)
    rows, after = [], {}
    for name, g in derived.gradients.items():
        theta = values[name]
        added = np.asarray(of_penalty.get(name, np.zeros_like(theta)), np.float64)
        with np.errstate(over="ignore"):
            after[name] = theta - eta * g
            norms = (norm(theta), norm(g - added), norm(added), eta * norm(g))
        rows.append(dict(zip(("theta", "data", "penalty", "step"), norms, strict=True)) | {"name": name})
    moved = {**values, **after}
    with np.errstate(all="ignore"):  # of a step that is far too long
        J = reference.data_loss(network, batch, objective.loss, moved, training=True)
        J += objective.penalty_value(moved, specs)
    before = derived.data_loss + derived.penalty
    card: Json = {"eta": eta, "J_before": before, "J_after": plain(J), "worked": None}
    card["rows"] = [{name: plain(value) for name, value in row.items()} for row in rows]
    largest = max(rows, key=lambda row: row["step"], default=None)
    if largest is not None:
        name = str(largest["name"])
        index, _ = choose.largest(derived.gradients[name], None)
        card["worked"] = {
            "name": name,
            "index": list(index),
            "theta": float(network.parameters[name][index]),
            "gradient": float(derived.gradients[name][index]),
            "after": plain(float(after[name][index])),
        }
    if penalty is not None and any(spec.penalised for spec in specs.values()):
        card["penalty"] = _penalty(network, penalty, objective.training_size, derived.penalty)
    return card


def _penalty(network: Network, penalty: Penalty, training_size: int, adds: float) -> Json:
    """Its formulas, and what it adds to J."""
    name = next(name for name, spec in network.parameter_specs.items() if spec.penalised)
    formulas = trace(penalty)
    W = network.parameters[name].astype(np.float64)
    reader = Reader({"W": W, "training_size": float(training_size), **constants(penalty)})
    parts = []
    for key, equation in formulas.equations.items():
        nodes, (left, right) = pack([equation.left, equation.right])
        parts.append(
            {
                "part": key,
                "nodes": nodes,
                "left": left,
                "right": right,
                "shapes": shapes_of(equation.right, reader),
            }
        )
    return {
        "title": repr(penalty),
        "parts": parts,
        "adds": adds,
        "training_size": training_size,
        "constants": constants(penalty),
        "per_sample": bool(getattr(penalty, "per_sample", False)),
    }
