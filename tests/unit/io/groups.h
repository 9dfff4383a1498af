/* What io's groups of tests share with main.c: one function per file, the number that failed. */
#ifndef CAIRN_TESTS_IO_GROUPS_H
#define CAIRN_TESTS_IO_GROUPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int run_beat_tests(void);
int run_clock_tests(void);
int run_contain_tests(void);
int run_death_tests(void);
int run_file_tests(void);
int run_gather_tests(void);
int run_launcher_tests(void);
int run_lock_tests(void);
int run_loop_tests(void);
int run_place_tests(void);
int run_scratch_tests(void);
int run_tree_tests(void);

/* The argument with which unit-io is not the tests but the program that one of them starts. */
#define LEAVE_A_FOLDER "--leave-a-folder"
void scratch_leave(void);

#endif
