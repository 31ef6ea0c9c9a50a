"""Operators that are refused by name, and why."""

import onnx_ir as ir

_CONTROL_FLOW = (
    "control flow is not differentiated; export the model with fixed sizes, so that its branches "
    "are decided and its loops unrolled"
)
_RECURRENT = (
    "recurrent layers are not differentiated; explainers without gradients, such as occlusion and "
    "rise, work"
)
_QUANTISED = (
    "rounding to integers has derivative zero wherever it exists; differentiate the model as it "
    "was before quantisation, or use explainers without gradients, such as occlusion and rise"
)
_SAMPLED = (
    "it reads at computed places between the cells, and ONNX has no operator for the transpose of "
    "that; explainers without gradients, such as occlusion and rise, work"
)
_TRAINED = "it may be in training mode, or its mask is read; export the model with model.eval()"
_RANDOM = "it draws random numbers; export the model with model.eval()"

_REASONS: dict[str, str] = {
    **dict.fromkeys(("If", "Loop", "Scan", "SequenceMap"), _CONTROL_FLOW),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _RECURRENT),
    **dict.fromkeys(("DeformConv", "GridSample", "MaxRoiPool", "RoiAlign"), _SAMPLED),
    "Dropout": _TRAINED,
    **dict.fromkeys(("Bernoulli", "Multinomial"), _RANDOM),
}
_QUANTISED_FAMILIES = (
    *("ConvInteger", "MatMulInteger"),
    *("DequantizeLinear", "DynamicQuantize", "QuantizeLinear"),
    *("QGemm", "QLinear"),
)


def is_quantized(node: ir.Node) -> bool:
    """Whether a node computes with integers that stand for real numbers."""
    return node.op_type.startswith(_QUANTISED_FAMILIES)


def reason_against(node: ir.Node) -> str | None:
    """Why a node is refused whatever the table of rules holds; None if it is not."""
    return _QUANTISED if is_quantized(node) else _REASONS.get(node.op_type)
