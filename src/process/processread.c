/* processread.c: names, presets and keys of processes. */
#include "processimpl.h"

typedef struct {
  const char *name, *axis[FP_AXES], *help; /* axis: in the order of FPAxis */
} Preset;

static const Preset presets[] = {
#define FP_PRESET(NAME, ALGORITHM, DRIFT, NOISE, CLOCK, HELP) {NAME, {DRIFT, NOISE, ALGORITHM, CLOCK}, HELP},
#include "processlist.h"
};
#define PRESETS ((PetscInt)(sizeof presets / sizeof presets[0]))

#define FIELD(f) offsetof(FPProcessKeys, f)

/* One table per preset, since the defaults of a block are its preset's axes. */
static const FPParameter axes[][5] = {
#define FP_PRESET(NAME, ALGORITHM, DRIFT, NOISE, CLOCK, HELP)                                                          \
  {{"preset", FP_STRING, FIELD(preset), NAME, 0, 0, NULL, NULL, "what the block starts from"},                         \
   {"drift", FP_STRING, FIELD(drift), DRIFT, 0, 0, NULL, NULL, "gradient, modified, refined, central_flow, rod_flow"}, \
   {"noise", FP_STRING, FIELD(noise), NOISE, 0, 0, NULL, NULL, "none, isotropic, gradient, refined, stable"},          \
   {"clock", FP_STRING, FIELD(clock), CLOCK, 0, 0, NULL, NULL, "ordinary, fractional"},                                \
   {.name = NULL}},
#include "processlist.h"
};

static const FPParameter every[] = {
    {"temperature", FP_STRING, FIELD(temperature), NULL, 0, 0, NULL, "w^2/time",
     "injected T: a number >= 0, or matched with noise isotropic; default training_temperature"},
    {.name = NULL}};
static const FPParameter matched[] = {
    {"matched_to", FP_STRING, FIELD(matched_to), "ald", 0, 0, NULL, NULL, "process whose tr D/d is the matched T"},
    {"matched_at", FP_STRING, FIELD(matched_at), "minimum", 0, 0, NULL, NULL, "critical point where it is taken"},
    {.name = NULL}};
static const FPParameter ordered[] = {
    {"svag_order", FP_INT, FIELD(svag_order), "2", 1, 1000000, NULL, NULL, "svag: l, for steps of eta/l"},
    {.name = NULL}};
static const FPParameter continuous[] = {
    {"dt", FP_REAL, FIELD(dt), NULL, FP_POSITIVE, PETSC_MAX_REAL, NULL, "time",
     "SDE: step of particles, rounded down to eta/k; default: dt sharpness <= 1/20 at the minimum"},
    {.name = NULL}};
static const FPParameter stable[] = {
    {"alpha", FP_REAL, FIELD(alpha), "1.5", FP_POSITIVE, 2, NULL, NULL, "noise stable: index, in (0, 2]"},
    {"scale", FP_STRING, FIELD(scale), "gradient_noise", 0, 0, NULL, "w/time^(1/alpha)",
     "noise stable: sigma of every weight, or gradient_noise"},
    {"components", FP_STRING, FIELD(components), "isotropic", 0, 0, NULL, NULL, "noise stable: isotropic, independent"},
    {"boundary", FP_STRING, FIELD(boundary), "confined", 0, 0, NULL, NULL,
     "noise stable: jumps out of the box are killed, censored, mirror (reflected) or confined (end at the wall)"},
    {.name = NULL}};
static const FPParameter slow[] = {
    {"beta", FP_REAL, FIELD(beta), "0.8", FP_POSITIVE, 1, NULL, NULL,
     "clock fractional: order of the time derivative, in (0, 1]; 1 is the ordinary clock"},
    {"clock_scale", FP_REAL, FIELD(clock_scale), "1", FP_POSITIVE, PETSC_MAX_REAL, NULL, "time",
     "clock fractional: time c at which it passes to its own pace, D_t^beta p = c^(1 - beta) L p"},
    {.name = NULL}};
static const FPParameter preset_only[] = {
    {"preset", FP_STRING, 0, NULL, 0, 0, NULL, NULL, "what the block starts from"}, {.name = NULL}};

/* Words a process may not be called: they begin keys of the run file or options of PETSc. */
static const char reserved[] =
    " data model training processes mesh engines generator transfer particles crosscheck observables "
    "sample flat spectrum stationary current exit mixing evolution msd autocorrelation lyapunov tails noise "
    "reduction sharpness orbit collapse free preset drift clock inertia temperature matched alpha scale boundary beta "
    "mu beta1 "
    "beta2 epsilon dt type path inputs targets standardize whiten teacher depth rank coordinates "
    "diffusion center lower upper cells map faces refine file verify nodes order count steps seed "
    "threads threshold pairs at region radius normal offset level inside start times spread out over "
    "grid run check list sweep sample help version options eps st ksp pc mat vec mfn ts snes dm log bv "
    "ds fn rg svd pep nep lme tao sf is ao pf da sub mg malloc memory info viewer on error fp skip "
    "citations get mpidump objects use ";

static PetscErrorCode CheckName(const char name[])
{
  const size_t length = strlen(name), good = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
  char         word[FP_NAME + 2];

  PetscFunctionBegin;
  FPInputCheck(good == length && length > 0 && length < FP_NAME && name[0] >= 'a',
               "processes: '%s' is not a name; accepted are presets and names of small letters and digits, a letter "
               "first, at most %d characters",
               name, FP_NAME - 1);
  PetscCall(PetscSNPrintf(word, sizeof word, " %s ", name));
  FPInputCheck(!strstr(reserved, word), "processes: '%s' is a reserved word; choose another name", name);
  PetscFunctionReturn(0);
}

static PetscInt FindPreset(const char name[])
{
  for (PetscInt k = 0; k < PRESETS; k++)
    if (!strcmp(name, presets[k].name)) return k;
  return -1;
}

static PetscErrorCode PresetNames(char names[], size_t length)
{
  PetscFunctionBegin;
  names[0] = 0;
  for (PetscInt k = 0; k < PRESETS; k++) {
    PetscCall(PetscStrlcat(names, k ? ", " : "", length));
    PetscCall(PetscStrlcat(names, presets[k].name, length));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode ReadPreset(FPConfig config, const char name[], PetscInt *index)
{
  char        preset[FP_TEXT] = "", names[FP_TEXT], key[2 * FP_NAME];
  const char *where;

  PetscFunctionBegin;
  *index = FindPreset(name);
  if (*index < 0) PetscCall(CheckName(name));
  PetscCall(PresetNames(names, sizeof names));
  PetscCall(FPConfigRead(config, name, preset_only, preset));
  FPInputCheck(preset[0] || *index >= 0, "processes: '%s' is not a preset (%s) and has no block with a preset", name,
               names);
  if (!preset[0]) PetscFunctionReturn(0);
  PetscCall(PetscSNPrintf(key, sizeof key, "%s_preset", name));
  PetscCall(FPConfigWhere(config, key, &where));
  FPInputCheck(FindPreset(preset) >= 0, "%s: accepted are %s", where, names);
  FPInputCheck(*index < 0 || *index == FindPreset(preset),
               "%s: a block named after a preset changes that preset; give the block another name", where);
  *index = FindPreset(preset);
  PetscFunctionReturn(0);
}

static const struct {
  FPAxis      axis;
  const char *name;
  PetscErrorCode (*create)(FPProcess);
} types[] = {
#define FP_DRIFT(name, create) {FP_AXIS_DRIFT, name, create},
#define FP_NOISE(name, create) {FP_AXIS_NOISE, name, create},
#define FP_ALGORITHM(name, create) {FP_AXIS_ALGORITHM, name, create},
#define FP_CLOCK(name, create) {FP_AXIS_CLOCK, name, create},
#include "processlist.h"
};

static PetscErrorCode SetAxis(FPConfig config, FPProcess process, FPAxis axis, const char key[], const char value[])
{
  char        names[FP_TEXT] = "", full[2 * FP_NAME];
  const char *where;

  PetscFunctionBegin;
  for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
    if (types[k].axis != axis) continue;
    if (!strcmp(types[k].name, value)) {
      PetscCall((*types[k].create)(process));
      PetscFunctionReturn(0);
    }
    PetscCall(PetscStrlcat(names, names[0] ? ", " : "", sizeof names));
    PetscCall(PetscStrlcat(names, types[k].name, sizeof names));
  }
  PetscCall(PetscSNPrintf(full, sizeof full, "%s_%s", process->name, key));
  PetscCall(FPConfigWhere(config, full, &where));
  FPInputError("%s: accepted are %s", where, names);
}

PetscErrorCode FPProcessKeyWhere(FPConfig config, FPProcess process, const char key[], const char **where)
{
  char      full[2 * FP_NAME];
  PetscBool has;

  PetscFunctionBegin;
  PetscCall(PetscSNPrintf(full, sizeof full, "%s_%s", process->name, key));
  PetscCall(FPConfigHas(config, full, &has));
  *where = NULL;
  if (has) PetscCall(FPConfigWhere(config, full, where));
  PetscFunctionReturn(0);
}

/* Refuse a key that was given but would do nothing. */
static PetscErrorCode Refuse(FPConfig config, FPProcess process, const char key[], PetscBool useful, const char why[])
{
  const char *where;

  PetscFunctionBegin;
  PetscCall(FPProcessKeyWhere(config, process, key, &where));
  FPInputCheck(!where || useful, "%s: %s", where, why);
  PetscFunctionReturn(0);
}

/* Only keys that have an effect are read, and so recorded. */
static PetscErrorCode ReadRest(FPConfig config, FPProcess process, const Preset *preset, FPProcessKeys *keys)
{
  const PetscBool sde   = (PetscBool)(process->algorithm.kind == FP_SDE);
  const PetscBool drift = (PetscBool)(sde || !strcmp(keys->drift, preset->axis[FP_AXIS_DRIFT]));
  const PetscBool noise = (PetscBool)(sde || !strcmp(keys->noise, preset->axis[FP_AXIS_NOISE]));
  PetscBool       match;

  PetscFunctionBegin;
  PetscCall(FPConfigRead(config, process->name, every, keys));
  match = (PetscBool)!strcmp(keys->temperature, "matched");
  PetscCall(Refuse(config, process, "drift", drift, "a discrete algorithm has drift gradient and no other"));
  PetscCall(
      Refuse(config, process, "noise", noise, "a discrete algorithm brings its own noise; another preset is SDE"));
  PetscCall(Refuse(config, process, "dt", sde, "only an SDE has a step to choose; see training_learning_rate"));
  PetscCall(Refuse(config, process, "svag_order", process->algorithm.ordered, "only preset svag has an order"));
  PetscCall(Refuse(config, process, "matched_to", match, "needs temperature: matched"));
  PetscCall(Refuse(config, process, "matched_at", match, "needs temperature: matched"));
  PetscCall(Refuse(config, process, "beta", process->fractional, "only clock fractional has an order"));
  PetscCall(Refuse(config, process, "clock_scale", process->fractional, "only clock fractional has a scale"));
  keys->svag_order = 1;
  keys->beta = keys->clock_scale = 1;
  if (process->fractional) PetscCall(FPConfigRead(config, process->name, slow, keys));
  if (match) PetscCall(FPConfigRead(config, process->name, matched, keys));
  if (process->algorithm.ordered) PetscCall(FPConfigRead(config, process->name, ordered, keys));
  if (sde) PetscCall(FPConfigRead(config, process->name, continuous, keys));
  if (process->noise.stable.has) PetscCall(FPConfigRead(config, process->name, stable, keys));
  for (const FPParameter *p = stable; p->name; p++)
    PetscCall(Refuse(config, process, p->name, process->noise.stable.has, "needs noise: stable"));
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessReadKeys(FPConfig config, FPProcess process, FPProcessKeys *keys)
{
  PetscInt index;

  PetscFunctionBegin;
  PetscCall(ReadPreset(config, process->name, &index));
  PetscCall(FPConfigRead(config, process->name, axes[index], keys));
  PetscCall(SetAxis(config, process, FP_AXIS_DRIFT, "drift", keys->drift));
  PetscCall(PetscStrncpy(process->drift_name, keys->drift, sizeof process->drift_name));
  PetscCall(SetAxis(config, process, FP_AXIS_NOISE, "noise", keys->noise));
  PetscCall(PetscStrncpy(process->noise_name, keys->noise, sizeof process->noise_name));
  PetscCall(SetAxis(config, process, FP_AXIS_CLOCK, "clock", keys->clock));
  PetscCall(SetAxis(config, process, FP_AXIS_ALGORITHM, "preset", presets[index].axis[FP_AXIS_ALGORITHM]));
  PetscCall(ReadRest(config, process, &presets[index], keys));
  PetscFunctionReturn(0);
}

PetscErrorCode FPProcessList(FILE *out)
{
  PetscFunctionBegin;
  fprintf(out, "%-12s %-10s %-12s %-10s %-10s %s\n", "preset", "algorithm", "drift", "noise", "clock", "");
  for (PetscInt k = 0; k < PRESETS; k++)
    fprintf(out, "%-12s %-10s %-12s %-10s %-10s %s\n", presets[k].name, presets[k].axis[FP_AXIS_ALGORITHM],
            presets[k].axis[FP_AXIS_DRIFT], presets[k].axis[FP_AXIS_NOISE], presets[k].axis[FP_AXIS_CLOCK],
            presets[k].help);
  fprintf(out, "\nkeys of the section of a process NAME (a preset, or a name of yours with a preset), defaults as for "
               "preset langevin:\n");
  PetscCall(FPParametersView(axes[FindPreset("langevin")], "NAME", out));
  PetscCall(FPParametersView(every, "NAME", out));
  PetscCall(FPParametersView(matched, "NAME", out));
  PetscCall(FPParametersView(ordered, "NAME", out));
  PetscCall(FPParametersView(continuous, "NAME", out));
  PetscCall(FPParametersView(slow, "NAME", out));
  PetscCall(FPParametersView(stable, "NAME", out));
  PetscFunctionReturn(0);
}
