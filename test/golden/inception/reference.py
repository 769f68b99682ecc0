#!/usr/bin/env python3
"""What torchvision's Inception-v3, brought to the form of FID, makes of weights drawn by a formula.

usage: reference.py FOLDER

Writes the golden files of test_inception.c: FOLDER/layers.txt, the convolutions with their shapes, and
FOLDER/features.safetensors.

Needs torch, torchvision, Pillow, numpy and safetensors.  Everything is computed in double precision.
Weights and pictures are whole numbers of a hash, so test_inception.c draws the same ones.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import inception


def drawn(name, n):
    """n numbers of 32 bits that look random: FNV-1a of the name, Weyl steps, a mixer."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    x = (seed + np.arange(n, dtype=np.uint64) * 0x9E3779B9) % 2**32
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor) % 2**32
    return x


def unit(name, n):
    return (drawn(name, n) >> np.uint64(8)).astype(np.float64) / 2**24


def weights(model):
    """Convolutions hold odd whole numbers, -127 to 127, and the norms after them bring variance 2 / fan in.

    Variances are so small that the norms' epsilon shows."""
    state = {}
    for name, value in model.state_dict().items():
        n = value.numel()
        if not name.endswith("conv.weight"):
            continue
        layer = name[: -len("conv.weight")]
        whole = 2 * (drawn(name, n) >> np.uint64(25)).astype(np.int64) - 127
        fan, channels = n // value.shape[0], value.shape[0]
        spread = 73.9 * np.sqrt(fan / 2)
        state[name] = torch.tensor(whole.reshape(value.shape), dtype=torch.float64)
        for key, numbers in {
            "weight": (0.75 + 0.5 * unit(layer + "bn.weight", channels)) / (10 * spread),
            "bias": 0.2 * (unit(layer + "bn.bias", channels) - 0.5),
            "running_mean": spread * (unit(layer + "bn.running_mean", channels) - 0.5),
            "running_var": (0.5 + unit(layer + "bn.running_var", channels)) / 100,
        }.items():
            state[layer + "bn." + key] = torch.tensor(numbers.astype(np.float32), dtype=torch.float64)
    return state


mean = F.avg_pool2d  # as it is before it is patched


def without_padding(block):
    """Means beside the convolutions leave the padding out of the count."""
    def pool(x, **kw):
        return mean(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)
    return patched(block, pool)


def largest(block):
    return patched(block, lambda x, **kw: F.max_pool2d(x, kernel_size=3, stride=1, padding=1))


def patched(block, pool):
    forward = block.forward

    def with_pool(x):
        kept = inception.F.avg_pool2d
        inception.F.avg_pool2d = pool
        try:
            return forward(x)
        finally:
            inception.F.avg_pool2d = kept
    block.forward = with_pool
    return block


def network(fid):
    model = inception.inception_v3(weights=None, init_weights=False, aux_logits=False)
    model.transform_input = False
    model = model.double().eval()
    model.load_state_dict(weights(model), strict=False)
    model.fc = torch.nn.Identity()
    if fid:
        for name in "5b 5c 5d 6b 6c 6d 6e 7b".split():
            without_padding(getattr(model, "Mixed_" + name))
        largest(model.Mixed_7c)
    return model


def picture(name, height, width, channels):
    """Slanted waves and some noise."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    wave = (7 * x + 3 * y + 85 * c + x * y // 9) % 256
    noise = (drawn(name, height * width * channels) >> np.uint64(27)).astype(np.int64)
    return ((wave * 7 // 8) + noise.reshape(wave.shape)).astype(np.uint8)


def scaled(pixels, way, side):
    """[height, width, channels] of 8 bits to [1, 3, side, side] in the range of the way."""
    x = np.repeat(pixels, 3 // pixels.shape[2], axis=2).astype(np.float64)
    if way == "clean":
        planes = [Image.fromarray(x[:, :, c].astype(np.float32), mode="F") for c in range(3)]
        x = np.stack([np.asarray(p.resize((side, side), Image.BICUBIC)) for p in planes])
        return (torch.tensor(x, dtype=torch.float64)[None] - 128) / 128
    x = torch.tensor(x).permute(2, 0, 1)[None]
    if way == "pytorch":
        return F.interpolate(x, (side, side), mode="bilinear", align_corners=False) / 127.5 - 1
    for axis in (2, 3):
        place = torch.arange(side, dtype=torch.float64) * x.shape[axis] / side
        lower = place.long()
        upper = (lower + 1).clamp(max=x.shape[axis] - 1)
        part = (place - lower).reshape([-1 if k == axis else 1 for k in range(4)])
        x = x.index_select(axis, lower) * (1 - part) + x.index_select(axis, upper) * part
    return (x - 128) / 128


WAYS = ["tensorflow", "pytorch", "clean"]
PICTURES = {"small": (32, 40, 3), "grey": (28, 28, 1), "large": (320, 450, 3)}


def main():
    fid, other = network(True), network(False)
    out = {}
    with open(f"{sys.argv[1]}/layers.txt", "w") as f:
        for name, value in fid.state_dict().items():
            if name.endswith(".conv.weight"):
                print(name[: -len(".conv.weight")], *value.shape, file=f)
    with torch.no_grad():
        for way, of in ("tensorflow", "small"), ("pytorch", "grey"), ("clean", "large"):
            out[f"fid.{way}.{of}"] = fid(scaled(picture(of, *PICTURES[of]), way, 299))[0]
        out["torchvision.tensorflow.small"] = other(
            scaled(picture("small", *PICTURES["small"]), "tensorflow", 299))[0]
        x = (torch.tensor(picture("least", 75, 89, 3), dtype=torch.float64) - 127.5) / 127.5
        for form, model in ("fid", fid), ("torchvision", other):
            out[f"{form}.least"] = model(x.permute(2, 0, 1)[None])[0]
    for way in WAYS:
        for height, width, channels in (13, 6, 3), (4, 31, 1), (9, 9, 3), (1, 2, 1):
            pixels = picture("scaled", height, width, channels)
            key = f"scaled.{way}.{height}.{width}.{channels}"
            out[key] = scaled(pixels, way, 9)[0].permute(1, 2, 0)
    out = {k: v.float().contiguous() for k, v in out.items()}
    save_file(out, f"{sys.argv[1]}/features.safetensors")


if __name__ == "__main__":
    main()
