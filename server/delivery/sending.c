/* The same bytes to many sockets: the loop of `server/delivery/sending.py`, which says when it may be used. */

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Sends `size` bytes to each of `count` sockets and never waits. Returns how many did not take all; of the n-th of
   these, short_of[n] is the place among the sockets and taken[n] how many bytes it took. */
int send_to_all(const int *sockets, int count, const char *data, size_t size, int *short_of, int *taken)
{
    int left = 0;
    for (int place = 0; place < count; place++) {
        ssize_t sent;
        do
            sent = send(sockets[place], data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        if (sent != (ssize_t)size) {
            short_of[left] = place;
            taken[left++] = sent < 0 ? 0 : (int)sent;
        }
    }
    return left;
}
