/* Times in buckets that are 1/64 of their power of two wide, so a percentile is exact to 1.6 %. */
#include "load.h"

#include <string.h>

enum { STEPS = 64, POWERS = 58 };
static uint64_t buckets[POWERS * STEPS], total;

void histogram_clear(void) {
    memset(buckets, 0, sizeof buckets);
    total = 0;
}

static unsigned bucket_of(uint64_t ns) {
    if (ns < STEPS) return (unsigned)ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns);  /* 6 and above */
    return (power - 5) * STEPS + (unsigned)(ns >> (power - 6) & (STEPS - 1));
}

static double middle_of(unsigned bucket) {
    if (bucket < STEPS) return bucket;
    unsigned power = bucket / STEPS + 5;
    return (double)((uint64_t)(STEPS + bucket % STEPS) << (power - 6)) + (double)(1ull << (power - 6)) / 2;
}

void histogram_add(uint64_t ns) {
    buckets[bucket_of(ns)]++;
    total++;
}

/* The time in microseconds below which this share of all lies. */
double histogram_us(double share) {
    uint64_t wanted = (uint64_t)((double)total * share), seen = 0;
    for (unsigned i = 0; i < POWERS * STEPS; i++) {
        seen += buckets[i];
        if (seen > wanted || (buckets[i] && seen == total)) return middle_of(i) / 1000;
    }
    return 0;
}
