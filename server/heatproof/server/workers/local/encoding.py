"""What a worker tells the server, in MessagePack: values of known types, and nothing that runs.

A worker has parsed bytes that nobody trusts, so the server trusts none of its words. Every frame
has a bounded size and one of a few forms; what a task yields has the types that it declares.
"""

import functools
from collections.abc import Hashable
from multiprocessing.connection import Connection
from typing import Annotated, Any, Final

import msgspec

from heatproof.evaluators import errors
from heatproof.evaluators.errors import HeatproofError
from heatproof.server.answers.segments import MAX_SEGMENT_BYTES
from heatproof.server.workers.local.messages import Begun, Pulse, Report
from heatproof.server.workers.protocol import (
    Document,
    DocumentCheck,
    Done,
    Event,
    Failed,
    NewAnswers,
    Partial,
    Progress,
    Task,
)

MAX_FRAME_BYTES: Final = 64 << 20
"""Bytes of one frame; the largest is the summary of an evaluation with thousands of curves."""

_MAX_TEXT: Final = 1 << 16
_MAX_NAMES: Final = 1 << 10

_Text = Annotated[str, msgspec.Meta(max_length=_MAX_TEXT)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class MalformedFrameError(Exception):
    """Bytes that no worker of ours sends."""


class _Form(msgspec.Struct, forbid_unknown_fields=True, array_like=True, tag=True):
    pass


class _Begun(_Form):
    pass


class _Pulse(_Form):
    passes: _Count


class _Progress(_Form):
    step: _Text
    predictions: _Count
    images: _Count
    known: _Count


class _NewAnswers(_Form):
    model: _Text
    context: _Text
    image: _Text
    data: Annotated[bytes, msgspec.Meta(max_length=MAX_SEGMENT_BYTES)]
    damaged: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=_MAX_NAMES)]


class _Partial(_Form):
    value: msgspec.Raw


class _Done(_Form):
    value: msgspec.Raw


class _Failed(_Form):
    kind: _Text
    message: _Text
    field: _Text
    metadata: dict[_Text, _Text]


class _Frame(msgspec.Struct, forbid_unknown_fields=True, array_like=True):
    number: _Count
    form: _Begun | _Pulse | _Progress | _NewAnswers | _Partial | _Done | _Failed


_ENCODER: Final = msgspec.msgpack.Encoder()
_FRAMES: Final = msgspec.msgpack.Decoder(_Frame)
_ERRORS: Final = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, HeatproofError)
}


def receive(connection: "Connection[Any, Any]") -> bytes:
    """The next frame of a worker.

    Raises:
        EOFError: the worker has closed its end.
        OSError: the worker is gone.
        MalformedFrameError: the frame would be too large.
    """
    try:
        return connection.recv_bytes(MAX_FRAME_BYTES)
    except OSError as error:
        if error.errno is None:  # of multiprocessing's own making
            raise MalformedFrameError(str(error)) from error
        raise


def encode_report(report: Report) -> bytes:
    """Writes a report.

    Raises:
        TypeError: a value has a type that has no encoding.
        ValueError: a number or the frame is too large.
    """
    try:
        frame = _ENCODER.encode(_Frame(report.number, _form(report.event)))
    except OverflowError as error:
        raise ValueError(str(error)) from error
    if len(frame) > MAX_FRAME_BYTES:
        message = f"it has {len(frame)} bytes; a frame has at most {MAX_FRAME_BYTES}"
        raise ValueError(message)
    return frame


def decode_report(
    frame: bytes, task: Task[Any, Any] | None, number: int, check: DocumentCheck
) -> Report | None:
    """Reads a report on a task of this number; None if it is about another one.

    Raises:
        MalformedFrameError: the bytes are no frame, or a value has not the type that the task
            declares.
    """
    try:
        found = _FRAMES.decode(frame)
        if found.number != number and not isinstance(found.form, _Pulse):
            return None
        return Report(found.number, _event(found.form, task, check))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedFrameError(str(error)) from error


def _form(event: Event[Any, Any] | Begun | Pulse) -> Any:  # noqa: ANN401  # one of the forms
    match event:
        case Partial(value):
            return _Partial(msgspec.Raw(_ENCODER.encode(value)))
        case Done(value):
            return _Done(msgspec.Raw(_ENCODER.encode(value)))
        case Failed(error):
            return _failure(error)
        case _:
            return _notice_form(event)


def _notice_form(event: Begun | Pulse | Progress | NewAnswers) -> _Form:
    """The form of what is told by the way."""
    match event:
        case Begun():
            return _Begun()
        case Pulse(passes):
            return _Pulse(passes)
        case Progress(step, predictions, images, known):
            return _Progress(step[:_MAX_TEXT], predictions, images, known)
        case NewAnswers(model, context, image, data, damaged):
            return _NewAnswers(model, context, image, data, damaged[:_MAX_NAMES])


def _failure(error: HeatproofError) -> _Failed:
    """An error under the nearest name that the server knows: plug-ins may raise their own."""
    kind = next(kind for kind in type(error).__mro__ if _ERRORS.get(kind.__name__) is kind)
    metadata = {
        str(key)[:_MAX_TEXT]: str(value)[:_MAX_TEXT] for key, value in error.metadata.items()
    }
    return _Failed(kind.__name__, error.message[:_MAX_TEXT], error.field[:_MAX_TEXT], metadata)


def _event(
    form: object, task: Task[Any, Any] | None, check: DocumentCheck
) -> Event[Any, Any] | Begun | Pulse:
    match form:
        case _Begun() | _Pulse() | _Progress() | _NewAnswers():
            return _notice(form)
        case _Failed():
            return Failed(_error(form))
        case _Partial() if task is not None:
            value = _value(form.value, task.partial, check)
            task.check_partial(value, check)
            return Partial(value)
        case _Done() if task is not None:
            value = _value(form.value, task.value, check)
            task.check_value(value, check)
            return Done(value)
    message = "a result of no task"
    raise ValueError(message)


def _notice(
    form: _Begun | _Pulse | _Progress | _NewAnswers,
) -> Begun | Pulse | Progress | NewAnswers:
    match form:
        case _Begun():
            return Begun()
        case _Pulse():
            return Pulse(form.passes)
        case _Progress():
            return Progress(form.step, form.predictions, form.images, form.known)
        case _NewAnswers():
            return NewAnswers(form.model, form.context, form.image, form.data, form.damaged)


def _error(form: _Failed) -> HeatproofError:
    if form.kind not in _ERRORS:
        message = f"no error has the name {form.kind[:80]!r}"
        raise ValueError(message)
    return _ERRORS[form.kind](form.message, field=form.field, metadata=form.metadata)


def _value(raw: msgspec.Raw, kind: Any, check: DocumentCheck) -> Any:  # noqa: ANN401  # as the task declares
    """Reads a value; a document stays as it is once it has been checked."""
    if isinstance(kind, Document):
        data: bytes = _decoder(bytes).decode(raw)
        check(kind.message, data)
        return data
    return _decoder(kind).decode(raw)


@functools.cache
def _decoder(kind: Hashable) -> "msgspec.msgpack.Decoder[Any]":
    return msgspec.msgpack.Decoder(kind)
