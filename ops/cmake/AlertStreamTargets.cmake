# The only place where compiler flags are set. Every target is made by one of the functions below,
# so that a new one cannot forget a warning, a sanitizer or a label.
include_guard(GLOBAL)

set(ALERTSTREAM_SANITIZE "" CACHE STRING "Empty, or one of: address-undefined, thread")
option(ALERTSTREAM_FUZZ "Build the fuzzers with libFuzzer (clang only); else as replayers of their corpus" OFF)
set(ALERTSTREAM_TEST_PREFIX "" CACHE STRING "Goes before the names of tests, where several builds report together")
set(ALERTSTREAM_TEST_LABELS "" CACHE STRING "Empty, or: only tests with one of these labels are registered")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths below the source are hashed as relative ones, so that clones share what they compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${CCACHE_PROGRAM}")
  set(CMAKE_C_COMPILER_LAUNCHER "${CMAKE_CXX_COMPILER_LAUNCHER}")
endif()

add_library(alertstream_options INTERFACE)
add_library(alertstream::options ALIAS alertstream_options)
target_compile_features(alertstream_options INTERFACE cxx_std_20)
target_include_directories(alertstream_options INTERFACE
  "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}/generated")
target_link_libraries(alertstream_options INTERFACE Threads::Threads)
target_compile_options(alertstream_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wswitch-enum -fno-omit-frame-pointer
  -Wno-missing-field-initializers  # Designated initialisers leave the rest at its default on purpose.
  "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/="
  -ffp-contract=off  # A fused multiply-add would make a decision depend on the compiler.
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
if(ALERTSTREAM_FUZZ)
  # Without the libraries' coverage libFuzzer would search blindly.
  target_compile_options(alertstream_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(ALERTSTREAM_SANITIZE STREQUAL "address-undefined")
  target_compile_options(alertstream_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all)
  target_link_options(alertstream_options INTERFACE -fsanitize=address,undefined)
elseif(ALERTSTREAM_SANITIZE STREQUAL "thread")
  target_compile_options(alertstream_options INTERFACE -fsanitize=thread)
  target_link_options(alertstream_options INTERFACE -fsanitize=thread)
elseif(NOT ALERTSTREAM_SANITIZE STREQUAL "")
  message(FATAL_ERROR "ALERTSTREAM_SANITIZE: unknown value '${ALERTSTREAM_SANITIZE}'; "
                      "expected address-undefined, thread or nothing")
endif()

# alertstream_library(NAME gates SOURCES a.cc DEPS alertstream::base PRIVATE_DEPS RocksDB::rocksdb-shared)
# A library without sources becomes an INTERFACE library.
function(alertstream_library)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "alertstream_library: unexpected '${ARG_UNPARSED_ARGUMENTS}'")
  endif()
  if(ARG_SOURCES)
    add_library(alertstream_${ARG_NAME} STATIC ${ARG_SOURCES})
    target_link_libraries(alertstream_${ARG_NAME}
      PUBLIC alertstream::options ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  else()
    add_library(alertstream_${ARG_NAME} INTERFACE)
    target_link_libraries(alertstream_${ARG_NAME} INTERFACE alertstream::options ${ARG_DEPS})
  endif()
  add_library(alertstream::${ARG_NAME} ALIAS alertstream_${ARG_NAME})
  set_property(GLOBAL APPEND PROPERTY ALERTSTREAM_LIBRARIES alertstream_${ARG_NAME})
endfunction()

# Registers one ctest test under the labels; TARGET, if given, is what has to be built for it and
# joins the group targets of alertstream_test_groups(). Tests labelled `serial` run alone.
function(alertstream_register_test)
  cmake_parse_arguments(ARG "" "NAME;TARGET;TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    message(FATAL_ERROR "${ARG_NAME}: a test needs LABELS")
  endif()
  set(wanted TRUE)
  if(ALERTSTREAM_TEST_LABELS)
    set(wanted FALSE)
  endif()
  foreach(label IN LISTS ARG_LABELS)
    if(ARG_TARGET)
      set_property(GLOBAL APPEND PROPERTY ALERTSTREAM_TESTS_OF_${label} ${ARG_TARGET})
    endif()
    if(label IN_LIST ALERTSTREAM_TEST_LABELS)
      set(wanted TRUE)
    endif()
  endforeach()
  if(NOT wanted)
    return()
  endif()
  set(test "${ALERTSTREAM_TEST_PREFIX}${ARG_NAME}")
  add_test(NAME ${test} COMMAND ${ARG_COMMAND})
  set_tests_properties(${test} PROPERTIES
    LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77)
  if("serial" IN_LIST ARG_LABELS)
    set_tests_properties(${test} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()

# alertstream_test(NAME cel_test LABELS unit SOURCES a_test.cc DEPS alertstream::conditions [TIMEOUT s])
function(alertstream_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "alertstream_test: unexpected '${ARG_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(alertstream_${ARG_NAME} ${ARG_SOURCES})
  target_link_libraries(alertstream_${ARG_NAME} PRIVATE
    alertstream::options ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  target_compile_definitions(alertstream_${ARG_NAME} PRIVATE
    ALERTSTREAM_SOURCE_DIR="${PROJECT_SOURCE_DIR}" ALERTSTREAM_BINARY_DIR="${PROJECT_BINARY_DIR}")
  alertstream_register_test(NAME ${ARG_NAME} TARGET alertstream_${ARG_NAME}
    COMMAND alertstream_${ARG_NAME} LABELS ${ARG_LABELS} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# alertstream_script_test(NAME format COMMAND "${script}" ARG... LABELS tidy [TIMEOUT s])
# The script skips by exit code 77, after having printed the reason.
function(alertstream_script_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "alertstream_script_test: unexpected '${ARG_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  alertstream_register_test(NAME ${ARG_NAME} COMMAND ${ARG_COMMAND}
    LABELS ${ARG_LABELS} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# Targets that build the tests of a label and nothing else: unit_tests, conformance_tests, ...; and
# asan_tests, those that the sanitizer build runs. To be called when every test is known.
function(alertstream_test_groups)
  foreach(label unit conformance fuzz integration tidy)
    get_property(tests GLOBAL PROPERTY ALERTSTREAM_TESTS_OF_${label})
    add_custom_target(${label}_tests DEPENDS ${tests})
  endforeach()
  add_custom_target(asan_tests)
  add_dependencies(asan_tests unit_tests conformance_tests fuzz_tests)
endfunction()

# Target alertstream_header_check: every header below the folders compiles alone, and twice.
function(alertstream_header_check)
  set(sources "")
  foreach(folder ${ARGN})
    file(GLOB_RECURSE headers RELATIVE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/${folder}/*.h")
    foreach(header IN LISTS headers)
      set(source "${PROJECT_BINARY_DIR}/generated/header_check/${header}.cc")
      file(GENERATE OUTPUT "${source}"
        CONTENT "#include \"${header}\"\n#include \"${header}\"  // Once is enough.\n")
      list(APPEND sources "${source}")
    endforeach()
  endforeach()
  get_property(libraries GLOBAL PROPERTY ALERTSTREAM_LIBRARIES)
  add_library(alertstream_header_check OBJECT ${sources})
  target_link_libraries(alertstream_header_check PRIVATE
    alertstream::options ${libraries} GTest::gmock GTest::gtest)
  target_compile_options(alertstream_header_check PRIVATE -O0 -g0)
endfunction()

# alertstream_fuzzer(NAME cel SOURCES cel_fuzzer.cc DEPS alertstream::conditions)
# The corpus is tests/fuzz/corpus/NAME. With ALERTSTREAM_FUZZ the test fuzzes for 10 seconds,
# otherwise it replays the corpus.
function(alertstream_fuzzer)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS" ${ARGN})
  set(target alertstream_${ARG_NAME}_fuzzer)
  set(corpus "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${ARG_NAME}")
  if(ALERTSTREAM_FUZZ)
    set(found "${PROJECT_BINARY_DIR}/fuzz/${ARG_NAME}")
    file(MAKE_DIRECTORY "${found}")
    add_executable(${target} ${ARG_SOURCES})
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    # libFuzzer's own exit code of a crash is 77, by which our tests say that they were skipped.
    set(command ${target} -max_total_time=10 -timeout=5 -rss_limit_mb=2048 -print_final_stats=1
      -error_exitcode=1 -timeout_exitcode=1
      "${found}" "${corpus}")
  else()
    add_executable(${target} ${ARG_SOURCES} "${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc")
    set(command ${target} "${corpus}")
  endif()
  target_link_libraries(${target} PRIVATE alertstream::options ${ARG_DEPS})
  alertstream_register_test(NAME ${ARG_NAME}_fuzz TARGET ${target} COMMAND ${command}
    LABELS fuzz TIMEOUT 60)
endfunction()

# alertstream_program(NAME alertstream SOURCES main.cc DEPS alertstream::cli)
# A main holds constructions only; tests never link one.
function(alertstream_program)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "alertstream_program: unexpected '${ARG_UNPARSED_ARGUMENTS}'")
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME} PRIVATE alertstream::options ${ARG_DEPS})
  set_target_properties(${ARG_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
endfunction()

# alertstream_bench(NAME fold SOURCES fold_bench.cc DEPS ...): a program that prints ratios against a
# named baseline of the same run. Built with the rest, never a test.
function(alertstream_bench)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS" ${ARGN})
  add_executable(alertstream_${ARG_NAME}_bench ${ARG_SOURCES})
  target_link_libraries(alertstream_${ARG_NAME}_bench PRIVATE alertstream::options ${ARG_DEPS})
  set_target_properties(alertstream_${ARG_NAME}_bench PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bench")
endfunction()
