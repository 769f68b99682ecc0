"""One case in PyTorch, run whenever it is told to: the peer of bench/bench_peer.c.

    torch_case.py NAME THREADS VARIANT       VARIANT: eager, nhwc (eager, channels last), compiled

The protocol is that of bench_peer.c: "ready WEIGHTS" once prepared; a number N asks for the mean
seconds of N runs; "memory" asks for the peak of resident bytes since the last such line, less what
the process held when torch was imported and its threads were made.

Names are those of `bench_peer --list`, and the sizes are read from them, so a case that is new there
in one of the families below is known here.
"""
import re
import sys
import time
import warnings

warnings.filterwarnings("ignore")  # of what torch says about modules that it does not need here

import torch
import torch.nn.functional as F
from torch import nn

import networks

torch.manual_seed(1)


def peak_bytes():
    with open("/proc/self/status") as f:
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))


def forget_peak():
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass


def numbers(name):
    return [int(x) for x in re.findall(r"(?<![\w-])\d+", name)]


class Options:
    def __init__(self, variant):
        self.compiled = variant == "compiled"
        self.nhwc = variant == "nhwc"

    def layout(self, x):
        return x.to(memory_format=torch.channels_last) if self.nhwc else x

    def prepared(self, f):
        return torch.compile(f) if self.compiled else f


# ---- single ops: forward and backward, a random gradient given ----


def op_case(f, inputs, options):
    """f(*inputs) and its gradients with respect to every input that wants one."""
    run = options.prepared(f)
    with torch.no_grad():
        out = f(*inputs)
    given = options.layout(torch.rand_like(out) - 0.5) if out.dim() == 4 else torch.rand_like(out)

    def step():
        for x in inputs:
            x.grad = None
        run(*inputs).backward(given)

    return step, 0


def values(*shape):
    return (torch.rand(*shape) - 0.5).requires_grad_()


def linear(name, options):
    rows, wide, out = numbers(name)[-3:]
    inputs = [values(rows, wide), values(out, wide), values(out)]
    if name.endswith("gelu"):
        return op_case(lambda x, w, b: F.gelu(F.linear(x, w, b), approximate="tanh"), inputs, options)
    return op_case(F.linear, inputs, options)


def conv(name, options):
    stride = 2 if "stride 2" in name else 1
    k = 1 if "1x1" in name else 3
    n, size, _, wide, out = numbers(re.sub(r" 1x1|, stride 2", "", name))
    x = options.layout(torch.rand(n, wide, size, size) - 0.5).requires_grad_()
    w = options.layout(torch.rand(out, wide, k, k) - 0.5).requires_grad_()
    return op_case(lambda x, w, b: F.conv2d(x, w, b, stride, k // 2), [x, w, values(out)], options)


def attention(name, options):
    n, t, heads, d = numbers(name)

    def attend(x):
        q, k, v = x.reshape(n, t, 3, heads, d).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, heads * d)

    return op_case(attend, [values(n, t, 3 * heads * d)], options)


def layer_norm(name, options):
    n, t, d = numbers(name)

    def modulated(x, shift, scale):
        return F.layer_norm(x, (d,), eps=1e-6) * (1 + scale[:, None]) + shift[:, None]

    return op_case(modulated, [values(n, t, d), values(n, d), values(n, d)], options)


def group_norm(name, options):
    n, h, w, c = numbers(name)
    x = options.layout(torch.rand(n, c, h, w) - 0.5).requires_grad_()

    def normed(x, weight, bias, film):
        scale, shift = film[:, :, None, None].chunk(2, dim=1)
        return F.silu(F.group_norm(x, 32, weight, bias) * (1 + scale) + shift)

    return op_case(normed, [x, values(c), values(c), values(n, 2 * c)], options)


def silu(name, options):
    return op_case(F.silu, [values(*numbers(name))], options)


def gelu(name, options):
    return op_case(lambda x: F.gelu(x, approximate="tanh"), [values(*numbers(name))], options)


# ---- whole steps ----


def network(name, options):
    net = networks.DiT() if "DiT" in name else networks.UNet()
    net = net.to(memory_format=torch.channels_last) if options.nhwc else net
    return net, sum(p.numel() for p in net.parameters())


def training(name, options):
    batch = numbers(name)[-1]
    net, weights = network(name, options)
    run = options.prepared(net)
    params = list(net.parameters())
    average = [p.detach().clone() for p in params]
    optimizer = torch.optim.AdamW(params, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    x = options.layout(torch.randn(batch, net.channels, 32, 32))
    target = options.layout(torch.randn(batch, net.channels, 32, 32))
    t, y = torch.rand(batch) * 1000, torch.zeros(batch, dtype=torch.long)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(run(x, t, y), target).backward()
        nn.utils.clip_grad_norm_(params, 1.0, foreach=True)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, params, 0.001)

    return step, weights


def sampling(name, options):
    batch = numbers(name)[-1]
    net, weights = network(name, options)
    net = net.eval().requires_grad_(False)
    run = options.prepared(net)
    classes = 10
    state = [options.layout(torch.randn(batch, net.channels, 32, 32))]
    y = torch.cat([torch.full((batch,), classes), torch.zeros(batch, dtype=torch.long)])

    @torch.inference_mode()
    def step():
        x = state[0]
        both = run(torch.cat([x, x]), torch.full((2 * batch,), 500.0), y)
        unguided, guided = both.chunk(2)
        state[0] = x + 0.02 * (unguided + 4 * (guided - unguided))

    return step, weights


def half(net, channels, name, options):
    """An autoencoder's encoder or decoder on one square of so many channels."""
    net = net.eval().requires_grad_(False)
    net = net.to(memory_format=torch.channels_last) if options.nhwc else net
    weights = sum(p.numel() for p in net.parameters())
    run = options.prepared(net)
    side = numbers(name)[0]
    x = options.layout(torch.randn(1, channels, side, side))

    @torch.inference_mode()
    def step():
        run(x)

    return step, weights


def encoder(name, options):
    return half(networks.Encoder(), 3, name, options)


def decoder(name, options):
    return half(networks.Decoder(), 16, name, options)


FAMILIES = {
    "linear": linear,
    "adaLN": linear,
    "conv": conv,
    "attention": attention,
    "layer norm": layer_norm,
    "group norm": group_norm,
    "silu": silu,
    "gelu": gelu,
    "training step": training,
    "sampling step": sampling,
    "encoder": encoder,
    "decoder": decoder,
}


def find(name):
    for start, family in FAMILIES.items():
        if name.startswith(start):
            return family
    sys.exit(f"torch_case.py: no peer for '{name}'")


def main():
    name, threads, variant = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(threads)
    torch.rand(1 << 16).sum()
    before = peak_bytes()
    step, weights = find(name)(name, Options(variant))
    print("ready", weights, flush=True)
    for line in sys.stdin:
        if line.startswith("memory"):
            print(peak_bytes() - before, flush=True)
            forget_peak()
            continue
        n = max(1, int(line))
        start = time.perf_counter()
        for _ in range(n):
            step()
        print((time.perf_counter() - start) / n, flush=True)


if __name__ == "__main__":
    main()
