"""Lines of a function that are too many, too early, too late, or within a loop and belong behind it."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

from chainrule.verifying.source.changes.change import Change, Rewriting
from chainrule.verifying.source.scope import entries_of, own

NOT_AN_INDEX = (ast.Slice, ast.Constant, ast.Starred)
FARTHEST = 4  # lines that one is moved by
Block = Sequence[ast.stmt]


class Statements(Rewriting):
    """Those of one function."""

    def __iter__(self) -> Iterator[Change]:
        if isinstance(self.scope.node, ast.Lambda):
            return
        yield from self.within(self.scope.node.body)
        for node in own(self.scope.node):
            for name in ("body", "orelse"):
                block = getattr(node, name, None)
                if isinstance(node, (ast.For, ast.If, ast.With)) and block:
                    yield from self.within(block)
            if isinstance(node, ast.For):
                yield from self.parted(node.body)
                yield from self.handed(node)

    def within(self, block: Block) -> Iterator[Change]:
        alone = [each for each in block if self.on_its_own(each)]
        for number, each in enumerate(block):
            if each not in alone or isinstance(each, (ast.Pass, ast.FunctionDef)):
                continue
            if isinstance(each, ast.AugAssign):
                yield from self.again(each)
            if not isinstance(each, ast.Return):
                yield Change("line_extra", 2, self.of(each), "", ((*self.place.span(each), "pass"),))
            for step in range(1, FARTHEST + 1):
                if number + step < len(block) and not isinstance(each, (ast.Return, ast.Break)):
                    yield from self.moved(block[number : number + step + 1])
            yield from self.around(block, number)

    def parted(self, block: Block) -> Iterator[Change]:
        """c = c + g here and c = c * a at the end of a step, for c = c * a + g: a is of the step, not of the
        one after it.
        """
        for each in block[:-1]:
            value = each.value if isinstance(each, ast.Assign) and len(each.targets) == 1 else None
            if not isinstance(value, ast.BinOp) or not isinstance(value.op, (ast.Add, ast.Sub)):
                continue
            name = self.of(each.targets[0]) if isinstance(each, ast.Assign) else ""
            sides = [value.left, value.right] if isinstance(value.op, ast.Add) else [value.left]
            carried = [side for side in sides if _carries(side, name)]
            if len(carried) != 1 or not (self.on_its_own(each) and self.on_its_own(block[-1])):
                continue
            lead, end = " " * each.col_offset, self.end(block[-1])
            line = f"{name} = {self.of(carried[0])}"
            pieces = ((*self.place.span(carried[0]), name), (end, end, f"\n{lead}{line}"))
            yield Change("carried_early", 3, self.of(carried[0]), line, pieces)

    def handed(self, loop: ast.For) -> Iterator[Change]:
        """At the end of a step what is handed to the next: multiplied by another, or set at all."""
        last = loop.body[-1]
        if not self.on_its_own(last) or not self.on_its_own(loop):
            return
        names = [each for node in loop.body for each in (node, *own(node)) if isinstance(each, ast.Name)]
        stored = {each.id for each in names if isinstance(each.ctx, ast.Store)}
        arrays = {atom.text: atom for atom in self.scope.arrays}
        lead = " " * last.col_offset
        for name in dict.fromkeys(each.id for each in names if isinstance(each.ctx, ast.Load)):
            mine = arrays.get(name)
            if mine is None or name not in self.scope.stored:
                continue
            alike = [each for each in arrays.values() if each.text != name and each.like(mine)]
            if name in stored:
                lines = [f"{name} = {name} * {f}" for a in alike for f in (a.text, f"(1 - {a.text})")]
            else:
                new = [each for each in alike if each.text in stored]
                lines = [f"{name} = {each.text}" for each in new]
                lines += [f"{name} = {a.text} * {b.text}" for a in new for b in alike if a is not b]
                lines += [f"{name} = {each}" for each in self.matrices(stored, mine.shape)]
            for line in lines:
                pieces = ((self.end(last), self.end(last), f"\n{lead}{line}"),)
                early = name in stored and line.rpartition(" ")[2] in stored
                yield Change("line_missing", 3 - early, self.of(last).partition("\n")[0], line, pieces)

    def matrices(self, stored: Collection[str], shape: tuple[int, ...]) -> Iterator[str]:
        """Products, of a shape, of what a loop sets and a matrix."""
        arrays = self.scope.arrays
        matrices = [(each.text, each.shape) for each in arrays if len(each.shape) == 2]
        matrices += [(f"{text}.T", (b, a)) for text, (a, b) in matrices]
        for each in arrays if len(shape) in (1, 2) else ():
            for text, (rows, columns) in matrices if each.text in stored else ():
                if each.shape == (*shape[:-1], rows) and columns == shape[-1]:
                    yield f"{each.text} @ {text}"
                if each.shape == (columns, *shape[1:]) and rows == shape[0]:
                    yield f"{text} @ {each.text}"

    def again(self, node: ast.AugAssign) -> Iterator[Change]:
        """The same line for another name, behind it."""
        lead = self.place.text[: self.place.span(node)[0]].rpartition(b"\n")[2].decode()
        for name in {each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)}:
            mine = self.scope.atoms.get(name)
            for other in self.scope.atoms.values() if mine is not None else ():
                if mine is not None and other.text != name and other.text.isidentifier() and other.like(mine):
                    line = re.sub(rf"\b{name}\b", other.text, self.of(node))
                    yield self.behind_it(node, line, lead)
        for line in self.elsewhere(node):
            yield self.behind_it(node, line, lead)

    def behind_it(self, node: ast.stmt, line: str, lead: str) -> Change:
        pieces = ((self.end(node), self.end(node), f"\n{lead}{line}"),)
        return Change("line_missing", 3, self.of(node), line, pieces)

    def elsewhere(self, node: ast.AugAssign) -> Iterator[str]:
        """The same line at another index that the function uses, added or subtracted."""
        if not isinstance(node.target, ast.Subscript) or not isinstance(node.op, (ast.Add, ast.Sub)):
            return
        whole, entries = ast.unparse(node.target.value), entries_of(node.target)
        parts = [each for each in own(self.scope.node) if isinstance(each, ast.Subscript)]
        used = [entry for each in parts for entry in entries_of(each) if not isinstance(entry, NOT_AN_INDEX)]
        slices = [
            ast.unparse(entry)
            for part in parts
            for entry in entries_of(part)
            if isinstance(entry, ast.Slice) and (entry.lower or entry.upper)
        ]
        for number, entry in enumerate(entries):
            part = isinstance(entry, ast.Slice) and (entry.lower or entry.upper)
            others = [*slices, ":-1", "1:"] if part else [ast.unparse(each) for each in used]
            for other in dict.fromkeys(others):
                if (isinstance(entry, ast.Slice) and not part) or other == ast.unparse(entry):
                    continue
                index = [ast.unparse(each) for each in entries]
                index[number] = other
                for sign in ("-", "+"):
                    yield f"{whole}[{', '.join(index)}] {sign}= {self.of(node.value)}"

    def moved(self, run: Block) -> Iterator[Change]:
        """The first of some lines behind the others, and the last before them."""
        if not all(map(self.on_its_own, run)) or isinstance(run[-1], ast.Return):
            return
        first, last = run[0], run[-1]
        gap = self.place.text[self.place.span(first)[1] : self.place.span(run[1])[0]].decode()
        pieces = (
            (self.place.span(first)[0], self.place.span(run[1])[0], ""),
            (*(self.end(last),) * 2, gap + self.of(first)),
        )
        yield Change("line_early", 3, self.of(first), self.of(last), pieces)
        if len(run) > 2:
            before = self.place.span(run[-2])[1]
            at = self.place.span(first)[0]
            pieces = ((at, at, self.of(last) + gap), (before, self.end(last), ""))
            yield Change("line_late", 3, self.of(last), self.of(first), pieces)

    def around(self, block: Block, number: int) -> Iterator[Change]:
        """A line out of the loop behind it, or before it; and one of beside the loop into it."""
        each = block[number]
        if isinstance(each, ast.For) and self.on_its_own(each):
            indent = " " * each.col_offset
            for inner in each.body if len(each.body) > 1 else ():
                if not self.on_its_own(inner) or isinstance(inner, ast.For):
                    continue
                gone, text = (*self.place.span(inner), "pass"), self.of(inner)
                behind = self.end(each)
                at_end = (behind, behind, f"\n{indent}{text}")
                if inner is each.body[-1]:
                    at_end = (gone[1], gone[1], f"\n{indent}{text}")
                yield Change("line_in_loop", 3, text, text, (gone, at_end))
                if not isinstance(inner, (ast.Return, ast.Break)):
                    yield Change("line_in_loop", 3, text, text, (gone, self.in_front(each, text)))
            for beside in block[number + 1 : number + 3]:
                if self.on_its_own(beside) and not isinstance(beside, (ast.Return, ast.For)):
                    inner_indent = " " * each.body[-1].col_offset
                    piece = (self.end(each), self.end(each), f"\n{inner_indent}{self.of(beside)}")
                    gone = (*self.place.span(beside), "pass")
                    yield Change("line_behind_loop", 3, self.of(beside), self.of(beside), (piece, gone))

    def end(self, node: ast.stmt) -> int:
        return self.place.span(node)[1]

    def on_its_own(self, node: ast.stmt) -> bool:
        """Whether nothing else stands on its lines, and none of its text is cut by lines of a string."""
        begin, end = self.place.span(node)
        lead = self.place.text[:begin].rpartition(b"\n")[2]
        rest = self.place.text[end:].partition(b"\n")[0].split(b"#")[0]
        return not lead.strip() and not rest.strip()


def _carries(node: ast.expr, name: str) -> bool:
    """Whether it is a product of what has this name."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Mult, ast.MatMult)):
        return False
    return name in (ast.unparse(node.left), ast.unparse(node.right))
