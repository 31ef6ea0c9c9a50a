"""How explanations are scored."""

from heatproof.evaluators.metrics.agreement.composites.adcc import Adcc as Adcc
from heatproof.evaluators.metrics.agreement.composites.arcc import Arcc as Arcc
from heatproof.evaluators.metrics.agreement.composites.coherency import Coherency as Coherency
from heatproof.evaluators.metrics.agreement.maps.agreement_cosine import (
    AgreementCosine as AgreementCosine,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_kendall import (
    AgreementKendall as AgreementKendall,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_ndcg import (
    AgreementNdcg as AgreementNdcg,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_pairwise_rank import (
    AgreementPairwiseRank as AgreementPairwiseRank,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_pearson import (
    AgreementPearson as AgreementPearson,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_rank import (
    AgreementRank as AgreementRank,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_sign import (
    AgreementSign as AgreementSign,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_signed_rank import (
    AgreementSignedRank as AgreementSignedRank,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_spearman import (
    AgreementSpearman as AgreementSpearman,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_ssim import (
    AgreementSsim as AgreementSsim,
)
from heatproof.evaluators.metrics.agreement.maps.agreement_top_k import (
    AgreementTopK as AgreementTopK,
)
from heatproof.evaluators.metrics.agreement.maps.map_agreement import Against as Against
from heatproof.evaluators.metrics.axioms.completeness import Completeness as Completeness
from heatproof.evaluators.metrics.axioms.input_invariance import InputInvariance as InputInvariance
from heatproof.evaluators.metrics.case import Case as Case
from heatproof.evaluators.metrics.case import Given as Given
from heatproof.evaluators.metrics.comparison.corrected_areas import ScoreScale as ScoreScale
from heatproof.evaluators.metrics.comparison.inter_model_deletion import (
    InterModelDeletion as InterModelDeletion,
)
from heatproof.evaluators.metrics.comparison.occlusion_corrected_deletion import (
    OcclusionCorrectedDeletion as OcclusionCorrectedDeletion,
)
from heatproof.evaluators.metrics.comparison.occlusion_robustness import (
    OcclusionRobustness as OcclusionRobustness,
)
from heatproof.evaluators.metrics.comparison.single_deletion_correlation import (
    SingleDeletionCorrelation as SingleDeletionCorrelation,
)
from heatproof.evaluators.metrics.complexity.complexity import Complexity as Complexity
from heatproof.evaluators.metrics.complexity.effective_complexity import (
    EffectiveComplexity as EffectiveComplexity,
)
from heatproof.evaluators.metrics.complexity.mean_activation import MeanActivation as MeanActivation
from heatproof.evaluators.metrics.complexity.mst_c import MstC as MstC
from heatproof.evaluators.metrics.complexity.sparseness import Sparseness as Sparseness
from heatproof.evaluators.metrics.faithfulness.erasure.comprehensiveness import (
    Comprehensiveness as Comprehensiveness,
)
from heatproof.evaluators.metrics.faithfulness.erasure.minimal_subset import (
    MinimalSubset as MinimalSubset,
)
from heatproof.evaluators.metrics.faithfulness.erasure.monotonicity import (
    Monotonicity as Monotonicity,
)
from heatproof.evaluators.metrics.faithfulness.erasure.sufficiency import Sufficiency as Sufficiency
from heatproof.evaluators.metrics.faithfulness.masked_confidence.average_drop import (
    AverageDrop as AverageDrop,
)
from heatproof.evaluators.metrics.faithfulness.masked_confidence.average_gain import (
    AverageGain as AverageGain,
)
from heatproof.evaluators.metrics.faithfulness.masked_confidence.drop_in_confidence import (
    DropInConfidence as DropInConfidence,
)
from heatproof.evaluators.metrics.faithfulness.masked_confidence.increase_in_confidence import (
    IncreaseInConfidence as IncreaseInConfidence,
)
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.abpc import Abpc as Abpc
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.deletion import (
    Deletion as Deletion,
)
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.insertion import (
    Insertion as Insertion,
)
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.irof import Irof as Irof
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.lerf_deletion import (
    LerfDeletion as LerfDeletion,
)
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.morf_deletion import (
    MorfDeletion as MorfDeletion,
)
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.pixel_flipping import (
    PixelFlipping as PixelFlipping,
)
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.region_perturbation import (
    RegionPerturbation as RegionPerturbation,
)
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.selectivity import (
    Selectivity as Selectivity,
)
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.srg import Srg as Srg
from heatproof.evaluators.metrics.faithfulness.qge import Qge as Qge
from heatproof.evaluators.metrics.faithfulness.road.road_combined import (
    RoadCombined as RoadCombined,
)
from heatproof.evaluators.metrics.faithfulness.road.road_lerf import RoadLerf as RoadLerf
from heatproof.evaluators.metrics.faithfulness.road.road_morf import RoadMorf as RoadMorf
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.faithfulness_correlation import (
    FaithfulnessCorrelation as FaithfulnessCorrelation,
)
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.faithfulness_estimate import (
    FaithfulnessEstimate as FaithfulnessEstimate,
)
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.infidelity import (
    Infidelity as Infidelity,
)
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.monotonicity_correlation import (
    MonotonicityCorrelation as MonotonicityCorrelation,
)
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.mu_fidelity import (
    MuFidelity as MuFidelity,
)
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.non_sensitivity import (
    NonSensitivity as NonSensitivity,
)
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.saco import Saco as Saco
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.sensitivity_n import (
    SensitivityN as SensitivityN,
)
from heatproof.evaluators.metrics.functions.distances import Distance as Distance
from heatproof.evaluators.metrics.localization.box_iou import BoxIou as BoxIou
from heatproof.evaluators.metrics.localization.dasgupta_consistency import (
    DasguptaConsistency as DasguptaConsistency,
)
from heatproof.evaluators.metrics.localization.dasgupta_sufficiency import (
    DasguptaSufficiency as DasguptaSufficiency,
)
from heatproof.evaluators.metrics.localization.effective_heat_ratio import (
    EffectiveHeatRatio as EffectiveHeatRatio,
)
from heatproof.evaluators.metrics.localization.focus import Focus as Focus
from heatproof.evaluators.metrics.localization.localization_auc import (
    LocalizationAuc as LocalizationAuc,
)
from heatproof.evaluators.metrics.localization.object_shares.attribution_localization import (
    AttributionLocalization as AttributionLocalization,
)
from heatproof.evaluators.metrics.localization.object_shares.concept_influence import (
    ConceptInfluence as ConceptInfluence,
)
from heatproof.evaluators.metrics.localization.object_shares.energy_pointing_game import (
    EnergyPointingGame as EnergyPointingGame,
)
from heatproof.evaluators.metrics.localization.object_shares.relevance_mass_accuracy import (
    RelevanceMassAccuracy as RelevanceMassAccuracy,
)
from heatproof.evaluators.metrics.localization.object_shares.relevance_rank_accuracy import (
    RelevanceRankAccuracy as RelevanceRankAccuracy,
)
from heatproof.evaluators.metrics.localization.object_shares.top_k_intersection import (
    TopKIntersection as TopKIntersection,
)
from heatproof.evaluators.metrics.localization.pointing_game import PointingGame as PointingGame
from heatproof.evaluators.metrics.masking.class_matrix import ClassMatrix as ClassMatrix
from heatproof.evaluators.metrics.masking.concordance import Concordance as Concordance
from heatproof.evaluators.metrics.masking.lime_protocol import LimeProtocol as LimeProtocol
from heatproof.evaluators.metrics.masking.linearity import Linearity as Linearity
from heatproof.evaluators.metrics.masking.mask_shape_bias import MaskShapeBias as MaskShapeBias
from heatproof.evaluators.metrics.masking.segment_removal import RemovalOrder as RemovalOrder
from heatproof.evaluators.metrics.masking.segment_removal import SegmentRemoval as SegmentRemoval
from heatproof.evaluators.metrics.metric import METRICS as METRICS
from heatproof.evaluators.metrics.metric import Metric as Metric
from heatproof.evaluators.metrics.randomization.efficient_mprt import (
    EfficientMprt as EfficientMprt,
)
from heatproof.evaluators.metrics.randomization.gef import Gef as Gef
from heatproof.evaluators.metrics.randomization.mprt import Mprt as Mprt
from heatproof.evaluators.metrics.randomization.random_logit import RandomLogit as RandomLogit
from heatproof.evaluators.metrics.randomization.smooth_mprt import SmoothMprt as SmoothMprt
from heatproof.evaluators.metrics.robustness.average_sensitivity import (
    AverageSensitivity as AverageSensitivity,
)
from heatproof.evaluators.metrics.robustness.average_stability import (
    AverageStability as AverageStability,
)
from heatproof.evaluators.metrics.robustness.continuity import Continuity as Continuity
from heatproof.evaluators.metrics.robustness.explanation_consistency import (
    AttackKind as AttackKind,
)
from heatproof.evaluators.metrics.robustness.explanation_consistency import Background as Background
from heatproof.evaluators.metrics.robustness.explanation_consistency import (
    ExplanationConsistency as ExplanationConsistency,
)
from heatproof.evaluators.metrics.robustness.local_lipschitz import LocalLipschitz as LocalLipschitz
from heatproof.evaluators.metrics.robustness.max_sensitivity import MaxSensitivity as MaxSensitivity
from heatproof.evaluators.metrics.robustness.relative_input_stability import (
    RelativeInputStability as RelativeInputStability,
)
from heatproof.evaluators.metrics.robustness.relative_output_stability import (
    RelativeOutputStability as RelativeOutputStability,
)
from heatproof.evaluators.metrics.robustness.relative_representation_stability import (
    RelativeRepresentationStability as RelativeRepresentationStability,
)
