# SPDX-License-Identifier: Apache-2.0
# NVIDIA GPUs: LibTorch's CUDA half, NCCL, and nvcc for .cu files. On by default where `tools/install cuda` has been and
# nvcc is found; off, a build has nothing of it. A binary needs a driver to compute on a GPU, but not to start.
find_program(ATTNRL_NVCC nvcc HINTS "${ATTNRL_DEPS}/nvidia/cu13/bin" /usr/local/cuda/bin)
mark_as_advanced(ATTNRL_NVCC)
if(ATTNRL_NVCC AND EXISTS "${ATTNRL_DEPS}/installed-cuda")
  set(installed ON)
else()
  set(installed OFF)
endif()
option(ATTNRL_CUDA "Build for NVIDIA GPUs too" ${installed})
if(NOT ATTNRL_CUDA)
  return()
endif()
if(NOT installed)
  message(FATAL_ERROR "ATTNRL_CUDA needs nvcc and, in ${ATTNRL_DEPS}, what `tools/install cuda` puts there")
endif()

# Machine code for A100 and H100, and PTX, which the driver compiles for whatever is newer.
set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
set(CMAKE_CUDA_COMPILER "${ATTNRL_NVCC}")
set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_RUNTIME_LIBRARY None)  # LibTorch's, below
set(CMAKE_CUDA_COMPILER_LAUNCHER "${CMAKE_CXX_COMPILER_LAUNCHER}")
enable_language(CUDA)
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")  # which CMake 3.25 doesn't know yet
set(CMAKE_CUDA_FLAGS_RELEASE "-O3 -lineinfo")

file(REAL_PATH "${ATTNRL_NVCC}" toolkit)
cmake_path(GET toolkit PARENT_PATH toolkit)
cmake_path(GET toolkit PARENT_PATH toolkit)
set(nvidia "${ATTNRL_DEPS}/nvidia")
set(libraries "${nvidia}/cu13/lib" "${nvidia}/nccl/lib" "${toolkit}/lib64")
find_library(ATTNRL_CUDART libcudart.so.13 PATHS ${libraries} NO_DEFAULT_PATH REQUIRED)
find_library(ATTNRL_NCCL libnccl.so.2 PATHS ${libraries} NO_DEFAULT_PATH REQUIRED)
mark_as_advanced(ATTNRL_CUDART ATTNRL_NCCL)

# What a library links that calls CUDA's or NCCL's own functions; attnrl_library links it to those with CUDA_SRCS.
add_library(attnrl_cuda INTERFACE)
target_include_directories(attnrl_cuda SYSTEM INTERFACE "${toolkit}/include" "${nvidia}/nccl/include")
target_link_libraries(attnrl_cuda INTERFACE "${ATTNRL_CUDART}" "${ATTNRL_NCCL}" "${torch}/lib/libc10_cuda.so")

# Nothing calls libtorch_cuda by name: it registers itself when it is loaded, so the linker must not drop it. What the
# toolkit has isn't in the wheels' folders, where libtorch_cuda looks.
target_link_options(attnrl_torch INTERFACE "-Wl,-rpath,${toolkit}/lib64")
target_link_libraries(attnrl_torch INTERFACE
  "-Wl,--push-state,--no-as-needed,${torch}/lib/libtorch_cuda.so,--pop-state")
