"""Any client finds its way: health, reflection and grpcurl with nothing but the address."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from tests.system.payloads import file_info, model_bytes, png
from tests.system.serving import Served

GRPCURL = Path(sys.executable).parent / "grpcurl"
SERVICES = {
    f"heatproof.v1.{name}Service"
    for name in ("Catalog", "Dataset", "Evaluation", "Explanation", "Masking", "Model")
}


def grpcurl(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GRPCURL, "-plaintext", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def call(served: Served, method: str, given: Any) -> Any:
    """Calls a method with JSON on standard input, as the documentation shows."""
    done = grpcurl("-d", "@", served.address, method, given=json.dumps(given))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("service", ["", *sorted(SERVICES)])
def test_every_service_is_healthy(served: Served, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(served.channel)
    reply = stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_an_unknown_service_is_not_found(served: Served) -> None:
    stub = health_pb2_grpc.HealthStub(served.channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="nothing"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_reflection_list_the_services(served: Served, version: str) -> None:
    reflect = served.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    (reply,) = reflect(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    listed = {service.name for service in reply.list_services_response.service}
    assert listed >= SERVICES | {
        "grpc.health.v1.Health",
        f"grpc.reflection.{version}.ServerReflection",
    }


def test_grpcurl_lists_and_describes(served: Served) -> None:
    assert set(grpcurl(served.address, "list").stdout.split()) >= SERVICES
    described = grpcurl(served.address, "describe", "heatproof.v1.ModelService").stdout
    assert "rpc UploadModel ( stream .heatproof.v1.UploadModelRequest )" in described
    message = grpcurl(served.address, "describe", "heatproof.v1.Rise").stdout
    assert "visible_probability" in message


def test_grpcurl_reads_the_catalogue(served: Served) -> None:
    catalogue = call(served, "heatproof.v1.CatalogService/GetCatalog", {})
    deletion = next(entry for entry in catalogue["metrics"] if entry["name"] == "deletion")
    assert deletion["direction"] == "DIRECTION_LOWER_IS_BETTER"
    assert deletion["needs"] == ["attribution", "removal"]
    grid = next(entry for entry in deletion["parameters"] if entry["name"] == "grid")
    assert (grid["type"], grid["default_value"], grid["range"]) == ("int", "14", "[1, 4096]")
    assert {entry["name"] for entry in catalogue["removals"]} >= {"layer", "grey", "blur"}


def test_grpcurl_uploads_a_model_and_a_data_set_and_explains(served: Served) -> None:
    data = model_bytes(30)
    info = file_info(data)
    file = {"location": info.location, "sizeBytes": info.size_bytes, "sha256": info.sha256}
    chunk = {"data": base64.b64encode(data).decode()}
    messages = [{"header": {"displayName": "net", "files": [file]}}, {"chunk": chunk}]
    done = grpcurl(
        "-d",
        "@",
        served.address,
        "heatproof.v1.ModelService/UploadModel",
        given="\n".join(map(json.dumps, messages)),
    )
    assert done.returncode == 0, done.stderr
    model = json.loads(done.stdout)
    assert model["facts"]["classes"] == 5

    explained = call(
        served,
        "heatproof.v1.ExplanationService/Explain",
        {
            "model": model["name"],
            "preprocessing": {"preset": "unit"},
            "explainers": [{"centre": {}}],
            "images": [{"encoded": base64.b64encode(png()).decode()}],
        },
    )
    assert explained["values"]["shape"] == ["8", "8"]


def test_grpcurl_shows_the_fault_of_a_bad_request(served: Served) -> None:
    done = grpcurl(
        "-d",
        json.dumps({"name": "models/unknown"}),
        served.address,
        "heatproof.v1.ModelService/GetModel",
    )
    assert done.returncode != 0
    assert "InvalidArgument" in done.stderr
    assert "as UploadModel returned it" in done.stderr
