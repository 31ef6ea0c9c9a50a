from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from heatproof.client import UsageError
from heatproof.client.export import export_classifier, exported


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(4, 2),
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's own
def test_an_exported_classifier_answers_as_the_module_for_any_batch(tmp_path: Path) -> None:
    module = small().train()

    path = export_classifier(module, tmp_path / "m.onnx", (8, 6))

    assert module.training
    images = np.random.default_rng(0).random((5, 3, 8, 6), np.float32)
    (logits,) = ort.InferenceSession(str(path)).run(["logits"], {"image": images})
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-6)  # single precision, sums of 27


def test_a_module_that_gives_no_logits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\[N, classes\]"):
        export_classifier(torch.nn.Conv2d(3, 4, 3), tmp_path / "m.onnx", 8)
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's own
def test_a_module_becomes_the_bytes_that_are_evaluated() -> None:
    module = small().eval()
    images = torch.rand(5, 3, 8, 6)

    session = ort.InferenceSession(exported(module, images[:1]))

    (logits,) = session.run(["logits"], {"image": images.numpy()})
    with torch.no_grad():
        expected = module(images).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-6)  # single precision, sums of 27


def test_an_example_is_a_batch_of_images() -> None:
    with pytest.raises(UsageError, match=r"\[N, channels, height, width\], not \[3, 8, 8\]"):
        exported(small(), torch.zeros(3, 8, 8))
