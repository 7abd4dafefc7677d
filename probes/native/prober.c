/* Sends UDP probes on an absolute schedule and records when the kernel sent and received each: `prober PLAN RECORDS`.
 * It must not know what is being broken, nor judge anything: it only writes down what it sent, when, and who answered.
 *
 * One thread. Every flow has one unconnected socket: a connected one carries a random hash over veth, and routers would
 * use that instead of the 5-tuple. Nothing is skipped for being late; only when the schedule is more than BEHIND_NS late
 * are probes given up, and each of them is recorded as not sent. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "record.h"

#define MS 1000000LL
#define BEHIND_NS (1000 * MS)
#define TICK_NS (100 * MS)
#define PAGE 4096UL
#define BATCH 8
#define DRAINS_PER_TURN 4 /* so that reading never delays a send by much */

#define STAMP_RX (SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE)
#define STAMP_BOTH (STAMP_RX | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY)

struct flow {
    int fd;
    struct plan_flow *plan;
    struct flow_status *status;
    struct record *ring;
    struct sockaddr_storage to;
    socklen_t to_len;
    int64_t due_ns;
    uint64_t first_stamped_seq; /* the probe whose kernel stamp has identifier 0 */
    bool stamped;
    int64_t drained_ns;
};

static struct header *header;
static struct flow *flows, **heap;
static uint32_t flow_count, capacity;
static int64_t offset_ns;
static volatile sig_atomic_t stopping;

static void die(const char *format, ...)
{
    char text[ERROR_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s\n", text);
    if (header) {
        memcpy(header->error, text, sizeof(text));
        header->state = FAILED;
    }
    exit(2);
}

static void on_stop(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* The narrowest of a few sandwiches: a preemption between two readings would look like a step of the clock. */
static void sample_offset(void)
{
    int64_t best = INT64_MAX, mono = 0;
    for (int i = 0; i < 5 && best > 2000; i++) {
        int64_t before = now_ns(), real = clock_ns(CLOCK_REALTIME), after = now_ns();
        if (after - before < best) {
            best = after - before;
            mono = before + best / 2;
            offset_ns = real - mono;
        }
    }
    header->offsets[header->offset_count % OFFSETS] = (struct offset_sample){mono, offset_ns};
    header->offset_count++;
}

/* Takes back every stamp made so far and starts a new count of identifiers at the flow's next probe. */
static void drain_stamps(struct flow *f);

static void set_stamps(struct flow *f, bool both)
{
    int flags = both ? STAMP_BOTH : STAMP_RX;
    if (setsockopt(f->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) < 0)
        die("flow %u: this kernel refuses SO_TIMESTAMPING: %s", f->plan->id, strerror(errno));
    f->stamped = both;
    f->first_stamped_seq = f->status->next_seq;
}

static socklen_t address(struct sockaddr_storage *out, const struct plan_flow *p, const uint8_t *ip, uint16_t port)
{
    memset(out, 0, sizeof(*out));
    if (p->family == AF_INET6) {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)out;
        a->sin6_family = AF_INET6;
        a->sin6_port = htons(port);
        memcpy(&a->sin6_addr, ip, 16);
        return sizeof(*a);
    }
    struct sockaddr_in *a = (struct sockaddr_in *)out;
    a->sin_family = AF_INET;
    a->sin_port = htons(port);
    memcpy(&a->sin_addr, ip, 4);
    return sizeof(*a);
}

static void set_int(struct flow *f, int level, int option, int value)
{
    if (setsockopt(f->fd, level, option, &value, sizeof(value)) < 0)
        die("flow %u: socket option %d/%d = %d: %s", f->plan->id, level, option, value, strerror(errno));
}

static void open_flow(struct flow *f)
{
    struct plan_flow *p = f->plan;
    struct sockaddr_storage from;
    socklen_t from_len = address(&from, p, p->src, p->sport);
    f->to_len = address(&f->to, p, p->dst, p->dport);
    f->fd = socket(p->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (f->fd < 0)
        die("flow %u: socket: %s", p->id, strerror(errno));
    if (p->family == AF_INET6) {
        set_int(f, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        set_int(f, IPPROTO_IPV6, IPV6_TCLASS, p->tos);
        set_int(f, IPPROTO_IPV6, IPV6_UNICAST_HOPS, p->ttl);
        set_int(f, IPPROTO_IPV6, 70 /* IPV6_AUTOFLOWLABEL: routers may hash on the label */, 0);
    } else {
        set_int(f, IPPROTO_IP, IP_TOS, p->tos);
        set_int(f, IPPROTO_IP, IP_TTL, p->ttl);
    }
    /* Room for more than a second of answers and of probes waiting for a neighbour: what is lost is not lost here. */
    set_int(f, SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20);
    set_int(f, SOL_SOCKET, SO_SNDBUFFORCE, 1 << 20);
    if (bind(f->fd, (struct sockaddr *)&from, from_len) < 0)
        die("flow %u: cannot bind its source address, port %u: %s", p->id, p->sport, strerror(errno));
    set_stamps(f, true);
}

/* ---- schedule: a binary heap, the earliest due time on top ---- */

static void sift_down(uint32_t i)
{
    for (;;) {
        uint32_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < flow_count && heap[left]->due_ns < heap[least]->due_ns)
            least = left;
        if (right < flow_count && heap[right]->due_ns < heap[least]->due_ns)
            least = right;
        if (least == i)
            return;
        struct flow *swap = heap[i];
        heap[i] = heap[least];
        heap[least] = swap;
        i = least;
    }
}

/* Whose fault is a refused send? The network's, unless what was missing is ours. */
static bool harness_fault(int error)
{
    return error == ENOBUFS || error == EAGAIN || error == ENOMEM || error == EMSGSIZE || error == EBADF || error == EFAULT;
}

static void send_probe(struct flow *f, int64_t now)
{
    uint64_t seq = f->status->next_seq;
    struct record *r = &f->ring[seq % capacity];
    uint8_t flags = WRITTEN;
    r->flags = 0;
    r->seq = seq;
    r->due_ns = f->due_ns;
    r->tx_ns = r->rx_ns = r->sent_ns = 0;
    r->backend = NO_BACKEND;
    if (now - f->due_ns > BEHIND_NS) {
        flags |= NOT_SENT;
        header->not_sent++;
    } else {
        uint64_t wire_seq = htobe64(seq), wire_due = htobe64((uint64_t)f->due_ns);
        memcpy(f->plan->payload + 8, &wire_seq, 8);
        memcpy(f->plan->payload + 16, &wire_due, 8);
        r->sent_ns = now;
        ssize_t n = sendto(f->fd, f->plan->payload, PAYLOAD, MSG_DONTWAIT, (struct sockaddr *)&f->to, f->to_len);
        if (n == PAYLOAD) {
            header->sent++;
            if (!f->stamped) {
                flags |= UNSTAMPED;
                header->unstamped++;
            }
        } else {
            int error = n < 0 ? errno : EMSGSIZE;
            header->send_errors[error < ERRNOS ? error : 0]++;
            if (harness_fault(error)) {
                flags |= NOT_SENT;
                header->harness_errors++;
            } else {
                flags |= REFUSED;
                header->refused++;
            }
        }
    }
    r->flags = flags;
    __atomic_store_n(&f->status->next_seq, seq + 1, __ATOMIC_RELEASE);
    /* Whether the kernel counted a failed send in its stamp identifiers depends on where it failed. So stamps pause at
     * the first failure and start from zero after the first success. */
    bool went_out = !(flags & (NOT_SENT | REFUSED));
    if (!went_out && f->stamped) {
        drain_stamps(f);
        set_stamps(f, false);
    } else if (went_out && !f->stamped) {
        set_stamps(f, true);
    }
}

/* ---- what comes back ---- */

static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static uint8_t bytes[BATCH][256], controls[BATCH][256];
static struct sockaddr_storage senders[BATCH];

static int receive(struct flow *f, int flags)
{
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &senders[i], .msg_namelen = sizeof(senders[i]),
            .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = controls[i], .msg_controllen = sizeof(controls[i])};
    }
    return recvmmsg(f->fd, messages, BATCH, MSG_DONTWAIT | flags, NULL);
}

/* The kernel's stamp in monotonic time (0 if none); *id is the stamp's identifier if it came from the error queue. */
static int64_t stamp_of(struct msghdr *message, int64_t *id)
{
    int64_t stamp = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
            struct scm_timestamping t;
            memcpy(&t, CMSG_DATA(c), sizeof(t));
            if (t.ts[0].tv_sec)
                stamp = t.ts[0].tv_sec * 1000000000LL + t.ts[0].tv_nsec - offset_ns;
        } else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
                   (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err e;
            memcpy(&e, CMSG_DATA(c), sizeof(e));
            if (e.ee_origin == SO_EE_ORIGIN_TIMESTAMPING && e.ee_info == SCM_TSTAMP_SND)
                *id = e.ee_data;
        }
    }
    return stamp;
}

static void drain_stamps(struct flow *f)
{
    int n;
    do {
        n = receive(f, MSG_ERRQUEUE);
        for (int i = 0; i < n; i++) {
            int64_t id = -1, stamp = stamp_of(&messages[i].msg_hdr, &id);
            if (id < 0 || !stamp)
                continue;
            uint64_t seq = f->first_stamped_seq + (uint64_t)id;
            struct record *r = &f->ring[seq % capacity];
            if (r->seq == seq && (r->flags & WRITTEN))
                r->tx_ns = stamp;
        }
    } while (n == BATCH);
}

static bool same_end(const struct flow *f, const struct sockaddr_storage *from)
{
    if (f->to.ss_family != from->ss_family)
        return false;
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const void *)&f->to, *b = (const void *)from;
        return a->sin6_port == b->sin6_port && !memcmp(&a->sin6_addr, &b->sin6_addr, 16);
    }
    const struct sockaddr_in *a = (const void *)&f->to, *b = (const void *)from;
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/* The backend's index, NO_BACKEND if it names none or the table is full, -1 if it is no name. */
static int backend_of(const uint8_t *name, size_t length)
{
    if (length == 0)
        return NO_BACKEND;
    if (length >= NAME_BYTES)
        return -1;
    for (size_t i = 0; i < length; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return -1;
    uint32_t i;
    for (i = 0; i < header->name_count; i++)
        if (!memcmp(header->names[i], name, length) && !header->names[i][length])
            return (int)i;
    if (i == NAMES) {
        header->names_overflow++;
        return NO_BACKEND;
    }
    memcpy(header->names[i], name, length);
    __atomic_store_n(&header->name_count, i + 1, __ATOMIC_RELEASE);
    return (int)i;
}

static void take_answer(struct flow *f, const uint8_t *data, size_t length, const struct sockaddr_storage *from, int64_t stamp)
{
    const uint8_t *probe = f->plan->payload;
    uint64_t seq, due;
    if (length < 24 || !same_end(f, from) || memcmp(data, probe, 8)) {
        header->foreign++;
        return;
    }
    memcpy(&seq, data + 8, 8);
    memcpy(&due, data + 16, 8);
    seq = be64toh(seq);
    struct record *r = &f->ring[seq % capacity];
    if (r->seq != seq || !(r->flags & WRITTEN) || r->due_ns != (int64_t)be64toh(due)) {
        header->foreign++;
        return;
    }
    if (r->flags & ANSWERED) {
        r->flags |= DUPLICATE;
        header->duplicates++;
        return;
    }
    int backend = length < PAYLOAD ? -1 : backend_of(data + PAYLOAD, length - PAYLOAD);
    bool intact = length >= PAYLOAD && backend >= 0 && !memcmp(data + 24, probe + 24, PAYLOAD - 24);
    r->rx_ns = stamp ? stamp : now_ns();
    r->backend = (uint8_t)(backend >= 0 ? backend : NO_BACKEND);
    r->flags |= intact ? ANSWERED : (ANSWERED | CORRUPT);
    header->received++;
    header->corrupt += !intact;
}

static void drain(struct flow *f, int64_t now)
{
    int n;
    f->drained_ns = now;
    drain_stamps(f); /* first: an answer's own send is then already stamped */
    do {
        n = receive(f, 0);
        for (int i = 0; i < n; i++) {
            int64_t id = -1, stamp = stamp_of(&messages[i].msg_hdr, &id);
            take_answer(f, bytes[i], messages[i].msg_len, &senders[i], stamp);
        }
    } while (n == BATCH);
}

/* The kernel's own count per socket, which SO_RXQ_OVFL would tell only with the next datagram. */
static void count_drops(void)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < flow_count; i++) {
        uint32_t info[16] = {0};
        socklen_t length = sizeof(info);
        if (!getsockopt(flows[i].fd, SOL_SOCKET, SO_MEMINFO, info, &length))
            flows[i].status->socket_drops = info[8 /* SK_MEMINFO_DROPS */];
        total += flows[i].status->socket_drops;
    }
    header->socket_drops = total;
}

/* ---- files ---- */

static void read_plan(const char *path)
{
    struct plan_header p;
    FILE *file = fopen(path, "rb");
    if (!file)
        die("%s: %s", path, strerror(errno));
    if (fread(&p, sizeof(p), 1, file) != 1 || p.magic != PLAN_MAGIC || p.version != VERSION || !p.flow_count || !p.capacity)
        die("%s: not a plan of version %u", path, VERSION);
    flow_count = p.flow_count;
    capacity = p.capacity;
    flows = calloc(flow_count, sizeof(*flows));
    heap = calloc(flow_count, sizeof(*heap));
    struct plan_flow *plans = calloc(flow_count, sizeof(*plans));
    if (!flows || !heap || !plans || fread(plans, sizeof(*plans), flow_count, file) != flow_count)
        die("%s: it says %u flows and holds fewer", path, flow_count);
    fclose(file);
    for (uint32_t i = 0; i < flow_count; i++) {
        if (plans[i].interval_ns <= 0 || plans[i].phase_ns < 0)
            die("%s: flow %u has no interval", path, plans[i].id);
        flows[i].plan = &plans[i];
    }
}

static size_t paged(size_t n) { return (n + PAGE - 1) & ~(PAGE - 1); }

static void map_records(const char *path)
{
    size_t status_at = paged(sizeof(struct header));
    size_t ring_at = status_at + paged(flow_count * sizeof(struct flow_status));
    size_t size = ring_at + (size_t)flow_count * capacity * sizeof(struct record);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        die("%s: %s", path, strerror(errno));
    uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        die("%s: %s", path, strerror(errno));
    header = (struct header *)base;
    header->version = VERSION;
    header->header_bytes = sizeof(struct header);
    header->flow_count = flow_count;
    header->capacity = capacity;
    header->record_bytes = sizeof(struct record);
    header->pid = (uint32_t)getpid();
    header->heartbeat_ns = now_ns();
    for (uint32_t i = 0; i < flow_count; i++) {
        flows[i].status = (struct flow_status *)(base + status_at) + i;
        flows[i].status->id = flows[i].plan->id;
        flows[i].ring = (struct record *)(base + ring_at) + (size_t)i * capacity;
    }
    __atomic_store_n(&header->magic, RECORD_MAGIC, __ATOMIC_RELEASE);
}

/* Our standard input is a pipe that the harness holds: when the harness is gone, however it went, we go. */
static void watch_parent(bool is_pipe)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    if (is_pipe && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)))
        stopping = 1;
}

static int64_t drain_period(void)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < flow_count; i++)
        if (flows[i].plan->interval_ns < least)
            least = flows[i].plan->interval_ns;
    return least * 2 < 20 * MS ? 20 * MS : least * 2 > 100 * MS ? 100 * MS : least * 2;
}

static void run(bool parent_is_pipe)
{
    int64_t period = drain_period(), next_tick = 0, now;
    uint32_t cursor = 0, sent_once = 0, ticks = 0;
    while (!stopping) {
        for (now = now_ns(); heap[0]->due_ns <= now; now = now_ns()) {
            struct flow *f = heap[0];
            send_probe(f, now);
            if (f->status->next_seq == 1 && ++sent_once == flow_count && write(1, "sending\n", 8) < 0)
                stopping = 1;
            f->due_ns += f->plan->interval_ns;
            sift_down(0);
            header->heartbeat_ns = now;
            if (now - heap[0]->due_ns > BEHIND_NS / 2)
                break; /* far behind: let a turn of reading in between */
        }
        for (int i = 0; i < DRAINS_PER_TURN && flows[cursor].drained_ns + period <= now; i++) {
            drain(&flows[cursor], now);
            cursor = (cursor + 1) % flow_count;
        }
        if (now >= next_tick) {
            next_tick = now + TICK_NS;
            sample_offset();
            watch_parent(parent_is_pipe);
            if (ticks++ % 5 == 0)
                count_drops();
        }
        header->heartbeat_ns = now;
        int64_t wake = heap[0]->due_ns, drain_at = flows[cursor].drained_ns + period;
        wake = drain_at < wake ? drain_at : wake;
        wake = next_tick < wake ? next_tick : wake;
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
    struct sigaction stop = {.sa_handler = on_stop}; /* without SA_RESTART: a sleep must end */
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1UL);
    setpriority(PRIO_PROCESS, 0, -20); /* where it is refused, lateness will tell */
    struct stat input;
    bool parent_is_pipe = !fstat(0, &input) && S_ISFIFO(input.st_mode);

    read_plan(argv[1]);
    map_records(argv[2]);
    sample_offset();
    for (uint32_t i = 0; i < flow_count; i++)
        open_flow(&flows[i]);
    header->start_ns = now_ns() + 20 * MS;
    for (uint32_t i = 0; i < flow_count; i++) {
        flows[i].due_ns = header->start_ns + flows[i].plan->phase_ns;
        heap[i] = &flows[i];
    }
    for (uint32_t i = flow_count; i-- > 0;)
        sift_down(i);
    __atomic_store_n(&header->state, RUNNING, __ATOMIC_RELEASE);
    run(parent_is_pipe);
    for (uint32_t i = 0; i < flow_count; i++)
        drain(&flows[i], now_ns());
    count_drops();
    header->state = STOPPED;
    return 0;
}
