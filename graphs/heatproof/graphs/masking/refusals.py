"""Why some operators have no masking rule, for the reader of an error."""

from types import MappingProxyType

_ATTENTION = "it weighs cells by other cells (query-key attention)"
_BY_CONTENT = "the model computes the places that it reads, so that hidden cells decide them"
_OPEN_SIZE = "the size of its result depends on the image's content"
_INTEGERS = (
    "it computes with integers, whose hidden cells cannot be filled; "
    "quantize in QDQ form (QuantFormat.QDQ of ONNX Runtime)"
)
_RECURRENT = "it reads cells one after another"
_WHOLE = "every number of its result depends on all cells"
_RANDOM = "its numbers are random, so that equal images get different answers"
_SEQUENCE = "tensors in sequences are not followed; export a Split into tensors"
_SCATTER = "it writes to places that other numbers choose"

REASONS = MappingProxyType(
    {
        **dict.fromkeys(("Attention", "LinearAttention", "MultiHeadAttention"), _ATTENTION),
        **dict.fromkeys(("AffineGrid", "DeformConv", "GridSample", "MaxRoiPool"), _BY_CONTENT),
        **dict.fromkeys(("RoiAlign",), _BY_CONTENT),
        **dict.fromkeys(("Compress", "NonZero", "Unique", "NonMaxSuppression"), _OPEN_SIZE),
        **dict.fromkeys(
            ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"), _INTEGERS
        ),
        **dict.fromkeys(("GRU", "LSTM", "RNN", "CausalConvWithState"), _RECURRENT),
        **dict.fromkeys(("DFT", "Det", "STFT"), _WHOLE),
        **dict.fromkeys(("Bernoulli", "Multinomial"), _RANDOM),
        **dict.fromkeys(("RandomNormalLike", "RandomUniformLike"), _RANDOM),
        **dict.fromkeys(("MaxUnpool", "Scatter", "ScatterElements", "ScatterND"), _SCATTER),
        **dict.fromkeys(("SplitToSequence", "SequenceConstruct", "SequenceInsert"), _SEQUENCE),
        **dict.fromkeys(("Col2Im", "ReverseSequence", "TensorScatter"), _SCATTER),
        "DynamicQuantizeLinear": (
            "it takes its scale from all cells, hidden ones included; quantize statically"
        ),
        "RotaryEmbedding": "it turns each cell by its place in a sequence",
        "Trilu": "it blanks cells by their places",
    }
)
"""Reason by type of operator, of ai.onnx unless QLinear or attention."""


def reason(op_type: str) -> str:
    """Why no rule covers an operator, as far as there is more to say."""
    known = REASONS.get(op_type)
    if known is None and op_type.startswith("QLinear"):
        known = _INTEGERS
    return known or "no masking rule covers it"
