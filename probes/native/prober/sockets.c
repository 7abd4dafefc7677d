/* What every socket of ours needs: addresses, options, and the kernel's count of what it had no room for. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The kernel's own count per socket, which SO_RXQ_OVFL would tell only with the next datagram. Of a UDP socket it holds more than
 * what found no room: a datagram with a wrong checksum, which is the network's fault, is in it too. */
uint64_t socket_drops(int fd)
{
    uint32_t info[16] = {0};
    socklen_t length = sizeof(info);
    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) ? 0 : info[8 /* SK_MEMINFO_DROPS */];
}

/* What a word of `names` has below it in `values`: /proc/net/snmp has a line of each. */
static uint64_t column(char *names, char *values, const char *name)
{
    char *in_names, *in_values, *n = strtok_r(names, " \n", &in_names), *v = strtok_r(values, " \n", &in_values);
    for (; n && v; n = strtok_r(NULL, " \n", &in_names), v = strtok_r(NULL, " \n", &in_values))
        if (!strcmp(n, name))
            return strtoull(v, NULL, 10);
    return 0;
}

static uint64_t no_room4(void)
{
    char names[512], values[512], again[2][512];
    uint64_t total = 0;
    FILE *file = fopen("/proc/thread-self/net/snmp", "re");
    while (file && fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file)) {
        if (strncmp(names, "Udp: ", 5))
            continue;
        strcpy(again[0], names);
        strcpy(again[1], values);
        total = column(names, values, "RcvbufErrors") + column(again[0], again[1], "MemErrors");
    }
    if (!file)
        return NO_ROOM_UNKNOWN;
    fclose(file);
    return total;
}

static uint64_t no_room6(void)
{
    char line[256], name[64];
    unsigned long long value;
    uint64_t total = 0;
    FILE *file = fopen("/proc/thread-self/net/snmp6", "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "%63s %llu", name, &value) == 2 && (!strcmp(name, "Udp6RcvbufErrors") || !strcmp(name, "Udp6MemErrors")))
            total += value;
    if (file)
        fclose(file); /* a host without IPv6 has no such file */
    return total;
}

uint64_t udp_no_room(void)
{
    uint64_t of_ipv4 = no_room4();
    return of_ipv4 == NO_ROOM_UNKNOWN ? NO_ROOM_UNKNOWN : of_ipv4 + no_room6();
}
