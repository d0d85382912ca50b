/* message.h: what is said of bad input. */
#ifndef FPTESTMESSAGE_H
#define FPTESTMESSAGE_H
#include "test.h"
#include <stdio.h>
#include <string.h>

static char message[2048]; /* of the last error */

static inline PetscErrorCode KeepMessage(MPI_Comm comm, int line, const char *fun, const char *file,
                                         PetscErrorCode code, PetscErrorType type, const char *text, void *context)
{
  (void)comm, (void)line, (void)fun, (void)file, (void)context;
  if (type == PETSC_ERROR_INITIAL) (void)snprintf(message, sizeof(message), "%s", text);
  return code;
}

/* The call ends as wrong input, with a message of one line that has the word in it. */
#define refused(call, word)                                                                                            \
  do {                                                                                                                 \
    PetscErrorCode code_;                                                                                              \
                                                                                                                       \
    message[0] = 0;                                                                                                    \
    must(PetscPushErrorHandler(KeepMessage, NULL));                                                                    \
    code_ = call;                                                                                                      \
    must(PetscPopErrorHandler());                                                                                      \
    check(code_ == PETSC_ERR_USER_INPUT, "accepted, not refused by: %s", word);                                        \
    check(strstr(message, word) && !strchr(message, '\n'), "'%s' does not say '%s'", message, word);                   \
  } while (0)
#endif
