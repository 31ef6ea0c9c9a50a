"""The families of image classifiers that the coverage table shows, and models that stand for them.

A model is written `name` or `name@size`: its name in timm, or in torchvision
after `tv:`, the side of its input in pixels (`SIZE` unless given).
"""

from dataclasses import dataclass

SIZE = 128
"""Leaves maps of 4 x 4 cells behind the usual stride of 32."""


@dataclass(frozen=True, slots=True)
class Model:
    """One architecture at one size.

    Attributes:
        name: as timm calls it, or torchvision after `tv:`.
        size: rows and columns of the input, in pixels.
    """

    name: str
    size: int

    @classmethod
    def parse(cls, text: str) -> "Model":
        """Reads `name` or `name@size`."""
        name, _, size = text.partition("@")
        return cls(name, int(size or SIZE))

    def __str__(self) -> str:
        return f"{self.name}@{self.size}"


@dataclass(frozen=True, slots=True)
class Family:
    """Architectures of one kind: a row of the table.

    Attributes:
        title: the row's name.
        models: what stands for it.
        mixes: what mixes positions by learned weights, for which layer masking must refuse the
            model by the name of a node; "" if nothing does.
        whole: whether the first model is exported in every way.
    """

    title: str
    models: tuple[Model, ...]
    mixes: str = ""
    whole: bool = False


def family(title: str, models: str, *, mixes: str = "", whole: bool = False) -> Family:
    """A row; models are separated by spaces."""
    return Family(title, tuple(map(Model.parse, models.split())), mixes, whole)


FAMILIES = (
    family("ResNet, BasicBlock", "resnet18 tv:resnet34", whole=True),
    family("ResNet, Bottleneck", "resnet26 tv:resnet50 resnet32ts"),
    family("ResNet-C/D/S/T", "resnet26d resnet50s resnet14t"),
    family("ResNet with group normalisation", "resnet50_gn"),
    family("ResNet, anti-aliased or blurred pools", "resnetaa34d resnetblur18"),
    family("ResNet with a map head or quad stem", "resnet51q resnet50_clip_gap resnet50_mlp"),
    family("SE-ResNet and SE-ResNeXt", "seresnet18 seresnext26d_32x4d seresnet33ts"),
    family("Legacy SENet", "legacy_seresnet18 legacy_seresnext26_32x4d"),
    family("ECA-ResNet", "ecaresnet26t eca_resnet33ts"),
    family("SKNet", "skresnet18 skresnext50_32x4d"),
    family("ResNeSt", "resnest14d resnest50d_4s2x40d"),
    family("Res2Net", "res2net50_48w_2s res2next50 res2net50d"),
    family("GC-ResNet", "gcresnext26ts gcresnet33ts"),
    family("ResNeXt", "tv:resnext50_32x4d resnext26ts"),
    family("Wide ResNet", "tv:wide_resnet50_2"),
    family("ResNet V2", "resnetv2_18 resnetv2_34d"),
    family("ResNet V2, weight-standardised (BiT)", "resnetv2_50x1_bit resnetv2_50d_gn"),
    family("ResNet V2 with FRN or EvoNorm", "resnetv2_50d_frn resnetv2_50d_evos"),
    family("ResNet-RS", "resnetrs50"),
    family("TResNet", "tresnet_m tresnet_v2_l"),
    family("VGG", "vgg11@224 tv:vgg11_bn@224"),
    family("AlexNet", "tv:alexnet@224"),
    family("SqueezeNet", "tv:squeezenet1_0@128 tv:squeezenet1_1@128"),
    family("DenseNet", "densenet121@288 densenetblur121d@288 tv:densenet169@288", whole=True),
    family("RDNet", "rdnet_tiny@256"),
    family("GoogLeNet", "tv:googlenet@256"),
    family("Inception v3", "inception_v3@320 tv:inception_v3@320"),
    family("Inception v4 and Inception-ResNet v2", "inception_v4@299 inception_resnet_v2@299"),
    family("Xception", "legacy_xception@128 xception41@128 xception41p@128"),
    family("NASNet and PNASNet", "nasnetalarge@128 pnasnet5large@128"),
    family("ShuffleNet V2", "tv:shufflenet_v2_x0_5@192 tv:shufflenet_v2_x1_0@192", whole=True),
    family("DLA", "dla34@192 dla46x_c@192 dla60_res2net@192"),
    family("DPN", "dpn48b@192 dpn68@192"),
    family("VoVNet", "ese_vovnet19b_slim_dw@192 vovnet39a@192 eca_vovnet39b@192"),
    family("NFNet", "test_nfnet eca_nfnet_l0 nfnet_l0"),
    family("DeepMind NFNet", "dm_nfnet_f0"),
    family("NF-ResNet", "nf_resnet26 nf_ecaresnet26 nf_seresnet26"),
    family("NF-RegNet", "nf_regnet_b0"),
    family(
        "EfficientNet", "efficientnet_b0@192 tv:efficientnet_b0@192 efficientnet_es@192", whole=True
    ),
    family(
        "EfficientNet with `SAME` padding (tf)", "tf_efficientnet_b0@192 tf_efficientnetv2_b0@192"
    ),
    family("EfficientNet Lite", "efficientnet_lite0@192 tf_efficientnet_lite0@192"),
    family(
        "EfficientNet V2",
        "efficientnetv2_rw_t@192 tv:efficientnet_v2_s@192 gc_efficientnetv2_rw_t@192",
    ),
    family(
        "EfficientNet with other normalisations, blur or CondConv",
        "efficientnet_b0_gn@192 efficientnet_b0_g16_evos@192 "
        "efficientnet_blur_b0@192 efficientnet_cc_b0_4e@192",
    ),
    family("EfficientNet-X and -H", "efficientnet_x_b3@192 efficientnet_h_b5@192"),
    family("MobileNet V1", "mobilenetv1_100@288"),
    family("MobileNet V2", "mobilenetv2_035@192 tv:mobilenet_v2@192"),
    family(
        "MobileNet V3",
        "mobilenetv3_small_050@192 tv:mobilenet_v3_small@192 tf_mobilenetv3_large_075@192",
        whole=True,
    ),
    family(
        "MobileNet V4, convolutional",
        "mobilenetv4_conv_small_035@192 mobilenetv4_conv_aa_medium@192",
    ),
    family("MobileNet EdgeTPU", "mobilenet_edgetpu_100@192 mobilenet_edgetpu_v2_xs@192"),
    family("MnasNet", "mnasnet_050@192 semnasnet_075@192 tv:mnasnet0_5@192"),
    family("MixNet", "mixnet_s@288 tf_mixnet_s@288"),
    family("GhostNet", "ghostnet_050@192"),
    family("GhostNet V2", "ghostnetv2_100@192"),
    family("GhostNet V3", "ghostnetv3_050@192"),
    family("RepGhost", "repghostnet_050@192"),
    family("RepVGG", "repvgg_a0@192 repvgg_d2se@192"),
    family("MobileOne", "mobileone_s0@192 mobileone_s4@192"),
    family("RepViT", "repvit_m0_9@192 repvit_m1@192"),
    family("HardCoRe-NAS", "hardcorenas_a@192 hardcorenas_d@192"),
    family("LCNet", "lcnet_035@384 lcnetv2_small@384"),
    family("TinyNet", "tinynet_e@192 tinynet_a@192"),
    family("FBNet", "fbnetc_100@192 fbnetv3_b@192"),
    family("SPNASNet", "spnasnet_100@192"),
    family("RegNet X", "regnetx_002 tv:regnet_x_400mf"),
    family("RegNet Y", "regnety_002 tv:regnet_y_400mf regnety_040_sgn regnetv_040"),
    family("RegNet Z", "regnetz_005 regnetz_b16"),
    family("ReXNet", "rexnet_100@192 rexnetr_100@192"),
    family(
        "ConvNeXt",
        "convnext_atto@256 tv:convnext_tiny@256 convnext_atto_ols@256 test_convnext@256",
        whole=True,
    ),
    family("ConvNeXt V2", "convnextv2_atto@256 test_convnext2@256", whole=True),
    family("ConvNeXt with RMSNorm", "convnext_zepto_rms@256"),
    family("ConvMixer", "convmixer_768_32"),
    family("InceptionNeXt", "inception_next_atto@256"),
    family("MambaOut", "mambaout_femto@256 test_mambaout@256"),
    family("FocalNet", "focalnet_tiny_srf@256 focalnet_tiny_lrf@256"),
    family("CSPNet", "cspresnet50 cspresnext50"),
    family("DarkNet", "darknet17 cs3darknet_focus_s cs3darknet_s darknetaa53 cs3sedarknet_l"),
    family("CSPNeXt", "cspnext_tiny"),
    family("HGNet", "hgnet_tiny@192"),
    family("HGNet V2", "hgnetv2_b0@192 hgnetv2_b4@192"),
    family("HRNet", "hrnet_w18_small hrnet_w18_small_v2"),
    family("SelecSLS", "selecsls42b@192 selecsls60@192"),
    family("PoolFormer", "poolformer_s12"),
    family("PoolFormer V2", "poolformerv2_s12"),
    family("ConvFormer", "convformer_s18"),
    family("FasterNet", "fasternet_t0 fasternet_t1"),
    family("StarNet", "starnet_s050@256 starnet_s1@256"),
    family("GENet", "gernet_s gernet_m"),
    family("FastViT, convolutional", "fastvit_t8@256 fastvit_t12@256", whole=True),
    family("SwiftFormer", "swiftformer_xs@224"),
    family("EdgeNeXt", "edgenext_xx_small", mixes="attention"),
    family("FastViT with attention", "fastvit_sa12", mixes="attention"),
    family("MobileNet V4, hybrid", "mobilenetv4_hybrid_medium_075", mixes="attention"),
    family("EfficientFormer", "efficientformer_l1@224 efficientformerv2_s0@224", mixes="attention"),
    family("MobileViT", "mobilevit_xxs mobilevitv2_050", mixes="attention"),
    family("BoTNet", "botnet26t_256@256", mixes="attention"),
    family("LambdaNet", "lambda_resnet26t@128", mixes="attention"),
    family("HaloNet", "halonet26t@256", mixes="attention"),
    family("EfficientViT", "efficientvit_b0 efficientvit_m0@224", mixes="attention"),
    family("CAFormer", "caformer_s18", mixes="attention"),
    family("CoAtNet and MaxViT", "test_coatnet@160 test_maxvit@160", mixes="attention"),
    family("LeViT", "levit_128s@224", mixes="attention"),
    family(
        "MLP-Mixer, ResMLP and gMLP", "mixer_s32_224@224 resmlp_12_224@224", mixes="token mixing"
    ),
    family("Swin Transformer", "swin_tiny_patch4_window7_224@224", mixes="attention"),
    family("Vision Transformer", "test_vit@160 vit_tiny_patch16_224@224", mixes="attention"),
)
"""Every row of the table, in its order."""
