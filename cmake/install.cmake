# What `cmake --install` puts where: the library twice, the public headers and tables, and what
# pkg-config and find_package need to find them. Programs install themselves in their folders.
include(CMakePackageConfigHelpers)

set_target_properties(shoal PROPERTIES EXPORT_NAME static)
set_target_properties(shoal-shared PROPERTIES EXPORT_NAME shoal)
add_library(shoal::static ALIAS shoal)
add_library(shoal::shoal ALIAS shoal-shared)

install(TARGETS shoal shoal-shared EXPORT ShoalTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY engine/include/shoal DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h" PATTERN "*.def")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Shoal)
install(EXPORT ShoalTargets NAMESPACE shoal:: DESTINATION ${package_dir})
configure_package_config_file(cmake/ShoalConfig.cmake.in ${CMAKE_BINARY_DIR}/ShoalConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/ShoalConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/ShoalConfig.cmake ${CMAKE_BINARY_DIR}/ShoalConfigVersion.cmake
        DESTINATION ${package_dir})

# The prefix is known at install time only: cmake --install --prefix may differ from configure's.
install(CODE "set(PROJECT_DESCRIPTION \"${PROJECT_DESCRIPTION}\")
set(PROJECT_VERSION \"${PROJECT_VERSION}\")
set(CMAKE_INSTALL_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
set(CMAKE_INSTALL_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
get_filename_component(CMAKE_INSTALL_PREFIX \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
configure_file(\"${CMAKE_SOURCE_DIR}/cmake/shoal.pc.in\" \"${CMAKE_BINARY_DIR}/shoal.pc\" @ONLY)")
install(FILES ${CMAKE_BINARY_DIR}/shoal.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
