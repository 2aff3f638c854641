"""Times training of the blog's network in PyTorch; prints images per second. Needs PyTorch and NumPy alone.

python benchmarks/torch_training.py BATCHES_NPZ BATCH_SIZE WARM_UP_STEPS STEPS
"""

import json
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import nn


class BlogUNet(nn.Module):
    """`blog_unet` of `trainer_module.unet`, layer for layer, with its 5,460,163 parameters."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int, padding: int = 0) -> nn.Module:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=padding), nn.ReLU())

        def transposed_conv(inputs: int, outputs: int, padding: int = 0) -> nn.Module:
            return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 3, padding=padding), nn.ReLU())

        self.down_64 = nn.Sequential(conv(3, 64), conv(64, 64))
        self.down_128 = nn.Sequential(conv(64, 128), conv(128, 128, 1))
        self.down_256 = nn.Sequential(conv(128, 256), conv(256, 256))
        self.bottleneck = nn.Sequential(conv(256, 512), transposed_conv(512, 256))
        self.up_256 = nn.Sequential(transposed_conv(512, 256), transposed_conv(256, 128))
        self.up_128 = nn.Sequential(transposed_conv(256, 128, 1), transposed_conv(128, 64))
        self.up_64 = nn.Sequential(transposed_conv(128, 64), transposed_conv(64, 64))
        self.logits = nn.Sequential(nn.Conv2d(64, num_classes, 1), nn.ReLU())
        self.pool, self.upsample = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps float32 [batch, 3, size, size] to logits [batch, num_classes, size, size]."""
        skip_64 = self.down_64(images)
        skip_128 = self.down_128(self.pool(skip_64))
        skip_256 = self.down_256(self.pool(skip_128))
        x = self.bottleneck(self.pool(skip_256))
        x = self.up_256(torch.cat([self.upsample(x), skip_256], 1))
        x = self.up_128(torch.cat([self.upsample(x), skip_128], 1))
        x = self.up_64(torch.cat([self.upsample(x), skip_64], 1))
        result: torch.Tensor = self.logits(x)
        return result


def main() -> None:
    """Trains on the batches of a file, over and over."""
    file, *numbers = sys.argv[1:]
    batch_size, warm_up_steps, steps = map(int, numbers)
    arrays: Any = np.load(file)
    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    class_ids = torch.from_numpy(arrays["class_ids"].astype(np.int64))
    network = BlogUNet().to(memory_format=torch.channels_last)
    assert sum(parameter.numel() for parameter in network.parameters()) == 5_460_163  # noqa: S101
    optimizer, loss = torch.optim.Adam(network.parameters()), nn.CrossEntropyLoss()
    started = 0.0
    for step in range(warm_up_steps + steps):
        if step == warm_up_steps:
            started = time.perf_counter()
        first = step * batch_size % len(images)
        optimizer.zero_grad()
        loss(network(images[first : first + batch_size]), class_ids[first : first + batch_size]).backward()
        optimizer.step()
    print(json.dumps(steps * batch_size / (time.perf_counter() - started)))


if __name__ == "__main__":
    main()
