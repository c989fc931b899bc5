# kvasir_embed(target name files...): the text of the files, one after the other, in the target, as
# `extern const std::string_view kvasir::embedded::<name>`. So the program stays one file, and a page
# is edited as what it is.
function(kvasir_embed target name)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded/${name}.cc)
  set(script ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
  add_custom_command(OUTPUT ${source} VERBATIM DEPENDS ${ARGN} ${script}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} "-DFILES=${ARGN}" -DSOURCE=${source} -P ${script})
  target_sources(${target} PRIVATE ${source})
endfunction()

if(CMAKE_SCRIPT_MODE_FILE)
  set(all "")
  foreach(file ${FILES})
    file(READ ${file} text)
    string(APPEND all "${text}")
  endforeach()
  file(WRITE ${SOURCE}
    "#include <string_view>\n"
    "namespace kvasir::embedded {\n"
    "extern constinit const std::string_view ${NAME} = R\"embedded(${all})embedded\";\n"
    "}  // namespace kvasir::embedded\n")
endif()
