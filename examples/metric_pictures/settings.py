"""What is measured for the pictures: each metric once, with few steps and few draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Named = Mapping[str, Mapping[str, Any]]
"""Things by their names, with the parameters that are not the defaults."""

EXPLAINERS: Final[Sequence[Named]] = (
    {"random": {}},
    {"centre": {}},
    {"edges": {}},
    {"saliency": {}},
    {"grad_cam": {}},
    {"integrated_gradients": {"steps": 8}},
    {"occlusion": {"patch": 56, "stride": 28}},
)


def with_oracle(removal: Named) -> Sequence[Named]:
    """The explainers, with occlusion by the metrics' own operator: the model's own answers."""
    return (*EXPLAINERS[:-1], {"occlusion": {"patch": 32, "stride": 32, "removal": removal}})


REMOVALS: Final[Sequence[Named]] = ({"layer": {}}, {"blur": {}}, {"grey": {}}, {"black": {}})


@dataclass(frozen=True)
class Group:
    """Metrics that are measured together.

    Attributes:
        metrics: by name.
        removals: operators; where there are several, they are what the picture compares.
        are_objects_read: whether one of the metrics reads object masks.
        explainers: whose maps are scored; none for metrics of the model alone.
        are_views_shown: whether each photograph is shown in two views, for metrics that read
            other images of a class.
        is_assessed: whether it is told which maps score better than others.
    """

    metrics: Named
    removals: Sequence[Named] = ()
    explainers: Sequence[Named] = field(default=EXPLAINERS)
    are_objects_read: bool = False
    are_views_shown: bool = False
    is_assessed: bool = True


_GRID: Final = {"grid": {"side": 7}}
_ROAD: Final = ("road_morf", "road_lerf", "road_combined")
_FEW: Final = {"draws": 3}

GROUPS: Final[Mapping[str, Group]] = {
    "maps": Group(
        {
            "sparseness": {},
            "complexity": {},
            "effective_complexity": {"eps": 0.1},
            "mean_activation": {},
            "mst_c": {},
            "pointing_game": {},
            "attribution_localization": {},
            "relevance_mass_accuracy": {},
            "energy_pointing_game": {},
            "relevance_rank_accuracy": {},
            "top_k_intersection": {},
            "concept_influence": {},
            "localization_auc": {},
            "effective_heat_ratio": {},
            "box_iou": {},
        },
        are_objects_read=True,
    ),
    "sets": Group(
        {"dasgupta_consistency": {"grid": 7}, "dasgupta_sufficiency": {}},
        are_views_shown=True,
        is_assessed=False,
    ),
    "mosaics": Group({"focus": {}}, are_views_shown=True),
    "agreement": Group(
        {
            f"agreement_{measure}": {"other": {"grad_cam": {}}}
            for measure in (
                "cosine",
                "kendall",
                "ndcg",
                "pairwise_rank",
                "pearson",
                "rank",
                "sign",
                "signed_rank",
                "spearman",
                "ssim",
                "top_k",
            )
        }
    ),
    "curves": Group(
        {
            "deletion": {"regions": _GRID, "steps": 14},
            "insertion": {"regions": _GRID, "steps": 14},
            "morf_deletion": {"regions": _GRID, "steps": 14},
            "lerf_deletion": {"regions": _GRID, "steps": 14},
            "srg": {"regions": _GRID, "steps": 14},
            "abpc": {"regions": _GRID, "steps": 14},
            "monotonicity": {"regions": _GRID, "steps": 14},
            "minimal_subset": {"regions": _GRID, "steps": 14},
            "comprehensiveness": {},
            "sufficiency": {},
            "pixel_flipping": {"steps": 14},
            "selectivity": {"regions": {"patches": {"side": 32}}, "steps": 14},
        },
        ({"grey": {}},),
        with_oracle({"grey": {}}),
    ),
    "noise": Group(
        {"region_perturbation": {"cells": 14, "regions": {"patches": {"side": 16}}}},
        ({"noise": {}},),
        with_oracle({"noise": {}}),
    ),
    "mean": Group(
        {"irof": {"regions": {"slic": {"segments": 16}}}},
        ({"mean": {}},),
        with_oracle({"mean": {}}),
    ),
    "imputed": Group(
        {name: {"shares": [0.1, 0.3, 0.5, 0.7, 0.9]} for name in _ROAD},
        ({"linear_imputation": {}},),
    ),
    "subsets": Group(
        {
            "sensitivity_n": {"regions": _GRID, "subsets": 12, "sizes": [0.1, 0.5]},
            "faithfulness_correlation": {"regions": _GRID, "subsets": 24},
            "mu_fidelity": {"regions": _GRID, "subsets": 24},
            "faithfulness_estimate": {"regions": _GRID},
            "single_deletion_correlation": {"regions": _GRID},
            "monotonicity_correlation": {"regions": _GRID},
            "non_sensitivity": {"regions": _GRID},
            "saco": {"regions": _GRID},
            "infidelity": {"grid": 7, "subsets": 24},
            "qge": {"of": {"faithfulness_estimate": {"regions": _GRID}}},
        },
        ({"grey": {}},),
        with_oracle({"grey": {}}),
    ),
    "confidence": Group(
        {
            "average_drop": {},
            "average_gain": {},
            "increase_in_confidence": {},
            "drop_in_confidence": {},
            "completeness": {},
        },
        ({"black": {}},),
        with_oracle({"black": {}}),
    ),
    "corrected": Group(
        {"occlusion_corrected_deletion": {"grid": 7, "steps": 7}},
        ({"grey": {}},),
        with_oracle({"grey": {}}),
    ),
    "robustness": Group(
        {
            "max_sensitivity": _FEW,
            "average_sensitivity": _FEW,
            "local_lipschitz": _FEW,
            "average_stability": _FEW,
            "relative_input_stability": _FEW,
            "relative_output_stability": _FEW,
            "relative_representation_stability": _FEW,
            "continuity": {},
            "input_invariance": {},
            "explanation_consistency": {"controls": 1},
        },
        are_objects_read=True,
    ),
    "randomization": Group(
        {
            "mprt": {"stages": 4},
            "smooth_mprt": {"stages": 3, "samples": 2},
            "efficient_mprt": {},
            "random_logit": {},
        }
    ),
    "weight_noise": Group({"gef": {"draws": 3}}),
    "composites": Group(
        {"coherency": {}, "adcc": {}, "arcc": {}}, ({"grey": {}},), with_oracle({"grey": {}})
    ),
    "model": Group(
        {
            "occlusion_robustness": {"grid": 7, "steps": 7},
            "segment_removal": {},
            "mask_shape_bias": {},
            "concordance": {},
            "linearity": {},
            "lime_protocol": {"regions": _GRID, "samples": 64},
        },
        REMOVALS,
        (),
        are_objects_read=True,
        is_assessed=False,
    ),
}
