/* Threads write while others look, flush, and at last stop: threads LOG
 * Prints how many events were accepted. */
#include "check.h"

#include <pthread.h>

enum { WRITERS = 4, EVENTS = 2000 };

static const etlring_guid GUID = {7, 7, 7, {7, 7, 7, 7, 7, 7, 7, 7}};
static etlring_session *session;
static etlring_provider *provider;

static void *write_events(void *number) {
    const etlring_event_descriptor event = {1, 0, 0, 4, 0, 0, 0};
    uint32_t i;
    for (i = 0; i < EVENTS; i++) {
        uint32_t values[2] = {(uint32_t)(uintptr_t)number, i};
        etlring_data data = {values, sizeof values};
        etlring_status status = etlring_event_write(provider, &event, 1, &data);
        /* A buffer may not be free: the event is counted, then. */
        CHECK(status == ETLRING_OK || status == ETLRING_ERROR_NOT_ENOUGH_MEMORY);
    }
    /* The message of another thread's failure is not this one's. */
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "no session or provider",
            etlring_event_write(NULL, &event, 0, NULL));
    return NULL;
}

static void *look(void *unused) {
    uint32_t i;
    (void)unused;
    for (i = 0; i < 10; i++) {
        etlring_session_statistics statistics = {0};
        statistics.size = sizeof statistics;
        OK(etlring_session_query(session, &statistics));
        OK(etlring_session_flush(session));
        ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "provider is NULL",
                etlring_session_disable(session, NULL));
    }
    return NULL;
}

static void *stop(void *unused) {
    (void)unused;
    OK(etlring_session_stop(session));
    return NULL;
}

int main(int argc, char **argv) {
    etlring_session_options options = {0};
    etlring_session_statistics statistics = {0};
    pthread_t threads[WRITERS + 1];
    uintptr_t i;

    CHECK(argc == 2);
    options.size = sizeof options;
    options.name = "threads";
    options.log_file = argv[1];
    /* So few that buffers run out: the oldest give way. */
    options.buffer_size = 4096;
    options.maximum_buffers = 8;
    options.flags = ETLRING_SESSION_OVERWRITE;
    OK(etlring_session_start(&options, &session));
    OK(etlring_provider_register(&GUID, "Threads", NULL, NULL, NULL, &provider));
    OK(etlring_session_enable(session, &GUID, 0, 0, 0));
    for (i = 0; i < WRITERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, write_events, (void *)i) == 0);
    }
    CHECK(pthread_create(&threads[WRITERS], NULL, look, NULL) == 0);
    for (i = 0; i <= WRITERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(pthread_create(&threads[0], NULL, stop, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, stop, NULL) == 0);
    CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);

    statistics.size = sizeof statistics;
    OK(etlring_session_query(session, &statistics));
    CHECK(statistics.events_attempted == WRITERS * EVENTS);
    CHECK(statistics.events_accepted + statistics.events_lost == WRITERS * EVENTS);
    printf("%u\n", (unsigned)statistics.events_accepted);
    etlring_provider_unregister(provider);
    etlring_session_free(session);
    return 0;
}
