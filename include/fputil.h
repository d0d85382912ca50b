/* fputil.h: what every part of dlnfp shares. */
#ifndef FPUTIL_H
#define FPUTIL_H
#include <petscsys.h>

#define FP_VERSION "0.1.0"
#define FP_MAX_DIM 256 /* coordinates of a model, at most (2 x 2 factorisation of depth 64) */
#define FP_MAX_AXES 4  /* of a grid */
#define FP_MAX_MAP 4   /* entries of an end-to-end matrix, at most */
#define FP_BLOCK 64    /* particles advanced together, the length of the vector loops */
#define FP_NAME 64     /* characters of a name, with the final zero */
#define FP_TEXT 512    /* characters of a value or path, with the final zero */

/* Wrong input by the user: one line on stderr, exit code 2. The message names file, key, value and what is accepted. */
#define FPInputError(...) SETERRQ(PETSC_COMM_WORLD, PETSC_ERR_USER_INPUT, __VA_ARGS__)
#define FPInputCheck(condition, ...) PetscCheck(condition, PETSC_COMM_WORLD, PETSC_ERR_USER_INPUT, __VA_ARGS__)

/* Work arrays of functions that threads call: uninitialised, at the start of a cache line, the calling thread's own.
   Release gives back the array and everything that the thread has taken after it. An array of FP_MAX_DIM numbers may
   live in a frame; one that is FP_BLOCK or FP_MAX_DIM times as large belongs here. */
PETSC_EXTERN double *FPScratchTake(size_t doubles);
PETSC_EXTERN void    FPScratchRelease(const double *first);

/* Hot loops are compiled for several instruction sets and chosen at load time. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FP_HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FP_HOT
#endif
#endif
