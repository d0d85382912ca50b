/* angle.c: the direction u = (cos t, sin t) of a tangent vector in the plane, dv = A v dt + sum_c B_c v dB_c. With u' =
   du/dt its angle has drift h = u'.A u - sum_c (u.B_c u)(u'.B_c u) and diffusion d = (1/2) sum_c (u'.B_c u)^2, and ln
   |v| grows at the mean rate g = u.A u + (1/2) sum_c (|B_c u|^2 - 2 (u.B_c u)^2) = u.A u + d - (1/2) sum_c (u.B_c u)^2:
   the formula of Furstenberg and Khasminskii. All three are trigonometric polynomials of t with the frequencies 0, 2
   and 4 alone, so the moments m_k = E exp(2ikt) obey linear equations that couple k to k - 2 ... k + 2. Where t depends
   on a point z that moves as well, m_k is the vector of E phi_l(z) exp(2ikt) over functions phi_l that are orthonormal
   under the law of z. Pairs of modes make the equations block-tridiagonal; they are eliminated from the highest down.
   Source: R. Z. Khasminskii, Theory Probab. Appl. 12 (1967); Arnold, Random Dynamical Systems (1998), section 6.2. */
#include "angleimpl.h"
#include <petscblaslapack.h>

/* a += factor x y, where the product has no more than degree 2 */
static void AddProduct(FPWave *a, double factor, const FPWave *x, const FPWave *y)
{
  for (int i = -2; i <= 2; i++)
    for (int j = -2; j <= 2; j++)
      if (i + j >= 0 && i + j <= 2) a->c[i + j] += factor * FPWaveAt(x, i) * FPWaveAt(y, j);
}

/* u.M u and u'.M u, M[2][2] */
static void Split(const double M[4], FPWave *along, FPWave *across)
{
  const double complex g = (M[0] - M[3]) / 4 - I * (M[1] + M[2]) / 4;

  *along  = (FPWave){{(M[0] + M[3]) / 2, g, 0}};
  *across = (FPWave){{(M[2] - M[1]) / 2, I * g, 0}};
}

void FPAngleSet(const double A[4], PetscInt channels, const double B[], FPAngle *a, FPWave across[])
{
  *a = (FPAngle){.spread = {{0}}};
  Split(A, &a->growth, &a->turn);
  for (PetscInt c = 0; c < channels; c++) {
    FPWave along;

    Split(B + 4 * c, &along, &across[c]);
    AddProduct(&a->growth, 0.5, &across[c], &across[c]);
    AddProduct(&a->growth, -0.5, &along, &along);
    AddProduct(&a->turn, -1, &along, &across[c]);
    AddProduct(&a->spread, 0.5, &across[c], &across[c]);
  }
}

double FPAngleRate(const FPAngle *a)
{
  return 4 * (cabs(a->turn.c[1]) + 2 * cabs(a->turn.c[2]));
}

/* In the block of `rows` (a pair of modes) and `columns`, by columns: what mode m has of mode k = m + j. */
static void Put(const FPDirections *d, PetscInt m, PetscInt j, double *block)
{
  const PetscInt size = d->size, order = 4 * size, k = m + j, mode = PetscAbsInt(k);
  const PetscInt row = (m - 1) % 2 * 2 * size, column = (mode - 1) % 2 * 2 * size;
  const double   sign = k < 0 ? -1 : 1;

  for (PetscInt l = 0; l < size; l++)
    for (PetscInt i = 0; i < size; i++) {
      const PetscInt at = l * d->room + i;
      double complex w = d->turn[PetscAbsInt(j)][at], s = d->spread[PetscAbsInt(j)][at], c;
      double        *real, *imaginary;

      if (j < 0) {
        w = conj(w);
        s = conj(s);
      }
      c         = 2 * I * m * w - 4.0 * m * m * (s + (j == 0 && i == l ? d->widening : 0)) + (j ? 0 : d->still[at]);
      real      = block + (size_t)(column + l) * order + row + i;
      imaginary = real + (size_t)size * order;
      real[0] += creal(c);
      real[size] += cimag(c);
      imaginary[0] -= sign * cimag(c);
      imaginary[size] += sign * creal(c);
    }
}

/* block[order*order]: rows of pair s, columns of pair c, both from 1 on. */
static PetscErrorCode Fill(const FPDirections *d, PetscInt s, PetscInt c, double *block)
{
  PetscFunctionBegin;
  PetscCall(PetscArrayzero(block, (size_t)16 * d->size * d->size));
  for (PetscInt m = 2 * s - 1; m <= 2 * s; m++)
    for (PetscInt j = -2; j <= 2; j++)
      if (m + j != 0 && (PetscAbsInt(m + j) + 1) / 2 == c) Put(d, m, j, block);
  PetscFunctionReturn(0);
}

/* y[4*size]: minus what the equations of modes 1 and 2 have of mode 0, which is 1 for phi_0 and 0 for the others. */
static void Known(const FPDirections *d, double *y)
{
  for (PetscInt m = 1; m <= 2; m++)
    for (PetscInt i = 0; i < d->size; i++) {
      const double complex c = 2 * I * m * conj(d->turn[m][i]) - 4.0 * m * m * conj(d->spread[m][i]);

      y[(m - 1) * 2 * d->size + i]           = -creal(c);
      y[(m - 1) * 2 * d->size + d->size + i] = -cimag(c);
    }
}

PetscErrorCode FPDirectionsExponent(const FPDirections *d, PetscReal *exponent)
{
  const PetscBLASInt order = (PetscBLASInt)(4 * d->size), one = 1;
  const PetscInt     pairs = d->modes / 2;
  const PetscScalar  plus = 1, minus = -1;
  double            *A, *below, *above, *y;
  PetscBLASInt      *pivot, info;

  PetscFunctionBegin;
  PetscCall(PetscMalloc5(order * order, &A, order * order, &below, order * order, &above, order, &y, order, &pivot));
  for (PetscInt s = pairs; s >= 1; s--) {
    PetscCall(Fill(d, s, s, A));
    if (s < pairs) { /* below: A^-1 times what the pair above has of this one */
      PetscCall(Fill(d, s, s + 1, above));
      BLASgemm_("N", "N", &order, &order, &order, &minus, above, &order, below, &order, &plus, A, &order);
    }
    LAPACKgetrf_(&order, &order, A, &order, pivot, &info);
    PetscCheck(!info, PETSC_COMM_SELF, PETSC_ERR_MAT_LU_ZRPVT, "the moments of the tangent direction are singular");
    if (s > 1) {
      PetscCall(Fill(d, s, s - 1, below));
      LAPACKgetrs_("N", &order, &order, A, &order, pivot, below, &order, &info);
    } else {
      Known(d, y);
      LAPACKgetrs_("N", &order, &one, A, &order, pivot, y, &order, &info);
    }
  }
  *exponent = creal(d->growth[0][0]);
  for (PetscInt m = 1; m <= 2; m++)
    for (PetscInt i = 0; i < d->size; i++) {
      const double *moment = y + (m - 1) * 2 * d->size + i;

      *exponent += 2 * creal(d->growth[m][i] * (moment[0] + I * moment[d->size]));
    }
  PetscCall(PetscFree5(A, below, above, y, pivot));
  PetscFunctionReturn(0);
}
