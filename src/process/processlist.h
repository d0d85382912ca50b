/* The types of every axis and the presets. Included several times, each time with other meanings of the macros. */
#ifndef FP_DRIFT
#define FP_DRIFT(name, create)
#endif
#ifndef FP_NOISE
#define FP_NOISE(name, create)
#endif
#ifndef FP_ALGORITHM
#define FP_ALGORITHM(name, create)
#endif
#ifndef FP_CLOCK
#define FP_CLOCK(name, create)
#endif
#ifndef FP_PRESET
#define FP_PRESET(name, algorithm, drift, noise, clock, help)
#endif

FP_DRIFT("gradient", FPDriftCreate_Gradient)
FP_DRIFT("modified", FPDriftCreate_Modified)
FP_DRIFT("refined", FPDriftCreate_Refined)
FP_DRIFT("central_flow", FPDriftCreate_CentralFlow)
FP_DRIFT("rod_flow", FPDriftCreate_RodFlow)

FP_NOISE("none", FPNoiseCreate_None)
FP_NOISE("isotropic", FPNoiseCreate_Isotropic)
FP_NOISE("gradient", FPNoiseCreate_Gradient)
FP_NOISE("refined", FPNoiseCreate_Refined)
FP_NOISE("stable", FPNoiseCreate_Stable)

FP_ALGORITHM("sde", FPAlgorithmCreate_SDE)
FP_ALGORITHM("sgd", FPAlgorithmCreate_SGD)
FP_ALGORITHM("svag", FPAlgorithmCreate_SVAG)
FP_ALGORITHM("gd", FPAlgorithmCreate_GD)

FP_CLOCK("ordinary", FPClockCreate_Ordinary)
FP_CLOCK("fractional", FPClockCreate_Fractional)

FP_PRESET("sgd", "sgd", "gradient", "gradient", "ordinary",
          "stochastic gradient descent itself, batch drawn with replacement")
FP_PRESET("gd", "gd", "gradient", "none", "ordinary", "gradient descent on the whole law of the data")
FP_PRESET("svag", "svag", "gradient", "gradient", "ordinary",
          "SGD of svag_order times smaller steps and the same noise")
FP_PRESET("langevin", "sde", "gradient", "isotropic", "ordinary", "overdamped Langevin dynamics, samples the Gibbs law")
FP_PRESET("ald", "sde", "gradient", "gradient", "ordinary", "anisotropic Langevin dynamics, first-order SDE of SGD")
FP_PRESET("ald2", "sde", "modified", "gradient", "ordinary", "second-order modified equation of SGD")
FP_PRESET("ald3", "sde", "refined", "refined", "ordinary", "third-order modified equation of SGD, in one coordinate")
FP_PRESET("central_flow", "sde", "central_flow", "none", "ordinary",
          "time average of gradient descent at the edge of stability")
FP_PRESET("rod_flow", "sde", "rod_flow", "none", "ordinary",
          "the same as a rod between its turning points, in one coordinate")
FP_PRESET("fractional", "sde", "gradient", "gradient", "fractional",
          "ald whose clock stands still for times of infinite mean: memory, subdiffusion")
FP_PRESET("levy", "sde", "gradient", "stable", "ordinary",
          "ald with alpha-stable noise in place of Gaussian noise: jumps, heavy tails")

#undef FP_DRIFT
#undef FP_NOISE
#undef FP_ALGORITHM
#undef FP_CLOCK
#undef FP_PRESET
