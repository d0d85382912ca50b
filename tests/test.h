/* test.h: what every test needs. must() is for calls that return an error code, check() for claims with numbers. */
#ifndef FPTEST_H
#define FPTEST_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <slepceps.h>

#define must(call) assert_int_equal(call, 0)
#define check(condition, ...)                                                                                          \
  do {                                                                                                                 \
    if (!(condition)) fail_msg(__VA_ARGS__);                                                                           \
  } while (0)
#endif
