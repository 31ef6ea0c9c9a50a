"""`heatproof ci`: what a run of CI needs beside the gate."""

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from heatproof.client.command.options.files import require_writable
from heatproof.client.command.output.console import note
from heatproof.client.documents.recordings import read_baseline
from heatproof.client.errors import UsageError
from heatproof.client.forges.comments import keep_comment, marker
from heatproof.client.forges.forge import Forge, Run
from heatproof.client.forges.github import GitHub
from heatproof.client.forges.gitlab import GitLab
from heatproof.client.report.failures import Failure
from heatproof.client.report.markdown import escape, render

COMMIT_DIGITS: Final = 10
"""Digits of a commit that are shown."""

app = typer.Typer(
    no_args_is_help=True,
    help="Keep one comment on a change, and fetch the baseline that a branch keeps as an artifact.",
)


class ForgeName(StrEnum):
    """A forge that is known."""

    GITHUB = "github"
    GITLAB = "gitlab"


_FORGES: Final[Mapping[ForgeName, Callable[[Mapping[str, str]], Forge]]] = {
    ForgeName.GITHUB: GitHub.of,
    ForgeName.GITLAB: GitLab.of,
}

_SIGNS: Final = {"GITHUB_ACTIONS": ForgeName.GITHUB, "GITLAB_CI": ForgeName.GITLAB}
"""Variables by which a run says where it is."""

On = Annotated[
    ForgeName | None,
    typer.Option("--on", help="Where: github or gitlab. By default where the run is."),
]


@app.command("comment")
def comment(
    report: Annotated[Path, typer.Argument(help="File of `heatproof gate --markdown`.")],
    *,
    name: Annotated[
        str, typer.Option(help="Tells the comments of several gates on one change apart.")
    ] = "heatproof",
    link: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT=URL", help="A link below the report; may be repeated."),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(min=1, help="The pull or merge request; by default that of the run."),
    ] = None,
    on: On = None,
) -> None:
    """Say what a gate found in one comment on the change, however often it runs.

    A comment of the same name is replaced. Where the report is missing the comment says so.
    """
    marker(name)
    links = [_link(text) for text in link or []]
    forge = _forge(on)
    change = forge.change(number)
    if change is None:
        note("this run is of no pull or merge request: there is nothing to comment on")
        return
    text, error = _read(report)
    is_replaced = keep_comment(change, text, name, _foot(links, forge.run))
    note(f"the comment {name} is {'brought up to date' if is_replaced else 'written'}")
    if error is not None:
        raise error


@app.command("baseline")
def baseline(
    artifact: Annotated[
        str, typer.Option(help="Name of the artifact; on GitLab the job and the path, JOB:PATH.")
    ],
    branch: Annotated[str, typer.Option(help="The branch whose runs keep it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    *,
    required: Annotated[
        bool, typer.Option("--required", help="End with 2 where the branch has none.")
    ] = False,
    on: On = None,
) -> None:
    """Fetch the baseline that the runs of a branch keep as an artifact.

    Where the branch has none the file is removed, should there be an old one.
    """
    for option, value in {"--artifact": artifact, "--branch": branch}.items():
        if not value.strip():  # of a variable that a run does not have
            raise UsageError(f"{option} is empty")
    require_writable(output)
    data = _forge(on).artifact(artifact, branch)
    if data is not None:
        output.write_bytes(data)
        read_baseline(output)
        note(f"{output}: the artifact {artifact} of {branch}")
        return
    output.unlink(missing_ok=True)
    told = f"{branch} has no artifact {artifact} (any more)"
    if required:
        raise UsageError(f"{told}: run the gate there with --update-baseline and keep its file")
    note(f"{told}: regressions cannot be checked")


def _forge(on: ForgeName | None) -> Forge:
    """The forge that is named, or that of the run.

    Raises:
        UsageError: there is none, or a variable is missing.
    """
    found = on or next((at for sign, at in _SIGNS.items() if os.environ.get(sign) == "true"), None)
    if found is None:
        raise UsageError("this is no run of GitHub Actions or GitLab CI: say --on github or gitlab")
    return _FORGES[found](os.environ)


def _read(report: Path) -> tuple[str, UsageError | None]:
    """The report, or what stands in its place and the error."""
    try:
        text, fault = report.read_text(encoding="utf-8"), "it is empty"
    except (OSError, UnicodeDecodeError) as cause:
        text, fault = "", str(cause)
    if text.strip():
        return text, None
    error = UsageError(f"cannot read {report}, which the gate should have written: {fault}")
    return render(None, Failure.of(error)), error


def _link(text: str) -> str:
    name, _, url = text.partition("=")
    if not name or not url.startswith(("https://", "http://")) or any(map(str.isspace, url)):
        raise UsageError(f"--link wants TEXT=URL, not {text!r}")
    return f"[{escape(name)}](<{url}>)"


def _foot(links: list[str], run: Run) -> str:
    """What the comment tells of: files, commit and run."""
    told = [*links]
    if run.commit:
        told.append(f"commit {run.commit[:COMMIT_DIGITS]}")
    if run.url:
        told.append(f"[run](<{run.url}>)")
    return f"<sub>{' · '.join(told)}</sub>" if told else ""
