"""ONNX's own node cases, imported: `python -m tests.exchange.onnx_nodes [operator ...]`.

Of every operator that `from_onnx` knows all cases of onnx.backend.test, but those that repeat a case with the
operator taken apart ("_expanded"). The first input is the network's, the others become constants; every
output, each by a network of its own, is compared by onnx's own tolerances; its type is not. The samples are
on the first axis of the input, on the second, or there is no axis of samples, whichever the model is taken
with. A refusal is no pass. onnxruntime runs the same cases as they are. Casts are counted apart: they change
the type alone.
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

from chainrule.base.errors import ChainruleError
from chainrule.networks.taking.onnx.model import NODES, Nodes

TAKEN_APART = "_expanded"
SAMPLES: tuple[int | None, ...] = (0, 1, None)


@dataclass(frozen=True)
class Verdict:
    """What became of a case: "passed", "refused" or "wrong", and why."""

    what: str
    why: str = ""


def cases(operators: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """(operator, case) of all that are asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held = collect_testcases(None)
    for case in held:
        kinds = {node.op_type for node in case.model.graph.node}
        if len(kinds) != 1 or TAKEN_APART in case.name:
            continue
        operator = next(iter(kinds))
        if operator in (operators or NODES):
            yield operator, case


def judged(case: Any) -> Verdict:
    """A case by `from_onnx`."""
    refusals = []
    for samples in SAMPLES:
        try:
            for inputs, outputs in case.data_sets:
                wrong = _compared(case, inputs, outputs, samples)
                if wrong:
                    return Verdict("wrong", wrong)
            return Verdict("passed", f"samples={samples}")
        except (ChainruleError, _Unlike) as error:
            refusals.append(str(error))
        except Exception as error:  # an error that is none of ours is a mistake, and named as one
            return Verdict("wrong", f"{type(error).__name__}: {error}")
    return Verdict("refused", " | ".join(dict.fromkeys(refusals)))


class _Unlike(Exception):
    """A case that is no network: its inputs are no arrays."""


def _compared(case: Any, inputs: Sequence[Any], outputs: Sequence[Any], samples: int | None) -> str:
    """What is wrong with what networks put out, one for every output of the case; "" where nothing is."""
    X, held = _with_constants(case.model, inputs)
    tolerances = case.rtol, case.atol
    for information, expected in zip(case.model.graph.output, outputs, strict=True):
        reading = Nodes(onnx, held, None, samples)
        outputs = reading.read([information.name])
        (value,), network = outputs.values(), reading.building.network(outputs, "float64")
        made = network.predict(_to_ours(X, reading.building.input, samples))
        where = None if samples is None else reading.made_at
        wrong = _difference(_to_theirs(made, value), np.asarray(expected), where, tolerances)
        if wrong:
            return f"{information.name}: {wrong}"
    return ""


def _with_constants(model: Any, inputs: Sequence[Any]) -> tuple[Any, Any]:
    """(X, the model whose other inputs are constants)."""
    held = onnx.ModelProto()
    held.CopyFrom(model)
    given = list(held.graph.input)
    if len(given) != len(inputs) or not all(isinstance(array, np.ndarray | np.generic) for array in inputs):
        raise _Unlike("the case has inputs that are no arrays")
    for information, array in zip(given[1:], inputs[1:], strict=True):
        held.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), information.name))
    del held.graph.input[1:]
    return inputs[0], held


def _to_ours(X: Any, value: Any, samples: int | None) -> Any:
    X = np.asarray(X, np.float64)  # uint8 would be pixels
    rows = X[None] if samples is None else np.moveaxis(X, samples, 0)
    return np.moveaxis(rows, 1, -1) if value.ours != value.theirs or value.layout.first else rows


def _to_theirs(made: Any, value: Any) -> Any:
    """Rows of samples, every one as the model has it."""
    if value.layout.first and len(value.theirs) > 1 and not value.ones:
        made = np.moveaxis(made, -1, 1)
    return made.reshape(len(made), *value.theirs)


def _difference(made: Any, expected: Any, samples: int | None, tolerances: tuple[float, float]) -> str:
    """With samples on another axis than the first the others are compared in order, however they are cut."""
    if samples is None:
        expected = expected[None]
    elif samples:
        expected = np.moveaxis(expected, samples, 0).reshape(made.shape)
    if made.shape != expected.shape:
        return f"the shape {made.shape}, not {expected.shape}"
    of_type = made.astype(expected.dtype).astype(np.float64)  # rounded as the case is
    rtol, atol = tolerances
    near = np.isclose(of_type, expected.astype(np.float64), rtol=rtol, atol=atol, equal_nan=True)
    return "" if near.all() else f"{np.count_nonzero(~near)} of {near.size} numbers"


def by_onnxruntime(case: Any) -> bool:
    """Whether onnxruntime computes the case."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            case.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        names = [given.name for given in session.get_inputs()]
        for inputs, outputs in case.data_sets:
            given = [held if isinstance(held, list) else np.asarray(held) for held in inputs]
            made = session.run(None, dict(zip(names, given, strict=True)))
            for one, expected in zip(made, outputs, strict=True):
                np.testing.assert_allclose(one, expected, rtol=case.rtol, atol=case.atol)
    except Exception:  # whatever it throws, the case is not computed
        return False
    return True


def main(operators: Sequence[str]) -> None:
    """A line for every case that does not pass, a table of the operators, and the sums."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for operator, case in cases(operators):
        verdict = judged(case)
        kind = ("passed", "refused", "wrong").index(verdict.what)
        counts[operator][kind] += 1
        counts[operator][3] += 1
        counts[operator][4] += by_onnxruntime(case)
        if kind:
            print(f"{verdict.what}  {case.name.removeprefix('test_')}: {verdict.why}")
    print(f"\n{'operator':24} passed refused  wrong  cases  onnxruntime")
    for operator, row in sorted(counts.items()):
        print(f"{operator:24}" + "".join(f"{number:7}" for number in row))
    for title, chosen in (("without Cast", set(counts) - {"Cast"}), ("all", set(counts))):
        sums = np.sum([counts[operator] for operator in chosen], axis=0)
        print(f"{title:24}" + "".join(f"{number:7}" for number in sums))


if __name__ == "__main__":
    main(sys.argv[1:])
