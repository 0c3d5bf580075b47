"""`verify`: is a backward pass that somebody wrote right, and if not, which mistake is it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.languages import SPACE, Say
from chainrule.base.scalars import check_count
from chainrule.base.types import Array
from chainrule.data.arrays import plain_array
from chainrule.formulas.calling import call_formula
from chainrule.formulas.evaluation import evaluate
from chainrule.formulas.expression import Expression, Over, Symbol, walk
from chainrule.formulas.printing import Equation, text
from chainrule.formulas.rules import Trait
from chainrule.formulas.tracing import Formulas, trace
from chainrule.layers import Layer, layer_classes
from chainrule.verifying.contract import broken
from chainrule.verifying.differences import MOST_ENTRIES, differences
from chainrule.verifying.hypotheses import Case, Formula, agree, close, factors, mistakes_in, orders
from chainrule.verifying.orientation import Form, Orientation, orient
from chainrule.verifying.places import place
from chainrule.verifying.probes import Probe, probes
from chainrule.verifying.saying.marked import marked
from chainrule.verifying.saying.schema import Answer
from chainrule.verifying.subject import Subject, parameters_of, subject_from
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding, Verdict

# Names of layers as other libraries write them.
ALIASES = {
    "linear": "Dense", "affine": "Dense", "fc": "Dense", "conv": "Conv2D", "maxpool": "MaxPool2D",
    "avgpool": "AveragePool2D", "averagepool": "AveragePool2D", "batchnorm1d": "BatchNorm",
    "batchnorm2d": "BatchNorm",
}  # fmt: skip
WORDS = {
    "pad": ("padding",), "kernel": ("kernel_size", "window"), "kernel_size": ("window",),
    "pool_size": ("window",), "size": ("window",), "eps": ("epsilon",),
}  # fmt: skip


def verify(
    given: Any,
    *,
    args: Sequence[Any],
    like: Layer | str | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    hint_level: int = 3,
    **options: Any,
) -> Verdict:
    """Whether a backward pass that somebody wrote is right, and if not, which mistake it is.

    given: (forward, backward), two functions in the style of CS231n: forward(*args) -> (out, cache),
        backward(dout, cache) -> a gradient per argument, in their order or in a dict; or an object with the
        methods forward and backward, whose parameters are W, b, gamma, ... and their gradients dW, db, ...
    args: arrays on which it works, the input first, then the parameters. Use sizes that differ from each
        other: what has the same size cannot always be told apart.
    like: the layer that it is meant to be: one of ours, MaxPool2D(2), or its name, "conv2d", with its options
        (stride=2, padding=1). None: the differences of its own forward are the only judge.
    names: of the arguments, for the messages. hint_level: how much is said, 0 to 3.

    Their code is run as it is, several times; isolating it is up to you. Raises ArgumentError and DataError
    for what cannot be run.
    """
    level = check_count("hint_level", hint_level, 0, 3)
    arrays = [plain_array(value, f"args[{number}]") for number, value in enumerate(args)]
    if not arrays:
        raise ArgumentError("args is empty: give the arrays on which forward is called, args=(x, W, b)")
    subject = subject_from(given, arrays, names)
    if len(subject.names) > len(arrays):
        arrays = [*arrays, *parameters_of(given)]
    judge = _Judge(subject, arrays, like, options, check_count("seed", seed, 0, np.inf))
    return judge.verdict(level)


@dataclass(eq=False)
class _Judge:
    """One call of verify."""

    subject: Subject
    args: list[Array]
    like: Layer | str | None
    options: dict[str, Any]
    seed: int
    tried: list[Probe] = field(default_factory=list)

    def verdict(self, hint_level: int) -> Verdict:
        subject, notes = self.subject, []
        out = subject.forward([value.copy() for value in self.args])
        orientation, findings = None, []
        if self.like is not None:
            meant = self.meant()
            orientation = orient(meant, self.named_options(meant), self.args, out)
            if orientation is None:
                findings.append(Finding("", TEXTS.say("forward", layer=self.title()), mistake="forward"))
            else:
                notes.append(TEXTS.say("judged.formula", layer=repr(orientation.layer)))
        if orientation is None:
            notes.append(TEXTS["judged.differences"])
        self.tried = tried = probes(self.args, subject.forward, orientation, self.seed)
        owed = list(broken(subject, tried[0]))
        findings += owed
        spoiled = {finding.name for finding in owed if finding.mistake != "wrong dtype"}
        cases = self.by_formula(orientation, tried) if orientation else self.by_differences(tried)
        unsure = False
        for name, case, formula in cases:
            if case is None:
                unsure |= name not in spoiled
            elif name not in spoiled:
                mistakes, note = self.judged(name, case, formula)
                findings += mistakes
                notes += note
        for name in self.silent(tried[0]):
            notes.append(TEXTS.say("judged.missing", name=name))
        answer: Answer = "wrong" if findings else "cannot tell" if unsure else "right"
        return Verdict(subject.title, answer, tuple(findings), tuple(notes), hint_level)

    # -- what is meant ---------------------------------------------------------------------------------------
    def meant(self) -> Any:
        """The layer, or the class that a name means."""
        if not isinstance(self.like, str):
            if not isinstance(self.like, Layer):
                raise ArgumentError(
                    f"like is {describe(self.like)}: write a layer, MaxPool2D(2), or its name"
                )
            return self.like
        word = self.like.lower().replace("_", "")
        by_word = {name.lower(): kind for name, kind in layer_classes.items()}
        kind = by_word.get(ALIASES.get(word, word).lower())
        if kind is None:
            raise ArgumentError(f"like is {self.like!r}; the layers are {', '.join(layer_classes)}")
        return kind

    def named_options(self, meant: Any) -> dict[str, Any]:
        """The options by our names. Raises ArgumentError for one that the layer does not take."""
        if isinstance(meant, Layer) and self.options:
            raise ArgumentError(
                f"like is {meant!r}, which has its options: leave out {', '.join(self.options)}"
            )
        accepted = () if isinstance(meant, Layer) else inspect.signature(meant).parameters
        named = {}
        for name, value in self.options.items():
            word = next((word for word in (name, *WORDS.get(name, ())) if word in accepted), None)
            if word is None:
                raise ArgumentError(
                    f"verify takes no {name!r} for {self.like}; its options are {', '.join(accepted)}"
                )
            named[word] = value
        return named

    def title(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.like}({options})" if isinstance(self.like, str) else repr(self.like)

    def silent(self, probe: Probe) -> list[str]:
        """Arguments of real numbers for which no gradient came back."""
        gradients = self.subject.backward([value.copy() for value in probe.args], probe.delta.copy())
        pairs = zip(self.subject.names, self.args, gradients, strict=True)
        return [name for name, value, gradient in pairs if gradient is None and value.dtype.kind == "f"]

    # -- what is right ---------------------------------------------------------------------------------------
    def by_formula(
        self, orientation: Orientation, tried: Sequence[Probe]
    ) -> Iterator[tuple[str, Case | None, Formula | None]]:
        """Every returned array beside our formula of it."""
        formulas = trace(orientation.layer)
        bindings, forms = [], []
        for probe in tried:
            shaped = _for_shapes(orientation, probe)
            bound = shaped.bindings(probe.args)
            bound["d"] = shaped.outputs.to_ours(probe.delta.astype(np.float64))
            with np.errstate(all="ignore"):
                z = np.asarray(call_formula(orientation.layer.forward, bound))
            bindings.append({**bound, "z": z, "a": z})
            forms.append(shaped)
        returned = self.returned(tried)
        equations = [("delta", orientation.place)]
        equations += [(name, number) for name, (number, _) in orientation.parameters.items()]
        for equation, number in equations:
            theirs = [gradients[number] for gradients in returned]
            if any(value is None for value in theirs):
                continue
            to_theirs = [
                (form.inputs if equation == "delta" else form.parameters[equation][1]).to_theirs
                for form in forms
            ]
            tree = formulas[equation]
            with np.errstate(all="ignore"):
                right = [f(np.asarray(evaluate(tree, b))) for f, b in zip(to_theirs, bindings, strict=True)]
            case = Case(
                [np.asarray(value) for value in theirs], right, [p.tied for p in tried], _sizes(bindings)
            )
            yield (
                self.subject.names[number],
                case,
                Formula(tree, bindings, to_theirs, _others(formulas, bindings)),
            )

    def by_differences(self, tried: Sequence[Probe]) -> Iterator[tuple[str, Case | None, Formula | None]]:
        """Every returned array beside the differences of their own forward, where these can be taken."""
        few = [probe for probe in tried if not probe.tied][:2]
        returned = self.returned(few)
        for number, name in enumerate(self.subject.names):
            if self.args[number].dtype.kind != "f" or any(
                gradients[number] is None for gradients in returned
            ):
                continue
            theirs, right = [], []
            for probe, gradients in zip(few, returned, strict=True):
                measured = differences(self.subject.forward, probe.args, number, probe.delta)
                value = np.asarray(gradients[number])
                if value.shape != probe.args[number].shape:
                    break
                plain = ~measured.kinks & np.isfinite(measured.values)
                entries, exact = measured.entries[plain], measured.values[plain]
                given = value.reshape(-1)[entries].astype(np.float64)
                near = np.abs(given - exact) <= 20 * measured.errors[plain] + 1e-6 * np.abs(exact).max(
                    initial=0.0
                )
                expected = value.astype(np.float64).reshape(-1).copy()
                expected[entries] = np.where(near, given, exact)
                theirs.append(value.astype(np.float64))
                right.append(expected.reshape(value.shape))
            if len(theirs) == len(few):
                sizes = [{"m": probe.args[0].shape[0]} for probe in few]
                yield name, Case(theirs, right, [False] * len(few), sizes), None

    def returned(self, tried: Sequence[Probe]) -> list[tuple[Array | None, ...]]:
        return [
            self.subject.backward([value.copy() for value in probe.args], probe.delta.copy())
            for probe in tried
        ]

    # -- what it is ------------------------------------------------------------------------------------------
    def judged(self, name: str, case: Case, formula: Formula | None) -> tuple[list[Finding], list[Say]]:
        """The finding on one array, none where it is right; and what is to be noted."""
        wrong = [number for number in range(len(case.theirs)) if not _same(case, number)]
        if not wrong:
            return [], []
        if all(case.tied[number] and self.at_kinks(name, case, number) for number in wrong):
            if formula is None or not _chooses(formula) or all(_same_mass(case, n) for n in wrong):
                return [], [TEXTS.say("judged.ties", name=name)]
            what = TEXTS.say("ties", name=name)
            return [Finding(name, what, why=TEXTS["mistake.every_tie"], mistake="every tie")], []
        number = next((n for n in wrong if not case.tied[n]), wrong[0])
        if not case.tied[number]:  # what their rule for ties is does not matter here
            kept = [n for n, tied in enumerate(case.tied) if not tied]
            case, number = case.only(kept), kept.index(number)
            formula = None if formula is None else formula.only(kept)
        return [self.finding(name, case, number, formula)], []

    def at_kinks(self, name: str, case: Case, number: int) -> bool:
        """Whether all wrong entries stand at kinks of their forward, between the slopes on both sides."""
        probe, argument = self.tried[number], self.subject.names.index(name)
        theirs, right = case.theirs[number], case.right[number]
        if theirs.shape != right.shape or theirs.size > MOST_ENTRIES:
            return False
        measured = differences(self.subject.forward, probe.args, argument, probe.delta)
        wrong = ~close(theirs, right).reshape(-1)[measured.entries]
        low, high = np.minimum(measured.left, measured.right), np.maximum(measured.left, measured.right)
        slack = 1e-3 * (1 + np.abs(high - low))
        value = theirs.reshape(-1)[measured.entries]
        between = (value >= low - slack) & (value <= high + slack)
        return bool((between & measured.kinks)[wrong].all())

    def finding(self, name: str, case: Case, number: int, formula: Formula | None) -> Finding:
        theirs, right = case.theirs[number], case.right[number]
        if theirs.shape != right.shape:
            shapes = {"shape": str(theirs.shape), "expected": str(right.shape)}
            return Finding(name, TEXTS.say("contract.shape", name=name, **shapes), mistake="wrong shape")
        wrong = ~close(theirs, right)
        worst = np.unravel_index(int(np.abs(theirs - right).argmax()), right.shape)
        index = "[" + ", ".join(str(int(i)) for i in worst) + "]"
        numbers = {
            "index": index,
            "yours": f"{theirs[worst] + 0.0:.6g}",
            "right": f"{right[worst] + 0.0:.6g}",
        }
        what = TEXTS.say("wrong", name=name, **numbers)
        about = {"zero": right == 0, "not_zero": right != 0}
        where = TEXTS.say("where.said", where=place(wrong, about))
        evidence = {**numbers, "entries": int(wrong.sum()), "of": wrong.size}
        for mistake in (*factors(case), *orders(case)):
            why = TEXTS.within("mistake")[mistake.kind].format(**mistake.values)
            fix = None if formula is None else TEXTS.say("fix.plain", formula=str(formula.tree))
            return Finding(name, what, where, why, fix, _word(mistake.kind, mistake.values), evidence)
        if formula is not None:
            for edits in mistakes_in(formula, case):
                sentences = [
                    TEXTS.within("mistake")[edit.kind.replace(" ", "_")].format(
                        part=edit.part, node=edit.node
                    )
                    for edit in edits
                ]
                right_form, wrong_form = both_written(formula.tree, edits[-1].tree)
                said = TEXTS.say("fix.instead", formula=right_form, wrong=wrong_form)
                if right_form == wrong_form:
                    said = TEXTS.say("fix.plain", formula=right_form)
                word = " and ".join(edit.kind for edit in edits)
                forms = marked(formula.tree, edits[-1].tree)
                return Finding(name, what, where, SPACE.join(sentences), said, word, evidence, forms)
        return Finding(name, what, where, None, None, "", evidence)


def both_written(right: Expression, wrong: Expression) -> tuple[str, str]:
    """Two formulas, each with those of its definitions that the other has not."""
    forms = []
    both = [[text(line) for line in Equation(Symbol("", ""), tree).definitions] for tree in (right, wrong)]
    for tree, lines, other in zip((right, wrong), both, both[::-1], strict=True):
        names = {line.partition(" = ")[0] for line in other}
        differs = [line for line in lines if line not in other and line.partition(" = ")[0] in names]
        forms.append(str(tree) + (f", with {', '.join(differs)}" if differs else ""))
    return forms[0], forms[1]


def _word(kind: str, values: Any) -> str:
    return f"factor {values['factor']}" if kind == "factor" else kind.replace("_", " ")


def _same(case: Case, number: int) -> bool:
    return agree([case.theirs[number]], [case.right[number]])


def _same_mass(case: Case, number: int) -> bool:
    """Whether at ties the same δ was handed on in all, only to other ones of the equal entries."""
    theirs, right = case.theirs[number], case.right[number]
    return theirs.shape == right.shape and bool(
        np.isclose(theirs.sum(), right.sum(), rtol=1e-6, atol=1e-9 * np.abs(right).sum())
    )


def _chooses(formula: Formula) -> bool:
    """Whether one of several entries is chosen, to which all of δ goes."""
    return any(isinstance(node, Over) and Trait.CHOOSES in node.traits for _, node in walk(formula.tree))


def _for_shapes(orientation: Orientation, probe: Probe) -> Orientation:
    """The orientation for a probe with another number of samples."""
    x = probe.args[orientation.place]
    inputs = Form(orientation.inputs.axes, tuple(x.shape[a] for a in orientation.inputs.axes), x.shape)
    outputs = orientation.outputs
    d = probe.delta
    moved = tuple(d.shape[a] for a in outputs.axes)
    ours = moved if len(outputs.ours) == len(moved) else (*outputs.ours[:-1], inputs.ours[-1])
    return replace(orientation, inputs=inputs, outputs=Form(outputs.axes, ours, d.shape))


def _sizes(bindings: Sequence[dict[str, Array]]) -> list[dict[str, int]]:
    """Per probe the numbers that factors are made of: m samples, n features out, P positions."""
    sizes = []
    for bound in bindings:
        z = bound["z"]
        positions = int(np.prod(z.shape[:-2]))
        counts = {"m": z.shape[-1], "n": z.shape[-2] if z.ndim > 1 else 1}
        sizes.append({**counts, **({"P": positions} if positions > 1 else {})})
    return sizes


def _others(formulas: Formulas, bindings: Sequence[dict[str, Array]]) -> list[Any]:
    """Symbols that may stand for another: those of the same shape."""
    bound = bindings[0]
    known = [symbol for name, symbol in formulas.symbols.items() if name in bound]
    return [symbol for symbol in known if symbol.name in ("x", "z", "a", "d")]


def assert_backward(given: Any, **arguments: Any) -> None:
    """For tests: AssertionError with the verdict unless the backward pass is right; arguments of `verify`."""
    verdict = verify(given, **arguments)
    if not verdict:
        raise AssertionError(str(verdict))
