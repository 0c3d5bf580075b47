"""A document as it is made has the keys and types of its schema, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from types import UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers as L
from chainrule.diagnosing.schema import FindingRecord, FlowRecord
from chainrule.explaining.schema import Document
from chainrule.formulas import NOTATIONS
from tests.explaining.networks import problems
from tests.explaining.reports import NAMES, report
from tests.graphs.drawn import batch, graph

SAMPLES = 5


def faults(value: Any, form: Any, place: str = "") -> Iterator[str]:
    """Where a value is not of its form, and how."""
    origin, arguments = get_origin(form), get_args(form)
    if form is Any:
        return
    if is_typeddict(form):
        yield from _record_faults(value, form, place)
    elif origin in (Union, UnionType):
        found = [list(faults(value, one, place)) for one in arguments]
        yield from min(found, key=len)
    elif origin is Literal:
        if value not in arguments:
            yield f"{place}: {value!r} is none of {arguments}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{place}: {type(value).__name__} is no list"
            return
        for number, entry in enumerate(value):
            yield from faults(entry, arguments[0], f"{place}[{number}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{place}: {type(value).__name__} is no dict"
            return
        for key, entry in value.items():
            yield from faults(key, arguments[0], f"{place}, a key")
            yield from faults(entry, arguments[1], f"{place}[{key!r}]")
    elif form is float and type(value) is int:  # as Python's types have it
        return
    elif not isinstance(value, form) or (isinstance(value, bool) and form is not bool):
        yield f"{place}: {value!r} is no {form.__name__}"


def _record_faults(value: Any, form: Any, place: str) -> Iterator[str]:
    fields = get_type_hints(form, include_extras=True)
    if not isinstance(value, dict):
        yield f"{place}: {type(value).__name__} is no {form.__name__}"
        return
    for key in value.keys() - fields.keys():
        yield f"{place}: {form.__name__} has no field {key!r}"
    for key, own in fields.items():
        optional = get_origin(own) is NotRequired
        if key in value:
            yield from faults(value[key], get_args(own)[0] if optional else own, f"{place}.{key}")
        elif not optional:
            yield f"{place}: {form.__name__} lacks {key!r}"


def met(value: Any, form: Any) -> Iterator[tuple[str, str]]:
    """The fields of records that a value has: the record's name and the field's."""
    origin, arguments = get_origin(form), get_args(form)
    if is_typeddict(form):
        for key, own in get_type_hints(form).items():
            if key in value:
                yield form.__name__, key
                yield from met(value[key], own)
    elif origin in (Union, UnionType):
        yield from met(value, next(one for one in arguments if not any(faults(value, one))))
    elif origin in (list, dict):
        for entry in value.values() if origin is dict else value:
            yield from met(entry, arguments[-1])


def described(form: Any, known: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The fields of all records that a form is made of, added to those that are known."""
    for key, own in get_type_hints(form).items() if is_typeddict(form) else ():
        if (form.__name__, key) not in known:
            known.add((form.__name__, key))
            described(own, known)
    for one in get_args(form):
        described(one, known)
    return known


@cache
def explained(name: str, *, weighted: bool = False, **options: Any) -> cr.Report:
    """The report of one of the networks, on a batch at random."""
    network, loss, penalty = problems()[name]
    weights = np.arange(1.0, 1 + SAMPLES) if weighted else None
    rng = np.random.default_rng(0)
    shape = (SAMPLES, *network.input_shape)
    ids = isinstance(network.layers[0], L.Embedding)
    X = rng.integers(0, 7, shape) if ids else rng.standard_normal(shape)
    y: Any = rng.standard_normal(network.predict(X).shape)
    if isinstance(network.layers[-1], L.Softmax):
        y = np.eye(y.shape[-1])[y.argmax(-1)]
    elif isinstance(loss, cr.BinaryCrossEntropy):
        y = (y > 0).astype(float)
    return cr.explain(network, X, y, loss=loss, penalty=penalty, sample_weight=weights, **options)


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", problems())
def test_a_document_is_of_its_schema(name: str) -> None:
    assert not list(faults(explained(name).document, Document))


@pytest.mark.turns(2)
@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_document_is_of_its_schema_in_every_notation(notation: str) -> None:
    for name in ("deep", "branches"):
        assert not list(faults(explained(name, notation=notation, weighted=True).document, Document))


@pytest.mark.parametrize("name", NAMES)
def test_a_long_or_small_document_is_of_its_schema(name: str) -> None:
    assert not list(faults(report(name).document, Document))


def test_a_document_without_room_or_check_is_of_its_schema() -> None:
    assert not list(faults(explained("lenet", budget=10_000, check=False, notation="ng").document, Document))


def test_a_flow_that_overflows_is_of_its_schema() -> None:
    network = cr.Network([cr.Dense(4), cr.ReLU(), cr.Dense(1)], input_shape=3, seed=0, dtype="float64")
    X, y = np.ones((8, 3)), np.zeros((8, 1))
    history = cr.fit(network, X, y, epochs=2, progress=False)
    found = cr.diagnose(network, X, y + 1e200, history=history)
    assert found.findings
    assert found.flow["loss"]["J"] is None
    assert not list(faults(found.flow, FlowRecord))
    assert not list(faults(list(found.findings), list[FindingRecord]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda document: document.update(extra=1), "Document has no field 'extra'"),
        (lambda document: document["meta"].pop("eta"), "Meta lacks 'eta'"),
        (lambda document: document["cards"][0].update(depth="0"), "depth"),
        (lambda document: document["loss"].update(pair=1), ".loss.pair: 1 is no bool"),
        (lambda document: document["slips"][0].update(kind="joke"), "'joke' is none of"),
    ],
)
def test_what_is_not_of_the_schema_is_told(change: Any, told: str) -> None:
    document: Any = deepcopy(explained("line").document)
    change(document)
    assert told in "; ".join(faults(document, Document))


def test_every_field_of_the_schema_is_in_a_document() -> None:
    """A matrix that is too large for the document, and for a map, is shown by its first and last entries."""
    wide, X, y = cr.Network([cr.Dense(100)], input_shape=50, seed=0), np.ones((2, 50)), np.ones((2, 100))
    history = cr.fit(wide, X, y, epochs=1, progress=False)
    crossing = graph(0, "features")
    reports = [
        *map(explained, problems()),
        *map(report, NAMES),
        explained("deep", notation="ng"),
        explained("lenet", budget=10_000, check=False, notation="ng"),
        cr.explain(wide, X, y, check=False, budget=10_000, history=history),
        cr.explain(crossing, *batch(crossing, 2), check=False),
    ]
    found = {field for made in reports for field in met(made.document, Document)}
    assert found == described(Document, set())
