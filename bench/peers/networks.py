"""The networks of src/eval in plain PyTorch: DiT (Peebles and Xie 2023), U-Net of the ADM family
(Dhariwal and Nichol 2021), and the autoencoder of latent diffusion (Rombach et al. 2022).

They are written the way people write them in PyTorch, with scaled_dot_product_attention and nothing
tuned by hand, and hold exactly as many weights as ours: compare.py checks it.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


def time_features(t, n):
    k = torch.exp(-math.log(10000) * torch.arange(n // 2, dtype=torch.float32) / (n // 2))
    angle = t[:, None] * k[None]
    return torch.cat([torch.cos(angle), torch.sin(angle)], dim=-1)


# ---- DiT ----


class DiTBlock(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.qkv = nn.Linear(d, 3 * d)
        self.proj = nn.Linear(d, d)
        self.norm2 = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.fc1 = nn.Linear(d, 4 * d)
        self.fc2 = nn.Linear(4 * d, d)
        self.ada = nn.Linear(d, 6 * d)

    def attend(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(n, t, d))

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.ada(F.silu(c))[:, None].chunk(6, dim=-1)
        x = x + gate1 * self.attend(self.norm1(x) * (1 + scale1) + shift1)
        h = self.norm2(x) * (1 + scale2) + shift2
        return x + gate2 * self.fc2(F.gelu(self.fc1(h), approximate="tanh"))


class DiT(nn.Module):
    channels = 4

    def __init__(self, size=32, channels=4, patch=2, d=384, depth=12, heads=6, classes=10):
        super().__init__()
        self.size, self.patch = size, patch
        self.embed = nn.Conv2d(channels, d, patch, patch)
        self.register_buffer("positions", torch.randn(1, (size // patch) ** 2, d))
        self.time = nn.Sequential(nn.Linear(256, d), nn.SiLU(), nn.Linear(d, d))
        self.label = nn.Embedding(classes + 1, d)
        self.blocks = nn.ModuleList(DiTBlock(d, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.ada = nn.Linear(d, 2 * d)
        self.out = nn.Linear(d, patch * patch * channels)

    def forward(self, x, t, y):
        n, side, p = x.shape[0], self.size // self.patch, self.patch
        c = self.time(time_features(t, 256)) + self.label(y)
        x = self.embed(x).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.ada(F.silu(c))[:, None].chunk(2, dim=-1)
        x = self.out(self.norm(x) * (1 + scale) + shift)
        x = x.reshape(n, side, side, p, p, -1)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(n, -1, self.size, self.size)


# ---- U-Net ----


class Res(nn.Module):
    """resample: None, "down" or "up", of both branches, inside the block."""

    def __init__(self, ch_in, ch_out, emb, resample=None):
        super().__init__()
        self.resample = resample
        self.norm1 = nn.GroupNorm(32, ch_in)
        self.conv1 = nn.Conv2d(ch_in, ch_out, 3, padding=1)
        self.embed = nn.Linear(emb, 2 * ch_out)
        self.norm2 = nn.GroupNorm(32, ch_out)
        self.conv2 = nn.Conv2d(ch_out, ch_out, 3, padding=1)
        self.skip = nn.Conv2d(ch_in, ch_out, 1) if ch_in != ch_out else nn.Identity()

    def resized(self, x):
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample else x

    def forward(self, x, emb):
        h = self.conv1(self.resized(F.silu(self.norm1(x))))
        scale, shift = self.embed(emb)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return self.skip(self.resized(x)) + h


class Attend(nn.Module):
    def __init__(self, ch, head=64):
        super().__init__()
        self.heads = ch // head
        self.norm = nn.GroupNorm(32, ch)
        self.qkv = nn.Conv1d(ch, 3 * ch, 1)
        self.proj = nn.Conv1d(ch, ch, 1)

    def forward(self, x, emb=None):
        n, c, h, w = x.shape
        qkv = self.qkv(self.norm(x).reshape(n, c, h * w))
        q, k, v = qkv.reshape(n, 3, self.heads, c // self.heads, h * w).transpose(3, 4).unbind(1)
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(n, c, h * w)
        return x + self.proj(y).reshape(n, c, h, w)


class Block(nn.ModuleList):
    def forward(self, x, emb):
        for module in self:
            x = module(x, emb)
        return x


class UNet(nn.Module):
    channels = 3

    def __init__(self, channels=3, width=128, mult=(1, 2, 2), blocks=2, attention=(2,), classes=10):
        super().__init__()
        emb = 4 * width
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.label = nn.Embedding(classes + 1, emb)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        ch, skips = width, [width]
        for level, m in enumerate(mult):
            for _ in range(blocks):
                block = Block([Res(ch, m * width, emb)])
                ch = m * width
                if 2**level in attention:
                    block.append(Attend(ch))
                self.down.append(block)
                skips.append(ch)
            if level < len(mult) - 1:
                self.down.append(Block([Res(ch, ch, emb, "down")]))
                skips.append(ch)
        self.middle = Block([Res(ch, ch, emb), Attend(ch), Res(ch, ch, emb)])
        for level, m in reversed(list(enumerate(mult))):
            for k in range(blocks + 1):
                block = Block([Res(ch + skips.pop(), m * width, emb)])
                ch = m * width
                if 2**level in attention:
                    block.append(Attend(ch))
                if level and k == blocks:
                    block.append(Res(ch, ch, emb, "up"))
                self.up.append(block)
        self.norm = nn.GroupNorm(32, ch)
        self.last = nn.Conv2d(ch, channels, 3, padding=1)

    def forward(self, x, t, y):
        emb = F.silu(self.time(time_features(t, self.width)) + self.label(y))
        x = self.first(x)
        skips = [x]
        for block in self.down:
            x = block(x, emb)
            skips.append(x)
        x = self.middle(x, emb)
        for block in self.up:
            x = block(torch.cat([x, skips.pop()], dim=1), emb)
        return self.last(F.silu(self.norm(x)))


# ---- the autoencoder ----


class PlainRes(nn.Module):
    def __init__(self, ch_in, ch_out):
        super().__init__()
        self.norm1 = nn.GroupNorm(32, ch_in, eps=1e-6)
        self.conv1 = nn.Conv2d(ch_in, ch_out, 3, padding=1)
        self.norm2 = nn.GroupNorm(32, ch_out, eps=1e-6)
        self.conv2 = nn.Conv2d(ch_out, ch_out, 3, padding=1)
        self.skip = nn.Conv2d(ch_in, ch_out, 1) if ch_in != ch_out else nn.Identity()

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class OneHead(Attend):
    def __init__(self, ch):
        super().__init__(ch, head=ch)


class Up(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.conv = nn.Conv2d(ch, ch, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Down(nn.Module):
    """Padded on the right and below alone."""

    def __init__(self, ch):
        super().__init__()
        self.conv = nn.Conv2d(ch, ch, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Encoder(nn.Sequential):
    def __init__(self, latents=16, channels=(128, 256, 512, 512), blocks=2):
        ch = channels[0]
        layers = [nn.Conv2d(3, ch, 3, padding=1)]
        for level, out in enumerate(channels):
            for _ in range(blocks):
                layers.append(PlainRes(ch, out))
                ch = out
            if level < len(channels) - 1:
                layers.append(Down(ch))
        layers += [PlainRes(ch, ch), OneHead(ch), PlainRes(ch, ch), nn.GroupNorm(32, ch, eps=1e-6), nn.SiLU(),
                   nn.Conv2d(ch, 2 * latents, 3, padding=1)]
        super().__init__(*layers)


class Decoder(nn.Sequential):
    def __init__(self, latents=16, channels=(512, 512, 256, 128), blocks=3):
        ch = channels[0]
        layers = [nn.Conv2d(latents, ch, 3, padding=1), PlainRes(ch, ch), OneHead(ch), PlainRes(ch, ch)]
        for level, out in enumerate(channels):
            for _ in range(blocks):
                layers.append(PlainRes(ch, out))
                ch = out
            if level < len(channels) - 1:
                layers.append(Up(ch))
        layers += [nn.GroupNorm(32, ch, eps=1e-6), nn.SiLU(), nn.Conv2d(ch, 3, 3, padding=1)]
        super().__init__(*layers)
