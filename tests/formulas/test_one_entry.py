"""A primitive is one entry: what its declaration names is there, and so are its second implementations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import chainrule
from chainrule.engine.compiler import Compiler, NoProgramError
from chainrule.engine.programs import summed
from chainrule.explaining.blocks import as_shown
from chainrule.formulas import Operation, Symbol, binders, rules, sum_samples
from chainrule.formulas.elements.entry_rules import entry_rules
from chainrule.formulas.expression import Expression
from chainrule.formulas.printing.places import layouts
from chainrule.formulas.rules import Binder, Rule, Trait
from tests.formulas.test_rules import EXAMPLES

SOURCES = Path(chainrule.__file__).parent
OPERATIONS: dict[str, Rule | Binder] = {**rules, **binders}
# Primitives of layers that have kernels of their own, or are computed by the host: no program has them.
NO_PROGRAM = {
    "arranged", "beside", "block_diagonal", "canvas", "chosen", "correlate", "count_positions",
    "count_labels", "count_values", "log_paths", "path_shares",
    "diagonal_blocks", "even_features", "every_feature", "features_between", "features_placed",
    "by_distance", "sloped", "sum_distances",
    "mean_parts", "spread_parts", "largest_parts", "placed_parts",
    "along", "first_features", "first_position", "flatten", "framed", "permuted", "reshaped",
    "shuffled", "tent", "unframed", "unshuffled",
    "gate", "gate_place", "inside", "interleave", "join_heads", "kernel_at", "kernel_place", "matmul",
    "max_positions", "mean_groups", "mean_samples", "merged", "mix_steps", "not_later", "odd_features",
    "one_hot", "other_features", "per_feature", "place", "repeat_heads", "seen_by", "sinusoids",
    "split_heads", "step_products", "sum_heads", "sum_near", "sum_steps", "swap_steps", "transpose", "turned",
    "unflatten", "window", "with_ones", "with_zero_bias", "without_bias",
}  # fmt: skip
NOT_IN_JAVASCRIPT = {"erf"}  # Math has none: a line with it is shown with four digits, as all are at first


# -- what is written where -----------------------------------------------------------------------------------


def script(file: str) -> str:
    return (SOURCES / "explaining/page" / file).read_text(encoding="utf-8")


def table(file: str, name: str) -> str:
    """An object of a script as text: read without Node too."""
    body = re.search(rf"\n  const {name} = \{{\n(.*?)\n  \}};", script(file), re.S)
    assert body is not None, (file, name)
    return body[1]


def keys(file: str, name: str) -> set[str]:
    """The names that begin the lines of such a table."""
    return set(re.findall(r"^ {4}(\w+)(?=[:,(])", table(file, name), re.M))


EVALUATED = keys("engine/primitives.js", "primitives") | keys("engine/primitives.js", "binders")
READ = keys("engine/elements.js", "RULES") | keys("engine/elements.js", "REDUCTIONS")
CALLED = {name: int(n) for name, n in re.findall(r"(\w+): (\d)", table("engine/elements.js", "FUNCTIONS"))}
SHOWN = set(re.findall(r"\w+", table("reading/lines.js", "FUNCTIONS")))


def has_program(name: str) -> bool:
    """Whether an example compiles: as a value, of a parameter, or as a sum that a gradient or a loss is."""
    rule = rules[name]
    symbols = tuple(map(Symbol, "abc"[: rule.evaluate.__code__.co_argcount]))
    tree = Operation(rule, symbols, tuple(sorted(EXAMPLES[name][0].options.items())))

    def compiles(trees: Callable[[], list[Expression]], bound: bool = True) -> bool:
        compiler = Compiler((), 4)
        for index, symbol in enumerate(symbols):
            if bound:
                compiler.bind(symbol.name, index, (4,))
            else:
                compiler.parameters[symbol.name] = (index, (4,))
        try:
            for one in trees():
                compiler.value(one)
            compiler.program()
        except NoProgramError:
            return False
        return True

    return (
        compiles(lambda: [tree])
        or compiles(lambda: [tree], bound=False)
        or compiles(lambda: [inner for inner, _ in summed(tree)])
        or compiles(lambda: [inner for inner, _ in summed(sum_samples(tree))])
    )


def layout_name(operation: Rule | Binder) -> str:
    return operation.layout if isinstance(operation.layout, str) else operation.layout[0]


# -- what is missing -----------------------------------------------------------------------------------------


def missing() -> Iterator[str]:
    """A line for every gap: the operation, what it lacks, and the file to write it in."""
    for name, operation in OPERATIONS.items():
        if layout_name(operation) not in layouts:
            yield f"{name}: no layout {layout_name(operation)!r}; write it in formulas/printing/layouts.py"
        if operation.entry is not None and operation.entry not in entry_rules:
            yield f"{name}: no rule {operation.entry!r}; write it in formulas/elements/entry_rules.py"
        if name not in EVALUATED:
            yield f"{name}: no second implementation; write it in explaining/page/engine/primitives.js"
        if operation.entry not in (None, "call") and name not in READ:
            yield f"{name}: no rule for its entries; write it in explaining/page/engine/elements.js"
        if Trait.CHOOSES in operation.traits and f'"{name}"' not in script("changing/nudge.js"):
            yield f"{name}: a kink nobody looks at; write it in explaining/page/changing/nudge.js"
    for name, rule in rules.items():
        if rule.entry == "call":
            yield from missing_of_function(name, rule.evaluate.__code__.co_argcount)
        if name not in NO_PROGRAM and not has_program(name):
            yield f"{name}: no program; write it in engine/compiler.py, or in NO_PROGRAM of this test"


def missing_of_function(name: str, operands: int) -> Iterator[str]:
    """What the lines of an entry need of a function of numbers."""
    if CALLED.get(name) != operands:
        yield f"{name}: write `{name}: {operands}` in FUNCTIONS of explaining/page/engine/elements.js"
    if name not in as_shown.FUNCTIONS:
        yield f"{name}: not of shown numbers; write it in FUNCTIONS of explaining/blocks/as_shown.py"
    if name not in SHOWN | NOT_IN_JAVASCRIPT:
        yield f"{name}: not of shown numbers; write it in FUNCTIONS of explaining/page/reading/lines.js"


def unused() -> Iterator[str]:
    """A line for everything that no operation asks for."""
    called = {name for name, operation in OPERATIONS.items() if operation.entry == "call"}
    moved = {name for name, operation in OPERATIONS.items() if operation.entry not in (None, "call")}
    entries = {operation.entry for operation in OPERATIONS.values()}
    named = {
        "printing/layouts.py": layouts.keys() - set(map(layout_name, OPERATIONS.values())),
        "elements/entry_rules.py": entry_rules.keys() - entries,
        "primitives.js": EVALUATED - OPERATIONS.keys(),
        "elements.js": READ - moved,
        "elements.js, FUNCTIONS": CALLED.keys() - called,
        "NO_PROGRAM": {name for name in NO_PROGRAM if name not in rules or has_program(name)},
    }
    yield from (f"{file}: {name}" for file, names in named.items() for name in sorted(names))


def test_every_operation_is_complete() -> None:
    found = list(missing())
    assert not found, "\n".join(found)


def test_nothing_is_written_that_no_operation_names() -> None:
    found = list(unused())
    assert not found, "\n".join(found)
