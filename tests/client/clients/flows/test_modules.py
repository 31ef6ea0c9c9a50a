"""Modules of torch where a model is wanted."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from heatproof.client import AsyncClient, Client, Gradient, UsageError
from heatproof.client.export import TorchModule, exported
from tests.client import fakes
from tests.client.canned import png
from tests.client.clients.flows.test_evaluations import QUESTION

# torch's own
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)

EXAMPLE = torch.zeros(1, 3, 8, 6)


class Small(torch.nn.Module):
    """A classifier of two classes."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.features = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.head = torch.nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.head(self.features(images).mean(dim=(2, 3)))


class Branching(Small):
    """What it computes depends on the values that it sees."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return super().forward(images if images.sum() > 0 else -images)


def asked(client: Any, policy: Path, name: str, model: object, **more: object) -> Any:
    """Calls a method that takes a model."""
    given: dict[str, tuple[tuple[object, ...], dict[str, Any]]] = {
        "evaluate": ((png(),), QUESTION),
        "submit": ((png(),), QUESTION),
        "estimate": ((png(),), QUESTION),
        "gate": ((png(),), {"policy": policy}),
        "estimate_gate": ((png(),), {"policy": policy}),
        "explain": ((png(),), {"preprocessing": "unit", "explainers": "grad_cam"}),
        "model_inputs": ((png(),), {"preprocessing": "unit"}),
        "inspect": ((), {}),
        "rewrite": (("out.onnx", Gradient()), {}),
        "consistency_weights": ((png(),), {"preprocessing": "unit"}),
    }
    arguments, named = given[name]
    return getattr(client, name)(model, *arguments, **named, **more)


TAKING = (
    "evaluate",
    "submit",
    "estimate",
    "gate",
    "estimate_gate",
    "explain",
    "model_inputs",
    "inspect",
    "rewrite",
    "consistency_weights",
)


def test_a_module_is_told_by_its_methods() -> None:
    assert isinstance(Small(), TorchModule)
    assert not any(isinstance(one, TorchModule) for one in ("m.onnx", b"", Path("m"), object()))


def test_a_module_is_uploaded_as_its_export_and_goes_by_its_class(
    client: Client, script: fakes.Script
) -> None:
    module = Small().train()
    module.features[1].eval()

    report = client.evaluate(module, png(), example=EXAMPLE, **QUESTION)

    assert script.uploaded == {"model.onnx": exported(module, EXAMPLE)}
    assert [model.display_name for model in report.models] == ["Small"]
    modes = [inner.training for inner in (module, module.features[0], module.features[1])]
    assert modes == [True, True, False]


def test_modules_files_and_a_judge_go_together(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    models = [Small(0), model_file, Small(1)]
    report = client.evaluate(models, png(), example=EXAMPLE, evaluator_model=Small(2), **QUESTION)

    names = [request.name for request in script.calls["GetModel"]]
    assert len(set(names)) == 4
    assert [model.name for model in report.models] == names[:3]
    assert [model.display_name for model in report.models] == ["Small", "net.onnx", "Small"]
    assert report.evaluation.spec.evaluator_model == names[3]


def test_a_module_is_gated_against_another(
    client: Client, script: fakes.Script, policy_file: Path
) -> None:
    report = client.gate(Small(0), png(), policy=policy_file, baseline=Small(1), example=EXAMPLE)

    assert [model.display_name for model in report.models] == ["Small", "Small"]
    (request,) = script.calls["GateEvaluation"]
    assert request.baseline_model == report.models[1].name


@pytest.mark.parametrize("name", TAKING)
def test_a_module_without_an_example_is_refused_before_anything_else(
    client: Client, script: fakes.Script, policy_file: Path, name: str
) -> None:
    with pytest.raises(UsageError, match=r"^Small is a torch\.nn\.Module: give a batch .*example="):
        asked(client, policy_file, name, Small())
    assert not script.calls


@pytest.mark.parametrize("name", TAKING)
def test_an_example_of_a_file_is_refused_before_anything_else(
    client: Client, script: fakes.Script, policy_file: Path, model_file: Path, name: str
) -> None:
    with pytest.raises(UsageError, match="a file says itself what it takes"):
        asked(client, policy_file, name, model_file, example=EXAMPLE)
    assert not script.calls


def test_a_coroutine_takes_a_module(address: str, script: fakes.Script) -> None:
    async def held() -> Any:
        async with AsyncClient.connect(address) as other:
            with pytest.raises(UsageError, match=r"is a torch\.nn\.Module"):
                await other.inspect(Small())
            assert not script.calls
            return await other.inspect(Small(), example=EXAMPLE)

    assert asyncio.run(held()).display_name == "Small"


def test_a_judge_or_a_baseline_needs_the_example_too(
    client: Client, model_file: Path, policy_file: Path
) -> None:
    with pytest.raises(UsageError, match=r"is a torch\.nn\.Module"):
        client.evaluate(model_file, png(), evaluator_model=Small(), **QUESTION)
    with pytest.raises(UsageError, match=r"is a torch\.nn\.Module"):
        client.gate(model_file, png(), policy=policy_file, baseline=Small())


@pytest.mark.parametrize(
    ("module", "example", "says"),
    [
        (Small(), torch.zeros(3, 8, 8), r"\[N, channels, height, width\], not \[3, 8, 8\]"),
        (Small(), torch.zeros(1, 4, 8, 8), r"Small does not take a batch \[2, 4, 8, 8\]: .*chan"),
        (torch.nn.Conv2d(3, 4, 3), EXAMPLE, r"a tensor \[N, classes\]"),
        (Branching(), EXAMPLE, "torch cannot export Branching: .*; write the file yourself"),
    ],
)
def test_a_module_that_cannot_be_a_model_is_refused(
    client: Client, script: fakes.Script, module: torch.nn.Module, example: object, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        client.inspect(module, example=example)  # type: ignore[arg-type]  # also no batch
    assert not script.calls
    assert module.training


def test_half_a_module_s_precision_is_kept() -> None:
    assert exported(Small().half(), EXAMPLE)


def test_torch_is_imported_for_a_module_alone(model_file: Path) -> None:
    program = (
        "import sys, heatproof.client\n"
        "from heatproof.client.documents.model_files import ModelSources\n"
        "assert list(ModelSources((sys.argv[1],)).read())\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(model_file)], check=True, timeout=60)
