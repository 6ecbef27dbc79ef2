# SPDX-License-Identifier: Apache-2.0
# The four kinds of target. Names follow folders: common/text -> common_text,
# services/verifier/rpc -> verifier_rpc. A LibTorch user names attnrl_torch in DEPS.

# attnrl_unity(target): six of its files at a time are one unit to the compiler, so headers' templates are instantiated
# once for them. Files of a target then share their anonymous namespaces, in which no two may use a name.
function(attnrl_unity name)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${ATTNRL_UNITY} UNITY_BUILD_BATCH_SIZE 6)
  # Members of classes of these namespaces are meant, though the unit is no header.
  target_compile_options(${name} PRIVATE "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>")
endfunction()

# attnrl_library(name SRCS a.cc... [CUDA_SRCS a.cu b.cc...] [CPU_SRCS c.cc...] [SEPARATE] DEPS other...); without SRCS it
# is headers alone. CUDA_SRCS, compiled by nvcc or against CUDA's headers, are part of a build with ATTNRL_CUDA, CPU_SRCS
# of one without. SEPARATE: no unity, for files that are alike and use the same names.
function(attnrl_library name)
  cmake_parse_arguments(ARG "SEPARATE" "" "SRCS;CUDA_SRCS;CPU_SRCS;DEPS" ${ARGN})
  if(NOT ATTNRL_CUDA)
    list(APPEND ARG_SRCS ${ARG_CPU_SRCS})
  elseif(ARG_CUDA_SRCS)
    list(APPEND ARG_SRCS ${ARG_CUDA_SRCS})
  endif()
  if(ARG_SRCS)
    add_library(${name} STATIC ${ARG_SRCS})
    target_link_libraries(${name} PRIVATE attnrl_flags PUBLIC ${ARG_DEPS})
    target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}")
    attnrl_reuse_headers(${name} "${ARG_DEPS}")
    if(NOT ARG_SEPARATE)
      attnrl_unity(${name})
    endif()
    if(ATTNRL_CUDA AND ARG_CUDA_SRCS)
      target_link_libraries(${name} PRIVATE attnrl_cuda)  # whoever links it compiles as without CUDA
    endif()
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${ARG_DEPS})
    target_include_directories(${name} INTERFACE "${CMAKE_SOURCE_DIR}")
  endif()
endfunction()

# attnrl_binary(name SRCS main.cc... DEPS other...): lands in build/bin.
function(attnrl_binary name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE attnrl_flags ${ARG_DEPS})
endfunction()

# attnrl_test(name SRCS a_test.cc... DEPS other...): one ctest case a TEST; lands in build/tests. With a LABEL,
# `ctest -L` finds them, and a target with _tests behind it builds all: "kernels" are those of device kernels, emulated.
function(attnrl_test name)
  if(NOT ATTNRL_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "TIMEOUT;LABEL" "SRCS;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SRCS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_link_libraries(${name} PRIVATE attnrl_flags ${ARG_DEPS} common_testing GTest::gmock GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE ATTNRL_SOURCE_DIR="${CMAKE_SOURCE_DIR}" ATTNRL_BINARY_DIR="${CMAKE_BINARY_DIR}")
  if(ATTNRL_SANITIZE STREQUAL "thread")
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:abseil_for_thread_sanitizer>)
    target_link_libraries(${name} PRIVATE absl::strings absl::synchronization absl::time)
  endif()
  attnrl_reuse_test_headers(${name} "${ARG_SRCS}")
  attnrl_unity(${name})
  if(ARG_LABEL)
    if(NOT TARGET ${ARG_LABEL}_tests)
      add_custom_target(${ARG_LABEL}_tests)
    endif()
    add_dependencies(${ARG_LABEL}_tests ${name})
  endif()
  # On a busy machine LibTorch alone may take longer to load than the 5 s that are the default.
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABEL}")
endfunction()

# attnrl_proto(name PROTOS a.proto... DEPS other...): messages in <name>, stubs in <name>_grpc.
function(attnrl_proto name)
  cmake_parse_arguments(ARG "" "" "PROTOS;DEPS" ${ARGN})
  set(out "${CMAKE_BINARY_DIR}/generated")
  file(MAKE_DIRECTORY "${out}")
  set(message_sources)
  set(stub_sources)
  foreach(proto ${ARG_PROTOS})
    string(REPLACE ".proto" "" stem "${proto}")
    set(stem "proto/attnrl/v1/${stem}")
    add_custom_command(
      OUTPUT ${out}/${stem}.pb.cc ${out}/${stem}.pb.h ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h
      COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR} --cpp_out=${out} --grpc_out=${out}
              --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin> ${CMAKE_SOURCE_DIR}/${stem}.proto
      DEPENDS ${CMAKE_SOURCE_DIR}/${stem}.proto VERBATIM)
    list(APPEND message_sources ${out}/${stem}.pb.cc)
    list(APPEND stub_sources ${out}/${stem}.grpc.pb.cc)
  endforeach()
  add_library(${name} STATIC ${message_sources})
  target_include_directories(${name} SYSTEM PUBLIC "${out}")
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
  add_library(${name}_grpc STATIC ${stub_sources})
  target_include_directories(${name}_grpc SYSTEM PUBLIC "${out}")
  target_link_libraries(${name}_grpc PUBLIC ${name} gRPC::grpc++)
endfunction()
