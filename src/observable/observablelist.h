/* observablelist.h: the registry; FP_OBSERVABLE(name, create, one line of help). */
FP_OBSERVABLE("spectrum", FPObservableCreate_Spectrum, "slowest decay rates, frequencies, gap, eigenfunctions")
FP_OBSERVABLE("stationary", FPObservableCreate_Stationary, "density, moments, loss, distance to the Gibbs law")
FP_OBSERVABLE("current", FPObservableCreate_Current,
              "probability current, its curl and circulation, entropy production")
FP_OBSERVABLE("exit", FPObservableCreate_Exit,
              "when and where a process leaves a region: times, survival, rates, committor")
FP_OBSERVABLE("noise", FPObservableCreate_Noise,
              "gradient noise covariance at points: spectrum, rank, Hessian; drift and diffusion along training")
FP_OBSERVABLE("reduction", FPObservableCreate_Reduction,
              "how wrong reduced coordinates are: SGD of all weights beside SGD of the coordinates")
FP_OBSERVABLE("free_energy", FPObservableCreate_FreeEnergy,
              "free energy and learning coefficient of the Gibbs law over a prior in all weights")
FP_OBSERVABLE("evolution", FPObservableCreate_Evolution,
              "loss, moments, entropy, free energy, KL to the stationary law at times after a start")
FP_OBSERVABLE("lyapunov", FPObservableCreate_Lyapunov,
              "exponents of small differences, at critical points and along the orbit")
FP_OBSERVABLE("mixing", FPObservableCreate_Mixing,
              "total variation to the stationary law after a start and after the worst one, mixing times")
FP_OBSERVABLE("msd", FPObservableCreate_Msd, "mean squared displacement in the stationary law or from a start")
FP_OBSERVABLE("autocorrelation", FPObservableCreate_Autocorrelation,
              "of p and the loss in the stationary law, with integrated times")
FP_OBSERVABLE("sharpness", FPObservableCreate_Sharpness,
              "largest Hessian eigenvalue of all weights, and curvature of mini-batches along their gradients, beside "
              "2/learning_rate")
FP_OBSERVABLE("tails", FPObservableCreate_Tails,
              "how heavy tails look: Hill's estimator of gradient noise and of weights, over k")
FP_OBSERVABLE("flat", FPObservableCreate_Flat,
              "along the flat directions of a critical point: conditional law, projected process, its gap and mixing")
FP_OBSERVABLE("orbit", FPObservableCreate_Orbit,
              "of a process without noise: fixed points and cycles, multipliers, exponent, time averages")
FP_OBSERVABLE("collapse", FPObservableCreate_Collapse,
              "learning rates at which the origin of a chain starts and ceases to attract")
