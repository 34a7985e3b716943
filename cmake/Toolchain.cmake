# SPDX-License-Identifier: Apache-2.0
# Language, warnings and sanitizers: the same for every target.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR "Towpath is built with clang 19 (g++ 12 miscompiles coroutines): "
                      "run script/setup, then cmake --preset release")
endif()

set(TOWPATH_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=...")
add_compile_options(-Wall -Wextra -Wpedantic -Werror -Wshadow -Wno-missing-field-initializers
                    -Wno-missing-designated-field-initializers
                    -Wno-deprecated-declarations)  # libstdc++ 12's own stable_sort warns under clang
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
                        BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_DISABLE_BOOST_ARRAY)
add_link_options(-fuse-ld=mold)
if(TOWPATH_SANITIZE)
  add_compile_options(-fsanitize=${TOWPATH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TOWPATH_SANITIZE})
endif()

# Everything is instrumented for libFuzzer; its main is linked into the fuzz targets alone.
option(TOWPATH_FUZZ "Build the fuzz targets" OFF)
if(TOWPATH_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()
