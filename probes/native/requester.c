/* Makes new requests on an absolute schedule, by HTTP or in a service's own words, each on a connection of its own, and records
 * how far each came and when: `requester PLAN RECORDS`. It must not know what is being broken; of an answer it only says whether
 * it is one. Its parts are in requester/.
 *
 * One thread. Nothing is skipped for being late; only what is more than 1 s late is not sent, and recorded so. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "process.h"
#include "requester/requester.h"

#define TICK_NS (100 * MS)
#define EVENTS 64

static struct series *next_series(void)
{
    struct series *next = all_series;
    for (uint32_t i = 1; i < series_count; i++)
        if (all_series[i].due_ns < next->due_ns)
            next = &all_series[i];
    return next;
}

static void send_due(int64_t now, int epoll)
{
    static uint32_t sent_once;
    for (struct series *s = next_series(); s->due_ns <= now; s = next_series()) {
        send_request(s, now, epoll);
        if (s->status->next_seq == 1 && ++sent_once == series_count && write(1, "sending\n", 8) < 0)
            stopping = 1;
        now = now_ns();
    }
}

/* Waits for what comes until `wake`. What had come when it began has then been seen to; and what is overdue since then ends. */
static void listen_until(int64_t wake, int epoll)
{
    static struct epoll_event events[EVENTS];
    int64_t began = now_ns(), left = wake > began ? wake - began : 0;
    struct timespec t = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    int n = epoll_pwait2(epoll, events, EVENTS, &t, NULL);
    for (int i = 0; i < n; i++)
        go_on(events[i].data.ptr, events[i].events);
    if (n < EVENTS)
        end_overdue(began);
    let_go();
    was_late(now_ns() - wake);
}

static void run(int epoll, bool parent_is_pipe)
{
    int64_t next_tick = 0;
    while (!stopping) {
        int64_t now = now_ns();
        send_due(now, epoll);
        now = now_ns();
        if (now >= next_tick) {
            next_tick = now + TICK_NS;
            sample_clock();
            watch_parent(parent_is_pipe);
        }
        header->heartbeat_ns = now;
        int64_t wake = next_series()->due_ns, overdue = first_overdue_ns();
        wake = wake < overdue ? wake : overdue;
        wake = wake < next_tick ? wake : next_tick;
        listen_until(wake, epoll);
    }
}

static void have_enough_files(void)
{
    struct rlimit limit;
    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        die("usage: requester PLAN RECORDS");
    end_when_told();
    be_punctual();
    have_enough_files();
    bool parent_is_pipe = input_is_pipe();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("no epoll: %s", strerror(errno));

    read_plan(argv[1]);
    map_records(argv[2]);
    open_http2();
    keep_stamping();
    sample_clock();
    for (uint32_t i = 0; i < series_count; i++)
        if (all_series[i].plan->security != IN_THE_CLEAR)
            open_tls(&all_series[i]);
    for (uint32_t i = 0; i < series_count; i++)
        if (all_series[i].plan->http == NO_HTTP)
            learn_words(&all_series[i]);
    header->start_ns = now_ns() + 20 * MS;
    for (uint32_t i = 0; i < series_count; i++) {
        struct series *s = &all_series[i];
        s->due_ns = header->start_ns + s->plan->phase_ns;
        /* A requester started anew goes on where the one before it stopped: no port is used again before it has rested. */
        s->turn = (uint32_t)(s->due_ns / s->plan->interval_ns % s->plan->ports);
    }
    __atomic_store_n(&header->state, RUNNING, __ATOMIC_RELEASE);
    run(epoll, parent_is_pipe);
    end_all();
    header->state = STOPPED;
    return 0;
}
