# SPDX-License-Identifier: Apache-2.0
# Headers that take longest to parse (LibTorch's 10 s, Abseil's, JSON's and gRPC's 2 s each) are parsed
# once for all libraries that use them, and once with GoogleTest for all tests. Which set a target takes follows from
# what it links. Files still include what they use: tools/check builds without this. Executables, which are compiled
# with -fPIE, and libraries that link neither Abseil nor anything of common/ do without; tests are compiled with -fPIC
# to share.

set(plain_headers <functional> <map> <memory> <optional> <string> <vector> "<absl/status/statusor.h>"
    "<absl/strings/str_cat.h>" "<absl/synchronization/mutex.h>" "<absl/time/time.h>" "<nlohmann/json.hpp>")
set(plain_links absl::statusor absl::strings absl::synchronization absl::time nlohmann_json::nlohmann_json)

# attnrl_headers(name HEADERS <a.h>... DEPS targets...): the set attnrl_headers_<name>.
function(attnrl_headers name)
  cmake_parse_arguments(ARG "" "" "HEADERS;DEPS" ${ARGN})
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/generated/headers/${name}.cc" CONTENT "// Only carries the precompiled headers.\n")
  add_library(attnrl_headers_${name} OBJECT EXCLUDE_FROM_ALL "${CMAKE_BINARY_DIR}/generated/headers/${name}.cc")
  target_link_libraries(attnrl_headers_${name} PRIVATE attnrl_flags ${ARG_DEPS})
  target_precompile_headers(attnrl_headers_${name} PRIVATE ${ARG_HEADERS})
  if(ATTNRL_HEADERS_LAUNCHER)
    set_target_properties(attnrl_headers_${name} PROPERTIES CXX_COMPILER_LAUNCHER "${ATTNRL_HEADERS_LAUNCHER}")
  endif()
endfunction()

set(torch_headers "<ATen/ATen.h>" ${plain_headers})
set(grpc_headers "<grpcpp/grpcpp.h>" ${plain_headers})
attnrl_headers(plain HEADERS ${plain_headers} DEPS ${plain_links})
attnrl_headers(grpc HEADERS ${grpc_headers} DEPS gRPC::grpc++ ${plain_links})
attnrl_headers(torch HEADERS ${torch_headers} DEPS attnrl_torch ${plain_links})
if(ATTNRL_TESTS)
  attnrl_headers(test_plain HEADERS "<gmock/gmock.h>" ${plain_headers} DEPS GTest::gmock ${plain_links})
  attnrl_headers(test_torch HEADERS "<gmock/gmock.h>" ${torch_headers} DEPS GTest::gmock attnrl_torch ${plain_links})
endif()

# attnrl_reuse_headers(target DEPS): for a library.
function(attnrl_reuse_headers name deps)
  if("attnrl_torch" IN_LIST deps)
    set(set torch)
  elseif(deps MATCHES "(^|;)(proto_attnrl_grpc|common_rpc|gRPC::grpc\\+\\+)(;|$)")
    set(set grpc)
  elseif(deps MATCHES "absl::|common_")
    set(set plain)
  else()
    return()
  endif()
  target_precompile_headers(${name} REUSE_FROM attnrl_headers_${set})
endfunction()

# attnrl_plain_headers(a.cc...): of a library that uses LibTorch, the sources that don't include it take the smaller set,
# which is loaded 2 s faster.
function(attnrl_plain_headers)
  set(header "${CMAKE_BINARY_DIR}/CMakeFiles/attnrl_headers_plain.dir/cmake_pch.hxx")
  set_source_files_properties(${ARGN} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
    set_source_files_properties(${ARGN} PROPERTIES
      COMPILE_OPTIONS "-Winvalid-pch;-include;${header}" OBJECT_DEPENDS "${header}.gch")
  endif()
endfunction()

# attnrl_reuse_test_headers(target SOURCES): for a test, by what its sources include.
function(attnrl_reuse_test_headers name sources)
  target_compile_options(${name} PRIVATE -fPIC)
  set(set test_plain)
  foreach(source ${sources})
    file(STRINGS "${source}" torch REGEX "#include (<ATen/|\"common/(model|attention|device)/|\"services/learner/(train|parameters)/)")
    if(torch)
      set(set test_torch)
    endif()
  endforeach()
  target_precompile_headers(${name} REUSE_FROM attnrl_headers_${set})
endfunction()
