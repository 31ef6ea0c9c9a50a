"""Blocks of operators beyond the paper's: they move and resample cells, or take statistics."""

import numpy as np

from tests.graphs.masking.networks.growing import Block, Growth, Map


def pad(growth: Growth, x: Map) -> Map:
    """Padding in front of a convolution, which may fold into it."""
    mode = growth.choose("constant", "reflect", "edge")
    top, left, bottom, right = (growth.number(0, 2) for _ in range(4))
    pads = growth.integers(0, 0, top, left, 0, 0, bottom, right)
    inputs = [x.name, pads]
    if mode == "constant":
        inputs.append(growth.constant(np.array(growth.choose(0, 1.5), np.float32)))
    name = growth.node("Pad", *inputs, mode=mode)
    size = (x.height + top + bottom, x.width + left + right)
    wider = growth.map(name, x.channels, size)
    if growth.choose(False, True):
        return wider
    weights = growth.weight(x.channels, x.channels, 3, 3)
    convolved = growth.node("Conv", wider.name, weights)
    return growth.map(convolved, x.channels, (size[0] - 2, size[1] - 2))


def resize(growth: Growth, x: Map) -> Map:
    """By scales that are exact in binary: of others, runtimes and inference round differently."""
    mode = growth.choose("nearest", "linear")
    scales = [growth.choose(2, 1, 1.5, 0.5) for _ in range(2)]
    places = growth.choose("half_pixel", "asymmetric", "align_corners")
    attributes = {"mode": mode, "coordinate_transformation_mode": places}
    if mode == "nearest":
        attributes["nearest_mode"] = growth.choose("floor", "round_prefer_floor")
    factors = growth.constant(np.array([1, 1, *scales], np.float32))
    name = growth.node("Resize", x.name, "", factors, **attributes)
    height, width = (int(side * scale) for side, scale in zip(x.size, scales, strict=True))
    return growth.map(name, x.channels, (height, width))


def transposed_convolution(growth: Growth, x: Map) -> Map:
    kernel, stride = growth.number(1, 4), growth.number(1, 2)
    padding = growth.number(0, max(kernel - 2, 0))
    extra = growth.number(0, stride - 1)
    groups = growth.choose(1, x.channels)
    weights = growth.weight(x.channels, 1 if groups > 1 else 2, kernel, kernel)
    name = growth.node(
        "ConvTranspose", x.name, weights, strides=[stride] * 2, group=groups,
        pads=[padding] * 4, output_padding=[extra] * 2,
    )  # fmt: skip
    height, width = (stride * (side - 1) + kernel - 2 * padding + extra for side in x.size)
    if min(height, width) < 1:
        growth.lines.pop()
        return x
    return growth.map(name, x.channels if groups > 1 else 2, (height, width))


def space_to_depth(growth: Growth, x: Map) -> Map:
    if x.height % 2 or x.width % 2:
        return x
    name = growth.node("SpaceToDepth", x.name, blocksize=2)
    return growth.map(name, 4 * x.channels, (x.height // 2, x.width // 2))


def depth_to_space(growth: Growth, x: Map) -> Map:
    if x.channels % 4:
        return x
    mode = growth.choose("DCR", "CRD")
    name = growth.node("DepthToSpace", x.name, blocksize=2, mode=mode)
    return growth.map(name, x.channels // 4, (2 * x.height, 2 * x.width))


def crop(growth: Growth, x: Map) -> Map:
    """A slice of rows and columns: cropped, thinned out, or flipped."""
    if min(x.size) < 4:
        return x
    kind = growth.choose("crop", "step", "flip")
    starts, ends, steps = {
        "crop": ([1, 0], [x.height, x.width - 1], [1, 1]),
        "step": ([0, 1], [x.height, x.width], [2, 2]),
        "flip": ([-1, -1], [-x.height - 1, -x.width - 1], [-1, -1]),
    }[kind]
    lists = (growth.integers(*numbers) for numbers in (starts, ends, (2, 3), steps))
    size = {
        "crop": (x.height - 1, x.width - 1),
        "step": ((x.height + 1) // 2, x.width // 2),
        "flip": x.size,
    }[kind]
    return growth.map(growth.node("Slice", x.name, *lists), x.channels, size)


def layer_normalization(growth: Growth, x: Map) -> Map:
    """Over channels, with the channels last."""
    last = growth.node("Transpose", x.name, perm=[0, 2, 3, 1])
    parameters = growth.weight(x.channels, least=0.5), growth.weight(x.channels)
    normal = growth.node("LayerNormalization", last, *parameters, axis=-1, epsilon=1e-2)
    if growth.choose(False, True):
        normal = growth.node("MatMul", normal, growth.weight(x.channels, x.channels))
    return growth.like(growth.node("Transpose", normal, perm=[0, 3, 1, 2]), x)


def instance_normalization(growth: Growth, x: Map) -> Map:
    parameters = growth.weight(x.channels, least=0.5), growth.weight(x.channels)
    return growth.like(growth.node("InstanceNormalization", x.name, *parameters, epsilon=1e-1), x)


def group_normalization(growth: Growth, x: Map) -> Map:
    if growth.opset < 21:  # per group before
        return x
    groups = growth.choose(*(d for d in range(1, x.channels + 1) if x.channels % d == 0))
    parameters = growth.weight(x.channels, least=0.5), growth.weight(x.channels)
    name = growth.node("GroupNormalization", x.name, *parameters, num_groups=groups, epsilon=1e-1)
    return growth.like(name, x)


def softmax(growth: Growth, x: Map) -> Map:
    """Over channels."""
    return growth.like(growth.node("Softmax", x.name, axis=1), x)


def coordinate_gate(growth: Growth, x: Map) -> Map:
    """A gate of rows or columns, from means along the other."""
    mean = growth.reduced("ReduceMean", x.name, [growth.choose(3, 2)])
    return growth.like(growth.node("Mul", x.name, growth.node("Sigmoid", mean)), x)


FURTHER_BLOCKS: list[Block] = [
    pad, crop, softmax, space_to_depth, depth_to_space, resize, transposed_convolution,
    layer_normalization, instance_normalization, group_normalization, coordinate_gate,
]  # fmt: skip


def statistic_head(growth: Growth, x: Map) -> str:
    kind = growth.choose("ReduceMax", "ReduceSum", "ReduceL2", "ReduceL1", "ReduceMin")
    return growth.reduced(kind, x.name, [2, 3], keeps=growth.choose(False, True))


def stepwise_head(growth: Growth, x: Map) -> str:
    """The mean of the rows' means."""
    rows = growth.reduced("ReduceMean", x.name, [3])
    return growth.reduced("ReduceMean", rows, [2])


FURTHER_HEADS = [statistic_head, stepwise_head]
