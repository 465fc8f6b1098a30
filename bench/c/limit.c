/* What the kernel allows: a server without any work of its own. It tells every connection every change, with one
 * send() for each (`each`), or one for all changes of a turn (`joined`).
 *
 *   limit PORT CONTROL_PORT each|joined TEXT      TEXT is the frame's, with {marker} for the number and the time
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1 << 17, ROOM = 1 << 20 };
static int sockets[MOST], socket_count, epoll_fd;
static char frames[ROOM];
static const char *text;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int listen_on(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 65535) < 0) fail("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return fd;
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (socket_count == MOST) fail("too many connections");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockets[socket_count++] = fd;
    }
}

/* One frame of RFC 6455 between 126 and 65535 bytes of text. */
static size_t make_frame(char *out, unsigned long number, unsigned long at) {
    const char *hole = strstr(text, "{marker}");
    int size = sprintf(out + 4, "%.*sseq=%09lu at=%019lu%s", (int)(hole - text), text, number, at, hole + 8);
    out[0] = (char)0x81, out[1] = 126, out[2] = (char)(size >> 8), out[3] = (char)size;
    return (size_t)size + 4;
}

static void tell(const char *data, size_t size) {
    for (int i = 0; i < socket_count;) {
        if (send(sockets[i], data, size, MSG_NOSIGNAL) == (ssize_t)size) {
            i++;
        } else {
            close(sockets[i]);
            sockets[i] = sockets[--socket_count];
        }
    }
}

static void turn(const char *line, int joined) {
    unsigned long first, count, at;
    size_t size = 0;
    if (sscanf(line, "turn %lu %lu %lu", &first, &count, &at) != 3) return;
    for (unsigned long i = 0; i < count; i++) {
        size_t one = make_frame(frames + size, first + i, at);
        if (joined) size += one;
        else tell(frames, one);
    }
    if (joined) tell(frames, size);
}

int main(int argc, char **argv) {
    struct epoll_event events[8];
    char line[256];
    if (argc < 5 || !strstr(argv[4], "{marker}")) return 2;
    int joined = !strcmp(argv[3], "joined");
    text = argv[4];
    epoll_fd = epoll_create1(0);
    int listener = listen_on(atoi(argv[1])), control = listen_on(atoi(argv[2]));
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 8, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(listener);
            } else if (fd == control) {
                struct epoll_event event = {.events = EPOLLIN, .data.fd = accept(control, NULL, NULL)};
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event);
            } else {
                ssize_t got = read(fd, line, sizeof line - 1);
                accept_all(listener);
                if (got > 0) line[got] = 0, turn(line, joined);
                else close(fd);
            }
        }
    }
}
