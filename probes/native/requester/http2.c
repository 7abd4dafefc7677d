/* HTTP/2 as a client speaks it to ask once (RFC 9113), by nghttp2. */
#include <string.h>

#include "requester.h"

static nghttp2_session_callbacks *callbacks;

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct request *q = user;
    (void)session, (void)frame;
    q->in_trailers = q->status >= 200;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_bytes,
    const uint8_t *value, size_t value_bytes, uint8_t flags, void *user)
{
    struct request *q = user;
    (void)session, (void)frame, (void)flags;
    if (q->in_trailers)
        return 0;
    if (name_bytes == 7 && !memcmp(name, ":status", 7)) {
        unsigned status = 0;
        for (size_t i = 0; i < value_bytes; i++)
            status = status * 10 + (unsigned)(value[i] - '0'); /* nghttp2 has seen to it that these are three digits */
        heard_status(q, status);
    } else {
        heard_header(q, name, name_bytes, value, value_bytes);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct request *q = user;
    (void)session;
    bool answers = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (answers && frame->hd.stream_id && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && q->progress == MORE)
        q->progress = WHOLE;
    return 0;
}

/* After the answer, or instead of it: by RST_STREAM, or by a GOAWAY that says that ours will not be answered. */
static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
    struct request *q = user;
    (void)session, (void)stream;
    if (q->progress == MORE) {
        say(q->series, "HTTP/2: the stream was closed: %s", nghttp2_http2_strerror(code));
        q->progress = code == NGHTTP2_PROTOCOL_ERROR ? BROKEN : CUT_SHORT;
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    struct request *q = user;
    (void)session, (void)frame;
    if (q->progress == MORE) {
        say(q->series, "HTTP/2: %s", nghttp2_strerror(code));
        q->progress = BROKEN;
    }
    return 0;
}

void open_http2(void)
{
    if (nghttp2_session_callbacks_new(&callbacks))
        die("no memory for HTTP/2");
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
}

/* What nghttp2 has to say: acknowledgements, windows. */
static bool say_owed(struct request *q)
{
    const uint8_t *data;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(q->http2, &data)) > 0)
        if (!say_to(q, data, (size_t)n))
            return false;
    return n == 0;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

bool ask2(struct request *q)
{
    const struct plan_series *p = q->series->plan;
    nghttp2_nv fields[] = {
        field(":method", "GET"),
        field(":scheme", q->tls ? "https" : "http"),
        field(":authority", p->host),
        field(":path", p->path),
        field("user-agent", "nospof"),
    };
    nghttp2_settings_entry no_push = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    return !nghttp2_session_client_new(&q->http2, callbacks, q) &&
           !nghttp2_submit_settings(q->http2, NGHTTP2_FLAG_NONE, &no_push, 1) &&
           nghttp2_submit_request(q->http2, NULL, fields, sizeof(fields) / sizeof(*fields), NULL, NULL) > 0 && say_owed(q);
}

enum progress hear2(struct request *q, const uint8_t *data, size_t n)
{
    ssize_t taken = nghttp2_session_mem_recv(q->http2, data, n);
    if (q->progress != MORE)
        return q->progress;
    if (taken >= 0 && say_owed(q) && nghttp2_session_want_read(q->http2))
        return MORE;
    /* nghttp2 has given up, and perhaps said goodbye */
    say(q->series, "HTTP/2: %s", taken < 0 ? nghttp2_strerror((int)taken) : "what came is none");
    return BROKEN;
}
