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

# kvasir_module(name DEPS libraries...)
function(kvasir_module name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cc)
  add_library(kvasir_${name} STATIC ${sources})
  target_include_directories(kvasir_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(kvasir_${name} PUBLIC ${ARG_DEPS})
endfunction()

kvasir_module(base DEPS fmt::fmt Threads::Threads PkgConfig::XXHASH)
kvasir_module(jinja DEPS kvasir_base)
kvasir_module(grammar DEPS kvasir_base)
kvasir_module(kernels DEPS kvasir_base hwy::hwy)
kvasir_module(cache DEPS kvasir_base kvasir_kernels)
kvasir_module(methods DEPS kvasir_cache)
kvasir_module(model DEPS kvasir_base kvasir_kernels kvasir_jinja PkgConfig::PCRE2 PkgConfig::XXHASH)
kvasir_module(engine DEPS kvasir_methods kvasir_model kvasir_grammar)
kvasir_module(eval DEPS kvasir_engine)

# The page of `kvasir report`: ours, and Chart.js of Debian's libjs-chart.js.
find_file(CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js REQUIRED)
set(page ${PROJECT_SOURCE_DIR}/src/eval/page)
kvasir_embed(kvasir_eval kChartJs ${CHART_JS})
kvasir_embed(kvasir_eval kReportHtml ${page}/report.html)
kvasir_embed(kvasir_eval kReportCss ${page}/report.css)
kvasir_embed(kvasir_eval kReportScript ${page}/page.js ${page}/specs.js ${page}/charts.js
             ${page}/curves.js ${page}/table.js ${page}/heat.js ${page}/samples.js ${page}/main.js)

kvasir_module(server DEPS kvasir_engine Boost::headers)
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
    add_executable(${name}_test ${sources} ${PROJECT_SOURCE_DIR}/tests/paths.cc)
    target_link_libraries(${name}_test PRIVATE kvasir_${ARG_MODULE} GTest::gtest_main GTest::gmock)
    target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})
    target_precompile_headers(${name}_test REUSE_FROM test_headers)
    target_compile_options(${name}_test PRIVATE ${test_options})
    add_test(NAME ${name} COMMAND ${name}_test)
  endfunction()
  foreach(module base grammar jinja kernels cache methods model engine eval server)
    kvasir_tests(${module})
  endforeach()
  kvasir_tests(allocations MODULE engine)  # apart: it replaces operator new
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
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
  foreach(folder grammar kernels)
    file(GLOB benches CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/${folder}/*_bench.cc)
    foreach(source ${benches})
      get_filename_component(name ${source} NAME_WE)
      add_executable(${name} ${source})
      target_link_libraries(${name} PRIVATE kvasir_engine)
    endforeach()
  endforeach()
endif()
