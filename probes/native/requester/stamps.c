/* When bytes came, by the kernel's stamp in monotonic time, and how late we were to read them: a stall of ours makes no answer late. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h> /* wants struct timespec */
#include <linux/net_tstamp.h>

#include "requester.h"

static int64_t offset_ns, late_ns;

int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

void was_late(int64_t by_ns) { late_ns = by_ns > late_ns ? by_ns : late_ns; }

void sample_clock(void)
{
    struct offset_sample sample = clock_offset();
    offset_ns = sample.offset_ns;
    header->ticks[header->tick_count % TICKS] = (struct tick){sample.mono_ns, sample.offset_ns, late_ns};
    __atomic_store_n(&header->tick_count, header->tick_count + 1, __ATOMIC_RELEASE);
    late_ns = 0;
}

void stamp_received(int fd)
{
    int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) < 0)
        die("this kernel refuses SO_TIMESTAMPING: %s", strerror(errno));
}

/* The kernel stamps packets as long as any socket wants it. That of a first one, and of none, costs it milliseconds. */
void keep_stamping(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("no socket: %s", strerror(errno));
    stamp_received(fd);
}

/* As recv; *stamp_ns is when the last of the bytes came, and no later than now. */
ssize_t receive(int fd, uint8_t *into, size_t room, int64_t *stamp_ns)
{
    union {
        struct cmsghdr head;
        uint8_t bytes[256];
    } control;
    struct iovec vector = {into, room};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
    if (n <= 0)
        return n;
    int64_t now = now_ns(), found = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
            struct scm_timestamping t;
            memcpy(&t, CMSG_DATA(c), sizeof(t));
            if (t.ts[0].tv_sec)
                found = t.ts[0].tv_sec * 1000000000LL + t.ts[0].tv_nsec - offset_ns;
        }
    bool sensible = found > 0 && found <= now && now - found < IN_TIME_NS + KEPT_OPEN_NS;
    header->unstamped += !sensible;
    *stamp_ns = sensible ? found : now;
    was_late(now - *stamp_ns);
    return n;
}
