"""Baselines of a server and stored results, by the command and the Python client."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from heatproof.client import (
    AsyncClient,
    Client,
    ConflictError,
    FailedPreconditionError,
    GateReport,
    InvalidArgumentError,
    NotFoundError,
    UsageError,
)
from heatproof.client.command.application import run
from heatproof.client.command.output import console
from heatproof.client.documents.reading.baseline_names import (
    baseline_name,
    baseline_reference,
    revision_held,
)


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(console.out, "width", 250)


@pytest.fixture(scope="module")
def client(served: str) -> Iterator[Client]:
    with Client.connect(served) as client:
        yield client


@pytest.fixture(scope="module")
def sound(client: Client, folder: Path) -> GateReport:
    return client.gate(folder / "sound.onnx", str(folder / "images"), policy=folder / "policy.toml")


def gate(model: str, served: str, *arguments: str) -> int:
    question = ["--model", model, "--images", "images", "--policy", "policy.toml"]
    return run(["gate", *question, "--server", served, *arguments])


def test_a_release_by_name_from_the_first_baseline_to_a_refused_candidate(
    served: str, client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    assert gate("sound.onnx", served, "--update-baseline", "first-release") == 0
    assert "baselines/first-release@1 is evaluations/" in capfd.readouterr().err
    by_name = ["--baseline", "first-release", "--update-baseline", "baselines/first-release"]
    files = ["--json", "n.json", "--markdown", "n.md", "--html", "n.html", "--junit", "n.xml"]

    assert gate("crippled.onnx", served, *by_name, *files) == 1
    told = capfd.readouterr()
    assert "baselines/first-release stays as it is" in told.err
    assert "what else differs from baselines/first-release@1" in told.out
    (model,) = [line for line in told.out.splitlines() if line.strip().startswith("model  ")]
    assert "crippled.onnx (" in model, told.out

    verdict = json.loads(Path("n.json").read_text())["verdict"]
    assert verdict["baseline"] == "baselines/first-release@1"
    assert {one["setting"] for one in verdict["settings"]} == {"evaluation", "model"}
    suite = ET.parse("n.xml").getroot().find("testsuite")  # noqa: S314  # our own output
    assert suite is not None
    held = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    assert held["baseline"] == "baselines/first-release@1"
    assert "crippled.onnx" in held["model against the baseline"]
    assert "| Setting | Baseline | Candidate |" in Path("n.md").read_text()
    assert "What else differs from baselines/first-release@1" in Path("n.html").read_text()

    assert gate("sound.onnx", served, *by_name) == 0
    history = client.baseline_revisions("first-release")
    assert [held.revision for held in history] == [2, 1]
    assert history[0].note.startswith("gate: PASS")
    assert "@" in history[0].note


def test_rules_that_have_changed_since_are_told(
    served: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert gate("sound.onnx", served, "--update-baseline", "rules") == 0
    assert gate("sound.onnx", served, "--update-baseline", "rules.json") == 0
    text = (folder / "policy.toml").read_text().replace("min = 0.5", "min = 0.4")
    (folder / "looser.toml").write_text(text)
    capfd.readouterr()
    for baseline in ("rules", "rules.json"):
        asked = ["gate", "--model", "sound.onnx", "--images", "images", "--policy", "looser.toml"]
        assert run([*asked, "--server", served, "--baseline", baseline]) == 0
        (line,) = [one for one in capfd.readouterr().out.splitlines() if "policy:" in one]
        assert line.split() == ["policy:", "insertion:", "min", "0.5", "0.4"]


def test_a_baseline_is_set_listed_shown_and_deleted(
    served: str, sound: GateReport, capfd: pytest.CaptureFixture[str]
) -> None:
    name, at = sound.evaluation.name, ["--server", served]
    assert run(["baselines", "set", "trial", name, "--note", "by hand", "--expect", "0", *at]) == 0
    assert capfd.readouterr().out.strip() == f"baselines/trial@1 is {name}"
    assert run(["baselines", "set", "trial", name, "--note", "again", "--expect", "0", *at]) == 2
    assert "has moved to revision 1" in capfd.readouterr().err
    assert run(["baselines", "set", "trial", name, "--note", "again", *at]) == 0
    assert run(["baselines", "list", *at]) == 0
    assert "baselines/trial@2" in capfd.readouterr().out
    assert run(["baselines", "show", "baselines/trial", *at]) == 0
    rows = [line for line in capfd.readouterr().out.splitlines() if name in line]
    assert [row.split()[0] for row in rows] == ["2", "1"]
    assert "sound.onnx" in rows[0]
    assert "by hand" in rows[1]
    assert run(["evaluations", "delete", name, *at]) == 2
    assert "has been set to" in capfd.readouterr().err
    assert run(["baselines", "delete", "trial", *at]) == 0
    assert run(["baselines", "show", "trial", *at]) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--baseline", "nobody"], "--baseline nobody: there is no such file"),
        (["--update-baseline", "nobody"], "--update-baseline nobody: there is no such file"),
        (["--evaluation", "evaluations/x"], "give --server or --data-dir"),
    ],
)
def test_names_need_a_server_before_anything_is_read(
    arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["gate", "--model", "no.onnx", "--images", "no", *arguments]) == 2
    assert told in capfd.readouterr().err


def test_a_missing_baseline_offers_the_nearest_and_says_that_there_is_no_file(
    served: str, client: Client, sound: GateReport, capfd: pytest.CaptureFixture[str]
) -> None:
    client.set_baseline("nearby", sound)
    assert gate("sound.onnx", served, "--baseline", "nearbi", "--json", "missing.json") == 2
    told = capfd.readouterr().err
    assert "there is no baselines/nearbi; did you mean baselines/nearby?" in told
    assert "nor is there a file or folder nearbi" in told
    assert json.loads(Path("missing.json").read_text())["error"]["reason"] == "NotFoundError"


def test_stored_results_are_judged_again_by_another_policy(
    served: str, folder: Path, client: Client, sound: GateReport, capfd: pytest.CaptureFixture[str]
) -> None:
    client.set_baseline("judged", sound)
    text = (folder / "policy.toml").read_text()
    (folder / "strict.toml").write_text(text.replace("min = 0.5", "min = 0.999"))
    stored = ["gate", "--evaluation", sound.evaluation.name, "--server", served]
    files = ["--json", "s.json", "--junit", "s.xml", "--markdown", "s.md", "--html", "s.html"]
    before = len(client.evaluations())

    assert (
        run([*stored, "--policy", "policy.toml", "--baseline", "judged", "--json", "a.json"]) == 0
    )
    assert run([*stored, "--policy", "strict.toml", *files]) == 1
    capfd.readouterr()

    assert len(client.evaluations()) == before
    again = json.loads(Path("a.json").read_text())
    whole = json.loads(Path("s.json").read_text())
    assert again["verdict"]["baseline"] == "baselines/judged@1"
    assert whole["evaluation"]["name"] == sound.evaluation.name
    assert len(whole["image_results"]) == 12
    assert all(Path(name).stat().st_size for name in ("s.xml", "s.md", "s.html"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("insertion = {", "deletion = {", "does not score deletion"),
        ('"grad_cam"', '"saliency"', "saliency"),
        ('"black"', '"white"', "white"),
        ("seed = 3", "seed = 4", "seed (3 → 4)"),
        ('resize = "none"', 'resize = "stretch"', "resize none → stretch"),
        ("min = 0.5", "min = 0.5\nmax_disparity = 0.1", "groups of images"),
    ],
)
def test_what_stored_results_do_not_hold_is_refused(
    served: str, sound: GateReport, *, old: str, new: str, told: str,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    text = Path("policy.toml").read_text()
    assert old in text
    Path("other.toml").write_text(text.replace(old, new))
    stored = ["gate", "--evaluation", sound.evaluation.name, "--server", served]
    assert run([*stored, "--policy", "other.toml", "--json", "o.json"]) == 2
    assert told in capfd.readouterr().err
    assert told in json.loads(Path("o.json").read_text())["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--images", "images"], "leave out --images"),
        (["--dry-run"], "--evaluation runs nothing"),
        (["--baseline", "sound.onnx"], "would have to be evaluated"),
        (["--model", "models/x"], "no model of the evaluation"),
    ],
)
def test_what_says_what_to_evaluate_is_refused_beside_an_evaluation(
    served: str, sound: GateReport, arguments: list[str], told: str,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    stored = ["gate", "--evaluation", sound.evaluation.name, "--server", served]
    assert run([*stored, "--policy", "policy.toml", *arguments]) == 2
    assert told in capfd.readouterr().err


@pytest.mark.parametrize("missing", ["--model", "--images"])
def test_a_gate_needs_model_and_images(missing: str, capfd: pytest.CaptureFixture[str]) -> None:
    given = {"--model": "sound.onnx", "--images": "images"}
    del given[missing]
    assert run(["gate", *[part for pair in given.items() for part in pair]]) == 2
    assert f"no {missing}: give --model and --images" in capfd.readouterr().err


def test_a_baseline_that_moves_under_a_gate_is_not_overwritten(
    client: Client, sound: GateReport, folder: Path
) -> None:
    client.set_baseline("moving", sound)
    judged = client.gate(
        folder / "sound.onnx", str(folder / "images"), policy=folder / "policy.toml",
        baseline="moving",
    )  # fmt: skip
    assert judged.verdict.baseline == "baselines/moving@1"
    client.set_baseline("moving", sound, note="by somebody else")
    with pytest.raises(ConflictError, match="has moved to revision 2"):
        client.set_baseline("moving", judged, expected_revision=1)
    assert client.baseline("moving").revision.note == "by somebody else"
    held = client.gate_evaluation(judged, policy=folder / "policy.toml", baseline="moving@1")
    assert held.verdict == judged.verdict


def test_the_client_for_event_loops_does_the_same(
    served: str, sound: GateReport, folder: Path
) -> None:
    async def use() -> list[Any]:
        async with AsyncClient.connect(served) as client:
            await client.set_baseline("awaited", sound.evaluation.name, note="async")
            judged = await client.gate_evaluation(
                sound.evaluation.name, policy=folder / "policy.toml", baseline="awaited"
            )
            found = [
                (await client.baseline("awaited")).revision.note,
                judged.verdict.baseline,
                [held.revision for held in await client.baseline_revisions("awaited")],
                "baselines/awaited" in {one.name for one in await client.baselines()},
            ]
            await client.delete_baseline("awaited")
            with pytest.raises(NotFoundError):
                await client.baseline("awaited")
            return found

    assert asyncio.run(use()) == ["async", "baselines/awaited@1", [1], True]


def test_a_policy_that_is_not_answered_is_an_error_of_the_client(
    client: Client, sound: GateReport
) -> None:
    other = {"checks": [{"metric": "deletion", "min": 0}], "seed": 3}
    with pytest.raises(InvalidArgumentError, match="deletion"):
        client.gate_evaluation(sound, policy=other)
    same = {"checks": [{"metric": {"insertion": {"grid": 4, "steps": 4}}, "min": 0}]}
    rest = {"explainers": ["grad_cam"], "removals": ["black"]}
    with pytest.raises(FailedPreconditionError, match=r"seed \(3 → 0\)"):
        client.gate_evaluation(sound, policy={**same, **rest})
    assert client.gate_evaluation(sound, policy={**same, **rest, "seed": 3}).passed


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        ("main", "baselines/main"),
        ("main@3", "baselines/main@3"),
        ("baselines/main", "baselines/main"),
        ("baselines/main.json", None),
        ("main.json", None),
        ("parent.onnx", None),
        ("models/main", None),
        ("images", None),  # a folder of this name exists
        ("baselines/images", "baselines/images"),
        ("Main", None),
        ("main@0", None),
        ("./main", None),
        (Path("main"), None),
        (b"main", None),
        (None, None),
    ],
)
def test_a_name_is_told_from_files_and_models(source: object, reference: str | None) -> None:
    assert baseline_reference(source) == reference


@pytest.mark.parametrize("name", ["", "main@3", "Main", "a/b", "models/x"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="names no baseline"):
        baseline_name(name)


@pytest.mark.parametrize(
    ("reference", "revision"),
    [
        ("baselines/main@3", 3),
        ("baselines/other@3", None),
        ("models/a", None),
        ("evaluations/a", None),
        ("", None),
    ],
)
def test_only_a_revision_of_the_same_baseline_is_replaced(
    reference: str, revision: int | None
) -> None:
    assert revision_held(reference, "baselines/main") == revision
