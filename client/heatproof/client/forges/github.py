"""GitHub, and GitHub Enterprise Server."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from heatproof.client.errors import ForgeError, UsageError
from heatproof.client.forges.api import MAX_BYTES, Api
from heatproof.client.forges.comments import Comment
from heatproof.client.forges.forge import Environment, Run, said_by, variable

_TOKEN: Final = "GITHUB_TOKEN"
_VERSION: Final = "2022-11-28"

_LIMIT: Final = 65_536
"""Characters that a comment may have."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request: a `Change`."""

    api: Api
    repository: str
    number: int
    limit: int = _LIMIT

    def comments(self) -> Iterator[Comment]:
        """Its comments, oldest first; those on lines of code are no part of them."""
        for page in self.api.pages(f"/repos/{self.repository}/issues/{self.number}/comments"):
            yield from said_by(page, lambda held: [_comment(one) for one in held])

    def add(self, text: str) -> None:
        """Adds a comment."""
        path = f"/repos/{self.repository}/issues/{self.number}/comments"
        self.api.send("POST", path, {"body": text})

    def replace(self, comment: Comment, text: str) -> None:
        """Replaces what a comment says."""
        path = f"/repos/{self.repository}/issues/comments/{comment.identity}"
        self.api.send("PATCH", path, {"body": text})


@dataclass(frozen=True, slots=True)
class GitHub:
    """A repository of GitHub, as a run of GitHub Actions sees it: a `Forge`.

    Attributes:
        api: the HTTP API.
        repository: `owner/name`.
        event: what started the run.
        run: the run.
    """

    api: Api
    repository: str
    event: dict[str, Any]
    run: Run

    @classmethod
    def of(cls, environment: Environment) -> Self:
        """Reads the variables that GitHub Actions sets, and the token.

        Raises:
            UsageError: one is missing, or the event cannot be read.
        """
        token = variable(environment, _TOKEN, "give ${{ github.token }} or a token of your own")
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": _VERSION,
        }
        api = Api(environment.get("GITHUB_API_URL") or "https://api.github.com", headers, _TOKEN)
        repository = variable(environment, "GITHUB_REPOSITORY", "owner/name of the repository")
        event = _event(environment)
        return cls(api, repository, event, _run(environment, event, repository))

    def change(self, number: int | None) -> PullRequest | None:
        """A pull request by its number, or that of the run."""
        found = number or _number(self.event)
        return None if found is None else PullRequest(self.api, self.repository, found)

    def artifact(self, name: str, branch: str) -> bytes | None:
        """The JSON file of the newest artifact of a name that a run of a branch has uploaded.

        Raises:
            ForgeError: GitHub refuses it or cannot be reached, or the artifact has not one file.
        """
        path = f"/repos/{self.repository}/actions/artifacts"
        for page in self.api.pages(path, name=name):
            ours = [held for held in said_by(page, _artifacts) if _is_of(held, branch)]
            if ours:
                newest = max(ours, key=lambda held: str(held["created_at"]))
                return _only_json(name, self.api.download(f"{path}/{newest['id']}/zip"))
        return None


def _artifacts(page: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # a JSON value
    return [
        {key: held[key] for key in ("id", "created_at", "expired", "workflow_run")}
        for held in page["artifacts"]
    ]


def _is_of(artifact: dict[str, Any], branch: str) -> bool:
    """Whether a run of this repository's branch has it: forks have branches of the same name."""
    run = artifact["workflow_run"] or {}
    is_own = run.get("head_repository_id") == run.get("repository_id")
    return not artifact["expired"] and is_own and run.get("head_branch") == branch


def _only_json(name: str, data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [one for one in archive.infolist() if one.filename.endswith(".json")]
            if len(files) != 1:
                raise ForgeError(f"the artifact {name} has {len(files)} JSON files, and not one")
            if files[0].file_size > MAX_BYTES:
                raise ForgeError(f"the file of artifact {name} has more than {MAX_BYTES} bytes")
            return archive.read(files[0])
    except zipfile.BadZipFile as error:
        raise ForgeError(f"the artifact {name} is no zip file") from error


def _comment(held: Any) -> Comment:  # noqa: ANN401  # a JSON value
    return Comment(str(held["id"]), held["body"] or "")


def _event(environment: Environment) -> dict[str, Any]:
    path = environment.get("GITHUB_EVENT_PATH", "")
    if not path:
        return {}
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the event of GITHUB_EVENT_PATH, {path}: {error}") from error
    return event if isinstance(event, dict) else {}


def _number(event: dict[str, Any]) -> int | None:
    """The pull request that an event is about; a comment on one is an issue's event."""
    held = event.get("pull_request")
    issue = event.get("issue") or {}
    number = (
        held.get("number") if held else issue.get("number") if "pull_request" in issue else None
    )
    return number if isinstance(number, int) else None


def _run(environment: Environment, event: dict[str, Any], repository: str) -> Run:
    # GITHUB_SHA of a pull request is a merge that nobody knows.
    head = (event.get("pull_request") or {}).get("head") or {}
    run = environment.get("GITHUB_RUN_ID")
    server = environment.get("GITHUB_SERVER_URL") or "https://github.com"
    url = f"{server}/{repository}/actions/runs/{run}" if run else ""
    return Run(str(head.get("sha") or environment.get("GITHUB_SHA", "")), url)
