"""The archive of the contract is all that a compiler of any language needs."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from grpc_tools import protoc

from tests.system.serving import Served

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract")
    image, archive = folder / "api.binpb", folder / "protos.zip"
    for script, files in (("image.py", [image]), ("archive.py", [image, archive])):
        command = [sys.executable, ROOT / "protos" / script, *files]
        subprocess.run(command, check=True, timeout=100)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_every_source_of_the_contract_is_in_it(unpacked: Path) -> None:
    here = {str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos").rglob("*.proto")}
    packed = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*.proto")}
    assert here < packed
    assert {name.partition("/")[0] for name in packed - here} == {"google"}


def test_protoc_needs_no_other_folder(unpacked: Path, tmp_path: Path) -> None:
    # Called so, protoc does not know the folder of well-known types that comes with grpcio-tools.
    names = [str(path.relative_to(unpacked)) for path in unpacked.rglob("*.proto")]
    compiled = f"--descriptor_set_out={tmp_path / 'compiled'}"
    assert protoc.main(["protoc", f"-I{unpacked}", compiled, *names]) == 0


def test_grpcurl_asks_a_server_by_the_descriptor_set_alone(unpacked: Path, served: Served) -> None:
    ask = ["-plaintext", "-use-reflection=false", "-protoset", unpacked / "heatproof.binpb"]
    method = "heatproof.v1.CatalogService/GetCatalog"
    done = subprocess.run(
        [BIN / "grpcurl", *ask, served.address, method],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert json.loads(done.stdout)["metrics"]
