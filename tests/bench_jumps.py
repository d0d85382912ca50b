"""The killed fractional Laplacian on (-1, 1) and its square by dense matrices in SciPy, beside the lines of bench-jumps:
seconds to solve for the mean exit time, and how far that is from Getoor's (1 - x^2)^(alpha/2)/Gamma(1 + alpha) at the
middle; seconds for six eigenpairs, and the first. Same rates, same nodes; memory grows as n^2 and time as n^3, so it ends
where bench-jumps is at its beginning.
"""

import time

import numpy as np
from scipy.linalg import eigh, solve, toeplitz
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
        if n > 1024:
            continue
        begin = time.perf_counter()
        rates = eigh(toeplitz(column) * h**-alpha, subset_by_index=[0, 5], eigvals_only=True)
        seconds = time.perf_counter() - begin
        print(f"dense  alpha {alpha} n {n:7d}  6 eigenvalues, first {rates[0]:.9g}, {seconds:.3f} s")

# Isotropic jumps: rates of the walk whose symbol is (4 sin^2(a/2) + 4 sin^2(b/2))^(alpha/2), on a torus wide enough.
alpha, torus = 1.5, 2048
angle = 2 * np.pi * np.arange(torus) / torus
kernel = np.fft.ifft2((4 * np.sin(angle[:, None] / 2) ** 2 + 4 * np.sin(angle / 2) ** 2) ** (alpha / 2)).real
for cells in (32, 64):
    h = 2 / (cells + alpha / 2)
    i, j = np.divmod(np.arange(cells**2), cells)
    begin = time.perf_counter()
    matrix = kernel[np.abs(i[:, None] - i), np.abs(j[:, None] - j)] * h**-alpha
    rates = eigh(matrix, subset_by_index=[0, 5], eigvals_only=True, overwrite_a=True)
    seconds = time.perf_counter() - begin
    print(f"dense  square alpha {alpha} n {cells**2:7d}  6 eigenvalues, first {rates[0]:.9g}, {seconds:.1f} s, {8e-6 * cells**4:.0f} MB")
