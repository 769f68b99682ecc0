# What is installed: the header and its parts, the shared library, its pkg-config file and CMake package, the
# vocabularies that may be passed on, the program, and its man page and completions, which the
# program writes itself from its options.

# Relative to itself, so that an installed tree may be moved.
file(RELATIVE_PATH PREFIX_FROM_PC /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
string(REGEX REPLACE "/$" "" PREFIX_FROM_PC ${PREFIX_FROM_PC})
configure_file(cmake/imgen.pc.in imgen.pc @ONLY)
configure_package_config_file(cmake/imgenConfig.cmake.in imgenConfig.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/imgen
    NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(imgenConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(FILES include/imgen.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/imgen DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES data/clip/merges.txt data/clip/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/imgen/clip)
install(TARGETS imgen EXPORT imgenTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET imgen_video)
    install(TARGETS imgen_video LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/imgen)
endif()
install(EXPORT imgenTargets NAMESPACE imgen:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/imgen)
install(FILES ${PROJECT_BINARY_DIR}/imgen.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_BINARY_DIR}/imgenConfig.cmake ${PROJECT_BINARY_DIR}/imgenConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/imgen)

if(TARGET imgen_cli)
    set(pages ${PROJECT_BINARY_DIR}/pages)
    add_custom_command(
        OUTPUT ${pages}/imgen.1 ${pages}/imgen.bash ${pages}/imgen.zsh ${pages}/imgen.fish
        COMMAND ${CMAKE_COMMAND} -E make_directory ${pages}
        COMMAND imgen_cli man > ${pages}/imgen.1
        COMMAND imgen_cli completion bash > ${pages}/imgen.bash
        COMMAND imgen_cli completion zsh > ${pages}/imgen.zsh
        COMMAND imgen_cli completion fish > ${pages}/imgen.fish
        DEPENDS imgen_cli imgen
        VERBATIM)
    add_custom_target(imgen_pages ALL DEPENDS ${pages}/imgen.1)

    install(TARGETS imgen_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(FILES ${pages}/imgen.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${pages}/imgen.bash RENAME imgen
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${pages}/imgen.zsh RENAME _imgen
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install(FILES ${pages}/imgen.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
