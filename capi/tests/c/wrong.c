/* What goes wrong is answered with the number and the words that it has: wrong DIRECTORY */
#include "check.h"

static const etlring_guid GUID = {1, 2, 3, {4, 5, 6, 7, 8, 9, 10, 11}};
static const etlring_event_descriptor EVENT = {1, 0, 0, 4, 0, 0, 0};

static char path_[4096];

static const char *in(const char *directory, const char *name) {
    snprintf(path_, sizeof path_, "%s/%s", directory, name);
    return path_;
}

static etlring_session_options ring(void) {
    etlring_session_options options = {0};
    options.size = sizeof options;
    options.name = "wrong";
    options.mode = ETLRING_MODE_BUFFERING;
    options.buffer_size = 4096;
    options.maximum_buffers = 4;
    return options;
}

/* The structure of a program that was built with a later header. */
struct later {
    etlring_session_options options;
    uint64_t added;
};

static void nulls(void) {
    etlring_session *session;
    etlring_provider *provider;
    etlring_guid id;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "options is NULL", etlring_session_start(NULL, &session));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "ERROR_INVALID_HANDLE", etlring_session_flush(NULL));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_session_stop(NULL));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_session_query(NULL, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_session_enable(NULL, &GUID, 0, 0, 0));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "guid is NULL",
            etlring_provider_register(NULL, "x", NULL, NULL, NULL, &provider));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "name is NULL",
            etlring_provider_register(&GUID, NULL, NULL, NULL, NULL, &provider));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "no UTF-8",
            etlring_provider_register(&GUID, "\xff", NULL, NULL, NULL, &provider));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_event_write(NULL, &EVENT, 0, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_trace_message(NULL, 0, NULL, 1, 0, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "", etlring_trace_event(NULL, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "activity", etlring_activity_control(1, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "control code", etlring_activity_control(6, &id));
    ANSWERS(ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND, "", etlring_logger_open(0, NULL));
    CHECK(!etlring_session_logger(NULL) && !etlring_session_id(NULL));
    CHECK(!etlring_provider_enabled(NULL, 1, 0));
    etlring_session_free(NULL);
    etlring_logger_free(NULL);
    etlring_provider_unregister(NULL);
    etlring_reader_close(NULL);
}

static void options(const char *directory) {
    etlring_session_options options = ring(), log = ring();
    etlring_session *session = NULL, *second = NULL;
    struct later later;

    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "session is NULL", etlring_session_start(&options, NULL));
    options.size = 0;
    ANSWERS(ETLRING_ERROR_BAD_LENGTH, "options->size is 0", etlring_session_start(&options, &session));
    options.size = offsetof(etlring_session_options, flags) - 1;
    ANSWERS(ETLRING_ERROR_BAD_LENGTH, "", etlring_session_start(&options, &session));
    /* A program of before there were flags: what lies behind its structure is not looked at. */
    options.size = offsetof(etlring_session_options, flags);
    options.flags = options.reserved = UINT32_MAX;
    OK(etlring_session_start(&options, &session));
    etlring_session_free(session);
    session = NULL;
    options = ring();
    options.name = NULL;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "name is NULL", etlring_session_start(&options, &session));
    options.name = "";
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "name has 0", etlring_session_start(&options, &session));
    options = ring();
    options.buffer_size = 5000;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "buffer_size", etlring_session_start(&options, &session));
    options = ring();
    options.mode |= 0x40;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "0x40", etlring_session_start(&options, &session));
    options.mode = ETLRING_MODE_CIRCULAR | ETLRING_MODE_APPEND;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "more than one", etlring_session_start(&options, &session));
    options.mode = ETLRING_MODE_CIRCULAR | ETLRING_MODE_SEQUENTIAL;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "SEQUENTIAL", etlring_session_start(&options, &session));
    options = ring();
    options.clock = 9;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "clock 9", etlring_session_start(&options, &session));
    options = ring();
    options.flags = ETLRING_SESSION_OVERWRITE;
    options.wait_ms = 5;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "wait_ms excludes",
            etlring_session_start(&options, &session));
    options.flags = options.wait_ms = 0;
    options.ring_file = 3;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "ring_file 3", etlring_session_start(&options, &session));
    log.mode = 0;
    ANSWERS(ETLRING_ERROR_BAD_PATHNAME, "", etlring_session_start(&log, &session));
    log.log_file = in(directory, "no/such/directory.etl");
    ANSWERS(ETLRING_ERROR_BAD_PATHNAME, "", etlring_session_start(&log, &session));
    CHECK(!session);

    memset(&later, 0, sizeof later);
    later.options = ring();
    later.options.size = sizeof later;
    later.added = 1;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "does not know",
            etlring_session_start(&later.options, &session));
    later.added = 0;
    OK(etlring_session_start(&later.options, &session));
    ANSWERS(ETLRING_ERROR_ALREADY_EXISTS, "\"wrong\"", etlring_session_start(&later.options, &second));
    etlring_session_free(session);
}

static void refusals(const char *directory) {
    static char large[70000];
    etlring_session_options options = ring();
    etlring_session_statistics statistics = {0}, later[2];
    etlring_session *session;
    etlring_provider *provider;
    const etlring_logger *logger;
    etlring_data data = {large, sizeof large}, none = {NULL, 1};
    etlring_field field = {"x", large, 3, ETLRING_TYPE_UINT32, 0};
    etlring_event_trace_header event;
    uint32_t i;

    OK(etlring_session_start(&options, &session));
    OK(etlring_provider_register(&GUID, "Wrong", NULL, NULL, NULL, &provider));
    /* Nobody listens: what is wrong with the event is told all the same, as on Windows. */
    OK(etlring_event_write(provider, &EVENT, 0, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "129 pieces", etlring_event_write(provider, &EVENT, 129, &data));
    OK(etlring_session_enable(session, &GUID, 0, 0, 0));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "descriptor", etlring_event_write(provider, NULL, 0, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "data is NULL", etlring_event_write(provider, &EVENT, 1, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "data[0].bytes", etlring_event_write(provider, &EVENT, 1, &none));
    ANSWERS(ETLRING_ERROR_ARITHMETIC_OVERFLOW, "64 KiB", etlring_event_write(provider, &EVENT, 1, &data));
    data.size = 5000;
    ANSWERS(ETLRING_ERROR_MORE_DATA, "buffer", etlring_event_write(provider, &EVENT, 1, &data));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "mean nothing",
            etlring_event_write_ex(provider, &EVENT, 0, 4, NULL, NULL, 0, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "no UTF-8",
            etlring_event_write_string(provider, 1, 0, "\xc3"));

    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "size is 3, its type has 4",
            etlring_event_write_fields(provider, &EVENT, "E", 1, &field));
    field.type = 1;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "fields[0].type 0x1",
            etlring_event_write_fields(provider, &EVENT, "E", 1, &field));
    field.type = ETLRING_TYPE_BINARY;
    field.size = 65536;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "65535 at most",
            etlring_event_write_fields(provider, &EVENT, "E", 1, &field));
    field.size = 5000;
    ANSWERS(ETLRING_ERROR_MORE_DATA, "buffer", etlring_event_write_fields(provider, &EVENT, "E", 1, &field));
    field.size = 1;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "name is NULL",
            etlring_event_write_fields(provider, &EVENT, NULL, 1, &field));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "65 fields",
            etlring_event_write_fields(provider, &EVENT, "E", 65, &field));
    field.name = NULL;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "fields[0].name is NULL",
            etlring_event_write_fields(provider, &EVENT, "E", 1, &field));
    field.name = "x";
    field.bytes = NULL;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "fields[0].bytes is NULL",
            etlring_event_write_fields(provider, &EVENT, "E", 1, &field));

    logger = etlring_session_logger(session);
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "", etlring_trace_message(logger, 6, &GUID, 1, 0, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "id is NULL", etlring_trace_message(logger, 2, NULL, 1, 0, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "sequence", etlring_trace_message(logger, 1, NULL, 1, 0, NULL));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "16 bits",
            etlring_trace_message(logger, 0x10000, NULL, 1, 0, NULL));
    ANSWERS(ETLRING_ERROR_MORE_DATA, "buffer", etlring_trace_message(logger, 0, NULL, 1, 1, &data));
    memset(&event, 0, sizeof event);
    event.size = 47;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "47", etlring_trace_event(logger, &event));
    event.size = 48;
    ANSWERS(ETLRING_ERROR_INVALID_FLAG_NUMBER, "TRACED_GUID", etlring_trace_event(logger, &event));
    event.flags = ETLRING_WNODE_TRACED_GUID | ETLRING_WNODE_USE_GUID_PTR;
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "guid_ptr", etlring_trace_event(logger, &event));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "event is NULL", etlring_trace_event(logger, NULL));

    /* A program of an older header knows less of the counters, one of a later header more. */
    ANSWERS(ETLRING_ERROR_BAD_LENGTH, "", etlring_session_query(session, &statistics));
    memset(later, 0xee, sizeof later);
    later[0].size = sizeof later;
    OK(etlring_session_query(session, later));
    CHECK(later[0].size == sizeof later && later[0].buffers_total == 4);
    for (i = 0; i < sizeof *later; i++) {
        CHECK(((unsigned char *)&later[1])[i] == 0xee);
    }

    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "path is NULL", etlring_session_snapshot(session, NULL));
    ANSWERS(ETLRING_ERROR_BAD_PATHNAME, "snapshot",
            etlring_session_snapshot(session, in(directory, "no/snapshot.etl")));
    OK(etlring_session_snapshot(session, in(directory, "snapshot.etl")));
    OK(etlring_session_stop(session));
    OK(etlring_session_stop(session));
    ANSWERS(ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND, "stopped",
            etlring_session_snapshot(session, in(directory, "late.etl")));
    ANSWERS(ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND, "stopped", etlring_session_flush(session));
    ANSWERS(ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND, "stopped",
            etlring_session_enable(session, &GUID, 0, 0, 0));
    etlring_provider_unregister(provider);
    etlring_session_free(session);
}

static void damaged(const char *directory) {
    char log[4096];
    etlring_reader *reader = NULL;
    etlring_record record = {0};
    FILE *file;

    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "path is NULL", etlring_reader_open(NULL, 0, &reader));
    ANSWERS(ETLRING_ERROR_BAD_PATHNAME, "",
            etlring_reader_open(in(directory, "none.etl"), 0, &reader));
    snprintf(log, sizeof log, "%s", in(directory, "text.etl"));
    file = fopen(log, "w");
    CHECK(file && fputs("This is no log file.", file) >= 0 && fclose(file) == 0);
    ANSWERS(ETLRING_ERROR_BAD_FORMAT, "not an .etl", etlring_reader_open(log, 0, &reader));
    snprintf(log, sizeof log, "%s", in(directory, "snapshot.etl"));
    ANSWERS(ETLRING_ERROR_INVALID_PARAMETER, "order 2", etlring_reader_open(log, 2, &reader));
    CHECK(!reader);
    OK(etlring_reader_open(log, 0, &reader));
    ANSWERS(ETLRING_ERROR_BAD_LENGTH, "record->size is 0", etlring_reader_next(reader, &record));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "", etlring_reader_next(NULL, &record));
    etlring_reader_close(reader);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    CHECK(strcmp(etlring_last_message(), "") == 0);
    nulls();
    options(argv[1]);
    refusals(argv[1]);
    damaged(argv[1]);
    return 0;
}
