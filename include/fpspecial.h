/* fpspecial.h: special functions that the libraries do not have. */
#ifndef FPSPECIAL_H
#define FPSPECIAL_H
#include <petscsys.h>

/* Mittag-Leffler function E_beta(-x) = sum_k (-x)^k/Gamma(1 + beta k), 0 < beta <= 1, x >= 0: the relaxation of a mode
   of rate lambda under a fractional clock is FPMittagLeffler(beta, scale lambda t^beta). Decreases from 1 to 0; exp(-x)
   for beta = 1, erfcx(x) for beta = 1/2. Relative error at most 1e-12; not a number for other arguments. */
PETSC_EXTERN double FPMittagLeffler(double beta, double x);
#endif
