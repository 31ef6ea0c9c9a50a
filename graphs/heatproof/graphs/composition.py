"""Draws the rows of a batch inside the graph: from few images, and a mask a row told by its cells.

Whoever sends an accelerator each view of an image as pixels, sends as many images as there are
views. Here an image is sent once, with what lies behind it, and each row is

    Where(visible, image, behind)

which is what `heatproof.evaluators.images.compositions.drawn` computes from the same arrays, bit
for bit. Masks are sent as cells: rows and columns of pixels that are alike in all masks of a batch
are told once, and for each row and column of pixels there is the place of its cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.graphs.masking.rewriting import MASK_INPUT
from heatproof.graphs.operators.emitter import Emitter

IMAGES: Final = "views/images"
"""Added input, float32 [images, 3, H, W]."""

IMAGE_OF_ROW: Final = "views/image_of_row"
"""Added input, int32 [N]: the image that a row shows where it is visible."""

BEHIND: Final = "views/behind"
"""Added input, float32 [behind, 3, H, W], or [behind, 3, 1, 1] for colours."""

BEHIND_OF_ROW: Final = "views/behind_of_row"
"""Added input, int32 [N]: what a row shows where it is hidden."""

COLOUR_SIZES: Final = (f"{BEHIND}/height", f"{BEHIND}/width")
"""Names of the sizes of what lies behind: those of the image, or 1."""


@dataclass(frozen=True, slots=True)
class MaskInputs:
    """Names of the inputs that tell the masks of a batch.

    Attributes:
        cells: bool [N, 1, down, across], whether a cell is visible.
        rows: int32 [H]: which cell each row of pixels lies in, counted downwards.
        columns: int32 [W]: which cell each column of pixels lies in, counted across.
    """

    cells: str
    rows: str
    columns: str


SHOWN: Final = MaskInputs("views/cells", "views/rows", "views/columns")
"""The masks that hide pixels."""

PROPAGATED: Final = MaskInputs("mask/cells", "mask/rows", "mask/columns")
"""The masks that a layer-masked network propagates."""

_RANK: Final = 4
"""Batch, channels, height and width."""

_Sizes = Sequence[int | str | ir.SymbolicDim]


def composed(model: ir.Model, image_input: str) -> ir.Model:
    """Returns a copy of a model that draws its images, and is told its masks by their cells.

    The image input is replaced by `IMAGES`, `IMAGE_OF_ROW`, `BEHIND`, `BEHIND_OF_ROW` and `SHOWN`,
    the input `MASK_INPUT` of a layer-masked model by `PROPAGATED`. Outputs are those of the model
    for the pixels and masks that are told.

    Args:
        model: any model, rewritten as it shall be, with an input float32 [N, 3, H, W] of fixed H
            and W; not changed.
        image_input: name of that input.

    Raises:
        UnsupportedModelError: the model has a tensor of one of these names already.
    """
    copy = model.clone()
    prefix = _Prefix(copy.graph)
    inputs = {value.name: value for value in copy.graph.inputs}
    prefix.draw(inputs[image_input])
    if MASK_INPUT in inputs:
        prefix.spread(inputs[MASK_INPUT])
    return copy


class _Prefix:
    """The nodes in front of a network."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        computed = (value.name for node in graph for value in node.outputs)
        self._taken = {*computed, *graph.initializers, *(value.name for value in graph.inputs)}
        self._op = Emitter(graph)
        self._op.before(graph[0])

    def draw(self, image: ir.Value) -> None:
        """Puts what is drawn in the place of the image."""
        _, channels, height, width = _sizes(image)
        images = self._of_rows(
            IMAGES, [f"{IMAGES}/number", channels, height, width], IMAGE_OF_ROW, image
        )
        colours = [f"{BEHIND}/number", channels, *COLOUR_SIZES]
        behind = self._of_rows(BEHIND, colours, BEHIND_OF_ROW, image)
        visible = self._visible(SHOWN, image)
        self._replace(image, self._op("Where", visible, images, behind, like=image))

    def spread(self, mask: ir.Value) -> None:
        """Puts a mask of pixels, computed from its cells, in the place of a mask."""
        visible = self._visible(PROPAGATED, mask)
        self._replace(mask, self._op("Cast", visible, like=mask, to=int(ir.DataType.FLOAT)))

    def _of_rows(self, held: str, sizes: _Sizes, places: str, image: ir.Value) -> ir.Value:
        """One of several images for each row."""
        source = self._input(held, ir.DataType.FLOAT, sizes)
        batch = _sizes(image)[0]
        place = self._input(places, ir.DataType.INT32, [batch])
        found = self._op("Gather", source, place, dtype=ir.DataType.FLOAT, axis=0)
        found.shape = ir.Shape([batch, *sizes[1:]])
        return found

    def _visible(self, names: MaskInputs, like: ir.Value) -> ir.Value:
        """Whether each pixel is visible, bool [N, 1, H, W]."""
        batch, _, height, width = _sizes(like)
        # ONNX Runtime takes sizes of one name for equal: each input has names of its own.
        sides = [f"{names.cells}/down", f"{names.cells}/across"]
        cells = self._input(names.cells, ir.DataType.BOOL, [batch, 1, *sides])
        rows = self._input(names.rows, ir.DataType.INT32, [height])
        columns = self._input(names.columns, ir.DataType.INT32, [width])
        tall = self._op("Gather", cells, rows, dtype=ir.DataType.BOOL, axis=2)
        return self._op("Gather", tall, columns, dtype=ir.DataType.BOOL, axis=3)

    def _input(self, name: str, dtype: ir.DataType, sizes: _Sizes) -> ir.Value:
        if name in self._taken:
            raise UnsupportedModelError(
                f"the model has a tensor {name!r} already: it draws its images already, or the "
                "tensor must be renamed in the export"
            )
        value = ir.val(name, dtype, ir.Shape(sizes))
        self._graph.inputs.append(value)
        return value

    def _replace(self, old: ir.Value, new: ir.Value) -> None:
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
        self._graph.inputs.remove(old)


def _sizes(value: ir.Value) -> list[int | ir.SymbolicDim]:
    if value.shape is None or value.shape.rank() != _RANK:
        message = f"input {value.name!r} is no batch of maps: its shape is {value.shape}"
        raise TypeError(message)
    return list(value.shape)
