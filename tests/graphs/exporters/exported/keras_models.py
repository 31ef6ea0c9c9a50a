"""Exports small Keras networks through tf2onnx; see README.md."""

import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers

SIZE = 32
CLASSES = 5


def normalized(x):
    def uniform(low, high):
        return keras.initializers.RandomUniform(low, high)

    return layers.BatchNormalization(
        gamma_initializer=uniform(0.7, 1.3), beta_initializer=uniform(-0.3, 0.3),
        moving_mean_initializer=uniform(-0.3, 0.3), moving_variance_initializer=uniform(0.5, 1.5),
    )(x)  # fmt: skip


def convolved(x, filters, kernel, stride=1, padding="same"):
    conv = layers.Conv2D(filters, kernel, stride, padding, use_bias=False)
    return normalized(conv(x))


def depthwise(x, kernel, stride=1, padding="same"):
    conv = layers.DepthwiseConv2D(kernel, stride, padding, use_bias=False)
    return normalized(conv(x))


def hard_sigmoid(x):
    return layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)


def hard_swish(x):
    return layers.Multiply()([x, hard_sigmoid(x)])


def image():
    return layers.Input((SIZE, SIZE, 3))


def padded(x, before, after):
    return layers.ZeroPadding2D(((before, after), (before, after)))(x)


def mobilenet_v2():
    entry = image()
    x = layers.ReLU(6.0)(convolved(padded(entry, 0, 1), 8, 3, 2, "valid"))
    y = layers.ReLU(6.0)(convolved(x, 16, 1))
    y = layers.ReLU(6.0)(depthwise(y, 3))
    x = layers.Add()([x, convolved(y, 8, 1)])
    x = layers.ReLU(6.0)(depthwise(padded(x, 0, 1), 3, 2, "valid"))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(entry, layers.Dense(CLASSES, activation="softmax")(x))


def mobilenet_v3():
    entry = image()
    x = hard_swish(convolved(layers.Rescaling(1 / 127.5, offset=-1.0)(entry), 8, 3, 2))
    y = hard_swish(convolved(x, 16, 1))
    y = hard_swish(depthwise(padded(y, 1, 2), 5, 2, "valid"))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(16, 1)(layers.Conv2D(4, 1, activation="relu")(gate))
    y = convolved(layers.Multiply()([y, hard_sigmoid(gate)]), 12, 1)
    y = layers.GlobalAveragePooling2D(keepdims=True)(hard_swish(layers.Conv2D(20, 1)(y)))
    y = layers.Conv2D(CLASSES, 1)(hard_swish(layers.Conv2D(16, 1)(y)))
    return keras.Model(entry, layers.Softmax()(layers.Flatten()(y)))


def efficientnet():
    entry = image()
    x = layers.Rescaling([1 / 58.4, 1 / 57.1, 1 / 57.4], offset=[-2.1, -2.0, -1.8])(entry)
    x = layers.Activation("swish")(convolved(padded(x, 0, 1), 8, 3, 2, "valid"))
    y = layers.Activation("swish")(depthwise(x, 3))
    gate = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(y))
    gate = layers.Conv2D(2, 1, activation="swish")(gate)
    gate = layers.Conv2D(8, 1, activation="sigmoid")(gate)
    x = layers.Add()([convolved(layers.Multiply()([y, gate]), 8, 1), x])
    return keras.Model(entry, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x)))


def resnet():
    entry = image()
    x = layers.ReLU()(convolved(padded(entry, 3, 3), 8, 7, 2, "valid"))
    x = layers.MaxPooling2D(3, 2)(padded(x, 1, 1))
    y = layers.ReLU()(convolved(x, 6, 1))
    y = layers.ReLU()(convolved(y, 6, 3))
    x = layers.ReLU()(layers.Add()([convolved(x, 16, 1), convolved(y, 16, 1)]))
    x = layers.AveragePooling2D(3, 2, "same")(x)
    x = layers.Concatenate()([x, layers.Conv2D(4, 3, padding="same", dilation_rate=2)(x)])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(CLASSES, 1)(x))
    return keras.Model(entry, layers.Activation("softmax")(x))


NETWORKS: dict[str, tuple[Callable[[], keras.Model], int, tuple[float, float]]] = {
    "mobilenet_v2": (mobilenet_v2, 13, (-1, 1)),
    "mobilenet_v3": (mobilenet_v3, 15, (0, 255)),
    "efficientnet": (efficientnet, 11, (0, 255)),
    "resnet": (resnet, 17, (-1, 1)),
}


def export(folder: Path, name: str) -> None:
    make, opset, (low, high) = NETWORKS[name]
    keras.utils.set_random_seed(7)
    network = make()
    signature = (tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32, name="image"),)
    function = tf.function(lambda x: network(x, training=False), input_signature=signature)
    model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=opset)
    onnx.save(model, folder / f"keras_{name}.onnx")
    x = tf.constant(np.random.default_rng(3).uniform(low, high, (2, SIZE, SIZE, 3)), tf.float32)
    v = np.random.default_rng(9).standard_normal((2, CLASSES)).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = network(x, training=False)
        ends_in_softmax = model.graph.node[-1].op_type == "Softmax"
        # log softmax is the logits up to a constant, to which a centred vector is blind.
        logits = tf.math.log(output) if ends_in_softmax else output
        total = tf.reduce_sum(logits * (v - v.mean(axis=1, keepdims=True)))
    np.savez_compressed(
        folder / f"keras_{name}.npz",
        interval=[low, high], output=output.numpy(), gradient=tape.gradient(total, x).numpy(),
    )  # fmt: skip


if __name__ == "__main__":
    for one in NETWORKS:
        export(Path(sys.argv[1]), one)
