"""An ONNX file looked over before onnxruntime sees it: which operators, and nothing that unpacks to more than the file.

Only as much of protobuf is read as that takes: names of operators, and where weights lie. What cannot be read the plain
way is refused, so that onnxruntime never sees another graph than was looked at. Sizes of results, which no list of
operators bounds, are bounded in `classifier` by an allocator with a limit.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import CheckError

_MATHS = (
    "Abs Acos Add And ArgMax ArgMin Asin Atan BatchNormalization BitShift Cast CastLike Ceil Celu Clip Compress Concat Constant "
    "ConstantOfShape Cos Cosh CumSum DequantizeLinear Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather "
    "GatherElements GatherND Gelu Gemm Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax Identity "
    "InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max Mean "
    "MeanVarianceNormalization Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear Range Reciprocal ReduceL1 "
    "ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round "
    "Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign Split Sqrt "
    "Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor "
    "Conv GlobalAveragePool GlobalMaxPool MaxPool AveragePool If Scan"
)
_LEARNERS = (
    "ArrayFeatureExtractor Binarizer CategoryMapper FeatureVectorizer Imputer LabelEncoder LinearClassifier LinearRegressor "
    "Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor ZipMap"
)
OPERATORS = {"": frozenset(_MATHS.split()), "ai.onnx.ml": frozenset(_LEARNERS.split()), "com.microsoft": frozenset({"CDist"})}
"""What a classifier or a density of table rows is written with, by domain. No loop without an end, no chance, no files."""

DEEPEST = 2
"""How many graphs may stand inside one another: a branch or a scan in the graph, and one in that."""

_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15
_OP_TYPE, _ATTRIBUTE, _DOMAIN = 4, 5, 7
_A_TENSOR, _A_GRAPH, _A_TENSORS, _A_GRAPHS, _A_SPARSE = 5, 6, 10, 11, (22, 23)
_T_LOCATION, _T_ELSEWHERE = 14, (13,)


def check_graph(model: bytes, what: str) -> None:
    """Raises CheckError for what is no graph, or one that holds what no classifier needs; `what` names it."""
    data = memoryview(model)
    try:
        graphs = 0
        for number, value in fields(data):
            if number == _MODEL_FUNCTION:
                raise CheckError(f"{what} holds functions of its own; export it with plain operators (inlined)")
            if number == _MODEL_GRAPH:
                graphs += 1
                _check_nodes(part(value), what, 0)
    except (ValueError, IndexError) as error:
        raise CheckError(f"{what} cannot be loaded: it is no ONNX graph, or it is damaged; export it again") from error
    if not graphs:
        raise CheckError(f"{what} cannot be loaded: it is no ONNX graph, or it is damaged; export it again")


def _check_nodes(graph: memoryview, what: str, depth: int) -> None:
    if depth > DEEPEST:
        raise CheckError(f"{what} has graphs more than {DEEPEST} deep inside one another; export it without branches")
    for number, value in fields(graph):
        if number == _SPARSE:
            raise CheckError(f"{what} holds sparse weights, which unpack to any size; export it with plain ones")
        if number == _INITIALIZER:
            _check_tensor(part(value), what)
        elif number == _NODE:
            _check_node(part(value), what, depth)


def _check_node(node: memoryview, what: str, depth: int) -> None:
    kinds, domains, attributes = [b""], [b""], []
    for number, value in fields(node):
        if number == _OP_TYPE:
            kinds.append(bytes(part(value)))
        elif number == _DOMAIN:
            domains.append(bytes(part(value)))
        elif number == _ATTRIBUTE:
            attributes.append(part(value))
    kind, domain = kinds[-1].decode("utf-8", "replace"), domains[-1].decode("utf-8", "replace")
    domain = "" if domain == "ai.onnx" else domain
    if kind not in OPERATORS.get(domain, ()):
        name = "".join(c for c in (f"{domain}." if domain else "") + kind if c.isprintable())[:60]
        raise CheckError(f"{what} uses the operator {name or 'without a name'}, which no classifier of table rows needs; export it without")
    if domain == "ai.onnx.ml":  # a forest's million numbers; onnxruntime takes no graph and no sparse weights in these
        return
    for attribute in attributes:
        for number, value in fields(attribute):
            if number in _A_SPARSE:
                raise CheckError(f"{what} holds sparse weights, which unpack to any size; export it with plain ones")
            if number in (_A_TENSOR, _A_TENSORS):
                _check_tensor(part(value), what)
            elif number in (_A_GRAPH, _A_GRAPHS):
                _check_nodes(part(value), what, depth + 1)


def _check_tensor(tensor: memoryview, what: str) -> None:
    for number, value in fields(tensor):
        if number in _T_ELSEWHERE or (number == _T_LOCATION and value != 0):
            raise CheckError(f"{what} keeps weights in another file, which no hash covers; export it as one file")


def part(value: int | memoryview) -> memoryview:
    """A field that holds a part of the graph. Raises ValueError where it is a number."""
    if isinstance(value, int):
        raise ValueError("a number stands where a part of the graph should")
    return value


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Every field of a message: its number, and its value or bytes. Raises ValueError or IndexError for anything odd."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if tag >= 1 << 32 or not number:
            raise ValueError("no field has this number")
        if wire == _VARINT:
            value, at = varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = varint(data, at)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError("no field is of this kind")
        if size > end - at:
            raise ValueError("a part ends behind the whole")
        yield number, data[at : at + size]
        at += size


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at this place, and the place behind it. Raises IndexError or ValueError."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("no number is so long")
