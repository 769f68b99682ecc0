# Tests: one program for each test/*/test_*.c, the scripts of test/install and script, and, with
# clang, one fuzz target for each test/fuzz/fuzz_*.c.

if(IMGEN_TESTS)
    enable_testing()
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

    file(GLOB SUPPORT_SOURCES CONFIGURE_DEPENDS test/support/*.c)
    add_library(imgen_test_support STATIC ${SUPPORT_SOURCES})
    target_include_directories(imgen_test_support PUBLIC test)
    target_link_libraries(imgen_test_support PUBLIC imgen_static PkgConfig::CMOCKA)
    if(TARGET imgen_video)
        add_dependencies(imgen_test_support imgen_video)
    endif()
    target_compile_definitions(imgen_test_support PUBLIC
        GOLDEN_DIR="${PROJECT_SOURCE_DIR}/test/golden" SHARED_DIR="${PROJECT_SOURCE_DIR}/../shared")

    file(GLOB TEST_SOURCES CONFIGURE_DEPENDS test/*/test_*.c)
    foreach(source ${TEST_SOURCES})
        get_filename_component(name ${source} NAME_WE)
        add_executable(${name} ${source})
        target_link_libraries(${name} PRIVATE imgen_test_support)
        # These make the library's own calls of the system fail: test/support/failing.h.
        if(name MATCHES "^test_fail_")
            foreach(call malloc calloc realloc aligned_alloc strdup open fopen opendir
                         read write fflush fsync rename mmap pthread_create json_loadb)
                target_link_options(${name} PRIVATE -Wl,--wrap=${call})
            endforeach()
        endif()
        add_test(NAME ${name} COMMAND ${name})
        # Several tests run side by side; a thread that waits must not burn the other's processor.
        set_tests_properties(${name} PROPERTIES
            TIMEOUT 600 ENVIRONMENT "OMP_WAIT_POLICY=passive")
    endforeach()
    # Those in which threads of the project's own run: loading, callbacks, several calls on one model.
    # The thread sanitizer runs these alone, with one OpenMP thread (CONTRIBUTING).
    set_tests_properties(test_loader test_run test_api PROPERTIES LABELS threads)
    foreach(name test_parity test_theory test_golden)
        if(TARGET ${name})
            target_link_libraries(${name} PRIVATE parity_objects)
        endif()
    endforeach()

    add_test(NAME layers COMMAND ${PROJECT_SOURCE_DIR}/script/check-layers ${PROJECT_SOURCE_DIR})
    add_test(NAME architecture COMMAND
        ${PROJECT_SOURCE_DIR}/script/check-architecture ${PROJECT_SOURCE_DIR})
    add_test(NAME exports COMMAND ${PROJECT_SOURCE_DIR}/test/install/exports $<TARGET_FILE:imgen>)
    if(TARGET imgen_cli AND NOT IMGEN_SANITIZE)
        add_test(NAME install COMMAND
            ${PROJECT_SOURCE_DIR}/test/install/install ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
        set_tests_properties(install PROPERTIES TIMEOUT 600)
        add_test(NAME foreign_model COMMAND ${PROJECT_SOURCE_DIR}/test/install/foreign
            ${PROJECT_SOURCE_DIR} $<TARGET_FILE:imgen> ${PROJECT_SOURCE_DIR}/../shared/data/ddpm-tiny)
        add_test(NAME text_to_picture COMMAND ${PROJECT_SOURCE_DIR}/test/install/text_to_picture
            ${PROJECT_SOURCE_DIR} $<TARGET_FILE:imgen> $<TARGET_FILE:imgen_cli>
            ${PROJECT_SOURCE_DIR}/../shared)
        set_tests_properties(foreign_model text_to_picture PROPERTIES SKIP_RETURN_CODE 77
            TIMEOUT 300 ENVIRONMENT "OMP_WAIT_POLICY=passive")
    endif()
    if(TARGET imgen_cli)
        file(GLOB CLI_TESTS CONFIGURE_DEPENDS test/cli/test_*)
        foreach(script ${CLI_TESTS})
            get_filename_component(name ${script} NAME)
            string(REPLACE "test_" "cli_" name ${name})
            add_test(NAME ${name} COMMAND ${script} $<TARGET_FILE:imgen_cli> ${PROJECT_SOURCE_DIR})
            set_tests_properties(${name} PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
        endforeach()
    endif()
endif()

if(IMGEN_FUZZ)
    add_library(imgen_fuzz_support STATIC test/fuzz/png_chunks.c)
    target_include_directories(imgen_fuzz_support PUBLIC test)
    target_link_libraries(imgen_fuzz_support PUBLIC imgen_static)
    file(GLOB FUZZ_SOURCES CONFIGURE_DEPENDS test/fuzz/fuzz_*.c)
    foreach(source ${FUZZ_SOURCES})
        get_filename_component(name ${source} NAME_WE)
        add_executable(${name} ${source})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        target_link_libraries(${name} PRIVATE imgen_fuzz_support)
    endforeach()
endif()
