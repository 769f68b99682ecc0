#!/usr/bin/env python3
"""What the published LPIPS makes of backbones whose weights are drawn by a formula.

usage: reference.py FOLDER

Writes the golden files of test_lpips.c: FOLDER/NETWORK.txt, the backbones' layers with their shapes, and
FOLDER/distances.safetensors.

Needs torch, torchvision, numpy, safetensors and lpips (0.1.4, whose linear layers are the files
lpips_*_v0.1.safetensors beside this one).  Everything is computed in double precision.  Weights and
pictures are whole numbers of a hash, so test_lpips.c draws the same ones.
"""
import sys

import lpips
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torchvision import models

NETWORKS = {"alex": models.alexnet, "vgg": models.vgg16, "squeeze": models.squeezenet1_1}
PICTURES = {"least": {"alex": (31, 33), "vgg": (16, 19), "squeeze": (25, 28)},
            "some": {"alex": (64, 48), "vgg": (40, 33), "squeeze": (62, 45)}}


def drawn(name, n):
    """n numbers of 32 bits that look random: FNV-1a of the name, Weyl steps, a mixer."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    x = (seed + np.arange(n, dtype=np.uint64) * 0x9E3779B9) % 2**32
    x = (x ^ x >> 16) * 0x7FEB352D % 2**32
    x = (x ^ x >> 15) * 0x846CA68B % 2**32
    return x ^ x >> 16


def weights(model):
    """Weights that keep the spread of what runs through a rectifier, cut to bfloat16; small biases."""
    state = {}
    for name, value in model.state_dict().items():
        n = value.numel()
        whole = 2 * (drawn(name, n) >> np.uint64(25)).astype(np.int64) - 127
        fan = n // value.shape[0]
        spread = 73.9 * np.sqrt(fan / 2) if value.ndim > 1 else 1270.0
        bits = (whole / spread).astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        state[name] = torch.tensor(bits.view(np.float32).reshape(value.shape), dtype=torch.float64)
    return state


def picture(name, n, height, width, channels):
    """Slanted waves and some noise in -1 .. 1, rounded to float32."""
    i, y, x, c = np.meshgrid(np.arange(n), np.arange(height), np.arange(width), np.arange(channels),
                             indexing="ij")
    wave = (7 * x + 3 * y + 85 * c + 50 * i + x * y // 9) % 256
    noise = (drawn(name, wave.size) >> np.uint64(26)).astype(np.int64).reshape(wave.shape)
    values = ((wave * 3 // 4 + noise) / 127.5 - 1).astype(np.float32)
    return torch.tensor(values, dtype=torch.float64).permute(0, 3, 1, 2)


def distance(net):
    """The published distance, its backbone filled from torchvision's by name."""
    model = NETWORKS[net](weights=None).double()
    model.load_state_dict(weights(model) | {k: v.double() for k, v in model.state_dict().items()
                                            if not k.startswith("features.")})
    d = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).double().eval()
    layers = [m for m in model.features]
    at = 0
    for k in range(d.net.N_slices):
        part = getattr(d.net, f"slice{k + 1}")
        for m in part:
            m.load_state_dict(layers[at].state_dict())
            at += 1
    heads = load_file(f"{sys.argv[1]}/lpips_{net}_v0.1.safetensors")
    for name, value in heads.items():
        assert torch.equal(d.state_dict()[name].float(), value), name
    return d, model


def main():
    out = {}
    for net in NETWORKS:
        d, model = distance(net)
        with open(f"{sys.argv[1]}/{net}.txt", "w") as f:
            for name, value in model.state_dict().items():
                if name.startswith("features."):
                    print(name, *(list(value.shape) + [1, 1, 1])[:4], file=f)
        for size in PICTURES:
            for channels in (1, 3):
                height, width = PICTURES[size][net]
                x, y = (picture(name, 2, height, width, channels) for name in ("x", "y"))
                y.requires_grad_(True)
                each = d(x, y)[:, 0, 0, 0]
                each.sum().backward()
                key = f"{net}.{size}.{channels}"
                out[key] = each.detach()
                if size == "least":
                    out[key + ".grad_y"] = y.grad.permute(0, 2, 3, 1)
    out = {k: v.float().contiguous() for k, v in out.items()}
    save_file(out, f"{sys.argv[1]}/distances.safetensors")


if __name__ == "__main__":
    main()
