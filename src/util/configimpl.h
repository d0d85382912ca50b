/* configimpl.h: what the files config*.c share. config.c holds the object, configyaml.c reads files, configread.c fills
   structs from tables, configcheck.c judges keys that no table knows. */
#ifndef FPCONFIGIMPL_H
#define FPCONFIGIMPL_H
#include "fpconfig.h"

#define FP_KEY 128           /* characters of a flattened key, with the final zero */
#define FP_LINE 1024         /* characters of a message, with the final zero */
#define FP_MAX_KEYS 400      /* of a run file; PETSc's options database holds 512 */
#define FP_MAX_SECTIONS 32   /* that allow solver keys */
#define FP_MAX_BYTES 1048576 /* of a run file */

typedef enum { FP_FROM_PROGRAM, FP_FROM_FILE, FP_FROM_COMMAND } FPSource;

/* One key as it was written. A scalar has one item, a list any number; empty: neither text nor list was given. */
typedef struct {
  char      key[FP_KEY];
  FPSource  source;
  int       line; /* in the run file, from 1 */
  PetscBool list, empty;
  PetscInt  n;
  char    **item;
} FPEntry;

struct _p_FPConfig {
  char    *file; /* run file as it was named, or NULL */
  PetscInt n, size;
  FPEntry *entry;
  PetscInt sections;
  char     section[FP_MAX_SECTIONS][FP_NAME]; /* that allow solver keys */
  json_t  *known;                             /* key -> resolved value; null: no value and no default */
  char     where[FP_LINE];                    /* lent by FPConfigWhere() */
};

/* NULL when the key was not given; valid until the next FPConfigAdd(). */
PETSC_INTERN FPEntry *FPConfigFind(FPConfig config, const char key[]);
/* Takes copies; replaces a key that is there. */
PETSC_INTERN PetscErrorCode FPConfigAdd(FPConfig config, const char key[], FPSource source, int line, PetscBool list,
                                        PetscBool empty, PetscInt n, const char *const item[]);
PETSC_INTERN PetscErrorCode FPConfigJoin(const FPEntry *entry, const char separator[], size_t length, char text[]);
PETSC_INTERN PetscBool      FPConfigIsSolverKey(FPConfig config, const char key[]);
#endif
