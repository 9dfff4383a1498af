/* ASSERT: a bug stops the process, in release builds too: better no record than a wrong one.
 * Never used for anything that input, the disk or another process can cause.
 */
#ifndef CAIRN_BASE_ASSERT_H
#define CAIRN_BASE_ASSERT_H

#define ASSERT(cond) ((cond) ? (void)0 : assert_fail(#cond, __FILE__, __LINE__, __func__))

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Prints the failed condition to stderr and aborts; inside a trap (base/trap.h) leaves by that. */
_Noreturn void assert_fail(const char *cond, const char *file, int line, const char *func);

#endif
