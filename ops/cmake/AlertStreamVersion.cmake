# One version: the project's, with the git hash of the tree it was built from.
# version.h is generated at configure time; a build outside git says "unknown".
include_guard(GLOBAL)

set(ALERTSTREAM_GIT_HASH "unknown")
find_package(Git QUIET)
if(Git_FOUND)
  execute_process(COMMAND "${GIT_EXECUTABLE}" rev-parse --short=12 HEAD
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE hash
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(ALERTSTREAM_GIT_HASH "${hash}")
  endif()
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/version.h.in"
  "${PROJECT_BINARY_DIR}/generated/ops/cli/version.h" @ONLY)
