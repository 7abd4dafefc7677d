/* HTTP/1.1 as a client speaks it to ask once (RFC 9112). Of the answer's body nothing is kept. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "requester.h"

#define MOST_HEAD_BYTES (256 * 1024) /* of status line, fields and trailers together */

bool ask1(struct request *q)
{
    const struct plan_series *p = q->series->plan;
    char text[HOST_BYTES + PATH_BYTES + 128];
    int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: nospof\r\nConnection: close\r\n\r\n",
        p->path, p->host);
    q->http1.part = STATUS_LINE;
    return say_to(q, (const uint8_t *)text, (size_t)n);
}

static enum progress take_status(struct request *q, const char *line, size_t n)
{
    if (n < 12 || memcmp(line, "HTTP/1.", 7) || line[7] < '0' || line[7] > '9' || line[8] != ' ' || (n > 12 && line[12] != ' '))
        return BROKEN;
    unsigned status = 0;
    for (int i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return BROKEN;
        status = status * 10 + (unsigned)(line[i] - '0');
    }
    if (status < 100)
        return BROKEN;
    heard_status(q, status);
    struct http1 *h = &q->http1;
    h->has_length = h->chunked = h->coded = false;
    h->part = FIELDS;
    return MORE;
}

static bool is(const char *name, size_t n, const char *wanted) { return n == strlen(wanted) && !strncasecmp(name, wanted, n); }

/* Digits alone, in whichever base; false for none, or more than there can be. */
static bool number(const char *text, size_t n, int base, uint64_t *found)
{
    char digits[16], *end;
    if (!n || n > 15 || (base == 16 ? !isxdigit((uint8_t)text[0]) : !isdigit((uint8_t)text[0])))
        return false; /* so strtoull finds no sign and no space, and no more than it can hold */
    memcpy(digits, text, n);
    digits[n] = 0;
    *found = strtoull(digits, &end, base);
    return end == digits + n;
}

static enum progress take_field(struct request *q, const char *line, size_t n)
{
    struct http1 *h = &q->http1;
    const char *colon = memchr(line, ':', n);
    if (*line == ' ' || *line == '\t')
        return MORE; /* the rest of the field before */
    if (!colon || colon == line)
        return BROKEN;
    const char *value = colon + 1, *end = line + n;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t name_bytes = (size_t)(colon - line), value_bytes = (size_t)(end - value);
    if (is(line, name_bytes, "content-length")) {
        uint64_t length;
        if (!number(value, value_bytes, 10, &length) || (h->has_length && h->length != length))
            return BROKEN;
        h->has_length = true;
        h->length = length;
    } else if (is(line, name_bytes, "transfer-encoding")) {
        h->coded = true; /* the body ends with its last chunk, or, where chunked is not the last coding, with the connection */
        h->chunked = value_bytes >= 7 && !strncasecmp(end - 7, "chunked", 7);
    } else {
        heard_header(q, (const uint8_t *)line, name_bytes, (const uint8_t *)value, value_bytes);
    }
    return MORE;
}

static enum progress head_is_over(struct request *q)
{
    struct http1 *h = &q->http1;
    if (q->status >= 100 && q->status < 200 && q->status != 101) {
        h->part = STATUS_LINE; /* not the answer yet */
        return MORE;
    }
    if (q->status == 101 || q->status == 204 || q->status == 304)
        return WHOLE;
    if (h->chunked) {
        h->part = CHUNK_HEAD;
    } else if (h->has_length && !h->coded) {
        h->left = h->length;
        h->part = BODY;
        return h->left ? MORE : WHOLE;
    } else {
        h->part = BODY_TO_THE_END;
    }
    return MORE;
}

static enum progress take_line(struct request *q)
{
    struct http1 *h = &q->http1;
    char *line = h->line;
    size_t n = h->line_bytes;
    if (n && line[n - 1] == '\r')
        n--;
    h->line_bytes = 0;
    switch (h->part) {
    case STATUS_LINE:
        return n ? take_status(q, line, n) : MORE;
    case FIELDS:
        return n ? take_field(q, line, n) : head_is_over(q);
    case CHUNK_HEAD: {
        size_t digits = 0;
        while (digits < n && line[digits] != ';' && line[digits] != ' ' && line[digits] != '\t')
            digits++;
        if (!number(line, digits, 16, &h->left))
            return BROKEN;
        h->part = h->left ? CHUNK : TRAILERS;
        return MORE;
    }
    case CHUNK_END:
        h->part = CHUNK_HEAD;
        return n ? BROKEN : MORE;
    default: /* TRAILERS */
        return n ? MORE : WHOLE;
    }
}

enum progress hear1(struct request *q, const uint8_t *data, size_t n)
{
    struct http1 *h = &q->http1;
    while (n) {
        if (h->part == BODY_TO_THE_END)
            return MORE;
        if (h->part == BODY || h->part == CHUNK) {
            size_t taken = n < h->left ? n : (size_t)h->left;
            h->left -= taken;
            data += taken;
            n -= taken;
            if (!h->left && h->part == BODY)
                return WHOLE;
            h->part = h->left ? h->part : CHUNK_END;
            continue;
        }
        const uint8_t *newline = memchr(data, '\n', n);
        size_t here = newline ? (size_t)(newline - data) : n, room = LINE_BYTES - h->line_bytes;
        size_t kept = here < room ? here : room;
        memcpy(h->line + h->line_bytes, data, kept);
        h->line_bytes += (uint32_t)kept;
        h->head_bytes += here + 1;
        data += newline ? here + 1 : here;
        n -= newline ? here + 1 : here;
        if (h->part != CHUNK_HEAD && h->part != CHUNK_END && h->head_bytes > MOST_HEAD_BYTES)
            return BROKEN;
        enum progress p = newline ? take_line(q) : MORE;
        if (p != MORE)
            return p;
    }
    return MORE;
}

/* The other end has said all that it had to say. */
enum progress hear1_end(struct request *q) { return q->http1.part == BODY_TO_THE_END ? WHOLE : CUT_SHORT; }
