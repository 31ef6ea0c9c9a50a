"""Where attribution maps come from."""

from heatproof.evaluators.explainers.cam.ablation_cam import AblationCam as AblationCam
from heatproof.evaluators.explainers.cam.eigen_cam import EigenCam as EigenCam
from heatproof.evaluators.explainers.cam.grad_cam import GradCam as GradCam
from heatproof.evaluators.explainers.cam.grad_cam_plus_plus import (
    GradCamPlusPlus as GradCamPlusPlus,
)
from heatproof.evaluators.explainers.cam.hires_cam import HiresCam as HiresCam
from heatproof.evaluators.explainers.cam.layer_cam import LayerCam as LayerCam
from heatproof.evaluators.explainers.cam.score_cam import ScoreCam as ScoreCam
from heatproof.evaluators.explainers.cam.xgrad_cam import XgradCam as XgradCam
from heatproof.evaluators.explainers.controls.centre import Centre as Centre
from heatproof.evaluators.explainers.controls.disturbed import Disturbed as Disturbed
from heatproof.evaluators.explainers.controls.edges import Edges as Edges
from heatproof.evaluators.explainers.controls.inverse import Inverse as Inverse
from heatproof.evaluators.explainers.controls.random import Random as Random
from heatproof.evaluators.explainers.controls.supplied import Supplied as Supplied
from heatproof.evaluators.explainers.explainer import EXPLAINERS as EXPLAINERS
from heatproof.evaluators.explainers.explainer import Explainer as Explainer
from heatproof.evaluators.explainers.gradient.deconvnet import Deconvnet as Deconvnet
from heatproof.evaluators.explainers.gradient.gradient_shap import GradientShap as GradientShap
from heatproof.evaluators.explainers.gradient.guided_backprop import (
    GuidedBackprop as GuidedBackprop,
)
from heatproof.evaluators.explainers.gradient.input_x_gradient import (
    InputXGradient as InputXGradient,
)
from heatproof.evaluators.explainers.gradient.integrated_gradients import (
    IntegratedGradients as IntegratedGradients,
)
from heatproof.evaluators.explainers.gradient.saliency import Saliency as Saliency
from heatproof.evaluators.explainers.gradient.smooth_grad import SmoothGrad as SmoothGrad
from heatproof.evaluators.explainers.gradient.var_grad import VarGrad as VarGrad
from heatproof.evaluators.explainers.perturbation.kernel_shap import KernelShap as KernelShap
from heatproof.evaluators.explainers.perturbation.lime import Lime as Lime
from heatproof.evaluators.explainers.perturbation.occlusion import Occlusion as Occlusion
from heatproof.evaluators.explainers.perturbation.rise import Rise as Rise
