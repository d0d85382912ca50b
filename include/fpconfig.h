/* fpconfig.h: the run file. Nested YAML keys are joined with '_' ("spectrum: {pairs: 5}" is "spectrum_pairs"), command
   line options "-key value" override them. Every section of the file is described by one table of parameters, which
   reads, checks, lists and records its keys, so the four cannot drift apart. */
#ifndef FPCONFIG_H
#define FPCONFIG_H
#include "fputil.h"
#include <jansson.h>
#include <stddef.h>

typedef enum { FP_REAL, FP_INT, FP_BOOL, FP_STRING, FP_CHOICE, FP_REALS, FP_INTS, FP_STRINGS } FPKind;

typedef struct {
  PetscInt   n;
  PetscReal *value;
} FPReals;
typedef struct {
  PetscInt  n;
  PetscInt *value;
} FPInts;
typedef struct {
  PetscInt n;
  char   **value;
} FPStrings;

#define FP_POSITIVE 2.2250738585072014e-308 /* as lower bound: strictly positive */

/* One key of a section. A table ends with an entry whose name is NULL. */
typedef struct {
  const char *name; /* key inside its section */
  FPKind kind;   /* fields: PetscReal, PetscInt, PetscBool, char[FP_TEXT], char[FP_TEXT], FPReals, FPInts, FPStrings */
  size_t offset; /* of the field in the struct that FPConfigRead() fills */
  const char *initial; /* default as on the command line, lists with commas; NULL: no default (Real: NaN, Int: -1, text:
                          "", lists: n = 0) */
  PetscReal   lower, upper; /* of a number, or of each entry of a list; both 0: no bounds */
  const char *choices;      /* FP_CHOICE and FP_STRINGS: accepted words separated by blanks; NULL: any text */
  const char *unit, *help;
} FPParameter;

typedef struct _p_FPConfig *FPConfig;

PETSC_EXTERN PetscErrorCode FPConfigCreate(FPConfig *config);
/* Errors (user input): unreadable file, YAML syntax with line and column, repeated key, nested list. */
PETSC_EXTERN PetscErrorCode FPConfigLoad(FPConfig config, const char file[]);
/* argv[0..argc): "-key value" pairs; a following word that is a number may start with '-'. */
PETSC_EXTERN PetscErrorCode FPConfigOverride(FPConfig config, int argc, char *argv[]);
PETSC_EXTERN PetscErrorCode FPConfigSet(FPConfig config, const char key[], const char value[]);
/* Fill base from the keys "section_name" of the table ("" as section: bare names), defaults where a key is absent; the
   keys count as known from now on. Errors: wrong type, out of range, unknown choice, each with file, line, key, value.
 */
PETSC_EXTERN PetscErrorCode FPConfigRead(FPConfig config, const char section[], const FPParameter table[], void *base);
PETSC_EXTERN PetscErrorCode FPConfigFree(const FPParameter table[], void *base); /* the lists in base */
PETSC_EXTERN PetscErrorCode FPConfigHas(FPConfig config, const char key[],
                                        PetscBool *has); /* the key, or any key of a section of that name */
/* Text "FILE:LINE: KEY = VALUE" or "command line: -KEY = VALUE", for error messages; valid until the next call. */
PETSC_EXTERN PetscErrorCode FPConfigWhere(FPConfig config, const char key[], const char **where);
/* Keys that start with PREFIX_ belong to a solver ("spectrum" allows spectrum_eps_..., spectrum_st_... and so on);
   they go to PETSc's options database as they stand. */
PETSC_EXTERN PetscErrorCode FPConfigAllowSolver(FPConfig config, const char section[]);
/* After all FPConfigRead(): an unknown key is an error that names the nearest known one. */
PETSC_EXTERN PetscErrorCode FPConfigCheckUnknown(FPConfig config);
/* After the solvers: a solver key that none of them read is an error. */
PETSC_EXTERN PetscErrorCode FPConfigCheckUnread(FPConfig config);
/* A path of the run file: relative to the run file's folder if it exists there, else to the working directory. */
PETSC_EXTERN PetscErrorCode FPConfigPath(FPConfig config, const char path[], char full[], size_t length);
PETSC_EXTERN PetscErrorCode FPConfigResolved(FPConfig config, json_t *run); /* every key with its resolved value */
PETSC_EXTERN PetscErrorCode FPConfigDestroy(FPConfig *config);
/* Print a table for `dlnfp list`: key, default, accepted range, unit, help. */
PETSC_EXTERN PetscErrorCode FPParametersView(const FPParameter table[], const char section[], FILE *out);
#endif
