"""What the server found, as values that tables and reports are made of."""

from heatproof.client.documents.results.conclusions import (
    WEIGHT_COLUMNS as WEIGHT_COLUMNS,
)
from heatproof.client.documents.results.conclusions import (
    ConsistencyWeights as ConsistencyWeights,
)
from heatproof.client.documents.results.conclusions import (
    MetricReliabilities as MetricReliabilities,
)
from heatproof.client.documents.results.conclusions import (
    ModelComparisons as ModelComparisons,
)
from heatproof.client.documents.results.reports import (
    GateReport as GateReport,
)
from heatproof.client.documents.results.reports import (
    Report as Report,
)
from heatproof.client.documents.results.reports import (
    UnjudgedError as UnjudgedError,
)
from heatproof.client.documents.results.rows import joined as joined
from heatproof.client.documents.results.rows import label_of as label_of
