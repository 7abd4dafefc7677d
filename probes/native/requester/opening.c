/* From a source port to a socket that connects. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "requester.h"

static socklen_t address(struct sockaddr_storage *out, const struct plan_series *p, const uint8_t *ip, uint16_t port)
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

int open_socket(struct series *s, uint16_t sport)
{
    struct sockaddr_storage from;
    socklen_t bytes = address(&from, s->plan, s->plan->src, sport);
    int fd = socket(s->plan->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    /* an end without a long goodbye: nothing of ours lingers in the network, and the port is free at once */
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (fd < 0)
        return -1;
    stamp_received(fd);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) || bind(fd, (struct sockaddr *)&from, bytes)) {
        close(fd);
        return -1;
    }
    return fd;
}

int start_connecting(struct series *s, int fd)
{
    struct sockaddr_storage to;
    socklen_t bytes = address(&to, s->plan, s->plan->dst, s->plan->dport);
    return connect(fd, (struct sockaddr *)&to, bytes);
}
