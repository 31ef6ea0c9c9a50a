"""The second line: what the kernel forbids a worker that a hostile model has taken over.

Every act is tried outside of the sandbox too, so that no test passes for want of trying.
"""

import asyncio
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
import pytest_asyncio
from onnx import TensorProto, numpy_helper

from heatproof.evaluators.errors import FailedPreconditionError, HeatproofError
from heatproof.evaluators.images.preprocessing import preset
from heatproof.server.workers.file_access import SharedFolder
from heatproof.server.workers.inputs import ArraySource, Blob, ModelFiles, StoredImage
from heatproof.server.workers.local.pool import PoolSettings
from heatproof.server.workers.local.sandbox import probing
from heatproof.server.workers.local.sandbox.confinement import (
    Confinement,
    Layer,
    Mode,
    Protection,
    enter,
)
from heatproof.server.workers.protocol import Lane
from heatproof.server.workers.tasks import PredictMasked
from heatproof.v1 import masking_service_pb2
from tests.server.workers.fault_tasks import Describe, PredictUnchecked, Trespass
from tests.server.workers.pools import started

SECRET = b"-----PRIVATE KEY----- hunter2"
PROTECTION = probing.probe(Confinement(mode=Mode.AUTO))

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(
        bool(PROTECTION.missing), reason=f"this system lacks {dict(PROTECTION.missing)}"
    ),
]


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Trespass:
    """A secret, a blob and a scratch folder, each in a place of its own."""
    root = tmp_path_factory.mktemp("data")
    places = {name: root / name for name in ("secrets", "blobs", "scratch")}
    for place in places.values():
        place.mkdir()
    for name, data in (("secrets", SECRET), ("blobs", b"blob")):
        (places[name] / "file").write_bytes(data)
    return Trespass(places["secrets"] / "file", places["blobs"] / "file", places["scratch"])


@pytest.fixture(scope="session")
def confined(settings: PoolSettings, task: Trespass) -> PoolSettings:
    confinement = Confinement(
        mode=Mode.REQUIRE,
        readable=(str(task.blob.parent), str(task.scratch)),
        writable=(str(task.scratch),),
    )
    return replace(settings, data_dir=data_dir(task), confinement=confinement, memory_bytes=2 << 30)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def outcomes(confined: PoolSettings, task: Trespass) -> dict[str, str]:
    async with started(confined) as pool:
        found: dict[str, str] = await pool.call(task)
        return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def free(settings: PoolSettings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same acts outside of the sandbox."""
    root = tmp_path_factory.mktemp("free")
    (root / "scratch").mkdir()
    for name in ("secret", "blob"):
        (root / name).write_bytes(b"x")
    async with started(settings) as pool:
        found: dict[str, str] = await pool.call(
            Trespass(root / "secret", root / "blob", root / "scratch")
        )
        return found


EVERYDAY = {
    "read a blob",
    "write into scratch",
    "make a folder in scratch",
    "start a thread",
    "signal itself",
    "read the kind of processor",
}


async def test_nothing_is_forbidden_outside(free: dict[str, str]) -> None:
    assert {act for act, outcome in free.items() if outcome != "done"} == set()
    assert len(free) > 25


async def test_nothing_but_a_workers_trade_is_allowed_inside(
    outcomes: dict[str, str], free: dict[str, str]
) -> None:
    assert {act for act, outcome in outcomes.items() if outcome == "done"} == EVERYDAY
    assert outcomes.keys() == free.keys()


async def test_only_interactive_workers_write_at_all(
    confined: PoolSettings, task: Trespass
) -> None:
    async with started(confined) as pool:
        found = await pool.call(task, lane=Lane.INSPECTION)
    assert found["write into scratch"] == "PermissionError"
    assert found["read a blob"] == "done"


def thief(path: str, size: int) -> bytes:
    """A model whose logits are the bytes of a file: the default of a function's attribute."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["" : 18, "f" : 1]>
        g (float[N, 3, 16, 16] image) => (float[N, {size}] scores) {{
            p = GlobalAveragePool (image)
            q = Flatten (p)
            m = MatMul (q, z)
            scores = f.F (m)
        }}
        <domain: "f", opset_import: ["" : 18]>
        F (x) => (y) {{
            k = Constant ()
            kf = Cast <to = 1> (k)
            y = Add (x, kf)
        }}
        """)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((3, size), np.float32), "z"))
    function = model.functions[0]
    given, default = function.node[0].attribute.add(), function.attribute_proto.add()
    given.name, given.ref_attr_name, default.name = "value", "val", "val"
    given.type = default.type = onnx.AttributeProto.TENSOR
    default.t.data_type = TensorProto.UINT8
    default.t.dims.append(size)
    default.t.data_location = TensorProto.EXTERNAL
    for key, value in (("location", path), ("offset", "0"), ("length", str(size))):
        default.t.external_data.add(key=key, value=value)
    return model.SerializeToString()


def data_dir(task: Trespass) -> Path:
    return task.blob.parents[1]


def robbery(task: Trespass) -> PredictUnchecked:
    data = thief(str(task.secret), len(SECRET))
    model = Blob(hashlib.sha256(data).hexdigest())
    path = SharedFolder(data_dir(task)).path(model)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    image = StoredImage("0", "grey", ArraySource(bytes(16 * 16 * 3), "uint8", (16, 16, 3)))
    files = ModelFiles("models/thief", model)
    return PredictUnchecked(PredictMasked(model=files, preprocessing=preset("unit"), image=image))


async def test_without_both_lines_a_model_reads_any_file(
    settings: PoolSettings, task: Trespass
) -> None:
    async with started(replace(settings, data_dir=data_dir(task))) as pool:
        reply = masking_service_pb2.PredictResponse.FromString(await pool.call(robbery(task)))
    assert np.frombuffer(reply.logits.data, "<f4").astype("u1").tobytes() == SECRET


async def test_the_second_line_alone_stops_a_model_that_reads_files(
    confined: PoolSettings, task: Trespass
) -> None:
    async with started(confined) as pool:
        with pytest.raises(HeatproofError):
            await pool.call(robbery(task))
        assert (await pool.call(Describe()))["pid"]


async def test_a_required_sandbox_that_is_incomplete_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = Protection(missing={Layer.SECCOMP: "libseccomp.so.2 is not installed"})
    monkeypatch.setattr(probing, "_probed", lambda _: lacking)

    assert probing.probe(Confinement(mode=Mode.AUTO)) == lacking
    with pytest.raises(FailedPreconditionError) as caught:
        probing.probe(Confinement(mode=Mode.REQUIRE))
    assert "seccomp: libseccomp.so.2 is not installed; " in caught.value.message
    assert "\n" not in caught.value.message


HELD = """
import os
from heatproof.server.workers.local.sandbox.confinement import Confinement, Mode, enter
enter(Confinement(mode=Mode.AUTO))
for handle in os.listdir("/proc/self/fd"):
    try:
        print(os.readlink(f"/proc/self/fd/{handle}").replace(str(os.getpid()), "self"))
    except FileNotFoundError:
        pass  # of the list itself
"""


async def test_what_the_kernel_may_forget_of_procfs_is_held_open() -> None:
    """Once it has, under pressure of memory, it makes inodes anew, which no rule allows."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HELD, stdout=asyncio.subprocess.PIPE
    )
    listed, _ = await process.communicate()
    held = {"/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"}
    assert held <= set(listed.decode().splitlines())


async def test_a_sandbox_that_is_off_enters_nothing() -> None:  # or this process would be in it
    assert set(enter(Confinement(mode=Mode.OFF)).missing) == set(Layer)


async def test_a_confinement_survives_its_text() -> None:
    whole = Confinement(mode=Mode.AUTO, readable=("/a b", "/c"), writable=("/d",), data_bytes=5)
    assert Confinement.parse(whole.text()) == whole
