"""Names of queries that mean the same in every process and evaluation.

A name is a SHA-256 over everything that determines the answer of a model. Where an image is known
by its content, the name says how pixels are removed from it; else it holds the pixels that are
drawn.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import lru_cache

import numpy as np

from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.procedure import GradientView, MaskedView, Query
from heatproof.evaluators.removal.operator import RemovalOperator


def named_key(query: Query) -> bytes | None:
    """The name of a query without drawing its pixels; None where only they name it.

    These are images that are derived from others, and those of which an operator shows something
    else than the image itself, or has parameters that cannot be written down.
    """
    if not query.image.content:
        return None
    image = query.image.content.encode()
    if isinstance(query, GradientView) or query.mask is None:
        return _digest([b"content", image, *_beside_pixels(query)])
    operator = b"" if query.removal is None else _operator(query.removal)
    if not operator or query.substitutes:
        return None
    removed = (operator, str(query.seed).encode(), *_array(query.mask))
    return _digest([b"removed", image, *removed, *_beside_pixels(query)])


def drawn_key(query: Query, pixels: Image) -> bytes:
    """The name of a query by the pixels that the model reads."""
    mask = query.mask if isinstance(query, MaskedView) and query.run.masking else None
    shown = () if mask is None else _array(mask)
    return _digest([b"drawn", *_array(pixels), *shown, *_beside_pixels(query)])


def canonical(value: object) -> str:
    """Writes a value with all its parts, the same in every process.

    Raises:
        TypeError: it holds something other than dataclasses, tuples and plain values.
    """
    if isinstance(value, Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, float):
        return value.hex()
    if value is None or isinstance(value, bool | int | str | bytes):
        return repr(value)
    if isinstance(value, tuple):
        return f"({','.join(map(canonical, value))})"
    if is_dataclass(value) and not isinstance(value, type):
        parts = (f"{part.name}={canonical(getattr(value, part.name))}" for part in fields(value))
        kind = type(value)
        return f"{kind.__module__}.{kind.__qualname__}({','.join(parts)})"
    message = f"{type(value).__name__} has no form that is the same in every process"
    raise TypeError(message)


def _beside_pixels(query: Query) -> tuple[bytes, ...]:
    """The pass, and what it is given beside image and mask."""
    if isinstance(query, GradientView):
        return b"gradient", _pass(query.run), *_array(query.output_gradient)
    return b"view", _pass(query.run), *(() if query.gate is None else _array(query.gate))


@lru_cache(256)
def _pass(run: ModelPass) -> bytes:
    return canonical(replace(run, model="")).encode()


@lru_cache(256)
def _operator(removal: RemovalOperator) -> bytes:
    """An operator in writing; nothing where that cannot be done."""
    try:
        return canonical(removal).encode()
    except TypeError:
        return b""


def _array(values: np.ndarray) -> tuple[bytes, bytes]:
    data = np.packbits(values) if values.dtype == np.bool_ else np.ascontiguousarray(values)
    return f"{values.dtype.str}{values.shape}".encode(), data.tobytes()


def _digest(parts: Iterable[bytes]) -> bytes:
    """SHA-256 of parts, each after its length, so that no two lists of them read alike."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
