"""Messages of the data set service."""

from heatproof.server.api.codec.fields.encoding import encode
from heatproof.server.datasets.dataset_store import StoredDataset
from heatproof.v1 import dataset_pb2


def encode_dataset(stored: StoredDataset) -> dataset_pb2.Dataset:
    """Makes the message of a stored data set."""
    return encode(stored, dataset_pb2.Dataset)
