/* The registry of models: FP_MODEL(name in the run file, suffix of its functions, table of its keys, help). */
FP_MODEL("chain", Chain, FPChainParameters, "f = w_1 ... w_depth x, one input, one target")
FP_MODEL("diagonal", Diagonal, FPDiagonalParameters, "f = sum_i w_i^depth x_i, one target")
FP_MODEL("symmetric", Symmetric, FPSymmetricParameters, "f = U U^T x, U of shape 2 x rank, two inputs, two targets")
FP_MODEL("factorisation", Factorisation, FPFactorisationParameters,
         "f = W_depth ... W_1 x, each 2 x 2, two inputs, two targets")
FP_MODEL("ou", OU, FPOUParameters, "Ornstein-Uhlenbeck: dw = -drift (w - center) dt + sqrt(2 diffusion) dB, no data")
