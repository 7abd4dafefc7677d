/* Asks to be woken on an absolute schedule, works for a moment each time, and writes down how late each piece of work was done:
 * `wakeups INTERVAL_NS WORK_NS RECORDS`.
 *
 * It is an ordinary process on purpose, at no priority: put among the processes of a lab it tells how late one of them is
 * served that asks for as large a share of a CPU (WORK_NS in INTERVAL_NS). One that asks for nothing is served first, however
 * many wait, and would say that all is well while a proxy's answers queue up. Wakings that were due while it could not run are
 * each worked off and recorded with their own lateness, so that one long wait does not count as one late waking. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CAPACITY 262144
#define PARENT_EVERY 20 /* wakings */
#define FORGOTTEN_NS 1000000000 /* work that was due so long ago is not done any more: who waited for it is gone */

/* The record file; probes/wakeups.py reads it. `next` is how many wakings are recorded: number n lies at n % CAPACITY. */
struct records {
    uint64_t capacity;
    int64_t interval_ns;
    int64_t start_ns; /* CLOCK_MONOTONIC, when waking 0 was due */
    uint64_t next;
    int64_t late_ns[CAPACITY];
};

static volatile sig_atomic_t stopping;

static void on_stop(int number)
{
    (void)number;
    stopping = 1;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Takes so much of a CPU, however long that takes. */
static void work(int64_t ns)
{
    struct timespec t;
    int64_t end = 0, used;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        used = t.tv_sec * 1000000000LL + t.tv_nsec;
        if (!end)
            end = used + ns;
    } while (used < end);
}

/* Our standard input is a pipe that the harness holds: when the harness is gone, however it went, we go. */
static int abandoned(void)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static struct records *map_records(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct records)) < 0)
        return NULL;
    void *at = mmap(NULL, sizeof(struct records), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

int main(int argc, char **argv)
{
    int64_t interval = argc == 4 ? atoll(argv[1]) : 0, share = argc == 4 ? atoll(argv[2]) : 0;
    if (interval <= 0 || share < 0 || share >= interval) {
        fprintf(stderr, "usage: wakeups INTERVAL_NS WORK_NS RECORDS (work for less than the interval)\n");
        return 2;
    }
    struct records *records = map_records(argv[3]);
    if (!records) {
        perror(argv[3]);
        return 1;
    }
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    prctl(PR_SET_TIMERSLACK, 1UL);
    records->capacity = CAPACITY;
    records->interval_ns = interval;
    records->start_ns = now_ns() + interval;
    if (write(1, "waking\n", 7) < 0)
        return 1;
    int64_t due = records->start_ns;
    while (!stopping) {
        struct timespec t = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        for (int64_t now; !stopping && (now = now_ns()) >= due; due += interval) {
            if (now - due < FORGOTTEN_NS) {
                work(share);
                now = now_ns() - share;
            }
            records->late_ns[records->next % CAPACITY] = now > due ? now - due : 0;
            if (records->next % PARENT_EVERY == 0 && abandoned())
                stopping = 1;
            __atomic_store_n(&records->next, records->next + 1, __ATOMIC_RELEASE);
        }
    }
    return 0;
}
