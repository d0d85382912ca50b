/* xerbla.c: what LAPACK does with an illegal argument. Its own handler stops the program with exit code 0; this one
   returns, so the caller sees a negative INFO and ends the run with an error. */
#include "fputil.h"

void xerbla_(const char *routine, const int *parameter, size_t length);

void xerbla_(PETSC_UNUSED const char *routine, PETSC_UNUSED const int *parameter, PETSC_UNUSED size_t length)
{
}
