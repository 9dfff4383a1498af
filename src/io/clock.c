/* The system's clocks and randomness, and ids made of them.
 *
 * This is the only file that reads a clock or draws random numbers for the rest of cairn; it is
 * reached through struct io_clock, so that a simulator takes its place. Never used: CLOCK_MONOTONIC
 * (it stops while the machine sleeps, and leases must not).
 * Invariant: an id never sorts before one that the same last_ms saw in an earlier millisecond.
 */
#include "io/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static wall_us system_wall(void *ctx) {
    (void)ctx;
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (wall_us){(int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000};
}

static mono_ns system_mono(void *ctx) {
    (void)ctx;
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    return (mono_ns){(int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
}

static void system_random(void *ctx, void *out, size_t size_bytes) {
    (void)ctx;
    char *at = out;
    while (size_bytes > 0) {
        ssize_t got = getrandom(at, size_bytes, 0);
        ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            size_bytes -= (size_t)got;
        }
    }
}

const struct io_clock io_clock_system = {
    .wall = system_wall,
    .mono = system_mono,
    .random = system_random,
};

/* 100 bits, 5 a character, in an alphabet that sorts like the numbers do. */
static void print_base32(uint64_t high48, uint64_t low52, char out[20]) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    for (int i = 19; i >= 0; i--) {
        out[i] = digits[low52 & 31];
        low52 = low52 >> 5 | (high48 & 31) << 47;
        high48 >>= 5;
    }
}

/* Ids of one millisecond are in no order; those of different milliseconds are. */
void io_execution_id(const struct io_clock *c, int64_t *last_ms, char out[IO_ID_BYTES]) {
    int64_t now_ms = c->wall(c->ctx).us / 1000;
    if (now_ms > *last_ms) {
        *last_ms = now_ms;
    }
    uint64_t noise;
    c->random(c->ctx, &noise, sizeof noise);
    memcpy(out, "exec_", 5);
    print_base32((uint64_t)*last_ms & 0xFFFFFFFFFFFF, noise & 0xFFFFFFFFFFFFF, out + 5);
    out[IO_ID_BYTES - 1] = '\0';
}
