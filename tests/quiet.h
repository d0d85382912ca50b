/* quiet.h: runs within the test itself, without their tables. */
#ifndef FPTESTQUIET_H
#define FPTESTQUIET_H
#include "rows.h"
#include "fprun.h"
#include <fcntl.h>
#include <unistd.h>

static inline PetscErrorCode QuietRun(FPConfig config, const char *dir, PetscInt *disagreements)
{
  const int      null = open("/dev/null", O_WRONLY), out = dup(1), err = dup(2);
  PetscErrorCode ierr;

  (void)fflush(stdout);
  (void)dup2(null, 1);
  (void)dup2(null, 2);
  ierr = FPRunExecute(config, dir, disagreements);
  (void)fflush(stdout);
  (void)dup2(out, 1);
  (void)dup2(err, 2);
  (void)close(null);
  (void)close(out);
  (void)close(err);
  return ierr;
}
#endif
