#!/usr/bin/env python3
"""Every number of a generator in the plane inside its bound at a finer mesh: numbers of all observables on coarse
meshes against the same run on a fine one, for processes with and without a potential, cold and warm, boxes that are no
squares, starts and regions that fall anywhere between the nodes. Half an hour of one core.

slow_meshes.py [-keep DIR] [WORD ...]: the cases whose title has every WORD; results stay in DIR and are read again."""
import hashlib
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("DLNFP", os.path.join(ROOT, "bin", "dlnfp"))
COARSE = (32, 48)  # cells of the first axis
FINE = 112
ROUNDING = 1e-12  # of a value: differences below it are none
MEDIAN = 30       # largest median of bound over true error
MARGIN = 1.2      # bounds by which one number in a thousand may be off

DATA = "data_type=gaussian data_second_moment=1.1 data_label_noise=0.43 training_batch_size=3 "
CHAIN = DATA + ("data_teacher=0.87 model_type=chain model_depth=2 training_learning_rate=0.06 mesh_lower=-1.9,-2.1 "
                "mesh_upper=2,1.95 ")
SYMMETRIC = DATA + ("data_teacher=1.0,0.17,0.17,0.57 model_type=symmetric model_rank=1 training_learning_rate=0.06 "
                    "mesh_lower=-1.7,-1.6 mesh_upper=1.75,1.65 ")
DIAGONAL = DATA + ("data_teacher=0.83,0.56 model_type=diagonal model_depth=2 training_learning_rate=0.05 "
                   "mesh_lower=-1.75,-1.6 mesh_upper=1.8,1.65 ")
ALIGNED = DATA + ("data_teacher=0.93,0.14,-0.11,0.61 model_type=factorisation model_depth=2 model_coordinates=aligned "
                  "training_learning_rate=0.05 training_weight_decay=0.06 mesh_lower=-1.8,-1.65 "
                  "mesh_upper=1.75,1.7 ")
INVARIANT = DATA + ("data_teacher=0.9 model_type=chain model_depth=2 model_coordinates=invariant "
                    "training_learning_rate=0.05 training_weight_decay=0.05 mesh_lower=-0.7,-2.6 mesh_upper=2.1,2.7 ")
OU = ("model_type=ou model_drift=1.1,0.8,-0.5,0.7 model_center=0.1,-0.07 training_learning_rate=0.05 "
      "mesh_lower=-1.5,-1.6 mesh_upper=1.65,1.55 ")
TIMES = ("evolution_times=0.6,2.3 evolution_start=0.31,0.22 evolution_spread=0.13 msd_times=0.5,2 "
         "autocorrelation_times=0.4,1.7 exit_times=0.6,2.3 sharpness_times=0.6,2.1 sharpness_start=0.31,0.22 "
         "sharpness_spread=0.13 noise_times=0.6,2.1 noise_start=0.31,0.22 noise_spread=0.13 mixing_times=0.7,3.1 "
         "mixing_start=0.31,0.22 spectrum_pairs=4 ")
BALL = "exit_region=ball exit_center=origin exit_radius=0.77 exit_start=0.13,-0.08 "
LAWS = "spectrum,stationary,current,lyapunov"
COURSES = "exit,evolution,msd,autocorrelation"
TRAINING = f"{LAWS},{COURSES},sharpness,noise"
# Around the origin, with the second region of a committor.
REGIONS = {
    "ball": "exit_region=ball exit_center=0.07,-0.11 exit_radius=0.83 exit_region_b=ball exit_center_b=0.55,0.47 "
            "exit_radius_b=0.21",
    "box": "exit_region=box exit_center=0.06,-0.13 exit_radius=0.71,0.58 exit_region_b=half_space "
           "exit_normal_b=-0.6,-0.8 exit_offset_b=-0.63",
    "half_space": "exit_region=half_space exit_normal=0.6,0.77 exit_offset=0.53 exit_region_b=ball "
                  "exit_center_b=-0.63,-0.52 exit_radius_b=0.27",
    "sublevel": "exit_region=sublevel exit_level=0.29 exit_start=0.61,0.72 exit_region_b=half_space "
                "exit_normal_b=-0.35,0.9 exit_offset_b=-0.15",
    "union": "exit_region=ball,box exit_center=0.07,-0.11,0.5,0.43 exit_radius=0.52,0.37,0.41 exit_region_b=half_space "
             "exit_normal_b=-1,0.2 exit_offset_b=-0.66",
    "complement": "exit_region=ball exit_center=0.72,0.83 exit_radius=0.24 exit_inside=false exit_region_b=ball "
                  "exit_center_b=-0.7,-0.8 exit_radius_b=0.33",
    "complement union": "exit_region=ball,half_space exit_center=0.72,0.83 exit_radius=0.24 exit_normal=0.9,0.3 "
                        "exit_offset=-0.72 exit_inside=false exit_region_b=box exit_center_b=0.4,-0.9 "
                        "exit_radius_b=0.23,0.31",
}


def tensor(t):
    """Diffusion of the Ornstein-Uhlenbeck process at a temperature."""
    return f"model_diffusion={t},{0.3 * t},{0.3 * t},{0.8 * t} "


def cases():
    """(title, process, observables, keys, cells of the second axis over those of the first)"""
    for t in (0.003, 0.01, 0.03, 0.1):
        for process in ("langevin", "ald"):
            warm = f"training_temperature={t} {TIMES}{BALL}"
            yield f"chain {process} {t}", process, TRAINING, CHAIN + warm, 1
            yield f"symmetric {process} {t}", process, TRAINING, SYMMETRIC + warm + "exit_radius=0.66", 1.25
        yield f"ou {t}", "ald", f"{LAWS},{COURSES}", OU + tensor(t) + TIMES + \
            "exit_region=ball exit_center=0.1,-0.07 exit_radius=0.53 exit_start=0.17,0.06", 1
    for t in (0.01, 0.03):
        warm = f"training_temperature={t} {TIMES}"
        yield f"mixing chain ald {t}", "ald", "mixing", CHAIN + warm, 1
        yield f"mixing symmetric langevin {t}", "langevin", "mixing", SYMMETRIC + warm, 1
        yield f"mixing ou {t}", "ald", "mixing", OU + tensor(t) + TIMES, 1
        yield f"flat chain langevin {t}", "langevin", "flat", CHAIN + warm, 1
        yield f"flat chain ald {t}", "ald", "flat", CHAIN + warm, 0.75
        yield f"invariant langevin {t}", "langevin", "stationary,spectrum,evolution,msd,autocorrelation", \
            INVARIANT + warm, 1.5
        yield f"invariant ald {t}", "ald", "stationary,spectrum,evolution,msd,autocorrelation", INVARIANT + warm, 1.5
    warm = f"training_temperature=0.04 {TIMES}"
    yield "chain ald2", "ald2", TRAINING, CHAIN + warm + BALL + "training_weight_decay=0.1", 1
    yield "diagonal ald", "ald", f"{LAWS},{COURSES},noise", DIAGONAL + warm + BALL, 1
    yield "aligned ald", "ald", f"{LAWS},{COURSES},noise", ALIGNED + warm + BALL, 1
    for t in (0.02, 0.05):
        for process in ("langevin", "ald"):
            for name, keys in REGIONS.items():
                yield f"exit {name} {process} {t}", process, "exit", \
                    f"{CHAIN}training_temperature={t} exit_start=0.13,-0.08 exit_times=0.6,2.3 {keys}", 1.25


def run(process, observables, keys, cells, keep, engine="generator"):
    """{(observable, quantity): (value, error)} on a mesh, or the reason in words."""
    words = dict(word.split("=", 1) for word in keys.split())
    words.update(processes=process, engines=engine, observables=observables, mesh_cells=",".join(map(str, cells)))
    text = "".join(f"{key}: [{value}]\n" if "," in value else f"{key}: {value}\n" for key, value in words.items())
    folder = os.path.join(keep, hashlib.md5(text.encode()).hexdigest())
    results = os.path.join(folder, "results.json")
    if not os.path.exists(results):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "run.yaml"), "w") as file:
            file.write(text)
        done = subprocess.run([PROGRAM, "run", os.path.join(folder, "run.yaml"), "-out", folder], capture_output=True,
                              text=True)
        if done.returncode:
            return done.stderr.strip()
        os.remove(os.path.join(folder, "results.h5"))
    with open(results) as file:
        rows = json.load(file)["results"]
    return {(row["observable"], row["quantity"]): (row["value"], row["error"])
            for row in rows if row["engine"] == engine and row["observable"] != engine and "value" in row}


class Tally:
    """Numbers on coarse meshes against a finer one."""

    def __init__(self):
        self.numbers = self.outside = self.slight = self.vague = 0
        self.ratios = []

    def judge(self, title, got, fine):
        """How many numbers of `got` are known to the finer mesh too."""
        count = 0
        for quantity, (value, error) in got.items():
            if quantity not in fine:
                continue
            truth, doubt = fine[quantity]
            off = abs(value - truth)
            count += 1
            self.vague += doubt > error / 2
            if off > ROUNDING * abs(value):
                self.ratios.append(error / off)
            if not off <= error + doubt + ROUNDING * abs(value):
                self.slight += off <= MARGIN * error + doubt
                self.outside += 1
                print(f"{title}: {'.'.join(quantity)} {value:.9g} +- {error:.2g}, on the finer mesh {truth:.9g} +- "
                      f"{doubt:.2g}, off by {off / max(error, 1e-300):.2f} bounds")
        self.numbers += count
        return count

    def median(self):
        return sorted(self.ratios)[len(self.ratios) // 2] if self.ratios else 0

    def say(self, title=""):
        print(f"{title}{self.numbers} numbers, {self.outside} outside, median of bound over true error "
              f"{self.median():.3g}; {self.vague} of which the finer mesh knows little")


def main(arguments):
    keep = None
    if arguments[:1] == ["-keep"]:
        keep, arguments = arguments[1], arguments[2:]
    words = set(arguments)
    tally = Tally()
    with tempfile.TemporaryDirectory() as temporary:
        for title, process, observables, keys, shape in cases():
            if not words <= set(title.split()):
                continue
            got = {n: run(process, observables, keys, (n, int(n * shape)), keep or temporary)
                   for n in (*COARSE, FINE)}
            count = 0
            if isinstance(got[FINE], str):
                print(f"{title}: {got[FINE]}")
                tally.outside += 1
                continue
            for n in COARSE:
                if isinstance(got[n], str):
                    print(f"{title} {n}: {got[n]}")
                    continue
                count += tally.judge(f"{title} {n}", got[n], got[FINE])
            print(f"{title}: {count} numbers", flush=True)
    tally.say()
    return int(tally.outside > tally.slight or tally.slight > 1 + tally.numbers / 1000 or tally.numbers == 0 or
               tally.median() > MEDIAN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
