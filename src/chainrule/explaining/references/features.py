"""What a network at hand has, as words: which conventions and slips of the tutorials concern its reader."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.layers import Layer
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError
from chainrule.losses.penalties import L1, L2, ElasticNet, Penalty
from chainrule.networks.architecture import all_layers
from chainrule.networks.network import Network

# Of these very classes: a subclass may have another formula.
_PENALTIES: dict[type[Penalty], str] = {L2: "l2", L1: "l1", ElasticNet: "elastic net"}


def features_of(network: Network, loss: Loss, penalty: Penalty | None) -> frozenset[str]:
    """The words that hold: the traits of the layers ("conv", "max pool", "overlap"), the loss ("pair",
    "squared"), the penalty ("penalty", "l2"); "any" always.
    """
    layers = list(all_layers(network.layers))
    traits = [layer.traits() for layer in layers]
    words = {"any"}.union(*traits)
    if sum("dense" in of_layer for of_layer in traits) > 1:
        words.add("hidden")
    if any(name.endswith(".b") for name in network.parameter_specs):
        words.add("bias")
    if network.differentiable:
        words.add("input gradient")
    if not any(layer.mixes_samples for layer in layers):
        words.add("samples apart")
    return frozenset(words | set(_of_loss(network.layers[-1], loss)) | set(_of_penalty(penalty)))


def _of_loss(last: Layer, loss: Loss) -> Iterator[str]:
    yield "pair" if loss.pairs_with(last) else "no pair"
    if "softmax" in last.families:
        yield "softmax output"
    elif "activation" in last.families:
        yield "elementwise output"
    if type(loss) in (CrossEntropy, BinaryCrossEntropy):
        yield "cross-entropy"
    if type(loss) is BinaryCrossEntropy:
        yield "binary"
    if type(loss) is SquaredError:
        yield "squared"
    yield "mean over outputs" if getattr(loss, "mean_outputs", False) else "sum over outputs"
    if getattr(loss, "label_smoothing", 0):
        yield "label smoothing"


def _of_penalty(penalty: Penalty | None) -> Iterator[str]:
    if penalty is None:
        return
    yield "penalty"
    yield _PENALTIES.get(type(penalty), "other penalty")
    yield "per sample" if getattr(penalty, "per_sample", False) else "not per sample"
