"""Families of operators of ai.onnx: the types of which traits and rules speak together."""

from typing import Final

Family = tuple[str, ...]

ACTIVATIONS: Final[Family] = (
    *("Celu", "Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish"),
    *("Relu", "Selu", "Shrink", "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh"),
    "ThresholdedRelu",
)
"""Functions of one tensor between layers."""

COPIES: Final[Family] = ("Cast", "CastLike", "Identity")
"""The same numbers, as far as the element type holds them."""

STEPS: Final[Family] = ("Ceil", "Floor", "Round", "Sign")

FINITE_FUNCTIONS: Final[Family] = (
    *ACTIVATIONS, *COPIES, *STEPS,
    *("Abs", "Asinh", "Atan", "BitwiseNot", "Cos", "Neg", "Not", "Sin"),
)  # fmt: skip
"""Functions of one tensor without poles."""

POLES: Final[Family] = (
    *("Acos", "Acosh", "Asin", "Atanh", "Cosh", "Exp", "Log", "Reciprocal", "Sinh", "Sqrt", "Tan"),
)
"""Functions of one tensor that are infinite or NaN, or overflow, for some finite numbers."""

TESTS: Final[Family] = ("IsInf", "IsNaN")

COMPARISONS: Final[Family] = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")

LOGIC: Final[Family] = ("And", "Or", "Xor")

BITWISE: Final[Family] = ("BitwiseAnd", "BitwiseOr", "BitwiseXor")

ARITHMETIC: Final[Family] = ("Add", "Div", "Mul", "PRelu", "Sub")

EXTREMES: Final[Family] = ("Max", "Min")

POOLS: Final[Family] = ("AveragePool", "LpPool", "MaxPool")

GLOBAL_POOLS: Final[Family] = ("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")

REDUCTIONS: Final[Family] = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
    *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
)

CONVOLUTIONS: Final[Family] = ("Conv", "ConvTranspose")

INTEGER_CONVOLUTIONS: Final[Family] = ("ConvInteger", "QLinearConv")

PRODUCTS: Final[Family] = ("Einsum", "Gemm", "MatMul")

INTEGER_PRODUCTS: Final[Family] = ("MatMulInteger", "QLinearMatMul")

VIEWS: Final[Family] = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""The same numbers in another arrangement of axes."""

BLOCK_MOVES: Final[Family] = ("DepthToSpace", "SpaceToDepth")

SELECTIONS: Final[Family] = (
    *("Concat", "Expand", "Gather", "GatherElements", "GatherND", "Pad", "Slice", "Split", "Tile"),
    *("TopK", "Trilu", "Where", "Compress"),
)
"""They hold numbers of their operands, and none of their own but zeros and given ones."""

SCATTERS: Final[Family] = ("ScatterElements", "ScatterND")

AFFINE_NORMALIZATIONS: Final[Family] = (
    *("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization"),
)
"""They scale and shift what they normalize by their second and third operand."""

NORMALIZATIONS: Final[Family] = (
    *AFFINE_NORMALIZATIONS,
    *("MeanVarianceNormalization", "RMSNormalization"),
)

QUANTIZATION: Final[Family] = ("DequantizeLinear", "QuantizeLinear")

EXTENTS: Final[Family] = ("EyeLike", "Shape", "Size")
"""They read how large a tensor is, not what it holds."""

RANDOM: Final[Family] = (
    *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"),
    *("RandomUniform", "RandomUniformLike"),
)
