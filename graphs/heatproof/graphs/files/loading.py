"""Loads untrusted ONNX files."""

import math
import textwrap
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import onnx
import onnx_ir as ir
from onnx import ModelProto, SparseTensorProto, TensorProto
from onnx_ir.passes import common

from heatproof.evaluators.errors import HeatproofError, InvalidModelError, NotFoundError
from heatproof.graphs.files import external as external_data
from heatproof.graphs.files.forms.operators import check_operators
from heatproof.graphs.files.forms.tidying import tidied
from heatproof.graphs.files.limits import Limits
from heatproof.graphs.files.notes import Note, add_notes
from heatproof.graphs.files.sequences import recall_sequences
from heatproof.graphs.files.tensors import stored_bytes
from heatproof.graphs.files.uploads import Bytes, uploaded_tensor
from heatproof.graphs.files.walking import Found, find

Model: TypeAlias = ir.Model
"""A loaded model, by a name for those who hand it on and never look inside."""

NO_FILES: Mapping[str, Path] = MappingProxyType({})
DEFAULT_LIMITS = Limits()

_LONGEST_NUMBER = 10
"""Bytes of a number in a protobuf message."""

_LONGEST_TEXT = 600
"""Characters of another library's message; some list a whole graph."""


def load_model(
    path: Path, *, external: Mapping[str, Path] = NO_FILES, limits: Limits = DEFAULT_LIMITS
) -> ir.Model:
    """Parses and checks an ONNX file that may be hostile.

    Weights in external files are mapped into memory, not read. What a model holds for training is
    dropped.

    Args:
        path: the model file.
        external: files uploaded with the model, by the location the model knows them under. No
            other file is ever opened, whatever the model names, wherever it names it.
        limits: bounds of this server.

    Returns:
        A model that `onnx.checker` accepts, whose tensors are complete.

    Raises:
        InvalidModelError: the bytes are no ONNX model, are cut off, or break its rules.
        NotFoundError: a file is not there any more.
        UnsupportedOperatorError: an operator is of an unknown domain or opset.
        LimitExceededError: the model is larger than `limits` allow.
    """
    try:
        return _load(path, external_data.opened_files(external), limits)
    except HeatproofError:
        raise
    except FileNotFoundError as error:
        raise NotFoundError(
            "the files of the model are gone: it was deleted meanwhile; upload it again"
        ) from error
    except Exception as error:
        # Parsers, converters and checkers have no common error for what is wrong with the bytes:
        # DecodeError, UnicodeDecodeError, ValueError, SerdeError, ValidationError and others.
        raise InvalidModelError(
            f"not a valid ONNX model: {_told(error)}; check the file with onnx.checker"
        ) from error


def _load(path: Path, files: Mapping[str, Bytes], limits: Limits) -> ir.Model:
    file_bytes = path.stat().st_size
    stored = file_bytes + sum(map(len, files.values()))
    limits.check_bytes(stored)
    proto = _parse(path)
    limits.check_opset(proto)
    limits.check_size(proto)
    tensors = list(find(proto, TensorProto))
    for tensor in tensors:
        _check_tensor(tensor, files, limits)
    limits.check_weights(sum(_bytes_of(found.message) for found in tensors), stored)
    limits.check_graph_bytes(file_bytes - sum(_weights_in_file(found.message) for found in tensors))
    proto.ClearField("training_info")
    _refuse_sparse(proto)
    notes = tidied(proto)
    check_operators(proto)
    model = ir.from_proto(proto)
    _refuse_references(model)
    _own_tensors(model, files)
    _infer_undeclared(model)
    common.CheckerPass()(model)
    add_notes(model, map(Note, notes))
    return model


def _refuse_references(model: ir.Model) -> None:
    """Refuses attributes that take the value of a function's, where there is no function."""
    for node in model.graph.all_nodes():
        for attribute in node.attributes.values():
            if attribute.is_ref():
                raise InvalidModelError(
                    f"node {node.name!r} ({node.op_type}): attribute {attribute.name!r} refers to "
                    f"{attribute.ref_attr_name!r} of a function, but the node is in none; export "
                    "the model again"
                )


def _infer_undeclared(model: ir.Model) -> None:
    """Finds the types of outputs that the file does not declare, as ONNX Runtime does."""
    if any(value.type is None or value.shape is None for value in model.graph.outputs):
        common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=False)(model)
        recall_sequences(model)


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
    if proto.ir_version > onnx.IR_VERSION:
        raise InvalidModelError(
            f"the model has IR version {proto.ir_version}; the newest supported is "
            f"{onnx.IR_VERSION}: export it with an older onnx"
        )
    return proto


def _file_of(tensor: ir.ExternalTensor, files: Mapping[str, Bytes]) -> Bytes:
    return external_data.uploaded(str(tensor.location), tensor.name, files)


def _refuse_sparse(proto: ModelProto) -> None:
    for found in find(proto, SparseTensorProto):
        raise InvalidModelError(
            f"sparse tensors are not supported, but {found.place} is one; export dense weights"
        )


def _own_tensors(model: ir.Model, files: Mapping[str, Bytes]) -> None:
    """Takes every tensor out of the parsed message, which would hand out a new copy at every read.

    Raises:
        InvalidModelError: an external tensor lies in a file that was not uploaded.
    """
    pending: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    while pending:
        owner = pending.pop()
        if isinstance(owner, ir.Graph):
            for value in owner.initializers.values():
                value.const_value = value.const_value and _owned(value.const_value, files)
        else:
            pending += _own_attributes(owner.attributes, files)
        for node in owner:
            pending += _own_attributes(node.attributes, files)


def _own_attributes(
    attributes: MutableMapping[str, ir.Attr], files: Mapping[str, Bytes]
) -> list[ir.Graph]:
    """Takes over the tensors of attributes; returns their graphs."""
    graphs: list[ir.Graph] = []
    for name, attribute in list(attributes.items()):
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.TENSOR:
            attributes[name] = ir.AttrTensor(name, _owned(attribute.as_tensor(), files))
        elif attribute.type == ir.AttributeType.TENSORS:
            tensors = [_owned(tensor, files) for tensor in attribute.as_tensors()]
            attributes[name] = ir.AttrTensors(name, tensors)
        elif attribute.type == ir.AttributeType.GRAPH:
            graphs.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            graphs.extend(attribute.as_graphs())
    return graphs


def _owned(tensor: ir.TensorProtocol, files: Mapping[str, Bytes]) -> ir.TensorProtocol:
    if isinstance(tensor, ir.ExternalTensor):
        return uploaded_tensor(tensor, _file_of(tensor, files))
    if isinstance(tensor, ir.TensorProtoTensor):
        return ir.Tensor(tensor.numpy(), dtype=tensor.dtype, shape=tensor.shape, name=tensor.name)
    return tensor


def _check_tensor(found: Found[TensorProto], files: Mapping[str, Bytes], limits: Limits) -> None:
    """Checks that the data of a tensor are there, and resolves external ones."""
    tensor = found.message
    if tensor.data_location == TensorProto.EXTERNAL:
        external_data.resolve(tensor, files, limits)
        return
    del tensor.external_data[:]
    if tensor.data_type != TensorProto.STRING:
        size = stored_bytes(tensor)
        limits.check_tensor(tensor.name, size)
        if tensor.HasField("raw_data") and len(tensor.raw_data) != size:
            raise InvalidModelError(
                f"tensor {tensor.name!r} has {len(tensor.raw_data)} bytes, its shape needs {size}"
            )
        if not tensor.HasField("raw_data"):
            ir.from_proto(tensor).numpy()  # raises when elements are missing


def _bytes_of(tensor: TensorProto) -> int:
    return 0 if tensor.data_type == TensorProto.STRING else stored_bytes(tensor)


def _weights_in_file(tensor: TensorProto) -> int:
    """Bytes of the file that are elements of a tensor, an upper bound where they are typed."""
    if tensor.data_location == TensorProto.EXTERNAL:
        return 0
    return _bytes_of(tensor) if tensor.HasField("raw_data") else _typed_bytes(tensor)


def _typed_bytes(tensor: TensorProto) -> int:
    return 0 if tensor.data_type == TensorProto.STRING else _LONGEST_NUMBER * math.prod(tensor.dims)


def _told(error: BaseException) -> str:
    """What the first cause of an error says, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split()).strip(" .:;") or type(error).__name__
    return textwrap.shorten(text, _LONGEST_TEXT, placeholder=" ...")
