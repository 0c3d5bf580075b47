"""The one door: whatever was handed in, as a Subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import signature
from types import MethodType
from typing import Any

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.scalars import check_count
from chainrule.base.types import Array
from chainrule.layers import Layer
from chainrule.networks.model import Model
from chainrule.verifying.subjects.calls.arguments import arguments_of, check_known, check_real
from chainrule.verifying.subjects.calls.drawing import again, drawing_again, generators_in
from chainrule.verifying.subjects.calls.running import quiet, quietly
from chainrule.verifying.subjects.frameworks import jax_functions, scalars, tensors
from chainrule.verifying.subjects.objects import methods_of, of_class, of_object
from chainrule.verifying.subjects.pairs import of_pair
from chainrule.verifying.subjects.subject import Steps, Subject
from chainrule.verifying.subjects.values import of_function, of_methods, owner_of

FORMS = (
    "verify takes (forward, backward), two functions; an object with these methods; a function that returns "
    "(value, gradients); a torch.autograd.Function, a torch.nn.Module, a function of tensors or of JAX"
)


def subject_from(
    given: Any,
    args: Sequence[Any],
    names: Sequence[str] | None = None,
    *,
    output: int | None = None,
    scalars_of: Any = None,
) -> Subject:
    """What was handed in, as a Subject; its `args` are the arrays among `args`, and the object's parameters.

    output: which output is judged where there are several. scalars_of: the class of micrograd-like scalars.
    Raises ArgumentError for what is none of the forms, naming them; DataError for what their code raises.
    """
    if output is not None:
        check_count("output", output, 0)
    generators = generators_in(given)
    with again(generators), quiet():
        subject = _subject(given, args, names, output, scalars_of)
    check_real(subject.names, subject.args)
    check_known(subject.names, subject.args)

    def kept(function: Callable[..., Any]) -> Callable[..., Any]:
        return drawing_again(generators, quietly(function))

    def typed(values: Sequence[Array]) -> list[Array]:
        """Labels and masks stay what they are where all arguments came as float64."""
        pairs = zip(values, subject.args, strict=True)
        return [v.astype(a.dtype) if v.dtype.kind == "f" != a.dtype.kind else v for v, a in pairs]

    def safe(given: Subject) -> Subject:
        forward, backward = kept(given.forward), kept(given.backward)
        steps, pulled = given.steps, given.pulled
        return replace(
            given,
            forward=lambda values: forward(typed(values)),
            backward=lambda values, delta: backward(typed(values), delta),
            steps=None if steps is None else lambda: _kept_steps(steps(), kept),
            pulled=None if pulled is None else lambda values: kept(kept(pulled)(typed(values))),
        )

    together = None if subject.together is None else safe(subject.together)
    alone = {place: safe(each) for place, each in subject.alone.items()}
    without = {key: safe(each) for key, each in subject.without.items()}
    as_is = None if subject.as_is is None else safe(subject.as_is)
    return replace(safe(subject), alone=alone, together=together, without=without, as_is=as_is)


def _kept_steps(steps: Steps, kept: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Steps:
    return replace(steps, forward=kept(steps.forward), backward=kept(steps.backward))


def _subject(
    given: Any, args: Sequence[Any], names: Sequence[str] | None, output: int | None, scalars_of: Any
) -> Subject:
    if scalars_of is None:
        scalars_of, args = scalars.taken_from(args)
    if scalars_of is not None:
        return scalars.of_scalars(given, args, names, scalars_of)
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(map(callable, given)):
        forward, backward = given
        if owner_of(forward) is not None and owner_of(forward) is owner_of(backward):
            return _of_bound(forward, backward, args, names, output)
        return of_pair(forward, backward, arguments_of(forward, args, names), output)
    if isinstance(given, (Model, Layer)):
        check = (
            "check_gradients(network, X, y)"
            if isinstance(given, Model)
            else "check_layer(layer, input_shape)"
        )
        raise ArgumentError(
            f"verify is for what others wrote, and {describe(given)} is chainrule's: chainrule.{check} "
            "checks it; as like= it says what a backward pass is meant to be"
        )
    if tensors.meant(given, args):
        return tensors.of_tensors(given, args, names, output)
    if jax_functions.meant(given, args):
        return jax_functions.of_jax(given, args, names, output)
    if isinstance(given, type):
        return of_class(given, args, names, output)
    methods = methods_of(given)
    if methods is not None:
        return of_object(given, methods, args, names, output)
    if callable(getattr(given, "loss", None)):
        return of_function(given.loss, args, names)
    if callable(given):
        return of_function(given, args, names)
    if callable(getattr(given, "fit", None)) or callable(getattr(given, "train", None)):
        raise ArgumentError(
            f"{type(given).__name__} learns and shows no gradient: write a method forward(x), and "
            "backward(dout) that returns ∂J/∂x and keeps ∂J/∂W as dW, or changes W by a learning rate, "
            "backward(dout, lr); or loss(X, y) that returns J and the gradients"
        )
    raise ArgumentError(f"{FORMS}. Received {describe(given)}")


def _of_bound(
    forward: MethodType,
    backward: MethodType,
    args: Sequence[Any],
    names: Sequence[str] | None,
    output: int | None,
) -> Subject:
    """Two methods of one object: a layer's forward and backward, or a network's loss and gradient."""
    methods = forward.__name__, backward.__name__
    if list(signature(forward).parameters) == list(signature(backward).parameters):
        return of_methods(forward, backward, args, names)
    return of_object(forward.__self__, methods, args, names, output)
