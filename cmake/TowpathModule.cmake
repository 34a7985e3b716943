# SPDX-License-Identifier: Apache-2.0
# towpath_module(NAME USES other... [LINK library...] [TEST_LINK library...])
#
# One folder under src/ is one module: every *.cpp in it and below is its library, every
# *_test.cpp its test program, every *_fuzz.cpp a fuzz target (preset fuzz). USES is the list of modules whose
# faces it may include; script/check holds the includes against it.
# An implementation in a subfolder may have its own call from there: NAME is then "engine_local".
function(towpath_module name)
  cmake_parse_arguments(M "" "" "USES;LINK;TEST_LINK;EXCLUDE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  foreach(folder IN LISTS M_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/${folder}/")
  endforeach()
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(targets ${sources})
  list(FILTER targets INCLUDE REGEX "_fuzz\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cpp$")

  if(sources)
    add_library(towpath_${name} STATIC ${sources})
    set(reach PUBLIC)
  else()  # a face alone
    add_library(towpath_${name} INTERFACE)
    set(reach INTERFACE)
  endif()
  target_include_directories(towpath_${name} ${reach} "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(towpath_${name} ${reach} ${M_LINK} Threads::Threads)
  foreach(module IN LISTS M_USES)
    target_link_libraries(towpath_${name} ${reach} towpath_${module})
  endforeach()
  if(NOT name STREQUAL "base")
    target_link_libraries(towpath_${name} ${reach} towpath_base)
  endif()

  if(tests AND BUILD_TESTING)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE towpath_${name} ${M_TEST_LINK} GTest::gtest GTest::gmock
                                               GTest::gtest_main)
    # The limits end what hangs; they say nothing of speed, and a machine that others keep busy must not meet them.
    set(properties TIMEOUT 1800)
    # Programs whose tests need containers or a proxy run one test at a time; the first of them makes base images.
    if("${tests}" MATCHES "_real_test\\.cpp")
      list(APPEND properties LABELS real RUN_SERIAL TRUE)
    endif()
    gtest_discover_tests(${name}_test NO_PRETTY_VALUES DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120
                         PROPERTIES ${properties})
  endif()

  if(TOWPATH_FUZZ)
    foreach(target IN LISTS targets)
      get_filename_component(program "${target}" NAME_WE)
      add_executable(${program} "${target}")
      target_link_libraries(${program} PRIVATE towpath_${name})
      target_link_options(${program} PRIVATE -fsanitize=fuzzer)
      set_property(GLOBAL APPEND PROPERTY towpath_fuzz_targets ${program})
    endforeach()
  endif()
endfunction()
