/* Monotonic time, and how far the wall clock is from it. Knows no records. */
#pragma once
#include <stdint.h>
#include <time.h>

struct offset_sample {
    int64_t mono_ns, offset_ns; /* offset = CLOCK_REALTIME - CLOCK_MONOTONIC */
};

static inline int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The narrowest of a few sandwiches: a preemption between two readings would look like a step of the clock. */
static inline struct offset_sample clock_offset(void)
{
    struct offset_sample found = {0, 0};
    int64_t best = INT64_MAX;
    for (int i = 0; i < 5 && best > 2000; i++) {
        int64_t before = clock_ns(CLOCK_MONOTONIC), real = clock_ns(CLOCK_REALTIME), after = clock_ns(CLOCK_MONOTONIC);
        if (after - before < best) {
            best = after - before;
            found.mono_ns = before + best / 2;
            found.offset_ns = real - found.mono_ns;
        }
    }
    return found;
}
