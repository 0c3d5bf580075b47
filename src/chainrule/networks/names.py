"""What a name of a layer, of a parameter, or a pattern such as "conv*" stands for in a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.scalars import check_number, entries
from chainrule.base.shown import clipped
from chainrule.networks.architecture import all_layers
from chainrule.networks.model import Model

_SHOWN = 12  # names in an error


def frozen_parameters(network: Model, names: Any) -> frozenset[str]:
    """The parameters that `freeze` names, the running statistics of their layers among them.

    names: of layers (a composite stands for all in it), of parameters, or patterns of either; one or several.
    Raises ArgumentError for a name that is none, a layer without parameters, and where nothing is left.
    """
    frozen: set[str] = set()
    for name in _several("freeze", names):
        frozen |= _parameters_of(network, "freeze", name)
    specs = network.parameter_specs
    kept = at_rest(network, frozen)
    frozen |= {
        name
        for name, layers in network.parameter_uses().items()
        if not specs[name].learned and not kept.isdisjoint(layers)
    }
    if frozen and not any(spec.learned for name, spec in specs.items() if name not in frozen):
        raise ArgumentError("freeze leaves no parameter that is learned: name fewer layers")
    return frozenset(frozen)


def at_rest(network: Model, frozen: Iterable[str]) -> set[str]:
    """The layers whose running statistics are among the frozen parameters."""
    specs, uses = network.parameter_specs, network.parameter_uses()
    return {layer for name in frozen if not specs[name].learned for layer in uses[name]}


def rate_factors(network: Model, given: Any, frozen: frozenset[str]) -> dict[str, float]:
    """Parameter name -> what multiplies its rate, of those that are named; 0 for what is frozen.

    given: name or pattern -> a number of at least 0; of several that fit the last one counts.
    """
    specs, factors = (
        network.parameter_specs,
        parameter_factors(network, "rate_factors", {} if given is None else given),
    )
    frozen |= frozen_parameters(network, [name for name, factor in factors.items() if factor == 0])
    if frozen and not any(spec.learned for name, spec in specs.items() if name not in frozen):
        raise ArgumentError("freeze and rate_factors leave no parameter that is learned: name fewer layers")
    learned = {name: factor for name, factor in factors.items() if specs[name].learned and factor != 0}
    return learned | dict.fromkeys(sorted(frozen), 0.0)


def parameter_factors(network: Model, argument: str, given: Any) -> dict[str, float]:
    """Parameter name -> factor, of those that the names or patterns of `given` stand for; the last counts."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{argument} must be a dict such as {{'conv*': 0.1}}, received {describe(given)}")
    factors: dict[str, float] = {}
    for name, factor in given.items():
        check_number(f"{argument}[{clipped(repr(name))}]", factor, include_low=True)
        factors |= dict.fromkeys(_parameters_of(network, argument, name), float(factor))
    return factors


def layer_names(network: Model, argument: str, names: Any) -> list[str]:
    """The layers that are named, each one once, in the order given; "input" is the input."""
    known = list(network.shapes)
    chosen: list[str] = []
    for name in _several(argument, names):
        if not isinstance(name, str):
            raise TypeError(f"{argument} takes names of layers, such as 'dense1', received {describe(name)}")
        matched = list(_matched(name, known))
        if not matched:
            raise ArgumentError(f"{argument} names no layer {clipped(repr(name))}{_there_are(name, known)}")
        chosen += (layer for layer in matched if layer not in chosen)
    return chosen


def _parameters_of(network: Model, argument: str, name: Any) -> set[str]:
    if not isinstance(name, str):
        raise TypeError(
            f"{argument} takes names of layers or parameters, such as 'dense1', 'dense1.W' or 'conv*', "
            f"received {describe(name)}"
        )
    parameters = list(network.parameter_specs)
    layers = [str(layer.name) for layer in all_layers(network.layers)]
    chosen = set(_matched(name, parameters))
    named = list(_matched(name, layers))
    blocks = [] if chosen or named else [name]  # whose layers are called "block.dense1"
    uses = network.parameter_uses()
    for layer in (*named, *blocks):
        chosen |= {
            key for key in parameters if any(f"{use}.".startswith(f"{layer}.") for use in uses[key])
        }
    if chosen:
        return chosen
    holding = [layer for layer in layers if network.parameter_names(layer)]
    if named:
        raise ArgumentError(
            f"{argument} names {clipped(repr(name))}, which has no parameters{_there_are('', holding)}"
        )
    known = [*holding, *parameters]
    raise ArgumentError(
        f"{argument} names no layer or parameter {clipped(repr(name))}{_there_are(name, known, holding)}"
    )


def _several(argument: str, names: Any) -> list[Any]:
    if isinstance(names, str):
        return [names]
    several = entries(names)
    if several is None:
        raise TypeError(f"{argument} must be a name or a list of names, received {describe(names)}")
    return several


def _matched(name: str, known: Iterable[str]) -> Iterator[str]:
    """Those that are called so, or that the pattern fits."""
    return (candidate for candidate in known if candidate == name or fnmatchcase(candidate, name))


def meant(name: str, known: Iterable[str]) -> str:
    """What ends a sentence that has listed the names there are: the one that is spelt nearly so, if any."""
    import difflib

    near = difflib.get_close_matches(name, list(known), 1)
    return f"; {near[0]!r} is meant?" if near else ""


def _there_are(name: str, known: list[str], shown: list[str] | None = None) -> str:
    """What ends the sentence: the name that is spelt nearly so, or those there are."""
    import difflib

    close = [candidate for candidate in known if candidate.lower() == name.lower()]
    close = close or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f": did you mean {close[0]!r}?"
    shown = known if shown is None else shown
    more = f", … {shown[-1]!r}" if len(shown) > _SHOWN else ""
    listed = ", ".join(map(repr, shown[: _SHOWN if not more else _SHOWN - 1]))
    return f": there are {listed}{more}" if shown else ": there are none"
