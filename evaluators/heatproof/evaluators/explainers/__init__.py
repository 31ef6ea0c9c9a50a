"""Where attribution maps come from."""

from heatproof.evaluators.explainers.centre import Centre as Centre
from heatproof.evaluators.explainers.explainer import EXPLAINERS as EXPLAINERS
from heatproof.evaluators.explainers.explainer import Explainer as Explainer
from heatproof.evaluators.explainers.grad_cam import GradCam as GradCam
from heatproof.evaluators.explainers.integrated_gradients import (
    IntegratedGradients as IntegratedGradients,
)
from heatproof.evaluators.explainers.occlusion import Occlusion as Occlusion
from heatproof.evaluators.explainers.random import Random as Random
from heatproof.evaluators.explainers.rise import Rise as Rise
from heatproof.evaluators.explainers.saliency import Saliency as Saliency
from heatproof.evaluators.explainers.supplied import Supplied as Supplied
