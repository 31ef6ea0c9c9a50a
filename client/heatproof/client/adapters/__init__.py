"""Maps of other libraries, made of the very pixels that Heatproof explains; needs torch.

    inputs = client.model_inputs(module, images, example=example, preprocessing="imagenet")
    maps = {
        "captum_ig": captum_maps(module, IntegratedGradients, inputs),
        "gradcam": grad_cam_maps(module, GradCAM, inputs, [module.layer4]),
    }
    report = client.evaluate(module, images, example=example, maps=maps, ...)

The libraries themselves are not imported: their methods are handed over.
"""

from heatproof.client.extras import required

required("torch", extra="torch")

# Only now, for they import torch by themselves.
from heatproof.client.adapters.captum import captum_maps as captum_maps  # noqa: E402
from heatproof.client.adapters.grad_cam import grad_cam_maps as grad_cam_maps  # noqa: E402
from heatproof.client.adapters.maite import maite_maps as maite_maps  # noqa: E402
from heatproof.client.adapters.torchcam import torchcam_maps as torchcam_maps  # noqa: E402
