/* Sends UDP datagrams at a given rate for a given time, and says how many it sent. For benches of what carries them.
 *
 * usage: flood ADDRESS PORT BYTES RATE SECONDS
 * A millisecond's datagrams leave together, each millisecond when it is due.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define AT_ONCE 64
#define LARGEST 9000

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: flood ADDRESS PORT BYTES RATE SECONDS\n");
        return 2;
    }
    static char payload[LARGEST];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    size_t bytes = strtoul(argv[3], NULL, 10);
    double rate = atof(argv[4]), seconds = atof(argv[5]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || bytes > LARGEST ||
        connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("flood");
        return 1;
    }
    struct iovec part = {.iov_base = payload, .iov_len = bytes};
    struct mmsghdr many[AT_ONCE];
    memset(many, 0, sizeof many);
    for (int i = 0; i < AT_ONCE; i++)
        many[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    uint64_t sent = 0;
    int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9);
    for (int64_t tick = start; tick < end; tick += 1000000) {
        struct timespec t = {.tv_sec = tick / 1000000000, .tv_nsec = tick % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        uint64_t due = (uint64_t)((tick + 1000000 - start) * rate / 1e9);
        while (sent < due) {
            int count = due - sent < AT_ONCE ? (int)(due - sent) : AT_ONCE;
            int left = sendmmsg(fd, many, count, 0);
            if (left > 0)
                sent += left;
            else if (errno != ECONNREFUSED && errno != ENOBUFS) { /* an answer to an earlier one */
                perror("flood");
                return 1;
            }
        }
    }
    printf("%llu %.6f\n", (unsigned long long)sent, (now_ns() - start) / 1e9);
    return 0;
}
