"""GitHub and GitLab as far as Heatproof speaks to them, over real sockets, with what they hold.

They do what their documentation says of pages, tokens, limits, redirects and forks.
"""

import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "a-token-that-must-not-leak"  # of the tests
PAGE = 3
"""Entries of a page: few, so that lists have several."""


class Request(NamedTuple):
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Answer(NamedTuple):
    """What is answered: JSON, or bytes as they are."""

    status: int
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012  # nobody writes to it


Route = Callable[[Request, re.Match[str]], Answer]


@dataclass
class FakeForge:
    """What both have in common.

    Attributes:
        comments: those of the change, oldest first.
        strangers: identities of comments that the token may not change.
        failures: answers to give before any other, by method.
        requests: everything that was asked.
        address: where it listens.
    """

    comments: list[dict[str, Any]] = field(default_factory=list)
    strangers: set[int] = field(default_factory=set)
    failures: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    address: str = ""
    limit: int = 0

    def routes(self) -> dict[tuple[str, str], Route]:
        """Handlers by method and pattern of the path."""
        raise NotImplementedError

    def is_known(self, request: Request) -> bool:
        """Whether the token is right."""
        raise NotImplementedError

    @property
    def bodies(self) -> list[str]:
        """What the comments say."""
        return [comment["body"] for comment in self.comments]

    def say(self, body: str, **more: Any) -> int:
        """Adds a comment and returns its identity."""
        identity = 100 + len(self.comments)
        self.comments.append({"id": identity, "body": body, **more})
        return identity

    def answer(self, request: Request) -> Answer:
        """Answers a request."""
        self.requests.append(request)
        if self.failures.get(request.method):
            return self.failures[request.method].pop(0)
        for (method, pattern), route in self.routes().items():
            found = re.fullmatch(pattern, request.path)
            if method == request.method and found:
                return route(request, found) if self.is_known(request) else Answer(401)
        return Answer(404, {"message": "Not Found"})

    def page(self, request: Request, entries: list[Any]) -> tuple[list[Any], dict[str, str]]:
        """A page of a list, and the header that names the next."""
        number, size = int(request.query.get("page", 1)), int(request.query["per_page"])
        size = min(size, PAGE)
        held = entries[(number - 1) * size : number * size]
        query = "&".join(f"{key}={value}" for key, value in request.query.items() if key != "page")
        url = f"{self.address}{request.path}?{query}&page="
        links = [f'<{url}1>; rel="first"']
        if number * size < len(entries):
            links.insert(0, f'<{url}{number + 1}>; rel="next"')
        return held, {"Link": ", ".join(links)}

    def _added(self, request: Request, _found: re.Match[str]) -> Answer:
        if len(request.body["body"]) > self.limit:
            return Answer(422, {"message": "Validation Failed: body is too long"})
        return Answer(201, {"id": self.say(request.body["body"])})

    def _replaced(self, request: Request, found: re.Match[str]) -> Answer:
        held = [one for one in self.comments if one["id"] == int(found["id"])]
        if not held:
            return Answer(404, {"message": "Not Found"})
        if held[0]["id"] in self.strangers:
            return Answer(403, {"message": "Resource not accessible by integration"})
        held[0]["body"] = request.body["body"]
        return Answer(200, held[0])


@dataclass
class FakeGitHub(FakeForge):
    """The repository `owner/net` with the pull request 7.

    Attributes:
        artifacts: what runs have uploaded.
        files: the zip file of each artifact.
    """

    limit: int = 65_536
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    files: dict[int, bytes] = field(default_factory=dict)

    def routes(self) -> dict[tuple[str, str], Route]:
        """Handlers by method and pattern of the path."""
        repository = "/repos/owner/net"
        return {
            ("GET", f"{repository}/issues/7/comments"): self._listed,
            ("POST", f"{repository}/issues/7/comments"): self._added,
            ("PATCH", rf"{repository}/issues/comments/(?P<id>\d+)"): self._replaced,
            ("GET", f"{repository}/actions/artifacts"): self._artifacts,
            ("GET", rf"{repository}/actions/artifacts/(?P<id>\d+)/zip"): self._sent_elsewhere,
            ("GET", r"/storage/(?P<id>\d+)"): self._stored,
        }

    def is_known(self, request: Request) -> bool:
        """Its storage is another host, which must never see the token."""
        if request.path.startswith("/storage/"):
            return "Authorization" not in request.headers
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def keep(  # what an artifact is told by
        self,
        name: str,
        files: dict[str, str],
        branch: str = "main",
        *,
        at: str = "2026-01-01T00:00:00Z",
        expired: bool = False,
        fork: bool = False,
    ) -> None:
        """Keeps an artifact."""
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            for file, text in files.items():
                archive.writestr(file, text)
        identity = 900 + len(self.artifacts)
        self.files[identity] = held.getvalue()
        run = {"head_branch": branch, "repository_id": 1, "head_repository_id": 2 if fork else 1}
        self.artifacts.append(
            {"id": identity, "name": name, "created_at": at, "expired": expired,
             "workflow_run": run}
        )  # fmt: skip

    def _listed(self, request: Request, _found: re.Match[str]) -> Answer:
        held, headers = self.page(request, self.comments)
        return Answer(200, held, headers)

    def _artifacts(self, request: Request, _found: re.Match[str]) -> Answer:
        named = [held for held in self.artifacts if held["name"] == request.query["name"]]
        newest = sorted(named, key=lambda held: -held["id"])
        held, headers = self.page(request, newest)
        return Answer(200, {"total_count": len(named), "artifacts": held}, headers)

    def _sent_elsewhere(self, _request: Request, found: re.Match[str]) -> Answer:
        # Another name of this host: what a token may not follow.
        elsewhere = self.address.replace("127.0.0.1", "localhost")
        return Answer(302, None, {"Location": f"{elsewhere}/storage/{found['id']}"})

    def _stored(self, _request: Request, found: re.Match[str]) -> Answer:
        return Answer(200, self.files[int(found["id"])])


@dataclass
class FakeGitLab(FakeForge):
    """The project 42 with the merge request 7.

    Attributes:
        kept: files of artifacts by branch, job and path.
    """

    limit: int = 1_000_000
    kept: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def routes(self) -> dict[tuple[str, str], Route]:
        """Handlers by method and pattern of the path."""
        notes = "/api/v4/projects/42/merge_requests/7/notes"
        raw = "/api/v4/projects/42/jobs/artifacts/(?P<branch>[^/]+)/raw/(?P<path>.+)"
        return {
            ("GET", notes): self._listed,
            ("POST", notes): self._added,
            ("PUT", rf"{notes}/(?P<id>\d+)"): self._replaced,
            ("GET", raw): self._artifact,
        }

    def is_known(self, request: Request) -> bool:
        """A job's own token reads artifacts, and writes no notes."""
        if request.headers.get("Private-Token") == TOKEN:
            return True
        return request.headers.get("Job-Token") == TOKEN and "/jobs/artifacts/" in request.path

    def _listed(self, request: Request, _found: re.Match[str]) -> Answer:
        assert request.query["sort"] == "asc"  # GitLab's own default is the newest first
        held, headers = self.page(request, self.comments)
        return Answer(200, held, headers)

    def _artifact(self, request: Request, found: re.Match[str]) -> Answer:
        key = unquote(found["branch"]), request.query["job"], unquote(found["path"])
        if key not in self.kept:
            return Answer(404, {"message": "404 Not Found"})
        return Answer(200, self.kept[key].encode())


@contextmanager
def listening(forge: FakeForge) -> Iterator[None]:
    """Serves a forge at its `address`."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            headers = {name.title(): value for name, value in self.headers.items()}
            answer = forge.answer(Request(self.command, url.path, query, headers, body))
            data = (
                answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            )
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = _handle  # noqa: N815  # as http.server calls them

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as above
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        forge.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield
        server.shutdown()
        thread.join()
