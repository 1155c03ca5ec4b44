/* Every call once in a way that works, its events read back: calls LOG */
#include "check.h"

static const etlring_guid ORDERS = {
    0x5a5c36d4, 0x6d1f, 0x4a0e, {0x8c, 0x39, 0x3a, 0x1f, 0x0d, 0x7e, 0x42, 0xaa}};
static const etlring_guid FILE_ID = {
    0x2818ef08, 0x6a54, 0x396f, {0x22, 0x44, 0x5a, 0x6e, 0xa4, 0xa9, 0x8c, 0xf0}};
static const etlring_guid CLASS_ID = {
    0x0b1e5a7c, 0x94d1, 0x4c57, {0xbd, 0x0e, 0x6f, 0x1f, 0x3a, 0x9a, 0x77, 0x01}};

/* What the provider was told. */
struct told {
    int enabled;
    int disabled;
    int released;
    uint64_t session;
    uint64_t instance;
    etlring_logger *logger;
};

static void on_change(const etlring_change *change, void *context) {
    struct told *told = context;
    CHECK(change->size == sizeof *change);
    if (change->control == ETLRING_CONTROL_DISABLE) {
        told->disabled++;
        return;
    }
    CHECK(change->control == ETLRING_CONTROL_ENABLE);
    CHECK(change->level == 4 && change->enabled == 1 && change->any_keyword == 0xff);
    told->enabled++;
    told->session = change->session_id;
    told->instance = change->instance;
    OK(etlring_logger_open(change->session_id, &told->logger));
}

static void on_release(void *context) {
    struct told *told = context;
    told->released++;
}

static void write_events(const etlring_provider *provider, uint64_t instance) {
    const etlring_event_descriptor placed = {1, 0, 0, 4, 0, 7, 0x11};
    const etlring_event_descriptor verbose = {2, 0, 0, 5, 0, 0, 0x11};
    const etlring_event_descriptor foreign = {3, 0, 0, 4, 0, 0, 0x100};
    uint32_t table = 7;
    etlring_data data[3] = {{&table, sizeof table}, {NULL, 0}, {"coffee", 7}};
    etlring_data many[ETLRING_MAX_EVENT_DATA];
    etlring_guid mine = {1, 2, 3, {4, 5, 6, 7, 8, 9, 10, 11}}, other = mine, id;
    uint32_t i;

    CHECK(etlring_provider_enabled(provider, 4, 0x11) == 1);
    CHECK(etlring_provider_enabled(provider, 5, 0x11) == 0);
    CHECK(etlring_provider_enabled(provider, 4, 0x100) == 0);
    OK(etlring_event_write(provider, &verbose, 3, data));
    OK(etlring_event_write(provider, &foreign, 0, NULL));
    OK(etlring_event_write(provider, &placed, 3, data));

    other.data1 = 9;
    id = mine;
    OK(etlring_activity_control(ETLRING_ACTIVITY_GET_SET, &id));
    OK(etlring_event_write_transfer(provider, &placed, NULL, &other, 1, data));
    OK(etlring_activity_control(ETLRING_ACTIVITY_GET_SET, &id));
    CHECK(same_guid(&id, &mine));
    OK(etlring_event_write_ex(provider, &placed, 0, 0, &other, NULL, 1, data + 2));
    OK(etlring_event_write_ex(provider, &placed, instance, 0, NULL, NULL, 3, data)); /* nobody */
    OK(etlring_event_write_string(provider, 4, 0x11, "caf\xc3\xa9"));
    for (i = 0; i < ETLRING_MAX_EVENT_DATA; i++) {
        many[i].bytes = &data[2];
        many[i].size = 0;
    }
    many[127] = data[2];
    OK(etlring_event_write(provider, &placed, ETLRING_MAX_EVENT_DATA, many));
    OK(etlring_event_write(provider, &placed, 0, NULL));
}

static void write_fields(const etlring_provider *provider) {
    const etlring_event_descriptor sold = {0, 0, 0, 3, 0, 0, 0x2};
    uint8_t u8 = 200;
    int16_t i16 = -2;
    uint32_t u32 = 4000000000u;
    int64_t i64 = INT64_MIN;
    double price = 3.25;
    uint32_t yes = 1;
    etlring_field fields[] = {
        ETLRING_FIELD("u8", UINT8, u8),
        ETLRING_FIELD("i16", INT16, i16),
        ETLRING_FIELD("u32", UINT32, u32),
        ETLRING_FIELD("i64", INT64, i64),
        ETLRING_FIELD("price", DOUBLE, price),
        ETLRING_FIELD("paid", BOOL32, yes),
        ETLRING_FIELD("file", GUID, FILE_ID),
        ETLRING_TEXT("what", "caf\xc3\xa9"),
        {"wide", u"th\u00e9", 6, ETLRING_TYPE_UTF16, 0},
        {"raw", "\x01\x02\xff", 3, ETLRING_TYPE_BINARY, 0},
        ETLRING_TEXT("empty", ""),
        ETLRING_FIELD("mask", HEX32, u32),
    };
    OK(etlring_event_write_fields(provider, &sold, "Sold", sizeof fields / sizeof *fields, fields));
    OK(etlring_event_write_fields(provider, &sold, "Closed", 0, NULL));
}

static void write_messages(const etlring_logger *logger) {
    uint32_t answer = 42, component = 0xC0FFEE;
    struct {
        etlring_event_trace_header header;
        char text[10];
    } classic;
    struct {
        etlring_event_trace_header header;
        etlring_mof_field fields[2];
    } parts;

    OK(etlring_trace_message_v(logger,
                               ETLRING_MESSAGE_SEQUENCE | ETLRING_MESSAGE_GUID |
                                   ETLRING_MESSAGE_TIMESTAMP | ETLRING_MESSAGE_SYSTEMINFO,
                               &FILE_ID, 10, (const void *)&answer, sizeof answer,
                               (const void *)"answer", (size_t)7, (const void *)NULL));
    OK(etlring_trace_message_v(logger, ETLRING_MESSAGE_COMPONENTID, &component, 11,
                               (const void *)NULL));

    memset(&classic, 0, sizeof classic);
    classic.header.size = sizeof classic.header + sizeof classic.text;
    classic.header.type = 10;
    classic.header.level = 4;
    classic.header.u.guid = CLASS_ID;
    classic.header.flags = ETLRING_WNODE_TRACED_GUID;
    memcpy(classic.text, "one coffee", 10);
    OK(etlring_trace_event(logger, &classic.header));

    memset(&parts, 0, sizeof parts);
    parts.header.size = sizeof parts;
    parts.header.type = 11;
    parts.header.version = 2;
    parts.header.u.guid_ptr = (uint64_t)(uintptr_t)&CLASS_ID;
    parts.header.flags =
        ETLRING_WNODE_TRACED_GUID | ETLRING_WNODE_USE_GUID_PTR | ETLRING_WNODE_USE_MOF_PTR;
    parts.fields[0].data = (uint64_t)(uintptr_t) "two ";
    parts.fields[0].length = 4;
    parts.fields[1].data = (uint64_t)(uintptr_t) "cakes";
    parts.fields[1].length = 5;
    OK(etlring_trace_event(logger, &parts.header));
}

struct expected {
    uint32_t header;
    uint16_t id;
    const char *payload;
    size_t size;
};

/* The events come back, in the order of their writing. */
static void read_back(const char *path, uint32_t order) {
    static const struct expected all[] = {
        {ETLRING_HEADER_EVENT, 1, "\7\0\0\0coffee", 11},
        {ETLRING_HEADER_EVENT, 1, "\7\0\0\0", 4},
        {ETLRING_HEADER_EVENT, 1, "coffee", 7},
        {ETLRING_HEADER_EVENT, 0, "c\0a\0f\0\xe9\0\0", 10},
        {ETLRING_HEADER_EVENT, 1, "coffee", 7},
        {ETLRING_HEADER_EVENT, 1, "", 0},
        {ETLRING_HEADER_EVENT, 0, NULL, 0},
        {ETLRING_HEADER_EVENT, 0, "", 0},
        {ETLRING_HEADER_MESSAGE, 10, "\x2a\0\0\0answer", 11},
        {ETLRING_HEADER_MESSAGE, 11, "", 0},
        {ETLRING_HEADER_CLASSIC, 0, "one coffee", 10},
        {ETLRING_HEADER_CLASSIC, 0, "two cakes", 9},
    };
    const size_t count = sizeof all / sizeof *all;
    etlring_reader *reader = NULL;
    etlring_record record;
    etlring_status status;
    uint64_t before = 0;
    size_t i = 0;

    OK(etlring_reader_open(path, order, &reader));
    memset(&record, 0, sizeof record);
    record.size = sizeof record;
    while ((status = etlring_reader_next(reader, &record)) == ETLRING_OK) {
        if (record.header == ETLRING_HEADER_SYSTEM) {
            continue; /* the log's own */
        }
        if (record.header == ETLRING_HEADER_MESSAGE && record.id == 11 && order == ETLRING_ORDER_TIME) {
            continue; /* without a stamp it has its buffer's time, and comes later */
        }
        if (order == ETLRING_ORDER_TIME && i < count && all[i].id == 11) {
            i++;
        }
        CHECK(i < count);
        CHECK(record.size == sizeof record);
        CHECK(record.header == all[i].header && record.id == all[i].id);
        CHECK((const char *)record.payload + record.payload_size ==
              (const char *)record.bytes + record.bytes_size);
        if (all[i].payload) {
            CHECK(record.payload_size == all[i].size);
            CHECK(memcmp(record.payload, all[i].payload, all[i].size) == 0);
        }
        if (record.present & ETLRING_HAS_TICKS) {
            CHECK(record.ticks >= before);
            before = record.ticks;
        }
        if (record.header == ETLRING_HEADER_EVENT) {
            const uint32_t all_of_it = ETLRING_HAS_TICKS | ETLRING_HAS_DESCRIPTOR |
                                       ETLRING_HAS_PROVIDER | ETLRING_HAS_PROCESS_ID;
            CHECK((record.present & all_of_it) == all_of_it);
            CHECK(same_guid(&record.provider, &ORDERS) && record.bits == 64);
        }
        CHECK(!!(record.present & ETLRING_HAS_RELATED) == (i == 1));
        if (i == 1) {
            CHECK(record.activity.data1 == 1 && record.related.data1 == 9 && record.task == 7);
        }
        if (i == 8) {
            CHECK(same_guid(&record.provider, &FILE_ID));
        }
        if (i == 11) {
            CHECK(same_guid(&record.provider, &CLASS_ID) && record.opcode == 11);
            CHECK(record.version == 2);
        }
        i++;
    }
    CHECK(status == ETLRING_ERROR_NO_MORE_ITEMS && i == count);
    CHECK(etlring_reader_next(reader, &record) == ETLRING_ERROR_NO_MORE_ITEMS);
    etlring_reader_close(reader);
}

int main(int argc, char **argv) {
    etlring_session_options options = {0};
    etlring_session_statistics statistics = {0};
    etlring_session *session = NULL;
    etlring_provider *provider = NULL;
    struct told told = {0, 0, 0, 0, 0, NULL};

    CHECK(argc == 2);
    CHECK(etlring_version() == ETLRING_VERSION);
    CHECK(strcmp(etlring_status_name(ETLRING_ERROR_MORE_DATA), "ERROR_MORE_DATA") == 0);

    options.size = sizeof options;
    options.name = "calls";
    options.log_file = argv[1];
    options.mode = ETLRING_MODE_LOCAL_SEQUENCE;
    options.maximum_buffers = 16;
    OK(etlring_session_start(&options, &session));
    OK(etlring_provider_register(&ORDERS, "Example-Orders", on_change, &told, on_release, &provider));
    OK(etlring_session_enable(session, &ORDERS, 4, 0xff, 0));
    CHECK(told.enabled == 1 && told.session == etlring_session_id(session) && told.instance);

    write_events(provider, told.instance);
    write_fields(provider);
    write_messages(etlring_session_logger(session));
    OK(etlring_session_flush(session));

    statistics.size = sizeof statistics;
    OK(etlring_session_query(session, &statistics));
    CHECK(statistics.events_accepted == 12 && statistics.events_attempted == 12);
    CHECK(statistics.events_lost == 0 && statistics.buffers_total == 16);

    OK(etlring_session_disable(session, &ORDERS));
    CHECK(told.disabled == 1 && !etlring_provider_enabled(provider, 1, 0));
    OK(etlring_session_stop(session));
    ANSWERS(ETLRING_ERROR_INVALID_HANDLE, "no session",
            etlring_trace_message(told.logger, 0, NULL, 1, 0, NULL));
    OK(etlring_session_query(session, &statistics));
    CHECK(statistics.events_accepted == 12 && statistics.events_after_stop == 1);
    etlring_session_free(session);
    etlring_logger_free(told.logger);
    CHECK(told.released == 0);
    etlring_provider_unregister(provider);
    CHECK(told.released == 1);

    read_back(argv[1], ETLRING_ORDER_FILE);
    read_back(argv[1], ETLRING_ORDER_TIME);
    return 0;
}
