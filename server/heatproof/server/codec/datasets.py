"""Messages of the data set service."""

from heatproof.server.codec.encoding import encode
from heatproof.server.stores.datasets import StoredDataset
from heatproof.server.stores.pages import Page
from heatproof.v1 import dataset_pb2, dataset_service_pb2


def encode_dataset(stored: StoredDataset) -> dataset_pb2.Dataset:
    """Makes the message of a stored data set."""
    return encode(stored, dataset_pb2.Dataset)


def encode_datasets(page: Page[StoredDataset]) -> dataset_service_pb2.ListDatasetsResponse:
    """Makes the message of a page of data sets."""
    return dataset_service_pb2.ListDatasetsResponse(
        datasets=map(encode_dataset, page.items), next_page_token=page.next_token
    )
