"""What no peer offers for image classifiers, and why that is known."""

from typing import Final

_PANEL = "no peer compares several models by one score"
_LAYER = "from the paper on layer masking, whose authors publish scripts and no library"

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
    ("explainer", "centre"): "a control of Heatproof",
    ("explainer", "inverse"): "a control of Heatproof",
    ("explainer", "random"): "a control; peers draw theirs a pixel or a channel, without a seed",
    ("explainer", "supplied"): "takes the caller's maps as they are",
    ("removal", "layer"): "no peer masks inside a network",
}
