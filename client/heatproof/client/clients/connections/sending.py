"""A stream of requests whose own errors are not lost."""

from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

Request = TypeVar("Request")


class Sending(Generic[Request]):
    """Hands requests to gRPC, which would report an error in their making as an unknown one.

    As a context manager it raises that error in place of gRPC's.
    """

    def __init__(self, requests: Iterator[Request]) -> None:
        self._requests = requests
        self._failure: Exception | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Request:
        try:
            return next(self._requests)
        except StopIteration:
            raise
        except Exception as error:
            self._failure = error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._failure is not None:
            raise self._failure from None
