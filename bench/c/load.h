/* The load generator: many client connections in one thread, which check and time what they receive.
 *
 * Invariants: a connection costs one descriptor and one `struct connection`; bytes are kept for it only while a frame
 * is incomplete; a change is known by the text `seq=N at=T` in its frame, T in nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_GROUPS = 4, MAX_STEPS = 16, WINDOW = 1024, PARTS = 5, BUFFER = 1 << 20 };

enum phase { CONNECTING, UPGRADING, SCRIPT, LIVE, DEAD };

/* What clients of one kind do until they are ready: texts to send, and texts to wait for. */
struct step {
    bool sends;
    const char *text;
};

struct group {
    const char *path; /* of the WebSocket; "-" for plain TCP */
    struct step steps[MAX_STEPS];
    int count;
};

struct connection {
    int fd;
    uint8_t phase, group, step;
    uint32_t number;
    uint32_t held_size;
    char *held;      /* the beginning of an incomplete frame */
    uint64_t next; /* the sequence number that should come */
    uint64_t window[WINDOW / 64]; /* bit `n % WINDOW`: number n, one of the WINDOW before `next`, has come */
};

/* What was received in a round. */
struct tally {
    uint64_t received, duplicates, disordered, strays, ended;
    uint64_t bytes;
};

/* load.c */
extern struct tally tally;
extern const char *only; /* frames without this text are no changes; NULL: all with a number are */
extern bool in_round;
extern uint64_t first_of_round; /* the number of its first change */
uint64_t now_ns(void);
void heard_change(uint64_t seq, uint64_t ns);
void stop_because(const char *what) __attribute__((noreturn));

/* groups.c: the command line */
extern struct group groups[MAX_GROUPS];
extern int group_count;
extern struct sockaddr_in server;
void clients_configure(int argc, char **argv);
const char *token_of(uint32_t number);

/* clients.c: connections, from the first step to the last frame */
extern struct connection *connections;
extern uint32_t connection_count, live_count, failed_count;
void clients_open(int epoll, uint32_t count, uint32_t group, uint32_t at_once);
bool clients_opening(void);
double clients_opened_in(void);
void start_counting(struct connection *c, uint64_t first);
void client_ready(struct connection *c, uint32_t events);
void clients_close(void);

/* frames.c */
size_t frame_size(const char *data, size_t size, size_t *head);
size_t make_frame(char *out, int opcode, const char *text, size_t size);
size_t fill_in(char *out, size_t room, const char *text, const char *token);
bool find_change(const char *text, size_t size, uint64_t *seq, uint64_t *at);

/* histogram.c */
void histogram_clear(void);
void histogram_add(uint64_t ns);
double histogram_us(double share);

#endif
