# One static library a folder of src/, one test executable a folder of tests/. Files are found by
# pattern: adding a method, an architecture or a test is adding a file.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(hwy REQUIRED CONFIG)
pkg_check_modules(TOML REQUIRED tomlplusplus)  # used header-only, without exceptions
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_package(Boost 1.74 REQUIRED)  # Asio and Beast: headers only

# The files of a target in batches, each compiled as one file: what they all include is read, and its
# templates made, once. For targets where that takes most of the time; names in unnamed namespaces
# have to differ there. The debug preset compiles file by file.
function(kvasir_batches target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${KVASIR_UNITY} UNITY_BUILD_BATCH_SIZE 7)
endfunction()

# kvasir_module(name [JSON] DEPS libraries...); JSON: its files include <nlohmann/json.hpp>, mostly
function(kvasir_module name)
  cmake_parse_arguments(ARG "JSON" "" "DEPS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cc)
  add_library(kvasir_${name} STATIC ${sources})
  target_include_directories(kvasir_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(kvasir_${name} PUBLIC ${ARG_DEPS})
  if(ARG_JSON)
    kvasir_headers(kvasir_${name})
  endif()
endfunction()

# JSON and fmt take a third of the time of most files that use them: read once for all of them. The
# fuzz preset compiles without, so that no file lives on what another includes.
file(WRITE ${PROJECT_BINARY_DIR}/common_headers.cc "")
add_library(common_headers OBJECT ${PROJECT_BINARY_DIR}/common_headers.cc)
target_precompile_headers(common_headers PRIVATE <fmt/format.h> <nlohmann/json.hpp> <tl/expected.hpp>)
target_link_libraries(common_headers PRIVATE fmt::fmt)
# What GCC 12 says wrongly of code inlined from std::string it keeps to itself in a system header, but
# not in a precompiled one.
set(header_options $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds> $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overread>)
target_compile_options(common_headers PRIVATE ${header_options})
function(kvasir_headers target)
  target_compile_options(${target} PRIVATE ${header_options})
  target_precompile_headers(${target} REUSE_FROM common_headers)
endfunction()

kvasir_module(base DEPS fmt::fmt Threads::Threads PkgConfig::XXHASH)
kvasir_module(jinja JSON DEPS kvasir_base)
kvasir_batches(kvasir_jinja)
# Names of Python's that others have, too.
set_source_files_properties(src/jinja/container_methods.cc src/jinja/string_methods.cc
                            src/jinja/string_search.cc src/jinja/tests.cc
                            PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
kvasir_module(grammar JSON DEPS kvasir_base)
kvasir_module(kernels DEPS kvasir_base hwy::hwy)
kvasir_module(cache DEPS kvasir_base kvasir_kernels)
kvasir_module(methods JSON DEPS kvasir_cache)
kvasir_module(model JSON DEPS kvasir_base kvasir_kernels kvasir_jinja PkgConfig::PCRE2 PkgConfig::XXHASH)
kvasir_module(engine JSON DEPS kvasir_methods kvasir_model kvasir_grammar)
kvasir_batches(kvasir_engine)
kvasir_module(eval JSON DEPS kvasir_engine)
kvasir_batches(kvasir_eval)

# The page of `kvasir report`: ours, and Chart.js of Debian's libjs-chart.js.
find_file(CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js REQUIRED)
set(page ${PROJECT_SOURCE_DIR}/src/eval/page)
kvasir_embed(kvasir_eval kChartJs ${CHART_JS})
kvasir_embed(kvasir_eval kReportHtml ${page}/report.html)
kvasir_embed(kvasir_eval kReportCss ${page}/report.css)
kvasir_embed(kvasir_eval kReportScript ${page}/page.js ${page}/specs.js ${page}/charts.js
             ${page}/curves.js ${page}/table.js ${page}/heat.js ${page}/samples.js ${page}/main.js)

kvasir_module(server JSON DEPS kvasir_engine Boost::headers)
kvasir_batches(kvasir_server)
if(KVASIR_SANITIZE MATCHES thread)
  # The thread sanitizer knows no fences. Asio's queues have mutexes, which order the same things.
  target_compile_definitions(kvasir_server PUBLIC BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()
kvasir_embed(kvasir_server page_html ${PROJECT_SOURCE_DIR}/src/server/page/index.html)
kvasir_embed(kvasir_server page_css ${PROJECT_SOURCE_DIR}/src/server/page/page.css)
kvasir_embed(kvasir_server page_js ${PROJECT_SOURCE_DIR}/src/server/page/page.js)
kvasir_embed(kvasir_server page_client_js ${PROJECT_SOURCE_DIR}/src/server/page/client.js)

# One file a subcommand.
file(GLOB app_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/apps/*.cc)
if(app_sources)
  add_executable(kvasir ${app_sources})
  target_link_libraries(kvasir PRIVATE kvasir_eval kvasir_server PkgConfig::PNG PkgConfig::EDIT)
  target_compile_definitions(kvasir PRIVATE KVASIR_VERSION="${PROJECT_VERSION}")
  kvasir_batches(kvasir)
endif()

if(KVASIR_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  # GoogleTest and JSON take longer to read than most tests to compile: read once for all tests.
  file(WRITE ${PROJECT_BINARY_DIR}/test_headers.cc "")
  add_library(test_headers OBJECT ${PROJECT_BINARY_DIR}/test_headers.cc)
  target_precompile_headers(test_headers PRIVATE <gmock/gmock.h> <nlohmann/json.hpp>)
  target_link_libraries(test_headers PRIVATE fmt::fmt Threads::Threads GTest::gmock)
  set_target_properties(test_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  # As the tests that use it; they are read more often than run, so they are compiled quickly.
  # At -O1 GCC 12 sees array bounds overrun inside std::string that are not.
  set(test_options -O1 -fPIE $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds>)
  target_compile_options(test_headers PRIVATE ${test_options})
  set_source_files_properties(tests/paths.cc PROPERTIES COMPILE_DEFINITIONS
                              KVASIR_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  # kvasir_tests(name [MODULE module]): tests/<name>/*_test.cc as one executable, one ctest entry,
  # with the module of that name or the one given.
  function(kvasir_tests name)
    cmake_parse_arguments(ARG "" "MODULE" "" ${ARGN})
    if(NOT ARG_MODULE)
      set(ARG_MODULE ${name})
    endif()
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${name}/*_test.cc)
    if(NOT sources)
      return()
    endif()
    add_executable(${name}_test ${sources} ${PROJECT_SOURCE_DIR}/tests/paths.cc
                                ${PROJECT_SOURCE_DIR}/tests/temp_dir.cc)
    target_link_libraries(${name}_test PRIVATE kvasir_${ARG_MODULE} GTest::gtest_main GTest::gmock)
    target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})
    target_precompile_headers(${name}_test REUSE_FROM test_headers)
    target_compile_options(${name}_test PRIVATE ${test_options})
    add_test(NAME ${name} COMMAND ${name}_test)
  endfunction()
  foreach(module base grammar jinja kernels cache methods model engine eval server)
    kvasir_tests(${module})
  endforeach()
  foreach(module model engine eval server)
    kvasir_batches(${module}_test)
  endforeach()
  if(NOT KVASIR_SANITIZE)
    kvasir_tests(allocations MODULE engine)  # apart: it replaces operator new, as sanitizers do
  endif()
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  # tests/fuzz/<name>_fuzz.cc: its corpus, and inputs made from it.
  file(GLOB fuzzers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*_fuzz.cc)
  add_library(fuzz_inputs_main OBJECT ${PROJECT_SOURCE_DIR}/tests/fuzz/inputs_main.cc)
  foreach(source ${fuzzers})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name}_inputs ${source} $<TARGET_OBJECTS:fuzz_inputs_main>)
    target_link_libraries(${name}_inputs PRIVATE kvasir_server)
    add_test(NAME ${name} COMMAND ${name}_inputs ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name} 50000)
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
  endforeach()
  add_test(NAME cli COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/cli/cli_test.py
                            $<TARGET_FILE:kvasir>)
  set_tests_properties(cli PROPERTIES RUN_SERIAL ON)  # it waits for terminals and signals
  add_test(NAME ruler COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/cli/ruler_test.py
                              $<TARGET_FILE:kvasir>)
  add_test(NAME load_maker COMMAND ${Python3_EXECUTABLE}
                                   ${PROJECT_SOURCE_DIR}/tests/bench/load_maker_test.py)
  add_test(NAME results_tools COMMAND ${Python3_EXECUTABLE}
                                      ${PROJECT_SOURCE_DIR}/tests/results/tools_test.py)
endif()

if(KVASIR_FUZZ)
  # tests/fuzz/<name>_fuzz.cc, each linked with everything below the engine.
  file(GLOB fuzzers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*_fuzz.cc)
  foreach(source ${fuzzers})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE kvasir_server)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endforeach()
endif()

if(KVASIR_BENCH)
  # bench/<folder>/<name>_bench.cc
  foreach(folder engine grammar kernels)
    file(GLOB benches CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/${folder}/*_bench.cc)
    foreach(source ${benches})
      get_filename_component(name ${source} NAME_WE)
      add_executable(${name} ${source})
      target_link_libraries(${name} PRIVATE kvasir_engine)
    endforeach()
  endforeach()
endif()
