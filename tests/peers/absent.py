"""What no peer offers for image classifiers, and why that is known."""

from typing import Final

_PANEL = "no peer compares several models by one score"
_LAYER = "from the paper on layer masking, whose authors publish scripts and no library"

_OPENXAI = "OpenXAI has it, for coefficients of linear models on tables; it is on no index"

ABSENT: Final = {
    ("metric", "concordance"): _LAYER,
    ("metric", "lime_protocol"): _LAYER,
    ("metric", "linearity"): _LAYER,
    ("metric", "mask_shape_bias"): _LAYER,
    ("metric", "segment_removal"): _LAYER,
    ("metric", "inter_model_deletion"): _PANEL,
    ("metric", "occlusion_corrected_deletion"): "Heatproof's own; no peer corrects for occlusion",
    ("metric", "occlusion_robustness"): "Heatproof's own; no peer scores the model apart",
    ("metric", "explanation_consistency"): "published with a training method, not in a library",
    ("metric", "single_deletion_correlation"): (
        "published with a script for synthetic images of known parts"
    ),
    ("metric", "agreement_pairwise_rank"): _OPENXAI,
    ("metric", "agreement_rank"): _OPENXAI,
    ("metric", "agreement_sign"): _OPENXAI,
    ("metric", "agreement_signed_rank"): _OPENXAI,
    ("metric", "agreement_top_k"): _OPENXAI,
    ("metric", "box_iou"): "published with scripts for weakly supervised localization",
    ("metric", "comprehensiveness"): "published with scripts for texts; no library has it",
    ("metric", "sufficiency"): "published with scripts for texts; no library has it",
    ("metric", "effective_heat_ratio"): "published with a script; no library has it",
    ("metric", "minimal_subset"): "Heatproof's own, after a measure that Quantus reads otherwise",
    ("metric", "mst_c"): "in Quantus' source, but in no version of it that is released",
    ("metric", "adcc"): "OpenVINO XAI has it, for models of its own format alone",
    ("metric", "qge"): "proposed with a branch of Quantus that no version holds",
    ("metric", "gef"): (
        "published with scripts upon Quantus' base classes; version 0.6.0 of Quantus lacks it"
    ),
    ("metric", "saco"): "published with a script; no library has it",
    ("removal", "adversarial"): "no peer removes by an image after an attack",
    ("explainer", "disturbed"): "a control of Heatproof",
    ("explainer", "centre"): "a control of Heatproof",
    ("explainer", "inverse"): "a control of Heatproof",
    ("explainer", "random"): "a control; peers draw theirs a pixel or a channel, without a seed",
    ("explainer", "supplied"): "takes the caller's maps as they are",
    ("removal", "replacement"): "what the caller painted; no peer takes it an image",
    ("removal", "donor"): "no peer shows other images of the data set",
    ("removal", "inpaint"): "no peer fills by OpenCV's inpainting",
    ("removal", "layer"): "no peer masks inside a network",
}
