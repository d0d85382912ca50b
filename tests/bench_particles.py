"""SGD with batch 1 on the 2-chain with Gaussian data, as a careful NumPy user would write it: in place, no temporary
arrays, PCG64 normals in double and in single precision, 4096 particles, one thread. Prints million particle-steps per
second by thread CPU time, in the format of bench-particles. Usage: bench_particles.py [seconds per line]"""
import sys
import time

import numpy as np


def speed(dtype, seconds, count=4096, eta=0.05, teacher=1.0, sigma=0.5):
    rng = np.random.Generator(np.random.PCG64(1))
    w1, w2 = np.full(count, 1.05, dtype), np.full(count, 0.97, dtype)
    x, xi, residual, step = (np.empty(count, dtype) for _ in range(4))
    eta, teacher, sigma = dtype(eta), dtype(teacher), dtype(sigma)
    steps, start, spent = 0, time.thread_time(), 0.0
    while spent < seconds:
        for _ in range(200):
            rng.standard_normal(dtype=dtype, out=x)
            rng.standard_normal(dtype=dtype, out=xi)
            np.multiply(w1, w2, out=residual)  # r = ((w1 w2 - teacher) x - sigma xi) x
            residual -= teacher
            residual *= x
            xi *= sigma
            residual -= xi
            residual *= x
            residual *= eta
            np.multiply(residual, w2, out=step)  # w1 -= eta r w2, w2 -= eta r w1
            residual *= w1
            w1 -= step
            w2 -= residual
        steps += 200
        spent = time.thread_time() - start
    assert np.isfinite(w1).all() and abs(float((w1 * w2).mean()) - 1) < 0.1
    return steps * count / spent * 1e-6


if __name__ == "__main__":
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    for name, dtype in (("double", np.float64), ("float", np.float32)):
        print(f"{'NumPy ' + name + ', sgd, 2-chain, gaussian, B = 1':40s} {speed(dtype, seconds):8.1f}")
