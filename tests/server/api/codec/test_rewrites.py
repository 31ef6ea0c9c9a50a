"""Which rewrite a download asks for."""

import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.graphs.lowering import Platform
from heatproof.graphs.masking.options import MaskingOptions
from heatproof.server.api.codec.models import decode_rewrite
from heatproof.server.workers.tasks import GradientRewrite, Rewrite
from heatproof.v1.model_service_pb2 import DownloadModelRequest, Gradient, LayerMasking


@pytest.mark.parametrize("platform", Platform)
def test_a_rewrite_is_for_the_platform_that_is_named(platform: Platform) -> None:
    number = DownloadModelRequest.Platform.Value(f"PLATFORM_{platform.name}")
    request = DownloadModelRequest(layer_masking=LayerMasking(), platform=number)  # type: ignore[arg-type]  # an int at runtime
    assert decode_rewrite(request) == Rewrite(MaskingOptions(), platform)


def test_a_rewrite_is_portable_where_nothing_is_said() -> None:
    request = DownloadModelRequest(gradient=Gradient(output="scores"))
    assert decode_rewrite(request) == Rewrite(GradientRewrite("scores"), Platform.PORTABLE)


def test_the_files_as_uploaded_are_for_no_platform() -> None:
    assert decode_rewrite(DownloadModelRequest()) is None
    with pytest.raises(InvalidArgumentError, match="as it was uploaded") as caught:
        decode_rewrite(DownloadModelRequest(platform=DownloadModelRequest.PLATFORM_CPU))
    assert caught.value.field == "platform"


def test_an_unknown_platform_is_refused_with_those_there_are() -> None:
    request = DownloadModelRequest(gradient=Gradient(), platform=9)  # type: ignore[arg-type]  # of a newer client
    with pytest.raises(InvalidArgumentError, match="PLATFORM_CUDA") as caught:
        decode_rewrite(request)
    assert caught.value.field == "platform"
