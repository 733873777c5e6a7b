"""DistMIS's 3D U-Net and its loss in Keras 3 on TensorFlow, the peer of our training step."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import keras

import tensorflow as tf


def _block(x, filters, norm):
    for _ in range(2):
        x = keras.layers.Conv3D(filters, 3, padding="same", use_bias=False)(x)
        if norm == "batch":
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
        else:
            x = keras.layers.GroupNormalization(groups=4)(x)
        x = keras.layers.Activation("relu")(x)
    return x


def dice_loss(truth, probabilities):
    common = tf.reduce_sum(truth * probabilities)
    return 1 - (2 * common + 0.01) / (tf.reduce_sum(truth) + tf.reduce_sum(probabilities) + 0.01)


def unet(shape, norm):
    inputs = keras.Input((*shape, 4))
    x, skips = inputs, []
    for level in range(3):
        x = _block(x, 8 * 2**level, norm)
        skips.append(x)
        x = keras.layers.MaxPooling3D(2)(x)
    x = _block(x, 64, norm)
    for level in reversed(range(3)):
        x = keras.layers.Conv3DTranspose(8 * 2**level, 3, strides=2, padding="same")(x)
        x = _block(keras.layers.Concatenate()([x, skips[level]]), 8 * 2**level, norm)
    return keras.Model(inputs, keras.layers.Conv3D(1, 3, padding="same", activation="sigmoid")(x))
