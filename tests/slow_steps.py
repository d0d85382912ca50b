#!/usr/bin/env python3
"""Every number of a transfer operator inside its bound at a finer mesh: random settings on a line and in the plane, every
kind of data, batches, injected noise and none, orders 2 and 4, two grids and three, 14 to 128 cells. Half an hour of one core.

slow_steps.py [-keep DIR] [SETTINGS [FIRST]]: so many settings of each kind from the seed FIRST; results stay in DIR."""
import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True
from slow_meshes import ROOT, Tally, run  # noqa: E402, as no compiled file is to be left

LINE = "spectrum,stationary,evolution,msd,autocorrelation,sharpness,lyapunov"
PLANE = "spectrum,stationary,evolution,msd,autocorrelation,sharpness"
FINE = {"line": 224, "plane": 40}
ROWS = (f"data_type=file data_path={ROOT}/data/diabetes_bmi.csv data_inputs=body_mass_index "
        "data_targets=disease_progression data_standardize=true ")
MEDIAN = {2: 80, 3: 30}    # largest median of bound over true error, by grids
OUTSIDE = {2: 100, 3: 300} # one number in so many may be


def law(pick, plane):
    """Data, process and training of a setting, and whether noise is injected."""
    kind = pick.choice(("gaussian", "rademacher", "file"))
    warm = plane or kind == "file" or pick.random() < 0.6
    process = pick.choice(("sgd", "sgd", "sgd", "sgd", "gd", "svag")) if warm and kind != "gaussian" else "sgd"
    data = ROWS if kind == "file" else (
        f"data_type={kind} data_teacher={pick.uniform(0.7, 1):.3f} data_second_moment={pick.uniform(0.8, 1.2):.3f} "
        f"data_label_noise={pick.uniform(0.4, 0.9):.3f} ")
    temperature = pick.uniform(0.08, 0.25) if plane else 10**pick.uniform(-1.5, -0.7)
    return kind, process, warm, data + (
        f"training_learning_rate={pick.uniform(0.1, 0.32):.3f} training_batch_size={pick.choice((1, 2, 4))} "
        f"training_weight_decay={pick.choice((0, 0.04))} training_temperature={temperature if warm else 0:.4f} ")


def times(pick, start):
    """Keys of the observables that look at times."""
    at = f"{pick.uniform(0.3, 1):.3f},{pick.uniform(1, 3):.3f}"
    return "".join(f"{name}_times={at} " for name in ("evolution", "msd", "autocorrelation", "sharpness")) + (
        f"evolution_start={start} sharpness_start={start} spectrum_pairs=3 ")


def line(seed):
    """(title, process, observables, keys, cells)"""
    pick = random.Random(seed)
    kind, process, warm, keys = law(pick, False)
    depth = pick.choice((1, 2, 2, 2, 3))
    keys += f"model_type=chain model_depth={depth} " + ("model_coordinates=balanced " if depth > 1 else "")
    if depth == 1:
        keys += f"mesh_lower={pick.uniform(-2, -1.2):.3f} mesh_upper={pick.uniform(2.4, 3.2):.3f} "
    else:
        lower = pick.uniform(-2.5, -2.1) if warm else pick.uniform(0.1, 0.25)
        keys += f"mesh_lower={lower:.3f} mesh_upper={pick.uniform(2.1, 2.5):.3f} "
    keys += times(pick, f"{pick.uniform(0.35, 0.7):.3f}")
    cells = (pick.randrange(14, 30, 2), pick.randrange(32, 72, 4), pick.choice((80, 96, 128)))
    return f"line {seed} {kind} {process} depth {depth}", process, LINE, keys, cells


def plane(seed):
    """The same for two weights"""
    pick = random.Random(seed)
    kind, process, _, keys = law(pick, True)
    lower, upper = pick.uniform(-2.5, -2.2), pick.uniform(2.2, 2.5)
    keys += (f"model_type=chain model_depth=2 mesh_lower={lower:.3f},{lower + 0.05:.3f} "
             f"mesh_upper={upper:.3f},{upper - 0.04:.3f} ")
    keys += times(pick, f"{pick.uniform(0.2, 0.6):.3f},{pick.uniform(0.5, 0.9):.3f}")
    return f"plane {seed} {kind} {process}", process, PLANE, keys, (pick.randrange(16, 30, 2),)


def compare(setting, kind, folder, tallies):
    """One setting on all its meshes"""
    title, process, observables, keys, cells = setting

    def on(n, order, refine):
        size = (n,) if kind == "line" else (n, n)
        more = f"transfer_order={order} mesh_refine={refine}"
        return run(process, observables, f"{keys} {more}", size, folder, "transfer")

    fine = on(FINE[kind], 4, 2)
    if isinstance(fine, str):
        print(f"{title}: {fine}", flush=True)
        return
    count = refused = 0
    for n in cells:
        for order in (2, 4):
            for refine in (1, 2):
                got = on(n, order, refine)
                if isinstance(got, str):
                    refused += 1
                    if "times as wide as" not in got:
                        print(f"{title} {n}: {got}")
                        tallies[order, refine + 1].outside += 1
                    continue
                count += tallies[order, refine + 1].judge(f"{title}, order {order}, {refine + 1} grids from {n}", got, fine)
    print(f"{title}: {count} numbers, {refused} meshes refused", flush=True)


def main(arguments):
    keep = None
    if arguments[:1] == ["-keep"]:
        keep, arguments = arguments[1], arguments[2:]
    settings, first = (int(word) for word in (arguments + ["24", "1"][len(arguments):])[:2])
    tallies = {(order, grids): Tally() for order in (2, 4) for grids in (2, 3)}
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(first, first + settings):
            compare(line(seed), "line", keep or temporary, tallies)
            if seed % 4 == 0:
                compare(plane(seed), "plane", keep or temporary, tallies)
    failed = False
    for (order, grids), tally in tallies.items():
        tally.say(f"order {order}, {grids} grids: ")
        failed |= tally.numbers == 0 or tally.outside > 1 + tally.numbers / OUTSIDE[grids] or \
            tally.median() > MEDIAN[grids]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
