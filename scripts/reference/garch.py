"""Reference parameters of the tests in src/evaluate/baseline/garch.rs: pip install arch, then run.

The five series are invented by the generator below, which the test repeats number for number, so that only
the parameters need to be kept: GARCH(1,1) with a constant mean and Student-t shocks, returns in percent.
"""
import math

import numpy as np
from arch import arch_model

MASK = (1 << 64) - 1


def splitmix64(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        yield ((z >> 11) + 0.5) / float(1 << 53)


def simulate(seed, n, mean, omega, alpha, beta, freedom):
    uniform = splitmix64(seed)

    def normal():
        radius = math.sqrt(-2.0 * math.log(next(uniform)))
        return radius * math.cos(2.0 * math.pi * next(uniform))

    variance, returns = omega / (1.0 - alpha - beta), []
    for _ in range(n):
        shock = normal() / math.sqrt(sum(normal() ** 2 for _ in range(freedom)) / freedom)
        shock *= math.sqrt((freedom - 2.0) / freedom)
        returns.append(mean + math.sqrt(variance) * shock)
        variance = omega + alpha * (returns[-1] - mean) ** 2 + beta * variance
    return np.array(returns)


CASES = [
    (1, 1500, 0.05, 0.05, 0.08, 0.90, 6),
    (2, 2000, 0.00, 0.10, 0.10, 0.85, 5),
    (3, 2500, 0.08, 0.02, 0.05, 0.93, 8),
    (4, 1500, -0.03, 0.30, 0.15, 0.70, 7),
    (5, 3000, 0.04, 0.04, 0.12, 0.86, 4),
]
for case in CASES:
    fit = arch_model(simulate(*case), mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False).fit(
        disp="off", options={"ftol": 1e-12, "maxiter": 2000}
    )
    print(case[0], [float(f"{value:.7g}") for value in fit.params], f"{fit.loglikelihood:.6f}")
