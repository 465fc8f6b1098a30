/* Frames of RFC 6455, and the number and time of a change inside of one. */
#define _GNU_SOURCE
#include "load.h"

#include <string.h>

/* The bytes of the frame at `data` and, in `head`, of its header; 0 while it is incomplete. Servers do not mask. */
size_t frame_size(const char *data, size_t size, size_t *head) {
    const unsigned char *b = (const unsigned char *)data;
    if (size < 2) return 0;
    size_t length = b[1] & 127;
    *head = length < 126 ? 2 : length == 126 ? 4 : 10;
    if (size < *head) return 0;
    if (length >= 126) {
        size_t bytes = *head - 2;
        length = 0;
        for (size_t i = 0; i < bytes; i++) length = length << 8 | b[2 + i];
    }
    return size >= *head + length ? *head + length : 0;
}

/* A whole client frame with an all-zero mask, which leaves the text as it is; `size` below 65536. */
size_t make_frame(char *out, int opcode, const char *text, size_t size) {
    size_t at = 0;
    out[at++] = (char)(0x80 | opcode);
    if (size < 126) {
        out[at++] = (char)(0x80 | size);
    } else {
        out[at++] = (char)(0x80 | 126);
        out[at++] = (char)(size >> 8);
        out[at++] = (char)size;
    }
    memset(out + at, 0, 4);
    memcpy(out + at + 4, text, size);
    return at + 4 + size;
}

/* Copies `text` with `{token}` replaced; returns the size. */
size_t fill_in(char *out, size_t room, const char *text, const char *token) {
    const char *hole = token ? strstr(text, "{token}") : NULL;
    size_t before = hole ? (size_t)(hole - text) : strlen(text), inside = hole ? strlen(token) : 0;
    size_t after = hole ? strlen(hole + 7) : 0;
    if (before + inside + after + 1 > room) stop_because("a text is too long");
    memcpy(out, text, before);
    if (hole) {
        memcpy(out + before, token, inside);
        memcpy(out + before + inside, hole + 7, after);
    }
    out[before + inside + after] = 0;
    return before + inside + after;
}

static uint64_t number_at(const char **text, const char *end) {
    uint64_t value = 0;
    while (*text < end && **text >= '0' && **text <= '9') value = value * 10 + (uint64_t)(*(*text)++ - '0');
    return value;
}

/* The last change that a frame names: an update may show the row as it was before, too. */
bool find_change(const char *text, size_t size, uint64_t *seq, uint64_t *at) {
    const char *end = text + size, *found = NULL;
    if (only && !memmem(text, size, only, strlen(only))) return false;
    for (const char *p = text; (p = memmem(p, (size_t)(end - p), "seq=", 4)); p += 4) found = p;
    if (!found) return false;
    found += 4;
    *seq = number_at(&found, end);
    if (end - found < 4 || memcmp(found, " at=", 4) != 0) return false;
    found += 4;
    *at = number_at(&found, end);
    return true;
}
