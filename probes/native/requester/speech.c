/* Between the wire and HTTP, whichever the version, or a service's own words: in the clear or by TLS. */
#include <string.h>

#include "requester.h"

bool put_out(struct request *q, const uint8_t *data, size_t n)
{
    if (n > OUT_BYTES - q->out_bytes)
        return false;
    memcpy(q->out + q->out_bytes, data, n);
    q->out_bytes += (uint32_t)n;
    return true;
}

bool say_to(struct request *q, const uint8_t *data, size_t n) { return q->tls ? encrypt(q, data, n) : put_out(q, data, n); }

static bool ask(struct request *q)
{
    q->stage = ANSWERING;
    switch (q->series->plan->http) {
    case NO_HTTP:
        return ask_words(q);
    case HTTP_2:
        return ask2(q);
    default:
        return ask1(q);
    }
}

static enum progress go_on_shaking(struct request *q)
{
    bool over;
    if (!shake(q, &over))
        return UNSAFE;
    if (!over)
        return MORE;
    q->record->handshaken_ns = now_ns();
    return ask(q) ? decrypt(q, NULL, 0) : UNSAFE;
}

bool begin(struct request *q)
{
    if (!q->series->tls)
        return ask(q);
    q->stage = SHAKING;
    return begin_tls(q) && go_on_shaking(q) == MORE;
}

enum progress take(struct request *q, const uint8_t *data, size_t n)
{
    if (!q->tls)
        return hear(q, data, n);
    if (q->stage != SHAKING)
        return decrypt(q, data, n);
    return BIO_write(q->tls_in, data, (int)n) == (int)n ? go_on_shaking(q) : UNSAFE;
}

/* Without TLS's own word, an end is none that anybody may rely on (RFC 9112 section 9.8). */
enum progress take_end(struct request *q)
{
    if (!q->tls)
        return hear_end(q);
    if (q->stage == SHAKING)
        say(q->series, "no TLS: closed during the handshake");
    return q->stage == SHAKING ? UNSAFE : CUT_SHORT;
}

enum progress hear(struct request *q, const uint8_t *data, size_t n)
{
    if (!q->record->first_byte_ns)
        q->record->first_byte_ns = q->heard_ns;
    if (q->series->plan->http == NO_HTTP)
        return hear_words(q, data, n);
    return q->http2 ? hear2(q, data, n) : hear1(q, data, n);
}

enum progress hear_end(struct request *q) { return q->series->plan->http == HTTP_1_1 ? hear1_end(q) : CUT_SHORT; }
