/* A wire in user space: what comes out of a tap goes back into it later. It knows frames and times, no lab.
 *
 * usage: splice CONTROL TAP_DESCRIPTOR
 *
 * CONTROL is a file of `struct control`, written by whoever wants something and read by whoever wants to know. On SIGTERM it
 * sends what it still holds when that is due, and ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LARGEST 65536
#define BURST 64             /* frames read before those that are due get their turn */
#define HELD_BYTES (256UL << 20)
#define QUEUE_NS 100000000LL /* what may wait for its turn at the rate */

struct control {
    /* wanted */
    int64_t delay_ns;
    int64_t jitter_ns;
    uint64_t rate;           /* bits per second; 0: as fast as it goes */
    uint64_t reordering;     /* of 2^32 */
    /* found */
    uint64_t ready;
    uint64_t frames;         /* sent on */
    uint64_t dropped;        /* the wire's own loss: no room, or the kernel would not take it back */
    uint64_t overflowed;     /* came faster than the rate for longer than a queue lasts */
    uint64_t held;           /* waiting now */
    uint64_t late_ns;        /* the worst time between due and sent */
};

struct frame {
    int64_t due_ns;
    uint64_t number;
    uint32_t length;
    uint8_t bytes[];
};

static volatile struct control *control;
static struct frame **heap;
static size_t count, room;
static uint64_t held_bytes, numbers, lot;
static volatile sig_atomic_t stopping;

static void on_stop(int signal)
{
    (void)signal;
    stopping = 1;
}

static void die(const char *what)
{
    fprintf(stderr, "splice: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint64_t draw(void) /* xorshift64*, Vigna 2016 */
{
    lot ^= lot >> 12;
    lot ^= lot << 25;
    lot ^= lot >> 27;
    return (lot * 2685821657736338717ULL) >> 32;
}

static bool before(const struct frame *a, const struct frame *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void push(struct frame *f)
{
    if (count == room) {
        room = room ? room * 2 : 1024;
        heap = realloc(heap, room * sizeof *heap);
        if (!heap)
            die("memory");
    }
    size_t at = count++;
    for (size_t up; at && before(f, heap[up = (at - 1) / 2]); at = up)
        heap[at] = heap[up];
    heap[at] = f;
}

static struct frame *pop(void)
{
    struct frame *first = heap[0], *last = heap[--count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], last))
            break;
        heap[at] = heap[child];
    }
    if (count)
        heap[at] = last;
    return first;
}

/* When a frame that came now is to leave, or -1 if there is no room for it to wait. */
static int64_t due(int64_t now, uint32_t length)
{
    static int64_t free_ns; /* when the line has sent what it has to at the rate */
    int64_t from = now;
    if (control->rate) {
        int64_t start = free_ns > now ? free_ns : now;
        if (start - now > QUEUE_NS) {
            control->overflowed++;
            return -1;
        }
        from = free_ns = start + (int64_t)(length * 8000000000.0 / control->rate);
    }
    if (control->reordering && draw() < control->reordering)
        return from;
    int64_t jitter = control->jitter_ns;
    return from + control->delay_ns + (jitter ? (int64_t)(draw() * (2.0 * jitter) / 4294967296.0) - jitter : 0);
}

static void take(int tap)
{
    static uint8_t buffer[LARGEST];
    for (int i = 0; i < BURST; i++) {
        ssize_t length = read(tap, buffer, sizeof buffer);
        if (length < 0) {
            if (errno == EAGAIN || errno == EINTR)
                return;
            exit(0); /* the tap's namespace is gone, and the lab with it */
        }
        int64_t when = due(now_ns(), length);
        if (when < 0)
            continue;
        struct frame *f = held_bytes + length <= HELD_BYTES ? malloc(sizeof *f + length) : NULL;
        if (!f) {
            control->dropped++;
            continue;
        }
        *f = (struct frame){.due_ns = when, .number = numbers++, .length = length};
        memcpy(f->bytes, buffer, length);
        held_bytes += length;
        push(f);
    }
}

static void give(int tap)
{
    int64_t now = now_ns();
    while (count && heap[0]->due_ns <= now) {
        struct frame *f = pop();
        int64_t late = now - f->due_ns;
        if (late > (int64_t)control->late_ns)
            control->late_ns = late;
        if (write(tap, f->bytes, f->length) == (ssize_t)f->length)
            control->frames++;
        else
            control->dropped++;
        held_bytes -= f->length;
        free(f);
        if (!count || heap[0]->due_ns > now)
            now = now_ns();
    }
    control->held = count;
}

static void be_punctual(void)
{
    struct sched_param first = {.sched_priority = 1};
    prctl(PR_SET_TIMERSLACK, 1UL);
    setpriority(PRIO_PROCESS, 0, -20);
    sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: splice CONTROL TAP_DESCRIPTOR\n");
        return 2;
    }
    int file = open(argv[1], O_RDWR | O_CLOEXEC), tap = atoi(argv[2]);
    if (file < 0)
        die(argv[1]);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (control == MAP_FAILED)
        die(argv[1]);
    sigset_t term, other;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &other); /* it is heard while waiting only, so that none is missed */
    signal(SIGINT, SIG_IGN);               /* Ctrl-C is for whoever started us */
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    if (getrandom(&lot, sizeof lot, 0) != sizeof lot)
        die("random numbers");
    lot |= 1;
    be_punctual();
    control->ready = 1;
    for (;;) {
        take(tap);
        give(tap);
        struct pollfd in = {.fd = tap, .events = POLLIN};
        struct timespec wait = {0};
        if (count) {
            int64_t left = heap[0]->due_ns - now_ns();
            left = left < 0 ? 0 : left;
            wait = (struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        }
        bool idle = stopping && !count;
        if (ppoll(&in, 1, count || idle ? &wait : NULL, &other) == 0 && idle)
            return 0;
    }
}
