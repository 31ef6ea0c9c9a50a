"""Everything that is registered, small: for laws that hold for all metrics, explainers, operators.

Whatever is registered is in, with parameters that images of 32 pixels and few predictions allow.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from heatproof.evaluators.explainers import EXPLAINERS, Explainer, Occlusion, Saliency
from heatproof.evaluators.metrics import METRICS, FaithfulnessEstimate, Metric
from heatproof.evaluators.regions import Grid, Patches
from heatproof.evaluators.registry.registry import Reads, Registered, Registry
from heatproof.evaluators.removal import REMOVALS, Black, RemovalOperator

R = TypeVar("R", bound=Registered)
Parameters = Mapping[str, Mapping[str, Any]]

_CELLS: Final = {"regions": Grid(2)}
_STEPPED: Final = {**_CELLS, "steps": 3}
_SHARES: Final = {**_CELLS, "shares": (0.3, 0.6)}
_SUBSETS: Final = {"regions": Grid(4), "subsets": 8}
_DRAWS: Final = {"draws": 2}
_OTHER: Final = {"other": Saliency()}
_OTHER_BY_CELLS: Final = {**_OTHER, "grid": 4}

_OF_METRICS: Final[Parameters] = {
    "abpc": _STEPPED,
    "agreement_cosine": _OTHER,
    "agreement_kendall": _OTHER_BY_CELLS,
    "agreement_ndcg": _OTHER_BY_CELLS,
    "agreement_pairwise_rank": _OTHER_BY_CELLS,
    "agreement_pearson": _OTHER,
    "agreement_rank": _OTHER_BY_CELLS,
    "agreement_sign": _OTHER_BY_CELLS,
    "agreement_signed_rank": _OTHER_BY_CELLS,
    "agreement_spearman": {"other": Occlusion(16, 16)},
    "agreement_ssim": _OTHER,
    "agreement_top_k": _OTHER_BY_CELLS,
    "arcc": {"shares": (0.5,), "regions": Grid(2), "imputation": Black()},
    "average_drop": {"keep": 0.2},
    "average_gain": {"keep": 0.2},
    "average_sensitivity": _DRAWS,
    "average_stability": _DRAWS,
    "comprehensiveness": _SHARES,
    "concordance": {"sizes": (112, 56)},
    "deletion": {"grid": 2, "steps": 3},
    "drop_in_confidence": {"keep": 0.2},
    "explanation_consistency": {"steps": 2, "controls": 1},
    "faithfulness_correlation": _SUBSETS,
    "faithfulness_estimate": _CELLS,
    "gef": {"levels": 3, "draws": 1},
    "increase_in_confidence": {"keep": 0.2},
    "infidelity": {"grid": 4, "subsets": 8},
    "insertion": {"grid": 2, "steps": 3},
    "inter_model_deletion": {"grid": 2, "steps": 2},
    "irof": _CELLS,
    "lerf_deletion": _STEPPED,
    "lime_protocol": {"regions": Grid(4), "samples": 8},
    "linearity": {"patch": 16},
    "local_lipschitz": _DRAWS,
    "max_sensitivity": _DRAWS,
    "minimal_subset": _STEPPED,
    "monotonicity": _STEPPED,
    "monotonicity_correlation": _CELLS,
    "morf_deletion": _STEPPED,
    "mprt": {"stages": 2},
    "mu_fidelity": _SUBSETS,
    "non_sensitivity": _CELLS,
    "occlusion_corrected_deletion": {"grid": 2, "steps": 2},
    "occlusion_robustness": {"grid": 2, "steps": 2},
    "pixel_flipping": _STEPPED,
    "qge": {"of": FaithfulnessEstimate(regions=Grid(2))},
    "region_perturbation": {"cells": 3},
    "relative_input_stability": _DRAWS,
    "relative_output_stability": _DRAWS,
    "relative_representation_stability": _DRAWS,
    "road_combined": _SHARES,
    "road_lerf": _SHARES,
    "road_morf": _SHARES,
    "saco": {"regions": Grid(4)},
    "segment_removal": {"regions": Grid(4), "fractions": 3},
    "selectivity": {"regions": Patches(16)},
    "sensitivity_n": {**_SUBSETS, "sizes": (0.2,)},
    "single_deletion_correlation": _CELLS,
    "smooth_mprt": {"stages": 2, "samples": 2},
    "srg": _STEPPED,
    "sufficiency": _SHARES,
}
_OF_EXPLAINERS: Final[Parameters] = {
    "disturbed": {"of": Saliency(), "grid": 4},
    "gradient_shap": {"samples": 2},
    "integrated_gradients": {"steps": 2},
    "inverse": {"of": Saliency()},
    "kernel_shap": {"regions": Grid(2), "samples": 8},
    "lime": {"regions": Grid(2), "samples": 8},
    "occlusion": {"patch": 16, "stride": 16},
    "random": {"grid": 4},
    "rise": {"masks": 4, "grid": 4},
    "smooth_grad": {"samples": 2},
    "var_grad": {"samples": 2},
}


def _small(registry: Registry[R], parameters: Parameters) -> tuple[R, ...]:
    return tuple(registry[name](**parameters.get(name, {})) for name in registry)


EVERY_METRIC: Final[tuple[Metric, ...]] = _small(METRICS, _OF_METRICS)
EVERY_EXPLAINER: Final[tuple[Explainer, ...]] = _small(EXPLAINERS, _OF_EXPLAINERS)
EVERY_REMOVAL: Final[tuple[RemovalOperator, ...]] = _small(REMOVALS, {})


def reading(read: Reads) -> tuple[Metric, ...]:
    """Metrics that read this."""
    return tuple(metric for metric in EVERY_METRIC if read in metric.reads)
