"""`verify`: is a backward pass that somebody wrote right, and if not, which mistake is it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.languages import Say
from chainrule.base.scalars import check_count
from chainrule.losses.penalties import L2
from chainrule.networks.batch import Batch
from chainrule.networks.model import Model
from chainrule.networks.objective import Objective
from chainrule.verifying.judging.findings import finding
from chainrule.verifying.judging.hypotheses import Case, agree
from chainrule.verifying.judging.judge import Judge
from chainrule.verifying.judging.search import MISFITS
from chainrule.verifying.meanings.matching import Like, named_loss, named_penalty
from chainrule.verifying.meanings.network import NetworkMeaning, network_of_ours
from chainrule.verifying.outputs import verdict_of
from chainrule.verifying.probes import Probe
from chainrule.verifying.saying.schema import Answer
from chainrule.verifying.subjects.chains import layers_in, layers_of
from chainrule.verifying.subjects.door import subject_from
from chainrule.verifying.subjects.keywords import with_keywords
from chainrule.verifying.subjects.objects import methods_of
from chainrule.verifying.subjects.saved import Saved, beside_forward, beside_network
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Verdict, joined


def verify(
    given: Any = None,
    backward: Any = None,
    *more: Any,
    args: Sequence[Any] = (),
    like: Any = None,
    names: Any = None,
    output: int | None = None,
    scalars: Any = None,
    grads: Any = None,
    delta: Any = None,
    net: Any = None,
    batch: Any = None,
    loss: Any = None,
    penalty: Any = None,
    seed: int = 0,
    hint_level: int = 3,
    progress: Callable[[Say], None] = lambda step: None,
    **options: Any,
) -> Verdict:
    """Whether a backward pass that somebody wrote is right, and if not, which mistake it is.

    given: (forward, backward), two functions in the style of CS231n: forward(*args) -> (out, cache),
        backward(dout, cache) -> a gradient per argument, in their order or in a dict; an object with the
        methods forward and backward, whose parameters are W, b, params["W"], ... and their gradients dW, db,
        grads["W"], ...; a function that returns (value, gradients); f and its gradient; a
        torch.autograd.Function, a torch.nn.Module or a function of tensors; a function of JAX; a list of
        layers, or an object with the attribute layers: each is judged by itself, with its true input.
    backward: the backward pass, where given is the forward pass alone: (forward, backward) as two arguments.
    args: what forward is called with, the input first, then the parameters. Arrays, and dicts and lists of
        arrays, get gradients; numbers, texts and dicts of anything else are handed on. Use sizes that differ
        from each other: what has the same size cannot always be told apart.
    like: what it is meant to be: a layer or loss of ours, MaxPool2D(2), or a name, "conv2d", with its options
        (stride=2, padding=1) or "conv2d(stride=2, padding=1)"; a list of layers or a network, with loss and
        penalty where J comes back; for a list of layers one for each. None: the differences of its own
        forward are the only judge.
    names: of the arguments, for the messages. output: the one that is judged, where forward has several;
        None: all of them.
    scalars: the class of scalars with .data, .grad and .backward() of which given is a function.
    grads: gradients that were saved, a dict or an .npz or .safetensors file, in place of a backward pass:
        beside forward, args and delta (the δ of its output), or beside net, one of our networks,
        batch=(X, y), loss and penalty as of its backpropagate; names is then a dict, theirs -> its
        parameters.
    hint_level: how much is said, 0 to 3.
    progress: called with what is looked at next, a text in both languages, step.en and step.zh.

    Their code is run as it is, several times; isolating it is up to you. Raises ArgumentError, DataError and
    ShapeError for what cannot be run, FileError and MissingExtraError for gradients that cannot be read.
    """
    level = check_count("hint_level", hint_level, 0, 3)
    number = check_count("seed", seed, 0, np.inf)
    if net is not None:
        return _beside_network(net, grads, batch, loss, penalty, names, level)
    given = _with_backward(given, backward)
    if more:
        raise TypeError(
            f"verify() takes 2 by position, received {2 + len(more)}; write verify((forward, backward), "
            "args=(x, W, b)), what forward is called with in a tuple"
        )
    if isinstance(args, Mapping):
        raise TypeError(
            "args is what forward is called with, in its order, args=(x, W, b), or by keyword, "
            f"verify((forward, backward), x=x, W=W, b=b); received {describe(args)}"
        )
    given, args, names, options = with_keywords(given, args, names, options, like)
    if not len(args):
        raise ArgumentError("args is empty: give the arrays on which forward is called, args=(x, W, b)")
    if grads is None and delta is not None:  # Huber's
        options["delta"] = delta
    layers = layers_in(given) if grads is None else {}
    meant = _meant(like, options, loss, penalty, len(layers))
    if grads is not None:
        subject = beside_forward(given, grads, args, delta, names)
    elif layers:
        return _of_layers(given, args, names, number, level, meant, progress)
    else:
        subject = subject_from(given, args, names, output=output, scalars_of=scalars)
    return verdict_of(subject, meant[0], number, level, progress, output)


def _with_backward(given: Any, backward: Any) -> Any:
    """(forward, backward) of two arguments."""
    if backward is None:
        return given
    if not callable(given) or not callable(backward):
        raise ArgumentError(
            f"the second argument is {describe(backward)}: write verify((forward, backward), "
            "args=(x, W, b)), with what forward is called with in args"
        )
    return given, backward


def _meant(like: Any, options: Mapping[str, Any], loss: Any, penalty: Any, layers: int) -> list[Like | None]:
    """What is meant, of a list of layers each; their code has not run.  layers: how many, 0: no list."""
    wanted, (penalised, has_penalty) = None if loss is None else named_loss(loss), named_penalty(penalty)
    if like is None:
        for name, value in {**options, "loss": loss, "penalty": penalty}.items():
            if value is not None:
                raise ArgumentError(
                    f"{name} is no argument of verify, and an option only of what like= names, but like "
                    f"is None: write like='conv2d', stride=2, say, or leave {name} out"
                )
        return [None] * max(layers, 1)
    if not layers:
        if has_penalty:  # also where its strength is not told: whether there is room for one
            Like(like, options, wanted, penalised or L2(1.0))
        return [Like(like, options, wanted, penalised)]
    each = list(like.layers) if isinstance(like, Model) else like
    if not isinstance(each, (list, tuple)) or len(each) != layers:
        raise ArgumentError(
            f"like is {describe(like)}, and there are {layers} layers: write one for each in their "
            f"order, like=['dense', 'relu'], with None for a layer that is none of ours"
        )
    for name, value in {**options, "loss": loss, "penalty": penalty}.items():
        if value is not None:
            raise ArgumentError(
                f"{name} is given, and like is a list with one for each layer: write its options into "
                "that entry, like=['maxpool2d(2)', 'relu']"
            )
    return [None if kind is None else Like(kind, {}) for kind in each]


def _of_layers(
    given: Any,
    args: Sequence[Any],
    names: Any,
    seed: int,
    level: int,
    meant: Sequence[Like | None],
    progress: Callable[[Say], None],
) -> Verdict:
    """Every layer by itself, its name before every finding; then the whole, where its layers are right.

    meant: what each is meant to be, in their order.
    """
    verdicts = [
        verdict_of(each, kind, seed, level, progress)
        for each, kind in zip(layers_of(given, args, names), meant, strict=True)
    ]
    title = type(given).__name__ if not isinstance(given, (list, tuple)) else "layers"
    if all(verdicts) and methods_of(given) is not None:
        whole = subject_from(given, args, names)
        verdicts.append(verdict_of(whole, None, seed, level, progress))
    return joined(title, verdicts, level)


def _beside_network(
    net: Any, grads: Any, batch: Any, loss: Any, penalty: Any, names: Any, level: int
) -> Verdict:
    """Gradients that were saved, beside those of one of our networks."""
    if grads is None:
        raise ArgumentError("net is given without grads: write grads={'W1': dW1} or grads='grads.npz'")
    exact: Any = net.copy(dtype="float64") if isinstance(net, Model) else net
    saved = beside_network(grads, exact, batch, loss=loss, penalty=penalty, names=names)
    return _of_saved(saved, exact, exact.problem(*batch, loss=loss, penalty=penalty), level)


def _of_saved(saved: Sequence[Saved], net: Any, problem: tuple[Batch, Objective], level: int) -> Verdict:
    """Saved gradients, each beside the right one; the batch is the only probe there is."""
    meaning, args = network_of_ours(net, *problem)
    by_name = {entry.ours: entry for entry in saved}
    names = ["X", "y", *(by_name[ours].name if ours in by_name else ours for ours in meaning.parameters)]
    returned = [by_name[ours].theirs if ours in by_name else None for ours in meaning.parameters]
    kinds = {entry.theirs.dtype.name for entry in saved}
    subject = Subject(
        "grads",
        tuple(names),
        lambda values: np.zeros(()),
        lambda values, delta: (None, None, *returned),
        takes_delta=False,
        precision=next((kind for kind in ("float16", "float32") if kind in kinds), None),
        args=tuple(args),
        delta=np.ones(()),
    )
    judge = Judge(subject, None, 0, tried=[Probe(subject.args, np.ones(()))])
    if _gives(meaning, judge.tried[0], saved):
        judge.reference = meaning.reference(len(args))
        findings, notes = judge.by_meaning(meaning, set())
    else:  # what no meaning is written for yet, such as classes of every step: factors and orders alone
        findings, notes = [], []
        for entry in saved:
            case = Case([entry.theirs], [entry.right], [False], [{"m": len(problem[0])}])
            if not agree(case.theirs, case.right):
                findings.append(finding(entry.name, case, 0, None))
    answer: Answer = "wrong" if findings else "cannot tell" if judge.unsure else "right"
    return Verdict("grads", answer, tuple(findings), (TEXTS["judged.network"], *notes), level)


def _gives(meaning: NetworkMeaning, probe: Probe, saved: Sequence[Saved]) -> bool:
    """Whether the meaning has the gradients of the network itself."""
    try:
        bound = meaning.bind(probe)
        made = [meaning.gradient(bound, entry.ours) for entry in saved]
        return agree(made, [entry.right for entry in saved])
    except MISFITS:
        return False


def assert_backward(given: Any, backward: Any = None, **arguments: Any) -> None:
    """For tests: AssertionError with the verdict unless the backward pass is right; arguments of `verify`."""
    __tracebackhide__ = True  # pytest then shows the line of the test, not this one with all the arrays
    verdict = verify(given, backward, **arguments)
    if not verdict:
        raise AssertionError(str(verdict))
