/* What the requester is told (plan file) and what it leaves behind (record file), in the machine's byte order.
 * Python's side of both is probes/requests/layout.py; a change here needs one there and a new VERSION. */
#pragma once
#include <stdint.h>

#include "../clock.h"
#include "../names.h"

#define PLAN_MAGIC 0x5150534eu   /* "NSPQ" */
#define RECORD_MAGIC 0x5351534eu /* "NSQS" */
#define VERSION 2u

#define HOST_BYTES 320
#define PATH_BYTES 2048
#define HEADER_BYTES 128
#define FILE_BYTES 4096
#define WORDS_BYTES 4096
#define MOST_HEARD_BYTES 65536 /* so much of what a service without HTTP says is searched for what it is expected to */
#define SAID_BYTES 112
#define ERROR_BYTES 256
#define ERRNOS 256
#define TICKS 8192 /* kept: 13 minutes */

enum http_version { NO_HTTP = 0, HTTP_1_1 = 1, HTTP_2 = 2 };
enum security { IN_THE_CLEAR = 0, ANY_CERTIFICATE = 1, VERIFIED = 2 };

struct plan_header {
    uint32_t magic, version, series_count, capacity;
};

/* Texts end with a zero; words may hold any. */
struct plan_series {
    uint32_t id;
    uint16_t family, dport, base_port, ports; /* request n leaves from one of `ports` ports from base_port up, in turn */
    uint8_t src[16], dst[16];                 /* IPv4 uses the first four bytes */
    uint8_t http, security;                   /* enum http_version, enum security */
    uint16_t send_bytes, expect_bytes, reserved[3];
    int64_t interval_ns, phase_ns;
    char host[HOST_BYTES];         /* what the Host header says */
    char name[HOST_BYTES];         /* what the certificate has to be made out to */
    char path[PATH_BYTES];
    char identity[HEADER_BYTES];   /* the header that names the backend; empty: answers name none */
    char certificates[FILE_BYTES]; /* who may have signed the server's, in PEM; only where it is VERIFIED */
    uint8_t send[WORDS_BYTES], expect[WORDS_BYTES]; /* without HTTP: what is said, and what the answer holds */
};

/* The plan file: plan_header, plan_series[series_count]. */

enum state { STARTING = 0, RUNNING = 1, STOPPED = 2, FAILED = 3 };

struct tick {
    int64_t mono_ns, offset_ns; /* as struct offset_sample */
    int64_t late_ns;            /* by how much we came too late to anything since the tick before, at most */
};

struct header {
    uint32_t magic; /* written last */
    uint32_t version, header_bytes, series_count, capacity, record_bytes, pid, state;
    int64_t start_ns, heartbeat_ns;
    uint64_t sent;           /* requests for which connect was called, and which have ended */
    uint64_t good;           /* answered rightly, whole and in time */
    uint64_t failed;         /* of those sent, which ended in any other way */
    uint64_t not_sent;       /* never sent because we were more than 1 s behind, or for want of our own resources */
    uint64_t harness_errors; /* of these, the latter */
    uint64_t unstamped;      /* reads of an answer without a kernel stamp that makes sense: our own clock stood in */
    uint64_t names_overflow; /* answers whose backend's name is too long for the table, cannot be printed, or is one too many */
    uint64_t tick_count;     /* ticks taken; the ring holds the last TICKS */
    uint32_t name_count, open; /* open: requests under way now */
    uint64_t errors[ERRNOS];   /* of sockets, by errno */
    char names[NAMES][NAME_BYTES];
    struct tick ticks[TICKS];
    char error[ERROR_BYTES];
};

struct series_status {
    uint32_t id, reserved;
    uint64_t next_seq;     /* sequence numbers below this are in the ring, unless overwritten */
    char said[SAID_BYTES]; /* what was last wrong with TLS, or with what was heard in place of an answer */
};

/* How a request ended; probes/requests/trace.py explains each. */
enum outcome {
    UNDER_WAY = 0,
    OK = 1,
    REFUSED = 2,
    RESET = 3,
    SILENT = 4,
    INCOMPLETE = 5,
    WRONG_STATUS = 6,
    NO_IDENTITY = 7,
    TLS_ERROR = 8,
    NOT_SENT = 9,
    UNREACHABLE = 10,
    LATE = 11,
    MALFORMED = 12,
};

struct record {
    uint64_t seq;
    int64_t due_ns, sent_ns, connected_ns, handshaken_ns; /* CLOCK_MONOTONIC, our own clock; 0 = none */
    int64_t first_byte_ns, done_ns;                       /* of the answer, by the kernel's stamp; done of a failure: ours */
    uint16_t sport, status;
    uint8_t backend;
    uint8_t outcome; /* written last */
    uint8_t written; /* this slot holds a request */
    uint8_t reserved;
};

/* The record file: header, series_status[series_count], then record[series_count][capacity], each part at a page boundary. */
