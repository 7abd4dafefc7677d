/* What is heard of an answer's head, in whichever version of HTTP: its status, and who gave it. */
#include <strings.h>

#include "requester.h"

void heard_status(struct request *q, unsigned status)
{
    q->status = (uint16_t)status;
    q->named = false;
    q->backend = NO_BACKEND;
}

void heard_header(struct request *q, const uint8_t *name, size_t name_bytes, const uint8_t *value, size_t value_bytes)
{
    const char *identity = q->series->plan->identity;
    if (!*identity || strlen(identity) != name_bytes || strncasecmp(identity, (const char *)name, name_bytes) || !value_bytes)
        return;
    int index = name_index(header->names, &header->name_count, &header->names_overflow, value, value_bytes);
    header->names_overflow += index < 0;
    q->named = true;
    q->backend = (uint8_t)(index < 0 ? NO_BACKEND : index);
}
