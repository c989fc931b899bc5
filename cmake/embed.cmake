# kvasir_embed(target name file): the file's text in the target, as `extern const std::string_view
# kvasir::embedded::<name>`. So the program stays one file, and a page is edited as what it is.
function(kvasir_embed target name file)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded/${name}.cc)
  add_custom_command(OUTPUT ${source} VERBATIM DEPENDS ${file} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DFILE=${file} -DSOURCE=${source}
            -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
  target_sources(${target} PRIVATE ${source})
endfunction()

if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${FILE} text)
  file(WRITE ${SOURCE}
    "#include <string_view>\n"
    "namespace kvasir::embedded {\n"
    "extern constinit const std::string_view ${NAME} = R\"embedded(${text})embedded\";\n"
    "}  // namespace kvasir::embedded\n")
endif()
