/* What the command line says of the server and of the kinds of clients. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group groups[MAX_GROUPS];
int group_count;
struct sockaddr_in server;

static char **tokens;
static uint32_t token_count;

static void read_tokens(const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    if (!file) stop_because("cannot read the tokens");
    while ((size = getline(&line, &room, file)) > 0) {
        line[strcspn(line, "\n")] = 0;
        tokens = realloc(tokens, (token_count + 1) * sizeof *tokens);
        tokens[token_count++] = strdup(line);
    }
    free(line);
    fclose(file);
}

/* PORT, then any of: only TEXT, tokens FILE, group PATH, and after a group: send TEXT, expect TEXT. */
void clients_configure(int argc, char **argv) {
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(argv[0]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "only")) {
            only = argv[i + 1];
        } else if (!strcmp(argv[i], "tokens")) {
            read_tokens(argv[i + 1]);
        } else if (!strcmp(argv[i], "group") && group_count < MAX_GROUPS) {
            groups[group_count++].path = argv[i + 1];
        } else {
            struct group *group = &groups[group_count ? group_count - 1 : 0];
            if (!group_count || group->count == MAX_STEPS) stop_because("bad arguments");
            group->steps[group->count++] = (struct step){!strcmp(argv[i], "send"), argv[i + 1]};
        }
    }
}

/* Tokens are given to connections in turn. */
const char *token_of(uint32_t number) { return token_count ? tokens[number % token_count] : NULL; }
