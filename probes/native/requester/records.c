/* The two files: the plan that is read and the records that are left. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "requester.h"

#define PAGE 4096UL

struct header *header;
struct series *all_series;
uint32_t series_count, capacity;

void die(const char *format, ...)
{
    char text[ERROR_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s\n", text);
    if (header) {
        memcpy(header->error, text, sizeof(text));
        header->state = FAILED;
    }
    exit(2);
}

void say(struct series *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(s->status->said, SAID_BYTES, format, arguments);
    va_end(arguments);
}

void read_plan(const char *path)
{
    struct plan_header p;
    FILE *file = fopen(path, "rb");
    if (!file)
        die("%s: %s", path, strerror(errno));
    if (fread(&p, sizeof(p), 1, file) != 1 || p.magic != PLAN_MAGIC || p.version != VERSION || !p.series_count || !p.capacity)
        die("%s: not a plan of version %u", path, VERSION);
    series_count = p.series_count;
    capacity = p.capacity;
    all_series = calloc(series_count, sizeof(*all_series));
    struct plan_series *plans = calloc(series_count, sizeof(*plans));
    if (!all_series || !plans || fread(plans, sizeof(*plans), series_count, file) != series_count)
        die("%s: it says %u series and holds fewer", path, series_count);
    fclose(file);
    for (uint32_t i = 0; i < series_count; i++) {
        struct plan_series *plan = &plans[i];
        all_series[i].plan = plan;
        if (plan->interval_ns <= 0 || plan->phase_ns < 0 || !plan->ports)
            die("%s: series %u has no interval or no ports", path, plan->id);
        if (plan->http > HTTP_2 || plan->security > VERIFIED)
            die("%s: series %u: no version of HTTP, or no TLS, that is known", path, plan->id);
        if (plan->send_bytes > WORDS_BYTES || plan->expect_bytes > WORDS_BYTES || !plan->expect_bytes == (plan->http == NO_HTTP))
            die("%s: series %u: too many words, or none to expect where there is no HTTP, or some where there is", path, plan->id);
        if (plan->host[HOST_BYTES - 1] || plan->name[HOST_BYTES - 1] || plan->path[PATH_BYTES - 1] ||
            plan->identity[HEADER_BYTES - 1] || plan->certificates[FILE_BYTES - 1])
            die("%s: series %u: a text without an end", path, plan->id);
    }
}

static size_t paged(size_t n) { return (n + PAGE - 1) & ~(PAGE - 1); }

void map_records(const char *path)
{
    size_t status_at = paged(sizeof(struct header));
    size_t ring_at = status_at + paged(series_count * sizeof(struct series_status));
    size_t size = ring_at + (size_t)series_count * capacity * sizeof(struct record);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        die("%s: %s", path, strerror(errno));
    uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        die("%s: %s", path, strerror(errno));
    close(fd);
    header = (struct header *)base;
    header->version = VERSION;
    header->header_bytes = sizeof(struct header);
    header->series_count = series_count;
    header->capacity = capacity;
    header->record_bytes = sizeof(struct record);
    header->pid = (uint32_t)getpid();
    header->heartbeat_ns = now_ns();
    for (uint32_t i = 0; i < series_count; i++) {
        all_series[i].status = (struct series_status *)(base + status_at) + i;
        all_series[i].status->id = all_series[i].plan->id;
        all_series[i].ring = (struct record *)(base + ring_at) + (size_t)i * capacity;
    }
    __atomic_store_n(&header->magic, RECORD_MAGIC, __ATOMIC_RELEASE);
}
