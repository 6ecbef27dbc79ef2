# SPDX-License-Identifier: Apache-2.0
# Language level, warnings, sanitizers, compiler cache and linker for all of our own code.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Release keeps assertions: a wrong number is worse than a slow one. One-line tables, no full debug info.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(THREADS_PREFER_PTHREAD_FLAG ON)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The sloppiness and -fpch-preprocess are what ccache asks for to cache files that use a precompiled header.
  set(cached "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_PCH_EXTSUM=1)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${cached} "${CCACHE}")
  set(ATTNRL_HEADERS_LAUNCHER ${cached} "${CMAKE_CURRENT_LIST_DIR}/precompile" "${CCACHE}")
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
endif()
find_program(LLD NAMES ld.lld ld.lld-16)
if(LLD)
  add_link_options("-fuse-ld=lld")
endif()
add_link_options("-Wl,--as-needed")

add_library(attnrl_flags INTERFACE)
# Device code is read by two compilers, of which the host's would warn of what nvcc writes.
target_compile_options(attnrl_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wconversion;-Wshadow;-fno-math-errno>")
# With some packages -pthread comes by itself, and only files with at::parallel_for need -fopenmp (without it that
# template runs on the calling thread); a precompiled header asks for both everywhere alike. Clang's -fopenmp calls
# another library than LibTorch's; its builds, which only analyse, do without.
target_compile_options(attnrl_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-pthread>" "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fopenmp>")
# g++ 12 warns about std::string temporaries that it cannot see through; of headers that were compiled before it
# doesn't know that they are the system's.
target_compile_options(attnrl_flags INTERFACE
  "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>")
target_include_directories(attnrl_flags INTERFACE "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
if(ATTNRL_WERROR)
  target_compile_options(attnrl_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-Werror>" "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>")
endif()
if(ATTNRL_SANITIZE)
  target_compile_options(attnrl_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${ATTNRL_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>")
  target_link_options(attnrl_flags INTERFACE -fsanitize=${ATTNRL_SANITIZE})
endif()

# attnrl_kernels(FILE FLAGS): a kernel compiled for one instruction set, "" for what every machine has. Contraction
# is off, since it would fuse some sums in one build and not in another. No LibTorch in them.
set(ATTNRL_AVX2 -mavx2 -mfma)
# g++ 12 takes the undefined half in its own avx512fintrin.h for a mistake of ours.
set(ATTNRL_AVX512 -mavx2 -mfma -mavx512f -Wno-uninitialized -Wno-maybe-uninitialized)
function(attnrl_kernels file flags)
  set_source_files_properties(${file} PROPERTIES
    COMPILE_OPTIONS "-O3;-ffp-contract=off;${flags}" SKIP_PRECOMPILE_HEADERS ON)
endfunction()
