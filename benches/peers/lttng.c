/* LTTng-UST, measured as main.rs measures the others: lttng-peer EVENT WAY EVENTS.
 *
 * lttng.sh starts the tracer round it. Single calls are answered as the others do; of a run flat
 * out only the start, as seconds since 1970, and the CPU time of this process are known here. */

#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "lttng-events.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum { BURST = 1000, WARM_UP = 20, MOST_BURSTS = 300, MOST_THREADS = 64 };
static const char *volatile text = "sixteen letters!";
static int is_long;
static uint64_t events;
static pthread_barrier_t together;

static uint64_t now(void) {
    _mm_lfence();
    uint64_t ticks = __rdtsc();
    _mm_lfence();
    return ticks;
}

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static inline void write_event(uint64_t a) {
    if (is_long)
        lttng_ust_tracepoint(peers, long_event, a, 7, text);
    else
        lttng_ust_tracepoint(peers, short_event, a);
}

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static double ns_per_tick(void) {
    double time = seconds(CLOCK_MONOTONIC);
    uint64_t ticks = now();
    usleep(50000);
    return (seconds(CLOCK_MONOTONIC) - time) * 1e9 / (now() - ticks);
}

/* In bursts, or one each microsecond. */
static void calls(int paced) {
    double ns = ns_per_tick();
    uint64_t step = 1000 / ns, next = now();
    size_t bursts = (events + BURST - 1) / BURST, count = 0;
    if (bursts > MOST_BURSTS)
        bursts = MOST_BURSTS;
    uint64_t *times = malloc(bursts * BURST * sizeof *times), empty[BURST];
    for (size_t b = 0; b < WARM_UP + bursts; b++) {
        for (uint64_t n = 0; n < BURST; n++) {
            while (paced && now() < next)
                ;
            next += step;
            uint64_t start = now();
            write_event(n);
            uint64_t ticks = now() - start;
            if (b >= WARM_UP)
                times[count++] = ticks;
        }
        if (!paced)
            usleep(2000);
    }
    for (int n = 0; n < BURST; n++) {
        uint64_t start = now();
        empty[n] = now() - start;
    }
    qsort(empty, BURST, sizeof *empty, compare);
    qsort(times, count, sizeof *times, compare);
    uint64_t nothing = empty[BURST / 2];
    const double shares[] = {0.5, 0.99, 0.999};
    const char *names[] = {"p50", "p99", "p99.9"};
    for (int n = 0; n < 3; n++) {
        uint64_t at = times[(size_t)(count * shares[n])];
        printf("%s=%.0f ", names[n], at > nothing ? (at - nothing) * ns : 0.0);
    }
    printf("\n");
    free(times);
}

static void *writer(void *unused) {
    (void)unused;
    write_event(0);
    pthread_barrier_wait(&together);
    for (uint64_t n = 1; n < events; n++)
        write_event(n);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    is_long = strcmp(argv[1], "long") == 0;
    events = strtoull(argv[3], NULL, 10);
    int paced = strcmp(argv[2], "paced") == 0;
    if (paced || strcmp(argv[2], "calls") == 0) {
        calls(paced);
        return 0;
    }
    int threads = atoi(argv[2]);
    if (threads < 1 || threads > MOST_THREADS)
        return 2;
    pthread_t writers[MOST_THREADS];
    pthread_barrier_init(&together, NULL, threads + 1);
    for (int t = 0; t < threads; t++)
        if (pthread_create(&writers[t], NULL, writer, NULL))
            return 1;
    double start = seconds(CLOCK_REALTIME), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    pthread_barrier_wait(&together);
    for (int t = 0; t < threads; t++)
        pthread_join(writers[t], NULL);
    printf("start=%.6f process_cpu=%.6f\n", start, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
