/* folder.h: a folder of the test's own. main() hands MakeFolder and RemoveFolder to cmocka_run_group_tests(). */
#ifndef FPTESTFOLDER_H
#define FPTESTFOLDER_H
#include "test.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/dlnfp-test-XXXXXX";

static inline int MakeFolder(void **state)
{
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static inline int RemoveFolder(void **state)
{
  char command[64];

  (void)state;
  (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
  return system(command);
}

/* folder/NAME; a few of them live at the same time */
static inline const char *InFolder(const char *format, ...)
{
  static char path[8][300];
  static int  next = 0;
  char       *p    = path[next++ % 8];
  va_list     args;
  int         n = snprintf(p, sizeof(path[0]), "%s/", folder);

  va_start(args, format);
  (void)vsnprintf(p + n, sizeof(path[0]) - (size_t)n, format, args);
  va_end(args);
  return p;
}

static inline void WriteText(const char *path, const char *text)
{
  FILE *f = fopen(path, "w");

  assert_non_null(f);
  (void)fputs(text, f);
  assert_int_equal(fclose(f), 0);
}
#endif
