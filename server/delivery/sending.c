/* The same bytes to many sockets: the loop of `server/delivery/sending.py`, which says what slots are. */

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Sends `size` bytes to the descriptors that stand in `count` slots, and never waits; slot 0 is nobody's, and a negative
   descriptor takes nothing. Returns how many did not take all; of the n-th of these, short_of[n] is the place among the
   slots and taken[n] how many bytes it took. */
int send_to_slots(const int *descriptors, const int *slots, int count, const char *data, size_t size, int *short_of,
                int *taken)
{
    int left = 0;
    for (int place = 0; place < count; place++) {
        int descriptor = descriptors[slots[place]];
        ssize_t sent = -1;
        if (!slots[place]) continue;
        while (descriptor >= 0 && (sent = send(descriptor, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 && errno == EINTR)
            ;
        if (sent != (ssize_t)size) {
            short_of[left] = place;
            taken[left++] = sent < 0 ? 0 : (int)sent;
        }
    }
    return left;
}
