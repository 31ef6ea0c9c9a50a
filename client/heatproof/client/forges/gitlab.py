"""GitLab."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote

from heatproof.client.errors import ForgeError, UsageError
from heatproof.client.forges.api import Api
from heatproof.client.forges.comments import Comment
from heatproof.client.forges.forge import Environment, Run, said_by, variable

_TOKEN: Final = "GITLAB_TOKEN"
_JOB_TOKEN: Final = "CI_JOB_TOKEN"

_LIMIT: Final = 1_000_000
"""Characters that a note may have."""

_ABSENT: Final = 404


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """A merge request: a `Change`, whose comments GitLab calls notes."""

    api: Api
    project: str
    number: int
    limit: int = _LIMIT

    def comments(self) -> Iterator[Comment]:
        """Its notes, oldest first, but those that GitLab writes itself."""
        for page in self.api.pages(self._notes, sort="asc", order_by="created_at"):
            yield from said_by(page, _notes)

    def add(self, text: str) -> None:
        """Adds a note."""
        self.api.send("POST", self._notes, {"body": text})

    def replace(self, comment: Comment, text: str) -> None:
        """Replaces what a note says."""
        self.api.send("PUT", f"{self._notes}/{comment.identity}", {"body": text})

    @property
    def _notes(self) -> str:
        return f"/projects/{self.project}/merge_requests/{self.number}/notes"


@dataclass(frozen=True, slots=True)
class GitLab:
    """A project of GitLab, as a job of its CI sees it: a `Forge`.

    Attributes:
        environment: the variables of the job.
        project: number or path of the project, fit for an address.
        run: the job.
    """

    environment: Environment
    project: str
    run: Run

    @classmethod
    def of(cls, environment: Environment) -> Self:
        """Reads the variables that GitLab CI sets.

        Raises:
            UsageError: one is missing.
        """
        project = variable(environment, "CI_PROJECT_ID", "number or path of the project")
        # The commit of a pipeline of merged results is one of GitLab's own.
        commit = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")
        commit = commit or environment.get("CI_COMMIT_SHA", "")
        run = Run(commit, environment.get("CI_JOB_URL", ""))
        return cls(environment, quote(project, safe=""), run)

    def change(self, number: int | None) -> MergeRequest | None:
        """A merge request by its number, or that of the job.

        Raises:
            UsageError: there is no token that may write notes.
        """
        found = number or _number(self.environment.get("CI_MERGE_REQUEST_IID", ""))
        if found is None:
            return None
        why = "a job's own token may not write notes: give an access token with the scope api"
        token = variable(self.environment, _TOKEN, why)
        return MergeRequest(self._api({"PRIVATE-TOKEN": token}, _TOKEN), self.project, found)

    def artifact(self, name: str, branch: str) -> bytes | None:
        """A file that the newest successful pipeline of a branch has kept.

        Args:
            name: `JOB:PATH`, the job and the path of the file among its artifacts.
            branch: the branch.

        Raises:
            UsageError: the name has another form, or there is no token.
            ForgeError: GitLab refuses it or cannot be reached.
        """
        job, _, path = name.rpartition(":")  # names of jobs may hold colons
        if not job or not path:
            raise UsageError(f"an artifact of GitLab is named JOB:PATH, not {name!r}")
        where = (
            f"/projects/{self.project}/jobs/artifacts/{quote(branch, safe='')}/raw/{quote(path)}"
        )
        try:
            return self._reader().download(where, job=job)
        except ForgeError as error:
            if error.status == _ABSENT:
                return None
            raise

    def _reader(self) -> Api:
        """The API by whatever token may read artifacts."""
        if self.environment.get(_TOKEN):
            return self._api({"PRIVATE-TOKEN": self.environment[_TOKEN]}, _TOKEN)
        token = variable(self.environment, _JOB_TOKEN, f"or give {_TOKEN}")
        return self._api({"JOB-TOKEN": token}, _JOB_TOKEN)

    def _api(self, headers: dict[str, str], token: str) -> Api:
        address = self.environment.get("CI_API_V4_URL") or "https://gitlab.com/api/v4"
        return Api(address, headers, token)


def _notes(page: Any) -> list[Comment]:  # noqa: ANN401  # a JSON value
    return [Comment(str(held["id"]), held["body"] or "") for held in page if not held.get("system")]


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
