"""Loads untrusted ONNX files."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import onnx
import onnx_ir as ir
from onnx import ModelProto, TensorProto
from onnx_ir.passes import common

from heatproof.evaluators.errors import HeatproofError, InvalidModelError
from heatproof.graphs.files import external as external_data
from heatproof.graphs.files.limits import Limits, all_tensors
from heatproof.graphs.files.operators import check_operators

Model: TypeAlias = ir.Model
"""A loaded model, by a name for those who hand it on and never look inside."""

NO_FILES: Mapping[str, Path] = MappingProxyType({})
DEFAULT_LIMITS = Limits()


def load_model(
    path: Path, *, external: Mapping[str, Path] = NO_FILES, limits: Limits = DEFAULT_LIMITS
) -> ir.Model:
    """Parses and checks an ONNX file that may be hostile.

    Weights in external files are mapped into memory, not read.

    Args:
        path: the model file.
        external: files uploaded with the model, by the location the model knows them under. No
            other file is ever opened.
        limits: bounds of this server.

    Returns:
        A model that `onnx.checker` accepts, whose tensors are complete.

    Raises:
        InvalidModelError: the bytes are no ONNX model, are cut off, or break its rules.
        UnsupportedOperatorError: an operator is of an unknown domain or opset.
        LimitExceededError: the model is larger than `limits` allow.
    """
    try:
        return _load(path, external_data.normalized_files(external), limits)
    except HeatproofError:
        raise
    except Exception as error:
        # Parsers, converters and checkers have no common error for what is wrong with the bytes:
        # DecodeError, UnicodeDecodeError, ValueError, SerdeError, ValidationError and others.
        raise InvalidModelError(
            f"not a valid ONNX model: {_first_line(error)}; check the file with onnx.checker"
        ) from error


def _load(path: Path, files: Mapping[str, Path], limits: Limits) -> ir.Model:
    limits.check_bytes(sum(file.stat().st_size for file in (path, *files.values())))
    proto = _parse(path)
    limits.check_opset(proto)
    limits.check_size(proto)
    check_operators(proto)
    for tensor in all_tensors(proto):
        _check_tensor(tensor, files, limits)
    model = ir.from_proto(proto)
    common.CheckerPass()(model)
    _own_tensors(model)
    return model


def _parse(path: Path) -> ModelProto:
    data = path.read_bytes()
    if not data:
        raise InvalidModelError("the model file is empty; upload the .onnx file")
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's error class is not ours to import here
        raise InvalidModelError(
            "the file is no ONNX protobuf or is cut off; upload the complete .onnx file"
        ) from error
    graph = proto.graph
    if not (graph.node and graph.output):
        raise InvalidModelError("the file holds no ONNX graph with nodes and outputs; export again")
    if graph.sparse_initializer:
        raise InvalidModelError("sparse initializers are not supported; export dense weights")
    if proto.ir_version > onnx.IR_VERSION:
        raise InvalidModelError(
            f"the model has IR version {proto.ir_version}; the newest supported is "
            f"{onnx.IR_VERSION}: export it with an older onnx"
        )
    return proto


def _own_tensors(model: ir.Model) -> None:
    """Copies weights out of the parsed message, which would hand out a new copy at every read."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.TensorProtoTensor):
                value.const_value = _owned(value.const_value)
        for node in graph:
            for name, attribute in list(node.attributes.items()):
                if isinstance(attribute.value, ir.TensorProtoTensor):
                    node.attributes[name] = ir.AttrTensor(name, _owned(attribute.value))


def _owned(tensor: ir.TensorProtoTensor) -> ir.TensorProtocol:
    return ir.Tensor(tensor.numpy(), dtype=tensor.dtype, shape=tensor.shape, name=tensor.name)


def _check_tensor(tensor: TensorProto, files: Mapping[str, Path], limits: Limits) -> None:
    """Checks that the data of a tensor are there, and resolves external ones."""
    if tensor.data_location == TensorProto.EXTERNAL:
        external_data.resolve(tensor, files, limits)
    elif tensor.data_type != TensorProto.STRING:
        size = external_data.stored_bytes(tensor)
        limits.check_tensor(tensor.name, size)
        if tensor.HasField("raw_data") and len(tensor.raw_data) != size:
            raise InvalidModelError(
                f"tensor {tensor.name!r} has {len(tensor.raw_data)} bytes, its shape needs {size}"
            )
        if not tensor.HasField("raw_data"):
            ir.from_proto(tensor).numpy()  # raises when elements are missing


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
