/* The registry of models: FP_MODEL(name in the run file, suffix of its functions, table of its keys, help). */
FP_MODEL("chain", Chain, FPChainParameters, "f = w_1 ... w_depth x, one input, one target")
FP_MODEL("ou", OU, FPOUParameters, "Ornstein-Uhlenbeck: dw = -drift (w - center) dt + sqrt(2 diffusion) dB, no data")
