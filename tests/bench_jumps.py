"""The killed fractional Laplacian on (-1, 1) by dense matrices in SciPy, beside the lines of bench-jumps: seconds to
solve for the mean exit time, and how far that is from Getoor's (1 - x^2)^(alpha/2)/Gamma(1 + alpha) at the middle. Same
rates, same nodes; memory grows as n^2 and time as n^3, so it ends where bench-jumps is at its beginning.
"""

import time

import numpy as np
from scipy.linalg import solve, toeplitz
from scipy.special import gamma

for alpha in (0.5, 1.5):
    for n in (255, 1023, 2047):
        h = 2 / (n + alpha / 2)
        k = np.arange(1, n)
        first = gamma(1 + alpha) / gamma(1 + alpha / 2) ** 2
        ratios = (k - 1 - alpha / 2) / (k + alpha / 2)
        column = first * np.concatenate(([1], np.cumprod(ratios)))
        begin = time.perf_counter()
        u = solve(toeplitz(column) * h**-alpha, np.ones(n), assume_a="pos")
        seconds = time.perf_counter() - begin
        x = -1 + (0.5 + alpha / 4 + n // 2) * h
        error = u[n // 2] * gamma(1 + alpha) / (1 - x * x) ** (alpha / 2) - 1
        print(f"dense  alpha {alpha} n {n:7d}  {seconds:.3f} s, {8e-6 * n * n:.1f} MB, exit time off by {error:.1e}")
