from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

Check = Callable[..., None]
Function = Callable[..., torch.Tensor]


def ints(*numbers: int) -> str:
    return f"Constant <value = int64[{len(numbers)}] {{{', '.join(map(str, numbers))}}}> ()"


def sliced(*ranges: tuple[int, ...]) -> str:
    constants = [f"c{k} = {ints(*numbers)}\n" for k, numbers in enumerate(ranges)]
    return "".join(constants) + "y = Slice (x, c0, c1, c2, c3)"


MOVES: dict[str, tuple[str, Function, tuple[int, ...]]] = {
    "reshape": (
        f"s = {ints(0, 6, -1)}  y = Reshape (x, s)",
        lambda x: x.reshape(2, 6, 2),
        (2, 3, 4),
    ),
    "flatten": ("y = Flatten (x)", lambda x: x.flatten(1), (2, 3, 4)),
    "squeeze": (f"a = {ints(2, 3)}  y = Squeeze (x, a)", lambda x: x[:, :, 0, 0], (2, 3, 1, 1)),
    "unsqueeze": (f"a = {ints(1)}  y = Unsqueeze (x, a)", lambda x: x[:, None], (2, 3)),
    "transpose": (
        "y = Transpose <perm = [0, 2, 3, 1]> (x)",
        lambda x: x.permute(0, 2, 3, 1),
        (2, 3, 4, 5),
    ),
    "reversed": ("y = Transpose (x)", lambda x: x.permute(2, 1, 0), (2, 3, 4)),
    "expand": (
        f"s = {ints(4, 1, 3, 5)}  y = Expand (x, s)",
        lambda x: x.expand(4, 2, 3, 5),
        (2, 3, 1),
    ),
    "concatenation": (
        "e = Exp (x)  y = Concat <axis = 1> (x, e, x)",
        lambda x: torch.cat([x, x.exp(), x], 1),
        (2, 3, 4),
    ),
    "half of a split": (
        f"s = {ints(1, 2, 2)}  a, b, c = Split <axis = 1> (x, s)  y = Add (b, c)",
        lambda x: x[:, 1:3] + x[:, 3:],
        (2, 5, 3),
    ),
    "slice": (
        f"a = {ints(1, -3)}  b = {ints(3, -1)}  c = {ints(1, 2)}  y = Slice (x, a, b, c)",
        lambda x: x[:, 1:3, -3:-1],
        (2, 4, 5),
    ),
    "steps": (
        sliced((0, 1), (9, 9), (1, 2), (2, 3)),
        lambda x: x[:, 0::2, 1::3],
        (2, 5, 8),
    ),
    "backwards": (
        sliced((-1,), (-(2**63),), (1,), (-1,)),
        lambda x: x.flip(1),
        (2, 5, 3),
    ),
    "permuted channels": (
        f"i = {ints(2, 0, 1)}  y = Gather <axis = 1> (x, i)",
        lambda x: x[:, [2, 0, 1]],
        (2, 3, 4),
    ),
    "some channels": (
        f"i = {ints(4, 1)}  y = Gather <axis = 1> (x, i)",
        lambda x: x[:, [4, 1]],
        (2, 5, 4),
    ),
    "repeated rows": (
        f"i = {ints(1, 1, -1)}  y = Gather <axis = 2> (x, i)",
        lambda x: x[:, :, [1, 1, 3]],
        (2, 3, 4, 5),
    ),
    "repeated channels": (
        f"i = {ints(1, 1, -1)}  y = Gather <axis = 1> (x, i)",
        lambda x: x[:, [1, 1, 2]],
        (2, 3, 4, 5),
    ),
    "one token": (
        "i = Constant <value = int64 {0}> ()  y = Gather <axis = 1> (x, i)",
        lambda x: x[:, 0],
        (2, 3, 4),
    ),
    "tiles": (f"r = {ints(1, 2, 3)}  y = Tile (x, r)", lambda x: x.tile(1, 2, 3), (2, 3, 4)),
    "blocks to channels": (
        "y = SpaceToDepth <blocksize = 2> (x)",
        lambda x: x.reshape(2, 3, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 12, 2, 3),
        (2, 3, 4, 6),
    ),
    "channels to blocks": (
        "y = DepthToSpace <blocksize = 2> (x)",
        lambda x: x.reshape(2, 2, 2, 3, 4, 5).permute(0, 3, 4, 1, 5, 2).reshape(2, 3, 8, 10),
        (2, 12, 4, 5),
    ),
    "pixel shuffle": (
        'y = DepthToSpace <blocksize = 2, mode = "CRD"> (x)',
        lambda x: F.pixel_shuffle(x, 2),
        (2, 12, 4, 5),
    ),
    "cumulative sum": (
        "a = Constant <value = int64 {1}> ()  y = CumSum (x, a)",
        lambda x: x.cumsum(1),
        (2, 5),
    ),
    "triangle": ("y = Trilu <upper = 0> (x)", torch.tril, (2, 4, 4)),
}


@pytest.mark.parametrize("name", MOVES)
def test_moved_elements_keep_their_gradients(check: Check, name: str) -> None:
    body, function, shape = MOVES[name]
    check(body, function, shape, opset=18)


def test_blocks_go_to_channels_in_either_order(check: Check) -> None:
    body = 'y = SpaceToDepth <blocksize = 2, mode = "CRD"> (x)'
    check(body, lambda x: F.pixel_unshuffle(x, 2), (2, 3, 4, 6), opset=28)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_paddings_agree_with_autograd(check: Check, mode: str) -> None:
    name = {"edge": "replicate", "wrap": "circular"}.get(mode, mode)
    check(
        f'p = {ints(0, 0, 1, 2, 0, 0, 3, 0)}  y = Pad <mode = "{mode}"> (x, p)',
        lambda x: F.pad(x, (2, 0, 1, 3), mode=name),
        (2, 3, 5, 4),
    )


REDUCTIONS: dict[str, Function] = {
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keepdim=keep),
    "ReduceMean": lambda x, axes, keep: x.mean(axes, keepdim=keep),
    "ReduceMax": lambda x, axes, keep: x.amax(axes, keepdim=keep),
    "ReduceMin": lambda x, axes, keep: x.amin(axes, keepdim=keep),
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep),
    "ReduceL2": lambda x, axes, keep: x.norm(dim=axes, keepdim=keep),
    "ReduceSumSquare": lambda x, axes, keep: (x * x).sum(axes, keepdim=keep),
    "ReduceLogSumExp": lambda x, axes, keep: x.logsumexp(axes, keepdim=keep),
    "ReduceLogSum": lambda x, axes, keep: x.sum(axes, keepdim=keep).log(),
}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("axes", [(2, 3), (1,), (-1, 1)])
@pytest.mark.parametrize("operator", REDUCTIONS)
def test_reductions_agree_with_autograd(
    check: Check, rng: np.random.Generator, operator: str, axes: tuple[int, ...], keep: bool
) -> None:
    function = REDUCTIONS[operator]
    few_levels = rng.integers(1, 4, (2, 3, 4, 2)).astype(np.float64)
    check(
        f"a = {ints(*axes)}  y = {operator} <keepdims = {int(keep)}> (x, a)",
        lambda x: function(x, axes, keep),
        few_levels,
    )


def test_axes_were_attributes_once(check: Check) -> None:
    check(
        "y = ReduceMean <axes = [2, 3], keepdims = 0> (x)",
        lambda x: x.mean((2, 3)),
        (2, 3, 4, 5),
        opset=12,
    )


def test_products_with_zeros_have_gradients(check: Check) -> None:
    """None, one and two zeros: dy passes to all, to the zero alone, to none."""
    check(
        f"a = {ints(1)}  y = ReduceProd <keepdims = 0> (x, a)",
        lambda x: x.prod(1),
        np.array([[2.0, -3.0, 0.5], [2.0, 0.0, 0.5], [0.0, 0.0, 0.5]]),
        opset=18,
    )


def test_the_norm_of_zero_has_gradient_zero(check: Check) -> None:
    check(
        f"a = {ints(1)}  y = ReduceL2 (x, a)",
        lambda x: x.norm(dim=1, keepdim=True),
        np.zeros((2, 3)),
    )


@pytest.mark.parametrize(
    ("shapes", "function"),
    [
        (((2, 3), (3, 4)), torch.matmul),
        (((2, 5, 3), (3, 4)), torch.matmul),
        (((2, 5, 3), (2, 3, 4)), torch.matmul),
        (((2, 2, 5, 3), (2, 3, 4)), torch.matmul),
        (((2, 1, 5, 3), (4, 3, 2)), torch.matmul),
        (((2, 3), (3,)), torch.matmul),
        (((3,), (3, 4)), torch.matmul),
        (((3,), (3,)), torch.matmul),
        (((3,), (2, 3, 4)), torch.matmul),
    ],
)
def test_matrix_products_agree_with_autograd(
    check: Check,
    rng: np.random.Generator,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    function: Function,
) -> None:
    left, right = (rng.standard_normal(shape) for shape in shapes)

    def product(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return function(x, z)

    def swapped(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return function(z, x)

    check("y = MatMul (x, z)", product, left, constants={"z": right}, dynamic=False)
    check("y = MatMul (x, z)", product, left, inputs={"z": right}, dynamic=False)
    check("y = MatMul (z, x)", swapped, right, inputs={"z": left}, dynamic=False)


@pytest.mark.parametrize("turned", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_general_matrix_products_agree_with_autograd(
    check: Check, rng: np.random.Generator, turned: tuple[int, int]
) -> None:
    a = rng.standard_normal((4, 3) if turned[0] else (3, 4))
    b = rng.standard_normal((2, 4) if turned[1] else (4, 2))
    c = rng.standard_normal(2)
    body = f"Gemm <alpha = 0.5, beta = 2.0, transA = {turned[0]}, transB = {turned[1]}>"

    def gemm(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return 0.5 * (a.T if turned[0] else a) @ (b.T if turned[1] else b) + 2 * c

    check(
        f"y = {body} (x, b, c)",
        lambda x, b, c: gemm(a=x, b=b, c=c),
        a,
        inputs={"b": b, "c": c},
        dynamic=False,
    )
    check(
        f"y = {body} (a, x, c)",
        lambda x, a, c: gemm(a=a, b=x, c=c),
        b,
        inputs={"a": a, "c": c},
        dynamic=False,
    )
    check(
        f"y = {body} (a, b, x)",
        lambda x, a, b: gemm(a=a, b=b, c=x),
        c,
        inputs={"a": a, "b": b},
        dynamic=False,
    )
