"""What is known of a graph, as the store keeps it."""

from heatproof.server.codec.encoding import encode
from heatproof.v1 import model_pb2


def serialized_facts(facts: object) -> bytes:
    """Writes what a worker found in a graph as the store keeps it."""
    return encode(facts, model_pb2.ModelFacts).SerializeToString()


def classes_of(facts: bytes) -> int:
    """Number of classes of a stored model; 0 if the graph leaves it open."""
    return model_pb2.ModelFacts.FromString(facts).classes
