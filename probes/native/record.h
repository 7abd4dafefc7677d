/* What the prober is told (plan file) and what it leaves behind (record file), in the machine's byte order.
 * Python's side of both is probes/layout.py; a change here needs one there and a new VERSION. */
#pragma once
#include <stdint.h>

#include "clock.h"
#include "names.h"

#define PLAN_MAGIC 0x5050534eu   /* "NSPP" */
#define RECORD_MAGIC 0x5250534eu /* "NSPR" */
#define VERSION 5u

#define PAYLOAD_HEAD 24 /* bytes that a payload begins with: magic 'NSPF', flow u32, seq u64, due u64 (network byte order) */
#define ERRNOS 256
#define OFFSETS 8192 /* clock offset samples kept: 13 minutes */
#define ERROR_BYTES 256

struct plan_header {
    uint32_t magic, version, flow_count, capacity;
};

struct plan_flow {
    uint32_t id;
    uint16_t family, sport, dport; /* host byte order; of ICMP, sport is the identifier and dport 0 */
    uint16_t ports;                /* TCP: probe n leaves from port sport + n % ports; else 1 */
    uint8_t tos, ttl;
    uint8_t src[16], dst[16];      /* IPv4 uses the first four bytes */
    uint16_t protocol;             /* IPPROTO_UDP, _TCP, _ICMP or _ICMPV6 */
    uint16_t packet_bytes, header_at, payload_at; /* the transport's header and the probe's payload within the packet */
    int64_t interval_ns, phase_ns;
    uint64_t packet_at;            /* where in the plan file the packet begins, from the network header up */
};

/* The plan file: plan_header, plan_flow[flow_count], then every flow's packet. */

enum state { STARTING = 0, RUNNING = 1, STOPPED = 2, FAILED = 3 };

struct header {
    uint32_t magic; /* written last */
    uint32_t version, header_bytes, flow_count, capacity, record_bytes, pid, state;
    int64_t start_ns, heartbeat_ns;
    uint64_t sent;            /* handed to the kernel and taken by it */
    uint64_t received;        /* answers to a probe of ours, first ones */
    uint64_t denied;          /* probes that were told no: by RST, by an ICMP error */
    uint64_t duplicates;      /* further answers to the same probe */
    uint64_t corrupt;         /* answers to a probe of ours whose bytes differ */
    uint64_t foreign;         /* datagrams that answer no probe of ours */
    uint64_t socket_drops;    /* datagrams our own sockets had no room for (of UDP, no more than the namespace had none for) */
    uint64_t not_sent;        /* probes never sent because we were more than 1 s behind */
    uint64_t refused;         /* sends that the network refused: lost probes */
    uint64_t harness_errors;  /* sends that failed for want of our own resources */
    uint64_t unstamped;       /* first sends after a refusal: their kernel stamp cannot be told apart */
    uint64_t names_overflow;  /* answers whose backend is too long for the table, or one too many */
    uint64_t offset_count;    /* samples taken; the ring holds the last OFFSETS */
    uint32_t name_count, reserved;
    uint64_t send_errors[ERRNOS]; /* by errno */
    char names[NAMES][NAME_BYTES];
    struct offset_sample offsets[OFFSETS];
    char error[ERROR_BYTES];
};

struct flow_status {
    uint32_t id, socket_drops;
    uint64_t next_seq; /* sequence numbers below this are in the ring, unless overwritten */
};

enum record_flags {
    WRITTEN = 1,       /* this slot holds a probe */
    ANSWERED = 2,
    CORRUPT = 4,       /* the answer's bytes differ from the probe's */
    NOT_SENT = 8,      /* the harness's own fault */
    SEND_REFUSED = 16, /* the network's fault, told at once by send */
    DUPLICATE = 32,    /* answered more than once */
    UNSTAMPED = 64,    /* sent without asking for a kernel stamp */
};

/* How a probe was told no; rx_ns is then when that arrived. */
enum denial {
    NOT_DENIED = 0,
    BY_RST = 1,       /* a RST that acknowledges our SYN */
    BY_STRAY_RST = 2, /* a RST to our port that does not */
    BY_ICMP = 3,      /* an ICMP error that quotes our probe */
};

struct record {
    uint64_t seq;
    int64_t due_ns, tx_ns, rx_ns, sent_ns; /* CLOCK_MONOTONIC; tx, rx from the kernel, sent from our own clock; 0 = none */
    uint8_t backend, flags, denial, icmp_type, icmp_code;
    uint8_t ttl; /* that the answer had left (IPv6: hop limit); 0 = no answer */
    uint8_t reserved[2];
};

/* The record file: header, flow_status[flow_count], then record[flow_count][capacity], each part at a page boundary. */
