/* What the requester's parts know of each other. Each part is one file of this folder, named after its idea. */
#pragma once
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "records.h"

#define MS 1000000LL
#define IN_TIME_NS (2000 * MS)
#define KEPT_OPEN_NS (200 * MS) /* beyond that: what is only just too late can be told */

struct series {
    struct plan_series *plan;
    struct series_status *status;
    struct record *ring;
    SSL_CTX *tls;
    uint16_t *shorter; /* without HTTP: after so many of the bytes that are expected, how many of their first they end with */
    int64_t due_ns;
    uint32_t turn; /* of its source ports: the first request's */
};

/* What has been heard of an answer. WHOLE: all of it. CUT_SHORT: no more will come. BROKEN: this is no HTTP, or holds nothing of what is
 * expected. UNSAFE: no TLS. */
enum progress { MORE, WHOLE, CUT_SHORT, BROKEN, UNSAFE };

enum part { STATUS_LINE, FIELDS, BODY, BODY_TO_THE_END, CHUNK_HEAD, CHUNK, CHUNK_END, TRAILERS };

#define LINE_BYTES 1024 /* of a longer line the rest is not looked at */

struct http1 {
    enum part part;
    uint64_t left, length, head_bytes;
    bool has_length, chunked, coded;
    uint32_t line_bytes;
    char line[LINE_BYTES];
};

struct words {
    uint32_t heard, found; /* bytes: of the answer, and of those expected that it now ends with */
};

enum stage { CONNECTING, SHAKING, ANSWERING };

#define OUT_BYTES 16384

/* One request, from connect to its end. */
struct request {
    struct request *next, *before; /* all that are open, by due time; next alone: those to be let go */
    struct series *series;
    struct record *record;
    int64_t due_ns;
    int fd; /* -1: it has ended */
    enum stage stage;
    SSL *tls;
    BIO *tls_in, *tls_out;
    nghttp2_session *http2;
    enum progress progress;
    int64_t heard_ns; /* the kernel's stamp of what is being read */
    uint16_t status;
    bool named;
    uint8_t backend;
    bool in_trailers;
    uint32_t out_bytes;
    struct http1 http1;
    struct words words;
    uint8_t out[OUT_BYTES]; /* what the socket has not taken yet */
};

extern struct header *header;
extern struct series *all_series;
extern uint32_t series_count, capacity;

/* records.c */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void read_plan(const char *path);
void map_records(const char *path);
void say(struct series *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* stamps.c: when the kernel received something, in monotonic time */
int64_t now_ns(void);
void sample_clock(void);
void was_late(int64_t by_ns);
void keep_stamping(void);
void stamp_received(int fd);
ssize_t receive(int fd, uint8_t *into, size_t room, int64_t *stamp_ns);

/* opening.c: from a source port to a socket that connects */
int open_socket(struct series *s, uint16_t sport); /* -1: see errno */
int start_connecting(struct series *s, int fd);

/* request.c: the life of one request */
void send_request(struct series *s, int64_t now, int epoll);
void go_on(struct request *q, uint32_t events);
void end_overdue(int64_t now);
int64_t first_overdue_ns(void); /* INT64_MAX: nothing is open */
void let_go(void);              /* of what has ended */
void end_all(void);

/* answer.c: what is heard of an answer, in whichever version of HTTP */
void heard_status(struct request *q, unsigned status);
void heard_header(struct request *q, const uint8_t *name, size_t name_bytes, const uint8_t *value, size_t value_bytes);

/* tls.c */
void open_tls(struct series *s);
bool begin_tls(struct request *q);
bool shake(struct request *q, bool *over); /* false: there will be no TLS, and `said` says why */
bool encrypt(struct request *q, const uint8_t *data, size_t n);
enum progress decrypt(struct request *q, const uint8_t *data, size_t n);

/* http1.c, http2.c */
bool ask1(struct request *q);
enum progress hear1(struct request *q, const uint8_t *data, size_t n);
enum progress hear1_end(struct request *q);
void open_http2(void);
bool ask2(struct request *q);
enum progress hear2(struct request *q, const uint8_t *data, size_t n);

/* words.c: no HTTP */
void learn_words(struct series *s);
bool ask_words(struct request *q);
enum progress hear_words(struct request *q, const uint8_t *data, size_t n);

/* speech.c: in the clear or by TLS, whatever the version */
bool put_out(struct request *q, const uint8_t *data, size_t n); /* onto the wire; false: there is no room for it */
bool say_to(struct request *q, const uint8_t *data, size_t n);  /* so that the other end hears it; false as above */
bool begin(struct request *q);
enum progress take(struct request *q, const uint8_t *data, size_t n); /* of the wire */
enum progress take_end(struct request *q);
enum progress hear(struct request *q, const uint8_t *data, size_t n); /* of the answer */
enum progress hear_end(struct request *q);
