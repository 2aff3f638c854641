"""Prints parameters and multiply-adds of every network: of the convolutions, which are all but all there is.

.venv/bin/python benchmarks/networks.py [--image-size 128] [--classes 3]
"""

import argparse
import math

import keras
from keras import layers

from trainer_module.networks import MODELS, build_model


def multiply_adds(network: keras.Model) -> int:
    """Returns the products that one image takes: a kernel's weights times the positions where it is applied."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.Model):  # an encoder
            total += multiply_adds(layer)
        elif isinstance(layer, layers.DepthwiseConv2D):
            total += math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
        elif isinstance(layer, layers.SeparableConv2D):
            kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
            total += kernels * math.prod(layer.output.shape[1:3])
        elif isinstance(layer, layers.Conv2DTranspose):
            total += math.prod(layer.kernel.shape) * math.prod(layer.input.shape[1:3])
        elif isinstance(layer, layers.Conv2D):
            total += math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return total


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--classes", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'network':10} {'parameters':>12} {'multiply-adds':>16}")
    for name in MODELS:
        network = build_model(name, arguments.image_size, arguments.classes)
        print(f"{name:10} {network.count_params():12,} {multiply_adds(network):16,}")


if __name__ == "__main__":
    main()
