/* What every socket of ours needs: addresses, options, and the kernel's count of what it had no room for. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "prober.h"

void set_int(struct flow *f, int level, int option, int value)
{
    if (setsockopt(f->fd, level, option, &value, sizeof(value)) < 0)
        die("flow %u: socket option %d/%d = %d: %s", f->plan->id, level, option, value, strerror(errno));
}

/* Room for more than a second of answers and of probes waiting for a neighbour: what is lost is not lost here. */
void use_big_buffers(int fd)
{
    int room = 1 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
        die("no room for a second of answers: %s", strerror(errno));
}

socklen_t address(struct sockaddr_storage *out, const struct plan_flow *p, const uint8_t *ip, uint16_t port)
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

/* The kernel's own count per socket, which SO_RXQ_OVFL would tell only with the next datagram. */
uint64_t socket_drops(int fd)
{
    uint32_t info[16] = {0};
    socklen_t length = sizeof(info);
    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) ? 0 : info[8 /* SK_MEMINFO_DROPS */];
}
