/* rows.h: rows of results.json. A process, engine or observable that is NULL may be any; the first row that fits
   counts. */
#ifndef FPTESTROWS_H
#define FPTESTROWS_H
#include "test.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* results.json of a folder */
static inline json_t *LoadResults(const char *dir)
{
  char         path[320];
  json_error_t error;
  json_t      *root;

  (void)snprintf(path, sizeof(path), "%s/results.json", dir);
  root = json_load_file(path, 0, &error);
  if (!root) fail_msg("%s: %s", path, error.text);
  return root;
}

static inline int RowHas(const json_t *row, const char *key, const char *wanted)
{
  return !wanted || !strcmp(json_string_value(json_object_get(row, key)), wanted);
}

/* NULL: there is none. */
static inline const json_t *FindRow(const json_t *root, const char *process, const char *engine, const char *observable,
                                    const char *quantity)
{
  size_t  i;
  json_t *row;

  json_array_foreach(json_object_get(root, "results"), i, row)
  {
    if (RowHas(row, "process", process) && RowHas(row, "engine", engine) && RowHas(row, "observable", observable) &&
        RowHas(row, "quantity", quantity))
      return row;
  }
  return NULL;
}

static inline const json_t *Row(const json_t *root, const char *process, const char *engine, const char *observable,
                                const char *quantity)
{
  const json_t *row = FindRow(root, process, engine, observable, quantity);

  if (!row)
    fail_msg("no %s of %s by %s of %s", quantity, observable ? observable : "any observable",
             engine ? engine : "any engine", process ? process : "any process");
  return row;
}

/* error NULL: not wanted. */
static inline double Value(const json_t *root, const char *process, const char *engine, const char *observable,
                           const char *quantity, double *error)
{
  const json_t *row = Row(root, process, engine, observable, quantity), *reason = json_object_get(row, "reason");

  if (!json_object_get(row, "value"))
    fail_msg("%s has no value: %s", quantity, reason ? json_string_value(reason) : "no reason");
  if (error) *error = json_number_value(json_object_get(row, "error"));
  return json_number_value(json_object_get(row, "value"));
}
#endif
