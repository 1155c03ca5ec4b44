/* Sessions by name: listed, asked, steered, followed, attached to: outside LOG */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const etlring_guid ORDERS = {
    0x5a5c36d4, 0x6d1f, 0x4a0e, {0x8c, 0x39, 0x3a, 0x1f, 0x0d, 0x7e, 0x42, 0xab}};
static const etlring_event_descriptor PLACED = {1, 0, 0, 4, 0, 7, 0x11};

static etlring_session_options named(const char *name) {
    etlring_session_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.name = name;
    options.flags = ETLRING_SESSION_CONTROLLABLE;
    options.flush_interval_ms = ETLRING_FLUSH_WHEN_FULL;
    return options;
}

static void write_number(const etlring_provider *provider, uint32_t number) {
    etlring_data data = {&number, sizeof number};
    OK(etlring_event_write(provider, &PLACED, 1, &data));
}

/* The next event of ours and its number; records of the library are passed over. */
static uint32_t next_number(etlring_consumer *consumer) {
    etlring_record record;
    uint32_t number;
    record.size = sizeof record;
    do {
        OK(etlring_consumer_next(consumer, ETLRING_WAIT_FOREVER, &record));
    } while (!(record.present & ETLRING_HAS_PROVIDER) || !same_guid(&record.provider, &ORDERS));
    CHECK(record.id == 1 && record.task == 7 && record.keyword == 0x11);
    CHECK(record.file_time > 0 && record.payload_size == sizeof number);
    memcpy(&number, record.payload, sizeof number);
    return number;
}

struct listed {
    int count;
    int dead;
    uint32_t process;
};

static void on_found(const etlring_found *found, void *context) {
    struct listed *listed = context;
    CHECK(found->size == sizeof *found);
    if (found->state == ETLRING_FOUND_DEAD) {
        CHECK(strcmp(found->name, "C dying") == 0 && !found->log_file);
        listed->dead++;
        return;
    }
    CHECK(found->state == ETLRING_FOUND_RUNNING && found->process_id == (uint32_t)getpid());
    CHECK(strcmp(found->name, "C stream") == 0 && !found->log_file);
    listed->count++;
    listed->process = found->process_id;
}

/* A session without a log, in this process, reached as from another one. */
static void stream(const etlring_provider *provider) {
    etlring_session_options options = named("C stream");
    etlring_session *session = NULL;
    etlring_client *client = NULL;
    etlring_consumer *consumer = NULL;
    etlring_session_properties properties;
    etlring_session_statistics statistics;
    etlring_session_update update;
    etlring_record record;
    struct listed listed = {0, 0, 0};
    uint32_t number;

    record.size = sizeof record;
    properties.size = sizeof properties;
    statistics.size = sizeof statistics;
    options.mode = ETLRING_MODE_REAL_TIME;
    OK(etlring_session_start(&options, &session));
    OK(etlring_session_list(on_found, &listed));
    CHECK(listed.count == 1 && listed.dead == 0);

    OK(etlring_client_connect("c STREAM", &client));
    OK(etlring_consumer_open("C stream", 0, &consumer));
    ANSWERS(ETLRING_ERROR_TIMEOUT, "within the time", etlring_consumer_next(consumer, 0, &record));
    OK(etlring_client_enable(client, &ORDERS, 4, 0, 0));
    for (number = 0; number < 3; number++) {
        write_number(provider, number);
    }
    for (number = 0; number < 3; number++) {
        CHECK(next_number(consumer) == number);
    }
    OK(etlring_client_flush(client));
    OK(etlring_client_query(client, &properties, &statistics));
    CHECK(properties.process_id == (uint32_t)getpid() && properties.consumers == 1);
    CHECK(properties.providers_enabled == 1 && properties.mode & ETLRING_MODE_REAL_TIME);
    CHECK(properties.flush_interval_ms == 0 && properties.id == etlring_session_id(session));
    CHECK(statistics.events_accepted == 3);
    OK(etlring_client_query(client, NULL, NULL));

    memset(&update, 0, sizeof update);
    update.size = sizeof update;
    update.flush_interval_ms = 250;
    OK(etlring_client_update(client, &update));
    OK(etlring_client_query(client, &properties, NULL));
    CHECK(properties.flush_interval_ms == 250);
    update.log_file = "none.etl";
    ANSWERS(ETLRING_ERROR_BAD_PATHNAME, "no log file", etlring_client_update(client, &update));
    ANSWERS(ETLRING_ERROR_NOT_SUPPORTED, "memory ring",
            etlring_client_snapshot(client, "never.etl"));
    OK(etlring_client_disable(client, &ORDERS));
    write_number(provider, 99);

    OK(etlring_client_stop(client, &statistics));
    CHECK(statistics.events_accepted == 3);
    ANSWERS(ETLRING_ERROR_NO_MORE_ITEMS, "has stopped",
            etlring_consumer_next(consumer, ETLRING_WAIT_FOREVER, &record));
    ANSWERS(ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND, "no session", etlring_client_flush(client));
    CHECK(etlring_consumer_missed(consumer) == 0);
    etlring_consumer_close(consumer);
    etlring_client_free(client);
    OK(etlring_session_stop(session));
    etlring_session_free(session);
}

/* Waits for a byte of the other process. */
static void await(int from) {
    char byte;
    CHECK(read(from, &byte, 1) == 1);
}

static void tell(int to) { CHECK(write(to, "x", 1) == 1); }

/* Another process logs into the session of this one, whose log has both. */
static void attached(const char *log) {
    etlring_session_options options = named("C shared");
    etlring_session *session = NULL;
    etlring_provider *provider = NULL;
    int ready[2], go[2], status;
    pid_t child;

    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    /* Before any thread of the library runs. */
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        await(go[0]);
        OK(etlring_session_attach("C shared", 8, &session));
        OK(etlring_provider_register(&ORDERS, "Orders", NULL, NULL, NULL, &provider));
        CHECK(etlring_provider_enabled(provider, 4, 0x11) == 1);
        write_number(provider, 1000);
        OK(etlring_session_stop(session));
        etlring_provider_unregister(provider);
        etlring_session_free(session);
        ANSWERS(ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND, "no session",
                etlring_session_attach("C nobody", 0, &session));
        _exit(0);
    }
    options.log_file = log;
    OK(etlring_session_start(&options, &session));
    OK(etlring_session_enable(session, &ORDERS, 4, 0, 0));
    OK(etlring_provider_register(&ORDERS, "Orders", NULL, NULL, NULL, &provider));
    tell(go[1]);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    write_number(provider, 1001);
    OK(etlring_session_stop(session));
    etlring_session_free(session);
    etlring_provider_unregister(provider);
}

/* The death of a session's process is no end. */
static void death(void) {
    etlring_session_options options = named("C dying");
    etlring_session *session = NULL;
    etlring_consumer *consumer = NULL;
    etlring_record record;
    struct listed listed = {0, 0, 0};
    int ready[2], go[2], status;
    pid_t child;

    record.size = sizeof record;
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        options.mode = ETLRING_MODE_REAL_TIME;
        OK(etlring_session_start(&options, &session));
        tell(ready[1]);
        await(go[0]);
        _exit(2);
    }
    await(ready[0]);
    OK(etlring_consumer_open("C dying", 4096, &consumer));
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    ANSWERS(ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND, "has died",
            etlring_consumer_next(consumer, ETLRING_WAIT_FOREVER, &record));
    etlring_consumer_close(consumer);
    OK(etlring_session_list(on_found, &listed));
    CHECK(listed.count == 0 && listed.dead == 1);
}

static void wrong(void) {
    etlring_session *session = (etlring_session *)1;
    etlring_client *client = NULL;
    etlring_consumer *consumer = NULL;
    etlring_session_options options = named("C memory");
    etlring_record record;

    record.size = sizeof record;
    /* Nothing in the environment asks for a session. */
    OK(etlring_session_default(&session));
    CHECK(session == NULL);
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "session is NULL", etlring_session_default(NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "name is NULL",
            etlring_session_attach(NULL, 0, &session));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "no name",
            etlring_client_connect("../up", &client));
    ANSWERS(ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND, "no session",
            etlring_client_connect("missing", &client));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "client is NULL",
            etlring_client_connect("missing", NULL));
    ANSWERS(ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND, "no session",
            etlring_consumer_open("missing", 0, &consumer));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "callback is NULL", etlring_session_list(NULL, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_client_flush(NULL));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_client_query(NULL, NULL, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_client_snapshot(NULL, "x"));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_client_enable(NULL, &ORDERS, 0, 0, 0));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_client_disable(NULL, &ORDERS));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_client_update(NULL, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_client_stop(NULL, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_consumer_next(NULL, 0, &record));
    CHECK(etlring_consumer_missed(NULL) == 0);
    etlring_client_free(NULL);
    etlring_consumer_close(NULL);

    options.mode = ETLRING_MODE_BUFFERING;
    OK(etlring_session_start(&options, &session));
    ANSWERS(ETLRING_ERROR_NOT_SUPPORTED, "overwrites",
            etlring_consumer_open("C memory", 0, &consumer));
    OK(etlring_client_connect("C memory", &client));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "provider is NULL",
            etlring_client_disable(client, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "update is NULL",
            etlring_client_update(client, NULL));
    etlring_client_free(client);
    etlring_session_free(session);
    session = NULL;
    options.flags = 0x80;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "flags has bits",
            etlring_session_start(&options, &session));
    options.flags = 0;
    options.reserved = 1;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "reserved",
            etlring_session_start(&options, &session));
    CHECK(session == NULL);
}

int main(int argc, char **argv) {
    etlring_provider *provider = NULL;
    char directory[] = "/tmp/etlring-c-XXXXXX", path[64];

    CHECK(argc == 2);
    /* Sessions of this program lie here and nowhere else. */
    CHECK(mkdtemp(directory) && setenv("ETLRING_DIR", directory, 1) == 0);
    unsetenv("ETLRING_SESSION");
    remove(argv[1]);
    attached(argv[1]);
    OK(etlring_provider_register(&ORDERS, "Orders", NULL, NULL, NULL, &provider));
    stream(provider);
    etlring_provider_unregister(provider);
    wrong();
    death();
    snprintf(path, sizeof path, "%s/c dying.lock", directory);
    remove(path);
    snprintf(path, sizeof path, "%s/c dying.sock", directory);
    remove(path);
    CHECK(rmdir(directory) == 0);
    puts("outside: done");
    return 0;
}
