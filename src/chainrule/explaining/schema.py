"""What the document of a report is as JSON: its parts and their fields, schema 1 (decision 0008).

document.py makes it of facts, theta/form.py turns it into the form with Θ and back, outline/ reads it.
Shapes are in the order of the formulas, samples last, those of layers without the samples; indices count from
0.
A tensor is named by its id: "input", "y", "weights", "dense1" (its output), "delta:dense1", "dense1.W",
"gradient:dense1.W", "given:dropout1.mask", and "data gradient:dense1.W", which no document holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, TypeVar, cast, final

from chainrule.base.languages import SayRecord
from chainrule.checking import report
from chainrule.diagnosing.schema import Classed, FindingRecord, FlowRecord
from chainrule.formulas.elements import entry
from chainrule.formulas.exchange import JsonNumber, Node

SCHEMA = 1
T = TypeVar("T")

# -- formulas ------------------------------------------------------------------------------------------------


class PackedTrees(TypedDict):
    """Trees by their names; decision 0008 has those of a layer, a loss and a penalty."""

    nodes: list[Node]
    roots: dict[str, int]  # the number of a node


class PackedEquation(TypedDict):
    """left = right."""

    nodes: list[Node]
    left: int
    right: int


class PackedSide(TypedDict):
    """The right side of an equation whose left side is said elsewhere."""

    nodes: list[Node]
    right: int


# -- tensors -------------------------------------------------------------------------------------------------


class Statistics(TypedDict):
    """Of all entries of a tensor; 0 of an empty one."""

    min: JsonNumber
    mean: JsonNumber
    max: JsonNumber
    norm: JsonNumber  # Euclidean


class Tensor(TypedDict):
    """An array; without "data" it was too large for the document."""

    shape: list[int]
    dtype: Literal["float32", "float64"]  # of the data: float32 where that loses nothing
    stats: Statistics
    data: NotRequired[str]  # base64, little-endian, row-major
    origin: NotRequired[list[int]]  # the first index of every axis as it is printed; 0 where it is not there


# -- the model -----------------------------------------------------------------------------------------------


class Passage(TypedDict):
    """How a recurrent layer goes through time."""

    states: list[str]  # "h", "c": the first is its output
    outputs: Literal["last", "all"]
    reverse: bool
    truncate: int | None  # steps that δ goes back; None: all
    sizes: list[int]  # of every state
    sources: list[list[Any]]  # of its sequence and its first states in a row: begin, end, shape
    ends: bool  # whether its states stand in a row behind its output


class LayerRecord(Classed):
    """A layer of the graph."""

    name: str
    title: str  # as it is written in Python
    number: int  # l; an activation has that of the layer in front of it
    kind: Literal["leaf", "composite", "recurrent"]
    activation: bool
    input_shape: list[int]
    shape: list[int]
    parameters: dict[str, str]  # name in the formulas -> id
    learned: list[str]  # names of parameters; running means are not among them
    given: dict[str, str]  # what else the formulas are given: name -> id
    formulas: PackedTrees | None  # None where its own code takes no symbols
    join: NotRequired[str]  # "sum", "concat", "row", "product", ..., of a composite: how its ends are joined
    branches: NotRequired[list[list[LayerRecord]]]  # of a composite
    several: NotRequired[bool]  # of a composite whose branches read a value each
    reads: NotRequired[list[list[int]]]  # of a wiring, per branch: 0 what comes in, k what branch k puts out
    recurrent: NotRequired[Passage]  # of a recurrent layer


class Graph(TypedDict):
    """The network."""

    input_shape: list[int]
    layers: list[LayerRecord]


class LossPart(Classed):
    """The loss on the batch."""

    title: str
    pair: bool  # whether the output activation is one formula with the loss
    formulas: PackedTrees | None
    J: JsonNumber  # data + penalty
    data: JsonNumber
    penalty: JsonNumber
    per_sample: list[JsonNumber]  # without weights
    weights: str | None  # the id of the samples' weights, whose mean is 1


class ThetaPenalty(TypedDict):
    """A penalty on matrices Θ, whose column 0 it leaves out."""

    on: list[str]  # ids of the Θ that have such a column
    formulas: PackedTrees


class PenaltyPart(Classed):
    """The penalty."""

    title: str
    formulas: PackedTrees | None
    constants: dict[str, float]  # λ and others by name, and "training_size"
    on: list[str]  # the parameters it acts on
    theta: NotRequired[ThetaPenalty]


class ModelPart(TypedDict):
    """What computes: from these parts a page makes every number again."""

    graph: Graph
    tensors: dict[str, Tensor]
    loss: LossPart
    penalty: PenaltyPart | None


# -- pictures ------------------------------------------------------------------------------------------------


class MarkRecord(TypedDict):
    """A sign in a cell of a map."""

    row: int
    column: int
    kind: Literal["winner", "tie", "overlap"]
    text: str


@final
class CurvePicture(TypedDict):
    """f and f′ over the range of a layer's z, and the histogram of z."""

    kind: Literal["curve"]
    on: str
    layer: str
    z: list[JsonNumber]
    f: list[JsonNumber]
    df: list[JsonNumber]
    edges: list[JsonNumber]  # of the bins, one more than counts
    counts: list[int]


class TensorPicture(TypedDict):
    """What is shown of a tensor."""

    quantity: str  # its id
    on: str  # "forward", "backward" or "gradients": where it is shown
    values: NotRequired[list[list[list[JsonNumber]]]]  # what is shown, where the tensor has no data


@final
class MapsPicture(TensorPicture):
    """Two axes of a tensor as maps, one for each entry chosen of the others."""

    kind: Literal["maps"]
    axes: list[int]
    fixed: list[list[int]]  # of every map the indices of the other axes
    titles: list[str]
    left_out: int  # maps
    sample: NotRequired[int]  # of what has samples
    channels: NotRequired[int]  # at most so many maps


@final
class PoolPicture(TypedDict):
    """The input of a pooling layer: a channel with what won, and what lies in several windows."""

    kind: Literal["maps"]
    quantity: Literal["input of"]
    layer: str
    sample: int
    on: str
    axes: list[int]
    fixed: list[list[int]]
    titles: list[str]
    marks: list[MarkRecord]
    values: list[list[list[JsonNumber]]]


@final
class BarsPicture(TensorPicture):
    """A vector of several samples as bars."""

    kind: Literal["bars"]
    sample: int  # in focus
    samples: list[int]
    entries: list[int]
    left_out: int  # entries
    most: int  # at most so many entries


@final
class MatrixPicture(TensorPicture):
    """A matrix as numbers, its beginning and its end."""

    kind: Literal["matrix"]
    rows: list[int]
    columns: list[int]


# Each is written out: mypy narrows no union within a union by the keys that there are.
ShownPicture = MapsPicture | BarsPicture | MatrixPicture
ArrayPicture = MapsPicture | BarsPicture | MatrixPicture | PoolPicture
PictureRecord = MapsPicture | BarsPicture | MatrixPicture | PoolPicture | CurvePicture


# -- cards ---------------------------------------------------------------------------------------------------


class ElementRecord(TypedDict):
    """One entry of a formula as arithmetic; what has its default is left out."""

    kind: entry.Kind
    value: JsonNumber
    of: NotRequired[list[ElementRecord]]  # operands
    symbol: NotRequired[list[str]]  # of an entry: name, role and kind of its symbol
    name: NotRequired[str]  # of an entry: its intermediate; of a call: the function
    index: NotRequired[list[int]]
    count: NotRequired[int]  # of a sum: terms that are left out
    rest: NotRequired[JsonNumber]  # what they add up to


class WorkedElement(TypedDict):
    """An element that is worked out."""

    index: list[int]
    element: ElementRecord
    value: float
    why: SayRecord  # why this one


class PartRecord(PackedEquation):
    """A formula of a card."""

    part: str  # "forward", "delta", a parameter or a state; of a loss "value", "gradient", "residual"
    reference: str  # where it is derived: "Tutorial FC ①② · Ning Yu"
    why: SayRecord
    shapes: dict[str, list[int]]  # of its symbols and intermediates by name; "=" that of the result
    ranges: dict[str, int]  # index letter -> how many values it takes
    quantity: str  # the id of what it computes; "" where that is no tensor of the document
    worked: list[WorkedElement]
    said: NotRequired[SayRecord]  # of δ at the output: what comes before `why`
    general: NotRequired[PackedSide]  # of δ behind an activation: with f′ for what the activation has
    worked_left: NotRequired[list[str]]  # name, role and kind of the letter of a worked share
    step: NotRequired[int]  # of a recurrent layer: the step that is worked out


class CardHead(Classed):
    """What every card of a layer has."""

    layer: str
    number: int
    title: str
    input_shape: list[int]
    shape: list[int]
    reference: str
    depth: int  # of composites around it


@final
class RepeatCard(CardHead):
    """Of a layer like one before it."""

    repeats: str  # that layer


@final
class LayerCard(CardHead):
    """The derivation of a layer; without parts where its code takes no symbols."""

    tensors: dict[str, str]  # symbol of its formulas -> id
    forward: list[PartRecord]
    backward: list[PartRecord]  # δ and gradients; none of the output activation of a pair
    pictures: list[PictureRecord]


CardRecord = LayerCard | RepeatCard


# -- the two ends --------------------------------------------------------------------------------------------


class LossOfSample(TypedDict):
    """A row of the table of losses."""

    sample: int
    loss: float


class OutputTable(TypedDict):
    """Output by output of the sample in focus: an entry of every list for each of the rows."""

    rows: list[int]  # which outputs
    of: int  # how many there are
    a: list[JsonNumber]
    y: list[JsonNumber]
    by_a: list[JsonNumber]  # ∂/∂a of the sample's loss
    residual: list[JsonNumber]  # ∂/∂z of a pair, else ∂/∂a
    delta: list[JsonNumber]  # the same times weight / m
    z: NotRequired[list[JsonNumber]]
    literal: NotRequired[list[JsonNumber]]  # δ of a softmax read entry by entry, which is wrong


class Jacobian(TypedDict):
    """∂a_k/∂z_j of the sample in focus."""

    values: list[list[JsonNumber]]
    diagonal: bool


class LossCard(Classed):
    """The card between forward and backward pass."""

    title: str
    pair: str | None  # the class of the output activation that is one formula with the loss
    output: str  # the last layer
    parts: list[PartRecord]
    losses: list[LossOfSample]  # the largest first
    samples: int
    mean: float  # weighted
    outputs: OutputTable | None  # None where a sample's output is no vector
    jacobian: Jacobian | None  # None of a large one, and where it is no pair


class UpdateRow(TypedDict):
    """A parameter in a step of gradient descent, by norms."""

    theta: JsonNumber
    data: JsonNumber  # of the data's gradient
    penalty: JsonNumber  # of the penalty's gradient
    step: JsonNumber  # η times that of the whole gradient
    name: str


class WorkedStep(TypedDict):
    """One entry of the parameter that moves most."""

    name: str
    index: list[int]
    theta: float
    gradient: float
    after: JsonNumber


class PenaltyFormula(PackedEquation):
    """A formula of the penalty."""

    part: str  # "value" or "gradient"
    shapes: dict[str, list[int]]


class PenaltyCard(TypedDict):
    """What the penalty adds."""

    title: str
    parts: list[PenaltyFormula]
    adds: float  # to J
    training_size: int
    constants: dict[str, float]
    per_sample: bool  # whether it is divided by the size of the training set


class UpdateCard(TypedDict):
    """What is done with the gradients."""

    eta: float
    J_before: float
    J_after: JsonNumber
    worked: WorkedStep | None  # None without parameters
    rows: list[UpdateRow]
    penalty: NotRequired[PenaltyCard]  # where it acts on anything


# -- verdicts ------------------------------------------------------------------------------------------------


class WorstEntry(TypedDict):
    """The entry at which formula and difference are farthest apart."""

    index: list[int]
    analytic: float
    numeric: float


class CheckRow(TypedDict):
    """A gradient beside its differences; relative errors."""

    name: str  # a parameter, "input", or "everything" along one direction
    shape: list[int]
    kind: report.Kind
    entries: int  # compared
    max_error: JsonNumber
    step: JsonNumber  # h; 0 where there is none
    kinks: int  # entries passed over
    direction_error: JsonNumber | None  # None where no direction was tried
    reason: str
    worst: WorstEntry | None


@final
class CheckRecord(TypedDict):
    """The gradient check."""

    ok: bool
    samples: int  # the first of the batch
    relative_difference: JsonNumber  # ‖q − g‖ / ‖q + g‖
    tolerance: float
    computed_by: str
    rows: list[CheckRow]
    diagnosis: list[str]


@final
class NoCheck(TypedDict):
    """Why there is none."""

    reason: str


class Kernels(TypedDict):
    """How far the compiled kernels are from the formulas, in float64."""

    layers: dict[str, JsonNumber]  # the largest relative difference
    loss: float  # as they compute it


# -- what is looked up ---------------------------------------------------------------------------------------


class BoxRecord(TypedDict):
    """Formulas that belong together."""

    title: SayRecord
    equations: list[PackedEquation]
    letters: NotRequired[SayRecord]  # what s, d, p and q are


class LetterRow(TypedDict):
    """A quantity that every notation has a letter for."""

    meaning: SayRecord
    nodes: list[Node]
    root: int


class NotationTable(TypedDict):
    """What every notation can write."""

    letters: list[LetterRow]
    formulas: list[PackedEquation]  # of dense layers; none without one


class ChoiceRecord(TypedDict):
    """What a convention may be."""

    text: SayRecord
    source: str  # who has it so; "" for nobody in particular
    write: str  # code in backquotes that asks for it; "" where there is none


class ConventionRecord(TypedDict):
    """A convention that the network meets."""

    id: str
    option: SayRecord
    choice: ChoiceRecord  # in force
    others: list[ChoiceRecord]


class SlipRecord(TypedDict):
    """A place of a tutorial that is to be read otherwise."""

    id: str  # "2-15"
    reference: str  # its short name, "Dezeming"
    where: SayRecord
    kind: Literal["slip", "limit", "overclaim"]
    printed: SayRecord
    read_as: SayRecord


# -- the document --------------------------------------------------------------------------------------------


class Meta(TypedDict):
    """What was asked, and by what it was made."""

    chainrule: str  # versions
    numpy: str
    python: str
    dtype: str  # the network's own; all numbers of the document are float64
    precision: str  # the same, or bfloat16: of its products, not of those here
    seed: int | None  # of the network
    title: str  # the network's name
    network: str  # as it is written in Python
    loss: str
    penalty: str | None
    parameters: int  # how many numbers are learned
    sample: int  # in focus
    samples: int  # of the batch
    label: str  # y of the sample in focus
    training_size: int  # m of a penalty that is divided by it
    budget: int  # bytes of the page
    eta: float
    notation: str
    language: str  # "en", "zh", "en+zh"
    errata: bool  # whether those of every text are shown


class ThetaLayerRecord(TypedDict):
    """A dense layer that is written with Θ."""

    layer: str
    bias: bool
    penalised: bool  # whether a penalty is on its weights


class Replaced(TypedDict):
    """The parts of a document that the form with Θ has otherwise."""

    graph: Graph
    penalty: PenaltyPart | None
    boxes: list[BoxRecord]
    conventions: list[ConventionRecord]
    loss_card: LossCard
    update: UpdateCard
    check: CheckRecord | NoCheck | None
    flow: FlowRecord
    findings: list[FindingRecord]


class Apart(TypedDict):
    """What the form with Θ has replaced."""

    parts: Replaced
    tensors: dict[str, Tensor]
    cards: dict[str, CardRecord]  # by layer


class Document(ModelPart):
    """All that a report knows."""

    schema: int
    meta: Meta
    cards: list[CardRecord]  # in the order of the forward pass, branches behind their composite
    loss_card: LossCard
    update: UpdateCard
    check: CheckRecord | NoCheck | None  # None where none was asked for
    kernels: Kernels
    flow: FlowRecord
    findings: list[FindingRecord]  # the worst first
    boxes: list[BoxRecord]
    notation: NotationTable
    conventions: list[ConventionRecord]
    slips: list[SlipRecord]
    theta: NotRequired[list[ThetaLayerRecord]]  # in the form with Θ alone
    apart: NotRequired[Apart]  # with theta


def without(record: T, *names: str) -> T:
    """A record without fields that it may lack."""
    fields = cast(Mapping[str, object], record)
    return cast(T, {name: value for name, value in fields.items() if name not in names})
