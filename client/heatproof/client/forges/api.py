"""Requests to the HTTP API of a forge."""

import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from heatproof.client.errors import ForgeError, UsageError
from heatproof.client.version import __version__

TIMEOUT: Final = 30.0
"""Seconds that a forge may be silent."""

MAX_BYTES: Final = 256 << 20
"""Bytes of a reply that are read, artifacts included."""

_PAUSES: Final = (1.0, 4.0)
"""Seconds before a request is sent once more that may be sent twice."""

_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_NEXT: Final = re.compile(r'<([^>]+)>;\s*rel="next"')


class Reply(NamedTuple):
    """What a forge answered.

    Attributes:
        data: the body.
        next_page: address of the next page of a list; empty if there is none.
    """

    data: bytes
    next_page: str


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP API of a forge.

    Attributes:
        address: what its addresses begin with, such as `https://api.github.com`.
        headers: what every request says, the token included; no redirect to elsewhere carries it.
        token: what to call the token in messages, such as `GITHUB_TOKEN`.
    """

    address: str
    headers: Mapping[str, str]
    token: str

    def __post_init__(self) -> None:
        if urllib.parse.urlsplit(self.address).scheme not in {"http", "https"}:
            raise UsageError(f"{self.address!r} is no address of an API: it begins with https://")

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401  # a JSON value
        """Gets a JSON value.

        Raises:
            ForgeError: the forge refuses it, cannot be reached, or answers something else.
        """
        return _json(self._send("GET", self._url(path, query)))

    def download(self, path: str, **query: str) -> bytes:
        """Gets bytes; errors as of `get`."""
        return self._send("GET", self._url(path, query)).data

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """Gets a list page by page, 100 entries each; errors as of `get`."""
        url = self._url(path, {"per_page": "100", **query})
        while url:
            reply = self._send("GET", url)
            yield _json(reply)
            url = reply.next_page

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401  # JSON
        """Sends a JSON value and returns the one that is answered; errors as of `get`."""
        return _json(self._send(method, self._url(path, {}), json.dumps(body).encode()))

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        asked = f"?{urllib.parse.urlencode(query)}" if query else ""
        return f"{self.address.rstrip('/')}{path}{asked}"

    def _send(self, method: str, url: str, body: bytes | None = None) -> Reply:
        """Sends a request, again while the forge is busy unless that might do something twice."""
        for seconds in () if method == "POST" else _PAUSES:
            try:
                return self._sent(method, url, body)
            except ForgeError as error:
                if error.status not in _BUSY:
                    raise
            time.sleep(seconds)
        return self._sent(method, url, body)

    def _sent(self, method: str, url: str, body: bytes | None) -> Reply:
        said = f"{method} {urllib.parse.urlsplit(url).path}"
        try:
            with urllib.request.urlopen(self._request(method, url, body), timeout=TIMEOUT) as reply:  # noqa: S310  # http or https, asked above
                data, link = reply.read(MAX_BYTES + 1), reply.headers.get("Link", "")
        except urllib.error.HTTPError as error:
            raise self._refusal(said, error) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise ForgeError(f"{self.address} cannot be reached: {said}: {reason}") from error
        if len(data) > MAX_BYTES:
            raise ForgeError(f"{said}: the answer has more than {MAX_BYTES >> 20} MiB")
        found = _NEXT.search(link)
        return Reply(data, self._own(found[1]) if found else "")

    def _request(self, method: str, url: str, body: bytes | None) -> urllib.request.Request:
        request = urllib.request.Request(url, body, method=method)  # noqa: S310  # as above
        request.add_header("User-Agent", f"heatproof/{__version__}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)
        return request

    def _own(self, url: str) -> str:
        """An address that a reply names, which must be of this API: it will get the token.

        Raises:
            ForgeError: it is not.
        """
        if not url.startswith(f"{self.address.rstrip('/')}/"):
            raise ForgeError(f"{self.address} names a next page elsewhere: {url}")
        return url

    def _refusal(self, said: str, error: urllib.error.HTTPError) -> ForgeError:
        told = f"{self.address}: {said}: {error.code} {error.reason}{_message(error)}"
        if error.code in {401, 403}:
            told += f"; the token {self.token} may be wrong, or may not do this"
        return ForgeError(told, status=error.code)


def _json(reply: Reply) -> Any:  # noqa: ANN401  # a JSON value
    try:
        return json.loads(reply.data)
    except ValueError as error:
        raise ForgeError(f"the forge answers no JSON: {reply.data[:80]!r}") from error


def _message(error: urllib.error.HTTPError) -> str:
    """What the forge says of its refusal, if it says so in JSON."""
    try:
        said = json.loads(error.read(1 << 16))
        return f": {said['message']}"
    except (OSError, ValueError, LookupError, TypeError):
        return ""
