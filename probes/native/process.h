/* How a measuring process lives: first in the line for a CPU, and no longer than the harness that started it. */
#pragma once
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static volatile sig_atomic_t stopping;

static inline void on_stop(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

/* Told to end, it ends in its own order. */
static inline void end_when_told(void)
{
    struct sigaction stop = {.sa_handler = on_stop}; /* without SA_RESTART: a sleep must end */
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Who measures takes a fifth of a core, and a scheduler that is fair makes who takes that much wait for its turn, tens of
 * milliseconds on a busy host. Real time is for who must not. Where either is refused, lateness will tell. */
static inline void be_punctual(void)
{
    struct sched_param first = {.sched_priority = 1};
    prctl(PR_SET_TIMERSLACK, 1UL);
    setpriority(PRIO_PROCESS, 0, -20);
    sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first);
}

static inline bool input_is_pipe(void)
{
    struct stat input;
    return !fstat(0, &input) && S_ISFIFO(input.st_mode);
}

/* Our standard input is a pipe that the harness holds: when the harness is gone, however it went, we go. */
static inline void watch_parent(bool is_pipe)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    if (is_pipe && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)))
        stopping = 1;
}
