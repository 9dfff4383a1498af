/* Clocks and randomness as an interface, so that the simulator replaces them. Nothing else in
 * cairn reads a clock or draws a random number.
 */
#ifndef CAIRN_IO_CLOCK_H
#define CAIRN_IO_CLOCK_H

#include "base/base.h"

struct io_clock {
    void *ctx;
    wall_us (*wall)(void *ctx); /* CLOCK_REALTIME, may jump */
    mono_ns (*mono)(void *ctx); /* CLOCK_BOOTTIME: counts while suspended */
    void (*random)(void *ctx, void *out, size_t size_bytes); /* getrandom */
};

extern const struct io_clock io_clock_system;

#define IO_ID_BYTES 26 /* "exec_" + 20 + NUL */

/* A new execution id: exec_ + 20 characters 0-9a-v (48 bits of milliseconds that never go back
 * against *last_ms, + 52 random bits); sorts by time. */
void io_execution_id(const struct io_clock *c, int64_t *last_ms, char out[IO_ID_BYTES]);

#endif
