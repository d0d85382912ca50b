/* angle.c: the direction u = (cos t, sin t) of a tangent vector in the plane, dv = A v dt + sum_c B_c v dB_c. With u' =
   du/dt its angle has drift h = u'.A u - sum_c (u.B_c u)(u'.B_c u) and diffusion d = (1/2) sum_c (u'.B_c u)^2, and ln
   |v| grows at the mean rate g = u.A u + (1/2) sum_c (|B_c u|^2 - 2 (u.B_c u)^2) = u.A u + d - (1/2) sum_c (u.B_c u)^2:
   the formula of Furstenberg and Khasminskii. All three are trigonometric polynomials of t with the frequencies 0, 2
   and 4 alone, so the moments m_k = E exp(2ikt) obey linear equations that couple k to k - 2 ... k + 2. Pairs of modes
   make the equations block-tridiagonal; they are eliminated from the highest down.
   Source: R. Z. Khasminskii, Theory Probab. Appl. 12 (1967); Arnold, Random Dynamical Systems (1998), section 6.2. */
#include "angleimpl.h"
#include <petscblaslapack.h>

#define ORDER 4 /* numbers of a pair of modes: two real, two imaginary parts */

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

/* In a block of rows (a pair of modes) and columns, by columns: what mode m has of mode m + j. */
static void Put(const FPAngle *a, PetscInt m, PetscInt j, double block[ORDER * ORDER])
{
  const PetscInt       k = m + j, mode = PetscAbsInt(k), sign = k < 0 ? -1 : 1;
  const double complex c    = 2 * I * m * FPWaveAt(&a->turn, (int)j) - 4.0 * m * m * FPWaveAt(&a->spread, (int)j);
  double              *real = block + (mode - 1) % 2 * 2 * ORDER + (m - 1) % 2 * 2, *imaginary = real + ORDER;

  real[0] += creal(c);
  real[1] += cimag(c);
  imaginary[0] -= sign * cimag(c);
  imaginary[1] += sign * creal(c);
}

/* Rows of pair s, columns of pair c, both from 1 on */
static void Fill(const FPAngle *a, PetscInt s, PetscInt c, double block[ORDER * ORDER])
{
  for (int i = 0; i < ORDER * ORDER; i++) block[i] = 0;
  for (PetscInt m = 2 * s - 1; m <= 2 * s; m++)
    for (PetscInt j = -2; j <= 2; j++)
      if (m + j != 0 && (PetscAbsInt(m + j) + 1) / 2 == c) Put(a, m, j, block);
}

PetscErrorCode FPAngleExponent(const FPAngle *a, PetscInt modes, PetscReal *exponent)
{
  const PetscBLASInt order = ORDER, one = 1;
  const PetscInt     pairs = modes / 2;
  const PetscScalar  plus = 1, minus = -1;
  double             A[ORDER * ORDER], below[ORDER * ORDER], above[ORDER * ORDER], y[ORDER];
  PetscBLASInt       pivot[ORDER], info;

  PetscFunctionBegin;
  for (PetscInt s = pairs; s >= 1; s--) {
    Fill(a, s, s, A);
    if (s < pairs) { /* below: A^-1 times what the pair above has of this one */
      Fill(a, s, s + 1, above);
      BLASgemm_("N", "N", &order, &order, &order, &minus, above, &order, below, &order, &plus, A, &order);
    }
    LAPACKgetrf_(&order, &order, A, &order, pivot, &info);
    PetscCheck(!info, PETSC_COMM_SELF, PETSC_ERR_MAT_LU_ZRPVT, "the moments of the tangent direction are singular");
    if (s > 1) {
      Fill(a, s, s - 1, below);
      LAPACKgetrs_("N", &order, &order, A, &order, pivot, below, &order, &info);
    } else { /* minus what the equations of modes 1 and 2 have of mode 0, which is 1 */
      for (int m = 1; m <= 2; m++) {
        const double complex c = 2 * I * m * FPWaveAt(&a->turn, -m) - 4.0 * m * m * FPWaveAt(&a->spread, -m);

        y[2 * m - 2] = -creal(c);
        y[2 * m - 1] = -cimag(c);
      }
      LAPACKgetrs_("N", &order, &one, A, &order, pivot, y, &order, &info);
    }
  }
  *exponent = creal(a->growth.c[0]);
  for (int m = 1; m <= 2; m++) *exponent += 2 * creal(a->growth.c[m] * (y[2 * m - 2] + I * y[2 * m - 1]));
  PetscFunctionReturn(0);
}
