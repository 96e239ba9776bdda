// ALERTSTREAM_CHECK: an invariant of this program, on in every build. A processor that has lost an
// invariant must stop before it commits. Never use it on anything a record, a provider or a caller
// can send: that is an Error (result.h).
#pragma once

#include <cstdio>
#include <cstdlib>

#define ALERTSTREAM_CHECK(condition)                                                     \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)
