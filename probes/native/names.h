/* The table of backends' names that a record file begins with: a record holds an index into it. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NAMES 64      /* backends that can be told apart */
#define NAME_BYTES 64 /* a name and its closing zero */
#define NO_BACKEND 255

/* The name's index, entered if it is new. NO_BACKEND if it is empty or the table has no room for it (which *overflow counts),
 * -1 if it is no name: a byte of it cannot be printed. */
static inline int name_index(char names[NAMES][NAME_BYTES], uint32_t *count, uint64_t *overflow, const uint8_t *name, size_t length)
{
    if (length == 0)
        return NO_BACKEND;
    for (size_t i = 0; i < length; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return -1;
    uint32_t i = length < NAME_BYTES ? 0 : NAMES;
    for (; i < *count; i++)
        if (!memcmp(names[i], name, length) && !names[i][length])
            return (int)i;
    if (i == NAMES) {
        (*overflow)++;
        return NO_BACKEND;
    }
    memcpy(names[i], name, length);
    __atomic_store_n(count, i + 1, __ATOMIC_RELEASE);
    return (int)i;
}
