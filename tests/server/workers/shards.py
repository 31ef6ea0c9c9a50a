"""Shards of an evaluation that asks nothing."""

from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.server.workers.inputs import Blob, EncodedSource, ModelFiles, StoredImage
from heatproof.server.workers.tasks import RunShard

IMAGE = "1" * 64
"""Digest of the one image of a shard."""


def shard(*models: str, no_cache: bool = False) -> RunShard:
    """A shard of some models."""
    spec = EvaluationSpec(
        models=models, preprocessing=PRESETS["unit"], metrics=(), no_cache=no_cache
    )
    files = tuple(ModelFiles(name, Blob("d" * 64)) for name in models)
    return RunShard(spec, files, (StoredImage(IMAGE, "", EncodedSource(b"")),))
