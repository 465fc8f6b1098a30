/* Connections: opened a few at a time, led through the steps of their group, then read. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection *connections;
uint32_t connection_count, live_count, failed_count;

static int epoll_fd;
static uint32_t opened_ever; /* chooses the token, so clients after a `close` bring new ones */
static uint32_t to_open, opening, open_group, open_limit;
static uint64_t open_began, open_ended;
static char buffer[BUFFER];

static void write_all(struct connection *c, const char *data, size_t size) {
    if (send(c->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) stop_because("a server does not read what it is sent");
}

static void open_next(void);

static void settled(void) {
    opening--;
    open_next();
    if (!opening && !to_open) open_ended = now_ns();
}

static void end(struct connection *c) {
    if (c->phase == LIVE) {
        live_count--;
        tally.ended++;
    } else {
        failed_count++;
    }
    bool was_opening = c->phase != LIVE;
    c->phase = DEAD;
    close(c->fd);
    free(c->held);
    c->held = NULL;
    if (was_opening) settled();
}

/* Does all that can be done without hearing from the server. */
static void advance(struct connection *c) {
    static char text[8192], frame[8300];
    struct group *group = &groups[c->group];
    while (c->step < group->count && group->steps[c->step].sends) {
        size_t size = fill_in(text, sizeof text, group->steps[c->step].text, token_of(c->number));
        write_all(c, frame, make_frame(frame, 1, text, size));
        c->step++;
    }
    if (c->step < group->count) return;
    c->phase = LIVE;
    live_count++;
    settled();
}

static void upgrade(struct connection *c) {
    static char path[8192], request[8700];
    fill_in(path, sizeof path, groups[c->group].path, token_of(c->number));
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path);
    write_all(c, request, (size_t)size);
    c->phase = UPGRADING;
}

static void open_one(void) {
    struct connection *c = &connections[connection_count];
    int on = 1;
    *c = (struct connection){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .group = (uint8_t)open_group};
    connection_count++;
    c->number = opened_ever++;
    if (c->fd < 0) stop_because("too few descriptors (ulimit -n)");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) stop_because("connect");
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
    opening++;
}

static void open_next(void) {
    while (to_open && opening < open_limit) {
        to_open--;
        open_one();
    }
}

void clients_open(int epoll, uint32_t count, uint32_t group, uint32_t at_once) {
    epoll_fd = epoll;
    if ((int)group >= group_count) stop_because("no such group");
    if (!connections) connections = calloc(1 << 17, sizeof *connections);
    if (connection_count + count > 1 << 17) stop_because("too many connections");
    to_open = count, open_group = group, open_limit = at_once;
    open_began = now_ns(), open_ended = 0;
    open_next();
}

bool clients_opening(void) { return opening || to_open; }

double clients_opened_in(void) { return (double)(open_ended - open_began) / 1e9; }

void start_counting(struct connection *c, uint64_t first) {
    c->next = first;
    memset(c->window, 0, sizeof c->window);
}

/* Whether the number has come before; notes that it has now. */
static bool seen(struct connection *c, uint64_t seq) {
    uint64_t *word = &c->window[seq % WINDOW / 64], bit = 1ull << seq % 64;
    bool was = *word & bit;
    *word |= bit;
    return was;
}

static void count_change(struct connection *c, uint64_t seq, uint64_t at) {
    if (!in_round || seq < first_of_round) {
        tally.strays++;
        return;
    }
    uint64_t now = now_ns();
    if (seq >= c->next) {
        if (seq - c->next >= WINDOW) memset(c->window, 0, sizeof c->window);
        else for (uint64_t n = c->next; n <= seq; n++) c->window[n % WINDOW / 64] &= ~(1ull << n % 64);
        seen(c, seq);
        c->next = seq + 1;
    } else if (c->next - seq > WINDOW || seen(c, seq)) {
        tally.duplicates++;
        return;
    } else {
        tally.disordered++;
    }
    tally.received++;
    heard_change(seq, now > at ? now - at : 0);
}

static void take_text(struct connection *c, const char *text, size_t size) {
    uint64_t seq, at;
    if (c->phase == LIVE && find_change(text, size, &seq, &at)) {
        count_change(c, seq, at);
    } else if (size == 1 && *text == '2') { /* a ping of Engine.IO */
        char frame[16];
        write_all(c, frame, make_frame(frame, 1, "3", 1));
    } else if (c->phase == SCRIPT) {
        const char *wanted = groups[c->group].steps[c->step].text;
        if (!memmem(text, size, wanted, strlen(wanted))) return;
        c->step++;
        advance(c);
    }
}

static void take_frame(struct connection *c, int opcode, const char *data, size_t size) {
    char frame[256];
    if (opcode == 1) {
        take_text(c, data, size);
    } else if (opcode == 9 && size < 126) {
        write_all(c, frame, make_frame(frame, 10, data, size));
    } else if (opcode == 8) {
        end(c);
    }
}

/* The size of the answer to an upgrade; 0 while it is incomplete. */
static size_t take_answer(struct connection *c, const char *data, size_t size) {
    const char *found = memmem(data, size, "\r\n\r\n", 4);
    if (!found) return 0;
    if (memcmp(data, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "refused: %.*s\n", (int)(found - data), data);
        end(c);
        return 0;
    }
    c->phase = SCRIPT;
    advance(c);
    return (size_t)(found - data) + 4;
}

static void keep(struct connection *c, const char *rest, size_t size) {
    free(c->held);
    c->held = size ? malloc(size) : NULL;
    if (size) memmove(c->held, rest, size);
    c->held_size = (uint32_t)size;
}

/* Returns whether there may be more to read. */
static bool receive(struct connection *c) {
    size_t size = c->held_size, at = 0, head, whole;
    if (size) memcpy(buffer, c->held, size);
    ssize_t got = recv(c->fd, buffer + size, BUFFER - size, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) end(c);
        return false;
    }
    tally.bytes += (uint64_t)got;
    size += (size_t)got;
    if (c->phase == UPGRADING) at = take_answer(c, buffer, size);
    while (c->phase >= SCRIPT && c->phase != DEAD && (whole = frame_size(buffer + at, size - at, &head))) {
        take_frame(c, buffer[at] & 15, buffer + at + head, whole - head);
        at += whole;
    }
    if (c->phase != DEAD && (c->held || at < size)) keep(c, buffer + at, size - at);
    return c->phase != DEAD && size == BUFFER;
}

void client_ready(struct connection *c, uint32_t events) {
    if (c->phase == DEAD) return;
    if (c->phase != CONNECTING) {
        while (receive(c)) continue;
        return;
    }
    int error = 0;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error || events & EPOLLERR) {
        end(c);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
    if (!strcmp(groups[c->group].path, "-")) {
        c->phase = SCRIPT;
        advance(c);
    } else {
        upgrade(c);
    }
}

void clients_close(void) {
    for (uint32_t i = 0; i < connection_count; i++)
        if (connections[i].phase != DEAD) {
            connections[i].phase = DEAD;
            close(connections[i].fd);
            free(connections[i].held);
        }
    connection_count = live_count = failed_count = 0;
}
