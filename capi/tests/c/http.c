/* Events of IIS from C, their names static and not, right and wrong: http LOG */
#include "check.h"

static const etlring_guid PROVIDER = {
    0x7f3d2c41, 0x0b9e, 0x4a52, {0x8d, 0x11, 0x35, 0xc2, 0x9a, 0x64, 0xe0, 0x5b}};
static const etlring_guid AREA = {
    0x1c8e6f02, 0x5d3a, 0x4b97, {0xa4, 0x70, 0x92, 0x1e, 0x0f, 0xb3, 0x6d, 0x28}};
static const etlring_guid REQUEST = {9, 0, 0, {0x98, 0, 0, 0x80, 0, 0, 0, 0xfa}};

#define WIN32(number) ((int32_t)(0x80070000u | (number)))
#define E_FAIL ((int32_t)0x80004005u)

static etlring_http_server *server;

static int32_t raise_event(const uint16_t *name, uint32_t flags, uint32_t count,
                           const etlring_http_item *items) {
    etlring_http_event event = {0};
    event.provider = &PROVIDER;
    event.area = 0x20;
    event.area_guid = &AREA;
    event.event = name ? name[0] : 1; /* readers tell events apart by it */
    event.event_name = name;
    event.verbosity = 4;
    event.flags = flags;
    event.item_count = count;
    event.items = items;
    return etlring_http_raise(server, &REQUEST, &event);
}

static void wrong(void) {
    uint64_t eight = 8;
    etlring_http_item item = {u"X", 12, &eight, 8, NULL};
    etlring_http_event event = {0};
    CHECK(etlring_http_raise(NULL, NULL, &event) == WIN32(ETLRING_ERROR_INVALID_HANDLE));
    CHECK(etlring_http_raise(server, NULL, NULL) == WIN32(ETLRING_ERROR_INVALID_PARAMETER));
    CHECK(etlring_http_raise(server, NULL, &event) == WIN32(ETLRING_ERROR_INVALID_PARAMETER));
    event.provider = &PROVIDER;
    event.verbosity = 4;
    CHECK(etlring_http_raise(server, NULL, &event) == WIN32(ETLRING_ERROR_INVALID_PARAMETER));
    CHECK(strstr(etlring_last_message(), "area_guid"));
    CHECK(raise_event(u"E", 0, 1, NULL) == WIN32(ETLRING_ERROR_INVALID_PARAMETER));
    CHECK(raise_event(u"E", 0, 1, &item) == WIN32(ETLRING_ERROR_INVALID_PARAMETER));
    CHECK(strstr(etlring_last_message(), "items[0].type 12"));
    item.type = 19;
    CHECK(raise_event(u"E", 0, 1, &item) == E_FAIL); /* a ULONG of eight bytes */
    item.type = 31;
    item.data_size = 3;
    CHECK(raise_event(u"E", 0, 1, &item) == E_FAIL); /* half a character */
    CHECK(etlring_http_get_configuration(server, NULL) == WIN32(ETLRING_ERROR_INVALID_PARAMETER));
    CHECK(etlring_http_set_configuration(server, NULL, 0, NULL) ==
          WIN32(ETLRING_ERROR_INVALID_HANDLE));
    CHECK(etlring_http_quick_trace(server, NULL, NULL, u"a", NULL, 0, 4) ==
          WIN32(ETLRING_ERROR_INVALID_PARAMETER));
    CHECK(etlring_http_quick_trace(server, NULL, "Module", u"a", NULL, 0, 8) == E_FAIL);
}

int main(int argc, char **argv) {
    const etlring_http_area area = {"Rewrite", 0x20};
    etlring_http_configuration wanted = {&PROVIDER, 0x20, 4, 1};
    etlring_session_options options = {0};
    etlring_session *session;
    uint16_t name[] = u"First", field[] = u"one";
    uint32_t number = 0;
    etlring_http_item many[20];
    int i;

    CHECK(argc == 2);
    OK(etlring_http_server_create(&server));
    OK(etlring_http_server_add_provider(server, &PROVIDER, "Example-Http", 1, &area));
    CHECK(etlring_http_get_configuration(server, &wanted) == 0 && wanted.enabled == 0);
    /* Nobody wants it: what it says is not looked at. */
    CHECK(raise_event(NULL, 0, 7, NULL) == 0);

    options.size = sizeof options;
    options.name = "http";
    options.log_file = argv[1];
    options.maximum_buffers = 8;
    OK(etlring_session_start(&options, &session));
    wanted.enabled = 1;
    CHECK(etlring_http_set_configuration(server, session, 1, &wanted) == 0);
    CHECK(etlring_http_get_configuration(server, &wanted) == 0);
    CHECK(wanted.enabled == 1 && wanted.areas == 0x20 && wanted.verbosity == 4);
    wrong();

    /* Names of a buffer that is used again: each event has its own. */
    for (i = 0; i < 20; i++) {
        many[i] = (etlring_http_item){field, 19, &number, 4, NULL};
    }
    for (number = 0; number < 3; number++) {
        name[0] = (uint16_t)('A' + number);
        field[2] = (uint16_t)('a' + number);
        CHECK(raise_event(name, 0, 1, many) == 0);
    }
    /* Names that stay: told once, then known. A pair of UTF-16, and half of one. */
    many[0].name = u"\U0001d11e";
    many[1].name = (const uint16_t[]){0xd834, 'x', 0};
    for (i = 0; i < 2; i++) {
        CHECK(raise_event(u"Static", ETLRING_HTTP_STATIC_DESCRIPTIVE_FIELDS, 2, many) == 0);
    }
    /* More items than a small list has, some of them without a value. */
    many[19].data = NULL;
    CHECK(raise_event(u"Many", ETLRING_HTTP_STATIC_DESCRIPTIVE_FIELDS, 20, many) == 0);
    OK(etlring_session_stop(session));
    etlring_session_free(session);
    etlring_http_server_free(server);
    return 0;
}
