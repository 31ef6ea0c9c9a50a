import math
from dataclasses import fields
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any, cast

import pytest

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError
from heatproof.evaluators.explainers import EXPLAINERS, Occlusion, Rise
from heatproof.evaluators.metrics import METRICS, Deletion
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.regions import REGIONS
from heatproof.evaluators.registry import plugins
from heatproof.evaluators.registry.parameters import (
    Range,
    at_most,
    check_parameters,
    parameters_of,
)
from heatproof.evaluators.registry.registry import Reads, Registry, summary_of
from heatproof.evaluators.removal import REMOVALS, Black, Blur, Layer

ALL = [
    (registry, name) for registry in (METRICS, EXPLAINERS, REMOVALS, REGIONS) for name in registry
]
NESTED = {"explainer", "metric", "removal", "regions", "matrix"}


def test_the_registries_hold_what_the_contract_offers() -> None:
    assert list(METRICS) == [
        "abpc",
        "adcc",
        "agreement_cosine",
        "agreement_kendall",
        "agreement_ndcg",
        "agreement_pairwise_rank",
        "agreement_pearson",
        "agreement_rank",
        "agreement_sign",
        "agreement_signed_rank",
        "agreement_spearman",
        "agreement_ssim",
        "agreement_top_k",
        "arcc",
        "attribution_localization",
        "average_drop",
        "average_gain",
        "average_sensitivity",
        "average_stability",
        "box_iou",
        "coherency",
        "completeness",
        "complexity",
        "comprehensiveness",
        "concept_influence",
        "concordance",
        "continuity",
        "dasgupta_consistency",
        "dasgupta_sufficiency",
        "deletion",
        "drop_in_confidence",
        "effective_complexity",
        "effective_heat_ratio",
        "efficient_mprt",
        "energy_pointing_game",
        "explanation_consistency",
        "faithfulness_correlation",
        "faithfulness_estimate",
        "focus",
        "gef",
        "increase_in_confidence",
        "infidelity",
        "input_invariance",
        "insertion",
        "inter_model_deletion",
        "irof",
        "lerf_deletion",
        "lime_protocol",
        "linearity",
        "local_lipschitz",
        "localization_auc",
        "mask_shape_bias",
        "max_sensitivity",
        "mean_activation",
        "minimal_subset",
        "monotonicity",
        "monotonicity_correlation",
        "morf_deletion",
        "mprt",
        "mst_c",
        "mu_fidelity",
        "non_sensitivity",
        "occlusion_corrected_deletion",
        "occlusion_robustness",
        "pixel_flipping",
        "pointing_game",
        "qge",
        "random_logit",
        "region_perturbation",
        "relative_input_stability",
        "relative_output_stability",
        "relative_representation_stability",
        "relevance_mass_accuracy",
        "relevance_rank_accuracy",
        "road_combined",
        "road_lerf",
        "road_morf",
        "saco",
        "segment_removal",
        "selectivity",
        "sensitivity_n",
        "single_deletion_correlation",
        "smooth_mprt",
        "sparseness",
        "srg",
        "sufficiency",
        "top_k_intersection",
    ]
    assert list(EXPLAINERS) == [
        "ablation_cam",
        "centre",
        "deconvnet",
        "disturbed",
        "edges",
        "eigen_cam",
        "grad_cam",
        "grad_cam_plus_plus",
        "gradient_shap",
        "guided_backprop",
        "hires_cam",
        "input_x_gradient",
        "integrated_gradients",
        "inverse",
        "kernel_shap",
        "layer_cam",
        "lime",
        "occlusion",
        "random",
        "rise",
        "saliency",
        "score_cam",
        "smooth_grad",
        "supplied",
        "var_grad",
        "xgrad_cam",
    ]
    assert list(REGIONS) == ["boxes", "grid", "patches", "pixels", "quickshift", "slic"]
    assert list(REMOVALS) == [
        "adversarial",
        "black",
        "blur",
        "colour",
        "donor",
        "grey",
        "grey127",
        "inpaint",
        "layer",
        "linear_imputation",
        "mean",
        "neighbourhood",
        "noise",
        "own_max",
        "own_min",
        "replacement",
        "white",
    ]


@pytest.mark.parametrize(("registry", "name"), ALL)
def test_every_class_says_what_it_is(registry: Registry[Any], name: str) -> None:
    kind = registry[name]
    assert kind.facts.name == name
    assert kind.__name__.lower() == name.replace("_", "")
    assert kind.facts.reference
    assert all(isinstance(read, Reads) for read in kind.facts.reads)
    assert summary_of(kind).endswith(".")
    assert summary_of(kind).count(". ") == 0


@pytest.mark.parametrize(("registry", "name"), ALL)
def test_defaults_lie_in_their_ranges_and_every_parameter_is_explained(
    registry: Registry[Any], name: str
) -> None:
    check_parameters(registry[name]())
    for facts in parameters_of(registry[name]):
        assert facts.summary.endswith(".")
        assert facts.type in {"bool", "int", "float", "numbers", "str", "choice"} | NESTED
        if facts.type in {"int", "float", "choice"}:
            assert facts.range


@pytest.mark.parametrize(("registry", "name"), ALL)
def test_values_outside_a_range_are_refused_by_name(registry: Registry[Any], name: str) -> None:
    for declared in fields(cast("Any", registry[name])):
        within = declared.metadata["within"]
        if within is None:
            continue
        is_list = isinstance(declared.default, tuple)
        kind = cast("type[Any]", type(declared.default[0] if is_list else declared.default))
        for value in (within.lower - 1, within.upper + 1):
            given = (declared.default[0], kind(value)) if is_list else kind(value)
            thing = registry[name](**{declared.name: given})
            with pytest.raises(InvalidArgumentError, match=declared.name) as caught:
                check_parameters(thing)
            assert caught.value.field == f"{declared.name}{'[1]' if is_list else ''}"


@pytest.mark.parametrize("metric", list(METRICS))
def test_metrics_have_a_direction_and_a_category(metric: str) -> None:
    assert isinstance(METRICS[metric].facts.direction, Direction)
    assert METRICS[metric].facts.category


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        (Range(0, 1), (0, 0.5, 1), (-0.1, 1.1)),
        (Range(0, 1, lower_included=False), (0.1, 1), (0,)),
        (Range(0, 1, upper_included=False), (0, 0.9), (1,)),
    ],
)
def test_ranges_know_their_ends(
    bounds: Range, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    assert all(value in bounds for value in inside)
    assert not any(value in bounds for value in outside)
    assert not any(value in bounds for value in (math.nan, math.inf, -math.inf))


def test_ranges_are_written_with_their_brackets() -> None:
    assert str(Range(0, 1, lower_included=False)) == "(0, 1]"
    assert str(Range(1, 100_000)) == "[1, 100000]"


@pytest.mark.parametrize(("most", "way_out"), [(2, "at most 2"), (1, "none fits; choose grid")])
def test_the_largest_value_is_no_way_out_where_none_fits(most: int, way_out: str) -> None:
    assert at_most(most, least=2, otherwise="choose grid") == way_out


def test_operators_inside_an_explainer_are_checked_with_their_path() -> None:
    with pytest.raises(InvalidArgumentError, match="sigma") as caught:
        check_parameters(Occlusion(removal=Blur(sigma=101.0)))
    assert caught.value.field == "removal.blur.sigma"


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'deletion'"):
        METRICS["delition"]


def test_facts_of_parameters_are_what_a_catalogue_shows() -> None:
    facts = {each.name: each for each in parameters_of(Occlusion)}
    assert (facts["patch"].type, facts["patch"].default, facts["patch"].range) == (
        "int",
        "32",
        "[1, 1024]",
    )
    assert (facts["removal"].type, facts["removal"].default) == ("removal", "black")
    mode, fill = parameters_of(Layer)
    assert (mode.type, mode.default, mode.range) == ("choice", "reference", "reference, strict")
    assert (fill.default, fill.range) == ("neighbour", "neighbour, none, partial")
    (smooth,) = parameters_of(Black)
    assert (smooth.name, smooth.type, smooth.default) == ("smooth_edges", "bool", "False")


def test_two_classes_of_one_name_are_refused() -> None:
    registry: Registry[Any] = Registry("metric")
    registry.register(Deletion)
    with pytest.raises(ValueError, match="two metrics named 'deletion'"):
        registry.register(Deletion)


def test_plug_ins_are_imported_in_the_order_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    found = EntryPoints(
        [
            EntryPoint("b", "heatproof.evaluators.queries.seeds", plugins.GROUP),
            EntryPoint("a", "heatproof.evaluators.regions.grid", plugins.GROUP),
        ]
    )
    monkeypatch.setattr(plugins, "entry_points", lambda group: found.select(group=group))
    assert plugins.load_plugins() == ("a", "b")


def test_a_plug_in_that_cannot_be_imported_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    found = EntryPoints([EntryPoint("gone", "no_such_package_at_all", plugins.GROUP)])
    monkeypatch.setattr(plugins, "entry_points", lambda group: found.select(group=group))
    with pytest.raises(ModuleNotFoundError):
        plugins.load_plugins()


def test_parameters_are_part_of_equality_and_hash() -> None:
    assert Rise(masks=5) == Rise(masks=5)
    assert hash(Rise(masks=5)) == hash(Rise(masks=5))
    assert Rise(masks=5) != Rise(masks=6)
