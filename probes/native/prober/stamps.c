/* Kernel stamps: when a probe was handed to the device (error queue, by identifier) and when an answer came. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h> /* wants struct timespec */
#include <linux/net_tstamp.h>

#include "prober.h"

#define STAMP_RX (SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE)
#define STAMP_BOTH (STAMP_RX | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY)

#define BATCH 32
#define BYTES 65536 /* the largest datagram; memory is taken for what comes only */
#define CONTROL 256

static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static uint8_t bytes[BATCH][BYTES], controls[BATCH][CONTROL];
static struct sockaddr_storage senders[BATCH];

static void stamp(int fd, int flags)
{
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) < 0)
        die("this kernel refuses SO_TIMESTAMPING: %s", strerror(errno));
}

void stamp_received(int fd) { stamp(fd, STAMP_RX); }

/* Switched on, stamps of sending are counted from the flow's next probe. */
void set_stamps(struct flow *f, bool both)
{
    stamp(f->fd, both ? STAMP_BOTH : STAMP_RX);
    f->stamped = both;
    f->first_stamped_seq = f->status->next_seq;
}

static int receive(int fd, int flags)
{
    static int used = BATCH; /* what the last call has written into is made ready again, and at first all of it */
    for (int i = 0; i < used; i++) {
        vectors[i] = (struct iovec){bytes[i], BYTES};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &senders[i], .msg_namelen = sizeof(senders[i]),
            .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = controls[i], .msg_controllen = CONTROL};
    }
    int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT | flags, NULL);
    used = n > 0 ? n : 0;
    return n;
}

/* The kernel's stamp in monotonic time (0 if none); *id is the stamp's identifier if it came from the error queue. */
static struct arrival stamp_of(struct msghdr *message, int64_t *id)
{
    struct arrival found = {0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
            struct scm_timestamping t;
            memcpy(&t, CMSG_DATA(c), sizeof(t));
            if (t.ts[0].tv_sec)
                found.ns = to_monotonic(t.ts[0].tv_sec * 1000000000LL + t.ts[0].tv_nsec);
        } else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL) ||
                   (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
            int ttl;
            memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
            found.ttl = (uint8_t)ttl;
        } else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
                   (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err e;
            memcpy(&e, CMSG_DATA(c), sizeof(e));
            if (e.ee_origin == SO_EE_ORIGIN_TIMESTAMPING && e.ee_info == SCM_TSTAMP_SND)
                *id = e.ee_data;
        }
    }
    return found;
}

/* Takes back every stamp of sending made so far. */
void drain_stamps(struct flow *f)
{
    int n;
    do {
        n = receive(f->fd, MSG_ERRQUEUE);
        for (int i = 0; i < n; i++) {
            int64_t id = -1, at = stamp_of(&messages[i].msg_hdr, &id).ns;
            struct record *r = id < 0 || !at ? NULL : sent_record(f, f->first_stamped_seq + (uint64_t)id);
            if (r)
                r->tx_ns = at;
        }
    } while (n == BATCH);
}

void drain_socket(int fd, take *take, void *context)
{
    int n;
    do {
        n = receive(fd, 0);
        for (int i = 0; i < n; i++) {
            int64_t id = -1;
            struct arrival at = stamp_of(&messages[i].msg_hdr, &id);
            at.ns = at.ns ? at.ns : now_ns();
            take(context, bytes[i], messages[i].msg_len, &senders[i], at);
        }
    } while (n == BATCH);
}
