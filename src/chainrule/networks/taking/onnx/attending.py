"""Attention that an exporter has taken apart, put together again: of a sequence to itself, or to another.

Around every softmax between two products of values: what the nodes make of unit vectors tells the matrices,
whatever the transposes and reshapes between them, and a layer is taken only where it computes on other
numbers what all the nodes do.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.layers import MultiHeadAttention
from chainrule.layers.sequences.attention import GIVEN
from chainrule.networks.taking.distances import TOLERANCE, relative
from chainrule.networks.taking.values import HIDDEN

MOST = 80  # nodes between x and the softmax: with sizes that are computed about 50
# What may stand between the weighted sums and the projection behind them, and behind that.
PASSING = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Cast", "Flatten"}
PRODUCTS = {"MatMul", "Gemm"}
SCALING = {"Mul", "Div", "Add", "Where"}  # between the scores and the softmax, masks among them
COMPARING = {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "Sign", "NonZero"}
PICKING = {"Slice", "Split", "Gather"}  # of projections that are made as one
HIDING = -9000.0  # what is added to a score and leaves nothing of it: exporters write -10000, -1e9, -inf


@dataclass(frozen=True)
class Attending:
    """Attention that nodes are, with its weights by our names, and the values that it reads: one that reads
    itself, or queries and keys, or these and values.

    padding: whether 1 hides a key, and which keys, (steps, keys), are seen where none is padding; the last
    value that is read says then which are.
    """

    layer: MultiHeadAttention
    weights: Mapping[str, Array]
    roots: tuple[str, ...]
    padding: tuple[bool, Array] | None = None


@dataclass(frozen=True)
class _Core:
    """The middle: queries, keys and values, what the softmax reads, and the weighted sums, by name."""

    q: str
    k: str
    v: str
    scores: tuple[str, str] | None  # the product of queries and keys, and what the softmax reads
    sums: str
    turned: bool  # whether keys have their steps last
    heads: tuple[int, int] | None = None  # of queries, and of keys, where they are not axes
    scale: float | None = None
    padding: str = ""  # what says which keys of a sample are padding
    mask: str = ""  # a constant that says which keys are seen, or is added to scores


@dataclass(frozen=True)
class _Hiding:
    """Whether 1 hides a key, the mask (1, keys) that hides none, and one that hides some."""

    hides: bool
    none: Array
    some: Array


class Attentions:
    """The nodes of a model, and what they compute on a sample of numbers."""

    def __init__(
        self,
        onnx: Any,
        opset: int,
        nodes: Sequence[Any],
        constants: Mapping[str, Any],
        given: Mapping[str, Array],
    ) -> None:
        """given: a batch of one sample, by the name of the model's input."""
        self.onnx, self.opset, self.given = onnx, opset, given
        self.nodes = [self._in_double(node) for node in nodes]
        self.constants = {
            name: value.astype(np.float64) if value.dtype == np.float32 else value
            for name, value in constants.items()
        }
        self.maker = {name: number for number, node in enumerate(nodes) for name in node.output if name}
        self.readers: dict[str, list[int]] = {}
        for number, node in enumerate(nodes):
            for name in dict.fromkeys(node.input if node.op_type != "Shape" else ()):
                self.readers.setdefault(name, []).append(number)
        self.varying = set(given)
        for node in nodes:
            if any(name in self.varying for name in node.input) and node.op_type != "Shape":
                self.varying.update(node.output)
        if any(node.op_type in ("Softmax", "Attention") for node in nodes):
            sizes = [node.output[0] for node in nodes if node.op_type == "Shape"]
            with contextlib.suppress(Exception):  # behind what onnx cannot compute no attention is found
                self.constants |= dict(zip(sizes, self._run(self.given, sizes), strict=True))

    def _in_double(self, node: Any) -> Any:
        """The node with numbers of 64 bits where it makes some of 32."""
        kinds, make = self.onnx.TensorProto, self.onnx.helper.make_node
        if node.op_type == "Cast" and node.attribute[0].i in (kinds.FLOAT, kinds.FLOAT16):
            return make("Cast", node.input, node.output, to=kinds.DOUBLE)
        filled = [held.t for held in node.attribute if node.op_type == "ConstantOfShape"]
        if filled and filled[0].data_type == kinds.FLOAT:
            number = self.onnx.numpy_helper.to_array(filled[0]).astype(np.float64)
            value = self.onnx.numpy_helper.from_array(number)
            return make("ConstantOfShape", node.input, node.output, value=value)
        return node

    def found(self) -> Iterator[tuple[str, Attending, set[int]]]:
        """(the name of the output, the layer, the nodes that make it)"""
        for number in range(len(self.nodes)):
            core = self._core(number)
            made = core and self._whole(core)
            if made:
                yield made

    def _core(self, number: int) -> _Core | None:
        node = self.nodes[number]
        at = {held.name: self.onnx.helper.get_attribute_value(held) for held in node.attribute}
        mask = node.input[3] if len(node.input) > 3 else ""
        alone = not any(node.input[4:]) and mask not in self.varying
        if node.op_type == "Attention" and alone:
            scale = at.get("scale")
            heads = (at["q_num_heads"], at["kv_num_heads"]) if "q_num_heads" in at else None
            q, k, v = node.input[:3]
            return _Core(q, k, v, None, node.output[0], False, heads, scale, mask=mask)
        if node.op_type != "Softmax":
            return None
        behind = self._passed(node.output[0])
        product = self._back(node.input[0])
        if behind is None or product is None:
            return None
        q, k = self.nodes[product].input
        scores = self.nodes[product].output[0], node.input[0]
        last, padding = self.nodes[behind], self._padding(*scores)
        return _Core(q, k, last.input[1], scores, last.output[0], True, padding=padding)

    def _padding(self, product: str, read: str) -> str:
        """What depends on the sample between the scores and the softmax, a number for every key: an input of
        the model, or where ids are one of them.
        """
        path, others = {product}, list[str]()
        nodes = [self.nodes[number] for number in sorted(self._between({product}, read))]
        for node in nodes:
            path |= set(node.output) if path & set(node.input) else set()
        for node in nodes:
            if path & set(node.output):
                others += [name for name in node.input if name in self.varying and name not in path]
        for _ in range(MOST if others else 0):
            maker = self.maker.get(others[0], -1)
            if others[0] in self.given or (maker >= 0 and self._compares_ids(maker)):
                return others[0]
            others = [name for name in self.nodes[maker].input if name in self.varying] if maker >= 0 else []
            if len(set(others)) != 1:
                break
        return ""

    def _compares_ids(self, number: int) -> bool:
        """Whether a node tells where ids that the model is given are one of them."""
        node = self.nodes[number]
        ids = [self.given[name] for name in node.input if name in self.given]
        return node.op_type == "Equal" and len(ids) == 1 and ids[0].dtype.kind == "i"

    def _passed(self, name: str) -> int | None:
        """The product of two values that the softmax is the first factor of."""
        names = [name]
        for _ in range(MOST):
            if not names:
                return None
            name = names.pop()
            for number in self.readers.get(name, ()):
                node = self.nodes[number]
                if node.op_type == "MatMul" and node.input[0] == name and node.input[1] in self.varying:
                    return number
                if node.op_type in {"Where", "Mul", "IsNaN", *PASSING}:
                    names.append(node.output[0])
        return None

    def _back(self, name: str) -> int | None:
        """The product of two values that the softmax's scores are made of."""
        names = [name]
        for _ in range(MOST):
            number = self.maker.get(names.pop(), -1) if names else -1
            if number >= 0:
                node = self.nodes[number]
                varying = [read for read in node.input if read in self.varying]
                if node.op_type == "MatMul" and len(varying) == 2:
                    return number
                names += varying if node.op_type in SCALING | PASSING else []
        return None

    def _whole(self, core: _Core) -> tuple[str, Attending, set[int]] | None:
        operands = (core.q, core.k, core.v)
        origins = tuple(self._origin(operand) for operand in operands)
        for end in self._ends(core.sums):
            if None not in origins and len(set(origins)) > 1:
                q, k, v = map(str, origins)
                made = self._matched(core, (q, k, v), end)
                if made is not None and not self._compares({q, k, v}, core.padding, end):
                    return end, made, self._between({q, k, v, core.padding}, end)
            for root, region in self._roots(operands):
                made = self._matched(core, (root,) * 3, end)
                if made is not None and not self._compares({root}, core.padding, end):
                    return end, made, region | self._between({root, core.padding}, end)
        return None

    def _origin(self, name: str) -> str | None:
        """The sequence that queries, keys or values are projected from, by one product."""
        products = 0
        for _ in range(MOST):
            if products and self._sequence(name):
                return name
            if name not in self.maker:
                return None
            node = self.nodes[self.maker[name]]
            varying = [read for read in dict.fromkeys(node.input) if read in self.varying]
            before = node.op_type in PICKING | {"Add", "Mul", "Div", "Concat"} and not products
            if node.op_type in PRODUCTS and not products:
                products = 1
            elif not (before or node.op_type in PASSING):
                return None
            if len(varying) != 1 and node.input[0] not in varying:
                return None
            name = varying[0]
        return None

    def _sequence(self, name: str) -> bool:
        """Whether a value is (samples, steps, features) of numbers."""
        try:
            (x,) = self._run(self.given, [name]) if name not in self.given else (self.given[name],)
        except Exception:  # what onnx cannot compute is no sequence of ours
            return False
        return x.ndim == 3 and len(x) == 1 and x.dtype.kind == "f"

    def _ends(self, name: str) -> list[str]:
        """The values that what attends may end in, the last first: one product and its bias behind it."""
        ends, products = [name], 0
        while len(self.readers.get(name, ())) == 1:
            node = self.nodes[self.readers[name][0]]
            alone = [read for read in node.input if read in self.varying] == [name]
            sizes = node.op_type in PASSING and node.input[0] == name
            if node.op_type in PRODUCTS and alone and not products:
                products += 1
            elif not (sizes or (node.op_type == "Add" and alone and products)):
                break
            name = node.output[0]
            ends.append(name)
        return ends[::-1]

    def _roots(self, operands: Sequence[str]) -> Iterator[tuple[str, set[int]]]:
        """The values that alone lead to queries, keys and values, the nearest first, and the nodes behind."""
        region: set[int] = set()
        edge = {name for name in operands if name in self.varying}
        while len(region) <= MOST:
            if len(edge) == 1:
                yield next(iter(edge)), set(region)
            number = max((self.maker.get(name, -1) for name in edge), default=-1)
            if number < 0:
                return
            region.add(number)
            edge |= {name for name in self.nodes[number].input if name in self.varying}
            edge -= set(self.nodes[number].output)

    def _between(self, roots: set[str], end: str) -> set[int]:
        """The nodes that make `end` of the roots."""
        wanted, nodes = {end}, set()
        for number in reversed(range(len(self.nodes))):
            if (wanted - roots) & set(self.nodes[number].output):
                nodes.add(number)
                wanted |= {name for name in self.nodes[number].input if name in self.varying}
        return nodes

    def _compares(self, roots: set[str], padding: str, end: str) -> bool:
        """Whether a node on the way compares numbers of the sequences, as a mask of steps that are 0 does: it
        is the same for almost all numbers, and drawn ones do not show it.
        """
        path = set(roots)
        for number in sorted(self._between({*roots, padding}, end)):
            node = self.nodes[number]
            if path & set(node.input) and node.op_type != "Shape":
                flags = [held.i for held in node.attribute if node.op_type == "Cast"]
                if node.op_type in COMPARING or flags == [self.onnx.TensorProto.BOOL]:
                    return True
                path |= set(node.output)
        return False

    # -- what the nodes compute ------------------------------------------------------------------------------
    def _run(self, given: Mapping[str, Array], wanted: Sequence[str]) -> list[Array]:
        """Values made of others that are given; raises whatever onnx does."""
        from onnx.reference import ReferenceEvaluator

        needed, nodes = set(wanted) - set(given), []
        for node in reversed(self.nodes):
            if needed & set(node.output) - self.constants.keys():
                nodes.append(node)
                needed = (needed - set(node.output)) | ({*node.input} - {"", *given})
        helper, tensor = self.onnx.helper, self.onnx.numpy_helper.from_array
        held = [name for name in needed if name in self.constants]
        constants = [tensor(np.asarray(self.constants[name]), name) for name in held]
        kinds = [(name, helper.np_dtype_to_tensor_dtype(value.dtype)) for name, value in given.items()]
        graph = helper.make_graph(
            nodes[::-1],
            "part",
            [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds],
            [helper.make_empty_tensor_value_info(name) for name in wanted],
            constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", self.opset)])
        return list(ReferenceEvaluator(model).run(list(wanted), dict(given)))

    def _matched(self, core: _Core, roots: tuple[str, str, str], end: str) -> Attending | None:
        try:
            return self._read(core, roots, end)
        except Exception:  # what onnx cannot compute, or is of other axes, is no attention of ours
            return None

    def _read(self, core: _Core, roots: tuple[str, str, str], end: str) -> Attending | None:
        rng, X = np.random.default_rng(0), dict[str, Array]()
        for root in dict.fromkeys(roots):
            (x,) = self._run(self.given, [root]) if root not in self.given else (self.given[root],)
            if x.ndim != 3 or len(x) != 1 or x.dtype.kind != "f":
                return None
            X[root] = rng.normal(size=x.shape)
        (_, steps, features), (_, keys, _) = X[roots[0]].shape, X[roots[1]].shape
        padding = self._hiding(core, X, keys) if core.padding else None
        with_all = X if padding is None else {**X, core.padding: padding.none}
        of_zero, rows, matrices, moved = self._projections(core, roots, X)
        heads, _, width = of_zero[0].shape
        fewer = len(of_zero[1])
        sizes = [part.shape for part in of_zero]
        if heads * width != features or sizes[1:] != [(fewer, keys, width)] * 2 or heads % fewer:
            return None
        more, learned = _more(*rows)
        scale, seen, added = self._scores(core, with_all, (steps, keys))
        scale = (scale or width**-0.5) * width**0.5
        weights = dict(zip(("W_q", "W_k", "W_v"), matrices, strict=True))
        biases = {"b_q": scale * of_zero[0][:, 0].ravel(), "b_v": of_zero[2][:, 0].ravel()}
        weights["W_q"] = scale * weights["W_q"]
        weights["W_o"], biases["b_o"] = self._projection(core, with_all, end)
        weights |= learned
        of_keys = (weights["W_k"], weights["W_v"], biases["b_v"], *learned.values())
        times = _repeats(heads, of_keys) if fewer == heads else 1
        fewer //= times
        shared = (("W_k", weights), ("W_v", weights), ("b_v", biases), *((name, weights) for name in learned))
        for key, held in shared:
            held[key] = held[key].reshape(fewer, times, width, -1)[:, 0].reshape(fewer * width, -1)
        biases["b_v"] = biases["b_v"].ravel()
        weights |= {name: weights[name].reshape(1, -1) for name in learned}
        (wanted,) = self._run(with_all, [end])
        sources = roots[:1] if len(set(roots)) == 1 else roots[:2] if roots[1] == roots[2] else roots
        turned = not all(np.allclose(part, part[:, :1]) for part in of_zero[:2]) or moved
        if turned or more:  # the first step is turned by no angle
            biases["b_k"] = of_zero[1][::times, 0].ravel()
        options: dict[str, Any] = {"bias": any(map(np.any, biases.values())), "rotary": turned, **more}
        weights |= biases if options["bias"] else {}
        if fewer < heads:
            options["key_value_heads"] = fewer
        if padding is not None:
            for layer, numbers in relative(heads, options, added, seen):
                return self._padded(core, roots, end, X, padding, layer, weights | numbers, seen)
            return None
        masks = self._masks(seen, steps, keys)
        for layer, numbers in (of for mask in masks for of in relative(heads, mask | options, added, seen)):
            x, read_by = X[roots[0]], layer
            if len(sources) > 1:
                read_by = layer.reading(tuple(X[root].shape[1:] for root in sources))
                x = np.concatenate([X[root].reshape(1, -1) for root in sources], axis=1)
            held = weights | numbers
            made = np.moveaxis(read_by.forward(np.moveaxis(x, 0, -1), **held), -1, 0)
            if made.shape == wanted.shape and np.allclose(
                made, wanted, rtol=TOLERANCE, atol=TOLERANCE * np.abs(wanted).max()
            ):
                return Attending(layer, held, sources)
        return None

    def _scores(
        self, core: _Core, given: Mapping[str, Array], pairs: tuple[int, int]
    ) -> tuple[float | None, Any, Any]:
        """What products of queries and keys are multiplied by, which keys of the sequence are seen, and what
        is added to their scores, by head; None where nothing says so.
        """

        def own(scores: Array) -> Array:
            return scores.reshape(-1, pairs[0], scores.shape[-1])[..., : pairs[1]]

        scale = core.scale
        if core.scores:
            product, read = core.scores
            (like,) = self._run(given, [product])

            def scored(number: float) -> Array:
                return own(self._run({**given, product: np.full_like(like, number)}, [read])[0])

            added, one = scored(0), scored(1)
            seen = (added > HIDING).all(axis=0)
            scale = float((one[:, seen] - added[:, seen]).flat[0]) if seen.any() else 1.0
        elif core.mask:
            (mask,) = self._run(given, [core.mask])
            mask = np.where(mask, 0.0, -np.inf) if mask.dtype == bool else mask
            added = own(np.broadcast_to(mask, (*mask.shape[:-2], pairs[0], mask.shape[-1])))
            seen = (added > HIDING).all(axis=0)
        else:
            return scale, None, None
        added = np.where(seen, added, 0)
        return scale, seen, added if np.abs(added).max() > TOLERANCE else None

    def _hiding(self, core: _Core, X: Mapping[str, Array], keys: int) -> _Hiding | None:
        """What masks of padding say; None where it is told neither way round."""
        known = self.given.get(core.padding)
        like = self._run(self.given, [core.padding])[0] if known is None else known
        if like.shape != (1, keys) or keys < 2:
            return None
        none = {}
        for number in (0, 1):
            mask = np.full(like.shape, number).astype(like.dtype)
            with np.errstate(all="ignore"):
                (read,) = self._run({**X, core.padding: mask}, [core.scores[1]])  # type: ignore[index]
            none[number] = not (read > HIDDEN).any()
        if none[0] == none[1]:
            return None
        hides = none[1]
        some = np.full(like.shape, int(not hides))
        some[0, 1:] = np.arange(1, keys) % 2 == hides
        nothing = np.full(like.shape, int(not hides))
        return _Hiding(hides, nothing.astype(like.dtype), some.astype(like.dtype))

    def _padded(
        self, core: _Core, roots: tuple[str, str, str], end: str, X: Mapping[str, Array],
        padding: _Hiding, layer: MultiHeadAttention, weights: Mapping[str, Array], seen: Any,
    ) -> Attending | None:  # fmt: skip
        """Attention whose last source says what is seen, where it computes on a mask that hides some keys
        what the nodes do.
        """
        some = padding.some
        sources = roots[:2] if roots[1] == roots[2] else roots
        (wanted,) = self._run({**X, core.padding: some}, [end])
        there = (some[0] == 0) if padding.hides else (some[0] != 0)
        table = np.asarray(seen) & there[None]
        made_of = copy.copy(layer)
        made_of.seen = GIVEN
        reading = made_of.reading((*(X[root].shape[1:] for root in sources), table.shape))
        parts = [*(X[root].reshape(1, -1) for root in sources), table.reshape(1, -1).astype(np.float64)]
        made = np.moveaxis(reading.forward(np.concatenate(parts, axis=1).T, **weights), -1, 0)
        near = TOLERANCE * np.abs(wanted).max()
        if made.shape != wanted.shape or not np.allclose(made, wanted, rtol=TOLERANCE, atol=near):
            return None
        return Attending(made_of, weights, (*sources, core.padding), (padding.hides, np.asarray(seen)))

    def _masks(self, seen: Array | None, steps: int, keys: int) -> Iterator[dict[str, Any]]:
        """What may say which keys are seen."""
        yield {}
        if steps > 1 or keys > 1:
            yield {"causal": True}
        if seen is not None and not seen.all():
            yield {"seen": seen}

    def _projections(
        self, core: _Core, roots: Sequence[str], X: Mapping[str, Array]
    ) -> tuple[list[Array], list[Array], list[Array], bool]:
        """What is made of zeros, (heads, steps, width), what stands behind the steps of keys and of values,
        and the matrices, of queries, keys and values; and whether one of them depends on its place.
        """
        moved, rows = False, dict[int, Array]()
        operands = (core.q, core.k, core.v)
        of_zero: list[Any] = [None] * 3
        matrices: list[Any] = [None] * 3
        for root, x in X.items():
            own = [place for place in range(3) if roots[place] == root]

            def made(numbers: Array, own: Sequence[int] = own, root: str = root) -> list[Array]:
                parts = self._run({**X, root: numbers}, [operands[place] for place in own])
                parts = [self._heads(core, part, place) for part, place in zip(parts, own, strict=True)]
                steps = numbers.shape[1]
                rows.update({place: part[:, steps:] for part, place in zip(parts, own, strict=True)})
                return [part[:, :steps] for part in parts]

            zeros, columns = made(np.zeros_like(x)), [list[Array]() for _ in own]
            for unit in np.eye(x.shape[-1]):
                of_unit = made(np.broadcast_to(unit, x.shape).copy())
                for held, part, zero in zip(columns, of_unit, zeros, strict=True):
                    held.append((part - zero)[:, 0].ravel())
                    moved = moved or not np.allclose(part - zero, (part - zero)[:, :1])
            for place, zero, held in zip(own, zeros, columns, strict=True):
                of_zero[place], matrices[place] = zero, np.stack(held, axis=1)
        return of_zero, [rows[1], rows[2]], matrices, moved

    def _heads(self, core: _Core, part: Array, place: int) -> Array:
        """Queries, keys or values of a sample as (heads, steps, features of a head)."""
        plain = part.reshape(-1, *part.shape[-2:]) if part.ndim > 2 else part[None]
        plain = np.swapaxes(plain, 1, 2) if place == 1 and core.turned else plain
        if core.heads and part.ndim == 3:  # the features lie side by side
            plain = np.moveaxis(plain.reshape(plain.shape[1], core.heads[place > 0], -1), 1, 0)
        return plain

    def _projection(self, core: _Core, X: Mapping[str, Array], end: str) -> tuple[Array, Array]:
        """(W_o, b_o): what is made of the weighted sums."""
        (sums,) = self._run(X, [core.sums])
        beside = core.heads is not None and sums.ndim == 3  # (1, T, F), not (heads, T, n)
        heads = core.heads[0] if core.heads and beside else int(np.prod(sums.shape[:-2]))
        width = sums.shape[-1] // heads if beside and heads else sums.shape[-1]

        def made(of: Array) -> Array:
            (z,) = self._run({**X, core.sums: of}, [end]) if end != core.sums else (of,)
            return np.asarray(z[0, 0])

        zero = made(np.zeros_like(sums))
        columns = []
        for head in range(int(heads or 1)):
            for feature in range(width):
                unit = np.zeros_like(sums)
                if beside:
                    unit[..., head * width + feature] = 1
                else:
                    unit.reshape(-1, *sums.shape[-2:])[head, :, feature] = 1
                columns.append(made(unit) - zero)
        return np.stack(columns, axis=1), zero


def _more(keys: Array, values: Array) -> tuple[dict[str, Any], dict[str, Array]]:
    """What stands behind the keys and values of a sequence, (heads, count, width): the options, and of a
    learned one its numbers by head.
    """
    count = keys.shape[1]
    options: dict[str, Any] = {}
    if count and not keys[:, -1].any() and not values[:, -1].any():
        options["zero_key_value"] = True
    if count == len(options):
        return options, {}
    if count > len(options) + 1:
        raise ValueError("more keys than ours have")
    return {**options, "key_value_bias": True}, {"k_0": keys[:, 0].ravel(), "v_0": values[:, 0].ravel()}


def _repeats(heads: int, arrays: Sequence[Array]) -> int:
    """How many heads beside each other have the same keys and values."""
    for times in range(heads, 1, -1):
        if heads % times == 0:
            blocks = [array.reshape(heads // times, times, -1) for array in arrays]
            if all(np.array_equal(block, np.broadcast_to(block[:, :1], block.shape)) for block in blocks):
                return times
    return 1


def attentions(
    onnx: Any, opset: int, nodes: Sequence[Any], constants: Mapping[str, Any], given: Mapping[str, Array]
) -> Iterator[tuple[str, Attending, set[int]]]:
    """Of a model's nodes those that are attention, if there is a softmax between products at all."""
    yield from Attentions(onnx, opset, nodes, constants, given).found()
