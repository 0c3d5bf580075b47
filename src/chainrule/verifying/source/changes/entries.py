"""Entries and parts written otherwise: another index, one that stands still, another end of a slice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product

from chainrule.verifying.source.changes.change import Change, Rewriting
from chainrule.verifying.source.scope import entries_of, own

JOINERS = ("c_", "r_", "s_", "index_exp", "mgrid", "ogrid")  # NumPy reads np.c_ @ w, without [], for ever

AXES = ("-1", "0", "1", "2", "3", "-2")
MOST_MARGINS, MOST_BEGINNINGS, MOST_TAKEN = 6, 8, 8


class Entries(Rewriting):
    def beside(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.Subscript):
            yield from self.part(node)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "slice":
            yield from self.built(node) if 0 < len(node.args) < 4 else ()
        elif isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Load):
            yield from self.exchanged(node.elts)

    def part(self, node: ast.Subscript) -> Iterator[Change]:
        if isinstance(node.ctx, ast.Load) and getattr(node.value, "attr", "") not in JOINERS:
            text = self.of(node)
            yield self.instead("index_extra", 2, node, self.firm(node.value), wrong=self.of(node.slice))
            yield self.instead("squared", 2, node, f"({text} ** 2)", f"{text} ** 2")
        entries = entries_of(node)
        if getattr(node.value, "attr", "") == "shape":
            yield from self.axis(node.slice)
            return
        for entry in entries:
            for atom in self.scope.numbers:  # an index that stands still, or is another
                if atom.kind == "whole number" and atom.text != self.of(entry):
                    yield self.instead("index", 1, entry, atom.text)
                    if self.of(entry) == ":" and len(entries) > 1 and self.scope.numpy:
                        rows = f"{self.scope.numpy}.arange({atom.text})"
                        yield self.instead("index", 2, entry, rows)
            names = (atom for atom in self.scope.atoms.values() if atom.kind == "slice")
            if isinstance(entry, ast.Slice) or self.of(entry) in self.slices:
                for atom in names:  # one that is kept under a name
                    if atom.text != self.of(entry):
                        yield self.instead("index", 1, entry, atom.text)
            if isinstance(entry, ast.Slice):
                now = self.of(entry)
                for other in self.parts_taken if entry.lower or entry.upper else ():
                    if other != now:
                        yield self.instead("slice", 1, entry, other)
                for other in dict.fromkeys(self.others(entry)):
                    if other != now:
                        yield self.instead("slice", 2, entry, other)
            elif not isinstance(entry, ast.Constant):
                for by in (" - 1", " + 1"):
                    yield self.instead("index", 1, entry, self.firm(entry) + by)
                for atom in self.scope.numbers:  # of a window its beginning
                    if atom.kind == "whole number" and atom.text != self.of(entry):
                        yield self.instead("index", 2, entry, f"{atom.text} + {self.firm(entry)}")
                if len(entries) > 1:
                    yield self.instead("index", 2, entry, ":")
        if len(entries) > 1:
            yield from self.entered(node, entries)
            yield from self.exchanged([each for each in entries if not isinstance(each, ast.Slice)])
            cut = [each for each in entries if isinstance(each, ast.Slice) and (each.lower or each.upper)]
            yield from self.all_parts(cut)
            if len(cut) == 2 and isinstance(node.ctx, ast.Load):
                yield from self.windows(cut)
            yield from self.turned(entries)

    def entered(self, node: ast.Subscript, entries: Sequence[ast.expr]) -> Iterator[Change]:
        """The entry that is taken of another array, or the one before it or behind it along all axes."""
        now = [self.of(each) for each in entries]
        for index in self.entries_taken:
            if len(index) == len(now):
                for rank, by in ((1, 0), (2, -1), (2, 1)):
                    other = [shifted(each, by) if by else each for each in index]
                    if other != now and all(other):
                        yield self.instead("index", rank, node.slice, ", ".join(other), ", ".join(other))

    @cached_property
    def parts_taken(self) -> list[str]:
        """Slices with ends that stand in the function."""
        parts = (e for each in self.subscripts for e in entries_of(each) if isinstance(e, ast.Slice))
        return list(dict.fromkeys(self.of(e) for e in parts if e.lower or e.upper))[:MOST_TAKEN]

    @cached_property
    def entries_taken(self) -> list[tuple[str, ...]]:
        """Indices of single entries along several axes that stand in the function."""
        listed = (entries_of(each) for each in self.subscripts if isinstance(each.slice, ast.Tuple))
        plain = (each for each in listed if not any(isinstance(e, (ast.Slice, ast.Starred)) for e in each))
        return list(dict.fromkeys(tuple(map(self.of, each)) for each in plain))[:MOST_TAKEN]

    @cached_property
    def subscripts(self) -> list[ast.Subscript]:
        return [each for each in own(self.scope.node) if isinstance(each, ast.Subscript)]

    def axis(self, node: ast.expr) -> Iterator[Change]:
        """Of a shape another size; no size is the number of one."""
        for other in AXES if not isinstance(node, ast.Slice) else ():
            if other != self.of(node):
                yield self.instead("index", 1, node, other)

    def others(self, node: ast.Slice) -> list[str]:
        """Other ends, the other order, another part of as many."""
        lower, upper, step = ("" if x is None else self.of(x) for x in (node.lower, node.upper, node.step))

        def made(a: str, b: str, c: str) -> str:
            return f"{a}:{b}" + (f":{c}" if c else "")

        now = made(lower, upper, step)
        whole = [atom.text for atom in self.scope.numbers if atom.kind == "whole number"]
        others = [
            made("", upper, step),
            made(lower, "", step),
            made(lower, upper, ""),
            made(upper, lower, step),
        ]
        for by in (-1, 1):
            others += [made(shifted(lower, by), upper, step)] if lower else []
            others += [made(lower, shifted(upper, by), step)] if upper else []
            others += [made(shifted(lower, by), shifted(upper, by), step)] if lower and upper else []
        others += [] if lower or upper or step else ["1:", ":-1", "::-1"]
        others += {"1:": [":-1"], ":-1": ["1:"], "::-1": [":"]}.get(now, [])
        others += [made("", f"-{lower}", step)] if lower and not upper else []
        others += [made(f"-{upper}", "", step), made(upper, "", step)] if upper and not lower else []
        for name in whole if lower or upper else ():  # a window without its stride or its padding
            if name == lower:  # twice a step is it times a stride of 2 alone
                continue
            if lower and upper.startswith(lower):
                rest = upper.removeprefix(lower)
                others += [made(f"{lower} * {name}", f"{lower} * {name}{rest}", step)]
                others += [made(f"{lower} + {name}", f"{lower} + {name}{rest}", step)]
                continue
            more = f"{lower} + {name}" if lower else name
            others += [made(more, f"{upper} + {name}" if upper else "", step)]
            others += [made(lower, f"{upper} - {name}" if upper else f"-{name}", step)]
        others += [made(*ends, step) for size in self.margins(lower, upper, whole) for ends in cropped(size)]
        return others

    def all_parts(self, parts: Sequence[ast.Slice]) -> Iterator[Change]:
        """Of several axes the same other part: padding at both ends of rows and of columns."""
        lists = [self.others(each) for each in parts]
        if len(parts) < 2 or len(set(map(len, lists))) > 1:  # of another form each
            return
        for together in zip(*lists, strict=True):
            yield from self.together("slice", 3, parts, together)

    def windows(self, parts: Sequence[ast.Slice]) -> Iterator[Change]:
        """Windows as long as these that begin elsewhere on both axes."""
        whole = [atom.text for atom in self.scope.numbers if atom.kind == "whole number"][:MOST_BEGINNINGS]
        sizes = [self.length(each) for each in parts]
        if not all(sizes) or any(each.step is not None for each in parts):
            return
        lists = [
            [f":{size}", *(f"{name}:{name} + {size}" for name in whole if name != size)] for size in sizes
        ]
        for together in product(*lists):
            begins = {other.partition(":")[0] for other in together}
            corner = len(begins) == 1 and all(each.lower is None for each in parts)
            yield from self.together("slice", 1 if corner else 3, parts, together)

    def together(
        self, kind: str, rank: int, parts: Sequence[ast.expr], others: Sequence[str]
    ) -> Iterator[Change]:
        """Several parts written otherwise, of which those are told that differ."""
        pairs = zip(parts, others, strict=True)
        differ = [(each, other) for each, other in pairs if self.of(each) != other]
        if differ:
            pieces = tuple((*self.place.span(each), other) for each, other in differ)
            wrong = ", ".join(dict.fromkeys(self.of(each) for each, _ in differ))
            yield Change(kind, rank, wrong, ", ".join(dict.fromkeys(other for _, other in differ)), pieces)

    def length(self, node: ast.Slice) -> str:
        """Of a part, where it can be told: h of :h, of a:a + h and of -h:."""
        lower, upper = ("" if each is None else self.of(each) for each in (node.lower, node.upper))
        if lower and upper.startswith(f"{lower} + "):
            return upper.removeprefix(f"{lower} + ")
        if not lower and upper and upper[0] != "-":
            return upper
        return lower[1:] if lower[:1] == "-" and not upper else ""

    def turned(self, entries: Sequence[ast.expr]) -> Iterator[Change]:
        """All indices of loops counted from the end, or none of them."""
        texts = {id(each): self.of(each) for each in entries if not isinstance(each, ast.Slice)}
        last = re.compile(r"(.+) - (1 - (\w+)|(\w+) - 1)")
        found = {id(each): last.fullmatch(texts.get(id(each), "")) for each in entries}
        ends = [each for each in entries if found[id(each)] is not None]
        names = [each for each in entries if texts.get(id(each), "") in self.counted]
        for parts, new in (
            (ends, [m[3] or m[4] for each in ends if (m := found[id(each)]) is not None]),
            (names, [f"{self.counted[texts[id(each)]]} - 1 - {texts[id(each)]}" for each in names]),
        ):
            if len(parts) > 1:
                pieces = tuple((*self.place.span(each), n) for each, n in zip(parts, new, strict=True))
                wrong = ", ".join(texts[id(each)] for each in parts)
                yield Change("index", 2, wrong, ", ".join(new), pieces)

    @cached_property
    def counted(self) -> dict[str, str]:
        """Indices of loops, and how often each runs."""
        loops = (each for each in own(self.scope.node) if isinstance(each, ast.For))
        return {
            each.target.id: self.firm(each.iter.args[0])
            for each in loops
            if isinstance(each.target, ast.Name) and isinstance(each.iter, ast.Call)
            if getattr(each.iter.func, "id", "") == "range" and len(each.iter.args) == 1
        }

    @cached_property
    def slices(self) -> frozenset[str]:
        return frozenset(atom.text for atom in self.scope.atoms.values() if atom.kind == "slice")

    def built(self, node: ast.Call) -> Iterator[Change]:
        """A part that is made by slice(a, b), as one that stands in an index."""
        ends = (*node.args, None, None)[:3] if len(node.args) > 1 else (None, *node.args, None)
        part = ast.Slice(*ends)
        for other in dict.fromkeys(self.others(part)):
            new = ", ".join(each.strip() or "None" for each in other.split(":"))
            if new != ", ".join(self.of(each) for each in node.args):
                yield self.instead("slice", 2, node, f"slice({new})")

    def margins(self, lower: str, upper: str, whole: Sequence[str]) -> Sequence[str]:
        """What may be cut off at both ends, where something is cut off at one or both."""
        if not (lower or upper) or (lower and upper and not upper.startswith("-")):
            return ()
        ends = (re.sub(r"^-?(\d+ ?\* ?)?|( ?\* ?\d+)$", "", each) for each in (lower, upper))
        return [each for each in (*ends, *whole[:MOST_MARGINS]) if each.isidentifier()]


def shifted(text: str, by: int) -> str:
    """One more or less: t of t + 1."""
    if re.fullmatch(r"-?\d+", text):
        return str(int(text) + by) if int(text) + by or text[0] != "-" else ""
    found = re.fullmatch(r"(.*\S) ?([-+]) ?1", text)
    if found is not None and (found[2] == "+") == (by < 0):
        return found[1]
    return f"{text} {'+' if by > 0 else '-'} 1"


def cropped(size: str) -> Iterator[tuple[str, str]]:
    """So much at both ends, or at one of them, once or twice."""
    yield from ((size, f"-{size}"), ("", f"-{size}"), (size, ""), ("", f"-2 * {size}"), (f"2 * {size}", ""))
