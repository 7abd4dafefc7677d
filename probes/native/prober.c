/* Sends UDP, TCP and ICMP probes on an absolute schedule and records when the kernel sent and received each:
 * `prober PLAN RECORDS`. It must not know what is being broken, nor judge anything: it only writes down what it sent,
 * when, and who answered. Its parts are in prober/.
 *
 * One thread. Nothing is skipped for being late; only when the schedule is more than BEHIND_NS late are probes given up,
 * and each of them is recorded as not sent. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "prober/prober.h"

#define BEHIND_NS (1000 * MS)
#define TICK_NS (100 * MS)
#define DRAIN_NS (50 * MS)  /* answers wait so long to be read: one call takes several of them */
#define DRAINS_PER_TURN 8   /* so that reading never delays a send by much */
#define REST_NS (5 * MS)    /* reading alone wakes us no sooner: waking up costs more than what is then done */

static uint64_t no_room_before;

/* Whose fault is a refused send? The network's, unless what was missing is ours. */
static bool harness_fault(int error)
{
    return error == ENOBUFS || error == EAGAIN || error == ENOMEM || error == EMSGSIZE || error == EBADF || error == EFAULT;
}

static uint8_t send_in_time(struct flow *f, struct record *r, uint64_t seq)
{
    ssize_t n = f->transport->send(f, seq, r->due_ns);
    if (n > 0) {
        header->sent++;
        header->unstamped += !f->stamped;
        return f->stamped ? 0 : UNSTAMPED;
    }
    int error = n < 0 ? errno : EMSGSIZE;
    header->send_errors[error < ERRNOS ? error : 0]++;
    if (harness_fault(error)) {
        header->harness_errors++;
        return NOT_SENT;
    }
    header->refused++;
    return SEND_REFUSED;
}

static void send_probe(struct flow *f, int64_t now)
{
    uint64_t seq = f->status->next_seq;
    struct record *r = &f->ring[seq % capacity];
    uint8_t flags = NOT_SENT;
    *r = (struct record){.seq = seq, .due_ns = f->due_ns, .backend = NO_BACKEND};
    if (now - f->due_ns > BEHIND_NS) {
        header->not_sent++;
    } else {
        r->sent_ns = now;
        flags = send_in_time(f, r, seq);
    }
    r->flags = WRITTEN | flags;
    __atomic_store_n(&f->status->next_seq, seq + 1, __ATOMIC_RELEASE);
    /* Whether the kernel counted a failed send in its stamp identifiers depends on where it failed. So stamps pause at
     * the first failure and start from zero after the first success. */
    bool went_out = !(flags & (NOT_SENT | SEND_REFUSED));
    if (!went_out && f->stamped) {
        drain_stamps(f);
        set_stamps(f, false);
    } else if (went_out && !f->stamped) {
        set_stamps(f, true);
    }
}

static void drain(struct flow *f, int64_t now)
{
    f->drained_ns = now;
    drain_stamps(f); /* first: an answer's own send is then already stamped */
    if (f->transport->receive)
        f->transport->receive(f);
}

/* Of what our UDP sockets dropped, no more was for want of room than the whole namespace says: the rest had a wrong checksum. */
static void count_drops(void)
{
    uint64_t of_udp = 0, no_room = udp_no_room();
    no_room = no_room == NO_ROOM_UNKNOWN || no_room_before == NO_ROOM_UNKNOWN ? NO_ROOM_UNKNOWN : no_room - no_room_before;
    for (uint32_t i = 0; i < flow_count; i++) {
        flows[i].status->socket_drops = (uint32_t)socket_drops(flows[i].fd);
        of_udp += flows[i].status->socket_drops;
    }
    header->socket_drops = tap_drops() + (of_udp < no_room ? of_udp : no_room);
}

static void send_due(int64_t *now)
{
    static uint32_t sent_once;
    for (*now = now_ns(); schedule_first()->due_ns <= *now; *now = now_ns()) {
        struct flow *f = schedule_first();
        send_probe(f, *now);
        if (f->status->next_seq == 1 && ++sent_once == flow_count && write(1, "sending\n", 8) < 0)
            stopping = 1;
        schedule_next();
        header->heartbeat_ns = *now;
        if (*now - schedule_first()->due_ns > BEHIND_NS / 2)
            break; /* far behind: let a turn of reading in between */
    }
}

static void run(bool parent_is_pipe)
{
    int64_t next_tick = 0, next_taps = 0, now;
    uint32_t cursor = 0, ticks = 0;
    while (!stopping) {
        send_due(&now);
        for (int i = 0; i < DRAINS_PER_TURN && flows[cursor].drained_ns + DRAIN_NS <= now; i++) {
            drain(&flows[cursor], now);
            cursor = (cursor + 1) % flow_count;
        }
        if (now >= next_taps) {
            next_taps = now + DRAIN_NS;
            drain_taps();
        }
        if (now >= next_tick) {
            next_tick = now + TICK_NS;
            sample_offset();
            watch_parent(parent_is_pipe);
            if (ticks++ % 5 == 0)
                count_drops();
        }
        header->heartbeat_ns = now;
        int64_t wake = schedule_first()->due_ns, read_at = flows[cursor].drained_ns + DRAIN_NS;
        read_at = next_taps < read_at ? next_taps : read_at;
        read_at = read_at < now + REST_NS ? now + REST_NS : read_at;
        wake = read_at < wake ? read_at : wake;
        if (wake > now) {
            struct timespec t = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        die("usage: prober PLAN RECORDS");
    end_when_told();
    be_punctual();
    bool parent_is_pipe = input_is_pipe();

    read_plan(argv[1]);
    map_records(argv[2]);
    sample_offset();
    no_room_before = udp_no_room();
    open_taps();
    for (uint32_t i = 0; i < flow_count; i++) {
        flows[i].transport->open(&flows[i]);
        set_stamps(&flows[i], true);
    }
    header->start_ns = now_ns() + 20 * MS;
    schedule_start(header->start_ns);
    __atomic_store_n(&header->state, RUNNING, __ATOMIC_RELEASE);
    run(parent_is_pipe);
    for (uint32_t i = 0; i < flow_count; i++)
        drain(&flows[i], now_ns());
    drain_taps();
    count_drops();
    header->state = STOPPED;
    return 0;
}
