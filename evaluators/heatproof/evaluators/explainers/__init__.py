"""Where attribution maps come from."""

from heatproof.evaluators.explainers.cam.grad_cam import GradCam as GradCam
from heatproof.evaluators.explainers.controls.centre import Centre as Centre
from heatproof.evaluators.explainers.controls.edges import Edges as Edges
from heatproof.evaluators.explainers.controls.inverse import Inverse as Inverse
from heatproof.evaluators.explainers.controls.random import Random as Random
from heatproof.evaluators.explainers.controls.supplied import Supplied as Supplied
from heatproof.evaluators.explainers.explainer import EXPLAINERS as EXPLAINERS
from heatproof.evaluators.explainers.explainer import Explainer as Explainer
from heatproof.evaluators.explainers.gradient.integrated_gradients import (
    IntegratedGradients as IntegratedGradients,
)
from heatproof.evaluators.explainers.gradient.saliency import Saliency as Saliency
from heatproof.evaluators.explainers.perturbation.lime import Lime as Lime
from heatproof.evaluators.explainers.perturbation.occlusion import Occlusion as Occlusion
from heatproof.evaluators.explainers.perturbation.rise import Rise as Rise
