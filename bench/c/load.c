/* Takes commands on its standard input and answers each with a line of JSON.
 *
 *   load CONTROL_PORT PORT [only TEXT] [tokens FILE] group PATH [send TEXT | expect TEXT]...
 *
 *   open COUNT GROUP AT_ONCE        connections, so many being opened at a time
 *   round TURNS EACH INTERVAL LIMIT has the server publish EACH changes in every turn; a turn begins when everybody has
 *                                   heard the one before, or every INTERVAL ns; gives up after LIMIT ms of silence
 *   watch CHANGES FIRST LIMIT       the same, but somebody else makes the changes, numbered from FIRST
 *   close                           all connections
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct tally tally;
const char *only;
bool in_round;
uint64_t first_of_round;

enum { PREEMPTED = 20000 }; /* nanoseconds: a look that finds nothing and takes longer was not on the core all along */

static int epoll_fd, timer_fd, conductor = -1;
static uint64_t sequence = 1; /* the number of the next change */
static struct {
    uint64_t turns, each, interval, limit; /* nanoseconds */
    uint64_t begun, subscribers, expected, began, next_turn, last_news, last_received;
    double cpu;
    bool conducted;
    uint64_t idle;
    double late[PARTS];
    uint64_t heard[PARTS];
} run;

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

void stop_because(const char *what) {
    perror(what);
    exit(1);
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void connect_conductor(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    conductor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(conductor, (struct sockaddr *)&to, sizeof to) < 0) stop_because("control port");
}

static void set_alarm(uint64_t at) {
    struct itimerspec when = {.it_value = {(time_t)(at / 1000000000), (long)(at % 1000000000)}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Time is taken when a turn was due, so a late one counts as slow. */
static void begin_turn(uint64_t due) {
    char line[96];
    int size = snprintf(line, sizeof line, "turn %lu %lu %lu\n", sequence, run.each, due);
    if (send(conductor, line, (size_t)size, MSG_NOSIGNAL) != size) stop_because("control connection");
    sequence += run.each;
    run.begun++;
}

static void begin_run(bool conducted) {
    tally = (struct tally){0};
    histogram_clear();
    memset(run.late, 0, sizeof run.late), memset(run.heard, 0, sizeof run.heard);
    first_of_round = sequence, run.idle = 0, run.conducted = conducted;
    for (uint32_t i = 0; i < connection_count; i++) start_counting(&connections[i], sequence);
    run.subscribers = live_count;
    run.expected = run.turns * run.each * live_count;
    run.began = run.last_news = now_ns();
    run.begun = run.last_received = 0;
    run.cpu = cpu_seconds();
    in_round = true;
    run.next_turn = run.began + run.interval;
    if (!conducted) run.begun = run.turns;
    else begin_turn(run.began);
    set_alarm(run.interval && conducted ? run.next_turn : run.began + run.limit);
}

static void end_run(void) {
    double seconds = (double)(now_ns() - run.began) / 1e9, cpu = cpu_seconds() - run.cpu;
    in_round = false;
    set_alarm(0);
    printf("{\"deliveries\": %lu, \"lost\": %lu, \"duplicates\": %lu, \"disordered\": %lu, \"ended\": %lu, "
           "\"bytes\": %lu, \"seconds\": %.6f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f, "
           "\"own_cpu\": %.6f, \"first\": %lu, \"parts\": [",
           tally.received, run.expected - tally.received, tally.duplicates, tally.disordered, tally.ended, tally.bytes,
           seconds, histogram_us(0.5), histogram_us(0.9), histogram_us(0.99), histogram_us(1), cpu - (double)run.idle / 1e9, first_of_round);
    for (int i = 0; i < PARTS; i++)
        printf("%s%.1f", i ? ", " : "", run.heard[i] ? run.late[i] / (double)run.heard[i] / 1000 : 0.0);
    printf("]}\n");
    fflush(stdout);
}

/* Keeps the mean of every part of the round, which shows whether lag grows. */
void heard_change(uint64_t seq, uint64_t ns) {
    uint64_t part = (seq - first_of_round) * PARTS / (run.turns * run.each);
    histogram_add(ns);
    if (part < PARTS) run.late[part] += (double)ns, run.heard[part]++;
}

/* After every batch of frames and every alarm. */
static void look_at_run(void) {
    uint64_t now = now_ns(), heard = run.begun * run.each * run.subscribers;
    if (tally.received != run.last_received) run.last_received = tally.received, run.last_news = now;
    if (tally.received >= run.expected || now - run.last_news > run.limit) {
        end_run();
    } else if (run.begun < run.turns) {
        if (run.interval) {
            for (; run.begun < run.turns && run.next_turn <= now; run.next_turn += run.interval) begin_turn(run.next_turn);
        } else if (tally.received >= heard) {
            begin_turn(now);
        }
    }
}

static void alarm_rang(void) {
    uint64_t times;
    if (read(timer_fd, &times, sizeof times) < 0 || !in_round) return;
    look_at_run();
    if (!in_round) return;
    bool turns_to_come = run.interval && run.begun < run.turns;
    set_alarm(turns_to_come ? run.next_turn : run.last_news + run.limit + 1);
}

static void obey(const char *line) {
    unsigned long a, b, c, d;
    if (sscanf(line, "open %lu %lu %lu", &a, &b, &c) == 3) {
        clients_open(epoll_fd, (uint32_t)a, (uint32_t)b, (uint32_t)c);
        return; /* answered when all are open */
    }
    if (sscanf(line, "round %lu %lu %lu %lu", &a, &b, &c, &d) == 4 || sscanf(line, "watch %lu %lu %lu", &a, &b, &d) == 3) {
        bool conducted = *line == 'r';
        run.turns = a, run.each = conducted ? b : 1, run.interval = conducted ? c : 0, run.limit = d * 1000000;
        if (!conducted) sequence = b;
        begin_run(conducted);
        if (!conducted) printf("{\"watching\": %u}\n", live_count), fflush(stdout);
        return;
    }
    if (!strncmp(line, "close", 5)) clients_close();
    printf("{\"ok\": true, \"strays\": %lu, \"live\": %u}\n", tally.strays, live_count);
    fflush(stdout);
}

static void take_commands(void) {
    static char text[4096];
    static size_t size;
    ssize_t got = read(0, text + size, sizeof text - 1 - size);
    if (got <= 0) exit(0); /* whoever drives us has gone */
    size += (size_t)got;
    text[size] = 0;
    for (char *end; (end = strchr(text, '\n'));) {
        *end = 0;
        obey(text);
        size -= (size_t)(end + 1 - text);
        memmove(text, end + 1, size + 1);
    }
}

static void watch_descriptor(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* In a round without pauses the generator never sleeps: a sender would have to wake it, a cost that depends on who is
 * faster, and that no server has whose clients are elsewhere. Time without events is not counted as its own. */
static int wait_for(struct epoll_event *events, int most) {
    if (!in_round || run.interval || !run.conducted) return epoll_wait(epoll_fd, events, most, -1);
    uint64_t before = now_ns();
    int count = epoll_wait(epoll_fd, events, most, 0);
    uint64_t taken = now_ns() - before;
    if (!count && taken < PREEMPTED) run.idle += taken;
    return count;
}

int main(int argc, char **argv) {
    struct epoll_event events[512];
    if (argc < 3) return 2;
    clients_configure(argc - 2, argv + 2);
    epoll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch_descriptor(0);
    watch_descriptor(timer_fd);
    if (atoi(argv[1])) connect_conductor(atoi(argv[1]));
    for (;;) {
        bool was_opening = clients_opening();
        int count = wait_for(events, 512);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == 0) take_commands();
            else if (events[i].data.u64 == (uint64_t)timer_fd) alarm_rang();
            else client_ready(events[i].data.ptr, events[i].events);
        }
        if (in_round) look_at_run();
        if (was_opening && !clients_opening()) {
            printf("{\"open\": %u, \"failed\": %u, \"seconds\": %.6f}\n", live_count, failed_count, clients_opened_in());
            fflush(stdout);
        }
    }
}
