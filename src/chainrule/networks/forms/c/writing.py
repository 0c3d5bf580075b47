"""The whole file: the memory that values take turns in, the layers in order, and what stands around them."""

from __future__ import annotations

import functools
import keyword
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.files.disk import write_text
from chainrule.base.scalars import check_flag
from chainrule.base.shown import clipped
from chainrule.data.preparation.scales import Numbers
from chainrule.layers import Composite, Dropout, Flatten, Identity, Layer
from chainrule.layers.structure import Masks, mask_behind, mask_for, run_branches
from chainrule.networks.forms.c.functions import needed
from chainrule.networks.forms.c.layers import Body, Place, write
from chainrule.networks.forms.c.training import check_dense, training
from chainrule.networks.forms.written import Unwritable, positions
from chainrule.networks.model import Model
from chainrule.version import __version__

# Joined entry by entry: two terms of C as one.
ENTRY_BY_ENTRY: dict[str, Callable[[str, str], str]] = {
    "product": lambda a, b: f"{a} * {b}",
    "maximum": lambda a, b: f"fmaxf({a}, {b})",
    "minimum": lambda a, b: f"fminf({a}, {b})",
    "quotient": lambda a, b: f"{a} / {b}",
    "power": lambda a, b: f"powf({a}, {b})",
}
SAME = (Identity, Dropout, Flatten)  # in a prediction the same numbers in the same order


def c_source(network: Model, path: str | os.PathLike[str] | None, prefix: str, training: bool) -> str:
    """The text of the header; arguments and errors as of `Network.to_c`."""
    if not isinstance(prefix, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix) or _taken(prefix):
        raise ArgumentError(
            f"to_c prefix is {clipped(describe(prefix))}: write a name of C such as 'net', of letters, "
            "digits and _"
        )
    if check_flag("to_c training", training):
        check_dense(network)
    text = _Writing(network, training).text()
    text = text.replace("net_", f"{prefix}_").replace("NET_", f"{prefix.upper()}_")
    if path is not None:
        write_text(path, text)
    return text


def _taken(prefix: str) -> bool:
    return keyword.iskeyword(prefix) or prefix in ("float", "int", "static", "const", "void", "double")


@dataclass
class _Memory:
    """Numbers of the work array that values take turns in: what is free, and how much there is."""

    free: list[tuple[int, int]] = field(default_factory=list)  # (first, size)
    size: int = 0

    def take(self, size: int) -> int:
        """The first free stretch of this size; the array grows where there is none."""
        for number, (first, room) in enumerate(self.free):
            if room >= size:
                self.free[number] = (first + size, room - size)
                return first
        self.size += size
        return self.size - size

    def give(self, first: int, size: int) -> None:
        """A stretch is free again, together with its free neighbours."""
        joined: list[tuple[int, int]] = []
        for start, room in sorted([*self.free, (first, size)]):
            if joined and sum(joined[-1]) == start:
                joined[-1] = (joined[-1][0], joined[-1][1] + room)
            elif room:
                joined.append((start, room))
        self.free = joined


class _Writing:
    def __init__(self, network: Model, training: bool) -> None:
        self.network, self.memory = network, _Memory()
        self.body = Body(learns=training, names=network.parameter_names)
        self.training = training
        self.held: dict[str, tuple[int, int]] = {}  # expression -> stretch of memory
        self.multiplications = 0

    # -- values ----------------------------------------------------------------------------------------------
    def place(self, shape: Sequence[int]) -> Place:
        first, size = self.memory.take(math.prod(shape)), math.prod(shape)
        name = f"(work + {first})"
        self.held[name] = (first, size)
        return Place(name, tuple(shape))

    def release(self, place: Place) -> None:
        if place.name in self.held:
            self.memory.give(*self.held.pop(place.name))

    # -- layers ----------------------------------------------------------------------------------------------
    def chain(self, layers: Sequence[Layer], given: Sequence[Place], shared: bool) -> Place:
        """The layers in order; shared: others read what is given after them."""
        x = given[0]
        for layer in layers:
            shape, several = self.network.shapes[str(layer.name)], isinstance(self.body.mask, Masks)
            if type(layer) in SAME:
                y = Place(x.name, shape)
            else:
                if isinstance(layer, Composite):
                    y = self.composite(layer, given, shape)
                else:
                    y = self.leaf(layer, x, shape)
                if not shared:
                    self.release(x)
                shared = False
            ends = len(shape) != 2 or (shape[0] != x.shape[0] and not several)
            if ends and not isinstance(self.body.mask, Masks):
                self.body.mask = None  # the steps end here
            x, given = y, (y,)
        return x

    def leaf(self, layer: Layer, x: Place, shape: tuple[int, ...]) -> Place:
        z = self.place(shape)
        if type(layer).mask is not Layer.mask and (steps := x.shape[0]):
            self.body.mask_place = self.place((steps,)).name
        self.body.lines.append(f"/* {layer.name}: {layer!r}, {x.shape} -> {shape} */".replace("*/ ", ""))
        read, behind = mask_for(layer, self.body.mask), mask_behind(layer, self.body.mask)
        self.body.mask = read
        try:
            write(self.body, layer, x, z, self.network.layer_parameters(layer))
        except Unwritable as error:
            raise ArgumentError(
                f"to_c cannot write {layer.name}, {layer!r}: it has {error}; use one of chainrule's layers, "
                "or an Activation whose f is written with chainrule.formulas"
            ) from None
        self.body.mask = behind if self.body.mask is read else self.body.mask
        self._count(layer, x, shape)
        return z

    def composite(self, layer: Composite, given: Sequence[Place], shape: tuple[int, ...]) -> Place:
        inner: list[Place] = []  # what the branches put out

        def branch(_: int, layers: Sequence[Layer], on: Sequence[Place]) -> Place:
            inner.append(self.chain(layers, on, True))
            return inner[-1]

        ends = run_branches(self.body, layer, given, branch)
        z, first, count = self.place(shape), 0, positions(shape)
        self.body.lines.append(f"/* {layer.name}: {layer.join} of {len(ends)} branches */")
        if layer.join in ENTRY_BY_ENTRY:
            entry = functools.reduce(ENTRY_BY_ENTRY[layer.join], [f"{end.name}[i]" for end in ends])
            self.body.lines.append(f"for (int i = 0; i < {math.prod(shape)}; i++) {z.name}[i] = {entry};")
        elif layer.join in ("concat", "row"):
            if layer.join == "row":
                ends = [Place(end.name, (math.prod(end.shape),)) for end in ends]
            for end in ends:
                self.body.call("beside", end.name, count, end.shape[-1], first, shape[-1], z.name)
                first += end.shape[-1]
        else:
            a, size = ends[0].name, math.prod(shape)
            for end in ends[1:]:
                self.body.call("add", a, end.name, size, z.name)
                a = z.name
            if len(ends) == 1:
                self.body.lines.append(f"for (int i = 0; i < {size}; i++) {z.name}[i] = {a}[i];")
        for end in {end.name: end for end in inner}.values():
            if end.name not in [x.name for x in given]:
                self.release(end)
        return z

    def _count(self, layer: Layer, x: Place, shape: tuple[int, ...]) -> None:
        weights = [array for array in self.network.layer_parameters(layer).values() if array.ndim > 1]
        each = sum(array.size for array in weights)
        if layer.passage == "weights":
            self.multiplications += each * positions(x.shape if "transpose" in layer.kind else shape)
        elif layer.passage == "recurrent" or layer.family == "attention":
            self.multiplications += each * x.shape[0]

    # -- the file --------------------------------------------------------------------------------------------
    def text(self) -> str:
        network, body = self.network, self.body
        a = self.chain(network.layers, [Place("x", network.input_shape)], True)
        outputs = math.prod(network.output_shape)
        body.lines.append(f"for (int i = 0; i < {outputs}; i++) a[i] = {a.name}[i];")
        scratch = f"    float *const scratch = work + {self.memory.size};\n" if body.scratch else ""
        work = max(self.memory.size + body.scratch, 1)
        lines = "".join(f"    {line}\n" for line in body.lines)
        train, training_work = training(network, body) if self.training else ("", 0)
        called = "".join([*body.functions.values(), lines, train])
        parts = [
            self._head(work),
            "#ifndef NET_H\n#define NET_H\n\n#include <float.h>\n#include <math.h>\n#include <stddef.h>\n",
            f"#define NET_INPUTS {math.prod(network.input_shape)}\n#define NET_OUTPUTS {outputs}\n"
            f"#define NET_WORK {work}\n"
            + (f"#define NET_TRAINING_WORK {training_work}\n" if self.training else ""),
            *self._classes(),
            *body.constants.values(),
            *needed(called),
            *body.functions.values(),
            "/* a from x; work holds NET_WORK numbers, and nothing that a later call needs */\n"
            "static void net_predict(const float x[NET_INPUTS], float a[NET_OUTPUTS],\n"
            "                        float work[NET_WORK]) {\n"
            f"{'' if 'work' in lines else '    (void)work;' + chr(10)}{scratch}{lines}}}\n",
            train,
            "#endif\n",
        ]
        return "\n".join(part for part in parts if part)

    def _classes(self) -> list[str]:
        classes = self.network.classes
        if classes is None:
            return []
        shown = ", ".join(_text(str(label)) for label in classes)
        return [f"#define NET_CLASSES {{{shown}}} /* static const char *const classes[] = NET_CLASSES; */\n"]

    def _head(self, work: int) -> str:
        network = self.network
        size = sum(array.size for array in network.parameters.values())
        lines = [
            f"{network.name or 'A network'}, written by chainrule {__version__}.",
            "Include it in one file; link with -lm.",
            "",
            "    float a[NET_OUTPUTS], work[NET_WORK];",
            "    net_predict(x, a, work);",
            "",
            f"x: {network.input_shape}, a: {network.output_shape}, row by row, the channels last.",
            f"{size:,} parameters ({4 * size:,} bytes of constants),",
            f"{work:,} numbers of work ({4 * work:,} bytes),",
            f"about {self.multiplications:,} multiplications and additions a prediction.",
            *self._prepared(),
        ]
        shown = "\n * ".join(line.replace("*/", "* /") for line in lines)
        return "/* " + shown.replace("* \n", "*\n") + "\n */"

    def _prepared(self) -> list[str]:
        known = self.network.preparation
        said = []
        if known is not None and known.inputs is not None and not isinstance(known.inputs, Numbers):
            said.append(f"x is what the network's preparation gives: {known.inputs.title}.")
        if known is not None and known.targets is not None:
            said.append("a is scaled as the targets were in training: (y - mean) / standard deviation.")
        return said


def _text(label: str) -> str:
    """A string of C: bytes of UTF-8, those beyond ASCII in octal."""
    plain = {ord('"'): '\\"', ord("\\"): "\\\\"}
    bytes_ = label.encode("utf-8")
    return '"' + "".join(plain.get(b, chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in bytes_) + '"'
