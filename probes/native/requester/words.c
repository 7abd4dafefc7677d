/* What a service without HTTP is told, and the bytes that its answer, or what it says by itself, has to hold. */
#include <stdlib.h>

#include "requester.h"

static uint32_t found_after(const struct series *s, uint32_t found, uint8_t byte)
{
    const uint8_t *expected = s->plan->expect;
    while (found && expected[found] != byte)
        found = s->shorter[found - 1];
    return found + (expected[found] == byte);
}

/* Knuth, Morris, Pratt: every byte of an answer is looked at once, in whatever pieces it comes. */
void learn_words(struct series *s)
{
    s->shorter = calloc(s->plan->expect_bytes, sizeof(*s->shorter));
    if (!s->shorter)
        die("no memory for what series %u is expected to say", s->plan->id);
    for (uint32_t i = 1; i < s->plan->expect_bytes; i++)
        s->shorter[i] = (uint16_t)found_after(s, s->shorter[i - 1], s->plan->expect[i]);
}

bool ask_words(struct request *q) { return say_to(q, q->series->plan->send, q->series->plan->send_bytes); }

enum progress hear_words(struct request *q, const uint8_t *data, size_t n)
{
    struct words *w = &q->words;
    for (size_t i = 0; i < n && w->heard < MOST_HEARD_BYTES; i++, w->heard++) {
        w->found = found_after(q->series, w->found, data[i]);
        if (w->found == q->series->plan->expect_bytes)
            return WHOLE;
    }
    if (w->heard < MOST_HEARD_BYTES)
        return MORE;
    say(q->series, "what is expected is not in the first %d bytes", MOST_HEARD_BYTES);
    return BROKEN;
}
