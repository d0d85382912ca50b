"""What the notebooks share: running the program, reading results, and one look for their figures."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

import h5py
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
OUT = Path(os.environ.get("DLNFP_OUT", ROOT / "out"))
PROGRAM = os.environ.get("DLNFP", str(ROOT / "bin" / "dlnfp"))

# Okabe and Ito's colours, told apart by colour-blind readers.
COLOUR = {"sgd": "#000000", "ald": "#D55E00", "langevin": "#0072B2", "ald2": "#009E73", "ald3": "#CC79A7", "other": "#009E73"}
LABEL = {"sgd": "SGD", "ald": "ALD", "langevin": "Langevin", "ald2": "ALD2", "ald3": "ALD3"}
MARKER = {"sgd": "s", "ald": "o", "langevin": "^", "ald2": "v", "ald3": "D", "other": "D"}

mpl.rcParams.update({
    "figure.dpi": 110, "savefig.dpi": 160, "figure.constrained_layout.use": True,
    "font.family": "serif", "font.serif": ["STIXGeneral", "DejaVu Serif"], "mathtext.fontset": "stix", "font.size": 10,
    "axes.titlesize": 10, "axes.labelsize": 10, "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.fontsize": 9,
    "axes.linewidth": 0.6, "lines.linewidth": 1.2, "lines.markersize": 4, "legend.frameon": False,
    "xtick.direction": "in", "ytick.direction": "in", "pdf.fonttype": 42, "svg.fonttype": "path",
    "image.origin": "lower", "image.interpolation": "nearest",
})


class Results:
    """One results directory: value() and error() of a row, field() of the HDF5 file."""

    def __init__(self, directory):
        self.directory = Path(directory)
        with open(self.directory / "results.json") as file:
            self.json = json.load(file)
        self.run = self.json["run"]
        self.kept = {}
        self.rows = {(r["process"], r["engine"], r["observable"], r["quantity"]): r for r in self.json["results"]}

    def row(self, process, engine, observable, quantity):
        return self.rows[process, engine, observable, quantity]

    def value(self, *key):
        return self.rows[key]["value"]

    def error(self, *key):
        return self.rows[key]["error"]

    def field(self, process, engine, name):
        """The field and the coordinates of its axes; p[j, i] has w2 = axis 0, w1 = axis 1."""
        if (process, engine, name) in self.kept:
            return self.kept[process, engine, name]
        with h5py.File(self.directory / "results.h5") as file:
            data = file[f"{process}/{engine}/{name}"]
            axes = [a.decode() if isinstance(a, bytes) else a for a in np.atleast_1d(data.attrs["axes"])]
            return np.array(data), [np.array(file[a]) for a in axes]


def command(what, file, folder, **keys):
    """Run `dlnfp WHAT runs/FILE.yaml -out FOLDER -key value ...`; lists as in data_teacher=[1, 2]."""
    words = [PROGRAM, what, str(ROOT / "runs" / f"{file}.yaml"), "-out", folder]
    for key, value in keys.items():
        for one in value.items() if isinstance(value, dict) else [(key, value)]:
            text = ",".join(map(str, one[1])) if isinstance(one[1], (list, tuple, np.ndarray)) else str(one[1])
            words += [f"-{key}", f"{one[0]}={text}"] if isinstance(value, dict) else [f"-{key}", text]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}\nexit {done.returncode}: {done.stderr}")


def run(file, fields=(), **keys):
    """Results of `dlnfp run`; fields: those, as (process, engine, name), that will be asked for."""
    with tempfile.TemporaryDirectory() as folder:
        command("run", file, folder, **keys)
        results = Results(folder)
        results.kept = {field: results.field(*field) for field in fields}
        return results


class Sweep:
    """Tables of `dlnfp sweep`, over={key: values, ...}: arrays with an axis for each key, NaN where there is no number."""

    def __init__(self, file, over, **keys):
        with tempfile.TemporaryDirectory() as folder:
            command("sweep", file, folder, over=over, **keys)
            with open(Path(folder) / "sweep.json") as text:
                self.json = json.load(text)
        self.shape = [len(values) for values in over.values()]
        self.tables = {(t["process"], t["engine"], t["observable"], t["quantity"]): t for t in self.json["tables"]}

    def value(self, *key):
        return np.array(self.tables[key]["value"], float).reshape(self.shape)

    def error(self, *key):
        return np.array(self.tables[key]["error"], float).reshape(self.shape)


def save(fig, name):
    """fig as OUT/figures/NAME.pdf, for papers, and NAME.png, small enough for a repository."""
    folder = OUT / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    fig.savefig(folder / f"{name}.pdf")
    fig.savefig(folder / f"{name}.png")
    Image.open(folder / f"{name}.png").convert("RGB").quantize(256, method=1, kmeans=3).save(folder / f"{name}.png", optimize=True)


def edges(centres):
    """Cell edges of a uniform axis from its centres."""
    half = (centres[1] - centres[0]) / 2
    return np.append(centres - half, centres[-1] + half)


def weights_axes(ax, lower, upper, left=True, bottom=True):
    """Square axes of the (w1, w2) plane."""
    ticks = np.arange(np.ceil(lower), upper + 1e-9, 1 if upper - lower > 2 else 0.5)
    ax.set(xlim=(lower, upper), ylim=(lower, upper), aspect="equal", xticks=ticks, yticks=ticks)
    ax.set_xlabel("$w_1$ (weight)" if bottom else "")
    ax.set_ylabel("$w_2$ (weight)" if left else "")
    ax.tick_params(labelleft=left, labelbottom=bottom)


def flow_lines(ax, x, y, psi, levels, colour=COLOUR["ald"]):
    """Streamlines of J = (d_2 psi, -d_1 psi): closed lines of constant psi, each with an arrow along J."""
    lines = ax.contour(x, y, psi, levels=levels, colors=colour, linewidths=0.7, linestyles="solid")
    slope2, slope1 = np.gradient(psi, y, x)
    for segments in lines.allsegs:
        for line in segments:
            if len(line) < 12:
                continue
            k = np.argmax(line @ np.sign(line.mean(axis=0)))  # the point farthest out
            i, j = np.searchsorted(x, line[k, 0]) - 1, np.searchsorted(y, line[k, 1]) - 1
            J = np.array([slope2[j, i], -slope1[j, i]])
            J *= 0.02 * (x[-1] - x[0]) / np.hypot(*J)
            ax.annotate("", line[k] + J / 2, line[k] - J / 2,
                        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 0, "mutation_scale": 8, "shrinkA": 0,
                                    "shrinkB": 0})


def density(ax, x, y, p, smooth=False, log=(1e-3, 3)):
    """A density on cells, logarithmic, white where there is next to none; smooth: interpolated between the centres."""
    look = {"norm": mpl.colors.Normalize(*np.log10(log)), "cmap": "Blues", "rasterized": True}
    value = np.log10(np.maximum(p, log[0] / 10))
    if smooth:
        return ax.pcolormesh(x, y, value, shading="gouraud", **look)
    return ax.pcolormesh(edges(x), edges(y), value, **look)


def density_bar(fig, image, axes):
    bar = fig.colorbar(image, ax=axes, label=r"density $p$ (1/weight$^2$)", extend="both", pad=0.02,
                       ticks=[-3, -2, -1, 0])
    bar.ax.set_yticklabels([f"$10^{{{k}}}$" for k in (-3, -2, -1, 0)])


def panel_letters(axes):
    for ax, letter in zip(np.ravel(axes), "abcdefghijkl"):
        ax.text(0.03, 0.97, f"({letter})", transform=ax.transAxes, va="top", ha="left",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5})
