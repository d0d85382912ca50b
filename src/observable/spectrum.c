/* spectrum.c: the slowest modes. From a generator: SLEPc's eigenvalues, with the multipliers of a discrete algorithm
   and the rates of modes that its law does not see. From particles: spectrum_particles.c. */
#include "spectrumimpl.h"

#define BLOCKS 3             /* powers of q */
#define BLOCK_MODES 2        /* of each */
#define BLOCK_ROUNDING 1e-12 /* of mu */

static const FPParameter SpectrumParameters[] = {
    {"pairs", FP_INT, offsetof(FPSpectrum, pairs), "6", 1, 40, NULL, "modes", "modes beyond the slowest"},
    {"degree", FP_INT, offsetof(FPSpectrum, degree), "4", 1, 8, NULL, NULL,
     "polynomials of the particles' basis go up to this total degree"},
    {"lag", FP_REAL, offsetof(FPSpectrum, lag), NULL, 2.2250738585072014e-308, PETSC_MAX_REAL, NULL, "time",
     "lag of the particles' eigenproblem; default: the shortest relaxation time asked for"},
    {0}};

PetscErrorCode FPSpectrumAddRates(PetscInt count, const PetscReal rate[], const PetscReal frequency[],
                                  const PetscReal error[], PetscInt first, FPQuantities *q)
{
  PetscFunctionBegin;
  for (PetscInt k = first; k < count; k++)
    PetscCall(FPQuantitiesAdd(q, rate[k], error ? error[k] : 0, "1/time", "decay_rate[%d]", (int)k));
  for (PetscInt k = first; k < count; k++)
    PetscCall(FPQuantitiesAdd(q, frequency[k], error ? error[k] : 0, "1/time", "frequency[%d]", (int)k));
  if (count > 1) {
    const PetscReal gap = rate[1] - rate[0], e = error ? error[0] + error[1] : 0;

    PetscCall(FPQuantitiesAdd(q, gap, e, "1/time", "gap"));
    PetscCall(FPQuantitiesAdd(q, 1 / gap, e / (gap * gap), "time", "relaxation_time"));
  }
  PetscFunctionReturn(0);
}

/* Of a discrete algorithm: the eigenvalues mu of its transfer operator, |mu| falling, of conjugate pairs that with
   positive imaginary part; and of one that leaves the box the probability per step to do so. */
PetscErrorCode FPSpectrumAddMultipliers(const FPSpectrum *s, PetscInt count, const PetscReal rate[],
                                        const PetscReal frequency[], const PetscReal error[], FPQuantities *q)
{
  PetscFunctionBegin;
  if (s->step == 0) PetscFunctionReturn(0);
  for (PetscInt k = 0; k < count; k++) {
    const PetscReal modulus = exp(-rate[k] * s->step), angle = frequency[k] * s->step;
    const PetscReal doubt = modulus * s->step * error[k] + 1e-15;

    PetscCall(FPQuantitiesAdd(q, modulus * cos(angle), doubt, "1", "mu_re[%d]", (int)k));
    PetscCall(FPQuantitiesAdd(q, frequency[k] * s->step > PETSC_PI - 1e-12 ? 0 : modulus * sin(angle), doubt, "1",
                              "mu_im[%d]", (int)k));
  }
  if (s->killed)
    PetscCall(FPQuantitiesAdd(q, -expm1(-rate[0] * s->step), s->step * error[0], "1/step", "divergence_rate"));
  PetscFunctionReturn(0);
}

/* Of a 2-chain in p and q: rates of modes g(p) q^m. The law lives on q = 0, so that nothing else sees them. */
static PetscErrorCode AddBlocks(const FPSpectrum *s, FPGenerator gen, FPQuantities *q)
{
  FPGeneratorInfo info;
  PetscReal       mu[2 * BLOCK_MODES];

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetInfo(gen, &info));
  if (s->step == 0 || info.along < 0) PetscFunctionReturn(0);
  for (PetscInt m = 1; m <= BLOCKS; m++) {
    PetscCall(FPGeneratorGetBlock(gen, m, BLOCK_MODES, mu));
    for (PetscInt k = 0; k < BLOCK_MODES; k++) {
      const PetscReal modulus = PetscMax(hypot(mu[2 * k], mu[2 * k + 1]), PETSC_MACHINE_EPSILON);

      PetscCall(FPQuantitiesAdd(q, -log(modulus) / s->step, BLOCK_ROUNDING / (modulus * s->step), "1/time",
                                "block_rate[%d][%d]", (int)m, (int)k));
    }
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode WriteModes(FPObservable obs, FPGenerator gen, PetscInt modes)
{
  PetscReal *scaled;
  PetscInt   n;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetNodes(gen, &n, NULL, NULL, NULL, NULL));
  PetscCall(PetscMalloc1(n, &scaled));
  for (PetscInt m = 1; m < modes; m++) {
    const PetscReal *right;
    PetscReal        largest = 0;
    char             label[FP_NAME];

    PetscCall(FPGeneratorGetMode(gen, m, &right, NULL));
    for (PetscInt k = 0; k < n; k++) largest = PetscMax(largest, PetscAbsReal(right[k]));
    for (PetscInt k = 0; k < n; k++) scaled[k] = right[k] / largest;
    PetscCall(PetscSNPrintf(label, sizeof(label), "eigenfunction_%d", (int)m));
    PetscCall(FPFieldOfCells(obs, gen, label, scaled, PETSC_FALSE,
                             "eigenfunction of the backward generator, largest value 1", "1"));
  }
  PetscCall(PetscFree(scaled));
  PetscFunctionReturn(0);
}

static PetscErrorCode Generator_Spectrum(FPObservable obs, FPGenerator gen, PetscBool finest, FPQuantities *q)
{
  FPSpectrum      *s = (FPSpectrum *)obs->data;
  const PetscReal *rate, *frequency, *residual;
  const FPBox     *box;
  PetscInt         count;

  PetscFunctionBegin;
  PetscCall(FPGeneratorGetModes(gen, &count, &rate, &frequency, &residual));
  count = PetscMin(count, s->pairs + 1);
  PetscCall(FPSpectrumAddRates(count, rate, frequency, residual, 0, q));
  PetscCall(FPGeneratorGetStep(gen, &s->step));
  PetscCall(FPMeshGetBox(obs->scene.mesh, &box));
  s->killed = PETSC_FALSE;
  for (PetscInt f = 0; f < 2 * box->dim; f++) s->killed = (PetscBool)(s->killed || box->face[f] == FP_ABSORBING);
  PetscCall(FPSpectrumAddMultipliers(s, count, rate, frequency, residual, q));
  PetscCall(AddBlocks(s, gen, q));
  if (finest) {
    PetscCall(FPSpectrumKeepBasis(s, gen, count));
    PetscCall(WriteModes(obs, gen, count));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Destroy_Spectrum(FPObservable obs)
{
  FPSpectrum *s = (FPSpectrum *)obs->data;

  PetscFunctionBegin;
  for (PetscInt k = 0; k < s->known; k++) {
    PetscCall(PetscFree(s->basis[k].function));
    PetscCall(PetscFree3(s->basis[k].rate, s->basis[k].frequency, s->basis[k].rarest));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode Pairs_Spectrum(FPObservable obs, PetscInt *pairs)
{
  PetscFunctionBegin;
  *pairs = ((FPSpectrum *)obs->data)->pairs;
  PetscFunctionReturn(0);
}

PetscErrorCode FPObservableCreate_Spectrum(FPObservable obs)
{
  FPSpectrum *s;

  PetscFunctionBegin;
  PetscCall(PetscNew(&s));
  obs->data       = s;
  obs->parameters = SpectrumParameters;
  obs->ops        = (FPObservableOps){.pairs     = Pairs_Spectrum,
                                      .generator = Generator_Spectrum,
                                      .align     = FPSpectrumAlign,
                                      .begin     = FPSpectrumParticlesBegin,
                                      .evaluate  = FPSpectrumEvaluate,
                                      .destroy   = Destroy_Spectrum};
  PetscFunctionReturn(0);
}
