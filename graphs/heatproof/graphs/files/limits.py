"""How large a model may be; counted on the parsed bytes, before anything walks them recursively."""

from dataclasses import dataclass

import onnx
from onnx import GraphProto, ModelProto, TypeProto

from heatproof.evaluators.errors import InvalidModelError, LimitExceededError
from heatproof.graphs.files.inlining import inlined_size
from heatproof.graphs.files.walking import count_entries, find

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30
OLDEST_OPSET = 7
"""Opset from which broadcasting and inference mode have today's meaning."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a model.

    Attributes:
        max_bytes: size of the model file and of all its external data together.
        max_graph_bytes: size of the model file but for its weights: names, documentation and
            attributes.
        max_entries: number of messages and items of lists in the model file, but for weights.
        max_nodes: number of nodes once local functions are inlined, subgraphs included.
        max_operands: number of inputs and outputs of all these nodes together.
        max_tensor_bytes: size of one weight tensor.
        max_copied_bytes: what weights may take beyond the bytes they are stored in: those of
            functions that are called repeatedly, and tensors that share their external data.
        max_nesting: depth of subgraphs in subgraphs (If, Loop, Scan) and of types in types.
        oldest_opset: lowest accepted version of ai.onnx.
        newest_opset: highest accepted version of ai.onnx.
    """

    max_bytes: int = 4 * GIBIBYTE
    max_graph_bytes: int = 256 * MEBIBYTE
    max_entries: int = 4_000_000
    max_nodes: int = 50_000
    max_operands: int = 250_000
    max_tensor_bytes: int = 2 * GIBIBYTE
    max_copied_bytes: int = 256 * MEBIBYTE
    max_nesting: int = 8
    oldest_opset: int = OLDEST_OPSET
    newest_opset: int = onnx.defs.onnx_opset_version()

    def check_bytes(self, total: int) -> None:
        """Refuses files that are too large together.

        Raises:
            LimitExceededError: says how large and how large they may be.
        """
        if total > self.max_bytes:
            raise LimitExceededError(
                f"the model has {total} bytes; this server takes at most {self.max_bytes}"
            )

    def check_tensor(self, name: str, size: int) -> None:
        """Refuses one tensor of `size` bytes that is too large.

        Raises:
            LimitExceededError: names the tensor.
        """
        if size > self.max_tensor_bytes:
            raise LimitExceededError(
                f"tensor {name!r} has {size} bytes; this server takes at most "
                f"{self.max_tensor_bytes} in one tensor",
                metadata={"tensor": name},
            )

    def check_opset(self, model: ModelProto) -> None:
        """Refuses versions of ai.onnx that are too old or too new.

        Raises:
            InvalidModelError: names the version and the accepted ones.
        """
        versions = [entry.version for entry in model.opset_import if _is_onnx(entry.domain)]
        if not versions:
            raise InvalidModelError("the model imports no opset of ai.onnx; export it again")
        for version in versions:
            if not self.oldest_opset <= version <= self.newest_opset:
                raise InvalidModelError(
                    f"the model uses ai.onnx opset {version}; supported are {self.oldest_opset} to "
                    f"{self.newest_opset}: export it with another opset_version or convert it with "
                    "onnx.version_converter",
                    metadata={"opset": str(version)},
                )

    def check_weights(self, total: int, stored: int) -> None:
        """Refuses tensors that together need far more than the bytes they are stored in.

        Args:
            total: bytes of all tensors.
            stored: bytes of the model file and its external data.

        Raises:
            LimitExceededError: says how much and how much there may be.
        """
        if total > stored + self.max_copied_bytes:
            raise LimitExceededError(
                f"the tensors have {total} bytes in files of {stored} bytes: many share the same "
                f"external data; this server takes at most {self.max_copied_bytes} bytes more than "
                "there are in the files"
            )

    def check_graph_bytes(self, size: int) -> None:
        """Refuses a model file whose graph, without the weights, is too large.

        Raises:
            LimitExceededError: says how large and how large it may be.
        """
        if size > self.max_graph_bytes:
            raise LimitExceededError(
                f"the model file has {size} bytes beside its weights: names, documentation, "
                f"metadata and attributes; this server takes at most {self.max_graph_bytes}: "
                "strip documentation and metadata, and store weights as tensors"
            )

    def check_size(self, model: ModelProto) -> None:
        """Refuses graphs that are too deep or, with functions inlined, too large.

        Raises:
            LimitExceededError: says the count and the bound.
            InvalidModelError: a local function calls itself.
        """
        if count_entries(model, self.max_entries) > self.max_entries:
            raise LimitExceededError(
                f"the model file has more than {self.max_entries} entries beside its weights; "
                "strip documentation and metadata, and store weights as tensors"
            )
        self._check_nesting(model)
        size = inlined_size(model, max_calls=8 * self.max_nesting)
        bounds = (
            (size.nodes, self.max_nodes, "nodes"),
            (size.operands, self.max_operands, "inputs and outputs of nodes"),
            (size.copied, self.max_copied_bytes, "bytes more than its file"),
        )
        for count, most, what in bounds:
            if count > most:
                raise LimitExceededError(
                    f"the model has {count} {what} once its functions are inlined; this server "
                    f"takes at most {most}"
                )

    def _check_nesting(self, model: ModelProto) -> None:
        for kind, what in ((GraphProto, "subgraphs"), (TypeProto, "types")):
            for found in find(model, kind):
                if found.nesting > self.max_nesting:
                    raise LimitExceededError(
                        f"{what} are nested more than {self.max_nesting} deep at "
                        f"{found.place}; flatten the model"
                    )


def _is_onnx(domain: str) -> bool:
    return domain in {"", "ai.onnx"}
