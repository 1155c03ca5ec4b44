/* A flight recorder in C: the newest events stay in memory, and are written to a file when
 * something goes wrong.
 *
 *   cc flight_recorder.c $(pkg-config --cflags --libs etlring) -o flight_recorder
 *   ./flight_recorder snapshot.etl && etlring dump --fields snapshot.etl
 */
#include <etlring.h>
#include <stdio.h>

static const etlring_guid PUMP = {
    0x3c1f5b0e, 0x7d52, 0x4f7a, {0x9b, 0x21, 0x6e, 0x0c, 0x55, 0x8a, 0x10, 0x43}};

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, etlring_last_message());
    return 1;
}

/* One turn of the pump's control loop. Returns its pressure in bar. */
static double turn(const etlring_provider *provider, uint32_t number) {
    static const etlring_event_descriptor measured = {1, 0, 0, 5, 0, 0, 0x1};
    double pressure = 2.0 + number % 7 * 0.25 + (number == 40000 ? 5.0 : 0.0);
    const char *valve = number % 2 ? "open" : "closed";
    etlring_field fields[] = {
        ETLRING_FIELD("turn", UINT32, number),
        ETLRING_FIELD("pressure", DOUBLE, pressure),
        ETLRING_TEXT("valve", valve),
    };
    /* An event that could not be written is counted; the pump does not care. */
    (void)etlring_event_write_fields(provider, &measured, "Measured", 3, fields);
    return pressure;
}

int main(int argc, char **argv) {
    static const etlring_event_descriptor alarm = {2, 0, 0, 2, 0, 0, 0x1};
    etlring_session_options options = {0};
    etlring_session_statistics statistics = {0};
    etlring_session *session;
    etlring_provider *provider;
    uint32_t number = 0;
    double pressure;

    if (argc != 2) {
        fprintf(stderr, "usage: %s SNAPSHOT\n", argv[0]);
        return 2;
    }
    options.size = sizeof options;
    options.name = "flight recorder";
    options.mode = ETLRING_MODE_BUFFERING;
    options.maximum_buffers = 8;
    if (etlring_session_start(&options, &session) != ETLRING_OK) {
        return failed("start");
    }
    if (etlring_provider_register(&PUMP, "Example-Pump", NULL, NULL, NULL, &provider) != ETLRING_OK ||
        etlring_session_enable(session, &PUMP, 5, 0, 0) != ETLRING_OK) {
        return failed("provider");
    }

    do {
        pressure = turn(provider, ++number);
    } while (pressure < 5.0);

    {
        etlring_field fields[] = {ETLRING_FIELD("pressure", DOUBLE, pressure)};
        (void)etlring_event_write_fields(provider, &alarm, "Alarm", 1, fields);
    }
    if (etlring_session_snapshot(session, argv[1]) != ETLRING_OK) {
        return failed("snapshot");
    }
    statistics.size = sizeof statistics;
    if (etlring_session_query(session, &statistics) != ETLRING_OK) {
        return failed("query");
    }
    printf("alarm at turn %u, %llu events seen, the newest are in %s\n", (unsigned)number,
           (unsigned long long)statistics.events_attempted, argv[1]);
    etlring_provider_unregister(provider);
    etlring_session_free(session);
    return 0;
}
