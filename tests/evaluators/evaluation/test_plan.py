from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.errors import (
    HeatproofError,
    InvalidArgumentError,
    LimitExceededError,
    UnsupportedOperatorError,
)
from heatproof.evaluators.evaluation.engine import Progress, SourceImage, evaluate, plan, shards
from heatproof.evaluators.evaluation.requirements import reads_of_images
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import (
    Centre,
    Explainer,
    GradCam,
    IntegratedGradients,
    Inverse,
    Occlusion,
    Random,
    Rise,
    Saliency,
    Supplied,
)
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.labels import LabelSet
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import (
    AverageDrop,
    AverageGain,
    Background,
    ClassMatrix,
    Deletion,
    DropInConfidence,
    ExplanationConsistency,
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    Focus,
    IncreaseInConfidence,
    Infidelity,
    Insertion,
    MaxSensitivity,
    Metric,
    MonotonicityCorrelation,
    Mprt,
    MuFidelity,
    NonSensitivity,
    OcclusionCorrectedDeletion,
    OcclusionRobustness,
    Qge,
    RemovalOrder,
    Saco,
    SegmentRemoval,
    SensitivityN,
)
from heatproof.evaluators.queries.passes import Capability
from heatproof.evaluators.queries.predictor import Shortfall
from heatproof.evaluators.queries.targets import LABEL
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black, Blur, Donor, Layer, RemovalOperator, White
from tests.evaluators.toys import SIDE, facts, linear

SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(Deletion(4, 8), OcclusionRobustness(4, 8), ExplanationConsistency()),
    explainers=(Centre(), Saliency()),
    removals=(Black(), Blur()),
)
FACTS = {"models/toy": facts()}
NO_GRADIENTS = tuple(
    Shortfall(capability, "node 'n1': no rule for Loop")
    for capability in (Capability.GRADIENTS, Capability.ACTIVATION_GRADIENTS)
)
NO_MASKING = (Shortfall(Capability.LAYER_MASKING, "node 'n2': no rule for NonZero"),)


def images(count: int, *, label: int | None = None, maps: Collection[str] = ()) -> Inventory:
    return Inventory.of(
        KnownImage(f"{number}.png", label, maps=frozenset(maps)) for number in range(count)
    )


def refused(
    spec: EvaluationSpec, shortfalls: Sequence[Shortfall] = (), **changes: object
) -> HeatproofError:
    own = replace(facts(shortfalls=shortfalls), **changes)  # type: ignore[arg-type]  # fields of PredictorFacts
    with pytest.raises(HeatproofError) as caught:
        plan(spec, {"models/toy": own}, images(1))
    return caught.value


def test_results_are_ordered_by_models_metrics_removals_explainers() -> None:
    spec = replace(SPEC, models=("models/a", "models/b"))
    own = {name: facts(model=name) for name in spec.models}
    keys = [
        (
            key.models[0][-1],
            key.metric.name,
            key.removal and key.removal.name,
            key.explainer and key.explainer.name,
        )
        for key in plan(spec, own, images(3)).results
    ]
    one_model = [
        ("deletion", "black", "centre"),
        ("deletion", "black", "saliency"),
        ("deletion", "blur", "centre"),
        ("deletion", "blur", "saliency"),
        ("occlusion_robustness", "black", None),
        ("occlusion_robustness", "blur", None),
        ("explanation_consistency", None, "centre"),
        ("explanation_consistency", None, "saliency"),
    ]
    assert keys == [(model, *key) for model in "ab" for key in one_model]


def test_predictions_are_counted_for_every_image() -> None:
    # clean, 2 empty images, 1 gradient; 4 curves of 7 inner points; 2 x 10 orders; 2 attacks with
    # 1 + 3 images, of which Saliency costs one gradient each
    deletion, robustness, consistency = 4 * 7, 2 * 10 * 7, (2 + 4) + (2 + 4 * 2)
    expected = 1 + 2 + 1 + deletion + robustness + consistency
    assert plan(SPEC, FACTS, images(1)).predictions == expected
    assert plan(SPEC, FACTS, images(9)).predictions == 9 * expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metrics": ()}, "metrics"),
        ({"explainers": ()}, "explainers"),
        ({"removals": ()}, "removals"),
        ({"metrics": (Deletion(4, 8), Deletion(4, 0))}, "metrics[1].deletion.steps"),
        ({"metrics": (Deletion(4, 17),)}, "metrics[0].deletion.steps"),
        ({"metrics": (Insertion(33, 8),)}, "metrics[0].insertion.grid"),
        ({"metrics": (OcclusionRobustness(orders=9),)}, "metrics[0].occlusion_robustness.orders"),
        ({"explainers": (Centre(), Rise(grid=1))}, "explainers[1].rise.grid"),
        (
            {"explainers": (Occlusion(removal=Blur(sigma=0.0)),)},
            "explainers[0].occlusion.removal.blur.sigma",
        ),
        ({"explainers": (Occlusion(64),)}, "explainers[0].occlusion.patch"),
        (
            {"explainers": (IntegratedGradients(baseline=Layer()),)},
            "explainers[0].integrated_gradients.baseline",
        ),
        ({"explainers": (Supplied(),)}, "metrics[2].explanation_consistency"),
        ({"removals": (Black(), Blur(sigma=-1.0))}, "removals[1].blur.sigma"),
        ({"removals": (Layer(),)}, "metrics[1].occlusion_robustness.grid"),
    ],
)
def test_faults_are_placed_at_their_field(change: dict[str, object], field: str) -> None:
    metrics = {"metrics": (Deletion(4, 16), *SPEC.metrics[1:])}
    error = refused(replace(SPEC, **{**metrics, **change}))  # type: ignore[arg-type]  # fields of EvaluationSpec
    assert isinstance(error, InvalidArgumentError)
    assert error.field == field


@pytest.mark.parametrize(
    ("change", "lacks", "field"),
    [
        ({"explainers": (Centre(), GradCam())}, "activation_gradients", "explainers[1].grad_cam"),
        ({"explainers": (Centre(), Saliency())}, "gradients", "explainers[1].saliency"),
        ({"explainers": (Centre(),)}, "gradients", "metrics[2].explanation_consistency"),
    ],
)
def test_models_without_gradients_are_refused_with_the_reason(
    change: dict[str, object], lacks: str, field: str
) -> None:
    error = refused(replace(SPEC, **change), [NO_GRADIENTS[lacks == "activation_gradients"]])  # type: ignore[arg-type]  # as above
    assert isinstance(error, UnsupportedOperatorError)
    assert error.field == field
    assert "no rule for Loop" in error.message


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"removals": (Black(), Layer())}, "removals[1].layer"),
        ({"explainers": (Occlusion(16, 8, Layer()),)}, "explainers[0].occlusion"),
    ],
)
def test_models_without_masking_rules_are_refused_with_the_reason(
    change: dict[str, object], field: str
) -> None:
    error = refused(replace(SPEC, **change), shortfalls=NO_MASKING)  # type: ignore[arg-type]  # as above
    assert isinstance(error, UnsupportedOperatorError)
    assert error.field == field
    assert "NonZero" in error.message


def test_a_fault_says_which_of_several_models_has_it() -> None:
    wanted = ClassMatrix.of(np.eye(2, dtype=np.float32))
    removal = SegmentRemoval(regions=Grid(4), similarity=wanted)
    models = {
        name: facts(model=name, classes=classes)
        for name, classes in (("models/a", 2), ("models/b", 3))
    }
    spec = replace(SPEC, models=tuple(models), metrics=(removal,), explainers=())
    with pytest.raises(InvalidArgumentError) as caught:
        plan(spec, models, images(1))
    assert caught.value.message.startswith("models/b: the matrix has 2 classes, but the model 3")
    assert caught.value.field == "metrics[0].segment_removal.similarity.classes"


def test_what_is_not_used_needs_not_be_there() -> None:
    spec = replace(SPEC, metrics=(OcclusionRobustness(2, 4),), explainers=(), removals=(Black(),))
    assert len(plan(spec, {"models/toy": facts(shortfalls=NO_GRADIENTS)}, images(1)).results) == 1


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 100, 1000])
def test_shards_cover_the_images_in_order(count: int) -> None:
    assert [index for shard in shards(count) for index in shard] == list(range(count))
    assert all(len(shard) > 0 for shard in shards(count))


EVERY_EXPLAINER: tuple[Explainer, ...] = (
    Random(4),
    Centre(),
    Supplied(),
    Occlusion(8, 8),
    Rise(50, 4),
    Saliency(),
    IntegratedGradients(5),
)
EVERY_REMOVAL: tuple[RemovalOperator, ...] = (Black(), White(), Blur(sigma=2.0), Layer())


@pytest.mark.parametrize(
    "metric",
    [
        Deletion(4, 8),
        Insertion(4, 5),
        OcclusionRobustness(2, 4),
        OcclusionCorrectedDeletion(2, 4),
        ExplanationConsistency(steps=3),
        SensitivityN(regions=Grid(4), sizes=(0.2, 0.5), subsets=8),
        FaithfulnessCorrelation(regions=Grid(4), subsets=8),
        MuFidelity(regions=Grid(4), subsets=8),
        FaithfulnessEstimate(regions=Grid(2)),
        MonotonicityCorrelation(regions=Grid(2), draws=3),
        NonSensitivity(regions=Grid(2)),
        Infidelity(grid=4, subsets=8),
        Saco(regions=Grid(4)),
        Qge(of=Deletion(4, 8)),
        AverageDrop(keep=0.2),
        IncreaseInConfidence(keep=0.2),
        AverageGain(keep=0.2),
        DropInConfidence(keep=0.2),
        SegmentRemoval(Grid(4), RemovalOrder.LERF, 5),
        MaxSensitivity(draws=3),
        Mprt(3),
    ],
)
def test_no_more_predictions_are_made_than_planned(metric: Metric) -> None:
    explainers = EVERY_EXPLAINER
    if Reads.EXPLAINER in metric.reads:
        explainers = tuple(each for each in explainers if not isinstance(each, Supplied))
    spec = replace(
        SPEC,
        metrics=(metric,),
        explainers=explainers if metric.takes_explainer else (),
        removals=EVERY_REMOVAL if metric.takes_removal else (),
    )
    predictor = linear(np.random.default_rng(0).uniform(-1e-3, 6e-3, (3, SIDE, SIDE)))
    pictures = [
        SourceImage(
            str(seed),
            "",
            np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8),
        )
        for seed in range(2)
    ]
    seen: list[Progress] = []
    assert len(list(evaluate(spec, pictures, {"models/toy": predictor}, seen.append))) == 2
    most = plan(spec, FACTS, images(2, maps=[""])).predictions
    assert 0 < seen[-1].predictions_done <= most


SETS = Inventory.of([KnownImage("a", LabelSet((0, 1))), KnownImage("b", LabelSet())])


def test_sets_of_classes_are_explained_where_images_show_one() -> None:
    apart = {"models/toy": facts(probabilities="sigmoid")}
    assert plan(SPEC, apart, SETS).predictions > 0
    with pytest.raises(InvalidArgumentError, match="1 of 2 show none, 'b' first") as caught:
        plan(replace(SPEC, target=LABEL), apart, SETS)
    assert caught.value.field == "target"


def test_more_logits_than_can_be_ranked_are_refused() -> None:
    wide = {"models/toy": facts(probabilities="sigmoid", classes=30_000_000)}
    with pytest.raises(LimitExceededError, match="evaluate a part of the images"):
        plan(SPEC, wide, SETS)


MAPS = replace(SPEC, metrics=(Deletion(4, 8),), explainers=(Centre(), Supplied("captum")))


@pytest.mark.parametrize(
    ("spec", "inventory", "field", "words"),
    [
        (replace(SPEC, target=LABEL), images(3), "target", ("3 of 3", "'0.png'")),
        (SPEC, images(2, label=5), "dataset", ("label 5", "0 to")),
        (SPEC, SETS, "dataset", ("2 images", "share one probability", "--activation sigmoid")),
        (
            SPEC,
            Inventory.of([KnownImage("a", 1), KnownImage("b", LabelSet((1,))), KnownImage("c")]),
            "dataset",
            ("1 images have labels", "1 a label"),
        ),
        (MAPS, images(2), "explainers[1].supplied.map_name", ("2 of 2", "'0.png'", "none")),
        (MAPS, images(2, maps=["ig"]), "explainers[1].supplied.map_name", ("2 of 2", "'ig'")),
        (
            MAPS,
            Inventory.of([KnownImage("a", maps=frozenset(["captum"])), KnownImage("b")]),
            "explainers[1].supplied.map_name",
            ("1 of 2", "'b'"),
        ),
        (replace(SPEC, metrics=(OcclusionRobustness(4, 8),)), images(1), "explainers", ()),
        (replace(SPEC, metrics=(ExplanationConsistency(),)), images(1), "removals", ()),
    ],
)
def test_what_the_images_lack_is_said_beforehand(
    spec: EvaluationSpec, inventory: Inventory, field: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        plan(spec, FACTS, inventory)
    assert caught.value.field == field
    assert all(word in caught.value.message for word in words)


def test_maps_that_every_image_has_are_planned() -> None:
    assert plan(MAPS, FACTS, images(2, maps=["captum", "ig"])).results


def test_explainers_may_be_asked_for_their_pictures_alone() -> None:
    spec = replace(SPEC, metrics=(OcclusionRobustness(4, 8),), keep_overlays=True)
    assert plan(spec, FACTS, images(1)).results


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["objects"]),
        ({"metrics": (Deletion(4, 8),)}, []),
        ({"metrics": (ExplanationConsistency(background=Background.MAP),)}, []),
        ({"metrics": (Deletion(4, 8),), "explainers": (Supplied("m"),)}, ["maps"]),
        ({"metrics": (Deletion(4, 8),), "target": LABEL}, ["label"]),
        ({"metrics": (Deletion(4, 8),), "removals": (Donor(),)}, ["donors"]),
        ({"metrics": (Focus(),)}, ["label", "donors"]),
        ({"metrics": (Deletion(4, 8),), "explainers": (Inverse(Supplied("m")),)}, ["maps"]),
    ],
)
def test_what_is_read_of_the_images_is_told(
    changes: dict[str, object], expected: list[str]
) -> None:
    spec = replace(SPEC, **changes)  # type: ignore[arg-type]  # fields of the spec
    assert list(reads_of_images(spec)) == expected
