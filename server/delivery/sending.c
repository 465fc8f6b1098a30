/* The same bytes to many sockets: the loop of `server/delivery/sending.py`, which says what slots are. */

#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

/* Sends what fits and never waits. Where there is one it is the system call itself: `send` of libc lets a thread be
   cancelled meanwhile, which costs a hundredth of the whole. */
static ssize_t send_now(int descriptor, const char *data, size_t size)
{
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#ifdef SYS_sendto
    return syscall(SYS_sendto, descriptor, data, size, flags, NULL, 0);
#else
    return send(descriptor, data, size, flags);
#endif
}

/* Sends `size` bytes to the descriptors that stand in `count` slots; a negative one takes nothing. Returns how many did
   not take all; of the n-th of these, short_of[n] is the place among the slots and taken[n] how many bytes it took. */
int send_by_slots(const int *descriptors, const int *slots, int count, const char *data, size_t size, int *short_of,
                  int *taken)
{
    int left = 0;
    for (int place = 0; place < count; place++) {
        int descriptor = descriptors[slots[place]];
        ssize_t sent = -1;
        while (descriptor >= 0 && (sent = send_now(descriptor, data, size)) < 0 && errno == EINTR)
            ;
        if (sent != (ssize_t)size) {
            short_of[left] = place;
            taken[left++] = sent < 0 ? 0 : (int)sent;
        }
    }
    return left;
}
