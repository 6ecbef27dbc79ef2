# SPDX-License-Identifier: Apache-2.0
# Third-party targets. Every package is found before LibTorch, whose wheel ships old protobuf headers
# that must lose against the system's (hence -idirafter).
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc)
# FLINT and Arb: exact numbers and balls of the grader. Debian's Arb has the name libflint-arb.
find_path(FLINT_INCLUDE flint/fmpq.h REQUIRED)
find_library(FLINT_LIBRARY flint REQUIRED)
find_library(ARB_LIBRARY NAMES flint-arb arb REQUIRED)
add_library(attnrl_flint INTERFACE)
target_include_directories(attnrl_flint SYSTEM INTERFACE "${FLINT_INCLUDE}")
target_link_libraries(attnrl_flint INTERFACE "${ARB_LIBRARY}" "${FLINT_LIBRARY}")
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq)
if(ATTNRL_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

set(torch "${ATTNRL_DEPS}/torch")
if(NOT EXISTS "${torch}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch is not in ${ATTNRL_DEPS}; tools/build fetches it")
endif()
add_library(attnrl_torch INTERFACE)
target_compile_options(attnrl_torch INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter \"${torch}/include\">")
target_link_libraries(attnrl_torch INTERFACE "${torch}/lib/libtorch_cpu.so" "${torch}/lib/libc10.so"
  "${torch}/lib/libgomp.so.1")  # the one LibTorch itself uses
# What libtorch_cpu itself needs is found through its own RPATH, at link time too.
target_link_options(attnrl_torch INTERFACE "-Wl,--allow-shlib-undefined" "-Wl,-rpath,${torch}/lib" "-Wl,--disable-new-dtags")
