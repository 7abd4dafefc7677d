/* What the prober's parts know of each other. Each part is one file of this folder, named after its idea. */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "../record.h"

#define MS 1000000LL

struct flow;

/* One kind of probe. `receive` is null where answers come by the tap. */
struct transport {
    void (*open)(struct flow *f);
    ssize_t (*send)(struct flow *f, uint64_t seq, int64_t due_ns); /* -1: see errno */
    void (*receive)(struct flow *f);
};

struct flow {
    int fd;
    struct plan_flow *plan;
    uint8_t *packet; /* as planned, with what differs per probe filled in */
    struct flow_status *status;
    struct record *ring;
    const struct transport *transport;
    struct sockaddr_storage to;
    socklen_t to_len;
    int64_t due_ns;
    uint64_t first_stamped_seq; /* the probe whose kernel stamp has identifier 0 */
    bool stamped;
    int64_t drained_ns;
};

extern struct header *header;
extern struct flow *flows;
extern uint32_t flow_count, capacity;

extern const struct transport udp, tcp, icmp;

/* clock.c */
int64_t now_ns(void);
void sample_offset(void);
int64_t to_monotonic(int64_t real_ns);

/* records.c */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void read_plan(const char *path);
void map_records(const char *path);

/* schedule.c */
void schedule_start(int64_t start_ns);
struct flow *schedule_first(void);
void schedule_next(void); /* the first one's next probe takes its place in the order */

/* sockets.c: what all kinds of sockets need */
void set_int(struct flow *f, int level, int option, int value);
void use_big_buffers(int fd);
socklen_t address(struct sockaddr_storage *out, const struct plan_flow *p, const uint8_t *ip, uint16_t port);
uint64_t socket_drops(int fd);
#define NO_ROOM_UNKNOWN UINT64_MAX
uint64_t udp_no_room(void); /* datagrams that the UDP sockets of this network namespace had no room for, ever */

/* stamps.c: kernel stamps of sending and receiving */
/* What the kernel says of an arrival: when, and with what time to live (0: it does not say). */
struct arrival {
    int64_t ns;
    uint8_t ttl;
};
void stamp_received(int fd);
void set_stamps(struct flow *f, bool both);
void drain_stamps(struct flow *f);
typedef void take(void *context, const uint8_t *data, size_t length, const struct sockaddr_storage *from, struct arrival at);
void drain_socket(int fd, take *take, void *context);

/* answers.c: what an answer means for its probe */
struct record *sent_record(struct flow *f, uint64_t seq); /* null unless that probe was sent and is still held */
bool is_first_answer(struct record *r);
void take_payload(struct flow *f, const uint8_t *data, size_t length, struct arrival at, bool intact);
void deny(struct record *r, enum denial how, int64_t stamp_ns);

/* raw.c: whole packets */
void open_raw(struct flow *f);
ssize_t send_raw(struct flow *f);
uint16_t transport_checksum(const struct flow *f);

/* tap.c: answers to whole packets, read beside the kernel's own stack */
void open_taps(void);
void drain_taps(void);
uint64_t tap_drops(void);

/* tcp.c, icmp.c: what the tap has seen. `src` sent the segment or message; `quoted` is the head of a probe of ours. */
struct sight {
    uint16_t family;
    const uint8_t *src, *dst, *data;
    size_t length;
    struct arrival at;
};
bool between(const struct flow *f, const struct sight *s); /* whether it came from the flow's far end to its near one */
void tcp_seen(const struct sight *s);
void icmp_echo_seen(const struct sight *s);
struct record *tcp_quoted(const struct sight *quoted);
struct record *icmp_quoted(const struct sight *quoted);
