/* The life of one request: sent when it is due, followed to its end, written down. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "requester.h"

#define BEHIND_NS (1000 * MS)

static struct request *first, *last, *ended; /* `first` and `last` of those that are open, by due time */

/* What was missing was ours: it says nothing of the network. */
static bool harness_fault(int error)
{
    return error == ENOBUFS || error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == EBADF ||
           error == EINVAL || error == EADDRINUSE || error == EADDRNOTAVAIL;
}

static enum outcome outcome_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return REFUSED;
    case ECONNRESET:
    case EPIPE:
        return RESET;
    case ETIMEDOUT:
        return SILENT;
    }
    return harness_fault(error) ? NOT_SENT : UNREACHABLE;
}

static void write_down(struct record *r, enum outcome outcome, int64_t done_ns)
{
    header->sent += outcome != NOT_SENT;
    header->good += outcome == OK;
    header->failed += outcome != OK && outcome != NOT_SENT;
    header->not_sent += outcome == NOT_SENT;
    r->done_ns = outcome == NOT_SENT ? 0 : done_ns;
    r->sent_ns = outcome == NOT_SENT ? 0 : r->sent_ns;
    __atomic_store_n(&r->outcome, (uint8_t)outcome, __ATOMIC_RELEASE);
}

static void end(struct request *q, enum outcome outcome, int64_t done_ns)
{
    *(q->before ? &q->before->next : &first) = q->next;
    *(q->next ? &q->next->before : &last) = q->before;
    header->open--;
    close(q->fd);
    q->fd = -1;
    nghttp2_session_del(q->http2);
    SSL_free(q->tls);
    q->record->status = q->status;
    q->record->backend = q->backend;
    write_down(q->record, outcome, done_ns);
    q->next = ended; /* an event of it may be waiting still */
    ended = q;
}

static void end_by(struct request *q, int error)
{
    enum outcome outcome = outcome_of(error);
    header->errors[error > 0 && error < ERRNOS ? error : 0]++;
    header->harness_errors += outcome == NOT_SENT;
    end(q, outcome, now_ns());
}

static enum outcome too_late(const struct request *q) { return q->record->first_byte_ns ? INCOMPLETE : SILENT; }

static enum outcome judged(const struct request *q)
{
    int64_t took = q->heard_ns - q->due_ns;
    if (took > IN_TIME_NS + KEPT_OPEN_NS)
        return too_late(q);
    if (q->series->plan->http != NO_HTTP && q->status != 200)
        return WRONG_STATUS;
    if (*q->series->plan->identity && !q->named)
        return NO_IDENTITY;
    return took > IN_TIME_NS ? LATE : OK;
}

static void end_as(struct request *q, enum progress p)
{
    if (p == WHOLE)
        end(q, judged(q), q->heard_ns);
    else
        end(q, p == CUT_SHORT ? INCOMPLETE : p == BROKEN ? MALFORMED : TLS_ERROR, now_ns());
}

/* False: the request has ended. */
static bool flush(struct request *q)
{
    uint32_t sent = 0;
    while (sent < q->out_bytes) {
        ssize_t n = send(q->fd, q->out + sent, q->out_bytes - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            end_by(q, errno);
            return false;
        }
        sent += (uint32_t)n;
    }
    q->out_bytes -= sent;
    memmove(q->out, q->out + sent, q->out_bytes);
    return true;
}

static bool connected(struct request *q)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error) {
        end_by(q, error);
        return false;
    }
    q->record->connected_ns = now_ns();
    if (!begin(q)) {
        end_as(q, UNSAFE);
        return false;
    }
    return flush(q);
}

void go_on(struct request *q, uint32_t events)
{
    static uint8_t bytes[65536];
    if (q->fd < 0)
        return;
    if (q->stage == CONNECTING && (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) || !connected(q)))
        return;
    for (;;) {
        ssize_t n = receive(q->fd, bytes, sizeof(bytes), &q->heard_ns);
        if (n < 0 && errno != EAGAIN) {
            end_by(q, errno);
            return;
        }
        if (n < 0)
            break;
        if (n == 0)
            q->heard_ns = now_ns();
        enum progress p = n ? take(q, bytes, (size_t)n) : take_end(q);
        if (p != MORE) {
            end_as(q, p);
            return;
        }
        if (!flush(q))
            return;
    }
    flush(q);
}

static struct request *made(struct series *s, struct record *r, int fd)
{
    struct request *q = malloc(sizeof(*q));
    if (!q)
        return NULL;
    memset(q, 0, offsetof(struct request, out));
    q->series = s;
    q->record = r;
    q->due_ns = r->due_ns;
    q->fd = fd;
    q->backend = NO_BACKEND;
    return q;
}

/* False: see errno. */
static bool start(struct series *s, struct record *r, int epoll)
{
    int fd = open_socket(s, r->sport);
    if (fd < 0)
        return false;
    struct request *q = made(s, r, fd);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = q};
    if (!q || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) {
        int error = q ? errno : ENOMEM;
        free(q);
        close(fd);
        errno = error;
        return false;
    }
    q->before = last;
    *(last ? &last->next : &first) = q;
    last = q;
    header->open++;
    r->sent_ns = now_ns();
    if (start_connecting(s, fd) && errno != EINPROGRESS)
        end_by(q, errno);
    return true;
}

void send_request(struct series *s, int64_t now, int epoll)
{
    uint64_t seq = s->status->next_seq;
    struct record *r = &s->ring[seq % capacity];
    *r = (struct record){.seq = seq, .due_ns = s->due_ns, .backend = NO_BACKEND, .written = 1};
    r->sport = (uint16_t)(s->plan->base_port + (s->turn + seq) % s->plan->ports);
    was_late(now - s->due_ns);
    if (now - s->due_ns > BEHIND_NS) {
        write_down(r, NOT_SENT, 0);
    } else if (!start(s, r, epoll)) {
        header->errors[errno < ERRNOS ? errno : 0]++;
        header->harness_errors++;
        write_down(r, NOT_SENT, 0);
    }
    __atomic_store_n(&s->status->next_seq, seq + 1, __ATOMIC_RELEASE);
    s->due_ns += s->plan->interval_ns;
}

int64_t first_overdue_ns(void) { return first ? first->due_ns + IN_TIME_NS + KEPT_OPEN_NS : INT64_MAX; }

void end_overdue(int64_t now)
{
    while (first && first_overdue_ns() <= now)
        end(first, too_late(first), now);
}

void let_go(void)
{
    while (ended) {
        struct request *q = ended;
        ended = q->next;
        free(q);
    }
}

/* Whatever is under way stays so in the records: we did not wait for its end. */
void end_all(void)
{
    for (struct request *q = first; q; q = q->next)
        close(q->fd);
}
