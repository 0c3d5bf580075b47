"""The two ends of the derivation as JSON: the loss with the output residual, and what is done with the
gradients.

Loss: J of the batch, the loss of every sample, and δ^L; for a pair (sigmoid or softmax with its
cross-entropy) the Jacobian of the output activation and the cancellation to a − y.  Update: what the penalty
adds to every gradient, a step of gradient descent, J before and after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import reference
from chainrule.base.languages import SPACE, Say, say_json
from chainrule.base.norms import norm
from chainrule.base.types import Array
from chainrule.explaining.facts import choose
from chainrule.explaining.facts.equations import SAMPLE_WEIGHT, equation_json
from chainrule.explaining.facts.parts import part, shapes_of
from chainrule.explaining.facts.pictures import rounded
from chainrule.explaining.facts.shares import constants
from chainrule.explaining.schema import (
    Jacobian,
    LossCard,
    OutputTable,
    PartRecord,
    PenaltyCard,
    PenaltyFormula,
    UpdateCard,
    UpdateRow,
)
from chainrule.explaining.words.catalogues import ELEMENTS, ENDS
from chainrule.formulas import Equation, Expression, Symbol, trace
from chainrule.formulas.elements.reader import Reader
from chainrule.formulas.exchange import plain
from chainrule.layers import Activation, Layer, Softmax
from chainrule.losses import CTC
from chainrule.losses.penalties import Penalty
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.networks.objective import Objective

MOST_OUTPUTS = 12  # rows of the residual's table
MOST_SAMPLES = 16  # rows of the table of losses


def loss_card(head: reference.Head, sample: int, *, weighted: bool) -> LossCard:
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
        said = _cancels(formulas) if pair else ENDS["by_output"] + SPACE + _then(last.layer)
        if isinstance(loss, CTC):
            parts[0] = parts[0] | {"said": say_json(ENDS.say("ways", blank=loss.blank))}
            said = ENDS["shares"] + SPACE + said
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


def _cancels(formulas: Any) -> Say:
    """Why the two of a pair are one formula."""
    plain = formulas.symbols["a"] - formulas.symbols["y"]
    return ENDS["cancels" if formulas["residual"] == plain else "cancels_weighted"]


def _value_part(formulas: Any, reader: Reader, sample: int) -> PartRecord:
    equation = formulas.equations["value"]
    return _part("value", equation, reader, [((sample,), ELEMENTS["in_focus"])], ENDS["of_one_sample"])


def _gradient_part(formulas: Any, reader: Reader, sample: int) -> PartRecord:
    value = np.asarray(reader.value(formulas["gradient"]))
    finite = np.where(np.isfinite(value), value, 0.0)  # where the output is saturated −y/a is infinite
    choices = [choose.largest(finite, sample)]
    return _part("gradient", formulas.equations["gradient"], reader, choices, ENDS["divides"])


def _then(last: Layer) -> Say:
    """What becomes of ∂J/∂a where activation and loss are two steps."""
    if isinstance(last, Softmax):
        return ENDS["then_jacobian"]
    return ENDS["then_slope" if isinstance(last, Activation) else "no_activation"]


def _residual_part(
    formulas: Any, reader: Reader, pair: bool, weighted: bool, sample: int, said: Say
) -> PartRecord:
    """δ at the output with the 1/m that enters here."""
    m = Symbol("m", "batch size", "scalar")
    value: Expression = formulas["residual"] if pair else formulas["gradient"]
    if weighted:
        value = SAMPLE_WEIGHT * value
    left = Symbol("dz", "gradient of logits") if pair else Symbol("da", "gradient of prediction")
    equation = Equation(left, value / m)
    choices = [choose.largest(np.asarray(reader.value(equation.right)), sample)]
    made = _part("residual", equation, reader, choices, ENDS["place_of_m"])
    return made | {"said": say_json(said + SPACE + ENDS["meaning"])}


def _part(name: str, equation: Equation, reader: Reader, choices: Any, why: Say) -> PartRecord:
    references = {
        "value": "Ning Yu · Dezeming 1.2 · Matrix notes §2",
        "gradient": "Dezeming 2.4.3 · Matrix notes §4",
        "residual": "Tutorial FC ④ · Ning Yu · Dezeming 2.4.6 · Matrix notes §4",
    }
    record = part(name, None, equation, reader, "", choices, why)
    return record | {"reference": references[name]}


def _outputs(head: reference.Head, sample: int) -> OutputTable | None:
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
    table: OutputTable = {
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


def _jacobian(last: reference.Pass, sample: int) -> Jacobian | None:
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
) -> UpdateCard:
    """What every parameter's gradient is made of, the step θ − η ∇, and J before and after it."""
    specs, penalty = network.parameter_specs, objective.penalty
    values = {name: array.astype(np.float64) for name, array in network.parameters.items()}
    of_penalty = objective.penalty_gradients(values, specs)
    rows: list[UpdateRow] = []
    after, steps = {}, {}
    for name, g in derived.gradients.items():
        theta = values[name]
        added = np.asarray(of_penalty.get(name, np.zeros_like(theta)), np.float64)
        with np.errstate(over="ignore"):
            after[name] = theta - eta * g
            steps[name] = eta * norm(g)
            row: UpdateRow = {
                "theta": plain(norm(theta)),
                "data": plain(norm(g - added)),
                "penalty": plain(norm(added)),
                "step": plain(steps[name]),
                "name": name,
            }
        rows.append(row)
    moved = {**values, **after}
    with np.errstate(all="ignore"):  # of a step that is far too long
        J = reference.data_loss(network, batch, objective.loss, moved, training=True)
        J += objective.penalty_value(moved, specs)
    before = derived.loss
    card: UpdateCard = {"eta": eta, "J_before": before, "J_after": plain(J), "worked": None, "rows": rows}
    if steps:
        name = max(steps, key=lambda name: steps[name])
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


def _penalty(network: Network, penalty: Penalty, training_size: int, adds: float) -> PenaltyCard:
    """Its formulas, and what it adds to J."""
    name = next(name for name, spec in network.parameter_specs.items() if spec.penalised)
    formulas = trace(penalty)
    W = network.parameters[name].astype(np.float64)
    reader = Reader({"W": W, "training_size": float(training_size), **constants(penalty)})
    parts: list[PenaltyFormula] = [
        {"part": key, **equation_json(equation), "shapes": shapes_of(equation.right, reader)}
        for key, equation in formulas.equations.items()
    ]
    return {
        "title": repr(penalty),
        "parts": parts,
        "adds": adds,
        "training_size": training_size,
        "constants": constants(penalty),
        "per_sample": bool(getattr(penalty, "per_sample", False)),
    }
