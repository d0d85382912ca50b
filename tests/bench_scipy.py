"""The two-wells benchmark: dlnfp beside SciPy, in one run.

dw = -grad V dt + sqrt(2 T) dB with V = (w1 w2 - 1)^2/2 and T = 0.1 in the reflecting box [-2.5, 2.5]^2. The SciPy rows
use the scheme a careful user would write: Scharfetter-Gummel finite volumes on n x n cells, symmetrised with the square
root of the Gibbs law, and eigsh with shift-and-invert. The reference eigenvalues come from a
Legendre-Galerkin method, its two highest degrees agree to KNOWN; the gap from a Rayleigh quotient written as a sum of squares,
degrees 80 and 90. Each row is a process of its own, so that its peak memory is its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

REFERENCE = [0.0, 8.5153877460e-4, 0.1177565947, 0.1177652242, 0.3577628871, 0.3618906666]
KNOWN = [0.0, 1e-13, 1e-10, 1e-10, 1e-10, 1e-10]
TEMPERATURE, HALF_WIDTH = 0.1, 2.5
GRIDS = [64, 128, 200, 400]
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUN = os.path.join(ROOT, "runs", "two_wells.yaml")
PROGRAM = os.path.join(ROOT, "bin", "dlnfp")


def generator(n):
    """Minus the symmetrised generator, sparse [n*n, n*n]: off-diagonal entries -sqrt(q_ij q_ji)."""
    import numpy as np
    from scipy import sparse

    h = 2 * HALF_WIDTH / n
    w = -HALF_WIDTH + h * (np.arange(n) + 0.5)
    v = 0.5 * (w[:, None] * w[None, :] - 1.0) ** 2 / TEMPERATURE
    index = np.arange(n * n).reshape(n, n)
    rate = TEMPERATURE / h**2
    diagonal = np.zeros(n * n)
    rows, columns, entries = [], [], []
    for a, b in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        i, j = index[a].ravel(), index[b].ravel()
        x = (v[b] - v[a]).ravel()
        x[x == 0.0] = 1e-300
        forward, backward = rate * x / np.expm1(x), rate * x / -np.expm1(-x)  # q_ij, q_ji
        np.add.at(diagonal, i, forward)
        np.add.at(diagonal, j, backward)
        rows += [i, j]
        columns += [j, i]
        entries += [-np.sqrt(forward * backward)] * 2
    matrix = sparse.coo_matrix(
        (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=(n * n, n * n)
    )
    return (matrix + sparse.diags(diagonal)).tocsc()


def scipy_row(n):
    """Runs in the child process: eigenvalues and seconds as JSON."""
    from scipy.sparse.linalg import eigsh

    begin = time.perf_counter()
    matrix = generator(n)
    assembled = time.perf_counter()
    values = sorted(eigsh(matrix, k=len(REFERENCE), sigma=-1e-3, return_eigenvectors=False))
    print(json.dumps({"values": values, "assemble": assembled - begin, "solve": time.perf_counter() - assembled}))


def fplanck_row(n):
    """The same through fplanck, for those who have it."""
    from scipy.constants import k
    from scipy.sparse.linalg import eigs

    try:
        from fplanck.solver import FokkerPlanck  # newer versions; walls reflect by default
    except ImportError:
        from fplanck import fokker_planck as FokkerPlanck

    begin = time.perf_counter()
    sim = FokkerPlanck(
        temperature=TEMPERATURE / k,
        drag=1.0,
        extent=[2 * HALF_WIDTH] * 2,
        resolution=2 * HALF_WIDTH / n,
        potential=lambda x, y: 0.5 * (x * y - 1.0) ** 2,
    )
    assembled = time.perf_counter()
    found = eigs(sim.master_matrix, k=len(REFERENCE), sigma=1e-3, return_eigenvectors=False)
    values = sorted(float(-z.real) for z in found)
    print(json.dumps({"values": values, "assemble": assembled - begin, "solve": time.perf_counter() - assembled}))


def measured(command):
    """Run a command; its standard output, wall-clock seconds, CPU seconds, peak MB and exit code."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begin
        out.seek(0)
        err.seek(0)
        text, trouble = out.read(), err.read()
    if child.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {trouble.strip()[-400:]}")
    return text, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def errors(values):
    relative = [abs(a - b) / b for a, b in zip(values[1:], REFERENCE[1:])]
    return relative[0], max(relative[1:])


HEADING = ("code", "grid", "gap error", "modes 2-5", "assemble", "solve", "whole run", "CPU", "peak MB")
WIDTHS = (24, 9, 10, 10, 9, 9, 10, 9, 8)


def show(cells):
    print("  ".join(str(c).ljust(w) if i < 2 else str(c).rjust(w) for i, (c, w) in enumerate(zip(cells, WIDTHS))))


def python_rows(label, flag, grids):
    for n in grids:
        text, seconds, cpu, peak = measured([sys.executable, os.path.abspath(__file__), flag, str(n)])
        row = json.loads(text)
        gap, worst = errors(row["values"])
        times = [f"{t:.2f} s" for t in (row["assemble"], row["solve"], seconds, cpu)]
        show([label, f"{n}^2", f"{gap:.1e}", f"{worst:.1e}", *times, f"{peak:.0f}"])


def dlnfp_row():
    """The run file as it stands, with what it says of its own error."""
    if not os.path.exists(PROGRAM) or not os.path.exists(RUN):
        print("dlnfp: bin/dlnfp or runs/two_wells.yaml is missing, no row")
        return
    with tempfile.TemporaryDirectory() as folder:
        _, seconds, cpu, peak = measured([PROGRAM, "run", RUN, "-out", folder, "-engines", "generator"])
        with open(os.path.join(folder, "results.json"), encoding="utf-8") as file:
            results = json.load(file)
    rows = {
        r["quantity"]: r for r in results["results"] if r["observable"] == "spectrum" and r["engine"] == "generator"
    }
    rates = [rows[f"decay_rate[{k}]"] for k in range(len(REFERENCE))]
    gap, worst = errors([r["value"] for r in rates])
    cells = results["run"].get("mesh_cells")
    grid = f"{cells[0] if isinstance(cells, list) else cells}^2" if cells else "run file"
    times = ["-", "-", f"{seconds:.2f} s", f"{cpu:.2f} s"]
    show(["dlnfp (extrapolated)", grid, f"{gap:.1e}", f"{worst:.1e}", *times, f"{peak:.0f}"])
    print("  phases: " + ", ".join(f"{name} {t:.2f} s" for name, t in results["timing"].items()))
    honest = all(abs(r["value"] - t) <= r["error"] + k for r, t, k in zip(rates, REFERENCE, KNOWN))
    print(f"  reported error of the gap {rates[1]['error'] / REFERENCE[1]:.1e} (relative);", end=" ")
    print("every eigenvalue lies within its reported error" if honest else "SOME EIGENVALUES ARE OUTSIDE THEIR ERROR")


def main():
    print("Two wells: relative errors of the gap and of the next four eigenvalues, one thread")
    show(HEADING)
    python_rows("SciPy SG + eigsh", "--scipy", GRIDS)
    try:
        import fplanck  # noqa: F401

        python_rows("fplanck + eigs", "--fplanck", [200, 400])
    except ImportError:
        print("fplanck is not installed, no row")
    dlnfp_row()


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--scipy":
        scipy_row(int(sys.argv[2]))
    elif len(sys.argv) == 3 and sys.argv[1] == "--fplanck":
        fplanck_row(int(sys.argv[2]))
    else:
        main()
