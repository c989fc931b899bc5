# `cmake --install`: the program with its manual page and completions, the library as one archive
# with its headers, and what find_package(kvasir) and pkg-config need.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(kvasir_objects)
foreach(module base grammar jinja kernels cache methods model engine)
  list(APPEND kvasir_objects $<TARGET_OBJECTS:kvasir_${module}>)
endforeach()
add_library(kvasir_library STATIC ${kvasir_objects})
set_target_properties(kvasir_library PROPERTIES
  OUTPUT_NAME kvasir EXPORT_NAME kvasir LINKER_LANGUAGE CXX)
target_compile_features(kvasir_library INTERFACE cxx_std_20)
target_include_directories(kvasir_library INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/kvasir/internal>)
target_link_libraries(kvasir_library
  PUBLIC fmt::fmt
  PRIVATE Threads::Threads hwy::hwy PkgConfig::PCRE2 PkgConfig::XXHASH)

install(TARGETS kvasir_library EXPORT kvasir ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/kvasir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# What include/kvasir/method.h includes, and what those include.
foreach(header
    base/buffer.h base/result.h base/thread_pool.h
    kernels/attention.h kernels/codec.h kernels/isa.h kernels/plane_format.h kernels/transform.h
    cache/encoding.h cache/head_cache.h cache/head_run.h cache/key_map.h cache/merge_sets.h cache/page.h cache/page_pool.h
    cache/plan.h cache/value_map.h
    methods/method.h methods/registry.h methods/side_file.h methods/spec.h)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${PROJECT_SOURCE_DIR}/src/${header}
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kvasir/internal/${folder})
endforeach()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/kvasir)
install(EXPORT kvasir NAMESPACE kvasir:: FILE kvasirTargets.cmake DESTINATION ${package_folder})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/kvasirConfig.cmake.in
  kvasirConfig.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(kvasirConfigVersion.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH prefix_from_pc ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${PROJECT_SOURCE_DIR}/cmake/kvasir.pc.in kvasir.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/kvasirConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/kvasirConfigVersion.cmake DESTINATION ${package_folder})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/kvasir.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(TARGET kvasir)
  install(TARGETS kvasir RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  # The program prints its own page and completions, all from its one table of flags.
  function(kvasir_install_output folder file)
    add_custom_command(OUTPUT installed/${file} VERBATIM
      COMMAND ${CMAKE_COMMAND} -E make_directory installed
      COMMAND kvasir ${ARGN} > installed/${file} DEPENDS kvasir)
    set_property(GLOBAL APPEND PROPERTY KVASIR_INSTALLED
      ${CMAKE_CURRENT_BINARY_DIR}/installed/${file})
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/installed/${file} DESTINATION ${folder})
  endfunction()
  kvasir_install_output(${CMAKE_INSTALL_MANDIR}/man1 kvasir.1 man)
  kvasir_install_output(${CMAKE_INSTALL_DATADIR}/bash-completion/completions kvasir
    completion bash)
  kvasir_install_output(${CMAKE_INSTALL_DATADIR}/zsh/site-functions _kvasir completion zsh)
  kvasir_install_output(${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d kvasir.fish
    completion fish)
  get_property(outputs GLOBAL PROPERTY KVASIR_INSTALLED)
  add_custom_target(kvasir_installed_pages ALL DEPENDS ${outputs})
endif()

# A sanitized archive would need the sanitizer in every program that links it.
if(KVASIR_TESTS AND NOT KVASIR_SANITIZE)
  add_test(NAME install COMMAND ${PROJECT_SOURCE_DIR}/tests/install/install_test.sh
    ${CMAKE_BINARY_DIR} ${CMAKE_CXX_COMPILER})
endif()
