"""The same work here and in PyTorch, in turns, on the same machine and threads: ratios of times.

Every side is a process of its own that waits for a line, runs its case and answers with the seconds
(bench/bench_peer.c, torch_case.py).  A round lets each side run once, ours first, with a pause in
which the threads of the last one fall asleep; so all sides see the same neighbours and the same
clock.  A ratio is the median over the rounds of (their seconds / our seconds) of the same round,
beside it its quartiles.  Memory is the peak of resident bytes over the rounds less what each process
held before the case was prepared; for compiled cases that includes the compiler.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT = ["training step", "sampling step", "attention", "linear DiT-S", "linear SD3 qkv",
           "conv U-Net 16 x 32 x 32, 128 -> 128", "conv U-Net 16 x 16 x 16, 256", "conv VAE 1 x",
           "conv first 16 x 32 x 32, 3", "conv last 16 x 32 x 32", "layer norm", "group norm",
           "gelu 256", "encoder", "decoder"]
PAUSE = 0.03    # longer than any OpenMP runtime spins
MIN_SECONDS = 0.1  # a run shorter than that is repeated inside its turn


class Side:
    def __init__(self, label, command, env=None):
        self.label = label
        self.seconds = []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=env)
        word = self.read().split()
        self.weights = int(word[1])

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.label} ended with {self.process.wait()}")
        return line

    def ask(self, text):
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()
        return float(self.read())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def our_environment():
    """As the program imgen sets it: doc/decisions/0009."""
    env = dict(os.environ)
    if "OMP_WAIT_POLICY" not in env:
        env.setdefault("GOMP_SPINCOUNT", "2000")
    return env


def variants_of(name, wanted):
    """Channels last is a choice only where there are pictures."""
    pictures = any(word in name for word in ("conv", "U-Net", "group norm", "encoder", "decoder"))
    return [v for v in wanted if v != "nhwc" or pictures]


def open_sides(name, args):
    command = [sys.executable, os.path.join(HERE, "torch_case.py"), name, str(args.threads)]
    sides = [Side("ours", [args.ours, name, str(args.threads)], our_environment())]
    sides += [Side(v, command + [v]) for v in variants_of(name, args.variants)]
    for side in sides[1:]:
        if side.weights and side.weights != sides[0].weights:
            raise RuntimeError(f"{name}: {sides[0].weights} weights here, {side.weights} in torch")
    return sides


def warm_up(sides):
    """The first runs plan, pack and compile; the next ones say how many make a turn."""
    for side in sides:
        side.ask(1)
        side.ask(1)
    longest = max(side.ask(1) for side in sides)
    for side in sides:
        side.ask("memory")
    return max(1, round(MIN_SECONDS / longest))


def rounds(sides, args):
    runs = warm_up(sides)
    for _ in range(args.rounds):
        for side in sides:
            time.sleep(PAUSE)
            side.seconds.append(side.ask(runs))
    for side in sides:
        side.memory = side.ask("memory")


def quartiles(x):
    return statistics.quantiles(x, n=4, method="inclusive")


def print_case(name, sides):
    ours = sides[0]
    for side in sides[1:]:
        low, middle, high = quartiles([b / a for a, b in zip(ours.seconds, side.seconds)])
        spread = (max(side.seconds) - min(side.seconds)) / statistics.median(side.seconds)
        mine = (max(ours.seconds) - min(ours.seconds)) / statistics.median(ours.seconds)
        print(f"| {name} | {side.label} | {1e3 * statistics.median(ours.seconds):.2f} "
              f"| {100 * mine:.0f} % | {1e3 * statistics.median(side.seconds):.2f} | {100 * spread:.0f} % "
              f"| **{middle:.2f}** | {low:.2f} - {high:.2f} "
              f"| {1e-6 * ours.memory:.0f} | {1e-6 * side.memory:.0f} |", flush=True)


def print_head(args):
    warnings.filterwarnings("ignore")
    import torch

    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "?")
    print(f"{cpu}, {args.threads} threads; torch {torch.__version__}; {args.rounds} rounds in turns\n")
    print("| case | torch | ours, ms | spread | torch, ms | spread | ratio | quartiles "
          "| our peak, MB | torch's |")
    print("|---|---|---|---|---|---|---|---|---|---|")


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("case", nargs="*", help="parts of names of cases (bench_peer --list); none: a choice")
    p.add_argument("--ours", default=os.path.join(HERE, "../../build/bench_peer"), help="our program")
    p.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    p.add_argument("-r", "--rounds", type=int, default=9)
    p.add_argument("--variants", default="eager,nhwc,compiled", type=lambda s: s.split(","),
                   help="of eager, nhwc (eager with channels last), compiled")
    return p.parse_args()


def main():
    args = parse()
    names = subprocess.run([args.ours, "--list"], capture_output=True, text=True, check=True)
    names = [n for n in names.stdout.splitlines() if any(c in n for c in args.case or DEFAULT)]
    if not names:
        sys.exit("compare.py: no case has such a name; see bench_peer --list")
    print_head(args)
    for name in names:
        sides = open_sides(name, args)
        rounds(sides, args)
        print_case(name, sides)
        for side in sides:
            side.close()


if __name__ == "__main__":
    main()
