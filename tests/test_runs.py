#!/usr/bin/env python3
"""Every run file does what its head comment says: exit 0, and each number it promises. Short ones run whole, of the
others the generator alone (their particles take longer than a test may)."""
import glob
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("DLNFP", os.path.join(ROOT, "bin", "dlnfp"))
WHOLE = {"ou", "two_wells", "wide_valley", "asymmetric", "exact_sgd", "sde_validity"}

# Run, process, observable, quantity, value, largest bound: the value of the generator, else the exact one, must agree
# within its bound and half a unit of the last digit of the promise, and the bound must be small, so that no answer
# passes by being vague.
PROMISES = """
edge_of_stability    gd            orbit            period                       2                   1e-9
edge_of_stability    gd            orbit            multiplier_re[0]             0.18                1e-8
edge_of_stability    gd            orbit            covariance[0][0]             0.0227272727        1e-9
edge_of_stability    central_flow  orbit            covariance[0][0]             0.0202020202        1e-9
edge_of_stability    rod_flow      orbit            covariance[0][0]             0.0227272727        1e-9

collapse             sgd           collapse         learning_rate[0]             0.5249              1e-8
collapse             sgd           collapse         learning_rate[1]             0.7886              1e-8
collapse             ald           collapse         learning_rate[0]             0.4408523145        1e-8

ou                   ald           spectrum         decay_rate[1]                0.95                1e-3
ou                   ald           spectrum         frequency[1]                 0.6224949798994366  1e-3
ou                   ald           spectrum         frequency[2]                 0.6224949798994366  1e-3
ou                   ald           stationary       mean[0]                      0.3                 1e-9
ou                   ald           stationary       mean[1]                      -0.2                1e-9
ou                   ald           stationary       covariance[0][0]             0.06646267          1e-5
ou                   ald           stationary       covariance[0][1]             0.01138311          1e-5
ou                   ald           stationary       covariance[1][1]             0.07955936          1e-5
ou                   ald           current          entropy_production           1.6118421           1e-3
ou                   ald           current          rotation[0][1]               0.1105263158        1e-4
ou                   ald           current          circulation                  0.1224640856        1e-4
ou                   ald           current          max_curl                     3.466833307         1e-2
ou                   ald           current          current_l1                   0.2600500416        5e-4

two_wells            langevin      spectrum         decay_rate[1]                8.5153877460e-4     2e-9
two_wells            langevin      spectrum         decay_rate[2]                0.1177565947        1e-5
two_wells            langevin      spectrum         decay_rate[3]                0.1177652242        1e-5
two_wells            langevin      spectrum         decay_rate[4]                0.3577628871        5e-5
two_wells            langevin      spectrum         decay_rate[5]                0.3618906666        5e-5

wide_valley          langevin      spectrum         gap                          8.68764e-4          1e-7
wide_valley          langevin      spectrum         decay_rate[2]                0.0435643           1e-5
wide_valley          langevin      stationary       covariance[0][0]             2.55848             2e-3

asymmetric           langevin      spectrum         gap                          0.0060260           1e-7
asymmetric           ald           spectrum         gap                          0.0075107           1e-7
asymmetric           ald           stationary       mean_p                       0.2371              1e-4
asymmetric           langevin      stationary       mean_p                       0.3033              1e-4
asymmetric           ald           stationary       tv_gibbs                     0.1086              2e-4

levy                 levy          exit             mean_time                    20.406              1e-2
levy                 levy          exit             overshoot[x=0.3]             0.3721              5e-3

invariant            langevin      spectrum         decay_rate[1]                0.1000006           2e-6
invariant            ald           spectrum         decay_rate[1]                0.11564             1e-4

balanced_gamma       ald           stationary       mean_p                       0.964               1e-9
balanced_gamma       ald           stationary       variance_p                   0.069408            1e-9
balanced_gamma       ald           spectrum         decay_rate[1]                2.1408              1e-4
balanced_gamma       ald           spectrum         decay_rate[2]                3.936               1e-3

modified             ald           stationary       mean_p                       0.97304             1e-5
modified             ald2          stationary       mean_p                       0.97147             1e-5

diagonal             langevin      spectrum         decay_rate[1]                7.1407e-4           1e-8
diagonal             langevin      spectrum         decay_rate[2]                0.018558            1e-6
diagonal             langevin      spectrum         decay_rate[3]                0.019272            1e-6
diagonal             ald           spectrum         decay_rate[1]                9.9988e-4           1e-6
diagonal             ald           spectrum         decay_rate[2]                0.019068            1e-5
diagonal             ald           spectrum         decay_rate[3]                0.020043            1e-5

sweep_learning_rate  ald           spectrum         gap                          6.63e-7             5e-7
sweep_learning_rate  ald           stationary       variance_p                   0.02076             2e-5
sweep_learning_rate  langevin      stationary       variance_p                   0.0141              2e-4

symmetric            ald           spectrum         gap                          0.0028958           2e-6
symmetric            langevin      spectrum         gap                          0.0020554           1e-7
symmetric            ald           current          entropy_production           0.0021768           2e-5

iris_2x2             ald           spectrum         gap                          1.3009e-5           1e-7
iris_2x2             ald           spectrum         decay_rate[2]                0.038929            2e-5

exit_saddle          ald           exit             mean_time                    2.1246              1e-3
exit_saddle          ald           exit             rate                         0.75515             5e-4
exit_saddle          ald           exit             fraction_negative_curvature  0.920               2e-3
exit_saddle          langevin      exit             mean_time                    2.1317              1e-3
exit_saddle          langevin      exit             rate                         0.75690             1e-4

generalisation       ald           evolution        test_loss[t=4]               0.0188              1e-3
generalisation       langevin      evolution        test_loss[t=4]               0.01763             2e-4
generalisation       ald           stationary       test_loss                    0.02304             1e-5
generalisation       langevin      stationary       test_loss                    0.02085             2e-6
generalisation       ald           stationary       generalisation_gap           -0.0114             2e-5
generalisation       ald           stationary       shifted_loss                 0.03328             5e-5

depth                ald           exit             mean_time                    3.7994              1e-3

training_curve       ald           evolution        mean_p[t=0]                  0.06                1e-9
training_curve       ald           evolution        mean_p[t=8]                  0.6438              5e-4
training_curve       langevin      evolution        mean_p[t=8]                  0.6258              1e-4
training_curve       langevin      evolution        free_energy[t=1]             0.1863              1e-4
training_curve       langevin      evolution        free_energy[t=16]            0.07843             5e-5

fractional           ald           exit             survival[t=32]               0.9204              5e-5
fractional           fractional    exit             survival[t=32]               0.9705              2e-5
fractional           ald           evolution        loss[t=8]                    0.0315              1e-5
fractional           fractional    evolution        loss[t=8]                    0.0836              1e-5

exact_sgd            sgd           spectrum         gap                          1.195e-4            2e-6
exact_sgd            sgd           stationary       variance_p                   0.0371              1e-4
exact_sgd            sgd           autocorrelation  integrated_time_p            0.907               1e-3
exact_sgd            ald           stationary       variance_p                   0.031296            1e-8
exact_sgd            ald2          autocorrelation  integrated_time_p            0.9594              1e-4

sde_validity         sgd           stationary       variance_p                   0.00733             1e-5
sde_validity         sgd           spectrum         gap                          2.211               1e-3
sde_validity         sgd           exit             mean_time                    289.3               4
sde_validity         ald           stationary       variance_p                   0.006558            1e-6
sde_validity         ald3          spectrum         gap                          2.1949              2e-4
sde_validity         ald3          exit             mean_time                    35.56               2

diabetes_chain2      ald           current          projection[ald]              1.0                 0.05
diabetes_chain2      ald           current          circulation                  7.785e-4            5e-5
diabetes_chain2      ald           current          entropy_production           0.001888            2e-5
diabetes_chain2      ald           spectrum         gap                          6.64e-7             1e-7
diabetes_chain2      langevin      spectrum         gap                          6.576e-7            1e-9
diabetes_chain2      ald           spectrum         decay_rate[2]                0.05503             2e-4
diabetes_chain2      langevin      spectrum         decay_rate[2]                0.04004             1e-4
diabetes_chain2      ald           stationary       mean[0]                      0.0                 1e-6
"""
failures = []
promised = {}
for line in filter(None, PROMISES.splitlines()):
    run, process, observable, quantity, value, vague = line.split()
    promised.setdefault(run, []).append((process, observable, quantity, float(value), float(vague)))


def check(condition, message):
    if not condition:
        failures.append(message)
        print(message)


def last_place(value):
    """Half a unit of the last digit of a promise as it stands in a comment."""
    text = f"{value:.15g}" if value else "0.0000000"
    mantissa, _, exponent = text.partition("e")
    return 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


names = sorted(os.path.basename(f)[:-5] for f in glob.glob(os.path.join(ROOT, "runs", "*.yaml")))
check(set(names) == set(promised), f"run files without promises: {set(names) ^ set(promised)}")
for name in names:
    file = os.path.join(ROOT, "runs", name + ".yaml")
    with open(file) as text:
        check(text.readline().startswith(f"# runs/{name}.yaml: "), f"{name}: the first line does not say what it is")
    with tempfile.TemporaryDirectory() as folder:
        command = [PROGRAM, "run", file, "-out", folder] + ([] if name in WHOLE else ["-engines", "generator"])
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        check(done.returncode == 0, f"{name}: exit {done.returncode}\n{done.stderr}")
        if done.returncode:
            continue
        with open(os.path.join(folder, "results.json")) as text:
            results = json.load(text)
    rows = {(r["process"], r["observable"], r["quantity"]): r
            for engine in ("exact", "transfer", "generator") for r in results["results"] if r["engine"] == engine}
    for process, observable, quantity, value, vague in promised[name]:
        row = rows[process, observable, quantity]
        distance = abs(row["value"] - value)
        check(distance <= row["error"] + last_place(value),
              f"{name}: {process} {quantity} = {row['value']} +- {row['error']}, promised {value}")
        check(row["error"] < vague, f"{name}: {process} {quantity} is known to {row['error']} only, not {vague}")
    if name in WHOLE:
        check(all(c["agree"] for c in results["crosscheck"]), f"{name}: a cross-check disagrees")
print(f"{len(names)} run files")
sys.exit(bool(failures))
